/// Registers of mma.sync, as the PTX manual lays fragments out.
#ifndef SQ_CODEGEN_CUDA_MMAFRAGMENTS_H
#define SQ_CODEGEN_CUDA_MMAFRAGMENTS_H

#include "codegen/cuda/MmaProduct.h"

namespace sq::cuda {

mlir::Type factorType(mlir::Builder &b, MmaProduct::Factors factors);

/// f32 (or a vector of it) to the nearest tf32, whose lower 13 bits are 0, as
/// cvt.rna.tf32 does; a NaN stays as it is.
mlir::Value toTf32(mlir::ImplicitLocOpBuilder &b, mlir::Value v);

/// `count` (2 or 4) matrices of 8 x 8 16-bit factors by ldmatrix, as registers
/// that mma takes; `at` is where this lane's row of 16 bytes lies.
llvm::SmallVector<mlir::Value> loadMatrices(mlir::ImplicitLocOpBuilder &b,
                                            mlir::Value shared,
                                            mlir::ValueRange at, int64_t count,
                                            bool transposed);
/// vector<2> of 16-bit factors as a register.
mlir::Value asRegister(mlir::ImplicitLocOpBuilder &b, mlir::Value pair);

/// sums[4] += a[4] b[2]: 16 x 8 sums, 16 deep (8 for tf32).
void multiplyFragments(mlir::ImplicitLocOpBuilder &b,
                       MmaProduct::Factors factors,
                       llvm::ArrayRef<mlir::Value> a,
                       llvm::ArrayRef<mlir::Value> c,
                       llvm::MutableArrayRef<mlir::Value> sums);

} // namespace sq::cuda

#endif
