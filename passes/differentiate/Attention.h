/// Attention of primitive ops, in its derivative and where there is no kernel.
#ifndef SQ_PASSES_DIFFERENTIATE_ATTENTION_H
#define SQ_PASSES_DIFFERENTIATE_ATTENTION_H

#include "passes/differentiate/Tensors.h"

namespace sq {

/// [b, s, h, d] as [b, groups, h / groups * s, d]: heads that share keys are
/// rows of one product.
mlir::Value groupHeads(Tensors &t, mlir::Value v, int64_t groups);
/// The other way round, of the sizes of `like` [b, s, h, d].
mlir::Value ungroupHeads(Tensors &t, mlir::Value v, mlir::Value like);
/// The softmax of masked scores [b, groups, h / groups * s, t], of q and k of
/// `op` in such groups. Fixed numbers of heads.
mlir::Value attentionProbabilities(Tensors &t, AttentionOp op, mlir::Value q,
                                   mlir::Value k);

} // namespace sq

#endif
