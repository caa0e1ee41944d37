/// Quant, BipolarQuant and Trunc of QONNX (specification mixed-precision.md
/// 10), in f32 as their executor computes.
#ifndef SQ_NUMERICS_QONNXQUANT_H
#define SQ_NUMERICS_QONNXQUANT_H

#include <optional>
#include <string_view>

namespace sq::numerics {

/// How a number becomes an integer. The halves are what differs in the last
/// three.
enum class Rounding {
  HalfEven, ///< "ROUND", "HALF_EVEN"
  Ceil,     ///< up
  Floor,    ///< down
  Up,       ///< away from zero
  Down,     ///< toward zero
  HalfUp,   ///< halves away from zero
  HalfDown, ///< halves toward zero
};

/// By its name in any case; nothing for one that is none.
std::optional<Rounding> findRounding(std::string_view name);
float roundBy(Rounding rounding, float x);

/// The integers of a Quant node.
struct QuantRange {
  int bits = 8; ///< 1 to 32
  bool isSigned = true, isNarrow = false;

  /// Without narrow -2^(bits - 1) to 2^(bits - 1) - 1, or 0 to 2^bits - 1; a
  /// narrow one lacks the lowest signed or the highest unsigned one.
  float low() const;
  float high() const;
  /// One signed bit stands for -1 and 1.
  bool isBipolar() const { return bits == 1 && isSigned; }
};

/// round(clamp(x / scale + zero, low, high)): the clamp before the rounding,
/// the zero point within it. For one signed bit -1 or 1 by the sign. NaN stays
/// one.
float quantSteps(float x, float scale, float zero, const QuantRange &range,
                 Rounding rounding);
/// (steps - zero) scale.
inline float quantValue(float steps, float scale, float zero) {
  return (steps - zero) * scale;
}

/// scale where x >= 0, also where it is -0, else -scale, as for NaN.
inline float bipolarQuant(float x, float scale) {
  return x >= 0 ? scale : -scale;
}

/// Version 1: (round(rne(x / scale + zero) / 2^dropped) - zero) scale, of
/// `dropped` bits less. Nothing is clamped, and the result is not in the scale
/// of the input.
float truncBits(float x, float scale, float zero, int dropped,
                Rounding rounding);
/// Version 2: with t = 2^rne(log2(outScale / scale)), (round(clamp(rne(x /
/// scale + zero) / t, low, high)) - zero / t) outScale.
float truncToScale(float x, float scale, float zero, float outScale,
                   const QuantRange &out, Rounding rounding);
/// Its t.
float truncFactor(float scale, float outScale);

} // namespace sq::numerics

#endif
