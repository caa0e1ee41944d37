/// What must hold before onnx's own code (inliner, shape inference) may see a model: it recurses
/// without bound and trusts what it reads.
#ifndef SQ_LIB_IMPORTER_STRUCTURE_H
#define SQ_LIB_IMPORTER_STRUCTURE_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include "onnx/defs/schema.h"
#include "onnx/onnx_pb.h"

#include "lib/importer/ExternalData.h"

namespace sq::importer {

/// Where a node is in diagnostics and in the module: its name, or if it has none its operator and
/// first output.
mlir::Location nodeLocation(const ::onnx::NodeProto &node, mlir::MLIRContext *context);

/// The version of `domain` that the model imports; 0 when it does not.
int64_t importedVersion(const ::onnx::ModelProto &model, llvm::StringRef domain);

/// onnx's definition of the node's operator in the imported opset, or null.
const ::onnx::OpSchema *findSchema(const ::onnx::ModelProto &model, const ::onnx::NodeProto &node);

/// Spells the default domain "" everywhere (a file may say "ai.onnx").
void normalizeDomains(::onnx::ModelProto &model);

/// There is a graph; IR version and opset imports are there, make sense, and are not newer than
/// the onnx library.
mlir::LogicalResult checkVersions(const ::onnx::ModelProto &model, mlir::Location loc);

/// Replaces calls of the model's own functions by their bodies. Refuses recursion, functions that
/// import other opset versions than the model, and bodies that multiply beyond reason.
mlir::LogicalResult inlineFunctions(::onnx::ModelProto &model, mlir::Location loc);

/// Whether the node becomes an op of the dialect, rather than an `onnx.Custom`.
bool isDialectOp(const ::onnx::ModelProto &model, const ::onnx::NodeProto &node,
                 mlir::MLIRContext *context);

/// Replaces nodes whose operator the dialect lacks and onnx defines by a function. Shapes must have
/// been inferred; true when there were any, so that they must be again. Bodies may hold such nodes.
mlir::FailureOr<bool> inlineDefinitions(::onnx::ModelProto &model, mlir::Location loc);

/// The whole model: names, single assignment, definition before use, attributes, tensors and
/// types, nesting, and every node against the operator's definition where there is one.
mlir::LogicalResult checkStructure(const ::onnx::ModelProto &model, mlir::Location loc,
                                   ExternalFiles &files);

} // namespace sq::importer

#endif
