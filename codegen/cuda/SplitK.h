/// Products whose depth is shared among blocks.
#ifndef SQ_CODEGEN_CUDA_SPLITK_H
#define SQ_CODEGEN_CUDA_SPLITK_H

#include <functional>

#include "codegen/cuda/Kernels.h"

namespace sq::cuda {

/// What is done with the sum (f32) of row m and column n, or with a vector of
/// sums from there, when n is a multiple of its length and so is N.
using StoreSum = std::function<void(mlir::ImplicitLocOpBuilder &, mlir::Value m, mlir::Value n, mlir::Value sum)>;

/// k in `parts` of `perPart`: for products that have too few tiles to fill a
/// device. With more than one part, sums go to `partial`, tile by tile, and a
/// second launch adds them, part after part, so that results do not depend on
/// timing.
struct SplitK {
  mlir::Value parts;    // at least 1
  mlir::Value perPart;  // a multiple of kStep
  mlir::Value partial;  // [blocks, kTile, kTile]; null when there can only be one part
  mlir::Value rowTiles;
  int64_t panels;

  static constexpr int64_t kStep = 32; // a multiple of the steps of all products
  static constexpr int64_t kTile = 64; // rows and columns of a block

  SplitK(mlir::ImplicitLocOpBuilder &b, mlir::Value rowTiles, int64_t panels, int64_t depth);

  /// [begin, end) of k in part `part`.
  std::pair<mlir::Value, mlir::Value> range(mlir::ImplicitLocOpBuilder &b, mlir::Value part, mlir::Value depth) const;
  /// The place in `partial` of row m and column n.
  llvm::SmallVector<mlir::Value> place(mlir::ImplicitLocOpBuilder &b, mlir::Value part, mlir::Value m, mlir::Value n) const;
  /// `store`, or into `partial`.
  StoreSum storeOf(mlir::Value part, StoreSum store) const;
  /// The second launch, if there are several parts.
  void join(mlir::ImplicitLocOpBuilder &b, mlir::Value rows, mlir::Value columns, const StoreSum &store) const;
};

/// The launch that adds parts, which `load` gives.
void launchSum(mlir::ImplicitLocOpBuilder &b, mlir::Value parts, mlir::Value rows, mlir::Value columns,
               llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::Value part, mlir::Value m, mlir::Value n)> load,
               const StoreSum &store);

} // namespace sq::cuda

#endif
