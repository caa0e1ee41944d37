/// What vector-Jacobian products are built of.
#ifndef SQ_PASSES_DIFFERENTIATE_TENSORS_H
#define SQ_PASSES_DIFFERENTIATE_TENSORS_H

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Pointwise.h"

namespace sq {

/// The dims from `begin` to before `end`, as one group of a reshape.
inline mlir::ReassociationIndices dimRange(int64_t begin, int64_t end) {
  auto dims = llvm::seq<int64_t>(begin, end);
  return mlir::ReassociationIndices(dims.begin(), dims.end());
}

/// Arithmetic of a body on floats of one type.
struct ScalarMath {
  mlir::ImplicitLocOpBuilder &b;
  mlir::Type type;

  mlir::Value number(double x);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y);
  mlir::Value neg(mlir::Value x);
};

/// Tensors of floats, at `b`. Every result is of the element type of what it is
/// made of.
struct Tensors {
  mlir::ImplicitLocOpBuilder &b;
  using Sizes = llvm::ArrayRef<mlir::OpFoldResult>;
  using ScalarBody =
      llvm::function_ref<mlir::Value(ScalarMath &, mlir::ValueRange)>;

  static mlir::RankedTensorType typeOf(mlir::Value v) {
    return llvm::cast<mlir::RankedTensorType>(v.getType());
  }
  static bool isFloat(mlir::Value v) {
    return llvm::isa<mlir::FloatType>(mlir::getElementTypeOrSelf(v.getType()));
  }
  static int64_t rankOf(mlir::Value v) { return typeOf(v).getRank(); }
  llvm::SmallVector<mlir::OpFoldResult> sizes(mlir::Value v);
  mlir::Value empty(Sizes sizes, mlir::Type element);
  mlir::Value emptyLike(mlir::Value v);
  mlir::Value filled(double x, Sizes sizes, mlir::Type element);
  mlir::Value zerosLike(mlir::Value v);
  /// `v` with the static sizes that `like` has.
  mlir::Value castTo(mlir::Value v, mlir::Type type);

  /// Elementwise on tensors of one shape, and of rows: those of less rank than
  /// the first lack its last dims, vectors
  /// (`columns`) all but the last.
  mlir::Value map(llvm::ArrayRef<mlir::Value> tensors, ScalarBody body,
                  llvm::ArrayRef<mlir::Value> columns = {});
  mlir::Value add(mlir::Value x, mlir::Value y);
  /// The sum over the last dim of `body`, of tensors and columns as `map` takes
  /// them.
  mlir::Value sumRows(llvm::ArrayRef<mlir::Value> tensors, ScalarBody body,
                      llvm::ArrayRef<mlir::Value> columns = {});
  /// The sum over all dims but the last: [.., n] to [n].
  mlir::Value sumColumns(llvm::ArrayRef<mlir::Value> tensors, ScalarBody body);
  /// Sums over the dims of `v` that are statically 1 in `type`, of equal rank.
  mlir::Value sumTo(mlir::Value v, mlir::RankedTensorType type);
  /// The extent of dim `d` as a float.
  mlir::Value extent(mlir::Value v, int64_t d);

  mlir::Value transpose(mlir::Value v, llvm::ArrayRef<int64_t> permutation);
  /// The last two dims exchanged.
  mlir::Value transposeLast(mlir::Value v);
  /// `sq.matmul` of two tensors of one rank; leading dims are those of `a`.
  mlir::Value matmul(mlir::Value a, mlir::Value b);
  mlir::Value collapse(mlir::Value v,
                       llvm::ArrayRef<mlir::ReassociationIndices> groups);
  mlir::Value expand(mlir::Value v,
                     llvm::ArrayRef<mlir::ReassociationIndices> groups,
                     Sizes to);
  /// [.., n] as [rows, n].
  mlir::Value rows(mlir::Value v);
};

} // namespace sq

#endif
