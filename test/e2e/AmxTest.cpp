/// Kernels on AMX tiles beyond one product (Bf16Test.cpp, QuantizedTest.cpp): attention, and products that hand tiles on.
/// Machines without AMX emulate the instructions.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

using namespace sq;
using namespace sq::test;
using numerics::roundToBF16;
using numerics::Shape;
using numerics::Tensor;

namespace {

Tensor randomF32(Random &random, Shape shape) {
  Tensor t = random.reals(std::move(shape));
  for (double &value : t.reals)
    value = numerics::roundToF32(value);
  return t;
}

struct Attention {
  int64_t batch, queries, keys, heads, group, size; // heads of keys and values
  Shape mask;                                       // empty: none
  bool causal;
  float scale;

  explicit Attention(Random &random) {
    auto oneOf = [&](std::initializer_list<int64_t> values) { return values.begin()[random.integer(0, values.size() - 1)]; };
    batch = random.integer(1, 2);
    heads = random.integer(1, 3);
    group = oneOf({1, 1, 2, 3});
    size = oneOf({1, 8, 16, 31, 32, 33, 64, 80});
    queries = oneOf({1, 2, 15, 31, 32, 33, 70});
    keys = oneOf({1, 16, 31, 32, 33, 90, 256, 257, 300, 530});
    causal = random.integer(0, 2) == 0;
    scale = 0.4f / std::sqrt(float(size));
    if (random.integer(0, 3))
      mask = {oneOf({1, batch}), oneOf({1, heads * group}), oneOf({1, queries}), keys};
  }

  std::string text() const {
    std::ostringstream os;
    auto tensor = [](const std::string &shape) { return "tensor<" + shape + "xf32>"; };
    auto argument = [&](const char *name, const std::string &type, const std::string &dims) {
      return "%" + std::string(name) + ": " + type + " {sq.name = \"" + name + "\", sq.dims = [" + dims +
             "], sq.dtype = \"f32\"}";
    };
    std::string h = std::to_string(heads), all = std::to_string(heads * group), d = std::to_string(size);
    std::string q = tensor("?x?x" + all + "x" + d), k = tensor("?x?x" + h + "x" + d), m, mDims;
    std::string qDims = "\"B\", \"S\", \"" + all + "\", \"" + d + "\"", kDims = "\"B\", \"T\", \"" + h + "\", \"" + d + "\"";
    if (!mask.empty()) {
      auto dim = [&](int64_t extent, const char *symbol) { // a dim of 1 is one for ever
        mDims += (mDims.empty() ? "\"" : ", \"") + std::string(extent == 1 ? "1" : symbol) + "\"";
        return extent == 1 ? std::string("1x") : std::string(symbol) == all ? all + "x" : std::string("?x");
      };
      std::string shape = dim(mask[0], "B") + dim(mask[1], all.c_str()) + dim(mask[2], "S");
      m = tensor(shape + "?");
      mDims += ", \"T\"";
    }
    os << "func.func @main(" << argument("q", q, qDims) << ", " << argument("k", k, kDims) << ", " << argument("v", k, kDims)
       << (m.empty() ? "" : ", " + argument("m", m, mDims)) << ") -> (" << q << " {sq.name = \"y\", sq.dims = [" << qDims
       << "], sq.dtype = \"f32\"}) {\n"
       << "  %c0 = arith.constant 0 : index\n  %c1 = arith.constant 1 : index\n  %b = tensor.dim %q, %c0 : " << q
       << "\n  %s = tensor.dim %q, %c1 : " << q << "\n  %init = tensor.empty(%b, %s) : " << q
       << "\n  %y = sq.attention ins(%q, %k, %v : " << q << ", " << k << ", " << k << ") "
       << (m.empty() ? "" : "mask(%m : " + m + ") ") << "outs(%init : " << q << ") {" << (causal ? "causal, " : "")
       << "scale = " << std::scientific << scale << " : f32, bf16} -> " << q << "\n  return %y : " << q << "\n}\n";
    return os.str();
  }

  /// Checks `y` against float64 on operands rounded as the kernel does: what is left is the rounding of probabilities.
  void check(const Tensor &y, const Tensor &q, const Tensor &k, const Tensor &v, const Tensor &m) const {
    const double log2e = 1.44269504088896340736, infinity = std::numeric_limits<double>::infinity();
    float factor = float(double(scale) * log2e);
    int64_t all = heads * group;
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t h = 0; h < all; ++h)
        for (int64_t s = 0; s < queries; ++s) {
          std::vector<double> score(keys);
          double most = -infinity;
          for (int64_t t = 0; t < keys; ++t) {
            double sum = 0;
            for (int64_t d = 0; d < size; ++d)
              sum += roundToBF16(float(q.reals[((b * queries + s) * all + h) * size + d]) * factor) *
                     roundToBF16(k.reals[((b * keys + t) * heads + h / group) * size + d]);
            if (!mask.empty()) {
              auto at = [](int64_t extent, int64_t i) { return extent == 1 ? 0 : i; };
              sum += log2e * m.reals[((at(mask[0], b) * mask[1] + at(mask[1], h)) * mask[2] + at(mask[2], s)) * keys + t];
            }
            score[t] = causal && t > s + keys - queries ? -infinity : sum;
            most = std::max(most, score[t]);
          }
          double total = 0;
          for (double &p : score)
            total += p = std::exp2(p - most);
          for (int64_t d = 0; d < size; ++d) {
            double sum = 0, absolute = 0, actual = y.reals[((b * queries + s) * all + h) * size + d];
            for (int64_t t = 0; t < keys; ++t) {
              double part = score[t] / total * roundToBF16(v.reals[((b * keys + t) * heads + h / group) * size + d]);
              sum += part;
              absolute += std::fabs(part);
            }
            if (std::isnan(sum)) // no key is seen
              ASSERT_TRUE(std::isnan(actual)) << "query " << s << ", head " << h;
            else // half a bit of bf16 (8 bits), and the exponential's error twice
              ASSERT_NEAR(actual, sum, absolute * (0x1p-8 + 2e-4) + 1e-6) << "query " << s << ", head " << h << ", element " << d;
          }
        }
  }
};

TEST(Amx, Attention) {
  if (!runsTiles())
    GTEST_SKIP() << "the code around the tiles needs AVX-512 with VNNI and BF16, which this CPU lacks";
  for (unsigned seed = 0; seed < 40; ++seed) {
    Random random(seed);
    Attention attention(random);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + attention.text());
    TemporaryDirectory directory;
    std::string path = directory.file("attention.mlir");
    std::ofstream(path) << attention.text();
    CompiledModel model(path, onTiles({}, /*emulate=*/seed % 8 == 0));
    ASSERT_TRUE(model.ok());
    Tensor q = randomF32(random, {attention.batch, attention.queries, attention.heads * attention.group, attention.size});
    Tensor k = randomF32(random, {attention.batch, attention.keys, attention.heads, attention.size}),
           v = randomF32(random, k.shape), m;
    std::vector<Tensor> inputs = {q, k, v};
    if (!attention.mask.empty()) {
      m = randomF32(random, attention.mask);
      // As exporters mask: the least float, or -inf; here and there a row of nothing else.
      double none = random.integer(0, 1) ? -std::numeric_limits<double>::infinity() : -std::numeric_limits<float>::max();
      for (int64_t row = 0; row < m.size() / attention.keys; ++row) {
        bool isAll = random.integer(0, 9) == 0;
        for (int64_t t = 0; t < attention.keys; ++t)
          if (isAll || random.integer(0, 3) == 0)
            m.reals[row * attention.keys + t] = none;
      }
      inputs.push_back(m);
    }
    std::vector<double> before; // by one thread: not a bit depends on their number
    for (int threads : {1, 3}) {
      Program program = model.open(threads);
      auto y = program.run(inputs);
      ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
      if (before.empty())
        before = (*y)[0].reals;
      for (size_t i = 0; i < before.size(); ++i)
        ASSERT_TRUE((*y)[0].reals[i] == before[i] || (std::isnan(before[i]) && std::isnan((*y)[0].reals[i]))) << "element " << i;
      attention.check((*y)[0], q, k, v, m);
      if (HasFatalFailure())
        return;
    }
  }
}

/// What products of bytes become between bounds 255 apart, from far below them to far above, against the same in C++.
TEST(Amx, BoundsOfBytes) {
  if (!runsTiles())
    GTEST_SKIP() << "the code around the tiles needs AVX-512 with VNNI and BF16, which this CPU lacks";
  const int64_t k = 64, n = 64;
  Random random(11);
  Tensor w = Tensor::zeros(numerics::DType::I8, {k, n});
  std::ostringstream weights;
  for (int64_t i = 0; i < k * n; ++i) {
    w.integers[i] = random.integer(-127, 127);
    weights << (i % n ? ", " : i ? "], [" : "[[") << w.integers[i];
  }
  weights << "]]";
  constexpr float rounder = 12582912; // 1.5 * 2^23, as passes/LowerQuantized.cpp has it
  for (float factor : {0.001f, 0.5f, 20.0f, 1000.0f, -1e6f, 1e30f})
    for (int low : {-128, 0}) {
      auto bitsOf = [](float x) {
        int32_t bits;
        memcpy(&bits, &x, sizeof bits);
        return bits;
      };
      const int32_t from = bitsOf(rounder + low), to = bitsOf(rounder + low + 255);
      std::ostringstream text;
      text.precision(9);
      text << std::scientific << "func.func @main(%x: tensor<?x64xi8> {sq.name = \"x\", sq.dims = [\"m\", \"64\"], sq.dtype = \"i8\"}) -> (tensor<?x64xi8> "
              "{sq.name = \"y\", sq.dims = [\"m\", \"64\"], sq.dtype = \"i8\"}) {\n  %c0 = arith.constant 0 : index\n"
              "  %m = tensor.dim %x, %c0 : tensor<?x64xi8>\n  %init = tensor.empty(%m) : tensor<?x64xi8>\n  %factor = arith.constant "
           << factor << " : f32\n  %rounder = arith.constant " << rounder << " : f32\n  %from = arith.constant " << from
           << " : i32\n  %to = arith.constant " << to << " : i32\n  %w = sq.weight dense<" << weights.str()
           << "> : tensor<64x64xi8> {pack = 16 : i64} -> tensor<4x16x64xi8>\n"
              "  %y = sq.packed_matmul ins(%x, %w : tensor<?x64xi8>, tensor<4x16x64xi8>) outs(%init : tensor<?x64xi8>) {\n"
              "  ^bb0(%acc: i32):\n    %f = arith.sitofp %acc : i32 to f32\n    %g = math.fma %f, %factor, %rounder : f32\n"
              "    %b = arith.bitcast %g : f32 to i32\n    %l = arith.maxsi %b, %from : i32\n    %h = arith.minsi %l, %to : i32\n"
              "    %t = arith.trunci %h : i32 to i8\n    sq.yield %t : i8\n  } -> tensor<?x64xi8>\n  return %y : tensor<?x64xi8>\n}\n";
      TemporaryDirectory directory;
      std::string path = directory.file("bounds.mlir");
      std::ofstream(path) << text.str();
      CompiledModel model(path, onTiles());
      ASSERT_TRUE(model.ok());
      for (int64_t m : {1, 35, 64}) {
        Tensor x = Tensor::zeros(numerics::DType::I8, {m, k});
        for (int64_t &value : x.integers)
          value = random.integer(-128, 127);
        auto y = model.open(2).run({x});
        ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
        for (int64_t row = 0; row < m; ++row)
          for (int64_t c = 0; c < n; ++c) {
            int32_t sum = 0;
            for (int64_t i = 0; i < k; ++i)
              sum += static_cast<uint8_t>(x.integers[row * k + i]) * w.integers[i * n + c];
            int32_t bits = std::clamp(bitsOf(std::fma(float(sum), factor, rounder)), from, to);
            ASSERT_EQ((*y)[0].integers[row * n + c], static_cast<int8_t>(bits))
                << "factor " << factor << " from " << low << " sum " << sum << " row " << row << " of " << m;
          }
      }
    }
}

/// Products one after the other hand tiles on, products of one input share its tiles: y = relu(x a) b and z = x c.
TEST(Amx, Chain) {
  if (!runsTiles())
    GTEST_SKIP() << "the code around the tiles needs AVX-512 with VNNI and BF16, which this CPU lacks";
  const int64_t k = 40, hidden = 192, n = 33;
  Random random(7);
  Tensor a = randomF32(random, {k, hidden}), b = randomF32(random, {hidden, n}), c = randomF32(random, {k, n});
  auto literal = [](const char *name, const Tensor &t) {
    std::ostringstream os;
    os.precision(9);
    os << "float[" << t.shape[0] << ", " << t.shape[1] << "] " << name << " = {";
    for (size_t i = 0; i < t.reals.size(); ++i)
      os << (i ? ", " : "") << t.reals[i];
    os << "}";
    return os.str();
  };
  TemporaryDirectory directory;
  std::string path = directory.file("chain.onnxtxt");
  std::ofstream(path) << "<ir_version: 8, opset_import: [\"\" : 17]>\nchain (float[batch, m, 40] x) => (float[batch, m, 33] y, "
                         "float[batch, m, 33] z) <\n"
                      << literal("a", a) << ",\n"
                      << literal("b", b) << ",\n"
                      << literal("c", c)
                      << "\n> {\n  s = MatMul(x, a)\n  h = Relu(s)\n  y = MatMul(h, b)\n  z = MatMul(x, c)\n}\n";
  for (const char *tile : {"", "block=64,depth=64", "depth=32"}) { // 64, 128 rows; k whole, in parts of 2 tiles, of 1
    SCOPED_TRACE(std::string("--tile=") + tile);
    CompileOptions options;
    options.precision = "bf16";
    options.tile = tile;
    CompiledModel model(path, onTiles(options));
    ASSERT_TRUE(model.ok());
    for (auto [batch, m] : {std::pair(1, 1), {1, 16}, {1, 33}, {3, 48}, {1, 128}, {2, 97}, {5, 64}}) {
      Tensor x = randomF32(random, {batch, m, k});
      std::vector<double> before; // by one thread: not a bit depends on their number
      for (int threads : {1, 2, 3}) {
        Program program = model.open(threads);
        auto results = program.run({x});
        ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());
        if (before.empty())
          before = (*results)[0].reals;
        ASSERT_EQ((*results)[0].reals, before) << batch << " x " << m << ", " << threads << " threads";
        for (int64_t row = 0; row < batch * m; ++row) {
          auto times = [](const std::vector<double> &left, const Tensor &w, double *size = nullptr) {
            std::vector<double> sums(w.shape[1]);
            for (int64_t j = 0; j < w.shape[1]; ++j)
              for (size_t l = 0; l < left.size(); ++l) {
                sums[j] += roundToBF16(left[l]) * roundToBF16(w.reals[l * w.shape[1] + j]);
                if (size)
                  *size = std::max(*size, std::fabs(left[l] * w.reals[l * w.shape[1] + j]));
              }
            return sums;
          };
          std::vector<double> left(x.reals.begin() + row * k, x.reals.begin() + (row + 1) * k), h = times(left, a);
          for (double &value : h)
            value = std::max(value, 0.0);
          double largest = 0;
          std::vector<double> y = times(h, b, &largest), z = times(left, c);
          for (int64_t j = 0; j < n; ++j) {
            // A hidden number near the middle of two of bf16 may go the other way.
            ASSERT_NEAR((*results)[0].reals[row * n + j], y[j], 8 * largest * 0x1p-8)
                << batch << " x " << m << ", " << threads << " threads, row " << row;
            ASSERT_NEAR((*results)[1].reals[row * n + j], z[j], 1e-4)
                << batch << " x " << m << ", " << threads << " threads, row " << row;
          }
        }
      }
    }
  }
}

} // namespace
