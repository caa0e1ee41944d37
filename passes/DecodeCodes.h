/// Products by codes as the dense linear layers that they stand for.
#ifndef SQ_PASSES_DECODECODES_H
#define SQ_PASSES_DECODECODES_H

#include "dialects/sq/IR/SqOps.h"
#include "lib/numerics/Codes.h"

#include <optional>

namespace sq {

/// The operands of a product by codes or by a sparse matrix, or of both.
struct CodedOperands {
  mlir::Value x, codes, table, sparse, outs; // what the op has not is null
  int64_t bits = 0, k = 0, n = 0;

  /// None for other ops.
  static std::optional<CodedOperands> of(mlir::Operation *op);
};

/// The sparse matrix that a `sq.csr` of constants makes; an error at `op` for other values.
mlir::FailureOr<numerics::SparseRows> constantSparse(mlir::Operation *op, mlir::Value sparse);

/// Replaces `op` by a `sq.linear`; an error when its weight is not constant.
mlir::LogicalResult decodeCodes(mlir::Operation *op, const CodedOperands &operands);

} // namespace sq

#endif
