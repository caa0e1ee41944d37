#include "lib/assign/Losses.h"

#include <cmath>
#include <numeric>

#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace sq;
using namespace sq::assign;

double sq::assign::traceLoss(double trace, int64_t elements,
                             double squaredError) {
  return elements > 0 ? trace / double(elements) * squaredError : 0;
}

double sq::assign::dataFreeLoss(double squaredError, double squaredWeight,
                                int64_t elements, int64_t allElements) {
  return squaredWeight > 0 && allElements > 0
             ? squaredError / squaredWeight * double(elements) /
                   double(allElements)
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

/// What a loss is expected to be proportional to: a step has half the size with
/// one bit more.
static double expectedShape(const Group &group, const Choice &choice) {
  return double(group.elements) * std::pow(4.0, -choice.weightBits);
}

std::vector<double> sq::assign::sensitivitiesOf(ArrayRef<Group> groups) {
  std::vector<double> result;
  for (const Group &group : groups) {
    double sum = 0;
    int count = 0;
    for (const Choice &choice : group.choices)
      if (double shape = expectedShape(group, choice);
          choice.loss > 0 && shape > 0) {
        sum += std::log(choice.loss / shape);
        ++count;
      }
    result.push_back(count ? std::exp(sum / count) : 0);
  }
  return result;
}

std::vector<Group> sq::assign::withLossesFrom(ArrayRef<Group> groups,
                                              ArrayRef<size_t> from) {
  std::vector<Group> result = groups.vec();
  std::vector<double> sensitivities = sensitivitiesOf(groups);
  for (auto [group, other] : zip_equal(result, from))
    for (Choice &choice : group.choices) {
      const Group &source = groups[other];
      auto same = find_if(source.choices, [&](const Choice &c) {
        return c.name == choice.name;
      });
      choice.loss =
          same == source.choices.end()
              ? sensitivities[other] * expectedShape(group, choice)
          : source.elements == 0
              ? 0
              : same->loss * (double(group.elements) / double(source.elements));
    }
  return result;
}

/// SplitMix64 (Steele et al. 2014): the standard library's shuffle differs from
/// one to another.
static uint64_t nextRandom(uint64_t &state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Those between which there is something to exchange.
static std::vector<size_t> decidedGroups(ArrayRef<Group> groups) {
  std::vector<size_t> places;
  for (auto [i, group] : enumerate(groups))
    if (group.choices.size() > 1)
      places.push_back(i);
  return places;
}

/// `places` get the losses of `sources`, the others keep theirs.
static std::vector<size_t> exchanged(size_t count, ArrayRef<size_t> places,
                                     ArrayRef<size_t> sources) {
  std::vector<size_t> from(count);
  std::iota(from.begin(), from.end(), 0);
  for (auto [place, source] : zip_equal(places, sources))
    from[place] = source;
  return from;
}

std::vector<size_t> sq::assign::shuffledGroups(ArrayRef<Group> groups,
                                               uint64_t seed) {
  const std::vector<size_t> places = decidedGroups(groups);
  std::vector<size_t> sources = places;
  for (size_t i = sources.size(); i > 1; --i)
    std::swap(sources[i - 1], sources[nextRandom(seed) % i]);
  return exchanged(groups.size(), places, sources);
}

std::vector<size_t> sq::assign::reversedGroups(ArrayRef<Group> groups) {
  const std::vector<double> sensitivities = sensitivitiesOf(groups);
  std::vector<size_t> places = decidedGroups(groups);
  llvm::stable_sort(places, [&](size_t a, size_t b) {
    return sensitivities[a] < sensitivities[b];
  });
  return exchanged(groups.size(), places,
                   std::vector<size_t>(places.rbegin(), places.rend()));
}
