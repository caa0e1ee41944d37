/// The epilogue of a packed product, tile by tile, for any lowering of the
/// product itself.
#ifndef SQ_CODEGEN_HOST_EPILOGUE_H
#define SQ_CODEGEN_HOST_EPILOGUE_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "codegen/host/HostTarget.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {

struct EpilogueEmitter {
  PackedMatmulOp op;
  const TiledTarget &target;
  mlir::VectorType vectorType;             // f32, or i32 for sums of bytes
  mlir::Value out;                         // [rows, n]
  llvm::SmallVector<mlir::Value> extras;   // [], [n], [rows, n] or [rows, 1]

  /// Flattens the leading dims of `outs` and extras, copying strided extras.
  EpilogueEmitter(mlir::ImplicitLocOpBuilder &b, PackedMatmulOp op, const TiledTarget &target);

  /// At most `most` operations, none of them transcendental or on 64-bit integers: done on sums in
  /// registers. Otherwise one copy of the code for each column vector keeps it short.
  bool isCheap(size_t most = 4);

  /// epilogue(sum, extras...) for the vector at row, column n, of which the
  /// first `lanes` exist.
  mlir::Value apply(mlir::ImplicitLocOpBuilder &b, mlir::Value sum, mlir::Value row, mlir::Value n,
                    int64_t lanes);
  struct Place {
    mlir::Value row, n;
    int64_t lanes;
  };
  /// The same of several vectors, operation by operation: a long chain of operations on one vector leaves ports idle
  /// that the next one is too far away to use.
  llvm::SmallVector<mlir::Value> apply(mlir::ImplicitLocOpBuilder &b, mlir::ValueRange sums, llvm::ArrayRef<Place> places);

  /// A vector of elements of `memref`, of which the first `lanes` exist.
  mlir::Value load(mlir::ImplicitLocOpBuilder &b, mlir::Value memref, mlir::ValueRange at, int64_t lanes);
  void store(mlir::ImplicitLocOpBuilder &b, mlir::Value value, mlir::Value memref, mlir::ValueRange at,
             int64_t lanes);
  /// Lanes of the vector at column `first` of `width` that exist.
  int64_t validLanes(int64_t width, int64_t first) const {
    return std::min<int64_t>(target.lanes, width - first);
  }

private:
  mlir::Value loadExtra(mlir::ImplicitLocOpBuilder &b, mlir::Value extra, const Place &place);
  mlir::Value laneMask(mlir::ImplicitLocOpBuilder &b, int64_t lanes);
};

} // namespace sq

#endif
