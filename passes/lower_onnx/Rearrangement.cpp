/// Split, Tile, Pad, DepthToSpace, SpaceToDepth, TopK, ReverseSequence.

#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/RunTimeAxes.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

/// dim / divisor; a remainder fails, at run time where the dim is dynamic.
FailureOr<OpFoldResult> divideExactly(Lowering &l, Operation *op, OpFoldResult dim,
                                      int64_t divisor, StringRef what) {
  dim = l.resolve(dim);
  if (std::optional<int64_t> size = staticDim(dim)) {
    if (*size % divisor)
      return l.fail(op, what + " (" + Twine(*size) + ") is not a multiple of " + Twine(divisor));
    return l.indexAttr(*size / divisor);
  }
  Scalars s = l.scalars(op->getLoc());
  Value size = l.i64Value(dim), by = s.integer(l.builder.getI64Type(), divisor);
  Value rest = s.remainder(size, by);
  l.assertTrue(op,
               s.compare(arith::CmpIPredicate::eq, rest, s.integer(l.builder.getI64Type(), 0)),
               what + " is not a multiple of " + Twine(divisor));
  return l.toDim(s.divide(size, by));
}

/// The sizes of the parts along the axis.
FailureOr<Dims> splitSizes(Lowering &l, Operation *op, OpFoldResult size) {
  int64_t parts = op->getNumResults();
  if (parts == 0)
    return l.fail(op, "it has no results");
  Scalars s = l.scalars(op->getLoc());
  std::optional<SmallVector<Value>> given;
  if (std::optional<SmallVector<int64_t>> attr = l.intsAttr(op, "split")) {
    given = llvm::map_to_vector(
        *attr, [&](int64_t part) { return s.integer(l.builder.getI64Type(), part); });
  } else if (l.operand(op, 1)) {
    FailureOr<SmallVector<Value>> scalars = l.knownInts(op, 1, "split");
    if (failed(scalars))
      return failure();
    given = *scalars;
  }
  Dims sizes;
  std::optional<int64_t> known = staticDim(size);
  if (given) {
    if (static_cast<int64_t>(given->size()) != parts)
      return l.fail(op, "split has " + Twine(given->size()) + " sizes for " + Twine(parts) +
                            " results");
    OpFoldResult sum = l.indexAttr(0);
    for (Value part : *given) {
      if (auto number = constantInteger(part); number && (*number < 0 || *number > INT32_MAX))
        return l.fail(op, "split has the size " + Twine(*number));
      sizes.push_back(l.toDim(l.atLeastZero(op, part, "a size of split")));
      sum = l.add(sum, sizes.back());
    }
    if (failed(l.unify(op, sum, size, "the sum of split and the split dimension")))
      return failure();
    return sizes;
  }
  if (known && *known % parts && op->hasAttr("num_outputs")) {
    // Opset 18: all but the last are of the size rounded up.
    int64_t part = llvm::divideCeil(*known, parts);
    int64_t last = *known - part * (parts - 1);
    if (last < 0)
      return l.fail(op, "a dimension of " + Twine(*known) + " does not give " + Twine(parts) +
                            " parts");
    sizes.assign(parts - 1, l.indexAttr(part));
    sizes.push_back(l.indexAttr(last));
    return sizes;
  }
  FailureOr<OpFoldResult> part = divideExactly(l, op, size, parts, "the split dimension");
  if (failed(part))
    return failure();
  return Dims(parts, *part);
}

LogicalResult lowerSplit(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 0), x->rank());
  if (failed(axis))
    return failure();
  FailureOr<Dims> sizes = splitSizes(l, op, l.resolve(x->dims[*axis]));
  if (failed(sizes))
    return failure();

  OpFoldResult offset = l.indexAttr(0);
  for (auto [i, size] : llvm::enumerate(*sizes)) {
    if (!op->getResult(i).use_empty())
      l.set(op->getResult(i), sliceAlong(l, op->getLoc(), x, *axis, offset, size));
    offset = l.add(offset, size);
  }
  return success();
}

LogicalResult lowerTile(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  FailureOr<Dims> repeats = l.sizesFrom(op, 1, "repeats");
  if (failed(repeats))
    return failure();
  if (static_cast<int64_t>(repeats->size()) != x->rank())
    return l.fail(op, "repeats have " + Twine(repeats->size()) + " elements for rank " +
                          Twine(x->rank()));
  Dims dims;
  for (auto [dim, repeat] : llvm::zip(x->dims, *repeats))
    dims.push_back(l.multiply(dim, repeat));
  SmallVector<Value> sizes;
  for (OpFoldResult dim : x->dims)
    sizes.push_back(l.indexValue(dim));
  Value source = l.tensor(x);
  // Where a size is 0 the result is empty too: the remainder is never taken.
  Value result = pointwise(l, op->getLoc(), {}, dims, signless(x->element),
                           [&](Scalars &s, ValueRange) {
                             SmallVector<Value> at;
                             for (auto [d, size] : llvm::enumerate(sizes)) {
                               Value i = loopIndex(s, d);
                               if (!isOne((*repeats)[d]))
                                 i = s.make<arith::RemUIOp>(i, size);
                               at.push_back(i);
                             }
                             return extract(s, source, at);
                           });
  l.setTensor(op, 0, result, dims, x->element);
  return success();
}

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

enum class PadMode { Constant, Reflect, Edge, Wrap };

/// How many elements are put before and after each dim (negative: taken away), i64.
FailureOr<std::pair<SmallVector<Value>, SmallVector<Value>>>
padAmounts(Lowering &l, Operation *op, int64_t rank) {
  Scalars s = l.scalars(op->getLoc());
  Type i64 = l.builder.getI64Type();
  SmallVector<Value> pads, axes;
  if (std::optional<SmallVector<int64_t>> attr = l.intsAttr(op, "pads")) {
    pads = llvm::map_to_vector(*attr, [&](int64_t pad) { return s.integer(i64, pad); });
  } else {
    if (!l.operand(op, 1))
      return l.fail(op, "pads are missing");
    FailureOr<SmallVector<Value>> given = l.knownInts(op, 1, "pads");
    if (failed(given))
      return failure();
    pads = *given;
  }
  if (l.operand(op, 3)) {
    FailureOr<SmallVector<Value>> given = l.knownInts(op, 3, "axes");
    if (failed(given))
      return failure();
    axes = *given;
    if (auto constants = constantIntegers(axes);
        constants && failed(l.normalizeAxes(op, *constants, rank)))
      return failure();
  } else {
    for (int64_t d = 0; d < rank; ++d)
      axes.push_back(s.integer(i64, d));
  }
  if (pads.size() != 2 * axes.size())
    return l.fail(op, "pads have " + Twine(pads.size()) + " elements; expected " +
                          Twine(2 * axes.size()));
  for (Value pad : pads)
    if (auto number = constantInteger(pad); number && (*number < INT32_MIN || *number > INT32_MAX))
      return l.fail(op, "pad " + Twine(*number) + " is too large");
  SmallVector<Value> before(rank, s.integer(i64, 0)), after = before;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    SmallVector<Value> flags = axisFlags(l, op, axis, rank);
    for (int64_t d = 0; d < rank; ++d) {
      before[d] = s.select(flags[d], pads[i], before[d]);
      after[d] = s.select(flags[d], pads[axes.size() + i], after[d]);
    }
  }
  return std::pair(before, after);
}

/// The position in [0, size) that output position `i` shows, i counted from the
/// first element of the input.
Value paddedPosition(Scalars &s, PadMode mode, Value i, Value size) {
  Type i64 = s.builder.getI64Type();
  Value zero = s.integer(i64, 0), one = s.integer(i64, 1);
  if (mode == PadMode::Edge)
    return s.max(s.min(i, s.sub(size, one)), zero);
  // Reflection repeats after 2 (size - 1), a single element after 1.
  Value period = size;
  if (mode == PadMode::Reflect)
    period = s.max(s.mul(s.sub(size, one), s.integer(i64, 2)), one);
  Value rest = s.make<arith::RemSIOp>(i, period);
  Value isNegative = s.compare(arith::CmpIPredicate::slt, rest, zero);
  rest = s.select(isNegative, s.add(rest, period), rest);
  if (mode == PadMode::Wrap)
    return rest;
  return s.select(s.compare(arith::CmpIPredicate::slt, rest, size), rest, s.sub(period, rest));
}

LogicalResult lowerPad(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *value = l.operand(op, 2);
  std::string modeName = l.stringAttr(op, "mode", "constant");
  auto mode = llvm::StringSwitch<std::optional<PadMode>>(modeName)
                  .Case("constant", PadMode::Constant)
                  .Case("reflect", PadMode::Reflect)
                  .Case("edge", PadMode::Edge)
                  .Case("wrap", PadMode::Wrap)
                  .Default(std::nullopt);
  if (!mode)
    return l.fail(op, "mode '" + modeName + "' is not known; use constant, reflect, edge or wrap");
  auto amounts = padAmounts(l, op, x->rank());
  if (failed(amounts))
    return failure();
  SmallVector<Value> before = amounts->first, after = amounts->second;
  auto isUnpadded = [&](size_t d) {
    return constantInteger(before[d]) == 0 && constantInteger(after[d]) == 0;
  };
  if (value && (value->element != x->element || staticCount(value->dims) != 1))
    return l.fail(op, "the constant value is not one element of the input's type");

  Location loc = op->getLoc();
  Type element = signless(x->element), i64 = l.builder.getI64Type();
  Scalars scalars = l.scalars(loc);
  Dims dims;
  SmallVector<OpFoldResult> padded;
  SmallVector<Value> sizes;
  bool isEmpty = false;
  for (auto [d, dim] : llvm::enumerate(x->dims)) {
    OpFoldResult from = l.resolve(dim);
    sizes.push_back(l.i64Value(from));
    if (isUnpadded(d)) {
      dims.push_back(from);
      continue;
    }
    padded.push_back(from);
    isEmpty |= staticDim(from) == 0;
    Value size = scalars.add(sizes.back(), scalars.add(before[d], after[d]));
    if (constantInteger(size).value_or(0) < 0)
      return l.fail(op, "pads take more than dimension " + Twine(d) + " has");
    dims.push_back(l.toDim(l.atLeastZero(op, size, "the padded size of dimension " + Twine(d))));
  }
  Value fill;
  if (*mode == PadMode::Constant) {
    double number = l.floatAttr(op, "value", 0);
    if (value)
      fill = readScalar(l, loc, value);
    else
      fill = isa<FloatType>(element) ? scalars.number(element, number)
                                     : scalars.integer(element, static_cast<int64_t>(number));
  }
  if (isEmpty) {
    if (*mode != PadMode::Constant)
      return l.fail(op, "mode '" + modeName + "' pads an empty dimension");
    l.setTensor(op, 0, l.filledTensor(loc, dims, fill), dims, x->element);
    return success();
  }

  assertNotEmpty(l, op, padded, dims);
  Value source = l.tensor(x);
  Value result = pointwise(l, loc, {}, dims, element, [&](Scalars &s, ValueRange) {
    SmallVector<Value> at;
    Value isInside;
    for (auto [d, size] : llvm::enumerate(sizes)) {
      Value i = loopIndex(s, d);
      if (!isUnpadded(d)) {
        Value position = s.sub(s.toI64(i), s.bring(before[d]));
        if (*mode == PadMode::Constant) {
          Value here = s.compare(arith::CmpIPredicate::ult, position, size);
          isInside = isInside ? s.make<arith::AndIOp>(isInside, here) : here;
          position = s.select(here, position, s.integer(i64, 0));
        } else {
          position = paddedPosition(s, *mode, position, size);
        }
        i = s.toIndex(position);
      }
      at.push_back(i);
    }
    Value found = extract(s, source, at);
    return isInside ? s.select(isInside, found, fill) : found;
  });
  l.setTensor(op, 0, result, dims, x->element);
  return success();
}

//===----------------------------------------------------------------------===//
// Blocks of depth and space
//===----------------------------------------------------------------------===//

LogicalResult rearrange(Lowering &l, Operation *op, ArrayRef<OpFoldResult> parts,
                        ArrayRef<int64_t> perm, const Dims &dims) {
  Lowered *x = l.operand(op, 0);
  Location loc = op->getLoc();
  Value tensor = l.reshape(loc, l.tensor(x), x->dims, parts);
  tensor = l.transpose(loc, tensor, parts, perm);
  Dims permuted;
  for (int64_t p : perm)
    permuted.push_back(parts[p]);
  l.setTensor(op, 0, l.reshape(loc, tensor, permuted, dims), dims, x->element);
  return success();
}

FailureOr<int64_t> blockSize(Lowering &l, Operation *op) {
  int64_t block = l.intAttr(op, "blocksize", 0);
  if (block < 1 || block > 65536)
    return l.fail(op, "blocksize is " + Twine(block));
  if (l.operand(op, 0)->rank() != 4)
    return l.fail(op, "the input has rank " + Twine(l.operand(op, 0)->rank()) +
                          "; it needs [N, C, H, W]");
  return block;
}

LogicalResult lowerDepthToSpace(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  FailureOr<int64_t> block = blockSize(l, op);
  if (failed(block))
    return failure();
  FailureOr<OpFoldResult> depth =
      divideExactly(l, op, x->dims[1], *block * *block, "the number of channels");
  if (failed(depth))
    return failure();
  OpFoldResult b = l.indexAttr(*block), n = x->dims[0], h = x->dims[2], w = x->dims[3];
  Dims dims = {n, *depth, l.multiply(h, b), l.multiply(w, b)};
  std::string mode = l.stringAttr(op, "mode", "DCR");
  if (mode == "DCR")
    return rearrange(l, op, {n, b, b, *depth, h, w}, {0, 3, 4, 1, 5, 2}, dims);
  if (mode == "CRD")
    return rearrange(l, op, {n, *depth, b, b, h, w}, {0, 1, 4, 2, 5, 3}, dims);
  return l.fail(op, "mode '" + mode + "' is not known; use DCR or CRD");
}

LogicalResult lowerSpaceToDepth(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  FailureOr<int64_t> block = blockSize(l, op);
  if (failed(block))
    return failure();
  FailureOr<OpFoldResult> h = divideExactly(l, op, x->dims[2], *block, "the height");
  FailureOr<OpFoldResult> w = divideExactly(l, op, x->dims[3], *block, "the width");
  if (failed(h) || failed(w))
    return failure();
  OpFoldResult b = l.indexAttr(*block), n = x->dims[0], c = x->dims[1];
  Dims dims = {n, l.multiply(c, l.indexAttr(*block * *block)), *h, *w};
  return rearrange(l, op, {n, c, *h, b, *w, b}, {0, 3, 5, 1, 2, 4}, dims);
}

//===----------------------------------------------------------------------===//
// TopK
//===----------------------------------------------------------------------===//

/// The place of each element is how many come before it; each result looks for the
/// element of its place. Quadratic in the axis, but no data-dependent control flow.
LogicalResult lowerTopK(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element) && !x->isInteger())
    return l.fail(op, "this element type has no order");
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", -1), x->rank());
  if (failed(axis))
    return failure();
  Location loc = op->getLoc();
  Type element = signless(x->element), i64 = l.builder.getI64Type();
  Scalars scalars = l.scalars(loc);
  Value k = scalars.integer(i64, l.intAttr(op, "k", -1));
  if (l.operand(op, 1)) {
    FailureOr<SmallVector<Value>> given = l.knownInts(op, 1, "K");
    if (failed(given))
      return failure();
    if (given->size() != 1)
      return l.fail(op, "K has " + Twine(given->size()) + " elements; give one");
    k = given->front();
  }
  OpFoldResult size = l.resolve(x->dims[*axis]);
  std::optional<int64_t> number = constantInteger(k);
  if (number && (*number < 0 || *number > staticDim(size).value_or(INT32_MAX)))
    return l.fail(op, "K is " + Twine(*number) + ", more than the dimension has or less than 0");
  if (!number || !staticDim(size)) {
    l.assertTrue(op, scalars.compare(arith::CmpIPredicate::sge, l.i64Value(size), k),
                 "K is more than the dimension has");
    k = l.atLeastZero(op, k, "K");
  }

  bool largest = l.intAttr(op, "largest", 1);
  int64_t rank = x->rank();
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d)
    exprs.push_back(l.builder.getAffineDimExpr(d == *axis ? rank : d));
  AffineMap here = mapWithout(l, rank + 1, rank);
  AffineMap other = AffineMap::get(rank + 1, 0, exprs, l.builder.getContext());
  Value tensor = l.tensor(x);

  Value zeros = l.filledTensor(loc, x->dims, scalars.integer(i64, 0));
  Value places = generic(
      l, loc, {{tensor, here}, {tensor, other}}, Input{zeros, here}, rank,
      [&](Scalars &s, ValueRange args) {
        Value mine = args[0], theirs = args[1];
        Value isBefore, isEqual;
        if (x->isFloat()) {
          isBefore = s.compare(largest ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT,
                               theirs, mine);
          isEqual = s.compare(arith::CmpFPredicate::OEQ, theirs, mine);
        } else {
          using P = arith::CmpIPredicate;
          P predicate = x->isUnsigned() ? (largest ? P::ugt : P::ult)
                                        : (largest ? P::sgt : P::slt);
          isBefore = s.compare(predicate, theirs, mine);
          isEqual = s.compare(P::eq, theirs, mine);
        }
        Value isEarlier =
            s.compare(arith::CmpIPredicate::slt, loopIndex(s, rank), loopIndex(s, *axis));
        isBefore = s.make<arith::OrIOp>(isBefore, s.make<arith::AndIOp>(isEqual, isEarlier));
        return SmallVector<Value>{s.add(args[2], convertInteger(s, isBefore, i64, true))};
      })[0];

  // Now the last loop runs over the input, the others over the result.
  Dims dims = x->dims;
  dims[*axis] = l.toDim(k);
  Value zero = x->isFloat() ? scalars.number(element, 0) : scalars.integer(element, 0);
  Value values = l.filledTensor(loc, dims, zero);
  Value indices = l.filledTensor(loc, dims, scalars.integer(i64, 0));
  SmallVector<Value> results = generic(
      l, loc, {{tensor, other}, {places, other}}, {{values, here}, {indices, here}}, rank,
      [&](Scalars &s, ValueRange args) {
        Value isMine =
            s.compare(arith::CmpIPredicate::eq, args[1], s.toI64(loopIndex(s, *axis)));
        return SmallVector<Value>{s.select(isMine, args[0], args[2]),
                                  s.select(isMine, s.toI64(loopIndex(s, rank)), args[3])};
      });
  l.setTensor(op, 0, results[0], dims, x->element);
  if (op->getNumResults() > 1)
    l.setTensor(op, 1, results[1], dims, i64);
  return success();
}

//===----------------------------------------------------------------------===//
// ReverseSequence
//===----------------------------------------------------------------------===//

/// The first `sequence_lens[b]` elements along the time axis in reverse order.
LogicalResult lowerReverseSequence(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *lengths = l.operand(op, 1);
  int64_t rank = x->rank();
  FailureOr<int64_t> batchAxis = l.normalizeAxis(op, l.intAttr(op, "batch_axis", 1), rank);
  FailureOr<int64_t> timeAxis = l.normalizeAxis(op, l.intAttr(op, "time_axis", 0), rank);
  if (failed(batchAxis) || failed(timeAxis))
    return failure();
  if (*batchAxis == *timeAxis)
    return l.fail(op, "batch_axis and time_axis are both " + Twine(*timeAxis));
  if (lengths->rank() != 1 || !lengths->isInteger())
    return l.fail(op, "sequence_lens are not a vector of integers");
  if (failed(l.unify(op, lengths->dims[0], x->dims[*batchAxis], "the batch")))
    return failure();
  Location loc = op->getLoc();
  Type i64 = l.builder.getI64Type();
  // A length may be as large as the dim itself.
  OpFoldResult bound = l.add(x->dims[*timeAxis], l.indexAttr(1));
  Value checked = checkedIndices(l, op, lengths, bound);
  AffineMap map = AffineMap::get(rank, 0, l.builder.getAffineDimExpr(*batchAxis));
  Value source = l.tensor(x);
  Value y = pointwise(l, loc, Input{checked, map}, x->dims, signless(x->element),
                      [&](Scalars &s, ValueRange args) {
                        SmallVector<Value> at;
                        for (int64_t d = 0; d < rank; ++d)
                          at.push_back(loopIndex(s, d));
                        Value time = s.toI64(at[*timeAxis]);
                        Value isInside = s.compare(arith::CmpIPredicate::slt, time, args[0]);
                        Value mirrored = s.sub(s.sub(args[0], s.integer(i64, 1)), time);
                        at[*timeAxis] = s.toIndex(s.select(isInside, mirrored, time));
                        return extract(s, source, at);
                      });
  l.setTensor(op, 0, y, x->dims, x->element);
  return success();
}

} // namespace

Lowered sq::sliceAlong(Lowering &l, Location loc, Lowered *x, int64_t axis, OpFoldResult offset,
                       OpFoldResult size) {
  Lowered part;
  part.element = x->element;
  part.dims = x->dims;
  part.dims[axis] = size;
  auto elements = x->rank() == 1 ? l.elements(x) : std::nullopt;
  if (elements && staticDim(offset) && staticDim(size)) {
    part.elements =
        SmallVector<Value>(ArrayRef<Value>(*elements).slice(*staticDim(offset), *staticDim(size)));
    return part;
  }
  part.stored = part.dims;
  Dims offsets(x->rank(), l.indexAttr(0)), strides(x->rank(), l.indexAttr(1));
  offsets[axis] = offset;
  part.tensor = sliceOf(l, loc, l.tensor(x), offsets, part.dims, strides, part.dims, x->element);
  return part;
}

void sq::registerRearrangement(LoweringTable &table) {
  table.add("Split", 1, lowerSplit);
  table.add("Tile", 2, lowerTile);
  table.add("Pad", 1, lowerPad);
  table.add("DepthToSpace", 1, lowerDepthToSpace);
  table.add("SpaceToDepth", 1, lowerSpaceToDepth);
  table.add("TopK", 1, lowerTopK);
  table.add("ReverseSequence", 2, lowerReverseSequence);
}
