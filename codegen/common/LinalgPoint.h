/// What one point of a linalg op's iteration space computes, for emitters that
/// share the points among threads.
#ifndef SQ_CODEGEN_COMMON_LINALGPOINT_H
#define SQ_CODEGEN_COMMON_LINALGPOINT_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include "codegen/common/KernelHelpers.h"

namespace sq {

struct LinalgPoint {
  mlir::linalg::LinalgOp op;
  llvm::SmallVector<mlir::Value> operands; // memrefs or scalars, flattened when `flat`
  bool flat = false;                       // every access is the identity: one loop over all elements
  llvm::SmallVector<mlir::Value> sizes;    // extent of each loop
  llvm::SmallVector<unsigned> parallel, reduction;

  /// The results at `ivs`, of which the parallel ones are set; reductions are loops here.
  void element(mlir::ImplicitLocOpBuilder &b, llvm::SmallVector<mlir::Value> &ivs);

private:
  llvm::SmallVector<mlir::Value> indicesOf(mlir::ImplicitLocOpBuilder &b, mlir::OpOperand &operand, mlir::ValueRange ivs);
  mlir::Value load(mlir::ImplicitLocOpBuilder &b, mlir::OpOperand &operand, mlir::ValueRange ivs);
  /// The body; `acc` holds the outs in a reduction, none for running ones.
  llvm::SmallVector<mlir::Value> point(mlir::ImplicitLocOpBuilder &b, mlir::ValueRange ivs, llvm::ArrayRef<mlir::Value> acc);
  void store(mlir::ImplicitLocOpBuilder &b, unsigned out, mlir::Value value, mlir::ValueRange ivs);
  /// An out that moves along a reduction dim: what a running sum was at each step. It
  /// is stored in the loop, the others behind it.
  bool isRunning(unsigned out);
  /// The reduction dims from `depth` on; returns the accumulators.
  llvm::SmallVector<mlir::Value> reduce(mlir::ImplicitLocOpBuilder &b, llvm::SmallVector<mlir::Value> &ivs,
                                        unsigned depth, mlir::ValueRange acc);
};

/// A linalg op without operands, whose result was not used: what is left of it
/// is a check, which moves into the schedule.
void moveToSchedule(mlir::RewriterBase &rewriter, mlir::linalg::LinalgOp op);

} // namespace sq

#endif
