/// Attention over [b * h, s, d], as torch.bmm wants it, in terms of [b, h, s, d].
#ifndef SQ_PASSES_UNFLATTENHEADS_H
#define SQ_PASSES_UNFLATTENHEADS_H

#include "mlir/IR/PatternMatch.h"

namespace sq {

/// Where tensors of rank 4 are flattened, go through products, softmax and elementwise
/// loops, and get their heads back, they keep them.
void populateUnflattenHeads(mlir::RewritePatternSet &patterns);

} // namespace sq

#endif
