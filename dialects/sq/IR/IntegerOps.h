/// The attributes of integer ops as lib/numerics has them. All need a verified op.
#ifndef SQ_DIALECTS_SQ_IR_INTEGEROPS_H
#define SQ_DIALECTS_SQ_IR_INTEGEROPS_H

#include "lib/numerics/IntegerActivations.h"
#include "lib/numerics/IntegerSoftmax.h"

#include "mlir/IR/TypeUtilities.h"
#include "mlir/IR/Value.h"

namespace sq {

/// None for a name that does not exist.
std::optional<numerics::Rounding> roundingOf(llvm::StringRef name);

/// The values of a tensor or memref of integers, in `bits` of its storage.
numerics::IntegerRange rangeOf(mlir::Value v, std::optional<uint64_t> bits, bool isUnsigned);

/// Of a head in kernels of sq.int_attention: scores are then within 2^25, far from what stands for masked ones.
inline constexpr int64_t kMostHeadElements = 1024;

/// The largest `exp_shift` of those kernels: what is masked has an exponential of 0 then (loops take any).
inline constexpr int64_t kMostExpShift = 13;

/// `axis` in [0, rank).
inline int64_t axisOf(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// The exponential of an op that has its constants.
template <typename OpTy> numerics::IntegerExp exponentialOf(OpTy op) {
  int64_t b = op.getExpB(), c = op.getExpC();
  return {static_cast<int>(static_cast<int64_t>(op.getExpShift())),
          static_cast<int64_t>(op.getLn2()), b, c, b * b + c};
}

/// Of sq.int_attention.
template <typename OpTy> numerics::OctaveExp octaveExpOf(OpTy op) {
  return {static_cast<int>(static_cast<int64_t>(op.getExpShift())), static_cast<int64_t>(op.getExpFactor())};
}

} // namespace sq

#endif
