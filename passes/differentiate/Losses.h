/// What losses are computed of, in their lowering and in their derivatives.
#ifndef SQ_PASSES_DIFFERENTIATE_LOSSES_H
#define SQ_PASSES_DIFFERENTIATE_LOSSES_H

#include "passes/differentiate/Tensors.h"

namespace sq {

/// [b, i.., (last)] as [b, n, (last)]: `last` dims (0 or 1) stay behind what
/// becomes one.
mlir::Value asSamples(Tensors &t, mlir::Value v, int64_t last);

/// Of labels [b, n], how many of a sample count, at least 1: [b], of type
/// `element`.
mlir::Value countLabels(Tensors &t, mlir::Value labels, mlir::Type element);

} // namespace sq

#endif
