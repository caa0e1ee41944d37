#include "passes/CompressedLayer.h"

#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

using namespace sq;

namespace {

constexpr int64_t kN = 24, kK = 48;

/// Rows whose channels hang together by `mix`, for moments.
calibration::Moments momentsOf(int64_t rows, double mix, unsigned seed) {
  test::Random random(seed);
  std::vector<float> x(rows * kK);
  for (int64_t t = 0; t < rows; ++t) {
    double common = random.real();
    for (int64_t i = 0; i < kK; ++i)
      x[t * kK + i] = mix * common * (i % 3 - 1) + random.real() + 0.5;
  }
  calibration::Moments moments(kK);
  moments.add(x.data(), rows, rows, 0);
  moments.flush();
  return moments;
}

calibration::TensorStats statsOf(const calibration::Moments &moments,
                                 const calibration::Moments &heldBack) {
  calibration::TensorStats stats(kK);
  stats.elements = moments.rows * kK;
  for (int64_t i = 0; i < kK; ++i) {
    stats.channelSum[i] = moments.sums[i];
    stats.channelSquares[i] = moments.product(i, i);
  }
  stats.moments = moments;
  stats.heldBack = heldBack;
  return stats;
}

std::vector<float> weightOf(unsigned seed) {
  test::Random random(seed);
  std::vector<float> weight(kN * kK);
  for (float &w : weight)
    w = random.real() * std::exp(0.5 * random.real());
  return weight;
}

CompressedLayer compressed(const std::vector<float> &weight, const char *scheme,
                           const LayerInput &input, double outliers,
                           const float *sensitivities = nullptr) {
  WeightScheme parsed;
  EXPECT_EQ(parseWeightScheme(scheme, parsed), "");
  CompressOptions options;
  options.outliers = outliers;
  options.tables = "f16";
  options.threads = 1;
  CompressedLayer layer;
  Status status = compressLayer(weight, kN, kK, parsed, input, sensitivities,
                                options, layer);
  EXPECT_TRUE(status.ok()) << status.message;
  EXPECT_TRUE(layer.weight.verify().ok());
  return layer;
}

} // namespace

// What is kept is found for the same only.
TEST(CompressedLayer, KeptLayersAreOfTheirWeightStatisticsAndOptions) {
  calibration::TensorStats stats =
      statsOf(momentsOf(200, 2, 1), momentsOf(50, 2, 2));
  calibration::TensorStats others =
      statsOf(momentsOf(200, 2, 3), momentsOf(50, 2, 2));
  WeightScheme lut3;
  ASSERT_EQ(parseWeightScheme("lut3", lut3), "");
  const std::vector<float> weight = weightOf(3);
  auto key =
      [&](std::function<void(std::vector<float> &, WeightScheme &,
                             std::string &, const calibration::TensorStats *&,
                             bool &, std::vector<float> &, CompressOptions &)>
              change) {
        std::vector<float> w = weight, sensitivities;
        WeightScheme scheme = lut3;
        std::string file = "a.stats";
        const calibration::TensorStats *found = &stats;
        bool centred = false;
        CompressOptions options;
        options.tables = "f16";
        change(w, scheme, file, found, centred, sensitivities, options);
        return CompressedLayers::keyOf(w, kN, kK, scheme, file, found, centred,
                                       sensitivities, options);
      };
#define KEY(change)                                                            \
  key([&](std::vector<float> &w, WeightScheme &scheme, std::string &file,      \
          const calibration::TensorStats *&found, bool &centred,               \
          std::vector<float> &sensitivities,                                   \
          CompressOptions &options) { change; })
  std::string same = KEY((void)0);
  EXPECT_EQ(same, KEY((void)0));
  std::set<std::string> keys = {same,
                                KEY(w[7] += 1e-6f),
                                KEY(scheme.precision = LayerPrecision::Lut4),
                                KEY(scheme.group = 64),
                                KEY(file = "b.stats"),
                                KEY(found = &others),
                                KEY(found = nullptr),
                                KEY(centred = true),
                                KEY(sensitivities.assign(w.size(), 1)),
                                KEY(options.outliers = 0.45),
                                KEY(options.refine = false),
                                KEY(options.tables = "int8"),
                                KEY(options.damping = 0.02),
                                KEY(options.rounds = 1),
                                KEY(options.enough = 1e-2)};
#undef KEY
  EXPECT_EQ(keys.size(), 15u);

  CompressedLayers kept;
  EXPECT_EQ(kept.find(same), nullptr);
  LayerInput input(&stats, kK, /*centred=*/false, 0.01);
  CompressedLayer layer = compressed(weight, "lut3", input, 2);
  kept.keep(same, {layer, input.means, ""});
  auto found = kept.find(same);
  ASSERT_TRUE(found);
  std::vector<float> decoded(kN * kK);
  found->layer.weight.decode(decoded.data());
  EXPECT_EQ(decoded, layer.decoded);
  EXPECT_EQ(found->layer.error, layer.error);
  EXPECT_EQ(found->means, input.means);
}

// What was asked for holds on rows like those it was fitted to.
TEST(CompressedLayer, RefinementIsKeptWhereItHolds) {
  calibration::TensorStats stats =
      statsOf(momentsOf(2000, 2, 1), momentsOf(500, 2, 2));
  LayerInput input(&stats, kK, /*centred=*/false, 0.01);
  ASSERT_TRUE(input.moments && input.heldBack);
  std::vector<float> weight = weightOf(3);
  CompressedLayer layer = compressed(weight, "lut3", input, 2);
  EXPECT_EQ(layer.chosen, "");
  EXPECT_EQ(layer.weight.outliers, kN * kK * 2 / 100);
  EXPECT_EQ(
      describe(layer.weight),
      "tables of 8 f16, 2.00 % sparse (0 by sensitivity, 23 by magnitude)");
  CompressedLayer groups = compressed(weight, "rtn3", input, 0);
  ASSERT_TRUE(layer.error && groups.error);
  EXPECT_LT(*layer.error, 0.5 * *groups.error);
  EXPECT_EQ(describe(groups.weight), "groups of 128");
  CompressedLayer gptq = compressed(weight, "gptq3", input, 0);
  EXPECT_LT(*gptq.error, 0.8 * *groups.error);
}

// Two rows say little about 48 channels: what is fitted to them is worse than
// nothing for others.
TEST(CompressedLayer, RefinementIsDroppedWhereItDoesNotHold) {
  calibration::TensorStats stats =
      statsOf(momentsOf(2, 0, 1), momentsOf(500, 0, 2));
  LayerInput input(&stats, kK, /*centred=*/false, 0.01);
  CompressedLayer layer = compressed(weightOf(3), "lut3", input, 0);
  EXPECT_TRUE(layer.chosen.find("without refinement, as rows that were held "
                                "back have an error of ") == 0 ||
              layer.chosen.find("with unweighted tables, as rows that were "
                                "held back have an error of ") == 0)
      << layer.chosen;
}

// Without statistics there are the weights alone; with a bias the mean of the
// input does not count.
TEST(CompressedLayer, Inputs) {
  LayerInput nothing(nullptr, kK, false, 0.01);
  EXPECT_FALSE(nothing.moments || nothing.heldBack);
  CompressedLayer plain = compressed(weightOf(4), "lut4", nothing, 0);
  EXPECT_FALSE(plain.error);
  EXPECT_EQ(plain.weight.sensitivity, "none");
  calibration::TensorStats stats = statsOf(momentsOf(2000, 1, 1), {});
  LayerInput centred(&stats, kK, true, 0.01), raw(&stats, kK, false, 0.01);
  EXPECT_NEAR(raw.power[5] - centred.power[5], raw.means[5] * raw.means[5],
              1e-6);
  EXPECT_FALSE(raw.heldBack);
  EXPECT_EQ(compressed(weightOf(4), "lut4", raw, 0).weight.sensitivity, "act2");
  calibration::Moments zeros(kK);
  zeros.rows = 7;
  calibration::TensorStats dead = statsOf(zeros, {});
  LayerInput unknown(&dead, kK, false, 0.01);
  EXPECT_FALSE(unknown.moments);
  EXPECT_EQ(unknown.problem, "the second moments of its input are all 0 or not "
                             "finite; its weight is fitted without them");
}

// Where tables by sensitivities lose more on rows that were held back than
// those by the inputs, these are taken; an output channel counts as much as its
// sensitivities.
TEST(CompressedLayer, SensitivitiesAreDroppedWhereTheyDoNotHelp) {
  calibration::TensorStats stats =
      statsOf(momentsOf(2000, 2, 1), momentsOf(500, 2, 2));
  LayerInput input(&stats, kK, /*centred=*/false, 0.01);
  std::vector<float> weight = weightOf(3), wrong(kN * kK), right(kN * kK);
  test::Random random(6);
  for (int64_t i = 0; i < kN * kK; ++i) {
    wrong[i] = std::exp(4 * random.real());
    right[i] = input.power[i % kK] * (1 + i / kK);
  }
  WeightScheme scheme;
  ASSERT_EQ(parseWeightScheme("lut3", scheme), "");
  CompressOptions options;
  options.refine = false;
  options.threads = 1;
  CompressedLayer layer;
  ASSERT_TRUE(
      compressLayer(weight, kN, kK, scheme, input, wrong.data(), options, layer)
          .ok());
  EXPECT_NE(layer.chosen.find(", as rows that were held back have an error of"),
            std::string::npos)
      << layer.chosen;
  EXPECT_NE(layer.weight.sensitivity, "fisher");
  // These are what mean squares say, so that nothing is better.
  ASSERT_TRUE(
      compressLayer(weight, kN, kK, scheme, input, right.data(), options, layer)
          .ok());
  EXPECT_EQ(layer.chosen, "");
  EXPECT_EQ(layer.weight.sensitivity, "fisher");
}

// Sensitivities of single weights choose 0.05 % of them, and weight what is not
// refined.
TEST(CompressedLayer, Sensitivities) {
  std::vector<float> sensitivities(kN * kK, 1);
  sensitivities[77] = 1e6f;
  LayerInput nothing(nullptr, kK, false, 0.01);
  std::vector<float> weight = weightOf(5);
  CompressedLayer layer =
      compressed(weight, "lut2", nothing, 0.1, sensitivities.data());
  EXPECT_EQ(layer.weight.sensitivity, "fisher");
  EXPECT_EQ(layer.weight.sensitive, 0) << "0.05 % of 1152 is less than one";
  EXPECT_NEAR(layer.decoded[77], weight[77], 2e-3 * std::fabs(weight[77]))
      << "it draws an entry to itself";
  std::vector<float> unweighted =
      compressed(weight, "lut2", nothing, 0.1).decoded;
  EXPECT_GT(std::fabs(unweighted[77] - weight[77]),
            std::fabs(layer.decoded[77] - weight[77]));
}
