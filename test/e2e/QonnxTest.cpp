/// Quant, BipolarQuant and Trunc of QONNX, of random parameters, against
/// lib/numerics.
#include "lib/numerics/QonnxQuant.h"
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

using namespace sq;
using namespace sq::test;
using namespace sq::numerics;

namespace {

constexpr int64_t kRows = 5, kColumns = 24;
const char *const kModes[] = {"ROUND", "CEIL",    "floor",    "Up",
                              "DOWN",  "HALF_UP", "HALF_DOWN"};

template <typename T> std::string list(const std::vector<T> &values) {
  std::ostringstream os;
  os.precision(9);
  for (size_t i = 0; i < values.size(); ++i)
    os << (i ? ", " : "{") << values[i];
  return os.str() + "}";
}

/// One node of x [rows, columns].
struct Node {
  std::mt19937 random;
  std::string type, domain = "qonnx.custom_op.general";
  std::string mode;
  QuantRange range;
  int dropped = 0;
  float zero = 0, outScale = 1;
  std::vector<float> scales; // one, or one for each column
  bool isConstant;           // x

  explicit Node(unsigned seed) : random(seed) {
    const char *const types[] = {"Quant",        "IntQuant", "Quant",
                                 "BipolarQuant", "Trunc",    "Trunc"};
    type = types[seed % 6];
    if (type == "IntQuant")
      domain = seed % 12 == 1 ? "finn.custom_op.general" : "onnx.brevitas";
    mode = kModes[pick(0, 6)];
    range = {pick(1, 16), bool(pick(0, 1)), bool(pick(0, 1))};
    isConstant = pick(0, 3) == 0;
    if (pick(0, 1)) // odd ones, and others that fit no integer
      zero = pick(0, 3) ? float(pick(range.isSigned ? -7 : 0, 7)) : 0.375f;
    int count = type != "Trunc" && pick(0, 1) ? kColumns : 1;
    for (int c = 0; c < count; ++c)
      scales.push_back(float(pick(1, 4000)) / 4096);
    if (type == "Trunc") {
      isConstant = false;
      dropped = pick(0, 6);
      outScale =
          scales[0] * std::ldexp(1.0f, dropped) * (pick(0, 1) ? 1.0f : 1.1f);
    }
  }
  int pick(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  }
  bool isFirst() const { return type == "Trunc" && dropped % 2; }

  std::string text(const std::vector<float> &x) const {
    std::ostringstream os;
    os.precision(9);
    os << "<ir_version: 8, opset_import: [\"\" : 17, \"" << domain
       << "\" : 1]>\ng (float[n, " << kColumns << "] x) => (float["
       << (isConstant ? "5" : "n") << ", " << kColumns << "] y) <\n  float"
       << (scales.size() > 1 ? "[1, " + std::to_string(kColumns) + "]" : "")
       << " s = " << list(scales) << ",\n  float z = {" << zero
       << "}, float bits = {" << range.bits << "}, float from = {"
       << range.bits + dropped << "}, float so = {" << outScale << "}";
    if (isConstant)
      os << ",\n  float[5, " << kColumns << "] w = " << list(x);
    os << "> {\n  y = " << domain << "." << type;
    std::string in = isConstant ? "w" : "x",
                attributes = "signed = " + std::to_string(range.isSigned) +
                             ", narrow = " + std::to_string(range.isNarrow) +
                             ", ";
    if (type == "BipolarQuant")
      os << "(" << in << ", s)";
    else if (type == "Trunc")
      os << "<" << (isFirst() ? "" : attributes) << "rounding_mode = \"" << mode
         << "\">(x, s, z, from, " << (isFirst() ? "" : "so, ") << "bits)";
    else
      os << "<" << attributes << "rounding_mode = \"" << mode << "\">(" << in
         << ", s, z, bits)";
    os << "\n}\n";
    return os.str();
  }

  float expected(float x, int64_t column) const {
    float scale = scales[scales.size() > 1 ? column : 0];
    Rounding rounding = *findRounding(mode);
    if (type == "BipolarQuant")
      return bipolarQuant(x, scale);
    if (type == "Trunc")
      return isFirst()
                 ? truncBits(x, scale, zero, dropped, rounding)
                 : truncToScale(x, scale, zero, outScale, range, rounding);
    return quantValue(quantSteps(x, scale, zero, range, rounding), scale, zero);
  }
};

TEST(Qonnx, NodesToTheBit) {
  for (unsigned seed = 0; seed < 48; ++seed) {
    Node node(seed);
    std::vector<float> x(kRows * kColumns);
    for (size_t i = 0; i < x.size(); ++i) {
      float step = node.scales[node.scales.size() > 1 ? i % kColumns : 0];
      // Ties and what is near them, small and large ones, beyond the range.
      x[i] = i % 3 ? float(node.pick(-4000, 4000)) / 100
                   : float(node.pick(-20, 20)) / 2 * step;
      if (i % 17 == 0)
        x[i] *= 3000;
    }
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + node.text(x));
    TemporaryDirectory directory;
    std::string path = directory.file("node.onnxtxt");
    std::ofstream(path) << node.text(x);
    CompileOptions options;
    options.levels = {"x86-64-v3"};
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok());
    Program program = model.open(1);
    Tensor y = runFirst(
        program,
        {{"x", Tensor::ofReals(DType::F32, {kRows, kColumns},
                               std::vector<double>(x.begin(), x.end()))}});
    ASSERT_EQ(y.reals.size(), x.size());
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(float(y.reals[i]), node.expected(x[i], i % kColumns))
          << i << ": " << x[i];
  }
}

/// A layer of Quant nodes: activations with a scale and zero point, weights
/// with a scale for each column, of few bits.
TEST(Qonnx, ProductsOfIntegers) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    std::mt19937 random(seed);
    auto pick = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    const int64_t m = pick(1, 9), k = pick(1, 80), n = pick(1, 40);
    QuantRange ofX{pick(2, 8), bool(pick(0, 1)), false},
        ofW{pick(2, 8), true, true};
    float sx = float(pick(10, 1000)) / 4096,
          zero = float(ofX.isSigned ? 0 : pick(0, (1 << ofX.bits) - 1));
    std::vector<float> sw, w, x;
    for (int64_t c = 0; c < n; ++c)
      sw.push_back(float(pick(10, 1000)) / 4096);
    for (int64_t i = 0; i < k * n; ++i)
      w.push_back(float(pick(-1000, 1000)) / 500 * sw[i % n] * ofW.high());
    for (int64_t i = 0; i < m * k; ++i)
      x.push_back(float(pick(-3000, 3000)) / 997);
    std::ostringstream os;
    os.precision(9);
    os << "<ir_version: 8, opset_import: [\"\" : 17, "
          "\"qonnx.custom_op.general\" : 1]>\ng (float[m, "
       << k << "] x) => (float[m, " << n << "] y) <\n  float sx = {" << sx
       << "}, float zx = {" << zero << "}, float bx = {" << ofX.bits
       << "},\n  float[" << k << ", " << n << "] w = " << list(w)
       << ",\n  float[1, " << n << "] sw = " << list(sw)
       << ", float zw = {0}, float bw = {" << ofW.bits
       << "}> {\n  xq = qonnx.custom_op.general.Quant<signed = " << ofX.isSigned
       << ", narrow = 0>(x, sx, zx, bx)\n  wq = "
          "qonnx.custom_op.general.Quant<signed = 1, narrow = 1>(w, sw, zw, "
          "bw)\n"
          "  y = MatMul(xq, wq)\n}\n";
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + os.str());
    TemporaryDirectory directory;
    std::string path = directory.file("layer.onnxtxt");
    std::ofstream(path) << os.str();
    CompileOptions options;
    options.levels = {"x86-64-v3", "vnni"};
    bool isLinear = false; // of integers
    options.inspect = [&](const std::string &phase, mlir::ModuleOp module) {
      if (phase != "normalise")
        return;
      std::string text;
      llvm::raw_string_ostream stream(text);
      module.print(stream);
      isLinear = text.find("sq.linear") != std::string::npos &&
                 text.find("!quant.uniform") != std::string::npos;
    };
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok());
    EXPECT_TRUE(isLinear);
    for (const char *level : {"x86-64-v3", "vnni"}) {
      Program program = model.open(1, level);
      Tensor y = runFirst(
          program,
          {{"x", Tensor::ofReals(DType::F32, {m, k},
                                 std::vector<double>(x.begin(), x.end()))}});
      for (int64_t r = 0; r < m; ++r)
        for (int64_t c = 0; c < n; ++c) {
          int64_t sum = 0;
          for (int64_t i = 0; i < k; ++i)
            sum += int64_t(quantSteps(x[r * k + i], sx, zero, ofX,
                                      Rounding::HalfEven) -
                           zero) *
                   int64_t(quantSteps(w[i * n + c], sw[c], 0, ofW,
                                      Rounding::HalfEven));
          double want =
              double(sum) * sx * sw[c]; // rounded as a product of scales, as a
                                        // sum, as their product
          ASSERT_NEAR(y.reals[r * n + c], want, 3e-7 * std::fabs(want))
              << level << " row " << r << " column " << c;
        }
    }
  }
}

} // namespace
