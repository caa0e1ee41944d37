/// Elementary functions for targets without libm.
#ifndef SQ_CODEGEN_COMMON_DOUBLEMATH_H
#define SQ_CODEGEN_COMMON_DOUBLEMATH_H

#include "mlir/IR/PatternMatch.h"

namespace sq {

/// f64 exp, log and what follows from them (exp2, expm1, log2, log10, log1p,
/// tanh), within a few ULP; powf of f32 and f64 through them, and tan of f32 as
/// sin / cos; arith.remf exactly, which LLVM would only approximate. Scalars only. `hasDoubleMath` says what is covered.
void populateDoubleMathPatterns(mlir::RewritePatternSet &patterns);

/// Whether a math op can be written out, or is an instruction, without libm.
bool hasDoubleMath(mlir::Operation *op);

} // namespace sq

#endif
