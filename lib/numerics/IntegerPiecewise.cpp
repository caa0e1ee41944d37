#include "lib/numerics/IntegerPiecewise.h"

#include "lib/numerics/Tensor.h"

#include <cmath>

using namespace sq::numerics;

namespace {

constexpr int kWidth = 1 << IntegerPiecewise::kSegmentBits, kPoints = 17;

/// From end to end of a segment, about its middle.
double pointOf(int p) {
  return (p - kPoints / 2) * (double(kWidth) / (kPoints - 1));
}

} // namespace

// On points that are symmetric about 0, 1 and r^2 do not mix with r.
Parabolas Parabolas::of(double scale, int64_t zero,
                        const std::function<double(double)> &f) {
  checkScale(scale, "a function's input");
  double squares = 0, fourths = 0;
  for (int p = 0; p < kPoints; ++p) {
    double square = pointOf(p) * pointOf(p);
    squares += square, fourths += square * square;
  }
  Parabolas all;
  for (int i = 0; i < IntegerPiecewise::kSegments; ++i) {
    double sum = 0, first = 0, second = 0;
    for (int p = 0; p < kPoints; ++p) {
      double r = pointOf(p),
             x = scale * (kWidth * (i + 0.5) + r - double(zero)), y = f(x);
      if (!std::isfinite(y))
        throw Error("a function is " + std::to_string(y) + " at " +
                    std::to_string(x) + ", which no parabola is");
      sum += y, first += r * y, second += r * r * y;
    }
    double curve = (second - squares * sum / kPoints) /
                   (fourths - squares * squares / kPoints);
    all.segments.push_back(
        {(sum - curve * squares) / kPoints, first / squares, curve});
  }
  return all;
}

IntegerPiecewise IntegerPiecewise::of(const Parabolas &f, double resultScale,
                                      int64_t resultZero) {
  checkScale(resultScale, "a function's result");
  double meanSquare = 0;
  for (int p = 0; p < kPoints; ++p)
    meanSquare += pointOf(p) * pointOf(p) / kPoints;

  // The finest unit in which all fits. The curves have the fewest digits: what
  // rounding them takes, the bases give back.
  IntegerPiecewise made;
  auto make = [&](int shift) {
    made = {{}, {}, {}, shift};
    double unit = std::ldexp(1, shift);
    for (const std::array<double, 3> &c : f.segments) {
      double curve = std::nearbyint(c[2] / resultScale * unit),
             slope = std::nearbyint(c[1] / resultScale * unit);
      double base = std::nearbyint(((c[0] + c[2] * meanSquare) / resultScale +
                                    double(resultZero) + 0.5) *
                                       unit -
                                   curve * meanSquare);
      double most = std::fabs(base) + std::fabs(slope) * (kWidth / 2) +
                    std::fabs(curve) * (kWidth / 2) * (kWidth / 2);
      if (!(most < 0x1p31) || std::fabs(slope) > INT16_MAX ||
          std::fabs(curve) > INT16_MAX)
        return false;
      made.bases.push_back(int32_t(base));
      made.slopes.push_back(int32_t(slope));
      made.curves.push_back(int32_t(curve));
    }
    return true;
  };
  for (int shift = 30; shift >= 1; --shift)
    if (make(shift))
      return made;
  throw Error(
      "a function is too large or too steep for 32-bit integers in units of " +
      std::to_string(resultScale) + "; use a coarser scale for its result");
}

int64_t IntegerPiecewise::sum(int64_t q) const {
  int64_t i = (q >> kSegmentBits) & (kSegments - 1),
          r = (q & ((1 << kSegmentBits) - 1)) - (1 << (kSegmentBits - 1));
  return bases[i] + slopes[i] * r + curves[i] * r * r;
}
