/// Attention in 8 bits between layers in 8 bits.
#ifndef SQ_PASSES_QUANTIZEDATTENTION_H
#define SQ_PASSES_QUANTIZEDATTENTION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <vector>

#include "dialects/sq/IR/SqOps.h"
#include "lib/calibration/Range.h"

namespace sq {

/// How a layer quantises its input: the elements times `factors` of the channels (empty: 1).
struct LayerInput {
  mlir::Value x;
  std::vector<float> factors;
  QuantizeOp op;
};

/// An attention, and what calibration saw of its operands.
struct AttentionCandidate {
  AttentionOp op;
  const calibration::TensorStats *q, *k, *v;
};

/// `sq.attention` to `sq.int_attention` where its operands come from layers in 8 bits and one of `inputs` reads its result.
/// The operands become bytes at the layers' ends, with one scale each; factors that the reader has for its channels go
/// to v, so that the result is the reader's input as it is. `keeps` holds what became of masks. A remark (sq-quantize) says when the
/// attention has to stay in float:
/// - its heads have no kernel, its mask is none of 0 and -inf (or nearly) only, calibration has not seen an operand;
/// - rounding q and k would move scores by more than 1/8 (root mean square), a relative error of probabilities.
void quantizeAttention(const AttentionCandidate &candidate, llvm::ArrayRef<LayerInput> inputs, const calibration::RangeOptions &ranges,
                       llvm::DenseMap<mlir::Value, mlir::Value> &keeps);

} // namespace sq

#endif
