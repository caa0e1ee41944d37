/// --activations=dynamic: a linear layer whose rows of x have scales of their own, compiled.
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

/// x [batch, rows, k] by a weight that 8 bits hold exactly, with a bias or not.
struct Layer {
  int64_t rows, k, n;
  bool transposed, hasBias;
  std::mt19937 random;
  std::vector<float> w, bias; // [k][n]

  explicit Layer(unsigned seed) : random(seed) {
    rows = pick(1, 30), k = pick(1, 150), n = pick(1, 100);
    transposed = pick(0, 1), hasBias = pick(0, 1);
    w.resize(k * n);
    for (int64_t c = 0; c < n; ++c) {
      float step = std::ldexp(1.0f, -pick(3, 9));
      for (int64_t r = 0; r < k; ++r)
        w[r * n + c] = step * (r == c % k ? 127 : pick(-127, 127)); // the largest one has all steps
      bias.push_back(hasBias ? pick(-1000, 1000) / 64.0f : 0);
    }
  }
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random); }

  std::string text() const {
    std::ostringstream os;
    os.precision(9);
    os << std::scientific;
    std::string x = "tensor<2x?x" + std::to_string(k) + "xf32>", y = "tensor<2x?x" + std::to_string(n) + "xf32>";
    int64_t first = transposed ? n : k, second = transposed ? k : n;
    std::string shape = "tensor<" + std::to_string(first) + "x" + std::to_string(second) + "xf32>";
    os << "func.func @main(%x: " << x << " {sq.name = \"x\", sq.dims = [\"2\", \"N\", \"" << k << "\"], sq.dtype = \"f32\"}) -> ("
       << y << " {sq.name = \"y\", sq.dims = [\"2\", \"N\", \"" << n << "\"], sq.dtype = \"f32\"}) {\n"
       << "  %one = arith.constant 1 : index\n  %rows = tensor.dim %x, %one : " << x << "\n  %w = arith.constant dense<[";
    for (int64_t i = 0; i < first; ++i) {
      os << (i ? ", [" : "[");
      for (int64_t j = 0; j < second; ++j)
        os << (j ? ", " : "") << (transposed ? w[j * n + i] : w[i * n + j]);
      os << "]";
    }
    os << "]> : " << shape << "\n";
    if (hasBias) {
      os << "  %b = arith.constant dense<[";
      for (int64_t c = 0; c < n; ++c)
        os << (c ? ", " : "") << bias[c];
      os << "]> : tensor<" << n << "xf32>\n";
    }
    os << "  %init = tensor.empty(%rows) : " << y << "\n  %y = sq.linear ins(%x, %w : " << x << ", " << shape << ")"
       << (hasBias ? " bias(%b : tensor<" + std::to_string(n) + "xf32>)" : "") << " outs(%init : " << y << ")"
       << (transposed ? " {transpose_weight}" : "") << " -> " << y << "\n  return %y : " << y << "\n}\n";
    return os.str();
  }

  /// Rows of very different sizes, which one scale could not hold; every fifth is zero.
  Tensor input() {
    Tensor x = Tensor::zeros(DType::F32, {2, rows, k});
    for (int64_t r = 0; r < 2 * rows; ++r) {
      double size = r % 5 == 4 ? 0 : std::pow(10.0, pick(-12, 12));
      for (int64_t i = 0; i < k; ++i)
        x.reals[r * k + i] = float(size * std::normal_distribution<double>()(random));
    }
    return x;
  }
};

} // namespace

TEST(DynamicRows, AgainstDouble) {
  for (unsigned seed = 0; seed < 6; ++seed) {
    Layer layer(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + layer.text().substr(0, 300));
    TemporaryDirectory directory;
    std::string path = directory.file("layer.mlir");
    std::ofstream(path) << layer.text();
    CompileOptions options;
    options.quant = "int8";
    options.activations = "dynamic";
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok());
    Tensor x = layer.input();
    for (const char *level : {"x86-64-v3", "avx512", "vnni"}) {
      Program program = model.open(2, level);
      auto y = program.run({x});
      ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
      for (int64_t r = 0; r < 2 * layer.rows; ++r) {
        const double *row = x.reals.data() + r * layer.k;
        double largest = 0;
        for (int64_t i = 0; i < layer.k; ++i)
          largest = std::max(largest, std::fabs(row[i]));
        for (int64_t c = 0; c < layer.n; ++c) {
          double sum = layer.bias[c], weights = 0, products = std::fabs(layer.bias[c]);
          for (int64_t i = 0; i < layer.k; ++i) {
            double w = layer.w[i * layer.n + c];
            sum += row[i] * w;
            products += std::fabs(row[i] * w);
            weights += std::fabs(w);
          }
          // Each element is at most half a step off; what is computed in floats adds 1e-6 of all that is summed.
          double bound = 0.5 * largest / 127 * weights + 1e-6 * products;
          ASSERT_NEAR((*y)[0].reals[r * layer.n + c], sum, bound) << level << " row " << r << " column " << c;
          if (largest == 0)
            ASSERT_EQ((*y)[0].reals[r * layer.n + c], layer.bias[c]) << "a row of zeros";
        }
      }
    }
  }
}

// A NaN or an infinity spoils its own row only.
TEST(DynamicRows, NotFinite) {
  Layer layer(3);
  layer.rows = 3;
  TemporaryDirectory directory;
  std::string path = directory.file("layer.mlir");
  std::ofstream(path) << layer.text();
  CompileOptions options;
  options.quant = "int8";
  options.activations = "dynamic";
  CompiledModel model(path, options);
  ASSERT_TRUE(model.ok());
  Tensor x = layer.input(), spoilt = x;
  spoilt.reals[1 * layer.k] = NAN;
  spoilt.reals[4 * layer.k] = INFINITY;
  Program program = model.open();
  auto y = program.run({x}), z = program.run({spoilt});
  ASSERT_TRUE(y && z);
  for (int64_t r = 0; r < 6; ++r)
    for (int64_t c = 0; c < layer.n; ++c) {
      double value = (*z)[0].reals[r * layer.n + c];
      if (r == 1 || r == 4)
        EXPECT_FALSE(std::isfinite(value)) << r;
      else
        EXPECT_EQ(value, (*y)[0].reals[r * layer.n + c]) << r;
    }
}
