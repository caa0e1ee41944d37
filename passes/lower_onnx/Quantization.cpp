/// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: per tensor or per axis.

#include "passes/lower_onnx/Generics.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

AffineMap identityMap(Lowering &l, int64_t rank) {
  return AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
}

bool isQuantized(Type element) {
  auto type = dyn_cast<IntegerType>(element);
  return type && (type.getWidth() == 8 || type.getWidth() == 16);
}

/// round(x / scale) + zero, saturated to the quantised type. Rounding is half to
/// even, before the zero point is added. NaN becomes the lowest value.
Value quantize(Scalars &s, Value x, Value scale, Value zero, Type element) {
  Type f32 = s.builder.getF32Type(), i32 = s.builder.getI32Type();
  bool isUnsigned = element.isUnsignedInteger();
  unsigned width = element.getIntOrFloatBitWidth();
  double low = isUnsigned ? 0 : -std::ldexp(1, width - 1);
  double high = std::ldexp(1, isUnsigned ? width : width - 1) - 1;
  Value y = s.make<math::RoundEvenOp>(s.make<arith::DivFOp>(x, scale));
  if (zero)
    y = s.make<arith::AddFOp>(y, toFloat(s, zero, f32, isUnsigned));
  y = s.make<arith::MaxNumFOp>(y, s.number(f32, low));
  y = s.make<arith::MinNumFOp>(y, s.number(f32, high));
  return s.make<arith::TruncIOp>(signless(element), s.make<arith::FPToSIOp>(i32, y));
}

/// How a scale or zero point is read: one for all, or one along `axis`.
FailureOr<Input> parameter(Lowering &l, Operation *op, Lowered *x, Lowered *value,
                           StringRef what) {
  MLIRContext *context = l.builder.getContext();
  if (l.intAttr(op, "block_size", 0) != 0 || value->rank() > 1)
    return l.fail(op, what + " is blocked; only one per tensor or per axis is supported");
  Value tensor = l.tensor(value);
  if (value->rank() == 0)
    return Input{tensor, AffineMap::get(x->rank(), 0, context)};
  if (isOne(value->dims[0]))
    return Input{tensor, AffineMap::get(x->rank(), 0, l.builder.getAffineConstantExpr(0))};
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 1), x->rank());
  if (failed(axis) || failed(l.unify(op, x->dims[*axis], value->dims[0], "the quantised axis")))
    return failure();
  return Input{tensor, AffineMap::get(x->rank(), 0, l.builder.getAffineDimExpr(*axis))};
}

LogicalResult lowerQuantizeLinear(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *scale = l.operand(op, 1), *zero = l.operand(op, 2);
  auto type = dyn_cast<ShapedType>(op->getResult(0).getType());
  Type element = zero ? zero->element : type ? type.getElementType() : Type();
  if (!element || !isQuantized(element))
    return l.fail(op, "the quantised type is not an integer of 8 or 16 bits");
  if ((!isSupportedFloat(x->element) && !x->isInteger()) || !isSupportedFloat(scale->element))
    return l.fail(op, "the input is not a number or the scale is not a float");
  FailureOr<Input> scaleInput = parameter(l, op, x, scale, "scale");
  FailureOr<Input> zeroInput = Input();
  if (zero)
    zeroInput = parameter(l, op, x, zero, "zero point");
  if (failed(scaleInput) || failed(zeroInput))
    return failure();
  SmallVector<Input> inputs = {{l.tensor(x), identityMap(l, x->rank())}, *scaleInput};
  if (zero)
    inputs.push_back(*zeroInput);
  Type f32 = l.builder.getF32Type();
  Value y = pointwise(l, op->getLoc(), inputs, x->dims, signless(element),
                      [&](Scalars &s, ValueRange args) {
                        Value number = toFloat(s, args[0], f32, x->isUnsigned());
                        return quantize(s, number, convertFloat(s, args[1], f32),
                                        zero ? args[2] : Value(), element);
                      });
  l.setTensor(op, 0, y, x->dims, element);
  return success();
}

LogicalResult lowerDequantizeLinear(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *scale = l.operand(op, 1), *zero = l.operand(op, 2);
  if (!isQuantized(x->element) && !x->element.isSignlessInteger(32))
    return l.fail(op, "the quantised type is not an integer of 8, 16 or 32 bits");
  if (!isSupportedFloat(scale->element) || (zero && zero->element != x->element))
    return l.fail(op, "the scale is not a float or the zero point has another type");
  FailureOr<Input> scaleInput = parameter(l, op, x, scale, "scale");
  FailureOr<Input> zeroInput = Input();
  if (zero)
    zeroInput = parameter(l, op, x, zero, "zero point");
  if (failed(scaleInput) || failed(zeroInput))
    return failure();
  SmallVector<Input> inputs = {{l.tensor(x), identityMap(l, x->rank())}, *scaleInput};
  if (zero)
    inputs.push_back(*zeroInput);
  Type f32 = l.builder.getF32Type(), i32 = l.builder.getI32Type();
  Value y = pointwise(l, op->getLoc(), inputs, x->dims, scale->element,
                      [&](Scalars &s, ValueRange args) {
                        Value number = convertInteger(s, args[0], i32, x->isUnsigned());
                        if (zero)
                          number = s.sub(number, convertInteger(s, args[2], i32, x->isUnsigned()));
                        Value product =
                            s.make<arith::MulFOp>(s.make<arith::SIToFPOp>(f32, number),
                                                  convertFloat(s, args[1], f32));
                        return convertFloat(s, product, scale->element);
                      });
  l.setTensor(op, 0, y, x->dims, scale->element);
  return success();
}

/// To uint8 with the range of the data, widened to hold 0:
/// scale = (max - min) / 255, zero = saturate(round(-min / scale)).
LogicalResult lowerDynamicQuantizeLinear(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!x->element.isF32())
    return l.fail(op, "the input is not float");
  Location loc = op->getLoc();
  Type f32 = l.builder.getF32Type(), i8 = l.builder.getI8Type();
  Type ui8 = l.builder.getIntegerType(8, /*isSigned=*/false);
  Value tensor = l.tensor(x);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(x->rank()));
  // The reductions start at 0, so that the range holds it.
  Value start = l.scalars(loc).number(f32, 0);
  Value low = reduceAxes(l, loc, tensor, x->dims, axes, start, [&](Scalars &s, ValueRange args) {
    return s.make<arith::MinimumFOp>(args[1], args[0]);
  });
  Value high = reduceAxes(l, loc, tensor, x->dims, axes, start, [&](Scalars &s, ValueRange args) {
    return s.make<arith::MaximumFOp>(args[1], args[0]);
  });
  AffineMap scalarMap = identityMap(l, 0);
  Value scale = pointwise(l, loc, {{low, scalarMap}, {high, scalarMap}}, {}, f32,
                          [&](Scalars &s, ValueRange args) {
                            Value range = s.make<arith::SubFOp>(args[1], args[0]);
                            return s.make<arith::DivFOp>(range, s.number(f32, 255));
                          });
  Value zero = pointwise(l, loc, {{low, scalarMap}, {scale, scalarMap}}, {}, i8,
                         [&](Scalars &s, ValueRange args) {
                           Value negated = s.make<arith::NegFOp>(args[0]);
                           return quantize(s, negated, args[1], Value(), ui8);
                         });
  AffineMap everywhere = AffineMap::get(x->rank(), 0, l.builder.getContext());
  Value y = pointwise(
      l, loc, {{tensor, identityMap(l, x->rank())}, {scale, everywhere}, {zero, everywhere}},
      x->dims, i8, [&](Scalars &s, ValueRange args) {
        return quantize(s, args[0], args[1], args[2], ui8);
      });
  l.setTensor(op, 0, y, x->dims, ui8);
  if (op->getNumResults() > 1)
    l.setTensor(op, 1, scale, {}, f32);
  if (op->getNumResults() > 2)
    l.setTensor(op, 2, zero, {}, ui8);
  return success();
}

} // namespace

void sq::registerQuantization(LoweringTable &table) {
  table.add("QuantizeLinear", 2, lowerQuantizeLinear);
  table.add("DequantizeLinear", 2, lowerDequantizeLinear);
  table.add("DynamicQuantizeLinear", 1, lowerDynamicQuantizeLinear);
}
