/// Which operands the operators of ONNX and onnxruntime take, and of which element types.
#ifndef SQ_LIB_IMPORTER_SIGNATURES_H
#define SQ_LIB_IMPORTER_SIGNATURES_H

#include "mlir/IR/Types.h"

#include <string>

namespace sq {

/// An operand of a node as far as it is known.
struct GivenOperand {
  bool isGiven = false;
  /// Of a tensor; null when it is not known, and for sequences and optionals.
  mlir::Type element;
  /// sq takes the type here even where ONNX does not; it must still agree with others.
  bool isExtension = false;
};

/// Why the operator ("onnx.Add", "com.microsoft.QGemm") has no such operands: one that it
/// needs is missing, there are too many, or an element type is not one that it takes or differs
/// from that of another operand where both must be the same. "" when they are fine, and for
/// operators without a known signature. Of ONNX's, any version may have them: nodes that sq has
/// rewritten are of the newest, others of the model's.
std::string operandError(llvm::StringRef op, llvm::ArrayRef<GivenOperand> operands);

/// Domains of QONNX's operators: its own, and those that it had or that other exporters give them.
inline constexpr llvm::StringLiteral kQonnxDomains[] = {"qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas",
                                                        "hawq2qonnx"};

/// Attribute (a string) of an operator that --sq-raise-onnx could not expand: why.
inline constexpr llvm::StringLiteral kRefused = "sq.refused";

} // namespace sq

#endif
