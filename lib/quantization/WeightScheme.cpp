#include "lib/quantization/WeightScheme.h"

#include <algorithm>
#include <cmath>

using namespace llvm;
using namespace sq;

std::string sq::parseWeightScheme(StringRef text, WeightScheme &scheme) {
  auto [name, group] = text.split("-g");
  std::optional<LayerPrecision> found = findPrecision(name);
  if (!found || !isOfWeights(*found) || precisionBits(*found) > 4)
    return "'" + text.str() +
           "' is no way to store weights; lut2, lut3, lut4 (tables), rtn2, "
           "rtn3, rtn4, gptq2, gptq3, gptq4 (groups of 128; "
           "gptq4-g64: of 64), sym2, sym3, sym4 (groups of 32, symmetric)";
  scheme = {};
  scheme.precision = *found;
  if (scheme.isSymmetric())
    scheme.group = WeightScheme::kSymmetricGroup;
  if (name.size() == text.size())
    return "";
  if (scheme.isTable())
    return "'" + text.str() +
           "': tables are of a whole output channel and have no groups; " +
           name.str();
  if (group.getAsInteger(10, scheme.group) || scheme.group < 8 ||
      scheme.group > 65536)
    return "'" + text.str() + "': a group has 8 to 65536 input channels";
  return "";
}

std::string sq::parseShare(StringRef text, double &percent) {
  StringRef number = text;
  number.consume_back("%");
  if (number.getAsDouble(percent) || !(percent >= 0 && percent <= 100))
    return "'" + text.str() +
           "' is no share of the weights; a number of percent from 0 to 100, "
           "such as 0.45%";
  return "";
}

OutlierShares sq::outlierShares(double percent, bool hasSensitivities) {
  constexpr double kSensitive =
      0.05; // beyond that there is nothing to gain (SqueezeLLM, figure D.2)
  double sensitive = hasSensitivities ? std::min(percent, kSensitive) : 0;
  return {sensitive, percent - sensitive};
}
