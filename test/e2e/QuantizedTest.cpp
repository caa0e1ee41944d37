/// Products of bytes, and a classifier in int8, compiled.
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

/// A layer x [rows, k] by w [k, n], both quantised, of random content.
struct Layer {
  int64_t rows, k, n;
  bool signedX, signedW, transposed, hasBias;
  int64_t zero; // of x
  std::mt19937 random;
  std::vector<int> w; // [k][n], as stored
  std::vector<float> scales, bias;
  double scale = 0.05;

  explicit Layer(unsigned seed) : random(seed) {
    rows = pick(1, 40);
    k = pick(1, 140);
    n = pick(1, 120);
    signedX = pick(0, 1), signedW = pick(0, 1), transposed = pick(0, 1), hasBias = pick(0, 1);
    zero = signedX ? pick(-128, 127) : pick(0, 255);
    if (pick(0, 2) == 0)
      zero = signedX ? -128 : 0;
    for (int64_t i = 0; i < k * n; ++i)
      w.push_back(signedW ? pick(-128, 127) : pick(0, 255));
    for (int64_t c = 0; c < n; ++c) {
      scales.push_back(pick(1, 1000) / 4096.0f);
      bias.push_back(pick(-1000, 1000) / 64.0f);
    }
  }
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random); }

  std::string xType() const {
    std::ostringstream os;
    os << "!quant.uniform<" << (signedX ? "i8" : "u8") << ":f32, " << scale << ":" << zero << ">";
    return os.str();
  }

  std::string text() const {
    std::ostringstream os;
    os.precision(9);
    std::string x = "tensor<?x" + std::to_string(k) + "x", y = "tensor<?x" + std::to_string(n) + "x";
    int64_t first = transposed ? n : k, second = transposed ? k : n;
    std::string shape = "tensor<" + std::to_string(first) + "x" + std::to_string(second) + "x";
    std::ostringstream wType;
    wType.precision(12);
    wType << shape << "!quant.uniform<" << (signedW ? "i8" : "u8") << ":f32:" << !transposed << ", {";
    for (int64_t c = 0; c < n; ++c)
      wType << (c ? ", " : "") << std::fixed << scales[c] << (signedW ? "" : ":128");
    wType << "}>>";
    os << "func.func @main(%x: " << x << "f32> {sq.name = \"x\", sq.dims = [\"N\", \"" << k << "\"], sq.dtype = \"f32\"}) -> (" << y
       << "f32> {sq.name = \"y\", sq.dims = [\"N\", \"" << n << "\"], sq.dtype = \"f32\"}) {\n"
       << "  %zero = arith.constant 0 : index\n  %rows = tensor.dim %x, %zero : " << x << "f32>\n"
       << "  %q = sq.quantize %x : " << x << "f32> -> " << x << xType() << ">\n  %stored = arith.constant dense<[";
    for (int64_t i = 0; i < first; ++i) {
      os << (i ? ", [" : "[");
      for (int64_t j = 0; j < second; ++j)
        os << (j ? ", " : "") << int(int8_t(transposed ? w[j * n + i] : w[i * n + j]));
      os << "]";
    }
    os << "]> : " << shape << "i8>\n  %w = quant.scast %stored : " << shape << "i8> to " << wType.str() << "\n";
    if (hasBias) {
      os << "  %b = arith.constant dense<[";
      for (int64_t c = 0; c < n; ++c)
        os << (c ? ", " : "") << std::scientific << bias[c];
      os << "]> : tensor<" << n << "xf32>\n";
    }
    os << "  %init = tensor.empty(%rows) : " << y << "f32>\n"
       << "  %y = sq.linear ins(%q, %w : " << x << xType() << ">, " << wType.str() << ")"
       << (hasBias ? " bias(%b : tensor<" + std::to_string(n) + "xf32>)" : "") << " outs(%init : " << y << "f32>)"
       << (transposed ? " {transpose_weight}" : "") << " -> " << y << "f32>\n  return %y : " << y << "f32>\n}\n";
    return os.str();
  }

  Tensor input() {
    Tensor x = Tensor::zeros(DType::F32, {rows, k});
    for (double &value : x.reals)
      value = pick(-2000, 2000) / 100.0;
    return x;
  }

  int64_t quantized(double x) const {
    double q = std::nearbyint(float(x) * float(1 / scale)) + zero;
    return std::clamp(q, signedX ? -128.0 : 0.0, signedX ? 127.0 : 255.0);
  }

  /// Sums in integers, then what the epilogue does, in floats.
  float expected(const Tensor &x, int64_t r, int64_t c) const {
    int64_t sum = 0;
    for (int64_t i = 0; i < k; ++i)
      sum += (quantized(x.reals[r * k + i]) - zero) * (w[i * n + c] - (signedW ? 0 : 128));
    float y = float(sum) * float(scale * scales[c]);
    return hasBias ? y + bias[c] : y;
  }
};

TEST(Quantized, ProductsOfBytes) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    Layer layer(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + layer.text().substr(0, 400));
    TemporaryDirectory directory;
    std::string path = directory.file("layer.mlir");
    std::ofstream(path) << layer.text();
    CompiledModel model(path), tiles(path, onTiles());
    ASSERT_TRUE(model.ok() && tiles.ok());
    Tensor x = layer.input();
    for (const char *level : {"x86-64-v3", "avx512", "vnni", "amx"}) {
      bool isAmx = std::string(level) == "amx";
      if (isAmx && !runsTiles())
        continue;
      Program program = (isAmx ? tiles : model).open(2, level);
      auto y = program.run({x});
      ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
      for (int64_t r = 0; r < layer.rows; ++r)
        for (int64_t c = 0; c < layer.n; ++c) {
          float want = layer.expected(x, r, c);
          ASSERT_NEAR((*y)[0].reals[r * layer.n + c], want, 1e-6 * std::max(1.0f, std::fabs(want)))
              << level << " row " << r << " column " << c;
        }
    }
  }
}

} // namespace
