/// Activations whose scale each row has for itself, found when it is there.
#ifndef SQ_PASSES_DYNAMICROWS_H
#define SQ_PASSES_DYNAMICROWS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sq {

/// Rows of `x` (f32 [.., k]) divided by their scale and quantised to unsigned bytes of step 1 and zero point 128. The
/// scale, `scales` [..], is max |x| / 127 of the row; rows of zeros stay zeros. A row with a NaN or an
/// infinity has a scale that is one, and so a result.
mlir::Value quantizeRows(mlir::ImplicitLocOpBuilder &b, mlir::Value x, mlir::Value &scales);

/// y[.., n] * scales[..] + bias[n], as the type of `y`.
mlir::Value scaleRows(mlir::ImplicitLocOpBuilder &b, mlir::Value y, mlir::Value scales, mlir::Value bias);

} // namespace sq

#endif
