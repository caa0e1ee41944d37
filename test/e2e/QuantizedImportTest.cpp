/// Products of quantised operands, in every spelling of ONNX and onnxruntime, of random content.
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

/// x [m, k] by w [k, n]; what each spelling makes of them.
struct Product {
  enum Form { Dequantized, Gemm, Integers, ToFloat, Linear, QGemm, Dynamic, Fused, NumForms };
  Form form;
  int64_t m, k, n;
  bool signedX, signedW, perColumn, hasZeroX, hasZeroW, knownX, transposed, hasBias;
  std::mt19937 random;
  std::vector<int> w, zeroW; // [k][n]; [1] or [n]
  std::vector<float> scaleW, bias;
  int zeroX = 0, zeroY;
  float scaleX, scaleY;

  explicit Product(unsigned seed) : form(Form(seed % NumForms)), random(seed) {
    m = pick(1, 20), k = pick(1, 90), n = pick(1, 70);
    signedX = form != Dynamic && pick(0, 1), signedW = pick(0, 1);
    perColumn = pick(0, 1), hasZeroX = pick(0, 2), hasZeroW = pick(0, 2), knownX = pick(0, 2), hasBias = pick(0, 1);
    transposed = pick(0, 1);
    for (int64_t i = 0; i < k * n; ++i)
      w.push_back(signedW ? pick(-128, 127) : pick(0, 255));
    for (int64_t c = 0; c < (perColumn ? n : 1); ++c) {
      zeroW.push_back(hasZeroW ? signedW ? pick(-20, 20) : pick(108, 148) : 0);
      scaleW.push_back(pick(1, 1000) / 4096.0f);
    }
    for (int64_t c = 0; c < n; ++c)
      bias.push_back(pick(-1000, 1000) / 64.0f);
    if (hasZeroX)
      zeroX = signedX ? pick(-128, 127) : pick(0, 255);
    zeroY = signedX ? pick(-128, 127) : pick(0, 255);
    scaleX = pick(1, 1000) / 8192.0f;
    scaleY = float(pick(50, 100)) * scaleX * std::sqrt(float(k)) / 10;
  }
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }

  bool isOfFloats() const { return form == Dynamic; }
  bool isQuantized() const { return form == Linear || form == QGemm; }

  std::string text() const {
    std::ostringstream os, values;
    os.precision(9);
    std::string u8x = signedX ? "int8" : "uint8", u8w = signedW ? "int8" : "uint8";
    auto list = [&](auto &all) {
      std::ostringstream s;
      s.precision(9);
      for (size_t i = 0; i < all.size(); ++i)
        s << (i ? ", " : "") << all[i];
      return "{" + s.str() + "}";
    };
    std::string columns = perColumn ? "[" + std::to_string(n) + "]" : "";
    bool turned = transposed && (form == Gemm || form == QGemm || form == Dequantized || form == Fused);
    std::vector<int> stored = w;
    if (turned)
      for (int64_t r = 0; r < k; ++r)
        for (int64_t c = 0; c < n; ++c)
          stored[c * k + r] = w[r * n + c];
    auto shape = [&](int64_t a, int64_t b) { return "[" + std::to_string(a) + ", " + std::to_string(b) + "]"; };
    os << "<ir_version: 10, opset_import: [\"\" : 21, \"com.microsoft\" : 1]>\n"
       << "g (" << (isOfFloats() ? "float" : u8x) << "[m, " << k << "] x";
    bool given = !knownX && form != Dynamic; // the scale and zero point of x, by the run
    if (given)
      os << ", float sx, " << u8x << " zx";
    std::string yType = form == Integers ? "int32" : isQuantized() ? u8x : "float";
    os << ") => (" << yType << "[m, " << n << "] y) <\n  " << u8w << (turned ? shape(n, k) : shape(k, n)) << " w = " << list(stored)
       << ",\n  float" << columns << " sw = " << list(scaleW) << ",\n  " << u8w << columns << " zw = " << list(zeroW);
    if (!given && form != Dynamic)
      os << ",\n  float sx = {" << scaleX << "},\n  " << u8x << " zx = {" << zeroX << "}";
    if (isQuantized())
      os << ",\n  float sy = {" << scaleY << "},\n  " << u8x << " zy = {" << zeroY << "}";
    if (hasBias)
      os << ",\n  float[" << n << "] b = " << list(bias);
    os << "> {\n";
    std::string zw = hasZeroW ? ", zw" : "", zx = hasZeroX ? "zx" : "\"\"";
    std::string axis = std::to_string(turned ? 0 : 1);
    switch (form) {
    case Dequantized:
    case Gemm:
    case Fused:
      os << "  xf = DequantizeLinear(x, sx" << (hasZeroX ? ", zx" : "") << ")\n  wf = DequantizeLinear<axis = " << axis
         << ">(w, sw" << zw << ")\n";
      if (form == Gemm)
        os << "  y = Gemm<transB = " << turned << ">(xf, wf" << (hasBias ? ", b" : "") << ")\n";
      else if (form == Fused)
        os << "  y = com.microsoft.FusedMatMul<alpha = 0.5, transB = " << turned << ">(xf, wf)\n";
      else
        os << (turned ? "  wt = Transpose(wf)\n" : "") << "  p = MatMul(xf, " << (turned ? "wt" : "wf") << ")\n  y = "
           << (hasBias ? "Add(b, p)" : "Identity(p)") << "\n";
      break;
    case Integers:
      os << "  y = MatMulInteger(x, w, " << zx << zw << ")\n";
      break;
    case ToFloat:
      os << "  y = com.microsoft.MatMulIntegerToFloat(x, w, sx, sw, " << zx << ", zw" << (hasBias ? ", b" : "") << ")\n";
      break;
    case Linear:
      os << "  y = QLinearMatMul(x, sx, zx, w, sw, zw, sy, zy)\n";
      break;
    case QGemm:
      os << "  y = com.microsoft.QGemm<transB = " << turned << ">(x, sx, zx, w, sw, zw, \"\", sy, zy)\n";
      break;
    default:
      os << "  y = com.microsoft.DynamicQuantizeMatMul(x, w, sw, zw" << (hasBias ? ", b" : "") << ")\n";
    }
    os << "}\n";
    return os.str();
  }

  Feed feed() {
    Tensor x = Tensor::zeros(isOfFloats() ? DType::F32 : signedX ? DType::I8 : DType::U8, {m, k});
    for (double &value : x.reals)
      value = pick(-2000, 3000) / 100.0f;
    for (int64_t &value : x.integers)
      value = signedX ? pick(-128, 127) : pick(0, 255);
    Feed all = {{"x", x}};
    if (!knownX && form != Dynamic) {
      all["sx"] = Tensor::ofReals(DType::F32, {}, {scaleX});
      all["zx"] = Tensor::ofIntegers(signedX ? DType::I8 : DType::U8, {}, {zeroX});
    }
    return all;
  }

  /// What the run knows of x: DynamicQuantizeLinear.
  void quantize(Tensor &x) {
    if (!isOfFloats())
      return;
    float low = 0, high = 0;
    for (double value : x.reals) {
      low = std::min<float>(low, value);
      high = std::max<float>(high, value);
    }
    scaleX = (high - low) / 255;
    zeroX = std::clamp<int>(std::nearbyint(-low / scaleX), 0, 255);
    for (double value : x.reals)
      x.integers.push_back(std::clamp<int>(std::nearbyint(float(value) / scaleX) + zeroX, 0, 255));
  }

  /// The sum in integers, and what it stands for.
  std::pair<int64_t, double> expected(const Tensor &x, int64_t r, int64_t c) const {
    bool usesZeroX = hasZeroX || form == Linear || form == QGemm || form == Dynamic;
    bool usesZeroW = hasZeroW || form == Linear || form == QGemm || form == Dynamic || form == ToFloat;
    int64_t sum = 0, zw = usesZeroW ? zeroW[perColumn ? c : 0] : 0;
    for (int64_t i = 0; i < k; ++i)
      sum += (x.integers[r * k + i] - (usesZeroX ? zeroX : 0)) * (w[i * n + c] - zw);
    double y = double(sum) * scaleX * scaleW[perColumn ? c : 0];
    bool takesBias = form == Dequantized || form == Gemm || form == ToFloat || form == Dynamic;
    return {sum, form == Fused ? 0.5 * y : y + (hasBias && takesBias ? bias[c] : 0)};
  }
};

TEST(QuantizedImport, ProductsByConstantWeights) {
  for (unsigned seed = 0; seed < 32; ++seed) {
    Product product(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + product.text());
    TemporaryDirectory directory;
    std::string path = directory.file("product.onnxtxt");
    std::ofstream(path) << product.text();
    CompileOptions options;
    options.levels = {"x86-64-v3", "vnni"};
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok());
    Feed feed = product.feed();
    Tensor x = feed["x"];
    product.quantize(x);
    for (const char *level : {"x86-64-v3", "vnni"}) {
      Program program = model.open(2, level);
      Tensor y = runFirst(program, feed);
      for (int64_t r = 0; r < product.m; ++r)
        for (int64_t c = 0; c < product.n; ++c) {
          auto [sum, want] = product.expected(x, r, c);
          int64_t at = r * product.n + c;
          if (product.form == Product::Integers) {
            ASSERT_EQ(y.integers[at], sum);
          } else if (product.isQuantized()) {
            double steps = want / product.scaleY;
            double low = product.signedX ? -128 : 0, q = std::clamp(std::nearbyint(steps) + product.zeroY, low, low + 255);
            bool isTie = std::fabs(std::fabs(steps - std::trunc(steps)) - 0.5) < 1e-4;
            ASSERT_NEAR(y.integers[at], q, isTie ? 1 : 0) << level << " row " << r << " column " << c;
          } else {
            // The product of both scales, rounded, and the sum as a float.
            ASSERT_NEAR(y.reals[at], want, 3e-7 * (std::fabs(want) + std::fabs(product.bias[c]))) << level << " row " << r << " column " << c;
          }
        }
    }
  }
}

/// y of the model in `text`, whose inputs are `feed`, on the lowest level.
Tensor resultOf(const std::string &text, const Feed &feed) {
  TemporaryDirectory directory;
  std::string path = directory.file("model.onnxtxt");
  std::ofstream(path) << text;
  CompileOptions options;
  options.levels = {"x86-64-v3"};
  CompiledModel model(path, options);
  EXPECT_TRUE(model.ok()) << text;
  if (!model.ok())
    return {};
  Program program = model.open(1);
  return runFirst(program, feed);
}

/// erf + 1 of a quantised GELU: every sum lies half-way between two steps, and goes to the even one.
TEST(QuantizedImport, SumsHalfWayBetweenSteps) {
  std::vector<int64_t> x(256);
  for (int i = 0; i < 256; ++i)
    x[i] = i;
  // 2 / 255 and 1 / 255; 255 of the second is 127.5 of the first.
  Tensor y = resultOf(R"(<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
g (uint8[n] x) => (uint8[n] y) <float s = {0.007843137718737125}, uint8 z = {128}, float so = {0.0039215688593685627},
  uint8 o = {255}, uint8 zo = {0}, uint8 zy = {0}> {
  y = com.microsoft.QLinearAdd(x, s, z, o, so, zo, s, zy)
}
)", {{"x", Tensor::ofIntegers(DType::U8, {256}, x)}});
  ASSERT_EQ(y.integers.size(), x.size());
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(y.integers[i], std::max(0.0, std::nearbyint(i - 0.5))) << i;
}

/// Both operands, of random scales and zero points.
TEST(QuantizedImport, QLinearSumsAndProducts) {
  for (unsigned seed = 0; seed < 8; ++seed) {
    std::mt19937 random(seed);
    auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    bool isProduct = seed % 2, isSigned = seed / 2 % 2;
    int low = isSigned ? -128 : 0;
    float sa = float(pick(1, 1000)) / 4099, sb = float(pick(1, 1000)) / 4099, sc = isProduct ? sa * sb * pick(20, 90) : sa + sb;
    int za = low + pick(0, 255), zb = low + pick(0, 255), zc = low + pick(0, 255);
    std::vector<int64_t> a(100), b(100);
    for (int i = 0; i < 100; ++i)
      a[i] = low + pick(0, 255), b[i] = low + pick(0, 255);
    std::ostringstream os;
    os.precision(9);
    const char *type = isSigned ? "int8" : "uint8";
    os << "<ir_version: 8, opset_import: [\"\" : 17, \"com.microsoft\" : 1]>\ng (" << type << "[n] a, " << type << "[n] b) => ("
       << type << "[n] y) <float sa = {" << sa << "}, float sb = {" << sb << "}, float sc = {" << sc << "}, " << type << " za = {"
       << za << "}, " << type << " zb = {" << zb << "}, " << type << " zc = {" << zc << "}> {\n  y = com.microsoft.QLinear"
       << (isProduct ? "Mul" : "Add") << "(a, sa, za, b, sb, zb, sc, zc)\n}\n";
    SCOPED_TRACE(os.str());
    DType dtype = isSigned ? DType::I8 : DType::U8;
    Tensor y = resultOf(os.str(), {{"a", Tensor::ofIntegers(dtype, {100}, a)}, {"b", Tensor::ofIntegers(dtype, {100}, b)}});
    ASSERT_EQ(y.integers.size(), a.size());
    for (int i = 0; i < 100; ++i) {
      double x = double(a[i] - za) * sa, w = double(b[i] - zb) * sb, steps = (isProduct ? x * w : x + w) / sc + zc;
      bool isTie = std::fabs(std::fabs(steps - std::trunc(steps)) - 0.5) < 1e-4;
      EXPECT_NEAR(y.integers[i], std::clamp<double>(std::nearbyint(steps), low, low + 255), isTie ? 1 : 0) << i;
    }
  }
}

/// A product of two activations that is quantised again is that of their integers: its sums are exact, ties too.
TEST(QuantizedImport, ProductsOfTwoActivationsAreExact) {
  constexpr int64_t kRows = 24, kDepth = 40, kColumns = 24;
  const float sa = 0.1f, sb = 0.3f, both = sa * sb, sy = 2 * both; // every other sum is half-way
  std::mt19937 random(3);
  std::vector<int64_t> a(kRows * kDepth), b(kDepth * kColumns);
  for (int64_t &x : a)
    x = 131 - 3 + random() % 7;
  for (int64_t &x : b)
    x = int64_t(random() % 7) - 3;
  std::ostringstream os;
  os.precision(9);
  os << "<ir_version: 8, opset_import: [\"\" : 17]>\ng (uint8[m, 40] a, int8[40, n] b) => (int8[m, n] y) <float sa = {" << sa
     << "}, float sb = {" << sb << "}, float sy = {" << sy << "}, uint8 za = {131}, int8 zy = {5}> {\n"
     << "  x = DequantizeLinear(a, sa, za)\n  w = DequantizeLinear(b, sb)\n  p = MatMul(x, w)\n  y = QuantizeLinear(p, sy, zy)\n}\n";
  Tensor y = resultOf(os.str(), {{"a", Tensor::ofIntegers(DType::U8, {kRows, kDepth}, a)},
                                 {"b", Tensor::ofIntegers(DType::I8, {kDepth, kColumns}, b)}});
  ASSERT_EQ(y.integers.size(), size_t(kRows * kColumns));
  int ties = 0;
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t c = 0; c < kColumns; ++c) {
      int64_t sum = 0;
      for (int64_t i = 0; i < kDepth; ++i)
        sum += (a[r * kDepth + i] - 131) * b[i * kColumns + c];
      ties += sum % 2 != 0;
      float want = std::nearbyint(float(sum) * both / sy) + 5;
      EXPECT_EQ(y.integers[r * kColumns + c], std::clamp<float>(want, -128, 127)) << r << ", " << c << ": " << sum;
    }
  EXPECT_GT(ties, kRows * kColumns / 4);
}

} // namespace
