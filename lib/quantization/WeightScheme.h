/// What sq-compile --weights and --outliers say.
#ifndef SQ_LIB_QUANTIZATION_WEIGHTSCHEME_H
#define SQ_LIB_QUANTIZATION_WEIGHTSCHEME_H

#include <string>

#include "lib/quantization/Plan.h"

namespace sq {

struct WeightScheme {
  static constexpr int64_t kGroup = 128, kSymmetricGroup = 32;
  LayerPrecision precision = LayerPrecision::Lut4;
  int64_t group = kGroup; // input channels with one scale (and minimum, but for
                          // sym), of all but lut

  bool isTable() const {
    return precision >= LayerPrecision::Lut2 &&
           precision <= LayerPrecision::Lut4;
  }
  bool isSymmetric() const { return precision >= LayerPrecision::Sym2; }
  bool isGptq() const {
    return precision >= LayerPrecision::Gptq2 &&
           precision <= LayerPrecision::Gptq4;
  }
};

/// "lut4", "rtn3", "gptq4-g64". Empty, or what is wrong.
std::string parseWeightScheme(llvm::StringRef text, WeightScheme &scheme);
/// "0.45%" or "0.45": a share in percent, from 0 to 100. Empty, or what is
/// wrong.
std::string parseShare(llvm::StringRef text, double &percent);

/// Weights that are kept beside tables: of a share in percent, 0.05 are those
/// of largest sensitivity and the others those of largest magnitude
/// (specification dense-and-sparse.md 3). Without sensitivities of single
/// weights all are by magnitude.
struct OutlierShares {
  double sensitive = 0, outliers = 0;
};
OutlierShares outlierShares(double percent, bool hasSensitivities);

} // namespace sq

#endif
