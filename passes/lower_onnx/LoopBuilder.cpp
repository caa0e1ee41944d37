#include "passes/lower_onnx/LoopBuilder.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sq;

Lowered LoopBuilder::asLowered(const Carried &carried, ArrayRef<Value> values) {
  Lowered value;
  value.element = carried.element;
  value.dims = carried.dims;
  if (carried.isScalars) {
    value.elements = SmallVector<Value>(values);
  } else {
    value.tensor = values.front();
    value.stored = carried.dims;
  }
  return value;
}

Lowered LoopBuilder::carry(Lowered *initial) {
  Carried carried{initial->element, initial->dims, {}, {}, {}, {}, travelsAsScalars(l, initial)};
  for (OpFoldResult &dim : carried.dims)
    dim = l.resolve(dim);
  OpBuilder::InsertionGuard guard(l.builder);
  l.builder.setInsertionPoint(draft);
  if (carried.isScalars) {
    carried.initial = *l.elements(initial);
  } else {
    // A copy: the loop overwrites it.
    Value memory = ownMemory(l, loc, carried.dims, carried.element);
    carried.initial = {writeTo(l, loc, initial, memory)};
  }
  for (Value value : carried.initial)
    carried.arguments.push_back(body()->addArgument(value.getType(), loc));
  carriedValues.push_back(carried);
  return asLowered(carried, carried.arguments);
}

/// What `tensor` is a view of.
static Value viewedBy(Value tensor) {
  while (Operation *view = tensor.getDefiningOp()) {
    if (!isa<tensor::CastOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp,
             tensor::ExtractSliceOp, tensor::ReshapeOp>(view))
      break;
    tensor = view->getOperand(0);
  }
  return tensor;
}

LogicalResult LoopBuilder::setNext(unsigned i, Lowered *value) {
  Carried &carried = carriedValues[i];
  if (!value->isTensor()) {
    changedShape = true;
    return failure();
  }
  if (value->element != carried.element || value->rank() != int64_t(carried.dims.size())) {
    if (value->element != carried.element)
      return l.fail(op, "carried value " + Twine(i) + " changes its element type");
    changedShape = true;
    return failure();
  }
  for (auto [dim, next] : llvm::zip(carried.dims, value->dims)) {
    OpFoldResult a = l.resolve(dim), b = l.resolve(next);
    if (a == b)
      continue;
    // Equal by chance at most: unless unrolled, the run must find them equal.
    if (staticDim(a) && staticDim(b)) {
      changedShape = true;
      return failure();
    }
    if (failed(l.unify(op, a, b, "a dimension of carried value " + Twine(i))))
      return failure();
  }
  if (carried.isScalars) {
    auto elements = l.readElements(op, value, "carried value " + Twine(i));
    if (failed(elements))
      return failure();
    carried.next = *elements;
    return success();
  }
  Value argument = carried.arguments.front(), tensor = l.tensor(value);
  if (tensor == argument) {
    carried.next = {argument};
    return success();
  }
  Lowered source = *value;
  source.tensor = tensor;
  source.stored = value->dims;
  if (auto viewed = dyn_cast<BlockArgument>(viewedBy(tensor)); viewed && viewed.getOwner() == body()) {
    // It may be overwritten before it is read.
    Value memory = ownMemory(l, loc, value->dims, value->element);
    source.tensor = writeTo(l, loc, &source, memory);
  }
  carried.source = source;
  return success();
}

void LoopBuilder::writeNext() {
  for (Carried &carried : carriedValues)
    if (carried.source.tensor)
      carried.next = {writeTo(l, loc, &carried.source, carried.arguments.front())};
}

LogicalResult LoopBuilder::collect(Lowered *value, int64_t axis, OpFoldResult count,
                                   Value position) {
  std::optional<Dims> dims = dimsBefore(l, value->dims, draft, draft);
  if (!dims)
    return l.fail(op, "the shape of a scan output changes from iteration to iteration, or depends "
                      "on data that only an iteration computes");
  Carried carried{value->element, *dims, {}, {}, {}, {}, false};
  carried.dims.insert(carried.dims.begin() + axis, count);
  {
    OpBuilder::InsertionGuard guard(l.builder);
    l.builder.setInsertionPoint(draft);
    carried.initial = {l.emptyTensor(loc, carried.dims, carried.element)};
  }
  carried.arguments = {body()->addArgument(carried.initial.front().getType(), loc)};
  Dims offsets(carried.dims.size(), l.indexAttr(0)), strides(carried.dims.size(), l.indexAttr(1));
  Dims sizes = carried.dims;
  offsets[axis] = position;
  sizes[axis] = l.indexAttr(1);
  Value part = l.tensor(value);
  if (auto type = tensorType(*dims, value->element); part.getType() != type)
    part = tensor::CastOp::create(l.builder, loc, type, part);
  carried.next = {tensor::InsertSliceOp::create(l.builder, loc, part, carried.arguments.front(),
                                                offsets, sizes, strides)};
  collectedValues.push_back(carried);
  return success();
}

SmallVector<Value> LoopBuilder::all(SmallVector<Value> Carried::*values) {
  SmallVector<Value> result;
  for (auto *list : {&carriedValues, &collectedValues})
    for (Carried &carried : *list)
      llvm::append_range(result, carried.*values);
  return result;
}

void LoopBuilder::setResults(ValueRange values) {
  for (auto *list : {&carriedValues, &collectedValues}) {
    for (Carried &carried : *list) {
      carried.results = llvm::to_vector(values.take_front(carried.initial.size()));
      values = values.drop_front(carried.initial.size());
    }
  }
}

void LoopBuilder::finish(Value count) {
  auto loop = scf::ForOp::create(l.builder, loc, index(0), count, index(1), all(&Carried::initial));
  loop.getRegion().takeBody(draft.getRegion());
  OpBuilder end = OpBuilder::atBlockEnd(loop.getBody());
  scf::YieldOp::create(end, loc, all(&Carried::next));
  draft.erase();
  draft = nullptr;
  setResults(loop.getResults());
}

void LoopBuilder::finishWhile(Value count, Value first, Value next) {
  SmallVector<Value> initial = {index(0), first};
  llvm::append_range(initial, all(&Carried::initial));
  SmallVector<Type> types = llvm::map_to_vector(initial, [](Value v) { return v.getType(); });
  Value one = index(1);
  Block *block = body();
  block->insertArgument(1u, l.builder.getI1Type(), loc);
  auto loop = scf::WhileOp::create(l.builder, loc, types, initial);
  loop.getAfter().takeBody(draft.getRegion());
  {
    OpBuilder end = OpBuilder::atBlockEnd(block);
    SmallVector<Value> yields = {arith::AddIOp::create(end, loc, block->getArgument(0), one), next};
    llvm::append_range(yields, all(&Carried::next));
    scf::YieldOp::create(end, loc, yields);
  }
  OpBuilder::InsertionGuard guard(l.builder);
  Block *before = l.builder.createBlock(&loop.getBefore(), {}, types,
                                        SmallVector<Location>(types.size(), loc));
  Value goesOn = before->getArgument(1);
  if (count)
    goesOn = arith::AndIOp::create(
        l.builder, loc, goesOn,
        arith::CmpIOp::create(l.builder, loc, arith::CmpIPredicate::slt, before->getArgument(0),
                              count));
  scf::ConditionOp::create(l.builder, loc, goesOn, before->getArguments());
  draft.erase();
  draft = nullptr;
  iterations = loop.getResult(0);
  setResults(loop.getResults().drop_front(2));
}
