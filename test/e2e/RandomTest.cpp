/// Random operators, compiled: Philox's numbers, statistics, seeds, threads.
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

constexpr int64_t n = 100000;

/// Philox4x32-10 as its paper writes it (Salmon et al. 2011, section 3).
struct Words {
  uint32_t word[4];
};
Words philox(Words counter, uint32_t k0, uint32_t k1) {
  uint32_t *c = counter.word;
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xd2511f53) * c[0], b = uint64_t(0xcd9e8d57) * c[2];
    counter = {{uint32_t(b >> 32) ^ c[1] ^ k0, uint32_t(b), uint32_t(a >> 32) ^ c[3] ^ k1, uint32_t(a)}};
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  return counter;
}

std::vector<Tensor> runModel(const std::string &signature, const std::string &body,
                             const std::vector<Tensor> &inputs = {}, int threads = 1) {
  TemporaryDirectory directory;
  std::string path = directory.file("random.onnxtxt");
  std::ofstream(path) << "<ir_version: 8, opset_import: [\"\" : 17]>\nrandom " << signature << " {\n"
                      << body << "}\n";
  CompiledModel model(path);
  if (!model.ok())
    return {};
  Program program = model.open(threads);
  llvm::Expected<std::vector<Tensor>> results = program.run(inputs);
  EXPECT_TRUE(bool(results)) << llvm::toString(results.takeError());
  return results ? *results : std::vector<Tensor>();
}

double mean(const std::vector<double> &x) {
  double sum = 0;
  for (double value : x)
    sum += value;
  return sum / x.size();
}

double variance(const std::vector<double> &x) {
  double m = mean(x), sum = 0;
  for (double value : x)
    sum += (value - m) * (value - m);
  return sum / x.size();
}

/// Kolmogorov and Smirnov's distance; beyond 1.95 / sqrt(n) with a chance of 0.001.
double distance(std::vector<double> x, const std::function<double(double)> &cdf) {
  std::sort(x.begin(), x.end());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    double p = cdf(x[i]);
    worst = std::max({worst, std::fabs(p - double(i) / x.size()),
                      std::fabs(p - double(i + 1) / x.size())});
  }
  return worst;
}

// The known answer of the authors' library (Random123, kat_vectors), then what programs give.
TEST(Random, UniformIsPhilox) {
  Words zero = philox({{0, 0, 0, 0}}, 0, 0);
  ASSERT_EQ(zero.word[0], 0x6627e8d5u);
  ASSERT_EQ(zero.word[3], 0x9b00dbd8u);
  auto results = runModel("() => (float[7, 11] a, double[77] b)",
                          "  a = RandomUniform<shape = [7, 11], seed = 3.0>()\n"
                          "  b = RandomUniform<shape = [77], seed = 3.0, dtype = 11>()\n");
  ASSERT_EQ(results.size(), 2u);
  for (uint32_t i = 0; i < 77; ++i) {
    Words words = philox({{i, 0, 0, 0}}, 0x40400000, 0); // the bits of 3.0f
    EXPECT_EQ(results[0].reals[i], std::ldexp(words.word[0] >> 8, -24));
    EXPECT_EQ(results[1].reals[i],
              std::ldexp(double(uint64_t(words.word[0]) << 21 | words.word[1] >> 11), -53));
  }
}

TEST(Random, UniformAndNormalAreSo) {
  std::string shape = "<shape = [" + std::to_string(n) + "], ";
  std::string size = "[" + std::to_string(n) + "] ";
  auto results = runModel(
      "() => (float" + size + "a, float" + size + "b, double" + size + "c, float16" + size + "d)",
      "  a = RandomUniform" + shape + "low = -2.0, high = 4.0>()\n" +
          "  b = RandomNormal" + shape + "mean = 1.0, scale = 3.0>()\n" +
          "  c = RandomNormal" + shape + "dtype = 11, seed = 1.0>()\n" +
          "  d = RandomUniform" + shape + "dtype = 10>()\n");
  ASSERT_EQ(results.size(), 4u);
  double bound = 1.95 / std::sqrt(double(n));
  auto normal = [](double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; };
  EXPECT_LT(distance(results[0].reals, [](double x) { return (x + 2) / 6; }), bound);
  EXPECT_LT(distance(results[1].reals, [&](double x) { return normal((x - 1) / 3); }), bound);
  EXPECT_LT(distance(results[2].reals, normal), bound);
  // f16 has steps of 2^-11.
  EXPECT_LT(distance(results[3].reals, [](double x) { return x; }), bound + std::ldexp(1, -11));
  // Four standard errors of mean and variance.
  EXPECT_NEAR(mean(results[0].reals), 1, 4 * std::sqrt(3.0 / n));
  EXPECT_NEAR(variance(results[0].reals), 3, 4 * std::sqrt(7.2 / n));
  EXPECT_NEAR(mean(results[2].reals), 0, 4 / std::sqrt(double(n)));
  EXPECT_NEAR(variance(results[2].reals), 1, 4 * std::sqrt(2.0 / n));
}

TEST(Random, SeedsAndNodesDecide) {
  std::string signature = "() => (float[64] a, float[64] b, float[64] c, float[64] d, float[64] e)";
  std::string body = "  a = RandomUniform<shape = [64], seed = 1.0>()\n"
                     "  b = RandomUniform<shape = [64], seed = 1.0>()\n"
                     "  c = RandomUniform<shape = [64], seed = 2.0>()\n"
                     "  d = RandomUniform<shape = [64]>()\n"
                     "  e = RandomUniform<shape = [64]>()\n";
  auto first = runModel(signature, body), again = runModel(signature, body);
  ASSERT_EQ(first.size(), 5u);
  for (size_t i = 0; i < 5; ++i)
    EXPECT_EQ(first[i].reals, again[i].reals);
  EXPECT_EQ(first[0].reals, first[1].reals);
  EXPECT_NE(first[0].reals, first[2].reals);
  EXPECT_NE(first[3].reals, first[4].reals);
}

TEST(Random, ThreadsChangeNothing) {
  std::string signature = "(float[r, 1000] x) => (float[r, 1000] y, bool[r, 1000] m, float[r, 1000] z)";
  std::string body = "  half = Constant<value = float {0.25}>()\n  yes = Constant<value = bool {1}>()\n"
                     "  y, m = Dropout<seed = 5>(x, half, yes)\n  z = RandomNormalLike(x)\n";
  Tensor x = Tensor::ofReals(DType::F32, {200, 1000}, std::vector<double>(200000, 1));
  auto one = runModel(signature, body, {x}, 1), four = runModel(signature, body, {x}, 4);
  ASSERT_EQ(one.size(), 3u);
  ASSERT_EQ(four.size(), 3u);
  EXPECT_EQ(one[0].reals, four[0].reals);
  EXPECT_EQ(one[1].integers, four[1].integers);
  EXPECT_EQ(one[2].reals, four[2].reals);
}

TEST(Random, DropoutKeepsTheMean) {
  Tensor x = Tensor::ofReals(DType::F32, {n}, std::vector<double>(n, 3));
  for (bool isTraining : {true, false}) {
    auto results = runModel(
        "(float[" + std::to_string(n) + "] x, float ratio, bool training) => (float[" +
            std::to_string(n) + "] y, bool[" + std::to_string(n) + "] m)",
        "  y, m = Dropout(x, ratio, training)\n",
        {x, Tensor::ofReals(DType::F32, {}, {0.25}), Tensor::ofIntegers(DType::Bool, {}, {isTraining})});
    ASSERT_EQ(results.size(), 2u);
    int64_t kept = std::count(results[1].integers.begin(), results[1].integers.end(), 1);
    EXPECT_NEAR(double(kept) / n, isTraining ? 0.75 : 1, isTraining ? 4 * std::sqrt(0.1875 / n) : 0);
    for (int64_t i = 0; i < n; ++i)
      ASSERT_EQ(results[0].reals[i], !isTraining ? 3 : results[1].integers[i] ? 4 : 0);
  }
}

TEST(Random, BernoulliAndMultinomialFollowTheirProbabilities) {
  Tensor p = Tensor::ofReals(DType::F32, {n}, std::vector<double>(n, 0));
  for (int64_t i = 0; i < n; ++i)
    p.reals[i] = i < n / 2 ? 0.125 : 0.5;
  // ln of 1, 2, 5 and 0 parts.
  double none = -std::numeric_limits<double>::infinity();
  Tensor logits = Tensor::ofReals(DType::F32, {1, 4},
                                  {0, numerics::roundToF32(std::log(2)), numerics::roundToF32(std::log(5)), none});
  auto results = runModel("(float[" + std::to_string(n) + "] p, float[1, 4] logits) => (float[" +
                              std::to_string(n) + "] b, int64[1, " + std::to_string(n) + "] c)",
                          "  b = Bernoulli(p)\n  c = Multinomial<sample_size = " + std::to_string(n) +
                              ", dtype = 7>(logits)\n",
                          {p, logits});
  ASSERT_EQ(results.size(), 2u);
  std::vector<double> &b = results[0].reals;
  EXPECT_NEAR(mean({b.begin(), b.begin() + n / 2}), 0.125, 4 * std::sqrt(0.109 * 2 / n));
  EXPECT_NEAR(mean({b.begin() + n / 2, b.end()}), 0.5, 4 * std::sqrt(0.25 * 2 / n));
  double parts[] = {1.0 / 8, 2.0 / 8, 5.0 / 8, 0};
  for (int64_t i = 0; i < 4; ++i) {
    double share = double(std::count(results[1].integers.begin(), results[1].integers.end(), i)) / n;
    EXPECT_NEAR(share, parts[i], 4 * std::sqrt(parts[i] * (1 - parts[i]) / n)) << "class " << i;
  }
}

} // namespace
