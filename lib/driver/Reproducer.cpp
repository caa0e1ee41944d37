#include "lib/driver/Reproducer.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ToolOutputFile.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"

#include "lib/importer/Importer.h"
#include "lib/init/InitSq.h"

using namespace mlir;

static constexpr int64_t kLargestWeight = 4096; // bytes

bool sq::writeReproducer(const std::string &model, const std::string &pipeline, const std::string &path) {
  if (model == "-")
    return false;
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) { return success(); });
  OwningOpRef<ModuleOp> module = loadModel(model, context);
  if (!module)
    return false;

  std::error_code error;
  llvm::ToolOutputFile file(path, error, llvm::sys::fs::OF_None);
  if (error)
    return false;
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(kLargestWeight / sizeof(float))
      .elideLargeResourceString(2 * kLargestWeight) // as hexadecimal digits
      .enableDebugInfo();
  AsmState state(*module, flags);
  state.attachResourcePrinter("mlir_reproducer", [&](Operation *, AsmResourceBuilder &builder) {
    builder.buildString("pipeline", pipeline);
    builder.buildBool("disable_threading", true);
    builder.buildBool("verify_each", true);
  });
  module->getOperation()->print(file.os(), state);
  file.os().flush();
  if (file.os().has_error()) {
    file.os().clear_error();
    return false;
  }
  file.keep();
  return true;
}
