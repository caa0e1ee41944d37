//===-- LowerLosses.cpp - losses as loops
//--------------------------------------===//
//
// [b, i.., c] is [b, n, c] here. Sums over classes are rows of their own, so
// that no loop is nested deeper than it must be.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"

#include "passes/Passes.h"
#include "passes/differentiate/Losses.h"

namespace sq {
#define GEN_PASS_DEF_LOWERLOSSESPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using namespace sq;

namespace {

/// max_c x and log sum_c exp(x - max), of each row of x [b, n, c]: [b, n] each.
std::pair<Value, Value> logSumExp(Tensors &t, Value x) {
  Type element = Tensors::typeOf(x).getElementType();
  SmallVector<OpFoldResult> sizes = t.sizes(x);
  sizes.pop_back();
  Value lowest =
      t.filled(-std::numeric_limits<double>::infinity(), sizes, element);
  Value most = reduceRows(
      t.b, {like(t.b, x)}, lowest, [](ImplicitLocOpBuilder &b, ValueRange v) {
        return arith::MaximumFOp::create(b, v[1], v[0]).getResult();
      });
  Value sum = t.sumRows({x, most}, [](ScalarMath &s, ValueRange v) -> Value {
    return math::ExpOp::create(s.b, s.sub(v[0], v[1]));
  });
  return {most, t.map({sum}, [](ScalarMath &s, ValueRange v) -> Value {
            return math::LogOp::create(s.b, v[0]);
          })};
}

Value lower(Tensors &t, CrossEntropyOp op) {
  Value x = asSamples(t, op.getLogits(), 1),
        labels = asSamples(t, op.getLabels(), 0);
  Type element = Tensors::typeOf(x).getElementType();
  auto [most, log] = logSumExp(t, x);
  Value classes = arith::IndexCastOp::create(t.b, t.b.getI64Type(),
                                             tensor::DimOp::create(t.b, x, 2));
  Value losses = pointwise(
      t.b, {like(t.b, labels), like(t.b, most), like(t.b, log)},
      t.empty(t.sizes(labels), element),
      [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
        ScalarMath s{b, element};
        Value zero = arith::ConstantOp::create(b, b.getI64IntegerAttr(0));
        Value isClass =
            arith::CmpIOp::create(b, arith::CmpIPredicate::ult, v[0], classes);
        Value at = arith::IndexCastOp::create(
            b, b.getIndexType(),
            arith::SelectOp::create(b, isClass, v[0], zero));
        Value row = linalg::IndexOp::create(b, 0),
              column = linalg::IndexOp::create(b, 1);
        Value logit =
            tensor::ExtractOp::create(b, x, ValueRange{row, column, at});
        Value loss = s.sub(v[2], s.sub(logit, v[1]));
        loss = arith::SelectOp::create(
            b, isClass, loss,
            s.number(std::numeric_limits<double>::quiet_NaN()));
        Value counts =
            arith::CmpIOp::create(b, arith::CmpIPredicate::sge, v[0], zero);
        return arith::SelectOp::create(b, counts, loss, s.number(0));
      });
  Value sum = t.sumRows({losses}, [](ScalarMath &, ValueRange v) { return v[0]; });
  return t.map({sum, countLabels(t, labels, element)},
               [](ScalarMath &s, ValueRange v) { return s.div(v[0], v[1]); });
}

/// The mean over all of [b, n] but the samples.
Value meanOfSamples(Tensors &t, Value v) {
  Value count = t.extent(v, 1);
  Value sum = t.sumRows({v}, [](ScalarMath &, ValueRange a) { return a[0]; });
  return t.map({sum},
               [&](ScalarMath &s, ValueRange a) { return s.div(a[0], count); });
}

Value lower(Tensors &t, KlDivergenceOp op) {
  Value x = asSamples(t, op.getLogits(), 1),
        reference = asSamples(t, op.getReference(), 1);
  auto [most, log] = logSumExp(t, x);
  auto [mostOf, logOf] = logSumExp(t, reference);
  Value losses = t.sumRows(
      {x, reference, most, log, mostOf, logOf}, [](ScalarMath &s, ValueRange v) {
        Value logQ = s.sub(s.sub(v[0], v[2]), v[3]),
              logP = s.sub(s.sub(v[1], v[4]), v[5]);
        return s.mul(math::ExpOp::create(s.b, logP), s.sub(logP, logQ));
      });
  return meanOfSamples(t, losses);
}

Value lower(Tensors &t, SquaredErrorOp op) {
  Value x = asSamples(t, op.getX(), 0),
        reference = asSamples(t, op.getReference(), 0);
  return meanOfSamples(t, t.map({x, reference}, [](ScalarMath &s, ValueRange v) {
    Value d = s.sub(v[0], v[1]);
    return s.mul(d, d);
  }));
}

struct LowerLossesPass : sq::impl::LowerLossesPassBase<LowerLossesPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    getOperation().walk([&](Operation *op) {
      if (!isa<CrossEntropyOp, KlDivergenceOp, SquaredErrorOp>(op))
        return;
      rewriter.setInsertionPoint(op);
      ImplicitLocOpBuilder b(op->getLoc(), rewriter);
      Tensors t{b};
      Value loss;
      if (auto o = dyn_cast<CrossEntropyOp>(op))
        loss = lower(t, o);
      else if (auto o = dyn_cast<KlDivergenceOp>(op))
        loss = lower(t, o);
      else
        loss = lower(t, cast<SquaredErrorOp>(op));
      rewriter.replaceOp(op, t.castTo(loss, op->getResult(0).getType()));
    });
  }
};

} // namespace
