#include "lib/quantization/StoredSize.h"

#include <cmath>

#include "llvm/Support/MathExtras.h"

#include "lib/numerics/Groups.h"
#include "lib/quantization/WeightScheme.h"

using namespace llvm;
using namespace sq;

static constexpr uint64_t kAlign = 64; // of each constant in the artifact
static constexpr int64_t kFloatColumns =
    48; // of a panel (passes/Passes.td, sq-pack-linear)
static constexpr int64_t kPairSize = 32; // columns and rows of a panel of bf16
static constexpr int64_t kByteColumns = 16, kByteRows = 64;
static constexpr int64_t kMostShortColumns = 65536; // of columns in 16 bits

static double aligned(double bytes) {
  return double(alignTo(uint64_t(bytes), kAlign));
}

bool sq::tableInBytes(StringRef tables, int64_t entries, int64_t k) {
  constexpr double kMostBits = 0.1;
  return tables == "int8" ||
         (tables == "auto" && 16.0 * entries > kMostBits * k);
}

/// As floor(n k percent / 100) of lib/quantizer/Extraction.h.
static int64_t sparseCount(const LayerFormat &format, int64_t n, int64_t k) {
  return int64_t(
      std::floor(format.outliers.value_or(0) * double(n * k) / 100 + 1e-9));
}

bool sq::hasOutliers(const LayerFormat &format, int64_t n, int64_t k) {
  return sparseCount(format, n, k) > 0;
}

static StoredSize ofTables(const LayerFormat &format, int64_t n, int64_t k,
                           const StorageOptions &options) {
  int bits = precisionBits(format.precision);
  int64_t entries = int64_t(1) << bits, count = sparseCount(format, n, k);
  bool isShort = k <= kMostShortColumns;
  StoredSize size;
  size.counted = double(n * k) * bits / 8;
  size.counted += tableInBytes(options.tables, entries, k) ? n * (entries + 2.0)
                                                           : n * entries * 2.0;
  size.bytes = aligned(4.0 * n * numerics::blocksOf(k, bits) *
                       numerics::blockWords(bits));
  if (options.byteActivations && isShort)
    size.bytes += aligned(n * entries) +
                  aligned(8.0 * n); // and a scale and the least entry of each
  else
    size.bytes += aligned(2.0 * n * entries);
  if (count) {
    size.counted += count * (isShort ? 4.0 : 6.0) + 4.0 * n;
    size.bytes +=
        aligned(4.0 * (n + 1)) + aligned(count * (isShort ? 4.0 : 8.0));
  }
  return size;
}

StoredSize sq::storedSize(const LayerFormat &format, int64_t n, int64_t k,
                          const StorageOptions &options) {
  const double inFloat = aligned(4.0 * alignTo(n, kFloatColumns) * k);
  if (isInteger(format.precision)) {
    // Beside the weight a scale, a sum and a bias of each column (also of a
    // layer that had none), and factors of the input's channels.
    double panels = double(alignTo(n, kByteColumns)) * alignTo(k, kByteRows),
           share = precisionBits(format.precision) / 8.0;
    return {aligned(std::ceil(panels * share)) + 3 * aligned(4.0 * n) +
                aligned(4.0 * k),
            double(n) * k * share + 4.0 * n};
  }
  if (format.precision == LayerPrecision::Bf16)
    return {aligned(2.0 * alignTo(n, kPairSize) * alignTo(k, kPairSize)),
            2.0 * n * k};
  if (!isOfWeights(format.precision))
    return {inFloat, 4.0 * n * k};
  WeightScheme scheme{format.precision};
  if (scheme.isTable())
    return ofTables(format, n, k, options);
  int64_t group =
      format.group.value_or(scheme.isSymmetric() ? WeightScheme::kSymmetricGroup
                                                 : WeightScheme::kGroup);
  int bits = precisionBits(format.precision),
      numbers = scheme.isSymmetric() ? 1 : 2;
  double counted =
      double(n * k) * bits / 8 + 2.0 * numbers * n * divideCeil(k, group);
  // Others have no kernel (passes/GroupedWeights.h).
  if (bits > 4 || (group < k && (group < 16 || !isPowerOf2_64(group))))
    return {inFloat, counted};
  return {aligned(4.0 * n * numerics::blocksOf(k, bits) *
                  numerics::blockWords(bits)) +
              numbers *
                  aligned(2.0 * n * numerics::storedGroups(k, bits, group)),
          counted};
}
