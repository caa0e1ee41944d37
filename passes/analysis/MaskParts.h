/// The masks of an attention that is spelled out.
#ifndef SQ_PASSES_ANALYSIS_MASKPARTS_H
#define SQ_PASSES_ANALYSIS_MASKPARTS_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

#include <array>
#include <optional>

namespace sq {

/// A tensor that is added to the scores or, boolean, selects them.
struct MaskPart {
  mlir::Value tensor;
  mlir::AffineMap map; // of [b, h, s, t]
  /// Of a boolean: what hidden scores become. None: the tensor is added.
  std::optional<double> fill;
  bool keepsOnTrue = true;
};

/// Appends the masks whose sum is `part`: of "seen by causality and no padding" one is
/// no tensor. Only of -inf, as with another number the parts would add up to less than it.
void splitMask(const MaskPart &part, llvm::SmallVectorImpl<MaskPart> &parts, int depth = 8);

/// A map of the scores' loops to a tensor whose dims follow them, aligned at the last:
/// whether each of the four is used. None for any other map.
std::optional<std::array<bool, 4>> usedLoops(mlir::AffineMap map, mlir::RankedTensorType type);

} // namespace sq

#endif
