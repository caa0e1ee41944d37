/// NonZero, Compress, Unique, NonMaxSuppression: results as long as the data want it.
///
/// What is chosen is numbered by a running count, its positions are scattered to their
/// numbers in a tensor of the greatest possible length, and the count, read back, cuts
/// that to size.

#include "passes/lower_onnx/Generics.h"

#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

AffineMap identityMap(Lowering &l, int64_t rank) {
  return AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
}

/// values[i] goes to places[i] of a vector as long as they; -1 goes nowhere.
Value scatterVector(Lowering &l, Location loc, Value places, Value values, OpFoldResult length) {
  Type element = cast<RankedTensorType>(values.getType()).getElementType();
  OpFoldResult one = l.indexAttr(1);
  Value init = l.emptyTensor(loc, {one, length, one}, element);
  Value result =
      ScatterOp::create(l.builder, loc, TypeRange(init.getType()),
                        l.reshape(loc, places, length, {one, length}),
                        l.reshape(loc, values, length, {one, length, one}), init, "replace", false)
          .getResult()[0];
  return l.reshape(loc, result, {one, length, one}, length);
}

/// The positions where `mask` (i1, of `length`) is true, and how many these are.
struct Chosen {
  Value positions; // i64
  OpFoldResult count;
};

Chosen choose(Lowering &l, Location loc, Value mask, OpFoldResult length) {
  // (extract_slice refuses to take nothing out of nothing.)
  if (isStaticallyEmpty(length))
    return {l.emptyTensor(loc, length, l.builder.getI64Type()), length};
  Scalars scalars = l.scalars(loc);
  Type i64 = l.builder.getI64Type();
  Value none = scalars.integer(i64, -1);
  AffineMap along = identityMap(l, 1), still = mapWithout(l, 1, 0);
  Value zero = l.filledTensor(loc, {}, scalars.integer(i64, 0));
  Value init = l.emptyTensor(loc, length, i64);
  SmallVector<Value> numbered = generic(
      l, loc, Input{mask, along}, {{zero, still}, {init, along}}, 0,
      [&](Scalars &s, ValueRange args) {
        Value place = s.select(args[0], args[1], s.bring(none));
        return SmallVector<Value>{s.add(args[1], convertInteger(s, args[0], i64, true)), place};
      });
  Value iota = pointwise(l, loc, {}, length, i64,
                         [&](Scalars &s, ValueRange) { return s.toI64(loopIndex(s, 0)); });
  Value all = scatterVector(l, loc, numbered[1], iota, length);
  Value count = tensor::ExtractOp::create(l.builder, loc, numbered[0], ValueRange());
  int64_t most = l.facts.interval(l.i64Value(length)).max;
  l.facts.ranges[count] = {0, most};
  OpFoldResult dim = l.toDim(count);
  OpFoldResult zeroDim = l.indexAttr(0), one = l.indexAttr(1);
  Value cut = tensor::ExtractSliceOp::create(l.builder, loc, tensorType(dim, i64), all, zeroDim, dim,
                                             one);
  return {cut, dim};
}

LogicalResult lowerNonZero(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  Type element = signless(x->element), i64 = l.builder.getI64Type();
  if (!isSupportedFloat(element) && !isa<IntegerType>(element))
    return l.fail(op, "this element type has no zero");
  Location loc = op->getLoc();
  int64_t rank = x->rank();
  OpFoldResult length = l.product(x->dims);
  Value mask = pointwise(l, loc, Input{l.tensor(x), identityMap(l, rank)}, x->dims,
                         l.builder.getI1Type(), [&](Scalars &s, ValueRange args) {
                           if (isa<FloatType>(element))
                             return s.compare(arith::CmpFPredicate::UNE, args[0],
                                              s.number(element, 0));
                           return s.compare(arith::CmpIPredicate::ne, args[0],
                                            s.integer(element, 0));
                         });
  Chosen chosen = choose(l, loc, l.reshape(loc, mask, x->dims, length), length);
  Dims dims = {l.indexAttr(rank), chosen.count};
  // Row d: the position's coordinate in dim d.
  SmallVector<Value> sizes, strides(rank);
  Scalars scalars = l.scalars(loc);
  Value stride = scalars.integer(i64, 1);
  for (OpFoldResult dim : x->dims)
    sizes.push_back(l.i64Value(dim));
  for (int64_t d = rank; d-- > 0;) {
    strides[d] = stride;
    stride = scalars.mul(stride, sizes[d]);
  }
  AffineMap column = AffineMap::get(2, 0, l.builder.getAffineDimExpr(1));
  Value result = pointwise(l, loc, Input{chosen.positions, column}, dims, i64,
                           [&](Scalars &s, ValueRange args) {
                             Value row = s.toI64(loopIndex(s, 0)), found = s.integer(i64, 0);
                             for (int64_t d = 0; d < rank; ++d) {
                               Value at = s.remainder(s.divide(args[0], s.bring(strides[d])),
                                                      s.bring(sizes[d]));
                               Value isRow = s.compare(arith::CmpIPredicate::eq, row,
                                                       s.integer(i64, d));
                               found = s.select(isRow, at, found);
                             }
                             return found;
                           });
  l.setTensor(op, 0, result, dims, i64);
  return success();
}

/// Rows `positions` of dim `axis`.
Value takeRows(Lowering &l, Location loc, Value source, const Chosen &rows, int64_t axis,
               ArrayRef<OpFoldResult> dims) {
  AffineMap along = AffineMap::get(dims.size(), 0, l.builder.getAffineDimExpr(axis));
  Type element = cast<RankedTensorType>(source.getType()).getElementType();
  return pointwise(l, loc, Input{rows.positions, along}, dims, element,
                   [&](Scalars &s, ValueRange args) {
                     SmallVector<Value> at;
                     for (int64_t d = 0, rank = dims.size(); d < rank; ++d)
                       at.push_back(d == axis ? s.toIndex(args[0]) : loopIndex(s, d));
                     return extract(s, source, at);
                   });
}

LogicalResult lowerCompress(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *condition = l.operand(op, 1);
  if (!condition->isBool() || condition->rank() != 1)
    return l.fail(op, "its condition is not a vector of bools");
  Location loc = op->getLoc();
  Value source = l.tensor(x);
  Dims dims = x->dims;
  int64_t axis = 0;
  if (op->hasAttr("axis")) {
    FailureOr<int64_t> normal = l.normalizeAxis(op, l.intAttr(op, "axis", 0), x->rank());
    if (failed(normal))
      return failure();
    axis = *normal;
  } else {
    dims = {l.product(x->dims)};
    source = l.reshape(loc, source, x->dims, dims);
  }
  // The condition may be shorter: what it does not speak of goes.
  Scalars s = l.scalars(loc);
  OpFoldResult length = l.resolve(condition->dims[0]), size = l.resolve(dims[axis]);
  if (length != size) {
    auto isLonger = s.compare(arith::CmpIPredicate::sle, l.i64Value(length), l.i64Value(size));
    if (constantInteger(isLonger) == 0)
      return l.fail(op, "its condition is longer than what it chooses from");
    l.assertTrue(op, isLonger, "the condition is longer than what it chooses from");
  }
  Chosen chosen = choose(l, loc, l.tensor(condition), length);
  dims[axis] = chosen.count;
  l.setTensor(op, 0, takeRows(l, loc, source, chosen, axis, dims), dims, x->element);
  return success();
}

//===----------------------------------------------------------------------===//
// Unique
//===----------------------------------------------------------------------===//

/// -1, 0 or 1 (i64) for a < b, a = b, a > b; NaN is equal to itself and the greatest.
Value order(Scalars &s, Value a, Value b, bool isUnsigned) {
  Type i64 = s.builder.getI64Type();
  Value less, greater;
  if (isa<FloatType>(a.getType())) {
    auto above = [&](Value x, Value y) {
      Value isNaN = s.make<arith::AndIOp>(s.compare(arith::CmpFPredicate::UNO, x, x),
                                          s.compare(arith::CmpFPredicate::ORD, y, y));
      return s.make<arith::OrIOp>(isNaN, s.compare(arith::CmpFPredicate::OGT, x, y));
    };
    less = above(b, a);
    greater = above(a, b);
  } else {
    using P = arith::CmpIPredicate;
    less = s.compare(isUnsigned ? P::ult : P::slt, a, b);
    greater = s.compare(isUnsigned ? P::ugt : P::sgt, a, b);
  }
  return s.select(less, s.integer(i64, -1),
                  s.select(greater, s.integer(i64, 1), s.integer(i64, 0)));
}

/// The rows to compare, [count, width], and how: at once, or, where rows are long, by a
/// table of all pairs.
class Rows {
public:
  Rows(Lowering &l, Location loc, Value rows, OpFoldResult count, OpFoldResult width,
       bool isUnsigned)
      : rows(rows), isUnsigned(isUnsigned) {
    if (isOne(width))
      return;
    Type i64 = l.builder.getI64Type();
    Value zeros = l.filledTensor(loc, {count, count}, l.scalars(loc).integer(i64, 0));
    auto row = [&](unsigned d) {
      return AffineMap::get(3, 0, {l.builder.getAffineDimExpr(d), l.builder.getAffineDimExpr(2)},
                            l.builder.getContext());
    };
    // The first difference counts.
    table = generic(l, loc, {{rows, row(0)}, {rows, row(1)}}, Input{zeros, mapWithout(l, 3, 2)}, 2,
                    [&](Scalars &s, ValueRange args) {
                      Value open = s.compare(arith::CmpIPredicate::eq, args[2], s.integer(i64, 0));
                      return SmallVector<Value>{
                          s.select(open, order(s, args[0], args[1], isUnsigned), args[2])};
                    })[0];
  }
  /// `order` of the rows at two indices.
  Value compare(Scalars &s, Value a, Value b) const {
    if (table)
      return extract(s, table, {a, b});
    Value zero = s.integer(s.builder.getIndexType(), 0);
    return order(s, extract(s, rows, {a, zero}), extract(s, rows, {b, zero}), isUnsigned);
  }

private:
  Value rows, table;
  bool isUnsigned;
};

/// For every i in [0, rows): the sum over j in [0, columns) of value(i, j), both index.
Value sumOver(Lowering &l, Location loc, OpFoldResult rows, OpFoldResult columns, ScalarFn value) {
  Type i64 = l.builder.getI64Type();
  Value zeros = l.filledTensor(loc, rows, l.scalars(loc).integer(i64, 0));
  // The range of the inner loop comes from an operand whose values are not used.
  Value range = l.emptyTensor(loc, columns, l.builder.getI1Type());
  AffineMap inner = AffineMap::get(2, 0, l.builder.getAffineDimExpr(1));
  return generic(l, loc, Input{range, inner}, Input{zeros, mapWithout(l, 2, 1)}, 1,
                 [&](Scalars &s, ValueRange args) {
                   Value indices[] = {loopIndex(s, 0), loopIndex(s, 1)};
                   return SmallVector<Value>{s.add(args[1], value(s, indices))};
                 })[0];
}

LogicalResult lowerUnique(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  Type element = signless(x->element), i64 = l.builder.getI64Type();
  if (!isSupportedFloat(element) && !isa<IntegerType>(element))
    return l.fail(op, "this element type has no order");
  Location loc = op->getLoc();
  bool isSorted = l.intAttr(op, "sorted", 1);
  // Rows of what is compared: single elements, or slices along the axis.
  OpFoldResult one = l.indexAttr(1), count, width = one;
  Value rows = l.tensor(x);
  SmallVector<int64_t> perm, back;
  Dims permuted;
  bool hasAxis = op->hasAttr("axis");
  if (hasAxis) {
    FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 0), x->rank());
    if (failed(axis))
      return failure();
    perm.push_back(*axis);
    for (int64_t d = 0; d < x->rank(); ++d)
      if (d != *axis)
        perm.push_back(d);
    back.resize(perm.size());
    for (auto [to, from] : llvm::enumerate(perm)) {
      permuted.push_back(x->dims[from]);
      back[from] = to;
    }
    rows = l.transpose(loc, rows, x->dims, perm);
    count = permuted.front();
    width = l.product(ArrayRef<OpFoldResult>(permuted).drop_front());
    rows = l.reshape(loc, rows, permuted, {count, width});
  } else {
    count = l.product(x->dims);
    rows = l.reshape(loc, rows, x->dims, {count, one});
  }
  Rows table(l, loc, rows, count, width, x->isUnsigned());
  auto isEqual = [&](Scalars &s, Value a, Value b) {
    return s.compare(arith::CmpIPredicate::eq, table.compare(s, a, b), s.integer(i64, 0));
  };
  auto asNumber = [&](Scalars &s, Value flag) { return convertInteger(s, flag, i64, true); };

  // The first of equal rows stands for them.
  Value earlier = sumOver(l, loc, count, count, [&](Scalars &s, ValueRange at) {
    Value isEarlier = s.compare(arith::CmpIPredicate::slt, at[1], at[0]);
    return asNumber(s, s.make<arith::AndIOp>(isEarlier, isEqual(s, at[0], at[1])));
  });
  Value isFirst = pointwise(l, loc, Input{earlier, identityMap(l, 1)}, count,
                            l.builder.getI1Type(), [&](Scalars &s, ValueRange args) {
                              return s.compare(arith::CmpIPredicate::eq, args[0],
                                               s.integer(i64, 0));
                            });
  Chosen chosen = choose(l, loc, isFirst, count);
  auto rowOf = [&](Scalars &s, Value number) {
    return s.toIndex(extract(s, chosen.positions, number));
  };
  if (isSorted) {
    Value places = sumOver(l, loc, chosen.count, chosen.count, [&](Scalars &s, ValueRange at) {
      Value before = table.compare(s, rowOf(s, at[1]), rowOf(s, at[0]));
      return asNumber(s, s.compare(arith::CmpIPredicate::slt, before, s.integer(i64, 0)));
    });
    chosen.positions = scatterVector(l, loc, places, chosen.positions, chosen.count);
  }

  Value values = takeRows(l, loc, rows, chosen, 0, {chosen.count, width});
  Dims dims = {chosen.count};
  if (!hasAxis) {
    values = l.reshape(loc, values, {chosen.count, one}, dims);
  } else {
    permuted.front() = chosen.count;
    values = l.reshape(loc, values, {chosen.count, width}, permuted);
    values = l.transpose(loc, values, permuted, back);
    dims.clear();
    for (int64_t d : back)
      dims.push_back(permuted[d]);
  }
  l.setTensor(op, 0, values, dims, x->element);
  auto isUsed = [&](unsigned i) { return i < op->getNumResults() && !op->getResult(i).use_empty(); };
  if (isUsed(1))
    l.setTensor(op, 1, chosen.positions, {chosen.count}, i64);
  if (isUsed(2))
    l.setTensor(op, 2, sumOver(l, loc, count, chosen.count, [&](Scalars &s, ValueRange at) {
                  return s.select(isEqual(s, at[0], rowOf(s, at[1])), s.toI64(at[1]),
                                  s.integer(i64, 0));
                }), {count}, i64);
  if (isUsed(3))
    l.setTensor(op, 3, sumOver(l, loc, chosen.count, count, [&](Scalars &s, ValueRange at) {
                  return asNumber(s, isEqual(s, at[1], rowOf(s, at[0])));
                }), {chosen.count}, i64);
  return success();
}

//===----------------------------------------------------------------------===//
// NonMaxSuppression
//===----------------------------------------------------------------------===//

/// One of the operator's optional numbers.
FailureOr<Value> optionalNumber(Lowering &l, Operation *op, unsigned i, StringRef what, Value absent) {
  Lowered *given = l.operand(op, i);
  if (!given)
    return absent;
  if (staticCount(given->dims) != 1 || signless(given->element) != absent.getType())
    return l.fail(op, "its " + what + " is not one " + dtypeName(absent.getType()));
  return readScalar(l, op->getLoc(), given);
}

/// Intersection over union of boxes `a` and `b` (indices) of batch `batch`.
Value overlap(Scalars &s, Value boxes, Value batch, Value a, Value b, bool fromCenter) {
  Type f32 = s.builder.getF32Type();
  auto corner = [&](Value box, int64_t i) {
    return extract(s, boxes, {batch, box, s.integer(s.builder.getIndexType(), i)});
  };
  // low and high of both axes
  auto bounds = [&](Value box, int64_t axis) -> std::pair<Value, Value> {
    Value first = corner(box, axis), second = corner(box, axis + 2);
    if (!fromCenter)
      return {s.make<arith::MinimumFOp>(first, second), s.make<arith::MaximumFOp>(first, second)};
    Value half = s.make<arith::MulFOp>(second, s.number(f32, 0.5));
    return {s.make<arith::SubFOp>(first, half), s.make<arith::AddFOp>(first, half)};
  };
  Value zero = s.number(f32, 0), common = s.number(f32, 1), areaA = common, areaB = common;
  for (int64_t axis : {0, 1}) {
    auto [lowA, highA] = bounds(a, axis);
    auto [lowB, highB] = bounds(b, axis);
    Value length = s.make<arith::SubFOp>(s.make<arith::MinimumFOp>(highA, highB),
                                         s.make<arith::MaximumFOp>(lowA, lowB));
    common = s.make<arith::MulFOp>(common, s.make<arith::MaximumFOp>(length, zero));
    areaA = s.make<arith::MulFOp>(areaA, s.make<arith::SubFOp>(highA, lowA));
    areaB = s.make<arith::MulFOp>(areaB, s.make<arith::SubFOp>(highB, lowB));
  }
  Value all = s.make<arith::SubFOp>(s.make<arith::AddFOp>(areaA, areaB), common);
  Value ratio = s.make<arith::DivFOp>(common, all);
  return s.select(s.compare(arith::CmpFPredicate::OGT, all, zero), ratio, zero);
}

LogicalResult lowerNonMaxSuppression(Lowering &l, Operation *op) {
  Lowered *boxes = l.operand(op, 0), *scores = l.operand(op, 1);
  if (!boxes->element.isF32() || !scores->element.isF32() || boxes->rank() != 3 ||
      scores->rank() != 3)
    return l.fail(op, "it needs boxes [batch, boxes, 4] and scores [batch, classes, boxes] of f32");
  FailureOr<OpFoldResult> batch = l.unify(op, boxes->dims[0], scores->dims[0], "the batch");
  FailureOr<OpFoldResult> number = l.unify(op, boxes->dims[1], scores->dims[2], "the number of boxes");
  if (failed(batch) || failed(number) ||
      failed(l.unify(op, boxes->dims[2], l.indexAttr(4), "the coordinates of a box")))
    return failure();
  Location loc = op->getLoc();
  Scalars scalars = l.scalars(loc);
  Type i64 = l.builder.getI64Type(), f32 = l.builder.getF32Type();
  Value lowest = scalars.number(f32, -INFINITY);
  FailureOr<Value> most = optionalNumber(l, op, 2, "max_output_boxes_per_class", scalars.integer(i64, 0));
  FailureOr<Value> maxOverlap = optionalNumber(l, op, 3, "iou_threshold", scalars.number(f32, 0));
  FailureOr<Value> minScore = optionalNumber(l, op, 4, "score_threshold", lowest);
  if (failed(most) || failed(maxOverlap) || failed(minScore))
    return failure();
  bool fromCenter = l.intAttr(op, "center_point_box", 0);
  Value limit = scalars.max(scalars.min(*most, l.i64Value(*number)), scalars.integer(i64, 0));
  OpFoldResult steps = l.toDim(limit), classes = scores->dims[1], one = l.indexAttr(1);
  Dims scoreDims = {*batch, classes, *number}, rowDims = {*batch, classes};
  Dims chosenDims = {*batch, classes, steps};
  Value corners = l.tensor(boxes);
  AffineMap all = identityMap(l, 3), row = mapWithout(l, 3, 2);

  // What is out of the race has the score -inf.
  Value open = pointwise(l, loc, Input{l.tensor(scores), all}, scoreDims, f32,
                         [&](Scalars &s, ValueRange args) {
                           Value isIn = s.compare(arith::CmpFPredicate::OGT, args[0], *minScore);
                           return s.select(isIn, args[0], s.bring(lowest));
                         });
  Value chosen = l.emptyTensor(loc, chosenDims, i64);
  Type index = l.builder.getIndexType();
  Value lowestBest = l.filledTensor(loc, rowDims, lowest);
  Value noBest = l.filledTensor(loc, rowDims, scalars.integer(i64, -1));
  auto loop = scf::ForOp::create(l.builder, loc, scalars.integer(index, 0), l.indexValue(steps),
                                 scalars.integer(index, 1), ValueRange{open, chosen});
  {
    Block *body = loop.getBody();
    Lowering::Scope scope(l, body);
    Value race = body->getArgument(1), soFar = body->getArgument(2);
    SmallVector<Value> best = generic(
        l, loc, Input{race, all}, {{lowestBest, row}, {noBest, row}}, 2,
        [&](Scalars &s, ValueRange args) {
          Value better = s.compare(arith::CmpFPredicate::OGT, args[0], args[1]);
          return SmallVector<Value>{s.select(better, args[0], args[1]),
                                    s.select(better, s.toI64(loopIndex(s, 2)), args[2])};
        });
    Dims offsets(3, l.indexAttr(0)), strides(3, one), sizes = {*batch, classes, one};
    offsets[2] = body->getArgument(0);
    Value next = tensor::InsertSliceOp::create(l.builder, loc, best[1], soFar, offsets, sizes, strides);
    Value rest = generic(
        l, loc, Input{best[1], row}, Input{race, all}, {}, [&](Scalars &s, ValueRange args) {
          Value here = loopIndex(s, 2), zero = s.integer(i64, 0);
          Value isOne = s.compare(arith::CmpIPredicate::sge, args[0], zero);
          Value winner = s.toIndex(s.max(args[0], zero));
          Value shared = overlap(s, corners, loopIndex(s, 0), winner, here, fromCenter);
          Value falls = s.make<arith::OrIOp>(
              s.compare(arith::CmpIPredicate::eq, winner, here),
              s.compare(arith::CmpFPredicate::OGT, shared, *maxOverlap));
          falls = s.make<arith::AndIOp>(falls, isOne);
          return SmallVector<Value>{s.select(falls, s.bring(lowest), args[1])};
        })[0];
    scf::YieldOp::create(l.builder, loc, ValueRange{rest, next});
  }

  OpFoldResult length = l.product(chosenDims);
  Value picked = loop.getResult(1);
  Value mask = pointwise(l, loc, Input{picked, all}, chosenDims, l.builder.getI1Type(),
                         [&](Scalars &s, ValueRange args) {
                           return s.compare(arith::CmpIPredicate::sge, args[0], s.integer(i64, 0));
                         });
  Chosen rows = choose(l, loc, l.reshape(loc, mask, chosenDims, length), length);
  Value flat = l.reshape(loc, picked, chosenDims, length);
  Value perRow = limit, perBatch = scalars.mul(limit, l.i64Value(classes));
  Dims dims = {rows.count, l.indexAttr(3)};
  AffineMap first = AffineMap::get(2, 0, l.builder.getAffineDimExpr(0));
  Value result = pointwise(
      l, loc, Input{rows.positions, first}, dims, i64, [&](Scalars &s, ValueRange args) {
        Value column = s.toI64(loopIndex(s, 1));
        auto isColumn = [&](int64_t i) {
          return s.compare(arith::CmpIPredicate::eq, column, s.integer(i64, i));
        };
        Value group = s.divide(args[0], s.bring(perBatch));
        Value inGroup = s.divide(s.remainder(args[0], s.bring(perBatch)), s.bring(perRow));
        Value box = extract(s, flat, s.toIndex(args[0]));
        return s.select(isColumn(0), group, s.select(isColumn(1), inGroup, box));
      });
  l.setTensor(op, 0, result, dims, i64);
  return success();
}

} // namespace

void sq::registerSelection(LoweringTable &table) {
  table.add("NonZero", 1, lowerNonZero);
  table.add("Compress", 2, lowerCompress);
  table.add("Unique", 1, lowerUnique);
  table.add("NonMaxSuppression", 2, lowerNonMaxSuppression);
}
