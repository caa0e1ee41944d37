#include "passes/lower_onnx/Scalars.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;
using namespace sq;

unsigned SameOperation::getHashValue(const Operation *op) {
  return OperationEquivalence::computeHash(
      const_cast<Operation *>(op), OperationEquivalence::directHashValue,
      OperationEquivalence::ignoreHashValue, OperationEquivalence::IgnoreLocations);
}

bool SameOperation::isEqual(const Operation *a, const Operation *b) {
  auto isKey = [](const Operation *op) {
    return op == getEmptyKey() || op == getTombstoneKey();
  };
  if (a == b)
    return true;
  if (isKey(a) || isKey(b))
    return false;
  return OperationEquivalence::isEquivalentTo(const_cast<Operation *>(a),
                                              const_cast<Operation *>(b),
                                              OperationEquivalence::IgnoreLocations);
}

TypedAttr sq::constantOf(Value scalar) {
  TypedAttr attr;
  return scalar && matchPattern(scalar, m_Constant(&attr)) ? attr : TypedAttr();
}

std::optional<int64_t> sq::constantInteger(Value scalar) {
  APInt value;
  if (!scalar || !matchPattern(scalar, m_ConstantInt(&value)) || value.getBitWidth() > 64)
    return std::nullopt;
  return value.getBitWidth() == 1 ? value.getZExtValue() : value.getSExtValue();
}

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

/// Saturating arithmetic: sizes of tensors fit int64, so a bound that does not is
/// no bound.
static int64_t saturate(__int128 value) {
  return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : int64_t(value);
}

Interval ScalarFacts::interval(Value scalar) const {
  if (auto value = constantInteger(scalar))
    return {*value, *value};
  auto it = ranges.find(scalar);
  return it == ranges.end() ? Interval() : it->second;
}

Interval ScalarFacts::derive(Operation *op) const {
  auto of = [&](unsigned i) { return interval(op->getOperand(i)); };
  if (isa<arith::IndexCastOp, arith::ExtSIOp>(op) && !op->getOperand(0).getType().isInteger(1)) {
    Interval x = of(0);
    auto integer = dyn_cast<IntegerType>(op->getResult(0).getType());
    if (!integer || integer.getWidth() >= 64)
      return x;
    return {};
  }
  if (isa<arith::AddIOp>(op)) {
    Interval a = of(0), b = of(1);
    return {saturate(__int128(a.min) + b.min), saturate(__int128(a.max) + b.max)};
  }
  if (isa<arith::SubIOp>(op)) {
    Interval a = of(0), b = of(1);
    return {saturate(__int128(a.min) - b.max), saturate(__int128(a.max) - b.min)};
  }
  if (isa<arith::MulIOp>(op)) {
    Interval a = of(0), b = of(1);
    __int128 products[] = {__int128(a.min) * b.min, __int128(a.min) * b.max,
                           __int128(a.max) * b.min, __int128(a.max) * b.max};
    return {saturate(*std::min_element(products, products + 4)),
            saturate(*std::max_element(products, products + 4))};
  }
  if (isa<arith::MinSIOp>(op)) {
    Interval a = of(0), b = of(1);
    return {std::min(a.min, b.min), std::min(a.max, b.max)};
  }
  if (isa<arith::MaxSIOp>(op)) {
    Interval a = of(0), b = of(1);
    return {std::max(a.min, b.min), std::max(a.max, b.max)};
  }
  if (isa<arith::DivSIOp>(op)) {
    Interval a = of(0), b = of(1);
    if (b.isPoint() && b.min > 0)
      return {a.min / b.min, a.max / b.min};
    if (a.min >= 0 && b.min > 0)
      return {0, a.max};
  }
  if (isa<arith::SelectOp>(op)) {
    Interval a = of(1), b = of(2);
    return {std::min(a.min, b.min), std::max(a.max, b.max)};
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

Value Scalars::share(Value value) {
  Operation *op = value.getDefiningOp();
  if (!facts || !op || op->getNumRegions() != 0 || op->getNumResults() != 1)
    return value;
  auto [it, isNew] = facts->operations.insert(op);
  if (isNew && value.getType().isIntOrIndex())
    facts->ranges[value] = facts->derive(op);
  if (isNew || *it == op)
    return value;
  // A second copy was just made; nothing uses it yet.
  if (op->use_empty())
    op->erase();
  return (*it)->getResult(0);
}

Value Scalars::constant(TypedAttr value) {
  return share(arith::ConstantOp::create(builder, loc, value));
}

Value Scalars::bring(Value scalar) {
  TypedAttr attr = facts ? TypedAttr() : constantOf(scalar);
  return attr ? constant(attr) : scalar;
}

Value Scalars::integer(Type type, int64_t value) {
  if (isa<IndexType>(type))
    return constant(builder.getIndexAttr(value));
  unsigned width = type.getIntOrFloatBitWidth();
  return constant(IntegerAttr::get(
      type, APInt(width, uint64_t(value), /*isSigned=*/true, /*implicitTrunc=*/true)));
}

Value Scalars::number(Type type, double value) {
  // (Rounds, where FloatAttr::get of a double would assert.)
  bool losesInfo;
  APFloat number(value);
  number.convert(cast<FloatType>(type).getFloatSemantics(), APFloat::rmNearestTiesToEven,
                 &losesInfo);
  return constant(FloatAttr::get(type, number));
}

/// What ranges say about a comparison.
static std::optional<bool> decide(arith::CmpIPredicate predicate, Interval a, Interval b) {
  auto less = [](Interval a, Interval b) -> std::optional<bool> {
    if (a.max < b.min)
      return true;
    if (a.min >= b.max)
      return false;
    return std::nullopt;
  };
  auto negate = [](std::optional<bool> x) { return x ? std::optional<bool>(!*x) : x; };
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::slt:
    return less(a, b);
  case P::sgt:
    return less(b, a);
  case P::sge:
    return negate(less(a, b));
  case P::sle:
    return negate(less(b, a));
  case P::eq:
  case P::ne: {
    bool equal = predicate == P::eq;
    if (a.max < b.min || b.max < a.min)
      return !equal;
    if (a.isPoint() && b.isPoint() && a.min == b.min)
      return equal;
    return std::nullopt;
  }
  default:
    return std::nullopt;
  }
}

Value Scalars::compare(arith::CmpIPredicate predicate, Value a, Value b) {
  if (facts && !a.getType().isInteger(1))
    if (auto known = decide(predicate, facts->interval(a), facts->interval(b)))
      return boolean(*known);
  return make<arith::CmpIOp>(predicate, a, b);
}

Value Scalars::compare(arith::CmpFPredicate predicate, Value a, Value b) {
  return make<arith::CmpFOp>(predicate, a, b);
}

Value Scalars::select(Value condition, Value a, Value b) {
  if (a == b)
    return a;
  return make<arith::SelectOp>(condition, a, b);
}

Value Scalars::min(Value a, Value b) {
  if (facts) {
    Interval x = facts->interval(a), y = facts->interval(b);
    if (x.max <= y.min)
      return a;
    if (y.max <= x.min)
      return b;
  }
  return make<arith::MinSIOp>(a, b);
}

Value Scalars::max(Value a, Value b) {
  if (facts) {
    Interval x = facts->interval(a), y = facts->interval(b);
    if (x.min >= y.max)
      return a;
    if (y.min >= x.max)
      return b;
  }
  return make<arith::MaxSIOp>(a, b);
}

Value Scalars::add(Value a, Value b) { return make<arith::AddIOp>(a, b); }

Value Scalars::sub(Value a, Value b) {
  // (x + y) - x: the upstream fold knows only the other order.
  if (auto sum = a.getDefiningOp<arith::AddIOp>())
    if (sum.getLhs() == b)
      return sum.getRhs();
  return make<arith::SubIOp>(a, b);
}

Value Scalars::mul(Value a, Value b) { return make<arith::MulIOp>(a, b); }

Value Scalars::divide(Value a, Value b, bool isUnsigned) {
  Type type = a.getType();
  auto divisor = constantInteger(b);
  // (x * c) / c, of sizes, which do not overflow.
  if (facts && divisor && *divisor > 0)
    if (auto product = a.getDefiningOp<arith::MulIOp>())
      if (product.getRhs() == b)
        return product.getLhs();
  using P = arith::CmpIPredicate;
  Value zero = integer(type, 0), one = integer(type, 1);
  Value isZero = compare(P::eq, b, zero);
  if (isUnsigned) {
    Value quotient = make<arith::DivUIOp>(a, select(isZero, one, b));
    return select(isZero, zero, quotient);
  }
  Value isMinusOne = compare(P::eq, b, integer(type, -1));
  Value traps = make<arith::OrIOp>(isZero, isMinusOne);
  Value quotient = make<arith::DivSIOp>(a, select(traps, one, b));
  return select(isZero, zero, select(isMinusOne, sub(zero, a), quotient));
}

Value Scalars::remainder(Value a, Value b, bool isUnsigned) {
  Type type = a.getType();
  using P = arith::CmpIPredicate;
  Value zero = integer(type, 0), one = integer(type, 1);
  Value isZero = compare(P::eq, b, zero);
  // x rem 1 = 0 stands for the divisors that would trap.
  if (isUnsigned)
    return make<arith::RemUIOp>(a, select(isZero, one, b));
  Value traps = make<arith::OrIOp>(isZero, compare(P::eq, b, integer(type, -1)));
  return make<arith::RemSIOp>(a, select(traps, one, b));
}

Value Scalars::toI64(Value index) {
  if (index.getType().isInteger(64))
    return index;
  if (auto cast = index.getDefiningOp<arith::IndexCastOp>())
    if (cast.getIn().getType().isInteger(64))
      return cast.getIn();
  return make<arith::IndexCastOp>(builder.getI64Type(), index);
}

Value Scalars::toIndex(Value integer) {
  if (isa<IndexType>(integer.getType()))
    return integer;
  if (auto cast = integer.getDefiningOp<arith::IndexCastOp>())
    if (isa<IndexType>(cast.getIn().getType()))
      return cast.getIn();
  return make<arith::IndexCastOp>(builder.getIndexType(), integer);
}
