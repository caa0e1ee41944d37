/// i-Softmax: attention's probabilities from integer scores, with integers only.
#ifndef SQ_NUMERICS_INTEGERSOFTMAX_H
#define SQ_NUMERICS_INTEGERSOFTMAX_H

#include "lib/numerics/IntegerActivations.h"

#include <vector>

namespace sq::numerics {

/// What a row gives when none of its elements is kept: zeros, or as if all were.
enum class FullyMasked { Zeros, Uniform };

/// exp(q - max) of a row of 32-bit scores, in units of exp(0) / exp.one. `keep` is empty (all are
/// kept) or as long as the row; what is not kept does not count for the maximum and is 0.
std::vector<int64_t> integerExpRow(const IntegerExp &exp, const std::vector<int64_t> &q,
                                   const std::vector<bool> &keep,
                                   FullyMasked masked = FullyMasked::Zeros);

/// Probabilities in units of 1/256, at most 255: min(255, round(256 e / sum e)), by one division a
/// row. A sum of 0 gives zeros. This is what programs compute.
std::vector<int64_t> probabilities(const std::vector<int64_t> &e);
/// The same by the definition, one division an element.
std::vector<int64_t> probabilitiesByDivision(const std::vector<int64_t> &e);

/// The deferred form: e as 0..255 in units of the row's largest, to be divided by their sum only
/// after the product with the values. A fixed 1/256 lets the probabilities of long, even rows
/// vanish: at 513 equal scores all are 0.
std::vector<int64_t> deferredProbabilities(const IntegerExp &exp, const std::vector<int64_t> &e);

/// exp(-scale * d) for d >= 0 from a table of one octave, what attention computes: in units of 1/255,
/// 0 from 1/510 on. With 16 bits all the way, four times as many fit a vector as of IntegerExp.
///
/// t = round(d * scale * 32 / ln 2) comes in one rounded product of 16 bits, as vpmulhrsw has it, of
/// d' = d / 2^shift (to below, at most 2^15 - 1) and `factor`; 2^-(t / 32) is an entry shifted right. Beside
/// the rounding to 1/255 the relative error is at most 1.5 % (half a step of t, 1/16 of one by d').
struct OctaveExp {
  int shift;      // -15..31; negative: to the left, d at most 2^15 - 1 before
  int64_t factor; // 0..2047

  /// Throws Error unless `scale` is positive and finite. One below 2^-47 gives exp(0) for every d of 32 bits.
  static OctaveExp of(double scale);
  /// `d` is 0..2^32.
  int64_t apply(int64_t d) const;
  /// 2^-(i / 32) in units of 2^-7 / 255, i < 32.
  static int64_t entry(int i);
};

/// 255 e for e = exp(x - largest) of a row of 32-bit scores, of what is kept, as in integerExpRow.
std::vector<int64_t> octaveExpRow(const OctaveExp &exp, const std::vector<int64_t> &q, const std::vector<bool> &keep,
                                  FullyMasked masked = FullyMasked::Zeros);

/// `ratio` of scales >= 0 as m / 2^e with e 8..38, the nearest that there is.
Dyadic contextScale(double ratio);

/// Division of acc = sum_i p_i v_i by s = sum_i p_i and a change of scale, in one step: m / s as an integer of 31 bits,
/// one for a row.
struct ContextFactor {
  int64_t reciprocal; // m 2^(l - 1) / s to below, l the bits of s
  int shift;          // e + l - 1

  /// `out` is m / 2^e with 0 <= m < 2^31 and e 8..38; `sum` is 0..2^24 - 1. Of a sum of 0, as of one of 1: acc is 0 then.
  static ContextFactor of(Dyadic out, int64_t sum);
  /// round(acc * m / (s * 2^e)), half up, |acc| <= 128 s: within 2^30.
  int64_t apply(int64_t acc) const;
};

/// The other half: acc = sum_i p_i v_i of deferred probabilities whose sum is `sum`, as their mean
/// in units of the values' scale / 65536; 0 for a sum of 0. |acc| <= 128 sum, sum < 2^24.
int64_t normalizeContext(int64_t acc, int64_t sum);

} // namespace sq::numerics

#endif
