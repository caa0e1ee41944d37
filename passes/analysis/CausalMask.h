/// What a mask says of the keys that a causal attention sees and hides.
///
/// Exporters compute the causal mask in many ways: a comparison of two ranges, a
/// triangle of ones, a slice of a constant table, selected, negated, compared
/// again. Nothing of that is matched. The mask's element at (s, t) is evaluated
/// twice from its definition, once taking "t <= s + (T - S)" to be true and once
/// to be false; both answers being constants is the proof.
#ifndef SQ_PASSES_ANALYSIS_CAUSALMASK_H
#define SQ_PASSES_ANALYSIS_CAUSALMASK_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/Value.h"

#include <optional>

namespace sq {

/// Elements of a mask (booleans as 0 and 1) where causality lets a query see a key,
/// and where not; none where the element depends on anything else.
struct CausalValues {
  std::optional<double> seen, hidden;
};

/// `mask`, read at `map(b, h, s, t)`, of an attention of `queries` over `keys` places. All elements of
/// the tensor `ones`, if given, are taken to be 1.
CausalValues evaluateCausal(mlir::Value mask, mlir::AffineMap map, mlir::OpFoldResult queries,
                            mlir::OpFoldResult keys, mlir::Value ones = {});

} // namespace sq

#endif
