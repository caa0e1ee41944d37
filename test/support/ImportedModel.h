/// A model in the importer's IR, with the context that owns it.
#ifndef SQ_TEST_SUPPORT_IMPORTEDMODEL_H
#define SQ_TEST_SUPPORT_IMPORTEDMODEL_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace sq::test {

class ImportedModel {
public:
  /// Fails with the importer's diagnostics, one a line.
  static llvm::Expected<ImportedModel> import(const std::string &path);

  mlir::ModuleOp module() const { return *owner; }

private:
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> owner;
};

} // namespace sq::test

#endif
