#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

#include "lib/importer/Importer.h"
#include "lib/importer/Messages.h"

using namespace mlir;

namespace sq {
namespace {

std::optional<ModelFormat> formatOfName(StringRef path) {
  StringRef extension = llvm::sys::path::extension(path);
  if (extension == ".onnx")
    return ModelFormat::Onnx;
  if (extension == ".onnxtxt")
    return ModelFormat::OnnxText;
  if (extension == ".mlir" || extension == ".mlirbc")
    return ModelFormat::Mlir;
  return std::nullopt;
}

/// Text has no control characters, a protobuf model has them in its first bytes (field tags and
/// lengths). Of the two texts only ONNX's begins with '<'.
ModelFormat formatOfContent(StringRef bytes) {
  if (bytes.starts_with("ML\xefR"))
    return ModelFormat::Mlir;
  constexpr size_t kSample = 4096;
  for (unsigned char c : bytes.take_front(kSample))
    if (c == 0x7f || (c < 0x20 && c != '\n' && c != '\r' && c != '\t'))
      return ModelFormat::Onnx;
  StringRef rest = bytes.ltrim();
  while (rest.starts_with("#")) // a comment in ONNX text, an alias in MLIR: both end with the line
    rest = rest.drop_until([](char c) { return c == '\n'; }).ltrim();
  return rest.starts_with("<") ? ModelFormat::OnnxText : ModelFormat::Mlir;
}

} // namespace

FailureOr<ModelFile> openModel(StringRef path, MLIRContext &context) {
  std::optional<ModelFormat> format = path == "-" ? std::nullopt : formatOfName(path);
  // MLIR's parser wants a zero behind the text, which can cost a copy; ONNX needs none.
  bool needsZero = format != ModelFormat::Onnx;
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer =
      path == "-" ? llvm::MemoryBuffer::getSTDIN()
                  : llvm::MemoryBuffer::getFile(path, /*IsText=*/false, needsZero);
  if (std::error_code error = buffer.getError())
    return emitError(UnknownLoc::get(&context))
           << "cannot read " << importer::quoted(path) << ": " << error.message();
  if (!format)
    format = formatOfContent((*buffer)->getBuffer());
  return ModelFile{std::move(*buffer), *format};
}

OwningOpRef<ModuleOp> loadModel(StringRef path, MLIRContext &context,
                                const ImportOptions &options) {
  FailureOr<ModelFile> file = openModel(path, context);
  return failed(file) ? nullptr : loadModel(std::move(*file), path, context, options);
}

OwningOpRef<ModuleOp> loadModel(ModelFile file, StringRef path, MLIRContext &context,
                                const ImportOptions &options) {
  StringRef name = path == "-" ? "<stdin>" : path;
  if (file.format == ModelFormat::Mlir) {
    auto sources = std::make_shared<llvm::SourceMgr>();
    sources->AddNewSourceBuffer(std::move(file.buffer), SMLoc());
    // Shared: bytecode resources may refer to the buffer.
    return parseSourceFile<ModuleOp>(sources, ParserConfig(&context));
  }
  ImportOptions resolved = options;
  if (!resolved.externalDataDirectory) {
    StringRef directory = path == "-" ? "" : llvm::sys::path::parent_path(path);
    resolved.externalDataDirectory = directory.empty() ? "." : directory.str();
  }
  StringRef bytes = file.buffer->getBuffer();
  return file.format == ModelFormat::Onnx ? importOnnxBytes(bytes, name, context, resolved)
                                          : importOnnxText(bytes, name, context, resolved);
}

} // namespace sq
