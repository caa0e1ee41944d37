/// Elementwise functions of f32 as loops, for tests and benchmarks of their
/// lowering.
#ifndef SQ_TEST_SUPPORT_MATHKERNELS_H
#define SQ_TEST_SUPPORT_MATHKERNELS_H

#include "test/support/JitCode.h"

namespace sq::test {

struct MathFunction {
  const char *name;
  const char *body; // MLIR: $r from $x, of type $T; a constant is $c(1.0)
  double (*reference)(double);
  const char *flags = ""; // $flags in `body`
};

/// exp, exp2, log, tanh, erf, rsqrt, sigmoid, silu, gelu, gelu_tanh (and
/// the last two where approximate functions are allowed: _rough) as
/// the importer writes them, and others that sq leaves to MLIR.
llvm::ArrayRef<MathFunction> mathFunctions();
const MathFunction &mathFunction(llvm::StringRef name);

/// out[i] = f(in[i]) for i < n.
using MathKernel = void(const float *in, float *out, int64_t n);

/// `lanes` 0: a scalar loop, which LLVM vectorises, as elementwise kernels are;
/// else vectors of so many, which n must be a multiple of. Its entry is "f".
/// `lowerMath` adds the passes that take the math apart.
llvm::Expected<JitCode>
compileMath(const MathFunction &function, llvm::StringRef level, int lanes,
            llvm::function_ref<void(mlir::OpPassManager &)> lowerMath);

} // namespace sq::test

#endif
