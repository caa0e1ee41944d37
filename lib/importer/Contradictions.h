/// What onnx's shape inference found wrong, in sq's words.
#ifndef SQ_LIB_IMPORTER_CONTRADICTIONS_H
#define SQ_LIB_IMPORTER_CONTRADICTIONS_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include "onnx/onnx_pb.h"

#include <string>

namespace sq::importer {

/// Gives nodes without a name the one that `nodeLocation` makes up, so that errors can name them.
void nameNodes(::onnx::GraphProto &graph);

/// Reports an InferenceError with the shapes of the node's inputs as far as they are known; succeeds
/// when there is nothing to report. `model` is as inference left it.
mlir::LogicalResult reportContradiction(std::string message, const ::onnx::ModelProto &model,
                                        mlir::Location loc);

} // namespace sq::importer

#endif
