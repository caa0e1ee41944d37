/// f64 functions written out for targets without libm, against libm's long
/// double, and powf's special cases against C's.
#include "codegen/common/Passes.h"
#include "test/support/JitCode.h"
#include "test/support/Random.h"

#include "mlir/Pass/PassManager.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq;
using namespace sq::test;

namespace {

using Kernel = void(const double *, const double *, double *, int64_t);

void lowerMath(mlir::OpPassManager &pm) {
  LowerMathPassOptions options;
  options.libm = false;
  pm.nest<mlir::func::FuncOp>().addPass(createLowerMathPass(options));
}

/// out[i] = op(x[i], y[i]); `body` gives %r from %x and %y.
std::vector<double> apply(const std::string &body, const std::vector<double> &x, const std::vector<double> &y) {
  std::string text = R"(
    func.func @f(%px: !llvm.ptr, %py: !llvm.ptr, %out: !llvm.ptr, %n: i64) {
      %zero = arith.constant 0 : i64
      %one = arith.constant 1 : i64
      scf.for %i = %zero to %n step %one : i64 {
        %ax = llvm.getelementptr %px[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f64
        %ay = llvm.getelementptr %py[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f64
        %ao = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f64
        %x = llvm.load %ax : !llvm.ptr -> f64
        %y = llvm.load %ay : !llvm.ptr -> f64
        )" + body + R"(
        llvm.store %r, %ao : f64, !llvm.ptr
      }
      return
    })";
  auto code = JitCode::fromMlir(text, "x86-64-v3", "f", lowerMath);
  if (!code) {
    ADD_FAILURE() << llvm::toString(code.takeError());
    return {};
  }
  std::vector<double> out(x.size());
  llvm::cantFail(code->lookup<Kernel>("f"))(x.data(), y.data(), out.data(), static_cast<int64_t>(x.size()));
  return out;
}

const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();

double uniform(Random &random, double low, double high) {
  return low + (high - low) * static_cast<double>(random.integer(0, 1 << 30)) / (1 << 30);
}

/// Random numbers of all sizes below `limit`, and the special ones.
std::vector<double> arguments(double limit, bool positive) {
  Random random(5);
  std::vector<double> x = {0, -0.0, 1, -1, 2, -2, 0.5, 1e-300, 5e-324, -5e-324, 1e-8, -1e-8, 709.7, 710, -745, -746, 1e308, inf, -inf, nan};
  for (int i = 0; i < 20000; ++i) {
    double size = std::exp2(uniform(random, -60, std::log2(limit)));
    x.push_back(positive || random.integer(0, 1) ? size : -size);
  }
  return x;
}

/// The largest error in units of the last place; fails for a wrong NaN or infinity.
double worst(const std::string &body, long double (*reference)(long double), double limit, bool positive) {
  std::vector<double> x = arguments(limit, positive), y = apply(body, x, x);
  double error = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    long double exact = reference(x[i]);
    auto expected = static_cast<double>(exact);
    if (std::isnan(expected) || std::isinf(expected)) {
      EXPECT_TRUE(std::isnan(expected) ? std::isnan(y[i]) : y[i] == expected) << body << " of " << x[i] << " is " << y[i];
      continue;
    }
    double unit = std::nextafter(std::fabs(expected), inf) - std::fabs(expected);
    error = std::max(error, static_cast<double>(std::fabs(y[i] - exact)) / unit);
  }
  return error;
}

TEST(DoubleMath, WithinAFewUnits) {
  EXPECT_LE(worst("%r = math.exp %x : f64", std::exp, 700, false), 2.0);
  EXPECT_LE(worst("%r = math.log %x : f64", std::log, 1e300, true), 1.0);
  EXPECT_LE(worst("%r = math.log2 %x : f64", std::log2, 1e300, true), 2.5);
  EXPECT_LE(worst("%r = math.log10 %x : f64", std::log10, 1e300, true), 2.5);
  EXPECT_LE(worst("%r = math.log1p %x : f64", std::log1p, 1e300, true), 4.0);
  EXPECT_LE(worst("%r = math.expm1 %x : f64", std::expm1, 700, false), 5.0);
  EXPECT_LE(worst("%r = math.tanh %x : f64", std::tanh, 30, false), 5.0);
}

TEST(DoubleMath, PowerOfSpecialValues) {
  std::vector<double> values = {0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 1e300, -1e300, inf, -inf, nan, 2.5, -2.5, 63, 64};
  std::vector<double> x, y;
  for (double a : values)
    for (double b : values) {
      x.push_back(a);
      y.push_back(b);
    }
  std::vector<double> actual = apply("%r = math.powf %x, %y : f64", x, y);
  for (size_t i = 0; i < actual.size(); ++i) {
    double expected = std::pow(x[i], y[i]);
    if (std::isnan(expected) || std::isinf(expected) || expected == 0)
      EXPECT_TRUE(std::isnan(expected) ? std::isnan(actual[i])
                                       : actual[i] == expected && std::signbit(actual[i]) == std::signbit(expected))
          << x[i] << " to " << y[i] << " is " << actual[i] << ", expected " << expected;
    else
      EXPECT_NEAR(actual[i] / expected, 1, 1e-13) << x[i] << " to " << y[i];
  }
}

TEST(DoubleMath, PowersOfIntegersAreExact) {
  std::vector<double> x, y;
  for (int a = -9; a <= 9; ++a)
    for (int b = 0; b <= 15; ++b) {
      x.push_back(a);
      y.push_back(b);
    }
  std::vector<double> actual = apply("%r = math.powf %x, %y : f64", x, y);
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_EQ(actual[i], std::pow(x[i], y[i])) << x[i] << " to " << y[i];
}

TEST(DoubleMath, RemaindersAreExact) {
  Random random(3);
  std::vector<double> x = {5, -5, 5, 1e10, 1e300, 0, -0.0, 7, inf, 1, nan, 1e308, 6}, y = {3, 3, -3, 3, 7, 3, 3, inf, 2, 0, 1, 1e-300, 0.1};
  for (int i = 0; i < 20000; ++i) {
    x.push_back(std::exp2(uniform(random, -200, 200)) * (i % 2 ? 1 : -1));
    y.push_back(std::exp2(uniform(random, -200, 200)));
  }
  std::vector<double> actual = apply("%r = arith.remf %x, %y : f64", x, y);
  for (size_t i = 0; i < actual.size(); ++i) {
    double expected = std::fmod(x[i], y[i]);
    ASSERT_TRUE(std::isnan(expected) ? std::isnan(actual[i]) : actual[i] == expected && std::signbit(actual[i]) == std::signbit(expected))
        << x[i] << " mod " << y[i] << " is " << actual[i] << ", expected " << expected;
  }
}

TEST(DoubleMath, RandomPowers) {
  Random random(9);
  std::vector<double> x, y;
  for (int i = 0; i < 20000; ++i) {
    x.push_back(std::exp2(uniform(random, -20, 20)));
    y.push_back(uniform(random, -30, 30));
  }
  std::vector<double> actual = apply("%r = math.powf %x, %y : f64", x, y);
  for (size_t i = 0; i < actual.size(); ++i) // the error of y ln x, made larger by exp
    ASSERT_NEAR(actual[i] / std::pow(x[i], y[i]), 1, 2e-13) << x[i] << " to " << y[i];
}

} // namespace
