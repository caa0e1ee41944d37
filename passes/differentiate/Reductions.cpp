//===-- Reductions.cpp - what a reduced result depends on
//----------------------===//
//
// A choice is made again, with the number of the point that was chosen:
// counting in the order of the loops, -1 for none. Of a product the factors but
// zeros are multiplied and the zeros counted: the derivative by a factor is the
// product by it, or with one zero that is for this one only, as a quotient it
// would be 0 / 0. (Second derivatives between two zeros of one product are
// lost.)
//
//===--------------------------------------------------------------------------===//

#include "passes/differentiate/Reductions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "llvm/ADT/DenseSet.h"

#include "passes/differentiate/ScalarDerivatives.h"
#include "passes/differentiate/Tensors.h"

using namespace mlir;
using namespace sq;

namespace {

bool isMaximum(Operation *op) {
  return isa<arith::MaximumFOp, arith::MaxNumFOp>(op);
}
bool isMinimum(Operation *op) {
  return isa<arith::MinimumFOp, arith::MinNumFOp>(op);
}

Value accumulatorOf(linalg::LinalgOp op, unsigned result) {
  return op.getMatchingBlockArgument(op.getDpsInitOperand(result));
}

Operation *lastOf(linalg::LinalgOp op, unsigned result) {
  return op.getBlock()->getTerminator()->getOperand(result).getDefiningOp();
}

/// Whether `v` is made of what was accumulated, but for `allowed`.
bool readsAccumulator(linalg::LinalgOp op, Value v, Value allowed = {}) {
  llvm::DenseSet<Value> accumulators, seen;
  for (OpOperand &init : op.getDpsInitsMutable())
    accumulators.insert(op.getMatchingBlockArgument(&init));
  SmallVector<Value> pending = {v};
  while (!pending.empty()) {
    Value at = pending.pop_back_val();
    if (at.getParentBlock() != op.getBlock() || at == allowed ||
        !seen.insert(at).second)
      continue;
    if (accumulators.contains(at))
      return true;
    if (Operation *made = at.getDefiningOp())
      llvm::append_range(pending, made->getOperands());
  }
  return false;
}

/// Whether `last` adds `accumulator` once to other values, in any order; but
/// for `other` nothing else reads it.
bool isSumOf(Operation *last, Value accumulator, Operation *other) {
  Operation *user = nullptr;
  for (OpOperand &use : accumulator.getUses()) {
    if (use.getOwner() == other)
      continue;
    if (user)
      return false;
    user = use.getOwner();
  }
  while (user && user != last) {
    if (!isa<arith::AddFOp>(user) || !user->hasOneUse())
      return false;
    user = *user->user_begin();
  }
  return isa_and_nonnull<arith::AddFOp>(user);
}

/// acc + v; or, at points that do not count, acc itself: the derivative by it
/// is the cotangent either way.
bool isSum(Operation *last, Value accumulator) {
  if (auto select = dyn_cast_or_null<arith::SelectOp>(last);
      select && last->hasOneUse()) {
    Value sum = select.getTrueValue() == accumulator ? select.getFalseValue()
                                                     : select.getTrueValue();
    bool keeps = select.getTrueValue() == accumulator ||
                 select.getFalseValue() == accumulator;
    bool isOnlyKept = llvm::count_if(accumulator.getUses(), [&](OpOperand &u) {
                        return u.getOwner() == last;
                      }) == 1;
    if (keeps && isOnlyKept && sum.hasOneUse() &&
        isSumOf(sum.getDefiningOp(), accumulator, last))
      return true;
  }
  return isSumOf(last, accumulator, nullptr);
}

/// The other operand of `last`, if one of the two is `accumulator`; of a
/// select, of its last two.
Value otherThan(Operation *last, Value accumulator) {
  unsigned first = isa<arith::SelectOp>(last);
  Value x = last->getOperand(first), y = last->getOperand(first + 1);
  return x == accumulator ? y : y == accumulator ? x : Value();
}

} // namespace

Reduced Reduced::plain(linalg::LinalgOp op, unsigned result) {
  return Reduced(op, result, Sum,
                 op.getBlock()->getTerminator()->getOperand(result));
}

FailureOr<Reduced> Reduced::of(linalg::LinalgOp op, unsigned result,
                               std::string &why) {
  Value accumulator = accumulatorOf(op, result);
  Operation *last = lastOf(op, result);
  if (isSum(last, accumulator) &&
      !readsAccumulator(op, last->getResult(0), accumulator))
    return plain(op, result);
  if (last && (isMaximum(last) || isMinimum(last) ||
               isa<arith::SelectOp, arith::MulFOp>(last))) {
    Value other = otherThan(last, accumulator);
    if (other && !readsAccumulator(op, other))
      return Reduced(op, result, isa<arith::MulFOp>(last) ? Product : Choice,
                     other);
  }
  why = "it reduces by something other than a sum, a product or a choice";
  return failure();
}

void Reduced::prepare(ImplicitLocOpBuilder &b) {
  if (kind == Choice)
    prepareChoice(b);
  else if (kind == Product)
    prepareProduct(b);
}

/// Where this point of the reduced loops is among them, in their order.
Value Reduced::number(ImplicitLocOpBuilder &b) const {
  Value at = arith::ConstantIndexOp::create(b, 0);
  for (auto [loop, size] : loops)
    at = arith::AddIOp::create(b, arith::MulIOp::create(b, at, size),
                               linalg::IndexOp::create(b, loop));
  return arith::IndexCastOp::create(b, b.getI64Type(), at);
}

void Reduced::prepareChoice(ImplicitLocOpBuilder &b) {
  SmallVector<Range> ranges = op.createLoopRanges(b, b.getLoc());
  for (auto [d, iterator] : llvm::enumerate(op.getIteratorTypesArray()))
    if (iterator == utils::IteratorType::reduction)
      loops.emplace_back(
          d, getValueOrCreateConstantIndexOp(b, b.getLoc(), ranges[d].size));
  Tensors t{b};
  OpOperand *init = op.getDpsInitOperand(result);
  AffineMap map = op.getMatchingIndexingMap(init);
  Value none = arith::ConstantOp::create(b, b.getI64IntegerAttr(-1));
  none = linalg::FillOp::create(b, none,
                                t.empty(t.sizes(init->get()), b.getI64Type()))
             .getResult(0);
  SmallVector<Value> outs(op.getDpsInits());
  outs.push_back(none);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  maps.push_back(map);
  auto again = linalg::GenericOp::create(
      b, TypeRange(ValueRange(outs)), op.getDpsInputs(), outs, maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &o, Location l, ValueRange args) {
        ImplicitLocOpBuilder ib(l, o);
        IRMapping copies;
        copies.map(op.getBlock()->getArguments(), args.drop_back());
        for (Operation &inner : op.getBlock()->without_terminator())
          ib.clone(inner, copies);
        Value accumulator = accumulatorOf(op, result), chosen;
        Operation *last = lastOf(op, result);
        bool takes = true; // where `chosen` holds
        if (auto select = dyn_cast<arith::SelectOp>(last)) {
          chosen = copies.lookupOrDefault(select.getCondition());
          takes = select.getTrueValue() == added;
        } else {
          chosen = arith::CmpFOp::create(
              ib,
              isMaximum(last) ? arith::CmpFPredicate::OGT
                              : arith::CmpFPredicate::OLT,
              copies.lookupOrDefault(added), copies.lookup(accumulator));
        }
        Value here = number(ib), before = args.back();
        SmallVector<Value> yielded;
        for (Value v : op.getBlock()->getTerminator()->getOperands())
          yielded.push_back(copies.lookupOrDefault(v));
        yielded.push_back(arith::SelectOp::create(
            ib, chosen, takes ? here : before, takes ? before : here));
        linalg::YieldOp::create(ib, yielded);
      });
  read.push_back({again->getResults().back(), map});
}

void Reduced::prepareProduct(ImplicitLocOpBuilder &b) {
  Tensors t{b};
  OpOperand *init = op.getDpsInitOperand(result);
  AffineMap map = op.getMatchingIndexingMap(init);
  SmallVector<Value> outs = {init->get(), t.zerosLike(init->get())};
  SmallVector<AffineMap> maps;
  for (OpOperand *input : op.getDpsInputOperands())
    maps.push_back(op.getMatchingIndexingMap(input));
  maps.append({map, map});
  Type element = Tensors::typeOf(outs[0]).getElementType();
  auto again = linalg::GenericOp::create(
      b, TypeRange(ValueRange(outs)), op.getDpsInputs(), outs, maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &o, Location l, ValueRange args) {
        ImplicitLocOpBuilder ib(l, o);
        ScalarMath s{ib, element};
        IRMapping copies;
        copies.map(op.getRegionInputArgs(), args.drop_back(2));
        copyBody(ib, *op.getBlock(), copies);
        Value v = copies.lookupOrDefault(added);
        Value zero = s.number(0), one = s.number(1);
        Value isZero =
            arith::CmpFOp::create(ib, arith::CmpFPredicate::OEQ, v, zero);
        Value factor = arith::SelectOp::create(ib, isZero, one, v),
              count = arith::SelectOp::create(ib, isZero, one, zero);
        linalg::YieldOp::create(
            ib, ValueRange{s.mul(args.drop_back().back(), factor),
                           s.add(args.back(), count)});
      });
  for (Value v : again->getResults())
    read.push_back({v, map});
}

Value Reduced::adjoint(ImplicitLocOpBuilder &b, Value cotangent,
                       const IRMapping &copies, ValueRange args) const {
  ScalarMath s{b, cotangent.getType()};
  if (kind == Sum)
    return cotangent;
  Value zero = s.number(0);
  if (kind == Choice) {
    Value isHere =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, args[0], number(b));
    return arith::SelectOp::create(b, isHere, cotangent, zero);
  }
  auto equals = [&](Value v, double x) -> Value {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, v, s.number(x));
  };
  Value v = copies.lookupOrDefault(added), isZero = equals(v, 0);
  Value whole =
      s.div(args[0], arith::SelectOp::create(b, isZero, s.number(1), v));
  // Without its own zero there must be none.
  Value zeros =
      s.sub(args[1], arith::SelectOp::create(b, isZero, s.number(1), zero));
  Value others = arith::SelectOp::create(b, equals(zeros, 0), whole, zero);
  return s.mul(cotangent, others);
}

Value Reduced::ofStart(ImplicitLocOpBuilder &b, Value cotangent) const {
  if (kind == Sum)
    return cotangent;
  if (kind == Product)
    return {};
  return pointwise(
      b, {like(b, cotangent), like(b, read[0].tensor)},
      Tensors{b}.emptyLike(cotangent),
      [&](ImplicitLocOpBuilder &ib, ValueRange v) -> Value {
        Value none = arith::ConstantOp::create(ib, ib.getI64IntegerAttr(-1));
        Value isKept =
            arith::CmpIOp::create(ib, arith::CmpIPredicate::eq, v[1], none);
        return arith::SelectOp::create(
            ib, isKept, v[0], ScalarMath{ib, v[0].getType()}.number(0));
      });
}
