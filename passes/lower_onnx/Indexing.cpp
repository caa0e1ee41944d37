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
    if (*constants && (*constants)->size() == 1) {
      Dims offsets(data->rank(), l.indexAttr(0)), strides(data->rank(), l.indexAttr(1));
      offsets[*axis] = l.indexAttr((**constants)[0]);
      Dims sizes = data->dims;
      sizes[*axis] = l.indexAttr(1);
      Value slice = sliceOf(l, loc, l.tensor(data), offsets, sizes, strides, sizes, data->element);
      l.setTensor(op, 0, l.reshape(loc, slice, sizes, dims), dims, data->element);
      return success();
    }
  }

  assertNotEmpty(l, op, size, dims);
  Value checked = checkedIndices(l, op, indices, size);
  Value source = l.tensor(data);
  if (data->constant && data->rank() == 2 && *axis == 0 && isSupportedFloat(data->element)) {
    Value init = l.emptyTensor(loc, dims, data->element);
    Value rows = EmbeddingOp::create(l.builder, loc, TypeRange(init.getType()), checked, source, /*scales=*/ValueRange(), init)
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
// Scatter
//===----------------------------------------------------------------------===//

/// The reduction in the spelling of `sq.scatter`.
FailureOr<std::string> reductionOf(Lowering &l, Operation *op, Lowered *data) {
  std::string name = l.stringAttr(op, "reduction", "none");
  if (!llvm::is_contained({"none", "add", "mul", "max", "min"}, name))
    return l.fail(op, "reduction '" + name + "' is not known; use none, add, mul, max or min");
  if (name != "none" && !isSupportedFloat(data->element) && !data->isInteger())
    return l.fail(op, "this element type cannot be reduced");
  return name == "none" ? "replace" : name;
}

/// `data` as [p, n, q] with rows `indices` [p, r] overwritten by `updates` [p, r, q].
Value scatter(Lowering &l, Location loc, StringRef reduction, Value indices, Value updates,
              Value data, bool isUnsigned) {
  return ScatterOp::create(l.builder, loc, TypeRange(data.getType()), indices, updates, data,
                           reduction, isUnsigned)
      .getResult()[0];
}

LogicalResult lowerScatterElements(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0), *indices = l.operand(op, 1), *updates = l.operand(op, 2);
  if (failed(sameRank(l, op, data, indices)))
    return failure();
  if (updates->element != data->element || updates->rank() != data->rank())
    return l.fail(op, "updates and data differ in element type or rank");
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 0), data->rank());
  FailureOr<std::string> reduction = reductionOf(l, op, data);
  if (failed(axis) || failed(reduction) ||
      failed(requireWithin(l, op, indices, data, *axis, "indices")))
    return failure();
  for (int64_t d = 0; d < data->rank(); ++d)
    if (failed(l.unify(op, updates->dims[d], indices->dims[d], "dimension " + Twine(d))))
      return failure();

  // Lines along the axis, each with its own indices: [lines, n, 1]. Where the updates
  // cover only some of the lines, the others get none.
  Location loc = op->getLoc();
  int64_t rank = data->rank();
  Type element = signless(data->element), i64 = l.builder.getI64Type();
  Value checked = checkedIndices(l, op, indices, data->dims[*axis]);
  Value given = l.tensor(updates), target = l.tensor(data);
  Dims wide = data->dims; // of the updates, as many lines as the data have
  wide[*axis] = indices->dims[*axis];
  SmallVector<Value> bounds(rank);
  bool isPart = false;
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis && l.resolve(indices->dims[d]) != l.resolve(data->dims[d])) {
      bounds[d] = l.indexValue(indices->dims[d]);
      isPart = true;
    }
  if (isPart) {
    auto widened = [&](Value source, Type type, int64_t absent) {
      return pointwise(l, loc, {}, wide, type, [&](Scalars &s, ValueRange) {
        Value zero = s.integer(s.builder.getIndexType(), 0), isInside = s.boolean(true);
        SmallVector<Value> at;
        for (int64_t d = 0; d < rank; ++d) {
          Value i = loopIndex(s, d);
          if (bounds[d]) {
            Value here = s.compare(arith::CmpIPredicate::ult, i, bounds[d]);
            isInside = s.make<arith::AndIOp>(isInside, here);
            i = s.select(here, i, zero);
          }
          at.push_back(i);
        }
        Value otherwise = isa<FloatType>(type) ? s.number(type, absent) : s.integer(type, absent);
        return s.select(isInside, extract(s, source, at), otherwise);
      });
    };
    assertNotEmpty(l, op, indices->dims, wide);
    checked = widened(checked, i64, -1);
    given = widened(given, element, 0);
  }
  SmallVector<int64_t> perm, back(rank);
  for (int64_t d = 0; d < rank; ++d)
    if (d != *axis)
      perm.push_back(d);
  perm.push_back(*axis);
  Dims lines, permuted;
  for (auto [to, from] : llvm::enumerate(perm)) {
    back[from] = to;
    permuted.push_back(data->dims[from]);
  }
  OpFoldResult count = l.product(ArrayRef<OpFoldResult>(permuted).drop_back());
  OpFoldResult size = data->dims[*axis], updateSize = wide[*axis], one = l.indexAttr(1);
  auto asLines = [&](Value tensor, Dims dims, OpFoldResult length, bool isMatrix) {
    tensor = l.transpose(loc, tensor, dims, perm);
    Dims permutedDims;
    for (int64_t from : perm)
      permutedDims.push_back(dims[from]);
    Dims to = {count, length};
    if (!isMatrix)
      to.push_back(one);
    return l.reshape(loc, tensor, permutedDims, to);
  };
  Value result = scatter(l, loc, *reduction, asLines(checked, wide, updateSize, true),
                         asLines(given, wide, updateSize, false),
                         asLines(target, data->dims, size, false), data->isUnsigned());
  result = l.reshape(loc, result, {count, size, one}, permuted);
  result = l.transpose(loc, result, permuted, back);
  l.setTensor(op, 0, result, data->dims, data->element);
  return success();
}

LogicalResult lowerScatterND(Lowering &l, Operation *op) {
  Lowered *data = l.operand(op, 0), *indices = l.operand(op, 1), *updates = l.operand(op, 2);
  FailureOr<int64_t> count = coordinates(l, op, data, indices, 0);
  FailureOr<std::string> reduction = reductionOf(l, op, data);
  if (failed(count) || failed(reduction))
    return failure();
  ArrayRef<OpFoldResult> dataDims(data->dims), indexDims(indices->dims);
  Dims expected(indexDims.drop_back());
  expected.append(dataDims.begin() + *count, dataDims.end());
  if (updates->element != data->element || updates->rank() != static_cast<int64_t>(expected.size()))
    return l.fail(op, "updates have the wrong element type or rank " + Twine(updates->rank()) +
                          "; expected " + Twine(expected.size()));
  for (auto [d, dim] : llvm::enumerate(expected))
    if (failed(l.unify(op, updates->dims[d], dim, "dimension " + Twine(d) + " of updates")))
      return failure();

  // The coordinates as one number: rows [n, q] of the data.
  Location loc = op->getLoc();
  Type i64 = l.builder.getI64Type();
  Value checked = checkedIndices(l, op, indices, dataDims.take_front(*count));
  SmallVector<Value> sizes;
  for (OpFoldResult dim : dataDims.take_front(*count))
    sizes.push_back(l.i64Value(dim));
  int64_t outer = indices->rank() - 1;
  Value rows = pointwise(l, loc, {}, indexDims.drop_back(), i64, [&](Scalars &s, ValueRange) {
    SmallVector<Value> at;
    for (int64_t d = 0; d < outer; ++d)
      at.push_back(loopIndex(s, d));
    at.push_back(Value());
    Value row = s.integer(i64, 0);
    for (int64_t c = 0; c < *count; ++c) {
      at.back() = s.integer(s.builder.getIndexType(), c);
      row = s.add(s.mul(row, s.bring(sizes[c])), extract(s, checked, at));
    }
    return row;
  });
  OpFoldResult one = l.indexAttr(1), number = l.product(indexDims.drop_back());
  OpFoldResult n = l.product(dataDims.take_front(*count)), q = l.product(dataDims.drop_front(*count));
  Value result = scatter(l, loc, *reduction, l.reshape(loc, rows, indexDims.drop_back(), {one, number}),
                         l.reshape(loc, l.tensor(updates), updates->dims, {one, number, q}),
                         l.reshape(loc, l.tensor(data), data->dims, {one, n, q}), data->isUnsigned());
  l.setTensor(op, 0, l.reshape(loc, result, {one, n, q}, data->dims), data->dims, data->element);
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
  size = l.atLeastZero(op, size, "depth");
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
