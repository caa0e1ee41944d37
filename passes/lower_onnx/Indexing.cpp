/// Gather*, Scatter*, OneHot, Trilu, EyeLike: what depends on indices.
///
/// Indices from data are checked and clamped first (`checkedIndices`), so that
/// the reads themselves need no check.

#include "passes/lower_onnx/Generics.h"

#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sq;

namespace {

AffineMap identityMap(Lowering &l, int64_t rank) {
  return AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
}

/// Constant indices as [0, size), null when they are not constant; fails when one
/// is outside a static size.
FailureOr<std::optional<SmallVector<int64_t>>> constantIndices(Lowering &l, Operation *op,
                                                               Lowered *indices, int64_t size) {
  std::optional<SmallVector<Value>> scalars = l.elements(indices);
  if (!scalars)
    return std::optional<SmallVector<int64_t>>();
  SmallVector<int64_t> result;
  for (Value scalar : *scalars) {
    std::optional<int64_t> index = constantInteger(scalar);
    if (!index)
      return std::optional<SmallVector<int64_t>>();
    if (*index < -size || *index >= size)
      return l.fail(op, "index " + Twine(*index) + " is outside the dimension of size " +
                            Twine(size));
    result.push_back(*index < 0 ? *index + size : *index);
  }
  return std::optional(result);
}

/// Few known elements: shape arithmetic.
LogicalResult gatherElements(Lowering &l, Operation *op, Lowered *data,
                             ArrayRef<Value> elements, ArrayRef<int64_t> indices, int64_t axis,
                             const Dims &dims) {
  SmallVector<int64_t> shape = shapeOf(data->dims);
  int64_t outer = 1, inner = 1;
  for (int64_t d = 0; d < data->rank(); ++d)
    (d < axis ? outer : inner) *= d == axis ? 1 : shape[d];
  SmallVector<Value> result;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t index : indices)
      for (int64_t i = 0; i < inner; ++i)
        result.push_back(elements[(o * shape[axis] + index) * inner + i]);
  l.setElements(op, 0, std::move(result), dims, data->element);
  return success();
}

LogicalResult lowerGather(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0), *indices = l.operand(op, 1);
  if (!indices->isInteger())
    return l.fail(op, "indices are not integers");
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 0), data->rank());
  if (failed(axis))
    return failure();
  ArrayRef<OpFoldResult> dataDims(data->dims);
  OpFoldResult size = l.resolve(data->dims[*axis]);
  Dims dims(dataDims.take_front(*axis));
  dims.append(indices->dims.begin(), indices->dims.end());
  dims.append(dataDims.drop_front(*axis + 1).begin(), dataDims.end());
  Location loc = op->getLoc();

  if (std::optional<int64_t> staticSize = staticDim(size)) {
    FailureOr<std::optional<SmallVector<int64_t>>> constants =
        constantIndices(l, op, indices, *staticSize);
    if (failed(constants))
      return failure();
    if (*constants)
      if (auto elements = l.elements(data);
          elements && staticCount(dims).value_or(maxKnownElements + 1) <= maxKnownElements)
        return gatherElements(l, op, data, *elements, **constants, *axis, dims);
    // One constant index is a slice.
    if (*constants && (*constants)->size() == 1 && !isStaticallyEmpty(data->dims)) {
      Dims offsets(data->rank(), l.indexAttr(0)), strides(data->rank(), l.indexAttr(1));
      offsets[*axis] = l.indexAttr((**constants)[0]);
      Dims sizes = data->dims;
      sizes[*axis] = l.indexAttr(1);
      Value slice = tensor::ExtractSliceOp::create(l.builder, loc, l.tensor(data), offsets, sizes,
                                                   strides);
      l.setTensor(op, 0, l.reshape(loc, slice, sizes, dims), dims, data->element);
      return success();
    }
  }

  assertNotEmpty(l, op, size, dims);
  Value checked = checkedIndices(l, op, indices, size);
  Value source = l.tensor(data);
  if (data->constant && data->rank() == 2 && *axis == 0 && isSupportedFloat(data->element)) {
    Value init = l.emptyTensor(loc, dims, data->element);
    Value rows = EmbeddingOp::create(l.builder, loc, TypeRange(init.getType()), checked, source, init)
                     .getResult()[0];
    l.setTensor(op, 0, rows, dims, data->element);
    return success();
  }
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < indices->rank(); ++i)
    exprs.push_back(l.builder.getAffineDimExpr(*axis + i));
  AffineMap map = AffineMap::get(dims.size(), 0, exprs, l.builder.getContext());
  Value result = pointwise(
      l, loc, Input{checked, map}, dims, signless(data->element),
      [&](Scalars &s, ValueRange args) {
        SmallVector<Value> at;
        for (int64_t d = 0; d < data->rank(); ++d)
          at.push_back(d == *axis ? s.toIndex(args[0])
                                  : loopIndex(s, d < *axis ? d : d + indices->rank() - 1));
        return extract(s, source, at);
      });
  l.setTensor(op, 0, result, dims, data->element);
  return success();
}

/// The dims of `inner` but `axis` must not exceed those of `outer`: at run time
/// where they are not static.
LogicalResult requireWithin(Lowering &l, Operation *op, Lowered *inner, Lowered *outer,
                            int64_t axis, StringRef what) {
  Scalars s = l.scalars(op->getLoc());
  for (int64_t d = 0; d < inner->rank(); ++d) {
    OpFoldResult a = l.resolve(inner->dims[d]), b = l.resolve(outer->dims[d]);
    if (d == axis || a == b)
      continue;
    std::optional<int64_t> small = staticDim(a), large = staticDim(b);
    if (small && large) {
      if (*small > *large)
        return l.fail(op, "dimension " + Twine(d) + " of " + what + " is " + Twine(*small) +
                              ", more than the " + Twine(*large) + " of the data");
      continue;
    }
    l.assertTrue(op, s.compare(arith::CmpIPredicate::sle, l.i64Value(a), l.i64Value(b)),
                 "dimension " + Twine(d) + " of " + what + " exceeds that of the data");
  }
  return success();
}

LogicalResult sameRank(Lowering &l, Operation *op, Lowered *data, Lowered *indices) {
  if (!indices->isInteger())
    return l.fail(op, "indices are not integers");
  if (data->rank() == indices->rank() && data->rank() > 0)
    return success();
  return l.fail(op, "data has rank " + Twine(data->rank()) + " and indices have rank " +
                        Twine(indices->rank()) + "; they must be equal and not 0");
}

LogicalResult lowerGatherElements(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0), *indices = l.operand(op, 1);
  if (failed(sameRank(l, op, data, indices)))
    return failure();
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 0), data->rank());
  if (failed(axis) || failed(requireWithin(l, op, indices, data, *axis, "indices")))
    return failure();
  OpFoldResult size = data->dims[*axis];
  assertNotEmpty(l, op, size, indices->dims);
  Value checked = checkedIndices(l, op, indices, size);
  Value source = l.tensor(data);
  Value result = pointwise(l, op->getLoc(), Input{checked, identityMap(l, indices->rank())},
                           indices->dims, signless(data->element),
                           [&](Scalars &s, ValueRange args) {
                             SmallVector<Value> at;
                             for (int64_t d = 0; d < data->rank(); ++d)
                               at.push_back(d == *axis ? s.toIndex(args[0]) : loopIndex(s, d));
                             return extract(s, source, at);
                           });
  l.setTensor(op, 0, result, indices->dims, data->element);
  return success();
}

/// The static number of coordinates in the last dim of ND indices.
FailureOr<int64_t> coordinates(Lowering &l, Operation *op, Lowered *data, Lowered *indices,
                               int64_t batchDims) {
  if (!indices->isInteger())
    return l.fail(op, "indices are not integers");
  if (batchDims < 0 || batchDims >= std::max<int64_t>(indices->rank(), 1) ||
      batchDims > data->rank())
    return l.fail(op, "batch_dims (" + Twine(batchDims) + ") does not fit the ranks " +
                          Twine(data->rank()) + " and " + Twine(indices->rank()));
  if (indices->rank() == 0)
    return l.fail(op, "indices are a scalar; they need the coordinates as their last dimension");
  std::optional<int64_t> count = staticDim(l.resolve(indices->dims.back()));
  if (!count)
    return l.fail(op, "the last dimension of indices depends on run-time data; make it static");
  if (*count < 1 || *count > data->rank() - batchDims)
    return l.fail(op, "indices have " + Twine(*count) + " coordinates for data of rank " +
                          Twine(data->rank()));
  return *count;
}

LogicalResult lowerGatherND(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0), *indices = l.operand(op, 1);
  int64_t batchDims = l.intAttr(op, "batch_dims", 0);
  FailureOr<int64_t> count = coordinates(l, op, data, indices, batchDims);
  if (failed(count))
    return failure();
  for (int64_t d = 0; d < batchDims; ++d)
    if (failed(l.unify(op, data->dims[d], indices->dims[d], "dimension " + Twine(d))))
      return failure();
  ArrayRef<OpFoldResult> dataDims(data->dims), indexDims(indices->dims);
  Dims dims(indexDims.drop_back());
  ArrayRef<OpFoldResult> rest = dataDims.drop_front(batchDims + *count);
  dims.append(rest.begin(), rest.end());
  ArrayRef<OpFoldResult> sizes = dataDims.slice(batchDims, *count);
  assertNotEmpty(l, op, sizes, dims);
  Value checked = checkedIndices(l, op, indices, sizes);
  Value source = l.tensor(data);
  int64_t indexRank = indices->rank();
  Value result = pointwise(l, op->getLoc(), {}, dims, signless(data->element),
                           [&](Scalars &s, ValueRange) {
                             SmallVector<Value> where, at;
                             for (int64_t d = 0; d < indexRank - 1; ++d)
                               where.push_back(loopIndex(s, d));
                             for (int64_t d = 0; d < batchDims; ++d)
                               at.push_back(where[d]);
                             for (int64_t c = 0; c < *count; ++c) {
                               where.push_back(s.integer(s.builder.getIndexType(), c));
                               at.push_back(s.toIndex(extract(s, checked, where)));
                               where.pop_back();
                             }
                             for (size_t d = 0; d < rest.size(); ++d)
                               at.push_back(loopIndex(s, indexRank - 1 + d));
                             return extract(s, source, at);
                           });
  l.setTensor(op, 0, result, dims, data->element);
  return success();
}

//===----------------------------------------------------------------------===//
// Scatter: every element of the result looks for the updates that hit it, in
// order. No two loop iterations write one place, so that threads may share the
// work; the price is a loop over all updates of a row for each element.
//===----------------------------------------------------------------------===//

enum class Combine { Replace, Add, Mul, Max, Min };

FailureOr<Combine> combination(Lowering &l, Operation *op, Lowered *data) {
  std::string name = l.stringAttr(op, "reduction", "none");
  auto found = llvm::StringSwitch<std::optional<Combine>>(name)
                   .Case("none", Combine::Replace)
                   .Case("add", Combine::Add)
                   .Case("mul", Combine::Mul)
                   .Case("max", Combine::Max)
                   .Case("min", Combine::Min)
                   .Default(std::nullopt);
  if (!found)
    return l.fail(op, "reduction '" + name + "' is not known; use none, add, mul, max or min");
  if (*found != Combine::Replace && !isSupportedFloat(data->element) && !data->isInteger())
    return l.fail(op, "this element type cannot be reduced");
  return *found;
}

Value combine(Scalars &s, Combine how, Value old, Value update, bool isUnsigned) {
  bool isFloat = isa<FloatType>(old.getType());
  switch (how) {
  case Combine::Replace:
    return update;
  case Combine::Add:
    return isFloat ? s.make<arith::AddFOp>(old, update) : s.add(old, update);
  case Combine::Mul:
    return isFloat ? s.make<arith::MulFOp>(old, update) : s.mul(old, update);
  case Combine::Max:
    if (isFloat)
      return s.make<arith::MaximumFOp>(old, update);
    return isUnsigned ? s.make<arith::MaxUIOp>(old, update) : s.max(old, update);
  case Combine::Min:
    if (isFloat)
      return s.make<arith::MinimumFOp>(old, update);
    return isUnsigned ? s.make<arith::MinUIOp>(old, update) : s.min(old, update);
  }
  return update;
}

LogicalResult lowerScatterElements(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0), *indices = l.operand(op, 1), *updates = l.operand(op, 2);
  if (failed(sameRank(l, op, data, indices)))
    return failure();
  if (updates->element != data->element || updates->rank() != data->rank())
    return l.fail(op, "updates and data differ in element type or rank");
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 0), data->rank());
  FailureOr<Combine> how = combination(l, op, data);
  if (failed(axis) || failed(how) ||
      failed(requireWithin(l, op, indices, data, *axis, "indices")))
    return failure();
  for (int64_t d = 0; d < data->rank(); ++d)
    if (failed(l.unify(op, updates->dims[d], indices->dims[d], "dimension " + Twine(d))))
      return failure();

  Location loc = op->getLoc();
  int64_t rank = data->rank();
  Value checked = checkedIndices(l, op, indices, data->dims[*axis]);
  Value source = l.tensor(updates), target = l.tensor(data);
  // Where the updates are smaller than the data, positions past them are clamped
  // and do not count; without any update there is nothing to read.
  SmallVector<Value> bounds(rank);
  SmallVector<OpFoldResult> smaller;
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis && l.resolve(indices->dims[d]) != l.resolve(data->dims[d])) {
      bounds[d] = l.indexValue(indices->dims[d]);
      smaller.push_back(indices->dims[d]);
    }
  assertNotEmpty(l, op, smaller, data->dims);
  // Loops: the dims of the data, then the updates along the axis. The range of the
  // last loop comes from an operand of its own, whose values are not used.
  Value range = l.emptyTensor(loc, indices->dims[*axis], l.builder.getI1Type());
  AffineMap rangeMap = AffineMap::get(rank + 1, 0, l.builder.getAffineDimExpr(rank));
  Value result = generic(
      l, loc, Input{range, rangeMap}, Input{target, mapWithout(l, rank + 1, rank)}, rank,
      [&](Scalars &s, ValueRange args) {
        SmallVector<Value> at;
        Value counts;
        for (int64_t d = 0; d < rank; ++d) {
          Value i = loopIndex(s, d == *axis ? rank : d);
          if (bounds[d]) {
            Value inside = s.compare(arith::CmpIPredicate::ult, i, bounds[d]);
            counts = counts ? s.make<arith::AndIOp>(counts, inside) : inside;
            i = s.select(inside, i, s.integer(s.builder.getIndexType(), 0));
          }
          at.push_back(i);
        }
        Value index = s.toIndex(extract(s, checked, at));
        Value hit = s.compare(arith::CmpIPredicate::eq, index, loopIndex(s, *axis));
        if (counts)
          hit = s.make<arith::AndIOp>(hit, counts);
        Value update = combine(s, *how, args[1], extract(s, source, at), data->isUnsigned());
        return SmallVector<Value>{s.select(hit, update, args[1])};
      })[0];
  l.setTensor(op, 0, result, data->dims, data->element);
  return success();
}

LogicalResult lowerScatterND(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0), *indices = l.operand(op, 1), *updates = l.operand(op, 2);
  FailureOr<int64_t> count = coordinates(l, op, data, indices, 0);
  FailureOr<Combine> how = combination(l, op, data);
  if (failed(count) || failed(how))
    return failure();
  int64_t rank = data->rank(), outer = indices->rank() - 1;
  ArrayRef<OpFoldResult> dataDims(data->dims), indexDims(indices->dims);
  Dims expected(indexDims.drop_back());
  expected.append(dataDims.begin() + *count, dataDims.end());
  if (updates->element != data->element || updates->rank() != static_cast<int64_t>(expected.size()))
    return l.fail(op, "updates have the wrong element type or rank " + Twine(updates->rank()) +
                          "; expected " + Twine(expected.size()));
  for (auto [d, dim] : llvm::enumerate(expected))
    if (failed(l.unify(op, updates->dims[d], dim, "dimension " + Twine(d) + " of updates")))
      return failure();

  Location loc = op->getLoc();
  Value checked = checkedIndices(l, op, indices, dataDims.take_front(*count));
  Value source = l.tensor(updates), target = l.tensor(data);
  // Loops: the dims of the data, then those of the updates' positions.
  int64_t loops = rank + outer;
  SmallVector<AffineExpr> rangeExprs;
  SmallVector<int64_t> reduced;
  for (int64_t d = rank; d < loops; ++d) {
    rangeExprs.push_back(l.builder.getAffineDimExpr(d));
    reduced.push_back(d);
  }
  Value range = l.emptyTensor(loc, indexDims.drop_back(), l.builder.getI1Type());
  AffineMap rangeMap = AffineMap::get(loops, 0, rangeExprs, l.builder.getContext());
  Value result = generic(
      l, loc, Input{range, rangeMap}, Input{target, mapWithout(l, loops, reduced)}, reduced,
      [&](Scalars &s, ValueRange args) {
        SmallVector<Value> position;
        for (int64_t d = 0; d < outer; ++d)
          position.push_back(loopIndex(s, rank + d));
        SmallVector<Value> where = position;
        where.push_back(Value());
        Value hit = s.boolean(true);
        for (int64_t c = 0; c < *count; ++c) {
          where.back() = s.integer(s.builder.getIndexType(), c);
          Value index = s.toIndex(extract(s, checked, where));
          Value same = s.compare(arith::CmpIPredicate::eq, index, loopIndex(s, c));
          hit = s.make<arith::AndIOp>(hit, same);
        }
        SmallVector<Value> at = position;
        for (int64_t d = *count; d < rank; ++d)
          at.push_back(loopIndex(s, d));
        Value update = combine(s, *how, args[1], extract(s, source, at), data->isUnsigned());
        return SmallVector<Value>{s.select(hit, update, args[1])};
      })[0];
  l.setTensor(op, 0, result, data->dims, data->element);
  return success();
}

//===----------------------------------------------------------------------===//
// Made from indices
//===----------------------------------------------------------------------===//

LogicalResult lowerOneHot(Lowering &l, Operation *op) {
  Lowered *indices = l.operand(op, 0), *depth = l.operand(op, 1), *values = l.operand(op, 2);
  if (!indices->isInteger() && !isSupportedFloat(indices->element))
    return l.fail(op, "indices are not numbers");
  FailureOr<SmallVector<Value>> depthElements = l.knownElements(op, 1, "depth");
  if (failed(depthElements))
    return failure();
  if (depthElements->size() != 1 || (!depth->isInteger() && !isSupportedFloat(depth->element)))
    return l.fail(op, "depth is not one number");
  if (values->rank() != 1 || staticDim(values->dims[0]) != 2)
    return l.fail(op, "values are not a vector of two: off and on");
  FailureOr<int64_t> axis =
      l.normalizeAxis(op, l.intAttr(op, "axis", -1), indices->rank() + 1);
  if (failed(axis))
    return failure();
  Scalars scalars = l.scalars(op->getLoc());
  Type i64 = l.builder.getI64Type();
  Value size = castScalar(scalars, (*depthElements)[0], depth->element, i64);
  std::optional<int64_t> known = constantInteger(size);
  if (known && *known < 0)
    return l.fail(op, "depth is " + Twine(*known) + ", less than 0");
  Dims dims = indices->dims;
  dims.insert(dims.begin() + *axis, l.toDim(size));
  Value pair = l.tensor(values), tensor = l.tensor(indices);
  Value result = pointwise(
      l, op->getLoc(), Input{tensor, mapWithout(l, dims.size(), *axis)}, dims,
      signless(values->element), [&](Scalars &s, ValueRange args) {
        Value index = castScalar(s, args[0], indices->element, i64);
        Value isNegative = s.compare(arith::CmpIPredicate::slt, index, s.integer(i64, 0));
        index = s.select(isNegative, s.add(index, size), index);
        // An index outside [-depth, depth) matches nothing: all off.
        Value on = s.compare(arith::CmpIPredicate::eq, index, s.toI64(loopIndex(s, *axis)));
        Type indexType = s.builder.getIndexType();
        return s.select(on, extract(s, pair, s.integer(indexType, 1)),
                        extract(s, pair, s.integer(indexType, 0)));
      });
  l.setTensor(op, 0, result, dims, values->element);
  return success();
}

Value zeroOf(Scalars &s, Type type) {
  return isa<FloatType>(type) ? s.number(type, 0) : s.integer(type, 0);
}

/// Keeps what lies above (column - row >= k) or below the k-th diagonal.
LogicalResult lowerTrilu(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *k = l.operand(op, 1);
  if (x->rank() < 2)
    return l.fail(op, "the input has rank " + Twine(x->rank()) + "; it needs at least 2");
  Type element = signless(x->element), i64 = l.builder.getI64Type();
  if (!isSupportedFloat(element) && !isa<IntegerType>(element))
    return l.fail(op, "this element type has no zero");
  if (k && (!k->isInteger() || staticCount(k->dims) != 1))
    return l.fail(op, "k is not one integer");
  bool upper = l.intAttr(op, "upper", 1);
  Location loc = op->getLoc();
  Scalars scalars = l.scalars(loc);
  Value diagonal = k ? convertInteger(scalars, readScalar(l, loc, k), i64, k->isUnsigned())
                     : scalars.integer(i64, 0);
  int64_t rank = x->rank();
  Value tensor = l.tensor(x);
  Value result = pointwise(l, loc, Input{tensor, identityMap(l, rank)}, x->dims, element,
                           [&](Scalars &s, ValueRange args) {
                             Value offset = s.sub(s.toI64(loopIndex(s, rank - 1)),
                                                  s.toI64(loopIndex(s, rank - 2)));
                             auto predicate = upper ? arith::CmpIPredicate::sge
                                                    : arith::CmpIPredicate::sle;
                             return s.select(s.compare(predicate, offset, diagonal), args[0],
                                             zeroOf(s, element));
                           });
  l.setTensor(op, 0, result, x->dims, x->element);
  return success();
}

LogicalResult lowerEyeLike(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (x->rank() != 2)
    return l.fail(op, "the input has rank " + Twine(x->rank()) + "; it needs a matrix");
  // The importer has worked out the element type from `dtype` or the input.
  auto type = dyn_cast<ShapedType>(op->getResult(0).getType());
  Type onnxElement = type ? type.getElementType() : x->element;
  Type element = signless(onnxElement), i64 = l.builder.getI64Type();
  if (!isSupportedFloat(element) && !isa<IntegerType>(element))
    return l.fail(op, "this element type has no 1");
  int64_t k = l.intAttr(op, "k", 0);
  Value result = pointwise(l, op->getLoc(), {}, x->dims, element, [&](Scalars &s, ValueRange) {
    Value offset = s.sub(s.toI64(loopIndex(s, 1)), s.toI64(loopIndex(s, 0)));
    Value on = s.compare(arith::CmpIPredicate::eq, offset, s.integer(i64, k));
    Value one = isa<FloatType>(element) ? s.number(element, 1) : s.integer(element, 1);
    return s.select(on, one, zeroOf(s, element));
  });
  l.setTensor(op, 0, result, x->dims, onnxElement);
  return success();
}

} // namespace

void sq::registerIndexing(LoweringTable &table) {
  table.add("Gather", 2, lowerGather);
  table.add("GatherElements", 2, lowerGatherElements);
  table.add("GatherND", 2, lowerGatherND);
  table.add("Scatter", 3, lowerScatterElements);
  table.add("ScatterElements", 3, lowerScatterElements);
  table.add("ScatterND", 3, lowerScatterND);
  table.add("OneHot", 3, lowerOneHot);
  table.add("Trilu", 1, lowerTrilu);
  table.add("EyeLike", 1, lowerEyeLike);
}
