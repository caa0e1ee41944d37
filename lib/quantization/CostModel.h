/// How long a linear layer takes in 8 bits and in float, without running it.
#ifndef SQ_LIB_QUANTIZATION_COSTMODEL_H
#define SQ_LIB_QUANTIZATION_COSTMODEL_H

#include <cstdint>
#include <optional>

#include "llvm/ADT/StringRef.h"

#include "sq/compiler.h"

namespace sq {

/// One core of a CPU level, as its kernels run on it. The numbers are fixed ones, so that the same model
/// gives the same program on every machine; what counts of them is how they relate to each other.
struct LevelCost {
  llvm::StringRef level;
  int64_t lanes;       // f32 in a vector
  double flops;        // f32, operations/s
  double byteOps;      // products of bytes with their sums, operations/s
  double quantised;    // f32 elements to bytes a second
  double floatResults; // written a second, with their bias
  double byteResults;  // sums of bytes made f32 and written a second
  double bandwidth;    // bytes/s from memory
};

/// Of one thread; nothing for a level that is none.
std::optional<LevelCost> levelCost(llvm::StringRef level);

/// For `rows` rows of x [rows, k] by w [k, n]: the arithmetic at its rate or the weight from memory, whichever
/// takes longer, then the results; in 8 bits the rounding of x, too. Columns and what is rounded come in vectors,
/// bytes of a product in fours, full or not.
LayerTimes predictTimes(const LevelCost &cost, const LayerShape &shape);

} // namespace sq

#endif
