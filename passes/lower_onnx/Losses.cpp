/// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: evaluation graphs and the
/// gradients of sensitivity analysis start here.

#include "passes/lower_onnx/Generics.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;
using namespace sq;

namespace {

/// The loss of log probabilities `[N, C, D1, ...]` for class indices `[N, D1, ...]`:
/// -w[t] x[n, t, d], which is 0 where t is `ignore_index`; as it is, summed, or
/// summed and divided by the sum of the weights that took part.
LogicalResult likelihoodLoss(Lowering &l, Operation *op, Value logs, Lowered *scores) {
  Lowered *target = l.operand(op, 1), *weight = l.operand(op, 2);
  if (!target->isInteger())
    return l.fail(op, "the target is not integers");
  if (target->rank() != scores->rank() - 1)
    return l.fail(op, "the target has rank " + Twine(target->rank()) + "; expected " +
                          Twine(scores->rank() - 1));
  if (weight && (weight->rank() != 1 || weight->element != scores->element))
    return l.fail(op, "the weight is not a vector of the input's type, one per class");
  Dims dims = dimsWithout(scores->dims, 1);
  for (auto [d, dim] : llvm::enumerate(dims))
    if (failed(l.unify(op, target->dims[d], dim, "dimension " + Twine(d) + " of the target")))
      return failure();
  if (weight &&
      failed(l.unify(op, weight->dims[0], scores->dims[1], "the weight and the classes")))
    return failure();
  std::string reduction = l.stringAttr(op, "reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean")
    return l.fail(op, "reduction '" + reduction + "' is not known; use none, sum or mean");
  bool ignores = op->hasAttr("ignore_index");
  int64_t ignored = l.intAttr(op, "ignore_index", 0);

  Location loc = op->getLoc();
  Type element = scores->element, type = accumulatorType(element), i64 = l.builder.getI64Type();
  int64_t rank = dims.size();
  assertNotEmpty(l, op, l.resolve(scores->dims[1]), dims);
  Value classes = l.i64Value(scores->dims[1]);
  Value weights = weight ? l.tensor(weight) : Value();
  AffineMap identity = AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
  Value empty = l.emptyTensor(loc, dims, type);
  std::string message = nodeName(op) + ": class index out of range";
  SmallVector<Value> parts = generic(
      l, loc, Input{l.tensor(target), identity}, {{empty, identity}, {empty, identity}}, {},
      [&](Scalars &s, ValueRange args) {
        Value index = convertInteger(s, args[0], i64, target->isUnsigned());
        Value zero = s.integer(i64, 0);
        Value isInside = s.compare(arith::CmpIPredicate::ult, index, classes);
        Value counts = s.boolean(true);
        if (ignores)
          counts = s.compare(arith::CmpIPredicate::ne, index, s.integer(i64, ignored));
        Value isIgnored = s.make<arith::XOrIOp>(counts, s.boolean(true));
        cf::AssertOp::create(s.builder, s.loc, s.make<arith::OrIOp>(isInside, isIgnored),
                             message);
        Value where = s.toIndex(s.select(isInside, index, zero));
        SmallVector<Value> at = {loopIndex(s, 0), where};
        for (int64_t d = 1; d < rank; ++d)
          at.push_back(loopIndex(s, d));
        Value w = weights ? convertFloat(s, extract(s, weights, where), type) : s.number(type, 1);
        w = s.select(counts, w, s.number(type, 0));
        Value x = convertFloat(s, extract(s, logs, at), type);
        Value loss = s.make<arith::NegFOp>(s.make<arith::MulFOp>(x, w));
        // 0 times infinity would be NaN.
        return SmallVector<Value>{s.select(counts, loss, s.number(type, 0)), w};
      });
  auto round = [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], element); };
  if (reduction == "none") {
    Value loss = type == element ? parts[0]
                                 : pointwise(l, loc, Input{parts[0], identity}, dims, element,
                                             round);
    l.setTensor(op, 0, loss, dims, element);
    return success();
  }
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(rank));
  Value zero = l.scalars(loc).number(type, 0);
  auto add = [](Scalars &s, ValueRange args) {
    return s.make<arith::AddFOp>(args[1], args[0]);
  };
  AffineMap scalarMap = AffineMap::get(0, 0, l.builder.getContext());
  Value sum = reduceAxes(l, loc, parts[0], dims, axes, zero, add);
  SmallVector<Input> inputs = {{sum, scalarMap}};
  if (reduction == "mean")
    inputs.push_back({reduceAxes(l, loc, parts[1], dims, axes, zero, add), scalarMap});
  Value loss = pointwise(l, loc, inputs, {}, element, [&](Scalars &s, ValueRange args) {
    Value total = args.size() == 2 ? s.make<arith::DivFOp>(args[0], args[1]) : args[0];
    return convertFloat(s, total, element);
  });
  l.setTensor(op, 0, loss, {}, element);
  return success();
}

LogicalResult requireScores(Lowering &l, Operation *op, Lowered *x) {
  if (isSupportedFloat(x->element) && x->rank() >= 2)
    return success();
  return l.fail(op, "the input is not floats [N, C, D1, ...]");
}

LogicalResult lowerNegativeLogLikelihoodLoss(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (failed(requireScores(l, op, x)))
    return failure();
  return likelihoodLoss(l, op, l.tensor(x), x);
}

LogicalResult lowerSoftmaxCrossEntropyLoss(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (failed(requireScores(l, op, x)))
    return failure();
  Value logs = logSoftmax(l, op->getLoc(), l.tensor(x), x->dims, 1, x->element);
  if (op->getNumResults() > 1)
    l.setTensor(op, 1, logs, x->dims, x->element);
  return likelihoodLoss(l, op, logs, x);
}

} // namespace

void sq::registerLosses(LoweringTable &table) {
  table.add("NegativeLogLikelihoodLoss", 2, lowerNegativeLogLikelihoodLoss);
  table.add("SoftmaxCrossEntropyLoss", 2, lowerSoftmaxCrossEntropyLoss);
}
