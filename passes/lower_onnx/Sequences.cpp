/// Sequences and optionals, of which nothing is left in the program: a sequence is a list
/// of lowered tensors, an optional is what it holds. So lengths, positions and whether an
/// optional holds something must be known before the run.

#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/Regions.h"

using namespace mlir;
using namespace sq;

namespace {

using List = SmallVector<Lowered *, 4>;

LogicalResult setSequence(Lowering &l, Operation *op, unsigned i, List list) {
  for (Lowered *value : list)
    if (value->element != list.front()->element)
      return l.fail(op, "its tensors have elements of types " + dtypeName(list.front()->element) +
                            " and " + dtypeName(value->element) + "; cast one of them");
  Lowered value;
  value.sequence = std::move(list);
  l.set(op->getResult(i), std::move(value));
  return success();
}

FailureOr<List> sequenceOperand(Lowering &l, Operation *op, unsigned i = 0) {
  Lowered *value = l.operand(op, i);
  if (!value->sequence)
    return l.fail(op, "its input " + Twine(i) + " is no sequence");
  return *value->sequence;
}

/// The position that operand i gives, counted from the end when negative, in
/// [0, count); `absent` when it is not given.
FailureOr<int64_t> positionOperand(Lowering &l, Operation *op, unsigned i, int64_t count,
                                   int64_t absent) {
  int64_t position = absent;
  if (l.operand(op, i)) {
    FailureOr<SmallVector<int64_t>> given = l.constantInts(op, i, "position");
    if (failed(given))
      return failure();
    if (given->size() != 1)
      return l.fail(op, "its input `position` is not one integer");
    position = given->front();
  }
  if (position < -count || position >= count)
    return l.fail(op, "position " + Twine(position) + " is outside the sequence; expected " +
                          Twine(-count) + " to " + Twine(count - 1));
  return position < 0 ? position + count : position;
}

LogicalResult lowerConstruct(Lowering &l, Operation *op) {
  List list;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    list.push_back(l.operand(op, i));
    if (!list.back())
      return l.fail(op, "its input " + Twine(i) + " is missing");
  }
  return setSequence(l, op, 0, list);
}

LogicalResult lowerAt(Lowering &l, Operation *op) {
  FailureOr<List> list = sequenceOperand(l, op);
  if (failed(list))
    return failure();
  if (list->empty())
    return l.fail(op, "the sequence is empty");
  FailureOr<int64_t> position = positionOperand(l, op, 1, list->size(), 0);
  if (failed(position))
    return failure();
  l.alias(op->getResult(0), (*list)[*position]);
  return success();
}

LogicalResult lowerInsert(Lowering &l, Operation *op) {
  FailureOr<List> list = sequenceOperand(l, op);
  if (failed(list))
    return failure();
  // It may also go behind the last one; -1 is before that.
  int64_t size = list->size();
  int64_t position = size;
  if (l.operand(op, 2)) {
    FailureOr<SmallVector<int64_t>> given = l.constantInts(op, 2, "position");
    if (failed(given))
      return failure();
    if (given->size() != 1 || given->front() < -size || given->front() > size)
      return l.fail(op, "its input `position` is not one integer from " + Twine(-size) + " to " +
                            Twine(size));
    position = given->front() < 0 ? given->front() + size : given->front();
  }
  list->insert(list->begin() + position, l.operand(op, 1));
  return setSequence(l, op, 0, *list);
}

LogicalResult lowerErase(Lowering &l, Operation *op) {
  FailureOr<List> list = sequenceOperand(l, op);
  if (failed(list))
    return failure();
  if (list->empty())
    return l.fail(op, "the sequence is empty");
  FailureOr<int64_t> position = positionOperand(l, op, 1, list->size(), -1);
  if (failed(position))
    return failure();
  list->erase(list->begin() + *position);
  return setSequence(l, op, 0, *list);
}

LogicalResult lowerLength(Lowering &l, Operation *op) {
  FailureOr<List> list = sequenceOperand(l, op);
  if (failed(list))
    return failure();
  Type i64 = l.builder.getI64Type();
  l.setSplat(op, 0, l.scalars(op->getLoc()).integer(i64, list->size()), {}, i64);
  return success();
}

//===----------------------------------------------------------------------===//
// Splitting and joining
//===----------------------------------------------------------------------===//

/// Each part is a value of its own in the program.
constexpr int64_t maxParts = 4096;

/// The sizes of the parts: all but the last of `split`, a scalar, or those that it lists.
FailureOr<Dims> partSizes(Lowering &l, Operation *op, OpFoldResult size) {
  Lowered *split = l.operand(op, 1);
  if (split && split->rank() > 0) {
    FailureOr<Dims> sizes = l.sizesFrom(op, 1, "split");
    if (failed(sizes))
      return failure();
    OpFoldResult sum = l.indexAttr(0);
    for (OpFoldResult part : *sizes)
      sum = l.add(sum, part);
    if (failed(l.unify(op, sum, size, "the sum of split and the split dimension")))
      return failure();
    return sizes;
  }
  int64_t part = 1;
  if (split) {
    FailureOr<SmallVector<int64_t>> given = l.constantInts(op, 1, "split");
    if (failed(given))
      return failure();
    part = given->front();
  }
  if (part < 1)
    return l.fail(op, "its input `split` is " + Twine(part) + "; parts have at least one element");
  std::optional<int64_t> whole = staticDim(size);
  if (!whole)
    return l.fail(op, "how many parts there are depends on a dimension that is not known before the "
                      "run; fix it with --shape, or list the sizes of the parts");
  if (*whole / part >= maxParts)
    return l.fail(op, "it makes " + Twine(*whole / part) + " parts; fewer than " + Twine(maxParts) +
                          " are supported: split into longer ones");
  Dims sizes(*whole / part, l.indexAttr(part));
  if (*whole % part)
    sizes.push_back(l.indexAttr(*whole % part));
  return sizes;
}

/// `x` without its dim `axis`, which is 1.
Lowered squeezed(Lowering &l, Location loc, Lowered *x, int64_t axis) {
  Lowered result;
  result.element = x->element;
  result.dims = x->dims;
  result.dims.erase(result.dims.begin() + axis);
  if (auto elements = l.elements(x)) {
    result.elements = elements;
  } else {
    result.stored = result.dims;
    result.tensor = l.reshape(loc, l.tensor(x), x->dims, result.dims);
  }
  return result;
}

LogicalResult lowerSplitToSequence(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 0), x->rank());
  if (failed(axis))
    return failure();
  FailureOr<Dims> sizes = partSizes(l, op, l.resolve(x->dims[*axis]));
  if (failed(sizes))
    return failure();
  bool dropsDim = !l.operand(op, 1) && l.intAttr(op, "keepdims", 1) == 0;
  List list;
  OpFoldResult offset = l.indexAttr(0);
  for (OpFoldResult size : *sizes) {
    Lowered part = sliceAlong(l, op->getLoc(), x, *axis, offset, size);
    list.push_back(l.addValue(dropsDim ? squeezed(l, op->getLoc(), &part, *axis) : part));
    offset = l.add(offset, size);
  }
  return setSequence(l, op, 0, list);
}

LogicalResult lowerConcatFromSequence(Lowering &l, Operation *op) {
  FailureOr<List> list = sequenceOperand(l, op);
  if (failed(list))
    return failure();
  if (list->empty())
    return l.fail(op, "the sequence is empty: the result has no shape");
  bool newAxis = l.intAttr(op, "new_axis", 0) != 0;
  FailureOr<int64_t> axis =
      l.normalizeAxis(op, l.intAttr(op, "axis", 0), list->front()->rank() + newAxis);
  if (failed(axis))
    return failure();
  FailureOr<Lowered> joined = newAxis ? stack(l, op, *list, *axis) : concatenate(l, op, *list, *axis);
  if (failed(joined))
    return failure();
  l.set(op->getResult(0), *joined);
  return success();
}

/// Its body once for each element; inputs that are tensors are the same each time.
LogicalResult lowerMap(Lowering &l, Operation *op) {
  Block *body = regionOf(l, op, "body");
  FailureOr<List> first = sequenceOperand(l, op);
  if (!body || failed(first))
    return failure();
  if (body->getNumArguments() != op->getNumOperands() ||
      body->getTerminator()->getNumOperands() != op->getNumResults())
    return l.fail(op, "its body does not fit its inputs and outputs");
  SmallVector<List> lists(op->getNumResults());
  for (size_t at = 0; at < first->size(); ++at) {
    for (unsigned i = 0; i < op->getNumOperands(); ++i) {
      Lowered *input = l.operand(op, i);
      if (!input)
        return l.fail(op, "its input " + Twine(i) + " is missing");
      if (input->sequence && input->sequence->size() != first->size())
        return l.fail(op, "its sequences have " + Twine(first->size()) + " and " +
                              Twine(input->sequence->size()) + " tensors");
      l.alias(body->getArgument(i), input->sequence ? (*input->sequence)[at] : input);
    }
    SmallVector<Lowered *> results = lowerBody(l, op, *body);
    if (results.empty())
      return failure();
    for (auto [list, result] : llvm::zip_equal(lists, results))
      list.push_back(result);
  }
  for (auto [i, list] : llvm::enumerate(lists))
    if (failed(setSequence(l, op, i, list)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Optionals
//===----------------------------------------------------------------------===//

LogicalResult lowerOptional(Lowering &l, Operation *op) {
  if (Lowered *value = l.operand(op, 0)) {
    l.alias(op->getResult(0), value);
    return success();
  }
  Lowered absent;
  absent.isAbsent = true;
  l.set(op->getResult(0), absent);
  return success();
}

LogicalResult lowerHasElement(Lowering &l, Operation *op) {
  Lowered *value = l.operand(op, 0);
  l.setSplat(op, 0, l.scalars(op->getLoc()).boolean(value && !value->isAbsent), {},
             l.builder.getI1Type());
  return success();
}

LogicalResult lowerGetElement(Lowering &l, Operation *op) {
  Lowered *value = l.operand(op, 0);
  if (value->isAbsent)
    return l.fail(op, "the optional holds nothing");
  l.alias(op->getResult(0), value);
  return success();
}

} // namespace

void sq::registerSequences(LoweringTable &table) {
  table.takesLists("Identity", 0, 1);
  table.addUndeclared("SequenceConstruct", 1, 0, lowerConstruct);
  table.addUndeclared("SequenceEmpty", 0, 0,
                      [](Lowering &l, Operation *op) { return setSequence(l, op, 0, {}); });
  table.addUndeclared("SequenceAt", 2, 1, lowerAt);
  table.addUndeclared("SequenceInsert", 2, 1, lowerInsert);
  table.addUndeclared("SequenceErase", 1, 1, lowerErase);
  table.addUndeclared("SequenceLength", 1, 1, lowerLength);
  table.addUndeclared("SplitToSequence", 1, 0, lowerSplitToSequence);
  table.addUndeclared("ConcatFromSequence", 1, 1, lowerConcatFromSequence);
  table.addUndeclared("SequenceMap", 1, UINT_MAX, lowerMap);
  table.addUndeclared("Optional", 0, 1, lowerOptional);
  table.addUndeclared("OptionalHasElement", 0, 1, lowerHasElement);
  table.addUndeclared("OptionalGetElement", 1, 1, lowerGetElement);
}
