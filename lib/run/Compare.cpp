#include "lib/run/Compare.h"

#include <cmath>
#include <cstdio>
#include <limits>

namespace sq {
namespace {

std::string indexString(int64_t flat, const std::vector<int64_t> &shape) {
  std::string text;
  for (size_t i = shape.size(); i-- > 0; flat /= shape[i])
    text = std::to_string(flat % shape[i]) + (text.empty() ? "" : ",") + text;
  return "[" + text + "]";
}

std::string shortNumber(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

/// The largest difference so far and where it was.
struct Worst {
  double value = 0;
  int64_t index = -1;
  void see(double difference, int64_t i) {
    if (index < 0 || difference > value)
      value = difference, index = i;
  }
};

} // namespace

Comparison compare(const Tensor &actual, const Tensor &expected, Tolerance tolerance) {
  if (actual.shape != expected.shape || isFloat(actual.dtype) != isFloat(expected.dtype))
    return {false, "is " + typeString(actual) + ", expected " + typeString(expected)};
  bool exact = isInteger(actual.dtype);
  if (tolerance.relative < 0)
    tolerance.relative = exact ? 0 : 1e-3;
  if (tolerance.absolute < 0)
    tolerance.absolute = exact ? 0 : 1e-5;

  constexpr double infinity = std::numeric_limits<double>::infinity();
  Worst absolute, relative;
  int64_t count = actual.numElements(), failures = 0, first = -1;
  for (int64_t i = 0; i < count; ++i) {
    double a = actual.asDouble(i), e = expected.asDouble(i);
    double difference = std::fabs(a - e);
    if (a == e || (std::isnan(a) && std::isnan(e)))
      difference = 0;
    else if (std::isnan(difference))
      difference = infinity;
    // Doubles cannot tell large integers apart; their bits can.
    if (difference == 0 && exact && actual.asInt(i) != expected.asInt(i))
      difference = 1;
    double ratio = difference == 0 ? 0 : e == 0 || std::isinf(difference) ? infinity
                                                                          : difference / std::fabs(e);
    absolute.see(difference, i);
    if (e != 0)
      relative.see(ratio, i);
    if (difference > tolerance.absolute && ratio > tolerance.relative && failures++ == 0)
      first = i;
  }
  Comparison result{failures == 0, ""};
  if (count == 0)
    result.text = "no elements";
  else
    result.text = "max abs " + shortNumber(absolute.value) + " at " +
                  indexString(absolute.index, actual.shape);
  if (relative.index >= 0)
    result.text += ", max rel " + shortNumber(relative.value) + " at " +
                   indexString(relative.index, actual.shape);
  if (failures)
    result.text += "; " + std::to_string(failures) + " of " + std::to_string(count) +
                   " elements exceed rtol " + shortNumber(tolerance.relative) + " and atol " +
                   shortNumber(tolerance.absolute) + ", the first at " +
                   indexString(first, actual.shape) + ": " + formatElement(actual, first) +
                   ", expected " + formatElement(expected, first);
  return result;
}

} // namespace sq
