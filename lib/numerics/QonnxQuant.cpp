#include "lib/numerics/QonnxQuant.h"

#include <cctype>
#include <cmath>
#include <string>
#include <utility>

using namespace sq::numerics;

std::optional<Rounding> sq::numerics::findRounding(std::string_view name) {
  static const std::pair<const char *, Rounding> kNames[] = {
      {"ROUND", Rounding::HalfEven}, {"HALF_EVEN", Rounding::HalfEven},
      {"CEIL", Rounding::Ceil},      {"FLOOR", Rounding::Floor},
      {"UP", Rounding::Up},          {"DOWN", Rounding::Down},
      {"HALF_UP", Rounding::HalfUp}, {"HALF_DOWN", Rounding::HalfDown}};
  std::string upper(name);
  for (char &c : upper)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const auto &[known, rounding] : kNames)
    if (upper == known)
      return rounding;
  return std::nullopt;
}

float sq::numerics::roundBy(Rounding rounding, float x) {
  switch (rounding) {
  case Rounding::HalfEven:
    return std::nearbyint(x);
  case Rounding::Ceil:
    return std::ceil(x);
  case Rounding::Floor:
    return std::floor(x);
  case Rounding::Up:
    return std::copysign(std::ceil(std::fabs(x)), x);
  case Rounding::Down:
    return std::trunc(x);
  case Rounding::HalfUp: // (As the executor has it; x + 0.5 is rounded where
                         // |x| is just below a half.)
    return std::copysign(std::floor(std::fabs(x) + 0.5f), x);
  case Rounding::HalfDown:
    return std::copysign(std::ceil(std::fabs(x) - 0.5f), x);
  }
  return x;
}

float QuantRange::low() const {
  return isSigned ? float(isNarrow - std::ldexp(1.0, bits - 1)) : 0;
}

float QuantRange::high() const {
  return float(isSigned ? std::ldexp(1.0, bits - 1) - 1
                        : std::ldexp(1.0, bits) - 1 - isNarrow);
}

static float clamped(float y, const QuantRange &range) {
  return y > range.high() ? range.high() : y < range.low() ? range.low() : y;
}

float sq::numerics::quantSteps(float x, float scale, float zero,
                               const QuantRange &range, Rounding rounding) {
  float y = x / scale + zero;
  if (range.isBipolar())
    return y >= 0 ? 1 : -1;
  return roundBy(rounding, clamped(y, range));
}

float sq::numerics::truncBits(float x, float scale, float zero, int dropped,
                              Rounding rounding) {
  float y = std::nearbyint(x / scale + zero) / float(std::ldexp(1.0, dropped));
  return (roundBy(rounding, y) - zero) * scale;
}

float sq::numerics::truncFactor(float scale, float outScale) {
  return std::exp2(std::nearbyint(std::log2(outScale / scale)));
}

float sq::numerics::truncToScale(float x, float scale, float zero,
                                 float outScale, const QuantRange &out,
                                 Rounding rounding) {
  float factor = truncFactor(scale, outScale);
  float y = clamped(std::nearbyint(x / scale + zero) / factor, out);
  return (roundBy(rounding, y) - zero / factor) * outScale;
}
