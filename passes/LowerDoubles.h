/// Composites of f64, which have no kernels.
#ifndef SQ_PASSES_LOWERDOUBLES_H
#define SQ_PASSES_LOWERDOUBLES_H

#include "mlir/IR/PatternMatch.h"

namespace sq {

/// Replaces `op` by loops if it is a softmax, a norm or an attention of f64: models in double precision are rare, but
/// derivatives are tested in it. Whether it was.
bool lowerDouble(mlir::Operation *op, mlir::RewriterBase &rewriter);

} // namespace sq

#endif
