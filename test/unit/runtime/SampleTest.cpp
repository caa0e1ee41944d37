/// sq_lm_sample, and what sq_lm_* says of a model without caches.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "lib/numerics/Philox.h"
#include "test/unit/runtime/ToyArtifact.h"

namespace {

class Sample : public sq_test::TemporaryFolder {
protected:
  void SetUp() override {
    ASSERT_EQ(sq::writeArtifact(sq_test::toySpec(path("toy.so"))).code,
              sq::ExitCode::Done);
    ASSERT_EQ(sq_module_load(path("toy.so").c_str(), nullptr, &module),
              SQ_STATUS_OK)
        << sq_last_error();
    ASSERT_EQ(sq_session_create(module, nullptr, &session), SQ_STATUS_OK)
        << sq_last_error();
    how.size = sizeof how;
  }
  void TearDown() override {
    sq_session_release(session);
    sq_module_release(module);
  }

  int64_t sample(const std::vector<float> &logits, uint64_t step = 0,
                 uint64_t sequence = 0) {
    int64_t token = -1;
    EXPECT_EQ(sq_lm_sample(session, logits.data(), logits.size(), &how,
                           sequence, step, &token),
              SQ_STATUS_OK)
        << sq_last_error();
    return token;
  }
  std::string refusal(const std::vector<float> &logits) {
    int64_t token = -1;
    EXPECT_EQ(
        sq_lm_sample(session, logits.data(), logits.size(), &how, 0, 0, &token),
        SQ_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(token, -1);
    return sq_last_error();
  }

  sq_module *module = nullptr;
  sq_session *session = nullptr;
  sq_lm_sampling how = {};
};

TEST_F(Sample, GreedyTakesTheLowestOfTheLargest) {
  EXPECT_EQ(sample({1, 3, 2, 3}), 1);
  EXPECT_EQ(sample({-INFINITY, -5}), 1);
  EXPECT_EQ(sample({7}), 0);
}

/// Equal logits: the token is the random number's leading 16 bits. Known
/// answers of Philox4x32-10 are those of its authors' library (Random123,
/// kat_vectors): counter and key 0, and all bits set.
TEST_F(Sample, KnownAnswers) {
  how.temperature = 1;
  std::vector<float> equal(65536, 2.5f);
  EXPECT_EQ(sample(equal), 0xe169);
  how.seed = ~0ull;
  EXPECT_EQ(sample(equal, ~0ull, ~0ull), 0x41c8);
}

/// Relative frequencies against exp(x / T), within four standard deviations.
TEST_F(Sample, Frequencies) {
  how.temperature = 0.7;
  how.seed = 5;
  std::vector<float> logits = {0.5f, -1, 1.25f, 0};
  std::vector<double> weights, counts(4);
  double total = 0;
  for (float x : logits)
    total += weights.emplace_back(std::exp(x / 0.7));
  constexpr int n = 20000;
  for (int step = 0; step < n; ++step)
    ++counts[sample(logits, step)];
  for (int i = 0; i < 4; ++i) {
    double p = weights[i] / total;
    EXPECT_NEAR(counts[i] / n, p, 4 * std::sqrt(p * (1 - p) / n))
        << "token " << i;
  }
}

/// Probabilities 1/2, 1/4, 1/8, 1/8 in another order.
TEST_F(Sample, TopKAndTopP) {
  how.temperature = 1;
  float ln2 = std::log(2.0f);
  std::vector<float> logits = {ln2, 0, 2 * ln2, 0};
  auto seen = [&] {
    std::map<int64_t, int> tokens;
    for (int step = 0; step < 400; ++step)
      ++tokens[sample(logits, step)];
    std::vector<int64_t> ids;
    for (auto [id, count] : tokens)
      ids.push_back(id);
    return ids;
  };
  EXPECT_EQ(seen(), (std::vector<int64_t>{0, 1, 2, 3}));
  how.top_k = 1;
  EXPECT_EQ(seen(), (std::vector<int64_t>{2}));
  how.top_k = 2;
  EXPECT_EQ(seen(), (std::vector<int64_t>{0, 2}));
  how.top_k = 3; // of equal ones the lower id
  EXPECT_EQ(seen(), (std::vector<int64_t>{0, 1, 2}));
  how.top_k = 9;
  EXPECT_EQ(seen(), (std::vector<int64_t>{0, 1, 2, 3}));
  how.top_k = 0;
  how.top_p = 0.4;
  EXPECT_EQ(seen(), (std::vector<int64_t>{2}));
  how.top_p = 0.6;
  EXPECT_EQ(seen(), (std::vector<int64_t>{0, 2}));
  how.top_p = 0.8;
  EXPECT_EQ(seen(), (std::vector<int64_t>{0, 1, 2}));
  how.top_p = 1;
  EXPECT_EQ(seen(), (std::vector<int64_t>{0, 1, 2, 3}));
  // top_p is of what top_k left: 2/3 and 1/3.
  how.top_k = 2;
  how.top_p = 0.6;
  EXPECT_EQ(seen(), (std::vector<int64_t>{2}));
}

/// Any logits and options against the definition: all candidates sorted.
TEST_F(Sample, AsDefined) {
  std::mt19937 random(1);
  for (int round = 0; round < 1500; ++round) {
    const size_t count = round % 30 ? 1 + random() % 300 : 20000;
    std::normal_distribution<float> normal(0, std::vector<float>{0.1f, 1, 30, 500}[random() % 4]);
    std::vector<float> logits(count);
    for (float &x : logits)
      x = random() % 20 == 0 ? logits[0] : random() % 50 == 0 ? -INFINITY : normal(random);
    logits[random() % count] = 1;
    how.temperature = std::vector<double>{0.1, 0.7, 1, 8, 1e5}[random() % 5];
    how.top_k = random() % 2 ? random() % (count + 3) : 0;
    how.top_p = random() % 2 ? (random() % 1001) / 1000.0 : 0;
    how.seed = random();
    std::vector<int64_t> ids(count);
    std::iota(ids.begin(), ids.end(), 0);
    const bool isCut = (how.top_k && how.top_k < static_cast<int64_t>(count)) || (how.top_p > 0 && how.top_p < 1);
    const float largest = *std::max_element(logits.begin(), logits.end());
    auto weight = [&](int64_t id) { return std::exp((double(logits[id]) - largest) / how.temperature); };
    auto total = [&] {
      double sum = 0;
      for (int64_t id : ids)
        sum += weight(id);
      return sum;
    };
    if (isCut)
      std::sort(ids.begin(), ids.end(), [&](int64_t a, int64_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); });
    if (how.top_k && how.top_k < static_cast<int64_t>(count))
      ids.resize(how.top_k);
    if (how.top_p > 0 && how.top_p < 1) {
      const double wanted = how.top_p * total();
      double reached = 0;
      size_t kept = 0;
      while (kept < ids.size() && reached < wanted)
        reached += weight(ids[kept++]);
      ids.resize(std::max<size_t>(kept, 1));
    }
    const uint32_t step = random(), sequence = random();
    auto low = [](uint64_t x) { return static_cast<uint32_t>(x); };
    auto words = sq::numerics::philox({step, 0, sequence, 0}, {low(how.seed), low(how.seed >> 32)});
    const double at = ((uint64_t(words[1]) << 32 | words[0]) >> 11) / 9007199254740992.0 * total();
    double reached = 0;
    int64_t expected = -1;
    for (int64_t id : ids) {
      reached += weight(id);
      if (weight(id) > 0)
        expected = id;
      if (reached > at)
        break;
    }
    EXPECT_EQ(sample(logits, step, sequence), expected)
        << count << " logits, temperature " << how.temperature << ", top_k " << how.top_k << ", top_p " << how.top_p;
  }
}

/// Vectors of any width give the same bits.
TEST_F(Sample, SameForEveryCap) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 2);
  how.temperature = 0.9;
  std::vector<std::vector<int64_t>> tokens;
  for (const char *cap : {"x86-64-v3", "avx512"}) {
    sq_module_options options = {};
    options.size = sizeof options;
    options.cpu = cap;
    sq_session_release(session);
    sq_module_release(module);
    ASSERT_EQ(sq_module_load(path("toy.so").c_str(), &options, &module), SQ_STATUS_OK) << sq_last_error();
    ASSERT_EQ(sq_session_create(module, nullptr, &session), SQ_STATUS_OK) << sq_last_error();
    random.seed(2);
    tokens.emplace_back();
    for (int step = 0; step < 300; ++step) {
      std::vector<float> logits(1 + random() % 5000);
      for (float &x : logits)
        x = normal(random);
      how.top_p = step % 3 ? 0 : 0.8;
      tokens.back().push_back(sample(logits, step));
    }
  }
  EXPECT_EQ(tokens[0], tokens[1]);
}

/// The nucleus of many logits: sorted in growing pieces, the same as all at
/// once.
TEST_F(Sample, LargeVocabulary) {
  how.temperature = 1;
  std::vector<float> logits(50000);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>((i * 7919) % logits.size()) * 1e-3f;
  // Weights fall by exp(-0.001) from the largest: 1000 (1 - e^-x) of 1000 for x
  // thousand of them.
  how.top_p = 0.5;
  for (int step = 0; step < 50; ++step)
    EXPECT_GT(logits[sample(logits, step)], 49.999f - 0.70f)
        << "step " << step; // ln 2
}

TEST_F(Sample, SequencesAndStepsAreIndependent) {
  how.temperature = 1;
  std::vector<float> equal(1 << 20);
  EXPECT_EQ(sample(equal, 3, 4), sample(equal, 3, 4));
  EXPECT_NE(sample(equal, 3, 4), sample(equal, 4, 3));
  int64_t before = sample(equal, 3, 4);
  how.seed = 1;
  EXPECT_NE(sample(equal, 3, 4), before);
}

TEST_F(Sample, Refusals) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(refusal({1, nan}), "logit 1 is NaN");
  EXPECT_EQ(refusal({INFINITY, 0}), "logit 0 is infinite");
  EXPECT_EQ(refusal({-INFINITY, -INFINITY}),
            "all logits are -inf: there is no token to choose");
  how.temperature = -1;
  EXPECT_EQ(refusal({1, 2}), "a temperature of -1; give 0 (greedy) to 1e6");
  how.temperature = 1;
  how.top_p = 1.5;
  EXPECT_EQ(refusal({1, 2}), "a top_p of 1.5; give 0 (all) to 1");
  how.top_p = 0;
  how.top_k = -2;
  EXPECT_EQ(refusal({1, 2}),
            "the -2 largest logits; give top_k 0 (all) or more");
}

TEST_F(Sample, ModelsWithoutCaches) {
  sq_lm_info info = {};
  info.size = sizeof info;
  EXPECT_EQ(sq_lm_get_info(module, &info), SQ_STATUS_OK);
  EXPECT_EQ(info.caches, 0);
  sq_lm_state *state = nullptr;
  EXPECT_EQ(sq_lm_state_create(module, 1, 0, &state),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(sq_last_error()).find("keeps no keys and values"),
            std::string::npos);
  sq_lm_state_release(nullptr);
}

/// A cache that the signature does not bear out.
TEST_F(Sample, DamagedCaches) {
  auto load = [&](int32_t input, int32_t axis, int64_t heads, int32_t tokens) {
    sq::ArtifactSpec spec = sq_test::toySpec(path("cache.so"));
    spec.manifest.inputs.push_back({"past", "f32", {{"batch", 0, 512}, {"", 2, 2}, {"past", 0, 64}, {"", 8, 8}}});
    spec.manifest.inputs.push_back({"ids", "i64", {{"batch", 0, 512}, {"new", 0, 64}}});
    spec.manifest.outputs.push_back({"present", "f32", {{"batch", 0, 512}, {"", 2, 2}, {"all", 0, 64}, {"", 8, 8}}});
    sq::ManifestCache &cache = spec.manifest.cache.emplace();
    cache.states = {{input, 2, axis, heads, 8}};
    cache.tokens = tokens;
    EXPECT_EQ(sq::writeArtifact(spec).code, sq::ExitCode::Done);
    sq_module *loaded = nullptr;
    std::string message;
    if (sq_module_load(path("cache.so").c_str(), nullptr, &loaded) != SQ_STATUS_OK)
      message = sq_last_error();
    sq_module_release(loaded);
    return message;
  };
  EXPECT_EQ(load(2, 2, 2, 3), "");
  EXPECT_EQ(load(9, 2, 2, 3), "the manifest is damaged: its cache names a tensor that there is not; build the artifact again");
  EXPECT_EQ(load(0, 2, 2, 3), "the manifest is damaged: its cache is not for f32 of rank 4; build the artifact again");
  EXPECT_EQ(load(2, 3, 2, 3), "the manifest is damaged: its cache is not for f32 of rank 4; build the artifact again");
  EXPECT_EQ(load(2, 2, 3, 3), "the manifest is damaged: its cache is not as large as its past; build the artifact again");
  EXPECT_EQ(load(2, 2, 0, 3), "the manifest is damaged: its cache has an impossible size; build the artifact again");
  EXPECT_EQ(load(2, 2, 2, 0), "the manifest is damaged: its cache has no tokens, or positions of another kind; build the artifact again");
}

} // namespace
