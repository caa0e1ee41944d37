/// Every integer op, compiled and run, against lib/numerics: equal bit for bit, on random and
/// extreme inputs, at each CPU level and number of threads.
#include "lib/numerics/Elementwise.h"
#include "lib/numerics/IntegerNorm.h"
#include "lib/numerics/IntegerPiecewise.h"
#include "lib/numerics/IntegerSoftmax.h"
#include "lib/numerics/IntegerSqrt.h"
#include "test/e2e/Models.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <fstream>
#include <functional>
#include <sstream>

using namespace sq;
using namespace sq::test;
using namespace sq::numerics;
using Row = std::vector<int64_t>;
using Kind = IntegerSigmoid::Kind;

namespace {

//===----------------------------------------------------------------------===//
// A model of one op
//===----------------------------------------------------------------------===//

std::string list(const char *type, const std::vector<int64_t> &values) {
  std::ostringstream os;
  os << "array<" << type;
  for (size_t i = 0; i < values.size(); ++i)
    os << (i ? ", " : ": ") << values[i];
  os << ">";
  return os.str();
}

std::string exponentialAttributes(const IntegerExp &e) {
  std::ostringstream os;
  os << "exp_shift = " << e.u << " : i64, ln2 = " << e.ln2 << " : i64, exp_b = " << e.b << " : i64, exp_c = " << e.c
     << " : i64";
  return os.str();
}

struct Argument {
  const char *name;
  std::string shape; // "?x8x"
  const char *type;  // of IR
  const char *dtype; // of ONNX
};

/// @main of `op`, whose operands are the arguments %x, ... and whose result is like `shape`, with
/// as many leading unknown dims as the first argument.
std::string model(const std::vector<Argument> &arguments, const std::string &op, const std::string &shape,
                  const char *type, const char *dtype) {
  std::ostringstream os;
  os << "func.func @main(";
  for (size_t i = 0; i < arguments.size(); ++i)
    os << (i ? ", " : "") << "%" << arguments[i].name << ": tensor<" << arguments[i].shape << arguments[i].type
       << "> {sq.name = \"" << arguments[i].name << "\", sq.dtype = \"" << arguments[i].dtype << "\"}";
  os << ") -> (tensor<" << shape << type << "> {sq.name = \"y\", sq.dtype = \"" << dtype << "\"}) {\n";
  std::string sizes;
  for (size_t d = 0, at = 0; (at = shape.find('?', at)) != std::string::npos; ++d, ++at) {
    os << "  %c" << d << " = arith.constant " << d << " : index\n  %d" << d << " = tensor.dim %" << arguments[0].name
       << ", %c" << d << " : tensor<" << arguments[0].shape << arguments[0].type << ">\n";
    sizes += (d ? ", %d" : "%d") + std::to_string(d);
  }
  os << "  %e = tensor.empty(" << sizes << ") : tensor<" << shape << type << ">\n  %y = " << op << "\n  return %y : tensor<"
     << shape << type << ">\n}\n";
  return os.str();
}

/// An op of one input [?, columns] and attributes.
std::string mapModel(const std::string &op, const char *from, const char *fromDtype, const char *to, const char *toDtype,
                     int64_t columns, const std::string &attributes) {
  std::string shape = "?x" + std::to_string(columns) + "x";
  std::string text = op + " ins(%x : tensor<" + shape + from + ">) outs(%e : tensor<" + shape + to + ">) {" + attributes +
                     "} -> tensor<" + shape + to + ">";
  return model({{"x", shape, from, fromDtype}}, text, shape, to, toDtype);
}

/// The emulated GPU of test/cuda/emulator: the runtime opens "libcuda.so.1", which is then there.
void useEmulator() {
  static void *driver = dlopen(SQ_BINARY_DIR "/test/cuda/lib/libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  ASSERT_NE(driver, nullptr) << dlerror();
}

enum class Where { Host, Cuda, EmulatedTiles };

/// Compiles once for every level of the host, and runs every feed at the lowest and the best of this
/// machine, with one and two threads, and at what is without AMX; or for the emulated GPU, or with emulated AMX.
void check(const std::string &text, const std::vector<Feed> &feeds,
           const std::function<Row(const Feed &)> &expected, Where where = Where::Host) {
  TemporaryDirectory directory;
  std::string path = directory.file("model.mlir");
  std::ofstream(path) << text;
  CompileOptions options;
  options.threads = 1;
  if (where == Where::Cuda) {
    useEmulator();
    setenv("SQ_FAKE_CUDA_CC", "90", 1); // asked once in a process, as in CudaTest.cpp
    options.cuda = {"sm_90"};
    options.emulateCuda = true;
  }
  if (where == Where::EmulatedTiles)
    options = onTiles(options, /*emulate=*/true);
  CompiledModel compiled(path, options);
  ASSERT_TRUE(compiled.ok()) << text;
  std::vector<std::pair<int, const char *>> ways = {{1, nullptr}};
  if (where == Where::Host)
    ways = {{1, "x86-64-v3"}, {2, "x86-64-v3"}, {1, "vnni"}, {1, nullptr}, {2, nullptr}};
  for (auto [threads, cpu] : ways) {
    Program program = compiled.open(threads, cpu);
    for (const Feed &feed : feeds) {
      Tensor actual = runFirst(program, feed);
      Row wanted = expected(feed);
      ASSERT_EQ(actual.integers.size(), wanted.size());
      for (size_t i = 0; i < wanted.size(); ++i)
        ASSERT_EQ(actual.integers[i], wanted[i])
            << "element " << i << ", " << threads << " threads, " << (cpu ? cpu : "best level") << "\n" << text;
    }
  }
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

DType dtypeOf(int bits, bool isUnsigned) {
  return bits == 8 ? (isUnsigned ? DType::U8 : DType::I8) : bits == 16 ? (isUnsigned ? DType::U16 : DType::I16)
                                                                       : (isUnsigned ? DType::U32 : DType::I32);
}

/// Values of all magnitudes within `range`, and its ends.
Tensor values(Random &random, DType type, Shape shape, IntegerRange range) {
  Tensor x = Tensor::zeros(type, std::move(shape));
  for (int64_t &value : x.integers)
    switch (random.integer(0, 7)) {
    case 0:
      value = random.integer(0, 1) ? range.lo : range.hi;
      break;
    case 1:
      value = range.clamp(random.integer(-3, 3));
      break;
    default:
      value = range.clamp(random.integer(range.lo, range.hi) >> random.integer(0, 24));
    }
  return x;
}

/// [rows, columns] of several heights, one of them without any.
std::vector<Feed> feeds(unsigned seed, int bits, bool isUnsigned, int64_t columns, int storage = 0) {
  Random random(seed);
  std::vector<Feed> all;
  for (int64_t rows : {0, 1, 2, 7, 33})
    all.push_back({{"x", values(random, dtypeOf(storage ? storage : bits, isUnsigned), {rows, columns},
                                IntegerRange::of(bits, isUnsigned))}});
  return all;
}

std::function<Row(const Feed &)> each(std::function<int64_t(int64_t, int64_t)> f, int64_t columns) {
  return [=](const Feed &feed) {
    Row y;
    for (int64_t q : feed.at("x").integers)
      y.push_back(f(q, y.size() % columns));
    return y;
  };
}

std::function<Row(const Feed &)> eachRow(std::function<Row(const Row &)> f, int64_t columns) {
  return [=](const Feed &feed) {
    Row y;
    const Row &x = feed.at("x").integers;
    for (size_t at = 0; at < x.size(); at += columns) {
      Row row = f(Row(x.begin() + at, x.begin() + at + columns));
      y.insert(y.end(), row.begin(), row.end());
    }
    return y;
  };
}

constexpr struct { const char *name; Rounding rounding; } roundings[] = {
    {"half_even", Rounding::HalfEven}, {"half_up", Rounding::HalfUp}, {"half_away", Rounding::HalfAway}};

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

TEST(Integer, Requantize) {
  const int64_t columns = 37;
  IntegerRange int8 = IntegerRange::of(8), uint8 = IntegerRange::of(8, true);
  for (auto [name, rounding] : roundings) {
    // Accumulators, a scale per channel: tiny, huge and negative ones among them.
    Random random(1);
    std::vector<Dyadic> scales;
    std::vector<int64_t> m, e;
    for (int64_t j = 0; j < columns; ++j) {
      double ratio = std::ldexp(1 + std::fabs(random.real()), -random.integer(5, 31)) * (j % 5 ? 1 : -1);
      scales.push_back(Dyadic::of(j == 3 ? 0x1p-70 : j == 4 ? 0x1p40 : j == 5 ? 0.5 : ratio).encodable());
      m.push_back(scales.back().m);
      e.push_back(scales.back().e);
    }
    std::string attributes = "rounding = \"" + std::string(name) + "\", multipliers = " + list("i32", m) +
                             ", exponents = " + list("i32", e);
    check(mapModel("sq.requantize", "i32", "i32", "i8", "i8", columns, attributes), feeds(2, 32, false, columns),
          each([&, rounding = rounding](int64_t q, int64_t j) { return scales[j].apply(q, int8, rounding); }, columns));
  }
  // One scale, zero points, unsigned.
  Dyadic d = Dyadic::of(0.37);
  std::string attributes = "multipliers = " + list("i32", {d.m}) + ", exponents = " + list("i32", {d.e}) +
                           ", x_unsigned, x_zero_point = 131 : i64, is_unsigned, zero_point = 7 : i64";
  auto expected = each([&](int64_t q, int64_t) {
    return uint8.clamp(d.apply(q - 131, {INT32_MIN, INT32_MAX}) + 7); }, columns);
  std::string text = mapModel("sq.requantize", "i8", "u8", "i8", "u8", columns, attributes);
  check(text, feeds(3, 8, true, columns), expected);
  check(text, feeds(3, 8, true, columns), expected, Where::Cuda);
}

TEST(Integer, RequantizedAdd) {
  const int64_t columns = 19;
  IntegerRange range = IntegerRange::of(22);
  std::vector<DyadicSum> sums;
  std::vector<int64_t> ma, mb, e;
  Random random(4);
  for (int64_t j = 0; j < columns; ++j) {
    sums.push_back(DyadicSum::of(2e-5 * (1 + j % 3), 0.031, 1e-5, 1 << 23, 128));
    ma.push_back(sums[j].a);
    mb.push_back(sums[j].b);
    e.push_back(sums[j].e);
  }
  std::string text = model({{"a", "?x19x", "i32", "i32"}, {"b", "?x19x", "i8", "i8"}},
                           "sq.requantized_add ins(%a, %b : tensor<?x19xi32>, tensor<?x19xi8>) outs(%e : tensor<?x19xi32>) "
                           "{a_bits = 24 : i64, bits = 22 : i64, a_multipliers = " + list("i64", ma) +
                               ", b_multipliers = " + list("i64", mb) + ", exponents = " + list("i32", e) +
                               "} -> tensor<?x19xi32>",
                           "?x19x", "i32", "i32");
  std::vector<Feed> all;
  for (int64_t rows : {1, 5, 40})
    all.push_back({{"a", values(random, DType::I32, {rows, columns}, IntegerRange::of(24))},
                   {"b", values(random, DType::I8, {rows, columns}, IntegerRange::of(8))}});
  auto expected = [&](const Feed &feed) {
    Row y;
    for (int64_t q : feed.at("a").integers)
      y.push_back(sums[y.size() % columns].apply(q, feed.at("b").integers[y.size()], range));
    return y;
  };
  check(text, all, expected);
  check(text, all, expected, Where::Cuda);

  // All pairs of 8-bit integers, in one scale, b broadcast.
  DyadicSum sum = DyadicSum::of(0.031, 0.0474, 0.0625, 128, 128);
  Feed pairs = {{"a", Tensor::zeros(DType::I8, {256, 256})}, {"b", Tensor::zeros(DType::I8, {1, 256})}};
  for (int64_t i = 0; i < 65536; ++i)
    pairs["a"].integers[i] = i / 256 - 128;
  for (int64_t i = 0; i < 256; ++i)
    pairs["b"].integers[i] = i - 128;
  check(model({{"a", "?x256x", "i8", "i8"}, {"b", "1x256x", "i8", "i8"}},
              "sq.requantized_add ins(%a, %b : tensor<?x256xi8>, tensor<1x256xi8>) outs(%e : tensor<?x256xi8>) "
              "{a_multipliers = " + list("i64", {sum.a}) + ", b_multipliers = " + list("i64", {sum.b}) +
                  ", exponents = " + list("i32", {sum.e}) + "} -> tensor<?x256xi8>",
              "?x256x", "i8", "i8"),
        {pairs}, [&](const Feed &) {
          Row y;
          for (int64_t i = 0; i < 65536; ++i)
            y.push_back(sum.apply(i / 256 - 128, i % 256 - 128, IntegerRange::of(8)));
          return y;
        });
}

std::string geluAttributes(const std::vector<IntegerGelu> &gelus) {
  std::vector<int64_t> limits, highs, ones, shifts, m, e;
  for (const IntegerGelu &g : gelus) {
    limits.push_back(g.b);
    highs.push_back(g.hi);
    ones.push_back(g.c);
    shifts.push_back(g.shift);
    m.push_back(g.out.m);
    e.push_back(g.out.e);
  }
  return "limits = " + list("i64", limits) + ", highs = " + list("i64", highs) + ", ones = " + list("i64", ones) +
         ", shifts = " + list("i32", shifts) + ", multipliers = " + list("i32", m) + ", exponents = " + list("i32", e);
}

TEST(Integer, Gelu) {
  const int64_t columns = 33;
  IntegerRange int8 = IntegerRange::of(8);
  // One scale; one per channel, from where c needs 36 bits to where it needs 7.
  IntegerGelu one = IntegerGelu::of(1e-4, 6.0 / 127, int8);
  auto expected = each([&](int64_t q, int64_t) { return one.apply(q, int8); }, columns);
  std::string text = mapModel("sq.int_gelu", "i32", "i32", "i8", "i8", columns, geluAttributes({one}));
  check(text, feeds(5, 32, false, columns), expected);
  check(text, feeds(5, 20, false, columns, 32), expected, Where::Cuda);
  std::vector<IntegerGelu> gelus;
  for (int64_t j = 0; j < columns; ++j)
    gelus.push_back(IntegerGelu::of(1e-5 * std::exp(j * 0.3), 6.0 / 127, int8));
  check(mapModel("sq.int_gelu", "i32", "i32", "i8", "i8", columns, geluAttributes(gelus)), feeds(6, 32, false, columns),
        each([&](int64_t q, int64_t j) { return gelus[j].apply(q, int8); }, columns));
  // 8 bits: a table.
  IntegerGelu coarse = IntegerGelu::of(8.0 / 127, 8.0 / 127, int8);
  check(mapModel("sq.int_gelu", "i8", "i8", "i8", "i8", columns, geluAttributes({coarse})), feeds(7, 8, false, columns),
        each([&](int64_t q, int64_t) { return coarse.apply(q, int8); }, columns));
}

TEST(Integer, Sigmoids) {
  const int64_t columns = 29;
  for (Kind kind : {Kind::Sigmoid, Kind::Tanh, Kind::Silu})
    for (int bits : {8, 16, 32}) {
      IntegerRange range = IntegerRange::of(bits == 8 ? 8 : 16);
      double scale = bits == 8 ? 8.0 / 127 : bits == 16 ? 1e-3 : 1e-5;
      IntegerSigmoid s = IntegerSigmoid::of(kind, scale, (kind == Kind::Silu ? 12.0 : 1.0) / range.hi, range);
      std::string attributes = exponentialAttributes(s.exp) + ", multiplier = " + std::to_string(s.out.m) +
                               " : i32, exponent = " + std::to_string(s.out.e) + " : i32";
      if (kind == Kind::Silu)
        attributes += ", low = " + std::to_string(s.lo) + " : i64, high = " + std::to_string(s.hi) + " : i64";
      std::string from = "i" + std::to_string(bits), to = bits == 8 ? "i8" : "i16";
      const char *op = kind == Kind::Sigmoid ? "sq.int_sigmoid" : kind == Kind::Tanh ? "sq.int_tanh" : "sq.int_silu";
      std::string text = mapModel(op, from.c_str(), from.c_str(), to.c_str(), to.c_str(), columns, attributes);
      auto expected = each([&](int64_t q, int64_t) { return s.apply(q, range); }, columns);
      check(text, feeds(8, bits, false, columns), expected);
      if (bits == 32)
        check(text, feeds(8, bits, false, columns), expected, Where::Cuda);
    }
}

TEST(Integer, Lookup) {
  Table table;
  std::vector<int64_t> entries;
  std::string text;
  for (int i = 0; i < 256; ++i) {
    table.push_back((i * 7919 + 13) % 65536 - 32768);
    text += (i ? ", " : "") + std::to_string(table.back());
  }
  check(mapModel("sq.lookup", "i8", "i8", "i16", "i16", 21, "table = dense<[" + text + "]> : tensor<256xi32>"),
        feeds(9, 8, false, 21), each([&](int64_t q, int64_t) { return table[uint8_t(q)]; }, 21));
}

TEST(Integer, Piecewise) {
  const int64_t columns = 37;
  auto attributes = [](const IntegerPiecewise &p, const std::string &rest) {
    auto wide = [](const std::vector<int32_t> &v) { return list("i32", Row(v.begin(), v.end())); };
    return "bases = " + wide(p.bases) + ", slopes = " + wide(p.slopes) + ", curves = " + wide(p.curves) + ", shift = " + std::to_string(p.shift) + " : i64" + rest;
  };
  IntegerPiecewise gelus = IntegerPiecewise::of(Parabolas::of(14.0 / 8191, 2340, gelu), 10.2 / 255, 4);
  IntegerRange bytes = IntegerRange::of(8, true), words = IntegerRange::of(16);
  auto expected = each([&](int64_t q, int64_t) { return gelus.apply(q, bytes); }, columns);
  std::string text = mapModel("sq.int_piecewise", "i16", "u16", "i8", "u8", columns, attributes(gelus, ", is_unsigned"));
  check(text, feeds(25, 13, true, columns, 16), expected);
  check(text, feeds(25, 13, true, columns, 16), expected, Where::Cuda);
  IntegerPiecewise waves = IntegerPiecewise::of(Parabolas::of(0.001, 5000, [](double x) { return std::sin(3 * x); }), 1.0 / 32767, 0);
  check(mapModel("sq.int_piecewise", "i32", "i32", "i16", "i16", columns, attributes(waves, "")), feeds(26, 13, true, columns, 32),
        each([&](int64_t q, int64_t) { return waves.apply(q, words); }, columns));
}

TEST(Integer, Sqrt) {
  const int64_t columns = 17;
  auto expected = each([](int64_t q, int64_t) { return integerSqrt(q); }, columns);
  std::string text = mapModel("sq.int_sqrt", "i32", "u32", "i32", "u32", columns, "");
  std::vector<Feed> all = feeds(10, 32, true, columns);
  Tensor squares = Tensor::zeros(DType::U32, {3 * 65535, columns});
  for (int64_t k = 1; k < 65536; ++k)
    for (int64_t d = -1; d < 2; ++d)
      squares.integers[(3 * (k - 1) + d + 1) * columns + k % columns] = k * k + d;
  squares.integers[0] = 16785408;
  all.push_back({{"x", squares}});
  check(text, all, expected);
  check(mapModel("sq.int_sqrt", "i16", "u16", "i16", "u16", columns, ""), feeds(11, 16, true, columns), expected);
  Random random(12);
  Tensor wide = Tensor::zeros(DType::I64, {99, columns});
  for (int64_t &value : wide.integers)
    value = random.integer(0, INT64_MAX) >> random.integer(0, 62);
  std::string wideText = mapModel("sq.int_sqrt", "i64", "i64", "i64", "i64", columns, "");
  check(wideText, {{{"x", wide}}}, expected);
  check(wideText, {{{"x", wide}}}, expected, Where::Cuda);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

TEST(Integer, Softmax) {
  for (double scale : {0.05 * 0.05 / 8, 3e-6, 0.2})
    for (bool deferred : {false, true}) {
      IntegerExp exp = IntegerExp::of(scale);
      std::string text = model(
          {{"x", "?x?x", "i32", "i32"}},
          "sq.int_softmax ins(%x : tensor<?x?xi32>) outs(%e : tensor<?x?xi8>) {" + exponentialAttributes(exp) +
              (deferred ? ", deferred" : "") + "} -> tensor<?x?xi8>",
          "?x?x", "i8", "u8");
      std::vector<Feed> all;
      Random random(13);
      for (auto [rows, columns] : {std::pair(1, 1), {5, 8}, {3, 200}, {2, 5000}, {0, 4}, {4, 0}}) {
        Tensor x = values(random, DType::I32, {rows, columns}, IntegerRange::of(32));
        if (rows > 1)
          for (int64_t i = columns; i < x.size(); ++i)
            x.integers[i] = std::llrint(random.real() * 2 / scale); // rows after the first are likely ones
        all.push_back({{"x", x}});
      }
      auto expected = [&](const Feed &feed) {
        const Tensor &x = feed.at("x");
        if (x.size() == 0)
          return Row();
        return eachRow([&](const Row &row) {
          Row e = integerExpRow(exp, row, {});
          return deferred ? deferredProbabilities(exp, e) : probabilities(e);
        }, x.shape[1])(feed);
      };
      check(text, all, expected);
      if (scale == 0.2)
        check(text, all, expected, Where::Cuda);
    }
}

TEST(Integer, SoftmaxMasked) {
  IntegerExp exp = IntegerExp::of(4e-4);
  for (bool uniform : {false, true}) {
    std::string text =
        model({{"x", "?x?x?x", "i32", "i32"}, {"keep", "?x1x?x", "i1", "bool8"}},
              "sq.int_softmax ins(%x : tensor<?x?x?xi32>) keep(%keep : tensor<?x1x?xi1>) outs(%e : tensor<?x?x?xi8>) {" +
                  exponentialAttributes(exp) + (uniform ? ", fully_masked_uniform" : "") + "} -> tensor<?x?x?xi8>",
              "?x?x?x", "i8", "u8");
    Random random(14);
    const int64_t batch = 5, heads = 3, columns = 40;
    Feed feed = {{"x", values(random, DType::I32, {batch, heads, columns}, IntegerRange::of(16))},
                 {"keep", Tensor::zeros(DType::Bool, {batch, 1, columns})}};
    for (int64_t i = 0; i < batch * columns; ++i) // the second row keeps one, the third nothing
      feed["keep"].integers[i] = i / columns == 1 ? i % columns == 9 : i / columns == 2 ? 0 : random.integer(0, 1);
    auto expected = [&](const Feed &f) {
      Row y;
      for (int64_t row = 0; row < batch * heads; ++row) {
        auto x = f.at("x").integers.begin() + row * columns;
        auto keep = f.at("keep").integers.begin() + row / heads * columns;
        Row p = probabilities(integerExpRow(exp, Row(x, x + columns), std::vector<bool>(keep, keep + columns),
                                            uniform ? FullyMasked::Uniform : FullyMasked::Zeros));
        y.insert(y.end(), p.begin(), p.end());
      }
      return y;
    };
    check(text, {feed}, expected);
    check(text, {feed}, expected, Where::Cuda);
  }
}

TEST(Integer, Context) {
  const int64_t columns = 24;
  IntegerRange int8 = IntegerRange::of(8);
  Dyadic d = Dyadic::of(1.0 / 65536 * 0.8);
  std::string text = model({{"acc", "?x24x", "i32", "i32"}, {"p", "?x?x", "i8", "u8"}},
                           "sq.int_context ins(%acc, %p : tensor<?x24xi32>, tensor<?x?xi8>) outs(%e : tensor<?x24xi8>) "
                           "{multiplier = " + std::to_string(d.m) + " : i32, exponent = " + std::to_string(d.e) +
                               " : i32} -> tensor<?x24xi8>",
                           "?x24x", "i8", "i8");
  std::vector<Feed> all;
  Random random(15);
  for (auto [rows, length] : {std::pair(1, 1), {7, 30}, {3, 3000}}) {
    Feed feed = {{"acc", Tensor::zeros(DType::I32, {rows, columns})},
                 {"p", values(random, DType::U8, {rows, length}, IntegerRange::of(8, true))}};
    for (int64_t row = 0; row < rows; ++row) {
      auto p = feed["p"].integers.begin() + row * length;
      if (row == 2)
        std::fill(p, p + length, 0); // of a row that is masked as a whole
      int64_t sum = std::accumulate(p, p + length, int64_t(0));
      for (int64_t j = 0; j < columns; ++j)
        feed["acc"].integers[row * columns + j] = j < 2 ? (j ? 127 : -128) * sum : random.integer(-128 * sum, 127 * sum);
    }
    all.push_back(feed);
  }
  auto expected = [&](const Feed &feed) {
    Row y;
    const Tensor &p = feed.at("p");
    int64_t length = p.shape[1];
    for (int64_t acc : feed.at("acc").integers) {
      auto row = p.integers.begin() + static_cast<int64_t>(y.size()) / columns * length;
      y.push_back(d.apply(normalizeContext(acc, std::accumulate(row, row + length, int64_t(0))), int8));
    }
    return y;
  };
  check(text, all, expected);
  check(text, all, expected, Where::Cuda);
}

/// One attention op: `keep` as "" or the dims of what is kept, static 1 or "?".
struct AttentionCase {
  int64_t heads, keyHeads, size;
  std::string keep;
  bool causal, uniform, unsignedK, unsignedResult;
  double scale; // of scores
};

void checkAttention(const AttentionCase &c, unsigned seed) {
  OctaveExp exp = OctaveExp::of(c.scale);
  Dyadic out = contextScale(1.3);
  int64_t zero = c.unsignedResult ? 97 : -3;
  std::string q = "?x?x" + std::to_string(c.heads) + "x" + std::to_string(c.size) + "x";
  std::string k = "?x?x" + std::to_string(c.keyHeads) + "x" + std::to_string(c.size) + "x";
  std::vector<Argument> arguments = {{"q", q, "i8", "i8"}, {"k", k, "i8", c.unsignedK ? "u8" : "i8"}, {"v", k, "i8", "i8"}};
  std::string keepText;
  if (!c.keep.empty()) {
    arguments.push_back({"keep", c.keep, "i8", "i8"});
    keepText = " keep(%keep : tensor<" + c.keep + "i8>)";
  }
  std::ostringstream op;
  op << "sq.int_attention ins(%q, %k, %v : tensor<" << q << "i8>, tensor<" << k << "i8>, tensor<" << k << "i8>)" << keepText
     << " outs(%e : tensor<" << q << "i8>) {" << "exp_shift = " << exp.shift << " : i64, exp_factor = " << exp.factor << " : i64, multiplier = " << out.m
     << " : i32, exponent = " << out.e << " : i32, zero_point = " << zero << " : i64" << (c.causal ? ", causal" : "")
     << (c.uniform ? ", fully_masked_uniform" : "") << (c.unsignedK ? ", k_unsigned" : "") << (c.unsignedResult ? ", is_unsigned" : "")
     << "} -> tensor<" << q << "i8>";
  std::string text = model(arguments, op.str(), q, "i8", c.unsignedResult ? "u8" : "i8");

  std::vector<Feed> all;
  Random random(seed);
  for (auto [batch, queries, keys] : {std::tuple(1, 1, 1), {2, 7, 7}, {1, 66, 66}, {2, 3, 40}, {1, 13, 130}, {1, 17, 900}, {1, 2, 0}}) {
    auto bytes = [&](Shape shape, bool isUnsigned) { return values(random, dtypeOf(8, isUnsigned), shape, IntegerRange::of(8, isUnsigned)); };
    Feed feed = {{"q", bytes({batch, queries, c.heads, c.size}, false)}, {"k", bytes({batch, keys, c.keyHeads, c.size}, c.unsignedK)}, {"v", bytes({batch, keys, c.keyHeads, c.size}, false)}};
    if (!c.keep.empty()) {
      // "?x1x1x?x" and the like.
      Shape shape = {batch, c.heads, queries, keys};
      for (int64_t d = 0; d < 4; ++d)
        if (c.keep[2 * d] == '1')
          shape[d] = 1;
      feed["keep"] = Tensor::zeros(DType::I8, shape);
      for (int64_t i = 0; i < feed["keep"].size(); ++i) // nothing of the second row of keys
        feed["keep"].integers[i] = keys && i / keys == 1 ? 0 : random.integer(0, 2);
    }
    all.push_back(feed);
  }
  auto expected = [&](const Feed &feed) {
    const Tensor &x = feed.at("q"), &y = feed.at("k"), &v = feed.at("v");
    int64_t batch = x.shape[0], queries = x.shape[1], keys = y.shape[1];
    Row result(x.size());
    auto at = [&](int64_t n, int64_t i, int64_t h, int64_t length, int64_t heads) { return ((n * length + i) * heads + h) * c.size; };
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t h = 0; h < c.heads; ++h)
        for (int64_t s = 0; s < queries; ++s) {
          int64_t g = h / (c.heads / c.keyHeads);
          Row scores(keys);
          std::vector<bool> keep(keys, true);
          for (int64_t t = 0; t < keys; ++t) {
            for (int64_t d = 0; d < c.size; ++d)
              scores[t] += x.integers[at(n, s, h, queries, c.heads) + d] * y.integers[at(n, t, g, keys, c.keyHeads) + d];
            if (c.causal && t > s + keys - queries)
              keep[t] = false;
            if (!c.keep.empty()) {
              const Tensor &mask = feed.at("keep");
              int64_t place[] = {n, h, s, t}, flat = 0;
              for (int64_t d = 0; d < 4; ++d)
                flat = flat * mask.shape[d] + (mask.shape[d] == 1 ? 0 : place[d]);
              if (!mask.integers[flat])
                keep[t] = false;
            }
          }
          Row p = octaveExpRow(exp, scores, keep, c.uniform ? FullyMasked::Uniform : FullyMasked::Zeros);
          int64_t sum = std::accumulate(p.begin(), p.end(), int64_t(0));
          for (int64_t d = 0; d < c.size; ++d) {
            int64_t acc = 0;
            for (int64_t t = 0; t < keys; ++t)
              acc += p[t] * v.integers[at(n, t, g, keys, c.keyHeads) + d];
            int64_t value = ContextFactor::of(out, sum).apply(acc);
            result[at(n, s, h, queries, c.heads) + d] = IntegerRange::of(8, c.unsignedResult).clamp(value + zero);
          }
        }
    return result;
  };
  check(text, all, expected);
  if (runsTiles()) // also where there is no AMX
    check(text, all, expected, Where::EmulatedTiles);
}

TEST(Integer, Attention) {
  checkAttention({2, 2, 32, "", false, false, false, false, 0.05 * 0.05 / 8}, 31);
  checkAttention({3, 3, 16, "?x1x1x?x", false, false, true, true, 4e-4}, 32);
  checkAttention({2, 2, 20, "?x1x1x?x", false, true, true, true, 1e-6}, 33);
  checkAttention({2, 2, 64, "?x1x?x?x", true, true, true, false, 2e-3}, 34);
}

// Keys that several heads share, and a past; no kernel has heads of 6 elements, which become loops.
TEST(Integer, AttentionShared) {
  checkAttention({4, 2, 12, "", true, false, true, false, 0.3}, 35);
  checkAttention({4, 1, 4, "1x1x?x?x", false, false, false, true, 5e-3}, 36);
  checkAttention({2, 1, 6, "?x1x1x?x", true, true, true, false, 4e-4}, 37);
}

TEST(Integer, Norms) {
  IntegerRange int8 = IntegerRange::of(8);
  for (auto [bits, storage, columns] : {std::tuple(22, 32, 96), {16, 16, 40}, {8, 8, 7}, {26, 32, 1}, {27, 32, 300}})
    for (bool centred : {true, false}) {
      double scale = 8.0 / (1 << (bits - 1));
      IntegerNorm n = IntegerNorm::of(columns, centred, bits, scale, 1e-5);
      std::vector<double> gamma, beta;
      Random random(16);
      for (int64_t j = 0; j < columns; ++j) {
        gamma.push_back(j == 1 ? 0 : j == 2 ? -0.7 : 1 + 0.2 * random.real());
        beta.push_back(j == 3 ? 5 : 0.3 * random.real());
      }
      IntegerAffine a = IntegerAffine::of(gamma, beta, 4.0 / 127);
      std::string attributes = "x_bits = " + std::to_string(bits) + " : i64, epsilon = " + std::to_string(n.epsilon) +
                               " : i64, multipliers = " + list("i32", a.m) + ", addends = " + list("i64", a.b) +
                               ", exponent = " + std::to_string(a.e) + " : i32";
      if (centred)
        attributes += ", shift = " + std::to_string(n.shift) + " : i64";
      std::string from = "i" + std::to_string(storage);
      std::string text = mapModel(centred ? "sq.int_layer_norm" : "sq.int_rms_norm", from.c_str(), from.c_str(), "i8",
                                  "i8", columns, attributes);
      std::vector<Feed> all = feeds(17, bits, false, columns, storage);
      // Rows of one value, of zeros, and nearly equal ones, where epsilon is what counts.
      Tensor special = Tensor::zeros(dtypeOf(storage, false), {4, columns});
      for (int64_t j = 0; j < columns; ++j) {
        special.integers[columns + j] = 100;
        special.integers[2 * columns + j] = 100 + j % 2;
        special.integers[3 * columns + j] = j ? 0 : IntegerRange::of(bits).lo;
      }
      all.push_back({{"x", special}});
      auto expected = eachRow([&](const Row &row) { return a.apply(n.normalize(row), int8); }, columns);
      check(text, all, expected);
      if (bits == 22)
        check(text, all, expected, Where::Cuda);
      // What the host has a kernel for, into bytes of either sign and words.
      auto upward = [&](IntegerRange range) {
        return eachRow([&, range](const Row &row) { return a.apply(n.normalize(row), range, Rounding::HalfUp); }, columns);
      };
      std::string name = centred ? "sq.int_layer_norm" : "sq.int_rms_norm", up = attributes + ", rounding = \"half_up\"";
      check(mapModel(name, from.c_str(), from.c_str(), "i8", "i8", columns, up), all, upward(int8));
      check(mapModel(name, from.c_str(), from.c_str(), "i8", "u8", columns, up + ", is_unsigned, bits = 7 : i64"), all, upward(IntegerRange::of(7, true)));
      check(mapModel(name, from.c_str(), from.c_str(), "i16", "i16", columns, up), all, upward(IntegerRange::of(16)));
    }
  // Without epsilon, a row of one value has no variance at all.
  IntegerNorm none = IntegerNorm::of(6, true, 16, 1, 0);
  IntegerAffine a = IntegerAffine::of(std::vector<double>(6, 1), {}, 0.02);
  check(mapModel("sq.int_layer_norm", "i16", "i16", "i8", "i8", 6,
                 "epsilon = 0 : i64, shift = " + std::to_string(none.shift) + " : i64, multipliers = " +
                     list("i32", {a.m[0]}) + ", addends = " + list("i64", {0}) + ", exponent = " + std::to_string(a.e) +
                     " : i32"),
        {{{"x", Tensor::ofIntegers(DType::I16, {2, 6}, {5, 5, 5, 5, 5, 5, 1, 2, 3, -4, 5, -6})}}},
        eachRow([&](const Row &row) { return a.apply(none.normalize(row), IntegerRange::of(8)); }, 6));
}

} // namespace
