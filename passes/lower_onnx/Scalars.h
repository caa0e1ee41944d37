/// Scalar code that folds while it is written.
///
/// Shape arithmetic of an ONNX graph is arithmetic on small integer tensors. It
/// is done here element by element on SSA scalars, so that what is static
/// becomes a constant and equal dimensions become the *same* SSA value.
#ifndef SQ_PASSES_LOWER_ONNX_SCALARS_H
#define SQ_PASSES_LOWER_ONNX_SCALARS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/DenseSet.h"

#include <cstdint>
#include <optional>

namespace sq {

/// Closed interval of the values that an integer scalar can have.
struct Interval {
  int64_t min = INT64_MIN, max = INT64_MAX;
  bool isPoint() const { return min == max; }
};

/// Operations are equal when all but their location is.
struct SameOperation : llvm::DenseMapInfo<mlir::Operation *> {
  static unsigned getHashValue(const mlir::Operation *op);
  static bool isEqual(const mlir::Operation *a, const mlir::Operation *b);
};

/// What is known about scalars of the function under construction: the pure
/// scalar operations that exist already, and the ranges of symbolic dims.
struct ScalarFacts {
  llvm::DenseSet<mlir::Operation *, SameOperation> operations;
  /// Ranges of symbolic dims and of the results of `operations`, derived when these
  /// were made: nothing here recurses, however long the shape arithmetic of a model.
  llvm::DenseMap<mlir::Value, Interval> ranges;

  /// The range of an integer or index scalar, as far as its definition tells.
  Interval interval(mlir::Value scalar) const;
  /// That of the result of an operation, from those of its operands. Arithmetic is
  /// taken not to overflow: these are sizes of tensors.
  Interval derive(mlir::Operation *op) const;
};

/// A builder of scalar code at one insertion point. With `facts` it builds code
/// of the function itself: equal operations are shared and comparisons decided
/// by ranges. Without, it builds the body of a `linalg` op.
class Scalars {
public:
  Scalars(mlir::OpBuilder &builder, mlir::Location loc, ScalarFacts *facts)
      : builder(builder), loc(loc), facts(facts) {}

  /// Creates `Op` (one result, pure), folds it, shares it.
  template <typename Op, typename... Args>
  mlir::Value make(Args &&...args) {
    return share(builder.createOrFold<Op>(loc, std::forward<Args>(args)...));
  }

  /// A constant of a signless integer, index or float type.
  mlir::Value integer(mlir::Type type, int64_t value);
  mlir::Value number(mlir::Type type, double value);
  mlir::Value constant(mlir::TypedAttr value);
  mlir::Value boolean(bool value) { return integer(builder.getI1Type(), value); }

  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value a, mlir::Value b);
  mlir::Value compare(mlir::arith::CmpFPredicate predicate, mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  /// Signed integers; decided by ranges where these suffice.
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value max(mlir::Value a, mlir::Value b);
  /// Wrapping integer arithmetic with the usual neutral elements.
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  /// Truncating quotient. Divisors 0 and -1 do not trap: x / 0 = 0, x / -1 = -x.
  mlir::Value divide(mlir::Value a, mlir::Value b, bool isUnsigned = false);
  /// The remainder of `divide`, with the sign of the dividend; x rem 0 = 0.
  mlir::Value remainder(mlir::Value a, mlir::Value b, bool isUnsigned = false);
  /// i64 <-> index; a round trip gives the value back.
  mlir::Value toI64(mlir::Value index);
  mlir::Value toIndex(mlir::Value integer);

  /// A scalar of the function for use here: in a body, constants are made anew.
  mlir::Value bring(mlir::Value scalar);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  ScalarFacts *facts;

private:
  mlir::Value share(mlir::Value value);
};

/// The attribute of a constant scalar, or null.
mlir::TypedAttr constantOf(mlir::Value scalar);
/// The value of a constant integer or index scalar.
std::optional<int64_t> constantInteger(mlir::Value scalar);

} // namespace sq

#endif
