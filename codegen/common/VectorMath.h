/// Elementary functions of f32 as arithmetic, on scalars and on vectors.
#ifndef SQ_CODEGEN_COMMON_VECTORMATH_H
#define SQ_CODEGEN_COMMON_VECTORMATH_H

#include "mlir/IR/PatternMatch.h"

namespace sq {

/// Activations written out in arith and math, as one function each: GELU by
/// erf, GELU by tanh, x * sigmoid(x). To be applied before
/// populateVectorMathPatterns, which takes their erf, tanh and exp apart.
void populateVectorActivationPatterns(mlir::RewritePatternSet &patterns);

/// math.exp, exp2, log, tanh and erf. Branch-free, of operations that LLVM
/// vectorises; the same bits for the same element wherever it stands, on every
/// CPU. Their errors are in the description of `--sq-lower-math`, and
/// test/unit/codegen/VectorMathTest.cpp measures them.
void populateVectorMathPatterns(mlir::RewritePatternSet &patterns);

} // namespace sq

#endif
