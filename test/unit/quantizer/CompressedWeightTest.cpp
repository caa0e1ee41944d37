#include "lib/quantizer/CompressedWeight.h"

#include "lib/numerics/Tensor.h"
#include "lib/quantizer/BitStream.h"
#include "lib/quantizer/Extraction.h"
#include "lib/quantizer/FitLevels.h"
#include "test/support/Random.h"
#include "test/unit/quantizer/SpecRow.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sq;
using namespace sq::quantizer;
using sq::test::SpecRow;

namespace {

/// A row by exact tables of f16, with what `rule` takes out.
CompressedWeight tablesOf(const SpecRow &row, int bits, ExtractionRule rule,
                          bool weighted = true,
                          EntryType entries = EntryType::F16) {
  CompressedWeight weight =
      CompressedWeight::make({GridKind::Table, bits, entries}, 1, 256);
  Extraction taken;
  EXPECT_TRUE(extract(row.w.data(), row.f.data(), 1, 256, rule, taken).ok());
  fitTables(weight, row.w.data(), {nullptr, weighted ? row.f.data() : nullptr},
            taken.removed, 1);
  weight.assignNearest(row.w.data());
  weight.takeSparse(row.w.data(), taken.removed);
  EXPECT_TRUE(weight.verify().ok()) << weight.verify().message;
  return weight;
}

std::vector<float> decoded(const CompressedWeight &weight) {
  std::vector<float> to(weight.n * weight.k);
  weight.decode(to.data());
  return to;
}

uint64_t hashOfWords(const std::vector<uint32_t> &words) {
  test::Fnv fnv;
  for (uint32_t word : words)
    fnv.add(word);
  return fnv.hash;
}

constexpr ExtractionRule kSevenEntries = {100.0 / 256, 600.0 / 256, {}};

} // namespace

// Specification 10.3: tables in f16, their error, codes as they are stored.
TEST(CompressedWeight, TablesOfTheSpecification) {
  SpecRow row;
  CompressedWeight eight = tablesOf(row, 3, {}), sixteen = tablesOf(row, 4, {}),
                   four = tablesOf(row, 2, {});
  EXPECT_EQ(eight.table,
            (std::vector<uint16_t>{0xb4eb, 0xae60, 0xa871, 0x15d2, 0x2704,
                                   0x2ce4, 0x3613, 0x3a4f}));
  EXPECT_EQ(sixteen.table, (std::vector<uint16_t>{
                               0xb5a8, 0xb4de, 0xb234, 0xae06, 0xa9d9, 0xa709,
                               0x9eeb, 0x188e, 0x20ad, 0x24c1, 0x2717, 0x2905,
                               0x2be3, 0x3005, 0x3613, 0x3a4f}));
  struct {
    const CompressedWeight &weight;
    double error;
  } cases[] = {
      {four, 5.19581647732}, {eight, 1.10813375871}, {sixteen, 0.130584378381}};
  for (auto [weight, error] : cases)
    EXPECT_NEAR(test::weightedError(row.w, row.f, decoded(weight)), error,
                1e-9 * error);

  std::vector<uint8_t> first(eight.codes.begin(), eight.codes.begin() + 32);
  EXPECT_EQ(first, (std::vector<uint8_t>{3, 3, 4, 2, 4, 3, 4, 5, 0, 3, 4,
                                         3, 2, 3, 3, 1, 2, 3, 4, 1, 3, 4,
                                         2, 4, 3, 3, 3, 3, 3, 3, 3, 0}));
  std::vector<uint32_t> words = packCodes(eight.codes.data(), 1, 256, 3);
  ASSERT_EQ(words.size(), 24u);
  EXPECT_EQ(words[0], 0x18b1c51bu);
  EXPECT_EQ(words[1], 0x331a2da7u);
  EXPECT_EQ(words[2], 0x0db6db8au);
  EXPECT_EQ(hashOfWords(words), 0xd1a06417a278fbe9u);
  words = packCodes(sixteen.codes.data(), 1, 256, 4);
  ASSERT_EQ(words.size(), 32u);
  EXPECT_EQ(words[0], 0xc96b5b86u);
  EXPECT_EQ(words[3], 0x26687786u);
  EXPECT_EQ(hashOfWords(words), 0x5f69d40ddd30e6a0u);
}

// Specification 10.4.
TEST(CompressedWeight, SparsePartOfTheSpecification) {
  SpecRow row;
  CompressedWeight weight = tablesOf(row, 3, kSevenEntries);
  EXPECT_EQ(weight.table,
            (std::vector<uint16_t>{0xb4e0, 0xb234, 0xadff, 0xa86c, 0x15c4,
                                   0x265d, 0x2b91, 0x3005}));
  EXPECT_EQ(weight.sparse.starts, (std::vector<uint32_t>{0, 7}));
  EXPECT_EQ(weight.sparse.columns,
            (std::vector<uint32_t>{8, 98, 160, 164, 165, 241, 245}));
  EXPECT_EQ(weight.sparse.values,
            (std::vector<uint16_t>{0xaa90, 0x394c, 0x2330, 0x3934, 0x3450,
                                   0x3982, 0x338f}));
  std::vector<uint8_t> codes;
  for (uint32_t column : weight.sparse.columns)
    codes.push_back(weight.codes[column]);
  EXPECT_EQ(codes, (std::vector<uint8_t>{0, 7, 5, 7, 7, 7, 7}));
  EXPECT_NEAR(test::weightedError(row.w, row.f, decoded(weight)), 0.495278692,
              1e-9);

  auto product = [](const std::vector<float> &w) {
    double y = 0;
    for (int i = 0; i < 256; ++i)
      y += w[i] * ((37 * i % 64) - 31.5) / 32;
    return y;
  };
  EXPECT_NEAR(product(decoded(weight)), 0.451736927, 1e-8);
  EXPECT_NEAR(product(row.w), 0.569560597, 1e-8);
  CompressedWeight dense = weight;
  dense.sparse = {};
  EXPECT_NEAR(test::weightedError(row.w, row.f, decoded(dense)), 4.096426541,
              1e-8);
  EXPECT_NEAR(product(decoded(dense)), 0.041756153, 1e-8);

  // Without what was taken out; and the seven largest instead.
  auto rest = [&](int bits, ExtractionRule rule) {
    Extraction taken;
    EXPECT_TRUE(extract(row.w.data(), row.f.data(), 1, 256, rule, taken).ok());
    std::vector<float> f = row.f;
    for (int i = 0; i < 256; ++i)
      f[i] = taken.removed[i] ? 0 : f[i];
    return test::weightedError(row.w, f, decoded(tablesOf(row, bits, rule)));
  };
  // (The specification's figures are of tables before rounding; f16 adds 1e-4
  // or less.)
  EXPECT_NEAR(rest(2, kSevenEntries), 2.56591408068, 1e-5);
  EXPECT_NEAR(rest(3, kSevenEntries), 0.495276691268, 1e-5);
  EXPECT_NEAR(rest(4, kSevenEntries), 0.0615400594087, 1e-5);
  EXPECT_NEAR(rest(3, {0, 700.0 / 256, {}}), 0.528863523, 1e-5);
}

// An entry in a byte is at most half a step from the wanted one, and the row's
// largest is level 127 or -127. (The figures of specification 5.2 are of bytes
// from the least entry on, with a minimum of 16 bits more; these have less to
// store.)
TEST(CompressedWeight, EntriesOfBytes) {
  SpecRow row;
  for (int bits : {2, 3, 4}) {
    CompressedWeight half = tablesOf(row, bits, {}),
                     bytes = tablesOf(row, bits, {}, true, EntryType::I8);
    std::vector<float> wanted(1 << bits), got(1 << bits);
    half.readLevels(0, 0, wanted.data());
    bytes.readLevels(0, 0, got.data());
    double step = numerics::decodeF16(bytes.scales[0]),
           largest = std::max(-wanted.front(), wanted.back());
    EXPECT_NEAR(step, largest / 127, 1e-3 * step);
    EXPECT_EQ(std::max<int>(-bytes.entries.front(), bytes.entries.back()), 127);
    for (int c = 0; c < 1 << bits; ++c)
      EXPECT_NEAR(got[c], wanted[c], step * 0.63)
          << "half a step, and roundings to f16 of 127 steps";
    double best = test::weightedError(row.w, row.f, decoded(half));
    EXPECT_LT(test::weightedError(row.w, row.f, decoded(bytes)),
              (bits == 4 ? 1.3 : 1.05) * best);
  }
}

// Specification 11.2 to 11.4 on small and odd weights.
TEST(CompressedWeight, ResidualsAreOfStoredTables) {
  test::Random random(6);
  for (EntryType entries : {EntryType::F16, EntryType::I8})
    for (int64_t k : {1, 7, 40, 129})
      for (double share : {0.0, 5.0, 100.0}) {
        int64_t n = 5;
        std::vector<float> w(n * k);
        for (float &x : w)
          x = random.real() * std::exp(random.real());
        std::fill(w.begin(), w.begin() + k, 0.0f); // a row of zeros
        std::fill(w.begin() + k, w.begin() + 2 * k,
                  0.37f); // one of equal values
        Extraction taken;
        ASSERT_TRUE(
            extract(w.data(), nullptr, n, k, {0, share, {}}, taken).ok());
        CompressedWeight weight =
            CompressedWeight::make({GridKind::Table, 2, entries}, n, k);
        fitTables(weight, w.data(), {}, taken.removed, 2);
        weight.assignNearest(w.data());
        weight.takeSparse(w.data(), taken.removed);
        ASSERT_TRUE(weight.verify().ok()) << weight.verify().message;
        std::vector<float> got = decoded(weight);
        CompressedWeight dense = weight;
        dense.sparse = {};
        std::vector<float> level = decoded(dense);
        for (int64_t i = 0; i < n * k; ++i) {
          double residual = std::fabs(double(w[i]) - level[i]);
          // Half a unit of f16, or of its least number, and a rounding of the
          // sum.
          if (taken.removed[i]) {
            ASSERT_LE(std::fabs(double(got[i]) - w[i]),
                      std::ldexp(residual, -11) + std::ldexp(1, -25) +
                          1e-7 * std::fabs(w[i]));
          } else {
            ASSERT_EQ(got[i], level[i]);
          }
        }
        if (share == 0) {
          EXPECT_TRUE(weight.sparse.starts.empty());
          EXPECT_EQ(weight.bits().sparse, 0);
        }
      }
}

// A weight with fewer values than levels comes back as it was, in f16.
TEST(CompressedWeight, FewValues) {
  std::vector<float> w = {0.5f, -1, 0.5f, 0.25f, 3, 3, 3, 3};
  CompressedWeight weight = CompressedWeight::make({GridKind::Table, 2}, 2, 4);
  fitTables(weight, w.data(), {}, {}, 1);
  weight.assignNearest(w.data());
  EXPECT_EQ(decoded(weight), w);
  EXPECT_EQ(weight.codes[4], 0) << "of equal levels the first";
}

TEST(CompressedWeight, Bits) {
  CompressedWeight weight =
      CompressedWeight::make({GridKind::Table, 3}, 10, 384);
  EXPECT_EQ(weight.bits().total(), 10 * (3 * 384 + 8 * 16));
  weight = CompressedWeight::make({GridKind::Table, 4, EntryType::I8}, 10, 384);
  EXPECT_EQ(weight.bits().total(), 10 * (4 * 384 + 16 * 8 + 16));
  weight.sparse.starts.assign(11, 0);
  weight.sparse.columns.assign(17, 0);
  weight.sparse.values.assign(17, 0);
  EXPECT_EQ(weight.bits().sparse, 17 * 32 + 10 * 32);
  weight = CompressedWeight::make({GridKind::Uniform, 4, EntryType::F16, 128},
                                  10, 384);
  EXPECT_EQ(weight.bitsPerWeight(), 4.25);
  weight = CompressedWeight::make({GridKind::Symmetric, 4, EntryType::F16, 32},
                                  10, 384);
  EXPECT_EQ(weight.bitsPerWeight(), 4.5);
  weight = CompressedWeight::make({GridKind::Uniform, 3, EntryType::F16, 128},
                                  10, 130);
  EXPECT_EQ(weight.bits().total(), 10 * (3 * 130 + 2 * 32));
}

TEST(CompressedWeight, Refused) {
  CompressedWeight good = CompressedWeight::make({GridKind::Table, 2}, 2, 4);
  good.sparse = {{0, 1, 2}, {3, 0}, {0x3c00, 0x3c00}};
  EXPECT_TRUE(good.verify().ok());
  CompressedWeight bad = good;
  bad.codes[5] = 4;
  EXPECT_EQ(
      bad.verify().message,
      "row 1 of a compressed weight: code 4 in column 1 has more than 2 bits");
  bad = good;
  bad.table[5] = 0xbc00;
  EXPECT_EQ(bad.verify().message,
            "row 1 of a compressed weight: level 1 is below the one before it");
  bad = good;
  bad.table[3] = 0x7c00;
  EXPECT_EQ(bad.verify().message,
            "row 0 of a compressed weight: level 3 is not finite");
  bad = good;
  bad.sparse.columns[0] = 4;
  EXPECT_EQ(bad.verify().message, "row 0 of a compressed weight: sparse column "
                                  "4 is out of range or out of order");
  bad = good;
  bad.sparse.starts = {0, 2, 2};
  EXPECT_EQ(bad.verify().message, "row 0 of a compressed weight: sparse column "
                                  "0 is out of range or out of order");
  bad = good;
  bad.sparse.starts = {0, 1};
  EXPECT_EQ(bad.verify().message, "row 0 of a compressed weight: row starts do "
                                  "not cover the sparse values");
}

TEST(CompressedWeight, F16) {
  EXPECT_EQ(toF16(1e9), 0x7bff) << "the largest, not infinity";
  EXPECT_EQ(toF16(-1e9), 0xfbff);
  EXPECT_EQ(toF16(1e-9), 0);
  // Two conversions beside each other: both must round (specification 4,
  // toolchain warning).
  struct {
    double a, b;
  } pair;
  pair.a = numerics::decodeF16(toF16(0.1));
  pair.b = numerics::decodeF16(toF16(0.3));
  EXPECT_EQ(pair.a, 0.0999755859375);
  EXPECT_EQ(pair.b, 0.300048828125);
}

// What is stored gives the same floats as what was made: words of codes, tables
// in f16, and rows of the sparse part, put together by hand.
TEST(CompressedWeight, StoredPartsGiveTheSameBits) {
  test::Random random(11);
  for (int bits : {2, 3, 4})
    for (EntryType entries : {EntryType::F16, EntryType::I8}) {
      int64_t n = 7, k = 77;
      std::vector<float> w(n * k);
      for (float &x : w)
        x = random.real() * std::exp(random.real());
      Extraction taken;
      ASSERT_TRUE(extract(w.data(), nullptr, n, k, {0, 3, {}}, taken).ok());
      CompressedWeight weight =
          CompressedWeight::make({GridKind::Table, bits, entries}, n, k);
      fitTables(weight, w.data(), {}, taken.removed, 1);
      weight.assignNearest(w.data());
      weight.takeSparse(w.data(), taken.removed);
      std::vector<uint32_t> words = packCodes(weight.codes.data(), n, k, bits);
      std::vector<uint8_t> codes = unpackCodes(words.data(), n, k, bits);
      std::vector<float> dense(n * k), sparse(n * k), got = decoded(weight);
      for (int64_t i = 0; i < n * k; ++i)
        dense[i] = numerics::decodeF16(weight.entryF16(i / k, codes[i]));
      for (int64_t r = 0; r < n; ++r)
        for (uint32_t e = weight.sparse.starts[r];
             e < weight.sparse.starts[r + 1]; ++e)
          sparse[r * k + weight.sparse.columns[e]] =
              numerics::decodeF16(weight.sparse.values[e]);
      for (int64_t i = 0; i < n * k; ++i)
        ASSERT_EQ(got[i], dense[i] + sparse[i]);
      // All that is counted is there, and nothing else.
      EXPECT_EQ(weight.bits().codes, n * k * bits);
      int64_t perRow =
          entries == EntryType::F16 ? 16 * (1 << bits) : 8 * (1 << bits) + 16;
      EXPECT_EQ(weight.bits().tables, n * perRow);
      EXPECT_EQ(weight.bits().sparse,
                32 * int64_t(weight.sparse.values.size()) + 32 * n);
    }
}
