/// Linear layers that read one value, as one product.
#ifndef SQ_CODEGEN_CUDA_JOINEDPRODUCTS_H
#define SQ_CODEGEN_CUDA_JOINEDPRODUCTS_H

#include "mlir/IR/Operation.h"

#include "codegen/common/KernelWork.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq::cuda {

/// Products by weights that lie one behind the other, as queries, keys and
/// values do: one launch instead of several, and more tiles in it.
class JoinedProducts {
public:
  /// Finds them among the ops of `root`, nothing but allocations and views
  /// between.
  explicit JoinedProducts(mlir::Operation *root);

  /// Whether `op` is done together with a later one.
  bool isDoneLater(mlir::Operation *op) const { return later.contains(op); }
  /// `op` and those that are done together with it, in order.
  llvm::SmallVector<PackedMatmulOp> groupOf(PackedMatmulOp op) const;
  /// What all of `group` do; x is read once.
  static OpWork workOf(llvm::ArrayRef<PackedMatmulOp> group,
                       SymbolicSizes &sizes);

private:
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<PackedMatmulOp>>
      groups; // by the last
  llvm::DenseSet<mlir::Operation *> later;
};

} // namespace sq::cuda

#endif
