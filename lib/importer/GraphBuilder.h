/// Checked ONNX graphs as `onnx` ops.
#ifndef SQ_LIB_IMPORTER_GRAPHBUILDER_H
#define SQ_LIB_IMPORTER_GRAPHBUILDER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/DenseMap.h"
#include "onnx/onnx_pb.h"

#include "lib/importer/ExternalData.h"

#include <string>
#include <vector>

namespace sq::importer {

/// What shape inference must not see, and what it would overwrite.
struct SetAside {
  /// Sparse initializers and constants of each graph; their values are named after them.
  llvm::DenseMap<const ::onnx::GraphProto *, std::vector<::onnx::SparseTensorProto>> sparse;
  /// The symbols of the dims of each graph output as the file has them, "" where it has none.
  std::vector<std::vector<std::string>> outputDims;
};

/// One module with one function `main`. The model has passed `checkStructure` and shape
/// inference; big inline tensors move out of it.
mlir::OwningOpRef<mlir::ModuleOp> buildModule(::onnx::ModelProto &model, SetAside &setAside,
                                              ExternalFiles &files, mlir::Location loc);

/// The symbols of a tensor type's dims, "" for a dim without one.
std::vector<std::string> dimSymbols(const ::onnx::TypeProto &type);

} // namespace sq::importer

#endif
