/// 64-bit integers in vectors, as the halves of pairs of lanes.
#ifndef SQ_CODEGEN_COMMON_VECTORINTEGERS_H
#define SQ_CODEGEN_COMMON_VECTORINTEGERS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

#include "dialects/sq/IR/SqOps.h"

namespace sq {

/// What vectors of 32-bit integers are in the middle of computing in 64 bits is
/// computed for the even lanes and for the odd ones: `trunc((sext(x) * sext(m)
/// + half) >> e)` of 16 lanes takes two products of 8 lanes, which read the
/// lower half of each 64 bits. Lanes 0 to 7 and 8 to 15 would have to be spread
/// and gathered again, on one port.
///
/// Also writes out what is left of `sq.parabola`.
void populateVectorIntegerPatterns(mlir::RewritePatternSet &patterns);

/// The lower halves of pairs of 32-bit lanes, or the upper ones (`odd`), in 64
/// bits. LLVM makes 32-bit multiplications of products of these.
mlir::Value halfLanes(mlir::ImplicitLocOpBuilder &b, mlir::Value v, bool odd,
                      bool isSigned);
/// The lower 32 bits of both, in pairs of lanes.
mlir::Value joinHalves(mlir::ImplicitLocOpBuilder &b, mlir::Value even,
                       mlir::Value odd);

/// `op` of `x`, a number or a vector. The constants of vectors of 16 (AVX-512)
/// and 8 (AVX2) are looked up in registers, others are selected bit by bit.
mlir::Value emitParabola(mlir::ImplicitLocOpBuilder &b, ParabolaOp op,
                         mlir::Value x);

} // namespace sq

#endif
