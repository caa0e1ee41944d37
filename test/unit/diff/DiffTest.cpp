#include "lib/diff/Diff.h"

#include "gtest/gtest.h"

#include <cmath>
#include <limits>

using namespace sq::diff;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value node(std::string name, std::vector<double> elements) {
  int64_t size = elements.size();
  return {std::move(name), "Op", true, {size}, std::move(elements)};
}

Row rowOf(std::vector<double> a, std::vector<double> b) {
  Row row;
  row.add(node("n", std::move(a)), node("n", std::move(b)));
  return row;
}

TEST(Diff, SqnrIsTheRatioOfSquares) {
  Row row = rowOf({3, 4}, {3, 4.5}); // 10 log10(25 / 0.25)
  EXPECT_NEAR(row.sqnr(), 20, 1e-12);
  EXPECT_DOUBLE_EQ(row.maxAbs, 0.5);
  EXPECT_NEAR(row.cosine(), (9 + 18) / std::sqrt(25 * (9 + 20.25)), 1e-12);
}

TEST(Diff, RunsAddUp) {
  Row row = rowOf({3, 4}, {3, 4});
  EXPECT_EQ(row.sqnr(), kInfinity);
  row.add(node("n", {5}), node("n", {5.5}));
  EXPECT_NEAR(row.sqnr(), 10 * std::log10(50 / 0.25), 1e-12);
  EXPECT_EQ(row.elements, 3);
}

TEST(Diff, EqualInfinitiesAndNaNsAreNoDifference) {
  Row row = rowOf({-kInfinity, NAN, 1}, {-kInfinity, NAN, 1});
  EXPECT_EQ(row.sqnr(), kInfinity);
  EXPECT_EQ(row.maxAbs, 0);
  EXPECT_DOUBLE_EQ(row.cosine(), 1);
}

TEST(Diff, OneNaNIsAnInfiniteDifference) {
  EXPECT_EQ(rowOf({1, 2}, {1, NAN}).sqnr(), -kInfinity);
  EXPECT_EQ(rowOf({1, 2}, {1, kInfinity}).maxAbs, kInfinity);
}

TEST(Diff, ZerosAreEqualToZerosOnly) {
  EXPECT_EQ(rowOf({0, 0}, {0, -0.0}).sqnr(), kInfinity);
  EXPECT_DOUBLE_EQ(rowOf({0, 0}, {0, 0}).cosine(), 1);
  EXPECT_EQ(rowOf({0, 0}, {0, 1}).sqnr(), -kInfinity);
  EXPECT_DOUBLE_EQ(rowOf({0, 0}, {0, 1}).cosine(), 0);
}

TEST(Diff, TheFirstNodeBeyondTheLimitsIsNamed) {
  Result result;
  result.add({node("a", {1}), node("b", {1}), node("c", {1}), node("only", {1})},
             {node("c", {2}), node("b", {1.01}), node("a", {1})});
  ASSERT_EQ(result.nodes.size(), 3u);
  EXPECT_EQ(result.onlyA, std::vector<std::string>{"only"});
  EXPECT_TRUE(result.onlyB.empty());
  Limits limits; // 60 dB; b has 40
  EXPECT_EQ(result.firstParting(limits)->name, "b");
  limits.minSqnr = 30;
  EXPECT_EQ(result.firstParting(limits)->name, "c");
  limits.minSqnr = -10;
  EXPECT_EQ(result.firstParting(limits), nullptr);
  limits.maxAbs = 0.005;
  EXPECT_EQ(result.firstParting(limits)->name, "b");
}

TEST(Diff, OtherShapesPart) {
  Row row;
  row.add({"n", "", true, {2, 3}, std::vector<double>(6)}, {"n", "", true, {3, 2}, std::vector<double>(6)});
  EXPECT_EQ(row.mismatch, "[2, 3] and [3, 2]");
  EXPECT_TRUE(Limits().exceededBy(row));
}

} // namespace
