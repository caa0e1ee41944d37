/// Products with bf16 weights: on AMX tiles, which machines without AMX emulate.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"
#include "test/support/Random.h"
#include "codegen/host/HostTarget.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace sq;
using namespace sq::test;
using numerics::roundToBF16;
using numerics::Tensor;

namespace {

std::string literal(const std::string &name, const std::string &shape, const Tensor &t) {
  std::ostringstream os;
  os.precision(9);
  os << "float[" << shape << "] " << name << " = {";
  for (size_t i = 0; i < t.reals.size(); ++i)
    os << (i ? ", " : "") << t.reals[i];
  os << "}";
  return os.str();
}

Tensor randomF32(Random &random, numerics::Shape shape) {
  Tensor t = random.reals(shape);
  for (double &value : t.reals)
    value = numerics::roundToF32(value);
  return t;
}

/// y = relu(x w + b), with x and w rounded to bf16 when `rounded` says so, in float64.
Tensor expected(const Tensor &x, const Tensor &w, const Tensor &b, bool transposed, bool roundX) {
  int64_t m = x.shape[0], k = x.shape[1], n = b.shape[0];
  Tensor y = x;
  y.shape = {m, n};
  y.reals.assign(m * n, 0);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = b.reals[j];
      for (int64_t l = 0; l < k; ++l) {
        double left = x.reals[i * k + l], right = w.reals[transposed ? j * k + l : l * n + j];
        sum += (roundX ? roundToBF16(left) : left) * roundToBF16(right);
      }
      y.reals[i * n + j] = std::max(sum, 0.0);
    }
  return y;
}

/// One linear layer at `level`, at rows around every border of its tiles.
void checkLinear(int64_t k, int64_t n, bool transposed, const std::string &level, bool emulate) {
  Random random(static_cast<unsigned>(k * 1000 + n));
  Tensor w = randomF32(random, transposed ? numerics::Shape{n, k} : numerics::Shape{k, n});
  Tensor b = randomF32(random, {n});
  auto dims = [](int64_t r, int64_t c) { return std::to_string(r) + ", " + std::to_string(c); };
  TemporaryDirectory directory;
  std::string path = directory.file("linear.onnxtxt");
  std::ofstream(path) << "<ir_version: 8, opset_import: [\"\" : 17]>\n"
                      << "linear (float[m, " << k << "] x) => (float[m, " << n << "] y) <\n"
                      << literal("w", transposed ? dims(n, k) : dims(k, n), w) << ",\n"
                      << literal("b", std::to_string(n), b) << "\n> {\n"
                      << (transposed ? "  s = Gemm<transB = 1>(x, w, b)\n" : "  p = MatMul(x, w)\n  s = Add(p, b)\n")
                      << "  y = Relu(s)\n}\n";
  CompileOptions options;
  options.precision = "bf16";
  options.levels = {level};
  options.emulateAmx = emulate;
  CompiledModel model(path, options);
  ASSERT_TRUE(model.ok());
  for (int threads : {1, 3}) {
    Program program = model.open(threads);
    for (int64_t m : {1, 2, 15, 16, 17, 31, 32, 33, 47, 127, 128, 129, 200}) {
      Tensor x = randomF32(random, {m, k});
      Tensor actual = runFirst(program, {{"x", x}});
      EXPECT_LE(maxDifference(actual, expected(x, w, b, transposed, level == "amx")), 2e-6 * std::sqrt(k) + 1e-6)
          << m << " x " << n << " x " << k << ", level " << level << ", " << threads << " threads";
    }
  }
}

TEST(Bf16, LinearOnTiles) {
  if (!runsTiles())
    GTEST_SKIP() << "the code around the tiles needs AVX-512 with VNNI, which this CPU lacks";
  for (bool emulate : {true, false}) {
    if (!emulate && bestHostLevel() != "amx") {
      std::cout << "emulated only: this CPU has no AMX\n";
      continue;
    }
    checkLinear(64, 64, false, "amx", emulate);
    checkLinear(37, 70, false, "amx", emulate);
    checkLinear(32, 16, true, "amx", emulate);
    checkLinear(1, 1, false, "amx", emulate);
    checkLinear(130, 33, true, "amx", emulate);
  }
}

TEST(Bf16, LinearOnWidenedWeights) {
  for (const char *level : {"x86-64-v3", "avx512"}) {
    if (std::string(level) == "avx512" && bestHostLevel() == "x86-64-v3") {
      std::cout << "without avx512, which this CPU lacks\n";
      continue;
    }
    checkLinear(64, 96, false, level, false);
    checkLinear(37, 70, true, level, false);
  }
}

} // namespace
