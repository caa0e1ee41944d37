#include "test/fuzz/CheckModel.h"

#include "lib/importer/Importer.h"
#include "passes/Pipelines.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;

std::string sq::test::checkModel(StringRef bytes, const DialectRegistry &registry,
                                 std::string *error) {
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  std::string first;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && first.empty())
      first = diagnostic.str();
  });
  auto refused = [&](const char *by) {
    if (error)
      *error = first;
    return first.empty() ? std::string(by) + " refused it without an error" : "";
  };
  OwningOpRef<ModuleOp> module = importOnnxBytes(bytes, "fuzz", context);
  if (!module)
    return refused("the importer");
  if (failed(verify(*module)))
    return "what the importer made does not verify: " + first;
  // Verified here, to tell what a pass refuses from what it broke.
  PassManager passes(&context);
  passes.enableVerifier(false);
  buildOnnxToGraph(passes);
  if (failed(passes.run(*module)))
    return refused("a pass");
  if (failed(verify(*module)))
    return "what sq-onnx-to-graph made does not verify: " + first;
  return "";
}
