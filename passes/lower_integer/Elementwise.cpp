//===-- Elementwise.cpp - integer ops of one element at a time ----------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

#include "passes/lower_integer/Lowering.h"

using namespace mlir;
using namespace sq;

static int64_t rankOf(Value v) { return cast<RankedTensorType>(v.getType()).getRank(); }

ChannelLists::List ChannelLists::add(ArrayRef<int64_t> values) {
  List list;
  auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (*least == *most) {
    list.ranges.push_back(numerics::Interval::of(*least));
    return list;
  }
  // The fewest bits: products of 16 by 16 bits are cheaper than those of 32.
  unsigned width = *least >= INT16_MIN && *most <= INT16_MAX ? 16 : *least >= INT32_MIN && *most <= INT32_MAX ? 32 : 64;
  auto type = RankedTensorType::get(values.size(), b.getIntegerType(width));
  auto elements = width == 16   ? DenseIntElementsAttr::get(type, SmallVector<int16_t>(values))
                  : width == 32 ? DenseIntElementsAttr::get(type, SmallVector<int32_t>(values))
                                : DenseIntElementsAttr::get(type, values);
  for (int64_t value : values)
    list.ranges.push_back(numerics::Interval::of(value));
  list.input = inputs.size();
  inputs.push_back({arith::ConstantOp::create(b, elements), AffineMap::get(rank, 0, b.getAffineDimExpr(axis))});
  return list;
}

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, RequantizeOp op) {
  std::string problem;
  SmallVector<Input> inputs = {like(b, op.getX())};
  ChannelLists lists(b, rankOf(op.getX()), op.getAxis(), inputs);
  auto m = lists.add(op.getMultipliers()), e = lists.add(op.getExponents());
  Type element = getElementTypeOrSelf(op.getOuts().getType());
  Value y = pointwise(b, inputs, op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Arithmetic a(ib, problem);
    Ranged x = a.input(args[0], rangeOf(op.getX(), op.getXBits(), op.getXUnsigned()), op.getXUnsigned());
    if (op.getXZeroPoint())
      x = a.sub(x, a.constant(op.getXZeroPoint()));
    Ranged product = a.mul(x, m.in(a, args)), exponent = e.in(a, args);
    numerics::Rounding rounding = *roundingOf(op.getRounding());
    int64_t zero = op.getZeroPoint();
    // A zero point before the shift is added together with the half. Neither may need 64 bits for it.
    if (zero && rounding == numerics::Rounding::HalfUp && exponent.isConstant()) {
      numerics::Interval of = product.range() + numerics::Interval::of(zero).shiftLeft(exponent.range());
      if (of.fits(product.range().fits(31) ? 31 : 63))
        product = a.add(product, a.shiftLeft(a.constant(std::exchange(zero, 0)), exponent));
    }
    return a.result(a.shiftRounded(product, exponent, rounding), zero, rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()), element);
  });
  return {y, problem};
}

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, RequantizedAddOp op) {
  std::string problem;
  int64_t rank = rankOf(op.getOuts());
  auto broadcast = [&](Value v) -> Input {
    auto type = cast<RankedTensorType>(v.getType());
    SmallVector<AffineExpr> at;
    for (int64_t d = 0; d < type.getRank(); ++d)
      at.push_back(type.getDimSize(d) == 1 ? b.getAffineConstantExpr(0) : b.getAffineDimExpr(rank - type.getRank() + d));
    return {v, AffineMap::get(rank, 0, at, b.getContext())};
  };
  SmallVector<Input> inputs = {broadcast(op.getA()), broadcast(op.getB())};
  ChannelLists lists(b, rank, op.getAxis(), inputs);
  auto ma = lists.add(op.getAMultipliers()), mb = lists.add(op.getBMultipliers()), e = lists.add(op.getExponents());
  Type element = getElementTypeOrSelf(op.getOuts().getType());
  Value y = pointwise(b, inputs, op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Arithmetic a(ib, problem);
    Ranged qa = a.input(args[0], rangeOf(op.getA(), op.getABits(), op.getAUnsigned()), op.getAUnsigned());
    Ranged qb = a.input(args[1], rangeOf(op.getB(), op.getBBits(), op.getBUnsigned()), op.getBUnsigned());
    if (op.getAZeroPoint())
      qa = a.sub(qa, a.constant(op.getAZeroPoint()));
    if (op.getBZeroPoint())
      qb = a.sub(qb, a.constant(op.getBZeroPoint()));
    Ranged sum = a.add(a.mul(qa, ma.in(a, args)), a.mul(qb, mb.in(a, args)));
    Ranged rounded = a.shiftRounded(sum, e.in(a, args), *roundingOf(op.getRounding()));
    return a.result(rounded, op.getZeroPoint(), rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()), element);
  });
  return {y, problem};
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

/// An 8-bit tensor has 256 values: all that is to be computed is a table.
template <typename OpTy>
static Lowered byTable(ImplicitLocOpBuilder &b, OpTy op, function_ref<int64_t(int64_t)> function) {
  numerics::Table table = numerics::tableOf(op.getXUnsigned(), function);
  auto type = RankedTensorType::get(256, b.getI32Type());
  auto lookup = LookupOp::create(b, op.getOuts().getType(), op.getX(), op.getOuts(),
                                 DenseIntElementsAttr::get(type, ArrayRef<int32_t>(table)));
  Lowered lowered = lowerInteger(b, lookup);
  lookup.erase();
  return lowered;
}

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntGeluOp op) {
  numerics::Rounding rounding = *roundingOf(op.getRounding());
  numerics::IntegerRange range = rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned());
  Type element = getElementTypeOrSelf(op.getOuts().getType());
  std::string problem;
  SmallVector<Input> inputs = {like(b, op.getX())};
  ChannelLists lists(b, rankOf(op.getX()), op.getAxis(), inputs);
  auto limits = lists.add(op.getLimits()), highs = lists.add(op.getHighs()), ones = lists.add(op.getOnes()),
       shifts = lists.add(op.getShifts()), multipliers = lists.add(op.getMultipliers()),
       exponents = lists.add(op.getExponents());
  Value y = pointwise(b, inputs, op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Arithmetic a(ib, problem);
    Ranged x = a.input(args[0], rangeOf(op.getX(), op.getXBits(), op.getXUnsigned()), op.getXUnsigned());
    Ranged limit = limits.in(a, args), one = ones.in(a, args), shift = shifts.in(a, args);
    Ranged q = a.clamp(x, a.sub(a.constant(0), limit), highs.in(a, args));
    Ranged d = a.sub(limit, a.minimum(a.absolute(q), limit));
    Ranged erf = a.shiftRounded(a.sub(one, a.mul(d, d)), shift, numerics::Rounding::HalfUp);
    Ranged unit = a.shiftRounded(one, shift, numerics::Rounding::HalfUp);
    // The sign of 0 does not matter.
    Ranged factor = a.selectNegative(q, a.sub(unit, erf), a.add(unit, erf));
    Ranged product = a.mul(a.mul(q, factor), multipliers.in(a, args));
    return a.result(a.shiftRounded(product, exponents.in(a, args), rounding), 0, range, element);
  });
  // Proved to fit, so that evaluating it here does as well.
  bool isByte = getElementTypeOrSelf(op.getX().getType()).isInteger(8);
  if (!problem.empty() || !isByte || inputs.size() > 1)
    return {y, problem};
  y.getDefiningOp()->erase();
  numerics::IntegerGelu gelu;
  gelu.b = op.getLimits()[0];
  gelu.c = op.getOnes()[0];
  gelu.shift = op.getShifts()[0];
  gelu.one = numerics::shiftRounded(gelu.c, gelu.shift, numerics::Rounding::HalfUp);
  gelu.hi = op.getHighs()[0];
  gelu.out = {op.getMultipliers()[0], op.getExponents()[0]};
  return byTable(b, op, [&](int64_t q) { return gelu.apply(q, range, rounding); });
}

template <typename OpTy>
static Lowered lowerSigmoid(ImplicitLocOpBuilder &b, OpTy op, numerics::IntegerSigmoid::Kind kind, int64_t low,
                            int64_t high) {
  using Kind = numerics::IntegerSigmoid::Kind;
  numerics::IntegerSigmoid sigmoid;
  sigmoid.kind = kind;
  sigmoid.exp = exponentialOf(op);
  sigmoid.lo = low;
  sigmoid.hi = high;
  sigmoid.out = {static_cast<int32_t>(op.getMultiplier()), static_cast<int>(op.getExponent())};
  numerics::Rounding rounding = *roundingOf(op.getRounding());
  numerics::IntegerRange range = rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned());
  Type element = getElementTypeOrSelf(op.getOuts().getType());
  std::string problem;
  Value y = pointwise(b, like(b, op.getX()), op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Arithmetic a(ib, problem);
    Ranged q = a.input(args[0], rangeOf(op.getX(), op.getXBits(), op.getXUnsigned()), op.getXUnsigned());
    if (kind == Kind::Silu)
      q = a.clamp(q, a.constant(low), a.constant(high));
    Ranged e = a.exponential(sigmoid.exp, a.absolute(q)), one = a.constant(sigmoid.exp.one);
    Ranged sum = a.add(one, e), half = a.shiftRight(sum, a.constant(1)), unit = a.constant(15);
    Ranged numerator = a.shiftLeft(kind == Kind::Tanh ? a.sub(one, e) : one, unit);
    // A quotient of at most 1.
    Ranged positive = a.assume(a.divide(a.add(numerator, half), sum), {0, 1 << 15});
    Ranged negative = a.sub(a.constant(kind == Kind::Tanh ? 0 : 1 << 15), positive);
    Ranged value = a.selectNegative(q, negative, positive);
    if (kind == Kind::Silu)
      value = a.mul(q, value);
    Ranged product = a.mul(value, a.constant(sigmoid.out.m));
    return a.result(a.shiftRounded(product, a.constant(sigmoid.out.e), rounding), 0, range, element);
  });
  if (!problem.empty() || !getElementTypeOrSelf(op.getX().getType()).isInteger(8))
    return {y, problem};
  y.getDefiningOp()->erase();
  return byTable(b, op, [&](int64_t q) { return sigmoid.apply(q, range, rounding); });
}

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntSigmoidOp op) {
  return lowerSigmoid(b, op, numerics::IntegerSigmoid::Kind::Sigmoid, 0, 0);
}
Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntTanhOp op) {
  return lowerSigmoid(b, op, numerics::IntegerSigmoid::Kind::Tanh, 0, 0);
}
Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntSiluOp op) {
  return lowerSigmoid(b, op, numerics::IntegerSigmoid::Kind::Silu, op.getLow(), op.getHigh());
}

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, LookupOp op) {
  Type element = getElementTypeOrSelf(op.getOuts().getType());
  SmallVector<APInt> entries;
  for (int32_t entry : op.getTable().getValues<int32_t>())
    entries.push_back(APInt(32, static_cast<uint32_t>(entry)).trunc(element.getIntOrFloatBitWidth()));
  Value table = arith::ConstantOp::create(b, DenseIntElementsAttr::get(RankedTensorType::get(256, element), entries));
  Value y = pointwise(b, like(b, op.getX()), op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Value place = arith::IndexCastUIOp::create(ib, ib.getIndexType(), args[0]);
    return tensor::ExtractOp::create(ib, table, place).getResult();
  });
  return {y, ""};
}

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntPiecewiseOp op) {
  std::string problem;
  numerics::IntegerPiecewise function = op.function();
  numerics::Interval ofSum = numerics::Interval::of(function.sum(0));
  for (int64_t q = 0; q < INT64_C(1) << numerics::IntegerPiecewise::kInputBits; ++q)
    ofSum = ofSum.join(numerics::Interval::of(function.sum(q)));
  Type element = getElementTypeOrSelf(op.getOuts().getType());
  Value y = pointwise(b, like(b, op.getX()), op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Arithmetic a(ib, problem);
    Ranged x = a.input(args[0], numerics::IntegerRange::of(numerics::IntegerPiecewise::kInputBits, /*isUnsigned=*/true), /*isUnsigned=*/true);
    Value q = a.as(x, ib.getI32Type());
    Ranged sum{ParabolaOp::create(ib, q, op.getBases(), op.getSlopes(), op.getCurves()), {ofSum}};
    return a.result(a.shiftRight(sum, a.constant(op.getShift())), 0, rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()), element);
  });
  return {y, problem};
}

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntSqrtOp op) {
  Type element = getElementTypeOrSelf(op.getOuts().getType());
  Value y = pointwise(b, like(b, op.getX()), op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Type type = ib.getIntegerType(element.isInteger(64) ? 64 : 32);
    bool narrow = element != type;
    Value n = narrow ? arith::ExtUIOp::create(ib, type, args[0]).getResult() : args[0];
    Value root = integerSqrt(ib, n);
    return narrow ? arith::TruncIOp::create(ib, element, root).getResult() : root;
  });
  return {y, ""};
}
