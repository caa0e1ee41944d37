/// Products by codes in groups (`sq.grouped_matmul`): the form that kernels
/// take, and what they stand for.
#ifndef SQ_PASSES_GROUPEDWEIGHTS_H
#define SQ_PASSES_GROUPEDWEIGHTS_H

#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"

namespace sq {

/// Replaces `op` by a `sq.linear` with its weight in f32; an error when that is
/// not constant.
mlir::LogicalResult decodeGroups(GroupedMatmulOp op);

/// Why kernels do not take `op`; empty when they do.
std::string whyNoGroupKernel(GroupedMatmulOp op);

/// Replaces `op`, which kernels take, by a `sq.packed_matmul`: with codes in
/// the order of bytes or of words, scales of f16 where these hold them, rows as
/// long as kernels read them, and one zero point where all groups have the
/// same. An error when codes, scales or offsets are not constant.
mlir::LogicalResult packGroups(GroupedMatmulOp op, bool bytes);

/// A constant outside of the context's memory, which large ones would stay in
/// for ever.
template <typename T>
mlir::Value largeConstant(mlir::OpBuilder &b, mlir::Location at,
                          llvm::ArrayRef<int64_t> shape, mlir::Type element,
                          llvm::ArrayRef<T> values, llvm::StringRef name) {
  mlir::AsmResourceBlob blob =
      mlir::HeapAsmResourceBlob::allocateAndCopyWithAlign(
          llvm::ArrayRef(reinterpret_cast<const char *>(values.data()),
                         values.size() * sizeof(T)),
          /*align=*/64);
  return mlir::arith::ConstantOp::create(
      b, at,
      mlir::DenseResourceElementsAttr::get(
          mlir::RankedTensorType::get(shape, element), name, std::move(blob)));
}

} // namespace sq

#endif
