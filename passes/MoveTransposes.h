/// Patterns that let a transposition meet the one that undoes it.
#ifndef SQ_PASSES_MOVETRANSPOSES_H
#define SQ_PASSES_MOVETRANSPOSES_H

#include "mlir/IR/PatternMatch.h"

namespace sq {

/// Through slices and what is put together of them, where that leaves fewer: heads
/// that are turned in part are sliced as [b, h, s, d] and attended to as [b, s, h, d].
void populateMoveTransposes(mlir::RewritePatternSet &patterns);

} // namespace sq

#endif
