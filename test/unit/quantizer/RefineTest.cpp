#include "lib/quantizer/Refine.h"

#include "lib/quantizer/Extraction.h"
#include "lib/quantizer/FitLevels.h"
#include "test/support/Random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

using namespace sq;
using namespace sq::quantizer;

namespace {

struct Layer {
  int64_t n, k;
  std::vector<float> w;
  std::vector<double> moments;
  InputMoments input;

  /// Inputs whose channels hang together, as those of real layers do.
  Layer(int64_t n, int64_t k, unsigned seed)
      : n(n), k(k), w(n * k), moments(k * k) {
    test::Random random(seed);
    for (float &x : w)
      x = random.real();
    std::vector<double> x(k);
    for (int64_t t = 0; t < 3 * k; ++t) {
      double common = random.real();
      for (int64_t i = 0; i < k; ++i)
        x[i] = common * (i % 4) + random.real() * (1 + i % 3);
      for (int64_t i = 0; i < k; ++i)
        for (int64_t j = 0; j < k; ++j)
          moments[i * k + j] += x[i] * x[j] / (3 * k);
    }
    EXPECT_TRUE(input.prepare(moments.data(), k, 0.01));
  }

  CompressedWeight fitted(GridFormat format,
                          const std::vector<uint8_t> &removed = {}) const {
    CompressedWeight weight = CompressedWeight::make(format, n, k);
    if (format.kind == GridKind::Table)
      fitTables(weight, w.data(), {input.feedback.remaining().data(), nullptr},
                removed, 1);
    else
      fitUniform(weight, w.data(), nullptr, true, 1);
    weight.assignNearest(w.data());
    weight.takeSparse(w.data(),
                      removed.empty() ? std::vector<uint8_t>(n * k) : removed);
    return weight;
  }

  double error(const CompressedWeight &weight) const {
    std::vector<float> got(n * k);
    weight.decode(got.data());
    std::vector<double> rows = input.errors(w.data(), got.data(), n, 1);
    return std::accumulate(rows.begin(), rows.end(), 0.0);
  }

  double refined(CompressedWeight &weight, int rounds,
                 const std::vector<uint8_t> &removed = {}, int threads = 1,
                 double enough = 1e-4) const {
    RefineOptions options;
    options.rounds = rounds;
    options.enough = enough;
    options.threads = threads;
    refine(weight, w.data(), input, removed, options);
    EXPECT_TRUE(weight.verify().ok()) << weight.verify().message;
    return error(weight);
  }
};

} // namespace

TEST(Refine, ErrorIsTheQuadraticForm) {
  Layer layer(5, 33, 1);
  CompressedWeight weight = layer.fitted({GridKind::Table, 2});
  std::vector<float> got(5 * 33);
  weight.decode(got.data());
  double sum = 0, extra = 0;
  for (int64_t i = 0; i < 33; ++i)
    extra += 0.01 * layer.moments[i * 33 + i] / 33;
  for (int64_t r = 0; r < 5; ++r)
    for (int64_t i = 0; i < 33; ++i)
      for (int64_t j = 0; j < 33; ++j)
        sum += (layer.w[r * 33 + i] - got[r * 33 + i]) *
               (layer.moments[i * 33 + j] + (i == j ? extra : 0)) *
               (layer.w[r * 33 + j] - got[r * 33 + j]);
  EXPECT_NEAR(layer.error(weight), sum, 1e-4 * sum);
}

// Tables that are fitted less exactly before codes change: as good after one
// round, up to 1 %.
TEST(Refine, FittedLessExactly) {
  Layer layer(65, 150, 7);
  CompressedWeight exact = layer.fitted({GridKind::Table, 4}), rough = exact;
  double feedback = layer.refined(exact, 0);
  double once = layer.refined(exact, 1),
         fast = layer.refined(rough, 1, {}, 1, 1e-2);
  EXPECT_LT(fast, feedback);
  EXPECT_LT(fast, 1.01 * once);
}

// No weight at all is as far from the wanted one as zeros are.
TEST(Refine, ErrorOfNothing) {
  Layer layer(5, 33, 8);
  std::vector<float> zeros(5 * 33);
  EXPECT_EQ(layer.input.errors(layer.w.data(), nullptr, 5, 1),
            layer.input.errors(layer.w.data(), zeros.data(), 5, 1));
}

// Threads change nothing: sizes beyond what one of them has at a time.
TEST(Refine, MomentsByThreads) {
  Layer layer(1, 150, 9);
  InputMoments other;
  ASSERT_TRUE(other.prepare(layer.moments.data(), 150, 0.01, 3));
  EXPECT_EQ(other.matrix, layer.input.matrix);
  EXPECT_EQ(other.order, layer.input.order);
  EXPECT_EQ(other.feedback.remaining(), layer.input.feedback.remaining());
}

// Each step lowers the error; sizes around those of slices and blocks.
TEST(Refine, EachStepCostsLess) {
  for (auto [n, k] :
       {std::pair<int64_t, int64_t>{1, 20}, {63, 64}, {65, 150}, {130, 65}})
    for (GridFormat format : {GridFormat{GridKind::Table, 3},
                              {GridKind::Table, 4, EntryType::I8},
                              {GridKind::Table, 2},
                              {GridKind::Uniform, 3, EntryType::F16, 32}}) {
      Layer layer(n, k, n * 1000 + k);
      CompressedWeight nearest = layer.fitted(format), once = nearest,
                       often = nearest;
      double before = layer.error(nearest), feedback = layer.refined(once, 0),
             rounds = layer.refined(often, 6);
      // A single short row with a table of its own has little left to gain.
      EXPECT_LT(feedback, n == 1 ? 1.2 * before : 0.8 * before)
          << n << "x" << k << ", " << format.bits << " bits";
      EXPECT_LE(rounds, feedback * 1.0001);
      if (n > 1 && format.kind == GridKind::Table) {
        EXPECT_LT(rounds, 0.99 * feedback)
            << n << "x" << k << ", " << format.bits << " bits";
      }
    }
}

// After enough rounds no single code and no change of the entries costs less.
TEST(Refine, NoBetterCodeNextToIt) {
  Layer layer(6, 40, 3);
  CompressedWeight weight = layer.fitted({GridKind::Table, 2});
  RefineOptions options;
  options.rounds = 60;
  options.leastGain = 0;
  refine(weight, layer.w.data(), layer.input, {}, options);
  double best = layer.error(weight);
  for (int64_t i = 0; i < 6 * 40; ++i)
    for (uint8_t code = 0; code < 4; ++code) {
      CompressedWeight other = weight;
      other.codes[i] = code;
      EXPECT_GE(layer.error(other), best * (1 - 1e-5));
    }
  for (size_t entry = 0; entry < weight.table.size(); ++entry)
    for (double factor : {0.99, 1.01}) {
      CompressedWeight other = weight;
      double levels[4];
      float now[4];
      other.readLevels(entry / 4, 0, now);
      for (int t = 0; t < 4; ++t)
        levels[t] = now[t] * (t == int(entry % 4) ? factor : 1);
      if (!std::is_sorted(levels, levels + 4))
        continue;
      other.writeLevels(entry / 4, 0, levels);
      EXPECT_GE(layer.error(other), best * (1 - 1e-5));
    }
}

// All codes of a short row, with its table as it is: Babai's rounding and
// descent find the best one or nearly.
TEST(Refine, NearTheBestOfAllCodes) {
  int same = 0;
  for (unsigned seed = 0; seed < 30; ++seed) {
    Layer layer(1, 6, 100 + seed);
    CompressedWeight weight =
        layer.fitted({GridKind::Uniform, 2, EntryType::F16, 0});
    double found = layer.refined(weight, 5), best = INFINITY;
    CompressedWeight other = weight;
    for (int choice = 0; choice < 4096; ++choice) {
      for (int64_t i = 0; i < 6; ++i)
        other.codes[i] = choice >> 2 * i & 3;
      best = std::min(best, layer.error(other));
    }
    EXPECT_GE(found, best * (1 - 1e-5));
    same += found < best * 1.0001;
  }
  EXPECT_GE(same, 12) << "of 30 are the best of all";
}

// Values in 16 bits take errors over: they make none, and the rest has less.
TEST(Refine, SparseValuesTakeErrorsOver) {
  Layer layer(40, 96, 5);
  Extraction taken;
  ASSERT_TRUE(extract(layer.w.data(), nullptr, 40, 96, {0, 5, {}}, taken).ok());
  CompressedWeight nearest = layer.fitted({GridKind::Table, 3}, taken.removed),
                   dense = layer.fitted({GridKind::Table, 3});
  CompressedWeight refined = nearest;
  double before = layer.error(nearest),
         with = layer.refined(refined, 4, taken.removed),
         without = layer.refined(dense, 4);
  EXPECT_LT(with, 0.6 * before);
  EXPECT_LT(with, 0.9 * without);
  int64_t removed = taken.outliers;
  EXPECT_LE(int64_t(refined.sparse.columns.size()), removed);
  EXPECT_GT(int64_t(refined.sparse.columns.size()), removed * 9 / 10);
  for (int64_t r = 0; r < 40; ++r)
    for (uint32_t i = refined.sparse.starts[r];
         i < refined.sparse.starts[r + 1]; ++i)
      EXPECT_TRUE(taken.removed[r * 96 + refined.sparse.columns[i]]);
}

TEST(Refine, SameForAnyThreads) {
  Layer layer(200, 70, 6);
  CompressedWeight one = layer.fitted({GridKind::Table, 3}), three = one;
  EXPECT_EQ(layer.refined(one, 3, {}, 1), layer.refined(three, 3, {}, 3));
  EXPECT_EQ(one.codes, three.codes);
  EXPECT_EQ(one.table, three.table);
}

TEST(Refine, MomentsWithoutFactor) {
  InputMoments input;
  std::vector<double> zeros(9), wrong = {1, 0, 0, 0, NAN, 0, 0, 0, 1};
  EXPECT_FALSE(input.prepare(zeros.data(), 3, 0.01));
  EXPECT_FALSE(input.prepare(wrong.data(), 3, 0.01));
  // A channel that is always 0, and fewer rows than channels.
  std::vector<double> thin = {4, 0, 2, 0, 0, 0, 2, 0, 1};
  EXPECT_TRUE(input.prepare(thin.data(), 3, 0.01));
}

// Without damping, and without any factor: what rows that were held back are
// for, of which there may be fewer than channels.
TEST(Refine, ErrorOfFewRows) {
  std::vector<double> moments = {4, 2, 2, 1}; // of x = (2, 1) alone
  InputMoments input;
  input.prepareError(moments.data(), 2);
  std::vector<float> w = {1, 2, 0, 0}, got = {0.5f, 3, 0, 0};
  EXPECT_NEAR(input.errors(w.data(), got.data(), 2, 1)[0], 0, 1e-6)
      << "2 * 0.5 - 1 * 1";
  got = {0, 2, 0, 1};
  std::vector<double> errors = input.errors(w.data(), got.data(), 2, 1);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_NEAR(errors[0], 4, 1e-5);
  EXPECT_NEAR(errors[1], 1, 1e-5);
}
