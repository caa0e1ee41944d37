// Vector-Jacobian products of losses: g is the cotangent of a sample's loss.

#include "passes/differentiate/Losses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include "passes/differentiate/Models.h"
#include "passes/differentiate/VjpModel.h"

using namespace mlir;
using namespace sq;

/// Which dims of a tensor of `rank` dims join: its samples, all between, the
/// `last` ones.
static SmallVector<ReassociationIndices> sampleGroups(int64_t rank,
                                                      int64_t last) {
  SmallVector<ReassociationIndices> groups = {{0}, dimRange(1, rank - last)};
  if (last)
    groups.push_back({rank - 1});
  return groups;
}

Value sq::asSamples(Tensors &t, Value v, int64_t last) {
  int64_t rank = Tensors::rankOf(v);
  if (rank > 1 + last)
    return t.collapse(v, sampleGroups(rank, last));
  SmallVector<OpFoldResult> sizes = t.sizes(v);
  sizes.insert(sizes.begin() + 1, t.b.getIndexAttr(1));
  SmallVector<ReassociationIndices> groups = {{0, 1}};
  if (last)
    groups.push_back({2});
  return t.expand(v, groups, sizes);
}

/// [b, n, (last)] as what it was made of.
static Value fromSamples(Tensors &t, Value v, Value like, int64_t last) {
  int64_t rank = Tensors::rankOf(like);
  if (rank > 1 + last)
    v = t.expand(v, sampleGroups(rank, last), t.sizes(like));
  else
    v = t.collapse(v, last ? ArrayRef<ReassociationIndices>{{0, 1}, {2}}
                           : ArrayRef<ReassociationIndices>{{0, 1}});
  return t.castTo(v, like.getType());
}

Value sq::countLabels(Tensors &t, Value labels, Type element) {
  Value zeros = t.filled(0, {t.sizes(labels)[0]}, element);
  Value count = reduceRows(
      t.b, {like(t.b, labels)}, zeros,
      [&](ImplicitLocOpBuilder &b, ValueRange v) {
        ScalarMath s{b, element};
        Value zero = arith::ConstantOp::create(b, b.getI64IntegerAttr(0));
        Value counts =
            arith::CmpIOp::create(b, arith::CmpIPredicate::sge, v[0], zero);
        return s.add(
            v[1], arith::SelectOp::create(b, counts, s.number(1), s.number(0)));
      });
  return t.map({count}, [](ScalarMath &s, ValueRange v) {
    return arith::MaximumFOp::create(s.b, v[0], s.number(1)).getResult();
  });
}

static Value softmax(Tensors &t, Value x) {
  Value init = t.emptyLike(x);
  return SoftmaxOp::create(t.b, TypeRange(init.getType()), x, init)
      .getResult()[0];
}

namespace {

/// dx = g / count (softmax(x) - onehot(label)) where a label counts, 0
/// elsewhere.
LogicalResult buildCrossEntropy(CrossEntropyOp op, Tensors &t,
                                ValueRange cotangents, Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  Value x = op.getLogits(), labels = asSamples(t, op.getLabels(), 0);
  Type element = Tensors::typeOf(x).getElementType();
  Value share =
      t.map({cotangents[0], countLabels(t, labels, element)},
            [](ScalarMath &s, ValueRange v) { return s.div(v[0], v[1]); });
  Value p = asSamples(t, softmax(t, x), 1);
  AffineMap rows = b.getMultiDimIdentityMap(3).getMajorSubMap(2),
            samples = b.getMultiDimIdentityMap(3).getMajorSubMap(1);
  Value dx = pointwise(
      b, {like(b, p), {labels, rows}, {share, samples}}, t.emptyLike(p),
      [&](ImplicitLocOpBuilder &ib, ValueRange v) -> Value {
        ScalarMath s{ib, element};
        Value zero = arith::ConstantOp::create(ib, ib.getI64IntegerAttr(0));
        Value at = arith::IndexCastOp::create(ib, ib.getI64Type(),
                                              linalg::IndexOp::create(ib, 2));
        Value isLabel =
            arith::CmpIOp::create(ib, arith::CmpIPredicate::eq, at, v[1]);
        Value counts =
            arith::CmpIOp::create(ib, arith::CmpIPredicate::sge, v[1], zero);
        Value hot =
            arith::SelectOp::create(ib, isLabel, s.number(1), s.number(0));
        Value d = s.mul(v[2], s.sub(v[0], hot));
        return arith::SelectOp::create(ib, counts, d, s.number(0));
      });
  gradients.add(x, fromSamples(t, dx, x, 1));
  return success();
}

/// g / n by the number of rows (or elements) of a sample, [b].
Value meanShare(Tensors &t, Value g, Value samples, bool byElement) {
  Value count = t.extent(samples, 1);
  return t.map({g}, [&](ScalarMath &s, ValueRange v) {
    return s.div(byElement ? s.mul(s.number(2), v[0]) : v[0], count);
  });
}

/// Adds share (x - reference), samples first, for what `x` was made of.
void addDifference(Tensors &t, Value of, Value x, Value reference, Value share,
                   int64_t last, Gradients &gradients) {
  Value dx = t.map({x, reference, share}, [](ScalarMath &s, ValueRange v) {
    return s.mul(v[2], s.sub(v[0], v[1]));
  });
  gradients.add(of, fromSamples(t, dx, of, last));
}

LogicalResult checkReference(Operation *op, Value reference,
                             Gradients &gradients) {
  if (gradients.needs(reference))
    return op->emitOpError(
        "has no derivative by its reference; that is to be given");
  return success();
}

/// dx = g / n (softmax(x) - softmax(reference)).
LogicalResult buildKlDivergence(KlDivergenceOp op, Tensors &t,
                                ValueRange cotangents, Gradients &gradients) {
  if (failed(checkReference(op, op.getReference(), gradients)))
    return failure();
  Value q = asSamples(t, softmax(t, op.getLogits()), 1),
        p = asSamples(t, softmax(t, op.getReference()), 1);
  addDifference(t, op.getLogits(), q, p, meanShare(t, cotangents[0], q, false),
                1, gradients);
  return success();
}

/// dx = 2 g / n (x - reference).
LogicalResult buildSquaredError(SquaredErrorOp op, Tensors &t,
                                ValueRange cotangents, Gradients &gradients) {
  if (failed(checkReference(op, op.getReference(), gradients)))
    return failure();
  Value x = asSamples(t, op.getX(), 0),
        reference = asSamples(t, op.getReference(), 0);
  addDifference(t, op.getX(), x, reference,
                meanShare(t, cotangents[0], x, true), 0, gradients);
  return success();
}

} // namespace

void sq::registerLossVjps(MLIRContext &context) {
  attachVjp<CrossEntropyOp, buildCrossEntropy>(context);
  attachVjp<KlDivergenceOp, buildKlDivergence>(context);
  attachVjp<SquaredErrorOp, buildSquaredError>(context);
}
