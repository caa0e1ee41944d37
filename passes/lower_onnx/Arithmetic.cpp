/// Elementwise ops of two and more operands.
#include "passes/lower_onnx/Lowering.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <list>

using namespace mlir;
using namespace sq;

namespace {
using IntP = arith::CmpIPredicate;
using FloatP = arith::CmpFPredicate;

/// Which element types an op is defined for.
struct Domain {
  bool floats = true, integers = true, booleans = false;
};
} // namespace

/// Operands of one element type within the domain, and no broadcasting of old.
static FailureOr<SmallVector<Lowered *>> sameTyped(Lowering &l, Operation *op, Domain domain,
                                                   unsigned first = 0) {
  // Before opset 7 operands were aligned by an attribute.
  if (l.opset() < 7 && (op->hasAttr("broadcast") || op->hasAttr("axis")))
    return l.fail(op, "the `broadcast` attribute of opsets before 7 is not supported; convert the "
                      "model to opset 13");
  SmallVector<Lowered *> operands;
  for (unsigned i = first; i < op->getNumOperands(); ++i) {
    Lowered *operand = l.operand(op, i);
    if (!operand)
      return l.fail(op, "its input " + Twine(i) + " is missing");
    operands.push_back(operand);
  }
  Lowered *x = operands.front();
  if (x->isFloat() ? !domain.floats : x->isBool() ? !domain.booleans : !domain.integers)
    return l.fail(op, "it is not defined for elements of type " + dtypeName(x->element));
  for (Lowered *operand : operands)
    if (operand->element != x->element)
      return l.fail(op, "its inputs have elements of types " + dtypeName(x->element) + " and " +
                            dtypeName(operand->element) + "; cast one of them");
  return operands;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

/// A function of two floats (f32, f64) or two integers. Signs are a matter of the op.
using BinaryFn = Value (*)(Scalars &, Value, Value, bool isUnsigned);

/// In one loop: no processor fetches hundreds of streams ahead, and to compile a loop over
/// thousands takes quadratic time.
static constexpr size_t kMostOperands = 64;

/// x0 op x1 op x2..., then `finish` if given.
static LogicalResult lowerFold(Lowering &l, Operation *op, Domain domain, BinaryFn fn,
                               Value (*finish)(Scalars &, Value, unsigned count) = nullptr) {
  auto operands = sameTyped(l, op, domain);
  if (failed(operands))
    return failure();
  bool isUnsigned = operands->front()->isUnsigned();
  Type element = operands->front()->element;
  bool isHalf = element.isF16() || element.isBF16(); // computed in f32, rounded once
  Type wide = isHalf ? l.builder.getF32Type() : element;
  auto widened = [&](Scalars &s, Value v) -> Value {
    return v.getType() == wide || !isHalf ? v : s.make<arith::ExtFOp>(wide, v);
  };
  auto fold = [&](Scalars &s, ValueRange args) {
    Value result = widened(s, args[0]);
    for (Value arg : args.drop_front())
      result = fn(s, result, widened(s, arg), isUnsigned);
    return result;
  };
  std::list<Lowered> parts;
  SmallVector<Lowered *> rest(*operands);
  while (rest.size() > kMostOperands) {
    FailureOr<Lowered> part = l.mapElements(op, ArrayRef(rest).take_front(kMostOperands), wide, fold);
    if (failed(part))
      return failure();
    rest.erase(rest.begin(), rest.begin() + kMostOperands);
    rest.insert(rest.begin(), &parts.emplace_back(std::move(*part)));
  }
  return l.elementwise(op, rest, element, [&](Scalars &s, ValueRange args) {
    Value result = fold(s, args);
    if (finish)
      result = finish(s, result, operands->size());
    return isHalf ? s.make<arith::TruncFOp>(element, result) : result;
  });
}

/// Picks the op by the kind of element.
template <typename FloatOp, typename SignedOp, typename UnsignedOp = SignedOp>
static Value pick(Scalars &s, Value a, Value b, bool isUnsigned) {
  if (isa<FloatType>(a.getType()))
    return s.make<FloatOp>(a, b);
  return isUnsigned ? s.make<UnsignedOp>(a, b) : s.make<SignedOp>(a, b);
}

static Value subtract(Scalars &s, Value a, Value b, bool) {
  return isa<FloatType>(a.getType()) ? s.make<arith::SubFOp>(a, b) : s.sub(a, b);
}

static Value divide(Scalars &s, Value a, Value b, bool isUnsigned) {
  return isa<FloatType>(a.getType()) ? s.make<arith::DivFOp>(a, b) : s.divide(a, b, isUnsigned);
}

static Value minimum(Scalars &s, Value a, Value b, bool isUnsigned) {
  if (isa<FloatType>(a.getType()))
    return s.make<arith::MinimumFOp>(a, b);
  return isUnsigned ? s.make<arith::MinUIOp>(a, b) : s.min(a, b);
}

static Value maximum(Scalars &s, Value a, Value b, bool isUnsigned) {
  if (isa<FloatType>(a.getType()))
    return s.make<arith::MaximumFOp>(a, b);
  return isUnsigned ? s.make<arith::MaxUIOp>(a, b) : s.max(a, b);
}

static Value divideByCount(Scalars &s, Value sum, unsigned count) {
  return s.make<arith::DivFOp>(sum, s.number(sum.getType(), count));
}

/// Mod: the remainder has the sign of the divisor, as Python's; with fmod = 1 that of
/// the dividend, as C's.
static LogicalResult lowerMod(Lowering &l, Operation *op) {
  auto operands = sameTyped(l, op, {});
  if (failed(operands))
    return failure();
  bool isC = l.intAttr(op, "fmod", 0) != 0;
  Lowered *x = operands->front();
  if (x->isFloat()) {
    if (!isC)
      return l.fail(op, "for floats it needs fmod = 1");
    return l.floatElementwise(op, *operands, [](Scalars &s, ValueRange args) {
      return s.make<arith::RemFOp>(args[0], args[1]);
    });
  }
  bool isUnsigned = x->isUnsigned();
  return l.elementwise(op, *operands, x->element, [&](Scalars &s, ValueRange args) {
    Value b = args[1], rest = s.remainder(args[0], b, isUnsigned);
    if (isC || isUnsigned)
      return rest;
    Value zero = s.integer(b.getType(), 0);
    Value differ = s.make<arith::XOrIOp>(s.compare(IntP::slt, rest, zero),
                                         s.compare(IntP::slt, b, zero));
    Value wrong = s.make<arith::AndIOp>(differ, s.compare(IntP::ne, rest, zero));
    return s.select(wrong, s.add(rest, b), rest);
  });
}

/// base ** exponent for integers. Results that do not fit wrap; negative exponents
/// give the truncated quotient 1 / base ** -exponent, and 0 for base 0.
static Value integerPower(Scalars &s, Value base, Value exponent) {
  Type type = base.getType();
  Value zero = s.integer(type, 0), one = s.integer(type, 1);
  Value negative = s.compare(IntP::slt, exponent, s.integer(exponent.getType(), 0));
  // Six bits decide: a base other than 0, 1 and -1 overflows beyond them.
  Value power = one, square = base;
  for (int bit = 0; bit < 6; ++bit) {
    Value mask = s.integer(exponent.getType(), int64_t(1) << bit);
    Value isSet = s.compare(IntP::ne, s.make<arith::AndIOp>(exponent, mask),
                            s.integer(exponent.getType(), 0));
    power = s.select(isSet, s.mul(power, square), power);
    square = s.mul(square, square);
  }
  // base 0 with an exponent that is a multiple of 64.
  Value exponentIsZero = s.compare(IntP::eq, exponent, s.integer(exponent.getType(), 0));
  Value isZero = s.compare(IntP::eq, base, zero);
  power = s.select(isZero, s.select(exponentIsZero, one, zero), power);
  Value isUnit = s.make<arith::OrIOp>(s.compare(IntP::eq, base, one),
                                      s.compare(IntP::eq, base, s.integer(type, -1)));
  return s.select(negative, s.select(isUnit, power, zero), power);
}

static LogicalResult lowerPow(Lowering &l, Operation *op) {
  Lowered *base = l.operand(op, 0), *exponent = l.operand(op, 1);
  if (l.opset() < 7 && op->hasAttr("broadcast"))
    return l.fail(op, "the `broadcast` attribute of opsets before 7 is not supported; convert the "
                      "model to opset 13");
  if (base->isBool() || exponent->isBool())
    return l.fail(op, "it is not defined for elements of type bool8");
  Type baseType = base->element, exponentType = exponent->element;
  // Integers with float exponents, and u64, whose exponents are not negative either
  // way: through f64, as onnxruntime does.
  if (base->isInteger() && exponent->isInteger() && !exponent->isUnsigned())
    return l.elementwise(op, {base, exponent}, baseType, [](Scalars &s, ValueRange args) {
      return integerPower(s, args[0], args[1]);
    });
  Builder &b = l.builder;
  Type wide = base->isFloat() && !baseType.isF64() ? b.getF32Type() : b.getF64Type();
  return l.elementwise(op, {base, exponent}, baseType, [&](Scalars &s, ValueRange args) {
    Value x = castScalar(s, args[0], baseType, wide);
    Value y = castScalar(s, args[1], exponentType, wide), power;
    auto constant = dyn_cast_if_present<FloatAttr>(constantOf(y));
    double value = constant ? constant.getValueAsDouble() : 0;
    if (constant && value == 2)
      power = s.make<arith::MulFOp>(x, x);
    else if (constant && value == 0.5)
      power = s.make<math::SqrtOp>(x);
    else if (constant && value == 1)
      power = x;
    else
      power = s.make<math::PowFOp>(x, y);
    return castScalar(s, power, wide, baseType);
  });
}

/// Shifts by the width and more give 0, where the processor takes the amount modulo
/// the width.
static LogicalResult lowerBitShift(Lowering &l, Operation *op) {
  auto operands = sameTyped(l, op, {/*floats=*/false});
  if (failed(operands))
    return failure();
  std::string direction = l.stringAttr(op, "direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return l.fail(op, "its direction must be LEFT or RIGHT, got '" + direction + "'");
  bool isUnsigned = operands->front()->isUnsigned();
  return l.elementwise(op, *operands, operands->front()->element, [&](Scalars &s, ValueRange args) {
    Type type = args[0].getType();
    Value zero = s.integer(type, 0);
    Value fits =
        s.compare(IntP::ult, args[1], s.integer(type, type.getIntOrFloatBitWidth()));
    Value amount = s.select(fits, args[1], zero), shifted;
    if (direction == "LEFT")
      shifted = s.make<arith::ShLIOp>(args[0], amount);
    else if (isUnsigned)
      shifted = s.make<arith::ShRUIOp>(args[0], amount);
    else
      shifted = s.make<arith::ShRSIOp>(args[0], amount);
    return s.select(fits, shifted, zero);
  });
}

/// PRelu: the slope broadcasts to the input.
static LogicalResult lowerPRelu(Lowering &l, Operation *op) {
  auto operands = sameTyped(l, op, {});
  if (failed(operands))
    return failure();
  auto element = [](Scalars &s, ValueRange args) {
    Value x = args[0], slope = args[1];
    if (isa<FloatType>(x.getType()))
      return s.select(s.compare(FloatP::OLT, x, s.number(x.getType(), 0)),
                      s.make<arith::MulFOp>(x, slope), x);
    return s.select(s.compare(IntP::slt, x, s.integer(x.getType(), 0)), s.mul(x, slope), x);
  };
  Lowered *x = operands->front();
  if (x->isFloat())
    return l.floatElementwise(op, *operands, element);
  if (x->isUnsigned()) { // Never below 0.
    l.alias(op->getResult(0), x);
    return success();
  }
  return l.elementwise(op, *operands, x->element, element);
}

//===----------------------------------------------------------------------===//
// Comparison, logic, selection
//===----------------------------------------------------------------------===//

/// What the known range of an index tensor says about a comparison with a constant.
static std::optional<bool> decideByRange(Lowered *x, IntP predicate, Value y) {
  auto bound = constantInteger(y);
  if (!bound || !x->lowest)
    return std::nullopt;
  if (predicate == IntP::sge && *x->lowest >= *bound)
    return true;
  if (predicate == IntP::sgt && *x->lowest > *bound)
    return true;
  if (predicate == IntP::slt && *x->lowest >= *bound)
    return false;
  return std::nullopt;
}

static LogicalResult lowerComparison(Lowering &l, Operation *op, FloatP floats, IntP signs,
                                     IntP noSigns) {
  auto operands = sameTyped(l, op, {true, true, /*booleans=*/true});
  if (failed(operands))
    return failure();
  Lowered *x = (*operands)[0], *y = (*operands)[1];
  Type boolean = l.builder.getI1Type();
  bool isUnsigned = x->isUnsigned() || x->isBool();
  if (Value scalar = l.splat(y); scalar && x->isInteger() && !isUnsigned) {
    if (auto known = decideByRange(x, signs, scalar)) {
      FailureOr<Dims> dims = l.broadcast(op, *operands);
      if (failed(dims))
        return failure();
      l.setSplat(op, 0, l.scalars(op->getLoc()).boolean(*known), *dims, boolean);
      return success();
    }
  }
  return l.elementwise(op, *operands, boolean, [&](Scalars &s, ValueRange args) {
    if (isa<FloatType>(args[0].getType()))
      return s.compare(floats, args[0], args[1]);
    return s.compare(isUnsigned ? noSigns : signs, args[0], args[1]);
  });
}

static LogicalResult lowerNot(Lowering &l, Operation *op) {
  bool isBitwise = op->getName().stripDialect() == "BitwiseNot";
  auto operands = sameTyped(l, op, {false, isBitwise, !isBitwise});
  if (failed(operands))
    return failure();
  return l.elementwise(op, *operands, operands->front()->element, [](Scalars &s, ValueRange args) {
    return s.make<arith::XOrIOp>(args[0], s.integer(args[0].getType(), -1));
  });
}

static LogicalResult lowerWhere(Lowering &l, Operation *op) {
  auto operands = sameTyped(l, op, {true, true, true}, /*first=*/1);
  if (failed(operands))
    return failure();
  Lowered *condition = l.operand(op, 0);
  if (!condition->isBool())
    return l.fail(op, "its condition must be bool, got " + dtypeName(condition->element));
  return l.elementwise(op, {condition, (*operands)[0], (*operands)[1]},
                       operands->front()->element, [](Scalars &s, ValueRange args) {
                         return s.select(args[0], args[1], args[2]);
                       });
}

void sq::registerArithmetic(LoweringTable &table) {
  Domain numbers, floats{true, false, false}, integers{false, true, false},
      booleans{false, false, true};
  auto addFold = [&](StringRef name, unsigned count, Domain domain, BinaryFn fn,
                     Value (*finish)(Scalars &, Value, unsigned) = nullptr) {
    table.add(name, count, [=](Lowering &l, Operation *op) {
      return lowerFold(l, op, domain, fn, finish);
    });
  };
  addFold("Add", 2, numbers, pick<arith::AddFOp, arith::AddIOp>);
  addFold("Sub", 2, numbers, subtract);
  addFold("Mul", 2, numbers, pick<arith::MulFOp, arith::MulIOp>);
  addFold("Div", 2, numbers, divide);
  addFold("Min", 1, numbers, minimum);
  addFold("Max", 1, numbers, maximum);
  addFold("Sum", 1, floats, pick<arith::AddFOp, arith::AddIOp>);
  addFold("Mean", 1, floats, pick<arith::AddFOp, arith::AddIOp>, divideByCount);
  // (The float op is never reached.)
  addFold("And", 2, booleans, pick<arith::AddFOp, arith::AndIOp>);
  addFold("Or", 2, booleans, pick<arith::AddFOp, arith::OrIOp>);
  addFold("Xor", 2, booleans, pick<arith::AddFOp, arith::XOrIOp>);
  addFold("BitwiseAnd", 2, integers, pick<arith::AddFOp, arith::AndIOp>);
  addFold("BitwiseOr", 2, integers, pick<arith::AddFOp, arith::OrIOp>);
  addFold("BitwiseXor", 2, integers, pick<arith::AddFOp, arith::XOrIOp>);

  auto addComparison = [&](StringRef name, FloatP floats, IntP signs, IntP noSigns) {
    table.add(name, 2, [=](Lowering &l, Operation *op) {
      return lowerComparison(l, op, floats, signs, noSigns);
    });
  };
  addComparison("Equal", FloatP::OEQ, IntP::eq, IntP::eq);
  addComparison("Greater", FloatP::OGT, IntP::sgt, IntP::ugt);
  addComparison("GreaterOrEqual", FloatP::OGE, IntP::sge, IntP::uge);
  addComparison("Less", FloatP::OLT, IntP::slt, IntP::ult);
  addComparison("LessOrEqual", FloatP::OLE, IntP::sle, IntP::ule);

  table.add("BitShift", 2, lowerBitShift);
  table.add("BitwiseNot", 1, lowerNot);
  table.add("Mod", 2, lowerMod);
  table.add("Not", 1, lowerNot);
  table.add("Pow", 2, lowerPow);
  table.add("PRelu", 2, lowerPRelu);
  table.add("Where", 3, lowerWhere);
}
