/// Results of @main that a pass adds under names of their own.
#ifndef SQ_PASSES_ANALYSIS_NAMEDRESULTS_H
#define SQ_PASSES_ANALYSIS_NAMEDRESULTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"

namespace sq {

class NamedResults {
public:
  /// `nameAttribute`: under which a result's attributes have its name ("onnx.name", "sq.name").
  NamedResults(mlir::func::FuncOp main, llvm::StringRef nameAttribute);

  /// Adds `value` unless there is a result called `name`; `attributes` are those beside the name.
  void add(const std::string &name, mlir::Value value, llvm::ArrayRef<mlir::NamedAttribute> attributes);
  /// Gives the function the results it had and those added.
  void finish();

private:
  mlir::func::FuncOp main;
  std::string nameAttribute;
  llvm::SmallVector<mlir::Value> results;
  llvm::SmallVector<mlir::Attribute> attributes;
  llvm::StringSet<> taken;
};

} // namespace sq

#endif
