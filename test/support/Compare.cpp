#include "test/support/Compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

using namespace sq;
using numerics::Tensor;

namespace {

double difference(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b)))
    return 0;
  double d = std::fabs(a - b);
  return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

} // namespace

double test::maxDifference(const Tensor &a, const Tensor &b) {
  double largest = a.shape == b.shape ? 0 : std::numeric_limits<double>::infinity();
  for (int64_t i = 0, n = std::min(a.size(), b.size()); i < n; ++i)
    largest = std::max(largest, difference(a.real(i), b.real(i)));
  return largest;
}

std::string test::mismatch(const Tensor &actual, const Tensor &expected, double rtol, double atol) {
  std::ostringstream message;
  message.precision(9);
  if (actual.dtype != expected.dtype || actual.shape != expected.shape) {
    message << numerics::name(actual.dtype) << numerics::format(actual.shape) << ", expected "
            << numerics::name(expected.dtype) << numerics::format(expected.shape);
    return message.str();
  }
  int64_t wrong = 0, worst = 0;
  double worstExcess = -1;
  for (int64_t i = 0, n = actual.size(); i < n; ++i) {
    double excess; // over what is allowed; beyond 0 is wrong
    if (actual.isFloat()) {
      double allowed = std::isfinite(expected.reals[i]) ? atol + rtol * std::fabs(expected.reals[i]) : 0;
      excess = difference(actual.reals[i], expected.reals[i]) - allowed;
    } else {
      excess = actual.integers[i] == expected.integers[i] ? 0 : difference(actual.real(i), expected.real(i));
      if (excess == 0 && actual.integers[i] != expected.integers[i])
        excess = 1; // differ only beyond what double resolves
    }
    if (excess <= 0)
      continue;
    ++wrong;
    if (excess > worstExcess) {
      worstExcess = excess;
      worst = i;
    }
  }
  if (!wrong)
    return "";
  message << wrong << " of " << actual.size() << " elements differ; the worst, element " << worst
          << ", is " << actual.real(worst) << ", expected " << expected.real(worst);
  return message.str();
}
