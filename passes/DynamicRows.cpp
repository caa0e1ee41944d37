#include "passes/DynamicRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/Pointwise.h"

using namespace mlir;
using namespace sq;

static constexpr int64_t kLevels = 127; // on both sides of 0

/// A value for each row, at a point of loops over all elements.
static Input ofRow(ImplicitLocOpBuilder &b, Value rows) {
  int64_t rank = cast<RankedTensorType>(rows.getType()).getRank();
  return {rows, b.getMultiDimIdentityMap(rank + 1).dropResult(rank)};
}

static Value constant(ImplicitLocOpBuilder &b, double value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

Value sq::quantizeRows(ImplicitLocOpBuilder &b, Value x, Value &scales) {
  auto type = cast<RankedTensorType>(x.getType());
  Type f32 = b.getF32Type();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), x);
  Value zeros = linalg::FillOp::create(b, constant(b, 0), Value(tensor::EmptyOp::create(b, ArrayRef(sizes).drop_back(), f32)))
                    .getResult(0);
  Value largest = reduceRows(b, like(b, x), zeros, [](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
    return arith::MaximumFOp::create(ib, math::AbsFOp::create(ib, args[0]), args[1]);
  });
  auto ofRows = [&](Body body) {
    return pointwise(b, like(b, largest), tensor::EmptyOp::create(b, ArrayRef(sizes).drop_back(), f32), body);
  };
  scales = ofRows([](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
    return arith::MulFOp::create(ib, args[0], constant(ib, 1.0 / kLevels));
  });
  // One division for a row; that of a row of zeros is finite.
  Value inverse = ofRows([](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
    Value divisor = arith::MaximumFOp::create(ib, args[0], constant(ib, 1e-36));
    return arith::DivFOp::create(ib, constant(ib, kLevels), divisor);
  });
  Value init = tensor::EmptyOp::create(b, sizes, f32);
  Value steps = pointwise(b, {like(b, x), ofRow(b, inverse)}, init, [](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
    return arith::MulFOp::create(ib, args[0], args[1]);
  });
  auto bytes = quant::UniformQuantizedType::get(/*flags=*/0, b.getI8Type(), f32, /*scale=*/1.0, /*zeroPoint=*/128, 0, 255);
  return QuantizeOp::create(b, type.clone(bytes), steps);
}

Value sq::scaleRows(ImplicitLocOpBuilder &b, Value y, Value scales, Value bias) {
  int64_t rank = cast<RankedTensorType>(y.getType()).getRank();
  Input column{bias, AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1))};
  Value init = tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), y), b.getF32Type());
  return pointwise(b, {like(b, y), ofRow(b, scales), column}, init, [](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
    return arith::AddFOp::create(ib, arith::MulFOp::create(ib, args[0], args[1]), args[2]);
  });
}
