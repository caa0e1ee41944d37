#include "lib/driver/TemporaryArtifact.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Signals.h"

using namespace sq;

bool sq::isModelName(const std::string &path) {
  llvm::StringRef extension = llvm::sys::path::extension(path);
  return extension == ".onnx" || extension == ".onnxtxt" || extension == ".mlir" || extension == ".mlirbc";
}

TemporaryArtifact::~TemporaryArtifact() {
  if (file.empty())
    return;
  llvm::sys::fs::remove(file);
  llvm::sys::DontRemoveFileOnSignal(file);
}

CompileResult TemporaryArtifact::compile(const std::string &model, CompileOptions options) {
  llvm::SmallString<128> name;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("sq", "so", name)) {
    CompileResult result;
    result.code = ExitCode::Lacking;
    result.message = "cannot make a temporary file: " + error.message() + "; set TMPDIR to a writable directory";
    return result;
  }
  file = name.str().str();
  llvm::sys::RemoveFileOnSignal(file);
  options.output = file;
  return compileFile(model, options);
}
