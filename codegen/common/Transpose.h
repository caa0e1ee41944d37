/// Square transposition in registers.
#ifndef SQ_CODEGEN_COMMON_TRANSPOSE_H
#define SQ_CODEGEN_COMMON_TRANSPOSE_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Value.h"

namespace sq {

/// Transposes n vectors of n 32-bit lanes, n = 8 or 16: lane j of vector i
/// becomes lane i of vector j.
void emitTranspose(mlir::ImplicitLocOpBuilder &b, llvm::MutableArrayRef<mlir::Value> rows);

} // namespace sq

#endif
