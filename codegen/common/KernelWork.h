/// What a kernel does, told from the op it is made of: `work` of `sq.parallel`.
#ifndef SQ_CODEGEN_COMMON_KERNELWORK_H
#define SQ_CODEGEN_COMMON_KERNELWORK_H

#include "mlir/IR/Operation.h"

#include "passes/analysis/SymbolicSize.h"

namespace sq {

/// Describes `op`, a composite, linalg op or copy on memrefs.
///
/// Operations: each addition, multiplication, comparison, conversion and
/// function of a float counts one, a fused multiply-add two, integers none.
/// What happens once per row (the reciprocal of softmax's sum) is left out.
/// Bytes: every operand once, however often the kernel reads it; of a table
/// that is indexed by data, what is looked up.
mlir::DictionaryAttr describeWork(mlir::Operation *op, SymbolicSizes &sizes);

} // namespace sq

#endif
