#include "lib/assign/Losses.h"

#include <cmath>

#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace sq;
using namespace sq::assign;

double sq::assign::traceLoss(double trace, int64_t elements, double squaredError) {
  return elements > 0 ? trace / double(elements) * squaredError : 0;
}

double sq::assign::dataFreeLoss(double squaredError, double squaredWeight, int64_t elements, int64_t allElements) {
  return squaredWeight > 0 && allElements > 0 ? squaredError / squaredWeight * double(elements) / double(allElements)
                                              : 0;
}

void sq::assign::scaleToProbe(Layer &layer, size_t place, double measured) {
  const double probed = layer.choices[place].loss;
  if (!(probed > 0) || !(measured > 0))
    return;
  for (Choice &choice : layer.choices)
    choice.loss *= measured / probed;
}

double sq::assign::rankingDistance(ArrayRef<double> a, ArrayRef<double> b) {
  int64_t pairs = 0, different = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = i + 1; j < a.size(); ++j) {
      if (a[i] == a[j] || b[i] == b[j])
        continue;
      ++pairs;
      different += (a[i] < a[j]) != (b[i] < b[j]);
    }
  return pairs ? double(different) / double(pairs) : 0;
}

/// What a loss is expected to be proportional to: a step has half the size with one bit more.
static double expectedShape(const Group &group, const Choice &choice) {
  return double(group.elements) * std::pow(4.0, -choice.weightBits);
}

std::vector<double> sq::assign::sensitivitiesOf(ArrayRef<Group> groups) {
  std::vector<double> result;
  for (const Group &group : groups) {
    double sum = 0;
    int count = 0;
    for (const Choice &choice : group.choices)
      if (double shape = expectedShape(group, choice); choice.loss > 0 && shape > 0) {
        sum += std::log(choice.loss / shape);
        ++count;
      }
    result.push_back(count ? std::exp(sum / count) : 0);
  }
  return result;
}

std::vector<Group> sq::assign::withSensitivities(ArrayRef<Group> groups, ArrayRef<double> sensitivities) {
  std::vector<Group> result = groups.vec();
  for (auto [group, sensitivity] : zip_equal(result, sensitivities))
    for (Choice &choice : group.choices)
      choice.loss = sensitivity * expectedShape(group, choice);
  return result;
}

/// SplitMix64 (Steele et al. 2014): the standard library's shuffle differs from one to another.
static uint64_t nextRandom(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::vector<double> sq::assign::shuffled(ArrayRef<double> sensitivities, uint64_t seed) {
  std::vector<double> result = sensitivities.vec();
  for (size_t i = result.size(); i > 1; --i)
    std::swap(result[i - 1], result[nextRandom(seed) % i]);
  return result;
}

std::vector<double> sq::assign::reversed(ArrayRef<double> sensitivities) {
  std::vector<std::pair<double, size_t>> order;
  for (auto [i, value] : enumerate(sensitivities))
    order.emplace_back(value, i);
  llvm::sort(order);
  std::vector<double> result(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    result[order[i].second] = order[order.size() - 1 - i].first;
  return result;
}
