/// MatMulNBits of every width, with weights that are constant and that are not, and DequantizeLinear of blocks, of random content.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

enum class Zeros { None, Packed, Floats };

struct Blocks {
  int64_t bits, size, k, n, m = 3;
  Zeros kind;
  bool hasGroups;
  std::mt19937 random;
  std::vector<int> numbers, zeros, groups; // [n][padded k], [n][count], [k]
  std::vector<double> scales;              // [n][count]

  Blocks(unsigned seed, int64_t bits, Zeros kind, bool hasGroups) : bits(bits), kind(kind), hasGroups(hasGroups), random(seed) {
    size = pick(0, 1) ? 16 : 32, k = pick(1, 90), n = pick(1, 9);
    for (int64_t i = 0; i < n * count() * size; ++i)
      numbers.push_back(pick(0, (1 << bits) - 1));
    for (int64_t i = 0; i < n * count(); ++i) {
      zeros.push_back(kind == Zeros::None ? 1 << (bits - 1) : pick(0, (1 << bits) - 1));
      scales.push_back(pick(-64, 64) / 64.0);
    }
    for (int64_t i = 0; i < k; ++i)
      groups.push_back(pick(0, count() - 1));
  }
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }
  int64_t count() const { return (k + size - 1) / size; }

  /// Rows of `each` numbers, each row from a byte on.
  std::vector<int64_t> packed(const std::vector<int> &values, int64_t each) const {
    std::vector<int64_t> bytes;
    for (size_t row = 0; row < values.size() / each; ++row) {
      std::vector<int64_t> line((each * bits + 7) / 8, 0);
      for (int64_t i = 0; i < each; ++i)
        for (int64_t bit = 0; bit < bits; ++bit)
          line[(i * bits + bit) / 8] |= int64_t(values[row * each + i] >> bit & 1) << (i * bits + bit) % 8;
      bytes.insert(bytes.end(), line.begin(), line.end());
    }
    return bytes;
  }

  std::vector<Tensor> operands() {
    Tensor x = Tensor::zeros(DType::F32, {m, k}), scale = Tensor::zeros(DType::F32, {n, count()});
    for (double &value : x.reals)
      value = pick(-8, 8) / 8.0; // all sums are exact
    scale.reals = scales;
    std::vector<Tensor> result = {x, Tensor::ofIntegers(DType::U8, {n, count(), size * bits / 8}, packed(numbers, size)), scale};
    if (kind == Zeros::Floats) {
      result.push_back(scale);
      result.back().reals.assign(zeros.begin(), zeros.end());
    } else if (kind == Zeros::Packed) {
      auto bytes = packed(zeros, count());
      result.push_back(Tensor::ofIntegers(DType::U8, {int64_t(bytes.size())}, bytes));
    }
    return result;
  }

  /// All operands but x and g_idx as inputs, or as constants.
  std::string text(const std::vector<Tensor> &operands, bool areKnown) const {
    const char *names[] = {"x", "b", "s", "z"};
    std::ostringstream inputs, constants;
    for (size_t i = 0; i < operands.size(); ++i) {
      const Tensor &t = operands[i];
      std::ostringstream &os = i && areKnown ? constants : inputs;
      bool isFirst = os.str().empty();
      os << (isFirst ? "" : ", ") << (t.dtype == DType::U8 ? "uint8[" : "float[");
      for (size_t d = 0; d < t.shape.size(); ++d)
        os << (d ? ", " : "") << (i == 0 && d == 0 ? "M" : std::to_string(t.shape[d]));
      os << "] " << names[i];
      if (!i || !areKnown)
        continue;
      os << " = {";
      for (int64_t e = 0; e < int64_t(t.integers.size() + t.reals.size()); ++e)
        t.integers.empty() ? os << (e ? ", " : "") << std::to_string(t.reals[e]) : os << (e ? ", " : "") << t.integers[e];
      os << "}";
    }
    if (hasGroups) {
      constants << (constants.str().empty() ? "" : ", ") << "int32[" << k << "] g = {";
      for (int64_t i = 0; i < k; ++i)
        constants << (i ? ", " : "") << groups[i];
      constants << "}";
    }
    std::ostringstream os;
    os << "<ir_version: 9, opset_import: [\"\" : 20, \"com.microsoft\" : 1]>\n"
       << "g (" << inputs.str() << ") => (float[M, " << n << "] y)\n<" << constants.str() << "> {\n"
       << "  y = com.microsoft.MatMulNBits <K = " << k << ", N = " << n << ", bits = " << bits << ", block_size = " << size
       << "> (x, b, s" << (kind == Zeros::None ? (hasGroups ? ", " : "") : ", z") << (hasGroups ? ", g" : "") << ")\n}\n";
    return os.str();
  }

  Tensor expected(const Tensor &x) const {
    Tensor y = Tensor::zeros(DType::F32, {m, n});
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < n; ++c)
        for (int64_t i = 0; i < k; ++i) {
          int64_t block = c * count() + (hasGroups ? groups[i] : i / size);
          y.reals[r * n + c] += x.reals[r * k + i] * (numbers[c * count() * size + i] - zeros[block]) * scales[block];
        }
    return y;
  }
};

TEST(PackedBlocks, EveryWidth) {
  unsigned seed = 0;
  for (int64_t bits = 2; bits <= 8; ++bits)
    for (Zeros kind : {Zeros::None, Zeros::Packed, Zeros::Floats}) {
      bool hasGroups = ++seed % 2, areKnown = seed % 3;
      Blocks blocks(seed, bits, kind, hasGroups);
      std::vector<Tensor> operands = blocks.operands();
      std::string text = blocks.text(operands, areKnown);
      SCOPED_TRACE(text.substr(0, 600));
      TemporaryDirectory directory;
      std::string path = directory.file("model.onnxtxt");
      std::ofstream(path) << text;
      CompileOptions options;
      options.levels = {"x86-64-v3"};
      CompiledModel model(path, options);
      ASSERT_TRUE(model.ok());
      Tensor wanted = blocks.expected(operands[0]);
      if (areKnown)
        operands.resize(1);
      llvm::Expected<std::vector<Tensor>> outputs = model.open(1).run(operands);
      ASSERT_TRUE(bool(outputs)) << llvm::toString(outputs.takeError());
      EXPECT_EQ(mismatch(outputs->front(), wanted, 0, 0), "");
    }
}

/// MatMul or Gemm by what DequantizeLinear makes of blocks of a constant [k, n], or of a [n, k] that is transposed.
struct DequantizedBlocks {
  int64_t bits, size, k, n, m = 3;
  bool isSigned, hasZeros, isTransposed, isGemm, isWhole; // a scale for each column
  std::mt19937 random;
  std::vector<int> numbers, zeros; // as stored
  std::vector<double> scales;

  explicit DequantizedBlocks(unsigned seed) : random(seed) {
    bits = seed % 2 ? 4 : 2, isSigned = seed / 2 % 2, hasZeros = seed / 4 % 2, isTransposed = seed / 8 % 2, isGemm = seed / 16 % 2;
    size = pick(0, 1) ? 16 : 32, k = pick(1, 90), n = pick(1, 40);
    isWhole = pick(0, 2) == 0;
    if (isWhole)
      size = k;
    int low = isSigned ? -(1 << (bits - 1)) : 0, high = low + (1 << bits) - 1;
    for (int64_t i = 0; i < n * k; ++i)
      numbers.push_back(pick(low, high));
    for (int64_t i = 0; i < n * count(); ++i) {
      zeros.push_back(hasZeros ? pick(low, high) : 0);
      scales.push_back(pick(1, 64) / 64.0);
    }
  }
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }
  int64_t count() const { return (k + size - 1) / size; }
  int64_t at(int64_t i, int64_t c, int64_t depth) const { return isTransposed ? c * depth + i : i * n + c; }

  /// As TensorProto has it: several in a byte, the first in the lowest bits.
  std::string packed(const std::vector<int> &values) const {
    std::ostringstream os;
    int64_t each = 8 / bits;
    for (size_t i = 0; i < values.size(); i += each) {
      int byte = 0;
      for (size_t j = 0; j < size_t(each) && i + j < values.size(); ++j)
        byte |= (values[i + j] & ((1 << bits) - 1)) << (j * bits);
      os << (i ? ", " : "") << byte;
    }
    return os.str();
  }

  std::string text() const {
    std::string type = std::string(isSigned ? "int" : "uint") + std::to_string(bits);
    auto shape = [&](int64_t depth) {
      return "[" + std::to_string(isTransposed ? n : depth) + ", " + std::to_string(isTransposed ? depth : n) + "] ";
    };
    std::ostringstream os;
    std::string scaleShape = isWhole ? "[" + std::to_string(n) + "] " : shape(count());
    os << "<ir_version: 13, opset_import: [\"\" : 25]>\ng (float[M, " << k << "] x) => (float[M, " << n << "] y)\n<"
       << type << shape(k) << "w = {" << packed(numbers) << "}, float" << scaleShape << "s = {";
    for (size_t i = 0; i < scales.size(); ++i)
      os << (i ? ", " : "") << scales[i];
    os << "}";
    if (hasZeros)
      os << ", " << type << scaleShape << "z = {" << packed(zeros) << "}";
    os << "> {\n  d = DequantizeLinear <axis = " << (isTransposed != isWhole) << (isWhole ? "" : ", block_size = " + std::to_string(size)) << "> (w, s" << (hasZeros ? ", z" : "") << ")\n";
    if (isGemm)
      os << "  y = Gemm <transB = " << isTransposed << "> (x, d)\n}\n";
    else
      os << (isTransposed ? "  t = Transpose <perm = [1, 0]> (d)\n" : "") << "  y = MatMul (x, " << (isTransposed ? "t" : "d") << ")\n}\n";
    return os.str();
  }

  Tensor input() {
    Tensor x = Tensor::zeros(DType::F32, {m, k});
    for (double &value : x.reals)
      value = pick(-8, 8) / 8.0; // all sums are exact
    return x;
  }

  Tensor expected(const Tensor &x) const {
    Tensor y = Tensor::zeros(DType::F32, {m, n});
    for (int64_t r = 0; r < m; ++r)
      for (int64_t c = 0; c < n; ++c)
        for (int64_t i = 0; i < k; ++i) {
          int64_t block = at(i / size, c, count());
          y.reals[r * n + c] += x.reals[r * k + i] * (numbers[at(i, c, k)] - zeros[block]) * scales[block];
        }
    return y;
  }
};

TEST(PackedBlocks, Dequantized) {
  for (unsigned seed = 0; seed < 32; ++seed) {
    DequantizedBlocks blocks(seed);
    Tensor x = blocks.input();
    SCOPED_TRACE(std::to_string(seed) + blocks.text().substr(0, 600));
    TemporaryDirectory directory;
    std::string path = directory.file("model.onnxtxt");
    std::ofstream(path) << blocks.text();
    CompileOptions options;
    options.levels = {"x86-64-v3"};
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok());
    llvm::Expected<std::vector<Tensor>> outputs = model.open(1).run({x});
    ASSERT_TRUE(bool(outputs)) << llvm::toString(outputs.takeError());
    EXPECT_EQ(mismatch(outputs->front(), blocks.expected(x), 0, 0), "");
  }
}

} // namespace
