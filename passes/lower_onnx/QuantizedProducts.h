/// Products of what DequantizeLinear gives, as products of the integers.
#ifndef SQ_PASSES_LOWER_ONNX_QUANTIZEDPRODUCTS_H
#define SQ_PASSES_LOWER_ONNX_QUANTIZEDPRODUCTS_H

#include "passes/lower_onnx/Contractions.h"

namespace sq {

/// x by a constant weight, both of at most 8 bits, and what is left to do to their sums of
/// products when only the run knows the scale or zero point of x.
struct QuantizedProduct {
  Lowered *x;
  Weight weight;
  Lowered *zero = nullptr, *scale = nullptr; // of x, each of one element
  /// Of the columns: sums of weights less their zero points (with `zero`), scales (with `scale`).
  Lowered *sums = nullptr, *scales = nullptr;
};

/// The product that the operands of `op`, a product of floats, stand for; none when one of them
/// is no DequantizeLinear, or there is no kernel for them, which is then told to the user.
std::optional<QuantizedProduct> quantizedProduct(Lowering &l, mlir::Operation *op, mlir::Value x, mlir::Value weight,
                                                 bool transposed);
/// That of MatMulInteger, whose result is the sums in i32.
std::optional<QuantizedProduct> integerProductByWeight(Lowering &l, mlir::Operation *op);

/// `x` instead of the product's own: the same, transposed say. `bias`, a vector of floats, may be
/// null, and is when `scale` is not.
mlir::FailureOr<Lowered> multiply(Lowering &l, mlir::Operation *op, const QuantizedProduct &product, Lowered *x,
                                  mlir::Value bias);

/// Both operands of a MatMul of two activations as floats that are integers, and what their product is to be multiplied by.
struct IntegerFactors {
  Lowered a, b;
  float scale;
};

/// Where all that reads the product rounds it to integers again: the sums are exact then (up to 2^24, 258 products of
/// the largest bytes), and so is what they round to. Products of the numbers that these stand for would carry the
/// rounding of each of them, which moves some across the middle between two steps. None when `op` is something else.
std::optional<IntegerFactors> integerFactors(Lowering &l, mlir::Operation *op);

/// The source of any number of transpositions of a matrix, each of which turns `transposed` over.
mlir::Value skipTransposes(mlir::Value source, bool &transposed);

/// Tells the user that `op` computes in floats where it has quantised operands.
void noteFloat(Lowering &l, mlir::Operation *op, const llvm::Twine &reason);

} // namespace sq

#endif
