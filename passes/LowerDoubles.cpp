#include "passes/LowerDoubles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "passes/differentiate/Attention.h"
#include "passes/differentiate/Tensors.h"

using namespace mlir;
using namespace sq;

static Value lower(Tensors &t, SoftmaxOp op) {
  Value x = op.getX();
  SmallVector<OpFoldResult> sizes = t.sizes(x);
  sizes.pop_back();
  Value lowest = t.filled(-std::numeric_limits<double>::infinity(), sizes,
                          t.b.getF64Type());
  Value most = reduceRows(
      t.b, {like(t.b, x)}, lowest, [](ImplicitLocOpBuilder &b, ValueRange v) {
        return arith::MaximumFOp::create(b, v[1], v[0]).getResult();
      });
  Value e = t.map({x, most}, [](ScalarMath &s, ValueRange v) -> Value {
    return math::ExpOp::create(s.b, s.sub(v[0], v[1]));
  });
  Value sum = t.sumRows({e}, [](ScalarMath &, ValueRange v) { return v[0]; });
  return t.map({e, sum},
               [](ScalarMath &s, ValueRange v) { return s.div(v[0], v[1]); });
}

/// x times 1 / sqrt(mean of squares + epsilon) times scale.
static Value normalize(Tensors &t, Value x, Value scale, double epsilon) {
  Value size = t.extent(x, Tensors::rankOf(x) - 1);
  Value squares = t.sumRows(
      {x}, [](ScalarMath &s, ValueRange v) { return s.mul(v[0], v[0]); });
  return t.map({x, squares},
               [&](ScalarMath &s, ValueRange v) {
                 Value sigma = math::SqrtOp::create(
                     s.b, s.add(s.div(v[1], size), s.number(epsilon)));
                 return s.mul(s.div(v[0], sigma), v[2]);
               },
               {scale});
}

static Value lower(Tensors &t, LayerNormOp op) {
  Value size = t.extent(op.getX(), Tensors::rankOf(op.getX()) - 1);
  Value sum =
      t.sumRows({op.getX()}, [](ScalarMath &, ValueRange v) { return v[0]; });
  Value centred = t.map({op.getX(), sum}, [&](ScalarMath &s, ValueRange v) {
    return s.sub(v[0], s.div(v[1], size));
  });
  Value y =
      normalize(t, centred, op.getScale(), op.getEpsilon().convertToFloat());
  if (op.getBias())
    y = t.map({y},
              [](ScalarMath &s, ValueRange v) { return s.add(v[0], v[1]); },
              {op.getBias()});
  return y;
}

static Value lower(Tensors &t, AttentionOp op) {
  int64_t groups = Tensors::typeOf(op.getK()).getDimSize(2);
  Value q = groupHeads(t, op.getQ(), groups),
        k = groupHeads(t, op.getK(), groups),
        v = groupHeads(t, op.getV(), groups);
  return ungroupHeads(t, t.matmul(attentionProbabilities(t, op, q, k), v),
                      op.getOuts());
}

bool sq::lowerDouble(Operation *op, RewriterBase &rewriter) {
  if (!isa<SoftmaxOp, LayerNormOp, RmsNormOp, AttentionOp>(op) ||
      op->getNumResults() != 1 ||
      !getElementTypeOrSelf(op->getResult(0).getType()).isF64())
    return false;
  ImplicitLocOpBuilder b(op->getLoc(), rewriter);
  Tensors t{b};
  Value y;
  if (auto o = dyn_cast<SoftmaxOp>(op)) {
    y = lower(t, o);
  } else if (auto o = dyn_cast<LayerNormOp>(op)) {
    y = lower(t, o);
  } else if (auto o = dyn_cast<RmsNormOp>(op)) {
    y = normalize(t, o.getX(), o.getScale(), o.getEpsilon().convertToFloat());
  } else {
    auto attention = cast<AttentionOp>(op);
    if (Tensors::typeOf(attention.getQ()).isDynamicDim(2) ||
        Tensors::typeOf(attention.getK()).isDynamicDim(2))
      return false;
    y = lower(t, attention);
  }
  rewriter.replaceOp(op, t.castTo(y, op->getResult(0).getType()));
  return true;
}
