#include "lib/diff/Suggest.h"

#include <gtest/gtest.h>

using namespace sq;
using namespace sq::diff;

namespace {

TEST(Suggest, WorstFirst) {
  std::vector<MeasuredLayer> layers{{"a", true, 40, 40}, {"b", true, 30, 25}, {"c", false, 19, std::nullopt}, {"d", true, 35, 10}};
  EXPECT_EQ(countBelow(layers, 20), 1u);
  // d comes later than what is below, and loses nothing of it.
  EXPECT_EQ(nextToFloat(layers, 20), std::vector<size_t>{1});
  layers[1].inBytes = false;
  EXPECT_EQ(nextToFloat(layers, 20), std::vector<size_t>{0});
  layers[0].inBytes = false;
  EXPECT_TRUE(nextToFloat(layers, 20).empty());
  EXPECT_TRUE(nextToFloat({}, 20).empty());
  EXPECT_TRUE(nextToFloat(layers, 5).empty());
}

TEST(Suggest, AQuarterOfThoseBelow) {
  std::vector<MeasuredLayer> layers;
  for (int i = 0; i < 9; ++i)
    layers.push_back({"l" + std::to_string(i), true, 10, 50.0 - i});
  EXPECT_EQ(nextToFloat(layers, 20), (std::vector<size_t>{6, 7, 8}));
  layers[7].own = std::nullopt; // nothing known
  EXPECT_EQ(nextToFloat(layers, 20), (std::vector<size_t>{5, 6, 8}));
}

TEST(Suggest, LayersByTheirNodes) {
  Result result;
  Value product{"product", "MatMul", true, {2}, {3, 4}}, sum{"sum", "Add", true, {2}, {3, 4}};
  Value worse = sum;
  worse.elements[0] = 3.5;
  result.add({product, sum}, {product, worse});
  LayerDecision layer;
  layer.name = "product";
  layer.nodes = {"product", "sum"};
  layer.precision = LayerPrecision::Int8;
  layer.input.emplace();
  layer.sqnr = 33;
  LayerDecision hidden = layer;
  hidden.nodes = {hidden.name = "other"};
  std::vector<MeasuredLayer> measured = measureLayers({layer, hidden}, result);
  ASSERT_EQ(measured.size(), 2u);
  EXPECT_TRUE(measured[0].inBytes);
  EXPECT_NEAR(*measured[0].sqnr, 20, 1e-9); // 25 / 0.25
  EXPECT_EQ(measured[0].own, 33);
  EXPECT_FALSE(measured[1].sqnr);
}

} // namespace
