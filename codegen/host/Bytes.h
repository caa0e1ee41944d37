/// Products of bytes on vectors.
#ifndef SQ_CODEGEN_HOST_BYTES_H
#define SQ_CODEGEN_HOST_BYTES_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "codegen/host/HostTarget.h"

namespace sq {

/// sum + the products of the four unsigned bytes and the four signed ones that each lane of 32 bits
/// has: vpdpbusd, or without it vpmaddwd on even and odd bytes widened to 16 bits, whose sums are
/// exact (vpmaddubsw's saturate). All are vectors of one width; `sum` is of i32.
mlir::Value multiplyBytes(mlir::ImplicitLocOpBuilder &b, const HostTarget &target, mlir::Value unsignedBytes,
                          mlir::Value signedBytes, mlir::Value sum);

/// The four bytes of `memref` at `at` in every lane of `type`, a vector of i32.
mlir::Value broadcastFour(mlir::ImplicitLocOpBuilder &b, mlir::VectorType type, mlir::Value memref, mlir::ValueRange at);

} // namespace sq

#endif
