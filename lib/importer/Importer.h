/// Models from files: ONNX into the `onnx` dialect, MLIR as it is.
///
/// Every function emits diagnostics on the context (nothing throws, nothing goes to stderr by
/// itself) and returns null when the model is refused. Models are not trusted: what is not sound
/// is refused before it is used. Large tensors are resources that refer to the mapped weight file
/// or own the bytes that the parser read; they stay valid as long as the context.
#ifndef SQ_LIB_IMPORTER_IMPORTER_H
#define SQ_LIB_IMPORTER_IMPORTER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <optional>
#include <string>

namespace sq {

struct ImportOptions {
  /// Where external data lies. Without it: the directory of the model's path, the working
  /// directory for stdin, nowhere for models from memory (external data is then refused).
  std::optional<std::string> externalDataDirectory;
};

/// An ONNX protobuf file; "-" is stdin.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(llvm::StringRef path, mlir::MLIRContext &context,
                                             const ImportOptions &options = {});

/// An ONNX protobuf in memory; `name` is for messages.
mlir::OwningOpRef<mlir::ModuleOp> importOnnxBytes(llvm::StringRef bytes, llvm::StringRef name,
                                                  mlir::MLIRContext &context,
                                                  const ImportOptions &options = {});

/// The text syntax of onnx's parser (.onnxtxt) in memory; `name` is for messages.
mlir::OwningOpRef<mlir::ModuleOp> importOnnxText(llvm::StringRef text, llvm::StringRef name,
                                                 mlir::MLIRContext &context,
                                                 const ImportOptions &options = {});

enum class ModelFormat { Mlir, Onnx, OnnxText };

/// A model's bytes (mapped where possible) and what they are.
struct ModelFile {
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  ModelFormat format;
};

/// Opens a model; "-" is stdin. The extension says the format (.onnx, .onnxtxt, .mlir, .mlirbc),
/// for other names and stdin the content does.
mlir::FailureOr<ModelFile> openModel(llvm::StringRef path, mlir::MLIRContext &context);

/// Opens and imports or parses a model of any format. `path` is the one given to `openModel`.
mlir::OwningOpRef<mlir::ModuleOp> loadModel(llvm::StringRef path, mlir::MLIRContext &context,
                                            const ImportOptions &options = {});
mlir::OwningOpRef<mlir::ModuleOp> loadModel(ModelFile file, llvm::StringRef path,
                                            mlir::MLIRContext &context,
                                            const ImportOptions &options = {});

/// Fails with one error that lists every operator that is `onnx.Custom` in the module: domain,
/// opset, number of nodes, and a note at the first of them.
mlir::LogicalResult reportUnsupportedOps(mlir::ModuleOp module);

} // namespace sq

#endif
