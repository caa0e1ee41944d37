/// Vectors of 32-bit integers as bytes, several at once.
#ifndef SQ_CODEGEN_HOST_PACKBYTES_H
#define SQ_CODEGEN_HOST_PACKBYTES_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sq {

/// `values` are vectors of 16 bytes, each made of 32-bit integers between bounds that are 255 apart: two after each other as one
/// of 32, by instructions that bound what they pack. Empty where they are anything else, or no multiple of four. Needs AVX-512 BW.
llvm::SmallVector<mlir::Value> packBytes(mlir::ImplicitLocOpBuilder &b, llvm::ArrayRef<mlir::Value> values);

} // namespace sq

#endif
