#include "mlir/Tools/mlir-opt/MlirOptMain.h"

#include "lib/init/InitSq.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  sq::registerDialects(registry);
  sq::registerPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "sq-opt: runs sq's passes\n", registry));
}
