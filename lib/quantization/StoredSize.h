/// How much a linear layer's weight takes in an artifact, before anything is
/// compressed.
#ifndef SQ_LIB_QUANTIZATION_STOREDSIZE_H
#define SQ_LIB_QUANTIZATION_STOREDSIZE_H

#include "lib/quantization/Plan.h"

namespace sq {

struct StorageOptions {
  std::string tables =
      "auto"; // entries: "auto", "f16", "int8"; see tableInBytes
  bool byteActivations = true; // of products by codes: their tables are then
                               // rounded to bytes in the artifact
};

/// Whether a table of `entries` for `k` inputs has bytes with a scale instead
/// of f16: "auto" where f16 takes more than 0.1 bits a weight.
bool tableInBytes(llvm::StringRef tables, int64_t entries, int64_t k);

struct StoredSize {
  double bytes = 0; // in the artifact: as kernels read it (codegen/host), with
                    // padding; no bias. At most what it becomes
  double counted = 0; // bytes of codes, tables, scales and sparse part
                      // (CompressedWeight::bits); 4 a weight in f32
};

/// Of a weight [n][k], n output channels. With outliers so many weights as sq's
/// rule takes at most; a sparse part may turn out smaller, or be left away
/// where that is better. Groups (rtn, gptq, sym) of other sizes than powers of 2
/// from 16 on, and the whole row, have no kernel and lie in the artifact as f32.
StoredSize storedSize(const LayerFormat &format, int64_t n, int64_t k,
                      const StorageOptions &options);

/// Whether the share of outliers is a weight at least.
bool hasOutliers(const LayerFormat &format, int64_t n, int64_t k);

} // namespace sq

#endif
