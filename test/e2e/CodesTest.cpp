/// Products by codes into tables, with and without a sparse rest, compiled.
#include "lib/numerics/Codes.h"
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

/// y = x w^T of random codes, tables and sparse entries.
struct Layer {
  int64_t k, n;
  int bits;
  bool hasBias;
  std::vector<uint32_t> codes;
  std::vector<_Float16> halves; // of the tables
  std::vector<float> tables, bias;
  numerics::SparseRows sparse;
  std::mt19937 random;

  /// `density` of 2: row 1 is full, the others are empty; 0: no sparse matrix.
  Layer(int64_t k, int64_t n, int bits, double density, unsigned seed)
      : k(k), n(n), bits(bits), hasBias(seed % 2), random(seed) {
    std::normal_distribution<float> normal(0, 0.02f);
    codes.assign(n * numerics::rowWords(k, bits), 0);
    for (int64_t r = 0; r < n; ++r)
      for (int64_t j = 0; j < k; ++j)
        numerics::putCode(&codes[r * numerics::rowWords(k, bits)], bits, j,
                          random() >> (32 - bits));
    for (int64_t r = 0; r < n; ++r) {
      std::vector<_Float16> row;
      for (int i = 0; i < 1 << bits; ++i)
        row.push_back(static_cast<_Float16>(normal(random)));
      std::sort(row.begin(), row.end());
      halves.insert(halves.end(), row.begin(), row.end());
    }
    tables.assign(halves.begin(), halves.end());
    for (int64_t r = 0; r < n; ++r)
      bias.push_back(normal(random));
    sparse.rowPtr = {0};
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t j = 0; j < k; ++j)
        if (density == 2 ? r == 1 : random() < density * 4294967295.0) {
          sparse.columns.push_back(j);
          sparse.values.push_back(static_cast<_Float16>(5 * normal(random)));
        }
      sparse.rowPtr.push_back(sparse.columns.size());
    }
  }

  bool isSparse() const { return !sparse.columns.empty(); }

  template <typename T> static std::string hex(const std::vector<T> &values) {
    std::ostringstream os;
    os << "\"0x" << std::hex << std::uppercase;
    auto *bytes = reinterpret_cast<const unsigned char *>(values.data());
    for (size_t i = 0; i < values.size() * sizeof(T); ++i)
      os << "0123456789ABCDEF"[bytes[i] / 16]
         << "0123456789ABCDEF"[bytes[i] % 16];
    return os.str() + "\"";
  }

  std::string text() const {
    std::ostringstream os;
    int64_t words = numerics::rowWords(k, bits), entries = int64_t(1) << bits;
    std::string x = "tensor<?x" + std::to_string(k) + "xf32>",
                y = "tensor<?x" + std::to_string(n) + "xf32>";
    std::string c = "tensor<" + std::to_string(n) + "x" +
                    std::to_string(words) + "xi32>",
                t = "tensor<" + std::to_string(n) + "x" +
                    std::to_string(entries) + "xf16>",
                w = "tensor<" + std::to_string(n) + "x" + std::to_string(k) +
                    "xf16>";
    os << "func.func @main(%x: " << x
       << " {sq.name = \"x\", sq.dims = [\"N\", \"" << k
       << "\"], sq.dtype = \"f32\"}) -> (" << y
       << " {sq.name = \"y\", sq.dims = [\"N\", \"" << n
       << "\"], sq.dtype = \"f32\"}) {\n"
       << "  %zero = arith.constant 0 : index\n  %rows = tensor.dim %x, %zero "
          ": "
       << x << "\n  %init = tensor.empty(%rows) : " << y
       << "\n  %c = arith.constant dense<" << hex(codes) << "> : " << c
       << "\n  %t = arith.constant dense<" << hex(halves) << "> : " << t
       << "\n";
    if (isSparse()) {
      bool isLong = k > 65536; // columns take more than 16 bits
      std::vector<uint16_t> columns(sparse.columns.begin(),
                                    sparse.columns.end());
      std::vector<_Float16> values(sparse.values.begin(), sparse.values.end());
      std::string count = std::to_string(columns.size());
      std::string types = "tensor<" + std::to_string(n + 1) + "xi32>, tensor<" +
                          count + (isLong ? "xi32>" : "xi16>") + ", tensor<" +
                          count + "xf16>";
      os << "  %p = arith.constant dense<" << hex(sparse.rowPtr)
         << "> : tensor<" << n + 1 << "xi32>\n  %l = arith.constant dense<"
         << (isLong ? hex(sparse.columns) : hex(columns)) << "> : tensor<"
         << count << (isLong ? "xi32>" : "xi16>")
         << "\n  %v = arith.constant dense<" << hex(values) << "> : tensor<"
         << count << "xf16>\n  %s = sq.csr %p, %l, %v : " << types << " -> "
         << w
         << "\n  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : " << x
         << ", " << c << ", " << t << ", " << w;
    } else {
      os << "  %y = sq.lut_matmul ins(%x, %c, %t : " << x << ", " << c << ", "
         << t;
    }
    os << ") outs(%init : " << y << ") -> " << y << "\n";
    if (hasBias)
      os << "  %b = arith.constant dense<" << hex(bias) << "> : tensor<" << n
         << "xf32>\n"
         << "  %z = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> "
            "(d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> "
            "(d0, d1)>], iterator_types = [\"parallel\", \"parallel\"]} "
            "ins(%y, %b : "
         << y << ", tensor<" << n << "xf32>) outs(%init : " << y
         << ") {\n  ^bb0(%p0: f32, %p1: f32, %p2: f32):\n"
         << "    %q = arith.addf %p0, %p1 : f32\n    linalg.yield %q : f32\n  "
            "} -> "
         << y << "\n";
    os << "  return " << (hasBias ? "%z" : "%y") << " : " << y << "\n}\n";
    return os.str();
  }

  Tensor input(int64_t rows) {
    Tensor x = Tensor::zeros(DType::F32, {rows, k});
    std::normal_distribution<float> normal;
    for (double &value : x.reals)
      value = normal(random);
    return x;
  }

  const numerics::SparseRows *rest() const {
    return isSparse() ? &sparse : nullptr;
  }

  /// The sums in float64, or as products of bytes are defined; without bias.
  std::vector<double> expected(const Tensor &x, bool bytes) const {
    std::vector<float> floats(x.reals.begin(), x.reals.end());
    int64_t m = x.shape[0];
    if (!bytes)
      return numerics::codedProduct(floats.data(), m, codes.data(),
                                    tables.data(), n, k, bits, rest());
    std::vector<float> y = numerics::codedByteProduct(
        floats.data(), m, codes.data(), tables.data(), n, k, bits, rest());
    return {y.begin(), y.end()};
  }
};

struct Shape {
  int64_t k, n;
  int bits;
  double density;
};

/// Depths are no multiples of 32, 128 or 512, or are; columns odd; sparse rows
/// empty, one of them full, none at all.
const Shape shapes[] = {{1, 1, 4, 0},       {31, 17, 3, 0},  {130, 49, 4, 0.05},
                        {512, 16, 3, 0.01}, {545, 53, 3, 2}, {1000, 101, 4, 2},
                        {700, 21, 2, 0.1}};

/// On all levels, or on emulated tiles of AMX.
void check(const char *activations, bool emulate = false) {
  bool bytes = std::string(activations) == "int8";
  unsigned seed = 0;
  for (const Shape &shape : shapes) {
    Layer layer(shape.k, shape.n, shape.bits, shape.density, ++seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + " k " +
                 std::to_string(shape.k) + " n " + std::to_string(shape.n) +
                 " bits " + std::to_string(shape.bits));
    TemporaryDirectory directory;
    std::string path = directory.file("layer.mlir");
    std::ofstream(path) << layer.text();
    CompileOptions options;
    options.activations = activations;
    options.emulateAmx = emulate;
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok());
    std::vector<int64_t> counts = {1, 2, 3, 7, 8, 9, 33, 100, 512};
    std::vector<const char *> levels = {"x86-64-v3", "avx512", "vnni", "amx"};
    if (emulate) {
      counts = {1, 9, 70};
      levels = {"amx"};
    }
    for (int64_t rows : counts) {
      Tensor x = layer.input(rows);
      std::vector<double> want = layer.expected(x, bytes);
      std::vector<double> first;
      for (const char *level : levels) {
        for (int threads : {1, 2, 3}) {
          Program program = model.open(threads, level);
          auto y = program.run({x});
          ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
          if (threads == 1)
            first = (*y)[0].reals;
          ASSERT_EQ((*y)[0].reals, first)
              << level << ": bits depend on " << threads << " threads";
        }
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < layer.n; ++c) {
            // Of k products with roundings of 2^-24 each, which cancel as
            // sqrt(k) steps at random do.
            double sizes = 0;
            for (int64_t j = 0; j < layer.k; ++j)
              sizes += std::fabs(x.reals[r * layer.k + j]) * 0.08;
            double bound =
                4 * std::ldexp(1.0, -24) * std::sqrt(double(layer.k)) * sizes +
                1e-6;
            double sum =
                want[r * layer.n + c] + (layer.hasBias ? layer.bias[c] : 0);
            ASSERT_NEAR(first[r * layer.n + c], sum, bound)
                << level << " rows " << rows << " row " << r << " column " << c;
          }
      }
    }
  }
}

TEST(Codes, InFloats) { check("f32"); }

TEST(Codes, InBytes) { check("int8"); }

TEST(Codes, OnEmulatedTiles) {
  if (!runsTiles())
    GTEST_SKIP() << "the code around the tiles needs AVX-512 with VNNI, which "
                    "this CPU lacks";
  check("int8", /*emulate=*/true);
}

TEST(Codes, BytesAreNearFloats) {
  Layer layer(1024, 64, 4, 0.005, 5);
  Tensor x = layer.input(4);
  std::vector<double> exact = layer.expected(x, false),
                      rounded = layer.expected(x, true);
  double error = 0, signal = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error += (exact[i] - rounded[i]) * (exact[i] - rounded[i]);
    signal += exact[i] * exact[i];
  }
  EXPECT_LT(error / signal, 1e-3); // x in steps of max / 127, some 3 sigma /
                                   // 127: 1 / 12 (3 / 127)^2 of its power
}

/// More columns than 16 bits number; beyond that, products stay in floats
/// whatever is asked for.
TEST(Codes, LongRows) {
  Layer layer(66000, 3, 2, 0.001, 4);
  TemporaryDirectory directory;
  std::string path = directory.file("layer.mlir");
  std::ofstream(path) << layer.text();
  CompiledModel model(path);
  ASSERT_TRUE(model.ok());
  for (int64_t rows : {2, 9}) {
    Tensor x = layer.input(rows);
    std::vector<double> want = layer.expected(x, /*bytes=*/false);
    auto y = model.open(1).run({x});
    ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
    // 66000 products of some 0.8 x 0.02, with roundings of 2^-24 each that
    // cancel like steps at random.
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR((*y)[0].reals[i], want[i],
                  4 * std::ldexp(1.0, -24) * 257 * 66000 * 0.016)
          << rows << " rows, element " << i;
  }
}

/// Weights in memory of the module's own are the same weights.
TEST(Codes, CopiedWeights) {
  Layer layer(640, 50, 3, 0.02, 3);
  TemporaryDirectory directory;
  std::string path = directory.file("layer.mlir");
  std::ofstream(path) << layer.text();
  CompiledModel model(path);
  ASSERT_TRUE(model.ok());
  Tensor x = layer.input(2);
  auto mapped = model.open(1).run({x});
  setenv("SQ_WEIGHTS", "copied", 1);
  auto copied = model.open(1).run({x});
  unsetenv("SQ_WEIGHTS");
  ASSERT_TRUE(mapped && copied);
  EXPECT_EQ((*mapped)[0].reals, (*copied)[0].reals);
}

/// A value that is no number, in one row only, stays in it.
TEST(Codes, NotANumber) {
  Layer layer(200, 20, 4, 0.02, 9);
  TemporaryDirectory directory;
  std::string path = directory.file("layer.mlir");
  std::ofstream(path) << layer.text();
  for (const char *activations : {"f32", "int8"}) {
    CompileOptions options;
    options.activations = activations;
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok());
    Tensor x = layer.input(3);
    x.reals[layer.k + 5] = std::nan("");
    auto y = model.open(1).run({x});
    ASSERT_TRUE(bool(y)) << llvm::toString(y.takeError());
    for (int64_t r = 0; r < 3; ++r)
      for (int64_t c = 0; c < layer.n; ++c)
        EXPECT_EQ(std::isnan((*y)[0].reals[r * layer.n + c]), r == 1)
            << activations << " row " << r << " column " << c;
  }
}

} // namespace
