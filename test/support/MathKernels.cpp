#include "test/support/MathKernels.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <regex>

using namespace sq::test;

namespace {

// Written so that float64 is exact where the direct formula cancels.
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double gelu(double x) {
  return std::isinf(x) ? std::fmax(x, 0)
                       : 0.5 * x * std::erfc(-x * 0.70710678118654752440);
}
double geluByTanh(double x) {
  double u = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
  return x == 0 ? x : x * sigmoid(2 * u);
}

constexpr const char *kGelu = R"(
      %scale = arith.constant $c(0.707106769) : $T
      %half = arith.constant $c(0.5) : $T
      %one = arith.constant $c(1.0) : $T
      %scaled = arith.mulf $x, %scale : $T
      %erf = math.erf %scaled $flags: $T
      %xhalf = arith.mulf $x, %half : $T
      %sum = arith.addf %erf, %one : $T
      $r = arith.mulf %xhalf, %sum : $T)";

constexpr const char *kGeluByTanh = R"(
      %scale = arith.constant $c(0.797884583) : $T
      %third = arith.constant $c(4.471500e-02) : $T
      %half = arith.constant $c(0.5) : $T
      %one = arith.constant $c(1.0) : $T
      %square = arith.mulf $x, $x : $T
      %cube = arith.mulf %square, $x : $T
      %small = arith.mulf %cube, %third : $T
      %inner = arith.addf $x, %small : $T
      %scaled = arith.mulf %inner, %scale : $T
      %tanh = math.tanh %scaled $flags: $T
      %xhalf = arith.mulf $x, %half : $T
      %sum = arith.addf %tanh, %one : $T
      $r = arith.mulf %xhalf, %sum : $T)";

const MathFunction kFunctions[] = {
    {"exp", "$r = math.exp $x : $T", [](double x) { return std::exp(x); }},
    {"exp2", "$r = math.exp2 $x : $T", [](double x) { return std::exp2(x); }},
    {"log", "$r = math.log $x : $T", [](double x) { return std::log(x); }},
    {"tanh", "$r = math.tanh $x : $T", [](double x) { return std::tanh(x); }},
    {"erf", "$r = math.erf $x : $T", [](double x) { return std::erf(x); }},
    {"rsqrt", "$r = math.rsqrt $x : $T",
     [](double x) { return 1 / std::sqrt(x); }},
    {"sigmoid", R"(
      %one = arith.constant $c(1.0) : $T
      %neg = arith.negf $x : $T
      %exp = math.exp %neg : $T
      %sum = arith.addf %exp, %one : $T
      $r = arith.divf %one, %sum : $T)",
     sigmoid},
    {"silu", R"(
      %one = arith.constant $c(1.0) : $T
      %neg = arith.negf $x : $T
      %exp = math.exp %neg : $T
      %sum = arith.addf %exp, %one : $T
      %sigmoid = arith.divf %one, %sum : $T
      $r = arith.mulf $x, %sigmoid : $T)",
     [](double x) { return x * sigmoid(x); }},
    {"gelu", kGelu, gelu},
    {"gelu_tanh", kGeluByTanh, geluByTanh},
    {"gelu_rough", kGelu, gelu, "fastmath<afn> "},
    {"gelu_tanh_rough", kGeluByTanh,
     [](double x) { return std::isinf(x) && x < 0 ? -0.0 : geluByTanh(x); }, "fastmath<afn> "},
    {"sin", "$r = math.sin $x : $T", [](double x) { return std::sin(x); }},
    {"cos", "$r = math.cos $x : $T", [](double x) { return std::cos(x); }},
    {"atan", "$r = math.atan $x : $T", [](double x) { return std::atan(x); }},
    {"asin", "$r = math.asin $x : $T", [](double x) { return std::asin(x); }},
    {"acos", "$r = math.acos $x : $T", [](double x) { return std::acos(x); }},
    {"log1p", "$r = math.log1p $x : $T",
     [](double x) { return std::log1p(x); }},
    {"expm1", "$r = math.expm1 $x : $T",
     [](double x) { return std::expm1(x); }},
};

std::string replaceAll(std::string text, const char *pattern,
                       const std::string &by) {
  return std::regex_replace(text, std::regex(pattern), by);
}

} // namespace

llvm::ArrayRef<MathFunction> sq::test::mathFunctions() { return kFunctions; }

const MathFunction &sq::test::mathFunction(llvm::StringRef name) {
  return *llvm::find_if(kFunctions,
                        [&](const MathFunction &f) { return name == f.name; });
}

llvm::Expected<JitCode> sq::test::compileMath(
    const MathFunction &function, llvm::StringRef level, int lanes,
    llvm::function_ref<void(mlir::OpPassManager &)> lowerMath) {
  std::string type =
      lanes ? "vector<" + std::to_string(lanes) + "xf32>" : "f32";
  std::string body = replaceAll(function.body, R"(\$flags)", function.flags);
  body = replaceAll(body, R"(\$c\(([^)]*)\))",
                                lanes ? "dense<$1>" : "$1");
  body =
      replaceAll(replaceAll(replaceAll(body, R"(\$T)", type), R"(\$x)", "%x"),
                 R"(\$r)", "%r");
  std::string text = R"(
    func.func @f(%in: !llvm.ptr {llvm.noalias}, %out: !llvm.ptr {llvm.noalias}, %n: i64) {
      %zero = arith.constant 0 : i64
      %step = arith.constant )" +
                     std::to_string(lanes ? lanes : 1) + R"( : i64
      scf.for %i = %zero to %n step %step : i64 {
        %from = llvm.getelementptr %in[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
        %to = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
        %x = llvm.load %from {alignment = 4 : i64} : !llvm.ptr -> )" +
                     type + "\n" + body + R"(
        llvm.store %r, %to {alignment = 4 : i64} : )" +
                     type + R"(, !llvm.ptr
      }
      return
    })";
  return JitCode::fromMlir(text, level, "f", lowerMath);
}
