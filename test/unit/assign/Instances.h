/// Problems with published or computed solutions: ../shared/specs/mixed-precision.md, section 13.
#ifndef SQ_TEST_UNIT_ASSIGN_INSTANCES_H
#define SQ_TEST_UNIT_ASSIGN_INSTANCES_H

#include <gtest/gtest.h>

#include "lib/assign/Assign.h"

namespace sq::assign {

inline Choice makeChoice(double bits, double loss, double bytes, double bops = 0, double seconds = 0) {
  Choice choice{"int" + std::to_string(int(bits)), bits, 8, loss, {}, true};
  choice.cost(Cost::Bytes) = choice.cost(Cost::Counted) = bytes;
  choice.cost(Cost::Bops) = bops;
  choice.cost(Cost::Seconds) = seconds;
  return choice;
}

inline std::vector<Group> grouped(llvm::ArrayRef<Layer> layers) {
  Groups groups;
  Status status = makeGroups(layers, groups);
  EXPECT_TRUE(status.ok()) << status.message;
  return groups.all;
}

/// HAWQ-V3's ResNet18 without its first and last layer, 8 or 4 bits; the shortcuts are tied to the main path.
inline std::vector<Layer> resnet18() {
  const double trace[] = {.06857826, .03162379, .03298575, .01205663, .02222431, .00596336, .06931772,
                          .00807129, .00372905, .00530698, .00209011, .00737569, .00210454, .00151197,
                          .00158041, .00078146, .00451841, .00098745, .00072944};
  const double d8[] = {.0235, .0125, .0102, .0082, .0145, .0344, .0023, .0287, .0148, .0333,
                       .0682, .0027, .0448, .0336, .0576, .1130, .0102, .0947, .0532};
  const double d4[] = {6.7430,  3.9691, 3.3281,  2.6796,  4.7277,  10.5966, .6827,  9.0942,  4.8857, 10.7599,
                       21.7546, .8603,  14.5324, 10.9651, 18.7706, 36.4044, 3.1572, 29.6994, 17.4016};
  const int64_t n[] = {36864,  36864, 36864,  36864,  73728,   147456,  8192,   147456,  147456, 294912,
                       589824, 32768, 589824, 589824, 1179648, 2359296, 131072, 2359296, 2359296};
  const double mac[] = {115605504, 115605504, 115605504, 115605504, 57802752, 115605504, 6422528,
                        115605504, 115605504, 57802752,  115605504, 6422528,  115605504, 115605504,
                        57802752,  115605504, 6422528,   115605504, 115605504};
  const double ms4[] = {.21094404, .21092674, .21104113, .21086851, .13642465, .19167506, .02532183,
                        .19148203, .19142914, .11395316, .20556011, .01917474, .20566918, .20566509,
                        .13185102, .22287786, .01790088, .22304611, .22286099};
  const double ms8[] = {.36189111, .36211718, .31141909, .30454471, .19184896, .38948934, .0334169,
                        .38904905, .3892859,  .19134735, .34307431, .02802354, .34313329, .34310756,
                        .21117103, .37376585, .02896843, .37398187, .37405185};
  std::vector<Layer> layers;
  for (int i = 0; i < 19; ++i) {
    Layer layer{std::to_string(i), "", "", n[i], {}};
    layer.choices = {makeChoice(8, trace[i] * d8[i], n[i], mac[i] * 64, ms8[i] / 1e3),
                     makeChoice(4, trace[i] * d4[i], n[i] * 0.5, mac[i] * 16, ms4[i] / 1e3)};
    layers.push_back(std::move(layer));
  }
  for (auto [a, b] : {std::pair(4, 6), {9, 11}, {14, 16}})
    layers[a].tie = layers[b].tie = "shortcut" + std::to_string(a);
  return layers;
}

/// A transformer block: qkv, o, fc1, fc2 with 8, 4 or 2 bits.
inline std::vector<Layer> toyBlock() {
  const char *names[] = {"qkv", "o", "fc1", "fc2"};
  const double n[] = {1769472, 589824, 2359296, 2359296}, trace[] = {4e-4, 1e-3, 2.5e-4, 6e-4},
               d8[] = {.020, .006, .030, .028};
  std::vector<Layer> layers;
  for (int i = 0; i < 4; ++i) {
    Layer layer{names[i], "", "", int64_t(n[i]), {}};
    for (auto [bits, ratio] : {std::pair(8.0, 1.0), {4.0, 127.0 / 7}, {2.0, 127.0}})
      layer.choices.push_back(makeChoice(bits, trace[i] * d8[i] * ratio * ratio, n[i] * bits / 8));
    layers.push_back(std::move(layer));
  }
  return layers;
}

/// Bits of the weight of each layer.
inline std::vector<int> bitsOf(llvm::ArrayRef<Group> groups, const Assignment &plan, size_t numLayers) {
  std::vector<int> bits(numLayers);
  for (size_t g = 0; g < groups.size(); ++g)
    for (size_t layer : groups[g].layers)
      bits[layer] = groups[g].choices[plan.chosen[g]].weightBits;
  return bits;
}

} // namespace sq::assign

#endif
