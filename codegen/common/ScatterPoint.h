/// One update of a `sq.scatter`, for the emitters of both targets.
#ifndef SQ_CODEGEN_COMMON_SCATTERPOINT_H
#define SQ_CODEGEN_COMMON_SCATTERPOINT_H

#include "codegen/common/KernelHelpers.h"

namespace sq {

/// y[p, n, q] := combine(y[p, n, q], updates[p, r, q]).
void scatterPoint(mlir::ImplicitLocOpBuilder &b, ScatterOp op, mlir::Value p, mlir::Value n,
                  mlir::Value r, mlir::Value q);
/// The row of `outs` that update (p, r) goes to, and whether there is such a row.
struct ScatterRow {
  mlir::Value row, exists;
};
ScatterRow scatterRow(mlir::ImplicitLocOpBuilder &b, ScatterOp op, mlir::Value p, mlir::Value r);

} // namespace sq

#endif
