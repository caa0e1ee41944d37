/// Dimensions: arithmetic, equality, broadcasting.
#include "passes/lower_onnx/Lowering.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;
using namespace sq;

//===----------------------------------------------------------------------===//
// Arithmetic. All of it is done in i64, whatever it comes from, so that equal
// expressions are one SSA value.
//===----------------------------------------------------------------------===//

Value Lowering::indexValue(OpFoldResult dim) {
  Scalars s = scalars(builder.getUnknownLoc());
  dim = resolve(dim);
  if (auto size = staticDim(dim))
    return s.integer(builder.getIndexType(), *size);
  return cast<Value>(dim);
}

Value Lowering::i64Value(OpFoldResult dim) {
  Scalars s = scalars(builder.getUnknownLoc());
  dim = resolve(dim);
  if (auto size = staticDim(dim))
    return s.integer(builder.getI64Type(), *size);
  return s.toI64(cast<Value>(dim));
}

OpFoldResult Lowering::toDim(Value scalar) {
  if (auto size = constantInteger(scalar))
    return indexAttr(*size);
  return resolve(scalars(builder.getUnknownLoc()).toIndex(scalar));
}

OpFoldResult Lowering::resolve(OpFoldResult dim) {
  while (auto value = dyn_cast_if_present<Value>(dim)) {
    auto it = unified.find(value);
    if (it == unified.end())
      break;
    dim = it->second.dim;
  }
  return dim;
}

OpFoldResult Lowering::multiply(OpFoldResult a, OpFoldResult b) {
  return toDim(scalars(builder.getUnknownLoc()).mul(i64Value(a), i64Value(b)));
}

OpFoldResult Lowering::add(OpFoldResult a, OpFoldResult b) {
  return toDim(scalars(builder.getUnknownLoc()).add(i64Value(a), i64Value(b)));
}

OpFoldResult Lowering::product(ArrayRef<OpFoldResult> dims) {
  // The static factor last, as a constant operand.
  OpFoldResult result;
  uint64_t number = 1; // wraps on shapes that no memory could hold
  for (OpFoldResult dim : dims) {
    dim = resolve(dim);
    if (auto size = staticDim(dim))
      number *= uint64_t(*size);
    else
      result = result ? multiply(result, dim) : dim;
  }
  if (!result)
    return indexAttr(number);
  return number == 1 ? result : multiply(result, indexAttr(number));
}

//===----------------------------------------------------------------------===//
// Equality
//===----------------------------------------------------------------------===//

Lowering::Symbol *Lowering::symbolOf(OpFoldResult dim) {
  auto value = dyn_cast_if_present<Value>(resolve(dim));
  if (!value)
    return nullptr;
  auto it = llvm::find_if(symbols, [&](Symbol &symbol) { return symbol.dim == value; });
  return it == symbols.end() ? nullptr : &*it;
}

bool Lowering::limit(Symbol &symbol, int64_t max) {
  if (max >= symbol.range.max)
    return true;
  // What may not run must not limit what runs.
  if (scope || max < symbol.range.min)
    return false;
  if (max < symbol.range.max) {
    symbol.range.max = max;
    symbol.limited = true;
    facts.ranges[symbol.dim] = symbol.range;
  }
  return true;
}

/// C when `dim` is min(symbol, C).
static std::optional<int64_t> minimumWith(OpFoldResult dim, Value symbol) {
  auto value = dyn_cast_if_present<Value>(dim);
  auto cast = value ? value.getDefiningOp<arith::IndexCastOp>() : arith::IndexCastOp();
  auto min = cast ? cast.getIn().getDefiningOp<arith::MinSIOp>() : arith::MinSIOp();
  if (!min)
    return std::nullopt;
  for (auto [a, b] : {std::pair(min.getLhs(), min.getRhs()), std::pair(min.getRhs(), min.getLhs())})
    if (auto source = a.getDefiningOp<arith::IndexCastOp>(); source && source.getIn() == symbol)
      return constantInteger(b);
  return std::nullopt;
}

FailureOr<OpFoldResult> Lowering::unify(Operation *op, OpFoldResult a, OpFoldResult b,
                                        const Twine &which) {
  a = resolve(a);
  b = resolve(b);
  if (a == b)
    return a;
  // Who reads a dim of an operand from here on sees what it is equal to.
  auto done = [&](OpFoldResult kept) {
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      if (Lowered *value = operand(op, i))
        for (OpFoldResult &dim : value->dims)
          dim = resolve(dim);
    return kept;
  };
  auto sizeA = staticDim(a), sizeB = staticDim(b);
  if (sizeA && sizeB)
    return fail(op, which + " of its inputs differs: " + Twine(*sizeA) + " and " + Twine(*sizeB),
                describeOperands(op, {a, b}));

  // What earlier operators leave of a dim may exclude the other's size.
  for (auto [size, dim] : {std::pair(sizeA, b), std::pair(sizeB, a)})
    if (size && !scope) {
      Interval range = facts.interval(cast<Value>(dim));
      if (*size < range.min || *size > range.max)
        return fail(op, which + " of its inputs differs: " + Twine(*size) + " and a size of " + Twine(range.min) + " to " +
                            Twine(range.max),
                    describeOperands(op, {a, b}));
    }

  // min(symbol, C) = symbol: C is a limit of the symbol, checked when a run starts.
  for (auto [x, y] : {std::pair(a, b), std::pair(b, a)})
    if (Symbol *symbol = symbolOf(y))
      if (auto max = minimumWith(x, symbol->dim); max && limit(*symbol, *max)) {
        unified[cast<Value>(x)] = {y, /*isEverywhere=*/true};
        return done(y);
      }

  assertTrue(op, scalars(op->getLoc()).compare(arith::CmpIPredicate::eq, indexValue(a), indexValue(b)),
             which + " of the operands differs");
  // From here on (only) the one stands for the other: a number, or what was there first.
  bool keepB = sizeB.has_value();
  if (!sizeA && !sizeB) {
    Operation *opA = cast<Value>(a).getDefiningOp(), *opB = cast<Value>(b).getDefiningOp();
    keepB = opA && opB && opA->getBlock() == opB->getBlock() && opB->isBeforeInBlock(opA);
  }
  OpFoldResult kept = keepB ? b : a;
  unified[cast<Value>(keepB ? a : b)] = {kept, /*isEverywhere=*/false};
  return done(kept);
}

void Lowering::applyUnified() {
  for (auto [value, equal] : unified) {
    if (!equal.isEverywhere)
      continue;
    // Uses that came before the discovery, too; a symbol dominates everything.
    Value replacement = cast<Value>(equal.dim);
    value.replaceAllUsesWith(replacement);
  }
}

void Lowering::assertTrue(Operation *op, Value condition, const Twine &what) {
  if (constantInteger(condition) == 1)
    return;
  cf::AssertOp::create(builder, op->getLoc(), condition,
                       (nodeName(op) + ": " + what).str());
}

bool Lowering::provablyBelow(Lowered *indices, OpFoldResult size) {
  size = resolve(size);
  auto number = staticDim(size);
  if (indices->lowest && *indices->lowest >= 0 && indices->below) {
    OpFoldResult below = resolve(indices->below);
    if (below == size)
      return true;
    auto max = staticDim(below);
    if (number && max)
      return *max <= *number;
    if (number && facts.interval(cast<Value>(below)).max <= *number)
      return true;
    if (Symbol *symbol = symbolOf(below); symbol && number)
      return limit(*symbol, *number);
    return max && !number && facts.interval(cast<Value>(size)).min >= *max;
  }
  auto known = elements(indices);
  if (!known)
    return false;
  int64_t least = number ? *number : facts.interval(cast<Value>(size)).min;
  return llvm::all_of(*known, [&](Value element) {
    Interval range = facts.interval(element);
    return range.min >= 0 && range.max < least;
  });
}

//===----------------------------------------------------------------------===//
// Broadcasting
//===----------------------------------------------------------------------===//

FailureOr<Dims> Lowering::broadcast(Operation *op, ArrayRef<OpFoldResult> a,
                                    ArrayRef<OpFoldResult> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  Dims result;
  size_t offset = a.size() - b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    OpFoldResult dim = resolve(a[i]);
    OpFoldResult other = i < offset ? indexAttr(1) : resolve(b[i - offset]);
    if (isOne(other)) {
      result.push_back(dim);
    } else if (isOne(dim)) {
      result.push_back(other);
    } else {
      FailureOr<OpFoldResult> common = unify(op, dim, other, "dimension " + Twine(i));
      if (failed(common))
        return failure();
      result.push_back(*common);
    }
  }
  return result;
}

FailureOr<Dims> Lowering::broadcast(Operation *op, ArrayRef<Lowered *> operands) {
  Dims result;
  for (Lowered *operand : operands) {
    FailureOr<Dims> wider = broadcast(op, result, operand->dims);
    if (failed(wider))
      return failure();
    result = std::move(*wider);
  }
  for (OpFoldResult &dim : result) // what a later operand or dim has shown
    dim = resolve(dim);
  return result;
}
