// Time of one element of each elementary function, in L1: sq's lowering,
// MLIR's, and glibc's vector library. Best of rounds taken in turn, so that a
// change of the clock meets all of them.
//
//   ninja -C build sq-bench-math && build/bin/sq-bench-math

#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "codegen/host/Passes.h"
#include "test/support/MathKernels.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <immintrin.h>

using namespace mlir;
using namespace sq;
using namespace sq::test;

namespace {

/// What sq did before: MLIR's approximations alone.
struct UpstreamMathPass
    : PassWrapper<UpstreamMathPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(UpstreamMathPass)
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<vector::VectorDialect>();
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(
        patterns, MathPolynomialApproximationOptions());
    math::populateExpansionPatterns(patterns, {"rsqrt"});
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

// glibc's names: d and e are AVX2 and AVX-512, with 8 and 16 lanes.
#define SQ_VECTOR_MATH(name)                                                   \
  extern "C"                                                                   \
      __attribute__((target("avx2"))) __m256 _ZGVdN8v_##name##f(__m256);       \
  extern "C"                                                                   \
      __attribute__((target("avx512f"))) __m512 _ZGVeN16v_##name##f(__m512);   \
  __attribute__((target("avx2"))) static void name##V3(                        \
      const float *in, float *out, int64_t n) {                                \
    for (int64_t i = 0; i < n; i += 8)                                         \
      _mm256_storeu_ps(out + i, _ZGVdN8v_##name##f(_mm256_loadu_ps(in + i)));  \
  }                                                                            \
  __attribute__((target("avx512f"))) static void name##V4(                     \
      const float *in, float *out, int64_t n) {                                \
    for (int64_t i = 0; i < n; i += 16)                                        \
      _mm512_storeu_ps(out + i, _ZGVeN16v_##name##f(_mm512_loadu_ps(in + i))); \
  }
SQ_VECTOR_MATH(exp)
SQ_VECTOR_MATH(exp2)
SQ_VECTOR_MATH(log)
SQ_VECTOR_MATH(tanh)
SQ_VECTOR_MATH(erf)

static const struct {
  const char *name;
  MathKernel *v3, *v4;
} kGlibc[] = {{"exp", expV3, expV4},
              {"exp2", exp2V3, exp2V4},
              {"log", logV3, logV4},
              {"tanh", tanhV3, tanhV4},
              {"erf", erfV3, erfV4}};

int main() {
  constexpr int64_t kCount = 2048, kRepeat = 200;
  constexpr int kRounds = 40;
  std::vector<float> in(kCount), out(kCount);
  // Both signs and the range where activations live; log and rsqrt get |x|.
  for (int64_t i = 0; i < kCount; ++i)
    in[i] = std::remainder(static_cast<float>(i) * 0.618034f * 12, 12.0f);
  std::printf("| ns per element | level | sq | MLIR | glibc | largest error of "
              "MLIR's |\n|---|---|---|---|---|---|\n");
  for (const MathFunction &function : mathFunctions())
    for (const std::string &level : runnableLevels()) {
      std::vector<float> x = in;
      bool positive = !std::strcmp(function.name, "log") ||
                      !std::strcmp(function.name, "rsqrt");
      bool unit = !std::strcmp(function.name, "asin") ||
                  !std::strcmp(function.name, "acos");
      for (float &v : x)
        v = positive ? std::fabs(v) + 0.01f : unit ? v / 6 : v;
      auto sq = compileMath(function, level, 0, [](OpPassManager &pm) {
        pm.nest<func::FuncOp>().addPass(createLowerMathPass());
      });
      auto mlir = compileMath(function, level, 0, [](OpPassManager &pm) {
        pm.nest<func::FuncOp>().addPass(std::make_unique<UpstreamMathPass>());
      });
      if (!sq || !mlir) {
        std::fprintf(stderr, "%s does not compile\n", function.name);
        return EXIT_FAILURE;
      }
      MathKernel *kernels[3] = {llvm::cantFail(sq->lookup<MathKernel>("f")),
                                llvm::cantFail(mlir->lookup<MathKernel>("f")),
                                nullptr};
      for (const auto &g : kGlibc)
        if (!std::strcmp(g.name, function.name))
          kernels[2] = level == "avx512" ? g.v4 : g.v3;
      double best[3] = {INFINITY, INFINITY, INFINITY};
      for (int round = 0; round < kRounds; ++round)
        for (int k = 0; k < 3; ++k) {
          if (!kernels[k])
            continue;
          auto start = std::chrono::steady_clock::now();
          for (int64_t r = 0; r < kRepeat; ++r)
            kernels[k](x.data(), out.data(), kCount);
          std::chrono::duration<double, std::nano> time =
              std::chrono::steady_clock::now() - start;
          best[k] = std::min(best[k], time.count() / (kRepeat * kCount));
        }
      // Of finite, normal results, in ULP.
      double worst = 0;
      std::vector<float> all(kCount), result(kCount);
      for (uint64_t bits = 0; bits < (uint64_t(1) << 32);
           bits += 997 * kCount) {
        for (int64_t i = 0; i < kCount; ++i) {
          uint32_t pattern = static_cast<uint32_t>(bits + 997 * i);
          std::memcpy(&all[i], &pattern, 4);
        }
        kernels[1](all.data(), result.data(), kCount);
        for (int64_t i = 0; i < kCount; ++i) {
          double expected = function.reference(all[i]);
          int exponent;
          std::frexp(expected, &exponent);
          if (std::isfinite(expected) && std::fabs(expected) >= 0x1p-125 &&
              std::fabs(expected) < 0x1p127)
            worst = std::fmax(worst, std::fabs(result[i] - expected) /
                                         std::ldexp(1, exponent - 24));
        }
      }
      std::printf("| %s | %s | %.3f | %.3f | ", function.name, level.c_str(),
                  best[0], best[1]);
      std::printf(kernels[2] ? "%.3f" : "-", best[2]);
      std::printf(" | %.3g |\n", worst);
      std::fflush(stdout);
    }
}
