/// Products by codes on a grid per group of inputs, compiled.
#include "lib/numerics/Groups.h"
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

enum class Offsets { None, Zeros, EqualZeros, HalfMinima, Minima };

struct Shape {
  int64_t k, n;
  int bits;
  int64_t group;
  Offsets offsets;
  bool halves; // scales that f16 holds
};

/// y = x w^T of random codes, scales and offsets, with a bias.
struct Layer {
  Shape shape;
  int zeroPoint = 0;
  std::vector<uint32_t> codes;
  std::vector<float> scales, minima, bias;
  std::vector<uint8_t> zeros;
  std::mt19937 random;

  int64_t k() const { return shape.k; }
  int64_t n() const { return shape.n; }
  int64_t groups() const { return (k() + shape.group - 1) / shape.group; }

  Layer(const Shape &shape, unsigned seed) : shape(shape), random(seed) {
    std::normal_distribution<float> normal(0, 0.02f);
    int levels = 1 << shape.bits;
    codes.assign(n() * numerics::rowWords(k(), shape.bits), 0);
    for (int64_t r = 0; r < n(); ++r) {
      uint32_t *row = &codes[r * numerics::rowWords(k(), shape.bits)];
      for (int64_t j = 0; j < k(); ++j)
        numerics::putCode(row, shape.bits, j, random() >> (32 - shape.bits));
      bias.push_back(normal(random));
    }
    if (shape.offsets == Offsets::None)
      zeroPoint = seed % 3 == 0 ? 1 : levels / 2;
    for (int64_t i = 0; i < n() * groups(); ++i) {
      float scale = normal(random);
      scales.push_back(shape.halves ? float(_Float16(scale)) : scale);
      if (shape.offsets == Offsets::Zeros)
        zeros.push_back(random() % (levels + 1)); // one more than a code can be
      else if (shape.offsets == Offsets::EqualZeros)
        zeros.push_back(levels / 2 - 1);
      else if (shape.offsets == Offsets::Minima)
        minima.push_back(-scale * levels * normal(random) * 25);
      else if (shape.offsets == Offsets::HalfMinima)
        minima.push_back(float(_Float16(-scale * levels / 2)));
    }
  }

  numerics::GroupedWeight weight() const {
    return {n(),
            k(),
            shape.bits,
            shape.group,
            zeroPoint,
            codes.data(),
            scales.data(),
            minima.empty() ? nullptr : minima.data(),
            zeros.empty() ? nullptr : zeros.data()};
  }

  template <typename T> static std::string hex(const std::vector<T> &values) {
    std::ostringstream os;
    os << "\"0x";
    auto *bytes = reinterpret_cast<const unsigned char *>(values.data());
    for (size_t i = 0; i < values.size() * sizeof(T); ++i)
      os << "0123456789ABCDEF"[bytes[i] / 16]
         << "0123456789ABCDEF"[bytes[i] % 16];
    return os.str() + "\"";
  }
  static std::string matrix(int64_t rows, int64_t columns,
                            const char *element) {
    return "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) +
           "x" + element + ">";
  }

  std::string typeOfX() const {
    return "tensor<?x" + std::to_string(k()) + "xf32>";
  }
  std::string typeOfY() const {
    return "tensor<?x" + std::to_string(n()) + "xf32>";
  }
  static std::string port(const std::string &name, int64_t size) {
    return " {sq.name = \"" + name + "\", sq.dims = [\"N\", \"" +
           std::to_string(size) + "\"], sq.dtype = \"f32\"}";
  }

  /// %y and `id`: the product of %x with the bias.
  void write(std::ostream &os, const std::string &id) const {
    std::string x = typeOfX(), y = typeOfY();
    std::string c = matrix(n(), numerics::rowWords(k(), shape.bits), "i32"),
                s = matrix(n(), groups(), "f32"), o;
    auto constant = [&](const char *name, const std::string &data,
                        const std::string &type) {
      os << "  %" << name << id << " = arith.constant dense<" << data
         << "> : " << type << "\n";
    };
    os << "  %i" << id << " = tensor.empty(%rows) : " << y << "\n";
    constant("c", hex(codes), c);
    constant("s", hex(scales), s);
    constant("b", hex(bias), "tensor<" + std::to_string(n()) + "xf32>");
    if (!zeros.empty())
      constant("o", hex(zeros), o = matrix(n(), groups(), "i8"));
    else if (shape.offsets == Offsets::HalfMinima)
      constant("o", hex(std::vector<_Float16>(minima.begin(), minima.end())),
               o = matrix(n(), groups(), "f16"));
    else if (!minima.empty())
      constant("o", hex(minima), o = s);
    os << "  %m" << id << " = sq.grouped_matmul ins(%x, %c" << id << ", %s"
       << id << (o.empty() ? "" : ", %o" + id) << " : " << x << ", " << c
       << ", " << s << (o.empty() ? "" : ", ") << o << ") outs(%i" << id
       << " : " << y << ") {bits = " << shape.bits
       << " : i64, group_size = " << shape.group
       << " : i64, zero_point = " << zeroPoint << " : i64} -> " << y << "\n  %y"
       << id
       << " = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, "
          "d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> "
          "(d0, d1)>], iterator_types = [\"parallel\", \"parallel\"]} ins(%m"
       << id << ", %b" << id << " : " << y << ", tensor<" << n()
       << "xf32>) outs(%i" << id << " : " << y
       << ") {\n  ^bb0(%p0: f32, %p1: f32, %p2: f32):\n"
       << "    %q = arith.addf %p0, %p1 : f32\n    linalg.yield %q : f32\n  } "
          "-> "
       << y << "\n";
  }

  std::string text() const { return textOf({this}); }

  /// Several of one x.
  static std::string textOf(const std::vector<const Layer *> &layers) {
    std::ostringstream os, results, values, types;
    for (size_t i = 0; i < layers.size(); ++i) {
      const char *comma = i ? ", " : "";
      results << comma << layers[i]->typeOfY()
              << port("y" + std::to_string(i), layers[i]->n());
      values << comma << "%y" << i;
      types << comma << layers[i]->typeOfY();
    }
    std::string x = layers[0]->typeOfX();
    os << "func.func @main(%x: " << x << port("x", layers[0]->k()) << ") -> ("
       << results.str() << ") {\n"
       << "  %zero = arith.constant 0 : index\n  %rows = tensor.dim %x, %zero "
          ": "
       << x << "\n";
    for (size_t i = 0; i < layers.size(); ++i)
      layers[i]->write(os, std::to_string(i));
    os << "  return " << values.str() << " : " << types.str() << "\n}\n";
    return os.str();
  }

  Tensor input(int64_t rows) {
    Tensor x = Tensor::zeros(DType::F32, {rows, k()});
    std::normal_distribution<float> normal;
    for (double &value : x.reals)
      value = normal(random);
    return x;
  }

  /// The sums without bias, and for each the sizes of what is added up: codes
  /// times scales, and offsets.
  std::vector<double> expected(const Tensor &x, bool bytes,
                               std::vector<double> &sizes) const {
    std::vector<float> floats(x.reals.begin(), x.reals.end());
    int64_t m = x.shape[0];
    numerics::GroupedWeight w = weight();
    sizes.assign(m * n(), 0);
    for (int64_t c = 0; c < n(); ++c)
      for (int64_t j = 0; j < k(); ++j) {
        int64_t at = c * groups() + j / shape.group;
        double most = std::fabs(scales[at]) * (1 << shape.bits) +
                      (minima.empty() ? std::fabs(scales[at]) * w.zeroOf(at)
                                      : std::fabs(minima[at]));
        for (int64_t r = 0; r < m; ++r)
          sizes[r * n() + c] += std::fabs(x.reals[r * k() + j]) * most;
      }
    return bytes ? numerics::groupedByteProduct(floats.data(), m, w)
                 : numerics::groupedProduct(floats.data(), m, w);
  }
};

/// All widths, groups below and above a vector and a block, whole rows, and
/// last groups that are not full.
const Shape shapes[] = {{1, 1, 4, 16, Offsets::None, true},
                        {31, 17, 3, 16, Offsets::Zeros, true},
                        {130, 49, 4, 32, Offsets::None, true},
                        {512, 16, 3, 32, Offsets::HalfMinima, true},
                        {545, 53, 3, 16, Offsets::Zeros, false},
                        {1000, 101, 4, 64, Offsets::Minima, false},
                        {700, 21, 2, 32, Offsets::Zeros, true},
                        {640, 48, 4, 16, Offsets::HalfMinima, true},
                        {1100, 37, 2, 128, Offsets::None, true},
                        {768, 50, 4, 128, Offsets::Zeros, true},
                        {1300, 35, 4, 256, Offsets::Minima, true},
                        {1400, 19, 3, 1024, Offsets::None, false},
                        {300, 33, 4, 300, Offsets::HalfMinima, true},
                        {100, 20, 2, 4096, Offsets::EqualZeros, true},
                        {2080, 30, 3, 64, Offsets::EqualZeros, true},
                        {520, 18, 2, 16, Offsets::None, true}};

void check(const char *activations, std::vector<const char *> levels) {
  bool bytes = std::string(activations) == "int8";
  unsigned seed = 0;
  for (const Shape &shape : shapes) {
    Layer layer(shape, ++seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + " k " +
                 std::to_string(shape.k) + " n " + std::to_string(shape.n) +
                 " bits " + std::to_string(shape.bits) + " group " +
                 std::to_string(shape.group));
    TemporaryDirectory directory;
    std::string path = directory.file("layer.mlir");
    std::ofstream(path) << layer.text();
    CompileOptions options;
    options.activations = activations;
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok());
    for (int64_t rows : {1, 2, 3, 4, 7, 8, 9, 70}) {
      Tensor x = layer.input(rows);
      std::vector<double> sizes, want = layer.expected(x, bytes, sizes), first;
      for (const char *level : levels) {
        for (int threads : {1, 3}) {
          Program program = model.open(threads, level);
          auto y = program.run({x});
          ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
          if (threads == 1)
            first = (*y)[0].reals;
          ASSERT_EQ((*y)[0].reals, first)
              << level << ": bits depend on " << threads << " threads";
        }
        double error = 0, power = 0;
        for (size_t i = 0; i < want.size(); ++i) {
          // Of products with roundings of 2^-24 of partial sums, which are no
          // longer than `sizes`, and mostly cancel.
          double sum = want[i] + layer.bias[i % layer.n()];
          ASSERT_NEAR(first[i], sum, std::ldexp(1.0, -22) * sizes[i] + 1e-7)
              << level << " rows " << rows << " row " << i / layer.n()
              << " column " << i % layer.n();
          error += (first[i] - sum) * (first[i] - sum), power += sum * sum;
        }
        EXPECT_LT(error, 1e-11 * power)
            << level << " rows " << rows; // 2^-18 of a result
      }
    }
  }
}

TEST(Groups, InFloats) { check("f32", {"x86-64-v3", "avx512", "vnni", "amx"}); }

TEST(Groups, InBytes) { check("int8", {"x86-64-v3", "avx512", "vnni", "amx"}); }

/// Layers of one x share its bytes and, where their groups are alike, the sums
/// of these.
TEST(Groups, OfOneInput) {
  std::vector<Layer> layers;
  for (const Shape &shape : {Shape{320, 24, 4, 32, Offsets::None, true},
                             Shape{320, 8, 4, 32, Offsets::Zeros, true},
                             Shape{320, 33, 2, 32, Offsets::Zeros, true},
                             Shape{320, 16, 4, 64, Offsets::HalfMinima, true}})
    layers.emplace_back(shape, 3 + layers.size());
  TemporaryDirectory directory;
  std::string path = directory.file("layers.mlir");
  std::ofstream(path) << Layer::textOf(
      {&layers[0], &layers[1], &layers[2], &layers[3]});
  CompiledModel model(path);
  ASSERT_TRUE(model.ok());
  for (int64_t rows : {1, 20}) {
    Tensor x = layers[0].input(rows);
    auto y = model.open(2).run({x});
    ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
    for (size_t l = 0; l < layers.size(); ++l) {
      std::vector<double> sizes,
          want = layers[l].expected(x, /*bytes=*/true, sizes);
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR((*y)[l].reals[i],
                    want[i] + layers[l].bias[i % layers[l].n()],
                    std::ldexp(1.0, -22) * sizes[i] + 1e-7)
            << "layer " << l;
    }
  }
}

/// Groups that no kernel has are decoded, and compute the same.
TEST(Groups, OddSizes) {
  for (int64_t group : {1, 8, 24, 100}) {
    Layer layer({250, 33, 4, group, Offsets::Minima, true}, group);
    SCOPED_TRACE("group " + std::to_string(group));
    TemporaryDirectory directory;
    std::string path = directory.file("layer.mlir");
    std::ofstream(path) << layer.text();
    CompiledModel model(path);
    ASSERT_TRUE(model.ok());
    Tensor x = layer.input(3);
    std::vector<double> sizes, want = layer.expected(x, /*bytes=*/false, sizes);
    auto y = model.open(1).run({x});
    ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR((*y)[0].reals[i], want[i] + layer.bias[i % layer.n()],
                  std::ldexp(1.0, -22) * sizes[i]);
  }
}

/// A value that is no number, in one row only, stays in it.
TEST(Groups, NotANumber) {
  Layer layer({200, 20, 4, 32, Offsets::Zeros, true}, 9);
  TemporaryDirectory directory;
  std::string path = directory.file("layer.mlir");
  std::ofstream(path) << layer.text();
  for (const char *activations : {"f32", "int8"})
    for (int64_t rows : {3, 12}) {
      CompileOptions options;
      options.activations = activations;
      CompiledModel model(path, options);
      ASSERT_TRUE(model.ok());
      Tensor x = layer.input(rows);
      x.reals[layer.k() + 5] = std::nan("");
      auto y = model.open(1).run({x});
      ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < layer.n(); ++c)
          EXPECT_EQ(std::isnan((*y)[0].reals[r * layer.n() + c]), r == 1)
              << activations << " row " << r << " column " << c;
    }
}

} // namespace
