/// What a kernel does, told from the op it is made of: `work` of `sq.parallel`.
#ifndef SQ_CODEGEN_COMMON_KERNELWORK_H
#define SQ_CODEGEN_COMMON_KERNELWORK_H

#include "mlir/IR/Operation.h"

#include "passes/analysis/SymbolicSize.h"

namespace sq {

/// What `op`, a composite, linalg op or copy on memrefs, does.
///
/// Operations: each addition, multiplication, comparison, conversion and
/// function of a float counts one, a fused multiply-add two, integers none.
/// What happens once per row (the reciprocal of softmax's sum) is left out.
/// Bytes: every operand once, however often the kernel reads it; of a table
/// that is indexed by data, what is looked up.
struct OpWork {
  std::string kind;                      // "matmul", "elementwise", ...
  std::vector<std::string> parts, nodes; // what is fused; of the ONNX graph
  SymbolicSize flops, reads, writes;     // operations, bytes
};
OpWork workOf(mlir::Operation *op, SymbolicSizes &sizes);

/// The same as an attribute, sizes as text.
mlir::DictionaryAttr describeWork(mlir::MLIRContext *context, const OpWork &work);
mlir::DictionaryAttr describeWork(mlir::Operation *op, SymbolicSizes &sizes);

} // namespace sq

#endif
