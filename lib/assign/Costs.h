/// What a layer costs with its bits: bytes, bit operations, seconds.
#ifndef SQ_LIB_ASSIGN_COSTS_H
#define SQ_LIB_ASSIGN_COSTS_H

#include <cstdint>

namespace sq::assign {

/// How a weight of `rows` output channels with `columns` inputs each lies in the artifact.
struct Storage {
  int64_t rows = 0, columns = 0;
  int bits = 8;          // of a code
  int64_t unit = 1;      // codes of a row are padded to a multiple of this many
  int64_t group = 0;     // inputs that share a scale; 0: one for the row
  double scaleBytes = 4; // each
  double zeroBits = 0;   // each
  double tableBytes = 0; // of a row's codebook
  double extraBytes = 0; // for the whole layer: bias, sparse part
};

/// rows * ceil(padded columns * bits / 8) + scales, zero points (packed for the whole layer) and tables + what is
/// extra.
double storedBytes(const Storage &storage);

/// HAWQ's: every multiplication counts the product of both widths. A product of two activations has two of those as its
/// bits.
double bitOperations(double multiplications, double weightBits, double activationBits);

/// As an FPGA has them (Hawks et al. 2021; Campos et al. 2023): a dense layer of `inputs` to `outputs`, of whose
/// weights `kept` (0 to 1) are not zero: outputs * inputs * (kept * ba * bw + ba + bw + log2(inputs)).
double bitOperationsFpga(int64_t inputs, int64_t outputs, double weightBits, double activationBits, double kept = 1);

/// Multiplications in attention's two products of a layer, all heads together: 2 * queries * keys * width.
double attentionMultiplications(int64_t queries, int64_t keys, int64_t width);

/// A roofline for what was not measured: start + max(multiplications / rate, bytes / bandwidth). Rates are a second.
double rooflineSeconds(double start, double multiplications, double rate, double bytes, double bandwidth);

} // namespace sq::assign

#endif
