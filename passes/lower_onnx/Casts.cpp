/// Cast and CastLike.
#include "passes/lower_onnx/Lowering.h"

#include "llvm/ADT/APFloat.h"

using namespace mlir;
using namespace sq;

Type sq::elementTypeOf(MLIRContext *context, int64_t dataType) {
  Builder b(context);
  auto integer = [&](unsigned width, bool isUnsigned) {
    return IntegerType::get(context, width,
                            isUnsigned ? IntegerType::Unsigned : IntegerType::Signless);
  };
  // TensorProto.DataType of onnx.proto.
  switch (dataType) {
  case 1:
    return b.getF32Type();
  case 2:
    return integer(8, true);
  case 3:
    return integer(8, false);
  case 4:
    return integer(16, true);
  case 5:
    return integer(16, false);
  case 6:
    return integer(32, false);
  case 7:
    return integer(64, false);
  case 9:
    return integer(1, false);
  case 10:
    return b.getF16Type();
  case 11:
    return b.getF64Type();
  case 12:
    return integer(32, true);
  case 13:
    return integer(64, true);
  case 16:
    return b.getBF16Type();
  default:
    return Type();
  }
}

/// f32 or f64 to an integer: truncates, saturates, NaN is 0.
static Value floatToInteger(Scalars &s, Value x, IntegerType to) {
  Type type = x.getType();
  bool isUnsigned = to.isUnsigned();
  unsigned width = to.getWidth();
  // The bounds are floats that truncate into the range: the lower one is exact, the
  // upper one is the largest float that does not exceed it.
  auto bound = [&](const APInt &integer) {
    APFloat value(cast<FloatType>(type).getFloatSemantics());
    value.convertFromAPInt(integer, !isUnsigned, APFloat::rmTowardZero);
    return s.constant(FloatAttr::get(type, value));
  };
  Value low = bound(isUnsigned ? APInt::getZero(width) : APInt::getSignedMinValue(width));
  Value high = bound(isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width));
  using P = arith::CmpFPredicate;
  Value isNumber = s.compare(P::ORD, x, x);
  Value safe = s.select(isNumber, x, s.number(type, 0));
  safe = s.make<arith::MinimumFOp>(s.make<arith::MaximumFOp>(safe, low), high);
  Type result = signless(to);
  return isUnsigned ? s.make<arith::FPToUIOp>(result, safe)
                    : s.make<arith::FPToSIOp>(result, safe);
}

Value sq::castScalar(Scalars &s, Value x, Type from, Type to) {
  if (from == to)
    return x;
  bool fromBool = from.isSignlessInteger(1), toBool = to.isSignlessInteger(1);
  auto fromFloat = dyn_cast<FloatType>(from), toFloat = dyn_cast<FloatType>(to);
  auto fromInt = dyn_cast<IntegerType>(from), toInt = dyn_cast<IntegerType>(to);
  bool fromUnsigned = fromBool || (fromInt && fromInt.isUnsigned());

  if (toBool) {
    if (fromFloat)
      return s.compare(arith::CmpFPredicate::UNE, x, s.number(from, 0));
    return s.compare(arith::CmpIPredicate::ne, x, s.integer(signless(from), 0));
  }
  if (fromFloat && toFloat) {
    if (fromFloat.getWidth() < toFloat.getWidth())
      return s.make<arith::ExtFOp>(to, x);
    if (fromFloat.getWidth() > toFloat.getWidth())
      return s.make<arith::TruncFOp>(to, x);
    return s.make<arith::TruncFOp>(to, s.make<arith::ExtFOp>(s.builder.getF32Type(), x));
  }
  if (toFloat)
    return fromUnsigned ? s.make<arith::UIToFPOp>(to, x) : s.make<arith::SIToFPOp>(to, x);
  if (fromFloat) {
    if (fromFloat.getWidth() < 32)
      x = s.make<arith::ExtFOp>(s.builder.getF32Type(), x);
    return floatToInteger(s, x, toInt);
  }
  Type type = signless(to);
  if (fromInt.getWidth() > toInt.getWidth())
    return s.make<arith::TruncIOp>(type, x);
  if (fromInt.getWidth() < toInt.getWidth())
    return fromUnsigned ? s.make<arith::ExtUIOp>(type, x) : s.make<arith::ExtSIOp>(type, x);
  return x;
}

static LogicalResult castTo(Lowering &l, Operation *op, Type to) {
  Lowered *data = l.operand(op, 0);
  Type from = data->element;
  if (from == to) {
    l.alias(op->getResult(0), data);
    return success();
  }
  if (failed(l.elementwise(op, {data}, to, [&](Scalars &s, ValueRange args) {
        return castScalar(s, args[0], from, to);
      })))
    return failure();
  // Integers that are wide enough keep their values.
  if (to.isSignlessInteger(64) || to.isSignlessInteger(32)) {
    Lowered *result = l.lowered(op->getResult(0));
    bool isWider = isa<IntegerType>(from) &&
                   to.getIntOrFloatBitWidth() > from.getIntOrFloatBitWidth();
    if (isWider) {
      result->lowest = data->lowest;
      result->below = data->below;
    }
  }
  return success();
}

static LogicalResult lowerCast(Lowering &l, Operation *op) {
  int64_t code = l.intAttr(op, "to", 0);
  Type to = elementTypeOf(op->getContext(), code);
  if (!to)
    return l.fail(op, "casts to data type " + Twine(code) +
                          " (TensorProto.DataType) are not supported yet");
  return castTo(l, op, to);
}

static LogicalResult lowerCastLike(Lowering &l, Operation *op) {
  return castTo(l, op, l.operand(op, 1)->element);
}

void sq::registerCasts(LoweringTable &table) {
  table.add("Cast", 1, lowerCast);
  table.add("CastLike", 2, lowerCastLike);
}
