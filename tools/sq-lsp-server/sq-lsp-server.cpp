// Language server for .mlir files with sq's dialects: diagnostics, hover,
// definitions. Editors start it themselves and talk to it over stdin and stdout.
#include "llvm/Support/LogicalResult.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

#include "lib/init/InitSq.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  sq::registerDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
