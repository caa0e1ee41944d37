/// Elementwise math of one operand.
#include "passes/lower_onnx/Lowering.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace sq;

using FloatP = arith::CmpFPredicate;
using IntP = arith::CmpIPredicate;

template <typename MathOp>
static LogicalResult lowerMath(Lowering &l, Operation *op) {
  return l.floatElementwise(op, {l.operand(op, 0)}, [](Scalars &s, ValueRange args) {
    return s.make<MathOp>(args[0]);
  });
}

/// A function of floats and one of (signed) integers.
using UnaryFn = Value (*)(Scalars &, Value);
static LogicalResult lowerNumeric(Lowering &l, Operation *op, UnaryFn floats, UnaryFn integers,
                                  bool isUnsignedIdentity) {
  Lowered *x = l.operand(op, 0);
  if (x->isFloat())
    return l.floatElementwise(op, {x},
                              [&](Scalars &s, ValueRange args) { return floats(s, args[0]); });
  if (!x->isInteger())
    return l.fail(op, "it is not defined for elements of type " + dtypeName(x->element));
  if (x->isUnsigned() && isUnsignedIdentity) {
    l.alias(op->getResult(0), x);
    return success();
  }
  return l.elementwise(op, {x}, x->element,
                       [&](Scalars &s, ValueRange args) { return integers(s, args[0]); });
}

static Value zeroOf(Scalars &s, Value x) { return s.integer(x.getType(), 0); }

static Value negateFloat(Scalars &s, Value x) { return s.make<arith::NegFOp>(x); }
static Value negateInteger(Scalars &s, Value x) { return s.sub(zeroOf(s, x), x); }
static Value absFloat(Scalars &s, Value x) { return s.make<math::AbsFOp>(x); }
static Value absInteger(Scalars &s, Value x) {
  return s.select(s.compare(IntP::slt, x, zeroOf(s, x)), negateInteger(s, x), x);
}
/// 0 and NaN stay as they are.
static Value signFloat(Scalars &s, Value x) {
  Value zero = s.number(x.getType(), 0);
  Value below = s.select(s.compare(FloatP::OLT, x, zero), s.number(x.getType(), -1), x);
  return s.select(s.compare(FloatP::OGT, x, zero), s.number(x.getType(), 1), below);
}
static Value signInteger(Scalars &s, Value x) {
  Value zero = zeroOf(s, x);
  Value below = s.select(s.compare(IntP::slt, x, zero), s.integer(x.getType(), -1), zero);
  return s.select(s.compare(IntP::sgt, x, zero), s.integer(x.getType(), 1), below);
}

static LogicalResult lowerSign(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (x->isInteger() && x->isUnsigned())
    return l.elementwise(op, {x}, x->element, [](Scalars &s, ValueRange args) {
      return s.make<arith::MinUIOp>(args[0], s.integer(args[0].getType(), 1));
    });
  return lowerNumeric(l, op, signFloat, signInteger, false);
}

static LogicalResult lowerReciprocal(Lowering &l, Operation *op) {
  return l.floatElementwise(op, {l.operand(op, 0)}, [](Scalars &s, ValueRange args) {
    return s.make<arith::DivFOp>(s.number(args[0].getType(), 1), args[0]);
  });
}

static LogicalResult lowerIsNaN(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!x->isFloat())
    return l.fail(op, "it is not defined for elements of type " + dtypeName(x->element));
  return l.elementwise(op, {x}, l.builder.getI1Type(), [](Scalars &s, ValueRange args) {
    return s.compare(FloatP::UNO, args[0], args[0]);
  });
}

static LogicalResult lowerIsInf(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!x->isFloat())
    return l.fail(op, "it is not defined for elements of type " + dtypeName(x->element));
  bool negative = l.intAttr(op, "detect_negative", 1), positive = l.intAttr(op, "detect_positive", 1);
  return l.elementwise(op, {x}, l.builder.getI1Type(), [&](Scalars &s, ValueRange args) {
    Type type = args[0].getType();
    Value isUp = positive ? s.compare(FloatP::OEQ, args[0], s.number(type, INFINITY))
                          : s.boolean(false);
    Value isDown = negative ? s.compare(FloatP::OEQ, args[0], s.number(type, -INFINITY))
                            : s.boolean(false);
    return s.make<arith::OrIOp>(isUp, isDown);
  });
}

/// min(max(x, low), high); both optional, attributes before opset 11.
static LogicalResult lowerClip(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *low = l.operand(op, 1), *high = l.operand(op, 2);
  if (x->isBool())
    return l.fail(op, "it is not defined for elements of type bool8");
  Lowered attrs[2];
  if (l.opset() < 11) {
    Lowered **bounds[] = {&low, &high};
    const char *names[] = {"min", "max"};
    for (auto [i, name] : llvm::enumerate(names)) {
      if (!op->hasAttr(name) || !x->isFloat())
        continue;
      attrs[i].element = x->element;
      attrs[i].splat = l.scalars(op->getLoc()).number(x->element, l.floatAttr(op, name, 0));
      *bounds[i] = &attrs[i];
    }
  }
  SmallVector<Lowered *> operands{x};
  for (Lowered *bound : {low, high}) {
    if (!bound)
      continue;
    if (bound->element != x->element || staticCount(bound->dims) != 1)
      return l.fail(op, "its bounds must be numbers of type " + dtypeName(x->element));
    operands.push_back(bound);
  }
  if (operands.size() == 1) {
    l.alias(op->getResult(0), x);
    return success();
  }
  bool isUnsigned = x->isUnsigned();
  auto element = [&](Scalars &s, ValueRange args) {
    Value result = args[0];
    if (low)
      result = x->isFloat()  ? s.make<arith::MaximumFOp>(result, args[1])
               : isUnsigned ? s.make<arith::MaxUIOp>(result, args[1])
                            : s.max(result, args[1]);
    if (high)
      result = x->isFloat()  ? s.make<arith::MinimumFOp>(result, args.back())
               : isUnsigned ? s.make<arith::MinUIOp>(result, args.back())
                            : s.min(result, args.back());
    return result;
  };
  // Choosing one of its inputs needs no rounding, whatever the type.
  return l.elementwise(op, operands, x->element, element);
}

void sq::registerUnary(LoweringTable &table) {
  table.add("Acos", 1, lowerMath<math::AcosOp>);
  table.add("Acosh", 1, lowerMath<math::AcoshOp>);
  table.add("Asin", 1, lowerMath<math::AsinOp>);
  table.add("Asinh", 1, lowerMath<math::AsinhOp>);
  table.add("Atan", 1, lowerMath<math::AtanOp>);
  table.add("Atanh", 1, lowerMath<math::AtanhOp>);
  table.add("Ceil", 1, lowerMath<math::CeilOp>);
  table.add("Cos", 1, lowerMath<math::CosOp>);
  table.add("Cosh", 1, lowerMath<math::CoshOp>);
  table.add("Erf", 1, lowerMath<math::ErfOp>);
  table.add("Exp", 1, lowerMath<math::ExpOp>);
  table.add("Floor", 1, lowerMath<math::FloorOp>);
  table.add("Log", 1, lowerMath<math::LogOp>);
  table.add("Round", 1, lowerMath<math::RoundEvenOp>);
  table.add("Sin", 1, lowerMath<math::SinOp>);
  table.add("Sinh", 1, lowerMath<math::SinhOp>);
  table.add("Sqrt", 1, lowerMath<math::SqrtOp>);
  table.add("Tan", 1, lowerMath<math::TanOp>);
  table.add("Tanh", 1, lowerMath<math::TanhOp>);
  table.add("Abs", 1, [](Lowering &l, Operation *op) {
    return lowerNumeric(l, op, absFloat, absInteger, /*isUnsignedIdentity=*/true);
  });
  table.add("Neg", 1, [](Lowering &l, Operation *op) {
    return lowerNumeric(l, op, negateFloat, negateInteger, /*isUnsignedIdentity=*/false);
  });
  table.add("Clip", 1, lowerClip);
  table.add("IsInf", 1, lowerIsInf);
  table.add("IsNaN", 1, lowerIsNaN);
  table.add("Reciprocal", 1, lowerReciprocal);
  table.add("Sign", 1, lowerSign);
}
