/// Quantised numbers in op bodies: y = saturate(round(x / scale) + zero), x = (y - zero) scale.
#ifndef SQ_PASSES_LOWER_ONNX_QUANTIZATION_H
#define SQ_PASSES_LOWER_ONNX_QUANTIZATION_H

#include "passes/lower_onnx/Generics.h"

namespace sq {

/// Integers of 2 to 16 bits, floats of 8 bits, FP4.
bool isQuantized(mlir::Type element);

/// A scale or zero point of a tensor: one for all, one along an axis, or one for each
/// block of an axis.
struct QuantParameter {
  mlir::Value tensor; // null: there is none
  mlir::Type element;
  int64_t rank = 0;     // of `tensor`
  int64_t axis = -1;    // -1: one for all
  int64_t block = 0;    // elements of a block, 0: not blocked
  int64_t position = 0; // among the inputs of the generic, unless blocked

  /// Makes it an input of a generic over the quantised tensor, which is of rank
  /// `loops`. Blocked ones are read by index instead.
  void addTo(llvm::SmallVectorImpl<Input> &inputs, int64_t loops);
  /// The element for the point of the loops, as stored; null when there is none.
  mlir::Value read(Scalars &s, mlir::ValueRange args) const;
};

/// Operand `value` (may be null) of `op` for the tensor `x`, by the attributes `axis`
/// and `block_size`.
mlir::FailureOr<QuantParameter> quantParameter(Lowering &l, mlir::Operation *op, Lowered *x,
                                               Lowered *value, llvm::StringRef what);
/// One for all: a tensor of one element.
mlir::FailureOr<QuantParameter> scalarParameter(Lowering &l, mlir::Operation *op, Lowered *value,
                                                llvm::StringRef what);

/// `quotient` is x / scale (f32), `zero` a stored zero point or null. Rounding is half to
/// even, before an integer zero point is added. NaN becomes the lowest integer.
mlir::Value quantizeScalar(Scalars &s, mlir::Value quotient, mlir::Value zero, mlir::Type element,
                           SmallFloatCast how = {});
/// (y - zero) scale in f32; `scale` is of any float type, `zero` may be null.
mlir::Value dequantizeScalar(Scalars &s, mlir::Value y, mlir::Value zero, mlir::Value scale,
                             mlir::Type element, mlir::Type scaleElement);

/// A constant scale that is no positive number fails the op.
mlir::LogicalResult checkScale(Lowering &l, mlir::Operation *op, Lowered *scale);

/// The DequantizeLinear that defines a value of the source function, or null.
mlir::Operation *dequantizeOf(mlir::Value source);
/// The constant floats that a DequantizeLinear of constant integers gives; none when it is not
/// one of f32, or not all of its operands are constant.
std::optional<Lowered> foldedDequantize(Lowering &l, mlir::Value source);

} // namespace sq

#endif
