/// What a loop reduces by, as its derivative needs it.
#ifndef SQ_PASSES_DIFFERENTIATE_REDUCTIONS_H
#define SQ_PASSES_DIFFERENTIATE_REDUCTIONS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

#include "passes/Pointwise.h"

namespace sq {

/// One result of a linalg op with reduction loops, acc' = f(acc, value(point)):
/// - Sum: acc + value, or acc where a condition has it so;
/// - Choice: value or acc. Either a maximum or minimum, of equal ones the
/// first,
///   as PyTorch's max along a dim and max_pool have it; or by a condition
///   (MaxPool, TopK), of the points where it holds the last;
/// - Product: acc * value.
///
/// The derivative of the result by `value` at a point is 1, whether the point
/// is the chosen one, or the product of all others.
class Reduced {
public:
  /// Fails with a note in `why` for anything else, also where the value depends
  /// on what was accumulated.
  static llvm::FailureOr<Reduced> of(mlir::linalg::LinalgOp op, unsigned result,
                                     std::string &why);

  /// The terminator's operand of a loop without reduction, or one that only its
  /// own operands are read of.
  static Reduced plain(mlir::linalg::LinalgOp op, unsigned result);

  /// Builds what a loop over the points reads beside operands and cotangents.
  void prepare(mlir::ImplicitLocOpBuilder &b);
  llvm::ArrayRef<Input> inputs() const { return read; }

  /// In a loop over the points of the op: the adjoint of `value()`, of the
  /// result's cotangent there. `copies` has the body's values, `args` are
  /// elements of `inputs()`.
  mlir::Value adjoint(mlir::ImplicitLocOpBuilder &b, mlir::Value cotangent,
                      const mlir::IRMapping &copies,
                      mlir::ValueRange args) const;
  mlir::Value value() const { return added; }

  /// The cotangent of what the reduction started from; null: there is no rule.
  mlir::Value ofStart(mlir::ImplicitLocOpBuilder &b,
                      mlir::Value cotangent) const;

private:
  enum Kind { Sum, Choice, Product };

  Reduced(mlir::linalg::LinalgOp op, unsigned result, Kind kind,
          mlir::Value added)
      : op(op), result(result), kind(kind), added(added) {}

  void prepareChoice(mlir::ImplicitLocOpBuilder &b);
  void prepareProduct(mlir::ImplicitLocOpBuilder &b);
  mlir::Value number(mlir::ImplicitLocOpBuilder &b) const;

  mutable mlir::linalg::LinalgOp op;
  unsigned result;
  Kind kind;
  mlir::Value added;
  llvm::SmallVector<Input> read;
  llvm::SmallVector<std::pair<unsigned, mlir::Value>>
      loops; // reduced, with sizes
};

} // namespace sq

#endif
