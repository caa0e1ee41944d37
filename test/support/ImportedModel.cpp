#include "test/support/ImportedModel.h"

#include "lib/importer/Importer.h"
#include "lib/init/InitSq.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

llvm::Expected<sq::test::ImportedModel>
sq::test::ImportedModel::import(const std::string &path) {
  DialectRegistry registry;
  registerDialects(registry);
  ImportedModel model;
  model.context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  std::string messages;
  ScopedDiagnosticHandler handler(model.context.get(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      messages += (messages.empty() ? "" : "\n") + diagnostic.str();
    return success();
  });
  model.owner = loadModel(path, *model.context);
  if (!model.owner)
    return llvm::createStringError(messages.empty() ? "cannot import " + path : messages);
  return model;
}
