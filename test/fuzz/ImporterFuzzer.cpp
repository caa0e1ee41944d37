// Any bytes as an ONNX model, binary or text: the importer refuses them with a diagnostic or makes
// a module that verifies and prints. Built twice: with libFuzzer (SQ_FUZZ, see README.md), and as
// a unit test that replays the corpus.

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

#include "lib/importer/Importer.h"

#include <cstdlib>
#include <fstream>
#include <string>

namespace {

/// A folder with one small file `w.bin`, so that external data can be found.
const std::string &dataDirectory() {
  static const std::string directory = [] {
    char name[] = "/tmp/sq-fuzz-XXXXXX";
    if (!mkdtemp(name))
      abort();
    std::ofstream(std::string(name) + "/w.bin") << std::string(4096, '\1');
    static std::string cleanup = name;
    atexit([] {
      remove((cleanup + "/w.bin").c_str());
      remove(cleanup.c_str());
    });
    return std::string(name);
  }();
  return directory;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  unsigned errors = 0;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    stream << diagnostic;
    ++errors;
  });
  sq::ImportOptions options;
  options.externalDataDirectory = dataDirectory();
  llvm::StringRef bytes(reinterpret_cast<const char *>(data), size);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      bytes.starts_with("<") ? sq::importOnnxText(bytes, "fuzz", context, options)
                             : sq::importOnnxBytes(bytes, "fuzz", context, options);
  if (!module) {
    if (!errors) // refused without a word
      abort();
    return 0;
  }
  if (mlir::failed(mlir::verify(*module)))
    abort();
  mlir::OpPrintingFlags flags;
  flags.enableDebugInfo().elideLargeElementsAttrs(64).elideLargeResourceString(64);
  llvm::raw_null_ostream null;
  module->print(null, flags);
  (void)sq::reportUnsupportedOps(*module);
  return 0;
}
