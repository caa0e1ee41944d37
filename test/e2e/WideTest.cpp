/// Nodes with hundreds of parts: kernels that share a function and a schedule that is too long to be
/// optimised. Before these were bounded, a Concat of 300 parts took minutes.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

/// Parts of x times 0/8, 1/8 ..., in reverse order, and their sum.
TEST(Wide, SplitScaleJoin) {
  constexpr int64_t parts = 500, width = 3;
  TemporaryDirectory directory;
  std::string path = directory.file("model.onnxtxt");
  {
    std::ofstream file(path);
    file << "<ir_version: 9, opset_import: [\"\" : 20]>\ng (float[N," << parts * width
         << "] x) => (float[N,M] y, float[N," << width << "] z) {\n";
    auto list = [&](const char *name, bool isReversed) {
      for (int64_t i = 0; i < parts; ++i)
        file << (i ? ", " : "") << name << (isReversed ? parts - 1 - i : i);
    };
    list("x", false);
    file << " = Split<axis = 1, num_outputs = " << parts << ">(x)\n";
    for (int64_t i = 0; i < parts; ++i)
      file << "c" << i << " = Constant<value_float = " << std::to_string(i / 8.0) << ">()\ns" << i << " = Mul(x" << i << ", c" << i << ")\n";
    file << "y = Concat<axis = 1>(";
    list("s", true);
    file << ")\nz = Sum(";
    list("s", false);
    file << ")\n}\n";
  }
  CompiledModel model(path);
  ASSERT_TRUE(model.ok());
  Program program = model.open(2);
  for (int64_t rows : {1, 5}) {
    Tensor x = Tensor::zeros(DType::F32, {rows, parts * width});
    Tensor y = x, z = Tensor::zeros(DType::F32, {rows, width});
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < parts; ++i)
        for (int64_t j = 0; j < width; ++j) {
          // Integers small enough that all sums are exact.
          double value = x.reals[(r * parts + i) * width + j] = (r + 3 * i + 7 * j) % 16;
          y.reals[(r * parts + parts - 1 - i) * width + j] = value * i / 8;
          z.reals[r * width + j] += value * i / 8;
        }
    llvm::Expected<std::vector<Tensor>> outputs = program.run({x});
    ASSERT_TRUE(bool(outputs)) << llvm::toString(outputs.takeError());
    EXPECT_EQ(mismatch((*outputs)[0], y, 0, 0), "");
    EXPECT_EQ(mismatch((*outputs)[1], z, 0, 0), "");
  }
}

/// More operands than one loop reads, of shapes that broadcast; halves are rounded once, at the end.
TEST(Wide, MeanOfHalves) {
  constexpr int64_t parts = 300;
  TemporaryDirectory directory;
  std::string path = directory.file("model.onnxtxt");
  {
    std::ofstream file(path);
    std::string inputs, names;
    for (int64_t i = 0; i < parts; ++i) {
      std::string x = "x" + std::to_string(i);
      inputs += (i ? ", float16" : "float16") + std::string(i % 3 ? "[N,4] " : "[1] ") + x;
      names += (i ? ", " : "") + x;
    }
    file << "<ir_version: 9, opset_import: [\"\" : 20]>\ng (" << inputs << ") => (float16[N,M] y, float16[N,M] z) {\n"
         << "y = Mean(" << names << ")\nz = Max(" << names << ")\n}\n";
  }
  CompiledModel model(path);
  ASSERT_TRUE(model.ok());
  Program program = model.open(2);
  Tensor y = Tensor::zeros(DType::F16, {3, 4}), z = y;
  z.reals.assign(z.reals.size(), -1000);
  std::vector<Tensor> inputs;
  for (int64_t i = 0; i < parts; ++i) {
    bool isWide = i % 3;
    Tensor &x = inputs.emplace_back(Tensor::zeros(DType::F16, isWide ? std::vector<int64_t>{3, 4} : std::vector<int64_t>{1}));
    for (size_t j = 0; j < x.reals.size(); ++j)
      x.reals[j] = static_cast<double>((i * 37 + static_cast<int64_t>(j) * 11) % 101) - 50; // sums are exact in f32
    for (size_t j = 0; j < y.reals.size(); ++j) {
      double value = x.reals[isWide ? j : 0];
      y.reals[j] += value;
      z.reals[j] = std::max(z.reals[j], value);
    }
  }
  for (double &v : y.reals)
    v /= parts;
  llvm::Expected<std::vector<Tensor>> outputs = program.run(inputs);
  ASSERT_TRUE(bool(outputs)) << llvm::toString(outputs.takeError());
  EXPECT_EQ(mismatch((*outputs)[0], y, 0x1p-11, 0x1p-24), ""); // half an ulp, and what f32's division adds
  EXPECT_EQ(mismatch((*outputs)[1], z, 0, 0), "");
}

} // namespace
