/// The weight section: what `sq.weight` ops ask for, written in its final layout.
#ifndef SQ_LIB_DRIVER_WEIGHTS_H
#define SQ_LIB_DRIVER_WEIGHTS_H

#include "llvm/ADT/ArrayRef.h"
#include "mlir/IR/BuiltinOps.h"

#include "dialects/sq/IR/SqOps.h"

namespace sq {

/// One constant: `size` bytes at `offset` of the section.
struct WeightPiece {
  uint64_t offset, size;
  WeightOp op;
};

/// The pieces of `module` (after --sq-place-weights) by offset, each once.
std::vector<WeightPiece> collectWeights(mlir::ModuleOp module);

/// Writes a piece to `out` (`size` bytes): packed as the op says, booleans as
/// bytes. Reads the blob of a resource as it is, unaligned.
mlir::LogicalResult writeWeight(const WeightPiece &piece, char *out);

} // namespace sq

#endif
