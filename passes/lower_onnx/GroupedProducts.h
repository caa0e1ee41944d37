/// Products by constant weights of 2 to 4 bits in groups, which stay codes:
/// `sq.grouped_matmul`.
#ifndef SQ_PASSES_LOWER_ONNX_GROUPEDPRODUCTS_H
#define SQ_PASSES_LOWER_ONNX_GROUPEDPRODUCTS_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

/// Constants of sq.grouped_matmul for the transposed of [n, k].
struct GroupedConstants {
  mlir::Value codes, scales, offsets;
  int64_t zeroPoint = 0;
  int64_t n = 0, k = 0, bits = 0, size = 0; // a group's size
  bool mayRound = false;                    // x to 8 bits
};

/// x of f32 [.., k] by them.
mlir::FailureOr<Lowered> multiplyByCodes(Lowering &l, mlir::Operation *op,
                                         Lowered *x,
                                         const GroupedConstants &constants);

/// What DequantizeLinear makes of constant integers of 2 to 4 bits with a scale
/// for each block along the contracted dim of `weight` [k, n] (`transposed`:
/// [n, k]). None when `weight` is something else, with the reason for the user
/// where only a detail of it is.
std::optional<GroupedConstants> groupedWeight(Lowering &l, mlir::Operation *op,
                                              mlir::Value weight,
                                              bool transposed);

} // namespace sq

#endif
