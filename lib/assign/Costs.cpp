#include "lib/assign/Costs.h"

#include <algorithm>
#include <cmath>

using namespace sq;

double assign::storedBytes(const Storage &s) {
  const int64_t unit = std::max<int64_t>(s.unit, 1), padded = (s.columns + unit - 1) / unit * unit;
  const int64_t groups = s.group > 0 ? (s.columns + s.group - 1) / s.group : 1;
  const int64_t codes = s.rows * ((padded * s.bits + 7) / 8);
  return codes + s.rows * (groups * s.scaleBytes + s.tableBytes) + std::ceil(s.rows * groups * s.zeroBits / 8) +
         s.extraBytes;
}

double assign::bitOperations(double multiplications, double weightBits, double activationBits) {
  return multiplications * weightBits * activationBits;
}

double assign::bitOperationsFpga(int64_t inputs, int64_t outputs, double weightBits, double activationBits,
                                 double kept) {
  return double(outputs) * inputs *
         (kept * activationBits * weightBits + activationBits + weightBits + std::log2(double(inputs)));
}

double assign::attentionMultiplications(int64_t queries, int64_t keys, int64_t width) {
  return 2.0 * queries * keys * width;
}

double assign::rooflineSeconds(double start, double multiplications, double rate, double bytes, double bandwidth) {
  return start + std::max(multiplications / rate, bytes / bandwidth);
}
