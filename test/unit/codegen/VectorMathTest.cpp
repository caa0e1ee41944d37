/// The error of each elementary function, over all of float32 in steps, for
/// every CPU level that this machine has, against libm in float64. What it
/// prints is the table in the description of --sq-lower-math.
#include "test/support/MathKernels.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include <gtest/gtest.h>

#include "codegen/common/Passes.h"
#include "codegen/host/HostTarget.h"

#include <cmath>
#include <cstring>

using namespace sq;
using namespace sq::test;

namespace {

float fromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

uint32_t toBits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

struct Bound {
  double ulp;          // of the result, everywhere but:
  double zeroBelow;    // smaller results may be any smaller number, mostly 0
  double absolute = 0; // if not 0, instead of ulp: times max(1, |x|)
  bool agree = true;   // all levels, to the bit; otherwise each has the bound, and zeros any sign
};

struct Worst {
  double error = 0;
  float x = 0, actual = 0;
};

/// The error in the units of `bound`; infinite for a wrong NaN, infinity or
/// sign.
double errorOf(float x, float actual, double expected, const Bound &bound) {
  const double infinity = std::numeric_limits<double>::infinity();
  if (std::isnan(expected) || std::isnan(actual))
    return std::isnan(expected) == std::isnan(actual) ? 0 : infinity;
  if (expected == actual)
    return !bound.agree || std::signbit(expected) == std::signbit(actual) ? 0 : infinity;
  if (std::isinf(expected)) // infinite in float64
    return infinity;
  // One unit past the largest f32 counts as that, and as f32's infinity.
  double got = std::isinf(actual) ? std::copysign(0x1p128, actual) : actual;
  double limited = std::fabs(expected) > 0x1p128
                       ? std::copysign(0x1p128, expected)
                       : expected;
  if (std::fabs(expected) < bound.zeroBelow)
    return std::fabs(got) <= bound.zeroBelow ? 0 : infinity;
  double error = std::fabs(got - limited);
  if (bound.absolute)
    return error / std::fmax(1, std::fabs(x));
  int exponent;
  std::frexp(limited, &exponent);
  return error / std::ldexp(1, std::max(exponent, -125) - 24);
}

void lowerMath(mlir::OpPassManager &pm) {
  pm.nest<mlir::func::FuncOp>().addPass(createLowerMathPass());
}

class Sweep {
public:
  Sweep(const MathFunction &function, const Bound &bound)
      : function(function), bound(bound) {
    for (const std::string &level : runnableLevels())
      for (int lanes : {0, int(sq::findHostTarget(level)->lanes)}) {
        auto code = compileMath(function, level, lanes, lowerMath);
        if (!code) {
          ADD_FAILURE() << level << ": " << llvm::toString(code.takeError());
          continue;
        }
        kernels.push_back(llvm::cantFail(code->lookup<MathKernel>("f")));
        codes.push_back(std::move(*code));
      }
  }

  void run(uint32_t first, uint64_t count, uint32_t step) {
    constexpr uint64_t kChunk = 4096;
    std::vector<float> in(kChunk), out(kChunk), other(kChunk);
    for (uint64_t i = 0; i < count; i += kChunk) {
      for (uint64_t k = 0; k < kChunk; ++k)
        in[k] = fromBits(
            first + static_cast<uint32_t>(std::min(i + k, count - 1) * step));
      for (size_t v = 0; v < kernels.size(); ++v) {
        kernels[v](in.data(), v ? other.data() : out.data(), kChunk);
        // Levels and forms agree bit for bit, so one is compared with libm.
        for (uint64_t k = 0; v && bound.agree && k < kChunk; ++k)
          if (toBits(out[k]) != toBits(other[k]) &&
              !(std::isnan(out[k]) && std::isnan(other[k]))) {
            ADD_FAILURE() << function.name << "(" << in[k] << ") is " << out[k]
                          << " and " << other[k];
            return;
          }
        if (v && !bound.agree)
          measure(in, other);
      }
      measure(in, out);
    }
  }

  void measure(const std::vector<float> &in, const std::vector<float> &out) {
    for (size_t k = 0; k < in.size(); ++k) {
      double error = errorOf(in[k], out[k], function.reference(in[k]), bound);
      if (!(error <= worst.error))
        worst = {error, in[k], out[k]};
    }
  }

  Worst worst;

private:
  const MathFunction &function;
  Bound bound;
  std::vector<JitCode> codes;
  std::vector<MathKernel *> kernels;
};

void check(const char *name, Bound bound) {
  if (runnableLevels().empty())
    GTEST_SKIP() << "this CPU lacks AVX2 or FMA";
  const MathFunction &function = mathFunction(name);
  Sweep sweep(function, bound);
  if (testing::Test::HasFailure())
    return;
  constexpr uint32_t kStep = 97;
  sweep.run(0, (uint64_t(1) << 32) / kStep, kStep);
  // Every value around what is special to some function: zero, the ends of
  // range, where exp over- and underflows, where clamps begin, binades.
  constexpr uint32_t kAround = 1 << 14;
  for (float x : {0.0f, 0x1p-126f, 2 / 3.0f, 1.0f, 4 / 3.0f, 2.0f, 3.995f, 9.2f,
                  10.0f, 86.98955f, 87.3f, 88.722839f, 89.0f, 125.5f, 126.0f,
                  128.0f, std::numeric_limits<float>::infinity()})
    for (uint32_t sign : {0u, 0x80000000u})
      sweep.run(toBits(x) + sign - kAround, 2 * kAround, 1);
  const Worst &w = sweep.worst;
  char text[160];
  std::snprintf(text, sizeof text,
                "%-10s %.3g %s at %a (%g): got %a, expected %a", name, w.error,
                bound.absolute ? "max(1, |x|)" : "ULP", w.x, w.x, w.actual,
                function.reference(w.x));
  std::cout << text << std::endl;
  EXPECT_LE(w.error, bound.absolute ? bound.absolute : bound.ulp) << text;
}

TEST(VectorMath, Exp) { check("exp", {1, 0x1.6a09e8p-126}); }
TEST(VectorMath, Exp2) { check("exp2", {1, 0x1.6a09e8p-126}); }
TEST(VectorMath, Log) { check("log", {1, 0}); }
TEST(VectorMath, Tanh) { check("tanh", {6, 0}); }
TEST(VectorMath, Erf) { check("erf", {6, 0}); }
TEST(VectorMath, Rsqrt) { check("rsqrt", {1.5, 0}); }
TEST(VectorMath, Sigmoid) { check("sigmoid", {2.5, 0x1p-126}); }
TEST(VectorMath, Silu) { check("silu", {2.5, 3e-37}); }
TEST(VectorMath, Gelu) { check("gelu", {0, 0, 1e-7}); }
TEST(VectorMath, GeluByTanh) { check("gelu_tanh", {0, 0, 1.25e-7}); }
TEST(VectorMath, RoughGelu) { check("gelu_rough", {0, 0, 8e-5, /*agree=*/false}); }
TEST(VectorMath, RoughGeluByTanh) { check("gelu_tanh_rough", {0, 0, 8e-5, /*agree=*/false}); }

/// What a table of errors cannot say.
TEST(VectorMath, Exact) {
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::nanf("");
  struct {
    const char *name;
    float x, y;
  } cases[] = {
      {"exp", 0, 1},
      {"exp", -0.0f, 1},
      {"exp", -infinity, 0},
      {"exp", -100, 0},
      {"exp", infinity, infinity},
      {"exp", 1e30f, infinity},
      {"exp", -1e30f, 0},
      {"exp", nan, nan},
      {"exp", fromBits(0xffc12345), nan},
      {"exp2", 3, 8},
      {"exp2", -125, 0x1p-125f},
      {"exp2", 128, infinity},
      {"exp2", 127, 0x1p127f},
      {"exp2", -infinity, 0},
      {"log", 1, 0},
      {"log", 0, -infinity},
      {"log", -0.0f, -infinity},
      {"log", -1, nan},
      {"log", infinity, infinity},
      {"log", -infinity, nan},
      {"log", nan, nan},
      {"tanh", 20, 1},
      {"tanh", -infinity, -1},
      {"tanh", -0.0f, -0.0f},
      {"tanh", nan, nan},
      {"erf", 5, 1},
      {"erf", -infinity, -1},
      {"erf", -0.0f, -0.0f},
      {"erf", nan, nan},
      {"rsqrt", 4, 0.5},
      {"rsqrt", infinity, 0},
      {"rsqrt", 0, infinity},
      {"sigmoid", infinity, 1},
      {"sigmoid", -infinity, 0},
      {"sigmoid", 0, 0.5},
      {"gelu", infinity, infinity},
      {"gelu", 100, 100},
      {"gelu", nan, nan},
      {"gelu", -0.0f, -0.0f},
  };
  for (const std::string &level : runnableLevels())
    for (const auto &c : cases) {
      auto code = compileMath(mathFunction(c.name), level, 0, lowerMath);
      ASSERT_TRUE(static_cast<bool>(code)) << llvm::toString(code.takeError());
      float in[33], out[33];
      std::fill(in, in + 33, c.x);
      (*llvm::cantFail(code->lookup<MathKernel>("f")))(in, out, 33);
      for (float y : {out[0], out[32]}) { // of a vector, and of the remainder
        if (std::isnan(c.y))
          EXPECT_TRUE(std::isnan(y))
              << level << " " << c.name << "(" << c.x << ") is " << y;
        else
          EXPECT_EQ(toBits(y), toBits(c.y))
              << level << " " << c.name << "(" << c.x << ") is " << y;
      }
    }
}

} // namespace
