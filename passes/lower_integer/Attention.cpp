//===-- Attention.cpp - attention of integers as products and rows ------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "passes/lower_integer/Lowering.h"

using namespace mlir;
using namespace sq;

namespace {

struct Attention {
  ImplicitLocOpBuilder &b;
  IntAttentionOp op;
  OpFoldResult batch, queries, heads, keys, size;
  int64_t group; // heads that share keys and values

  Attention(ImplicitLocOpBuilder &b, IntAttentionOp op) : b(b), op(op) {
    SmallVector<OpFoldResult> q = tensor::getMixedSizes(b, b.getLoc(), op.getQ());
    batch = q[0], queries = q[1], heads = q[2], size = q[3];
    keys = tensor::getMixedSizes(b, b.getLoc(), op.getK())[1];
    auto headsOf = [](Value v) { return cast<RankedTensorType>(v.getType()).getDimSize(2); };
    group = headsOf(op.getQ()) / headsOf(op.getK());
  }

  AffineExpr d(unsigned i) { return b.getAffineDimExpr(i); }
  AffineMap map(ArrayRef<AffineExpr> results) { return AffineMap::get(5, 0, results, b.getContext()); }

  /// out[d0, d1, d2, d3] = sum over d4 of left * right, in i32.
  Value multiply(Input left, bool leftUnsigned, Input right, bool rightUnsigned, ArrayRef<OpFoldResult> sizes) {
    auto widen = [](ImplicitLocOpBuilder &ib, Value v, bool isUnsigned) -> Value {
      return isUnsigned ? Value(arith::ExtUIOp::create(ib, ib.getI32Type(), v)) : Value(arith::ExtSIOp::create(ib, ib.getI32Type(), v));
    };
    Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    Value init = linalg::FillOp::create(b, zero, ValueRange(tensor::EmptyOp::create(b, sizes, b.getI32Type()).getResult())).getResult(0);
    return reduceRows(b, {left, right}, init, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Value x = widen(ib, args[0], leftUnsigned), y = widen(ib, args[1], rightUnsigned);
      Value term = arith::MulIOp::create(ib, x, y);
      return arith::AddIOp::create(ib, args.back(), term).getResult();
    });
  }

  /// `keep` and causality as i1; null when every key is seen.
  Value kept() {
    Value keep = op.getKeep();
    if (!keep && !op.getCausal())
      return Value();
    SmallVector<OpFoldResult> sizes(4, b.getIndexAttr(1));
    SmallVector<Input> inputs;
    if (keep) {
      sizes = tensor::getMixedSizes(b, b.getLoc(), keep);
      SmallVector<AffineExpr> at;
      for (auto [i, extent] : llvm::enumerate(cast<RankedTensorType>(keep.getType()).getShape()))
        at.push_back(extent == 1 ? b.getAffineConstantExpr(0) : d(i));
      inputs.push_back({keep, AffineMap::get(4, 0, at, b.getContext())});
    }
    Value past;
    if (op.getCausal()) {
      sizes[2] = queries, sizes[3] = keys;
      auto value = [&](OpFoldResult v) { return getValueOrCreateConstantIndexOp(b, b.getLoc(), v); };
      past = arith::SubIOp::create(b, value(keys), value(queries));
    }
    Value init = tensor::EmptyOp::create(b, sizes, b.getI1Type());
    return pointwise(b, inputs, init, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Value result;
      if (keep)
        result = arith::CmpIOp::create(ib, arith::CmpIPredicate::ne, args[0], arith::ConstantOp::create(ib, ib.getI8IntegerAttr(0)));
      if (!past)
        return result;
      Value last = arith::AddIOp::create(ib, linalg::IndexOp::create(ib, 2), past);
      Value isSeen = arith::CmpIOp::create(ib, arith::CmpIPredicate::sle, linalg::IndexOp::create(ib, 3), last);
      return result ? Value(arith::AndIOp::create(ib, result, isSeen)) : isSeen;
    });
  }

  template <typename OpTy> Lowered lowered(OpTy made) {
    Lowered result = lowerInteger(b, made);
    made.erase();
    return result;
  }

  Lowered lower() {
    // Loops: batch, head, query, key, element of a head.
    AffineExpr shared = group == 1 ? d(1) : d(1).floorDiv(group);
    SmallVector<OpFoldResult> rows = {batch, heads, queries, keys}, results = {batch, heads, queries, size};
    Value scores = multiply({op.getQ(), map({d(0), d(2), d(1), d(4)})}, false,
                            {op.getK(), map({d(0), d(3), shared, d(4)})}, op.getKUnsigned(), rows);
    Value probabilities = tensor::EmptyOp::create(b, rows, b.getI8Type());
    auto [p, problem] = lowered(IntSoftmaxOp::create(
        b, probabilities.getType(), scores, kept(), probabilities, op.getExpShiftAttr(), op.getLn2Attr(),
        op.getExpBAttr(), op.getExpCAttr(), b.getUnitAttr(), op.getFullyMaskedUniformAttr(),
        /*x_unsigned=*/UnitAttr(), /*x_bits=*/IntegerAttr()));
    if (!problem.empty())
      return {p, problem};
    // Loops: batch, head, query, element of a head, key.
    Value acc = multiply({p, map({d(0), d(1), d(2), d(4)})}, true, {op.getV(), map({d(0), d(4), shared, d(3)})}, false, results);
    Value context = tensor::EmptyOp::create(b, results, b.getI8Type());
    auto [y, why] = lowered(IntContextOp::create(b, context.getType(), acc, p, context, op.getMultiplierAttr(),
                                                 op.getExponentAttr(), op.getRoundingAttr(), op.getIsUnsignedAttr(),
                                                 /*bits=*/IntegerAttr(), op.getZeroPointAttr()));
    if (!why.empty())
      return {y, why};
    return {linalg::TransposeOp::create(b, y, op.getOuts(), ArrayRef<int64_t>{0, 2, 1, 3}).getResult()[0], ""};
  }
};

} // namespace

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntAttentionOp op) { return Attention(b, op).lower(); }
