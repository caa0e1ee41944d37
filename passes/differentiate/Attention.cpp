//===-- Attention.cpp - the vector-Jacobian product of attention
//--------------===//
//
// The probabilities are computed again from q and k: the forward pass has a
// kernel that never holds them, and they are the largest tensors of a long
// sequence. Heads that share keys are rows of one product, so that a group's
// dk and dv are sums over its heads without further ado.
//
//   P = softmax(scale q k^T + mask), o = P v
//   dv = P^T do                 dP = do v^T
//   dS = P (dP - rowsum(do o))  dq = scale dS k    dk = scale dS^T q    dmask =
//   dS
//
// rowsum(P dP) = rowsum(do o) as in Dao et al. 2022, section B.2, equation 4.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include "passes/differentiate/Attention.h"
#include "passes/differentiate/Models.h"
#include "passes/differentiate/VjpModel.h"

using namespace mlir;
using namespace sq;

Value sq::groupHeads(Tensors &t, Value v, int64_t groups) {
  Value heads = t.transpose(v, {0, 2, 1, 3}); // [b, h, s, d]
  SmallVector<OpFoldResult> to = t.sizes(heads);
  int64_t shared = Tensors::typeOf(heads).getDimSize(1) / groups;
  if (shared == 1)
    return heads;
  to[1] = t.b.getIndexAttr(shared);
  to.insert(to.begin() + 1, t.b.getIndexAttr(groups));
  SmallVector<ReassociationIndices> split = {{0}, {1, 2}, {3}, {4}},
                                    joined = {{0}, {1}, {2, 3}, {4}};
  return t.collapse(t.expand(heads, split, to), joined);
}

Value sq::ungroupHeads(Tensors &t, Value v, Value like) {
  SmallVector<OpFoldResult> to = t.sizes(like);
  int64_t groups = Tensors::typeOf(v).getDimSize(1),
          shared = Tensors::typeOf(like).getDimSize(2) / groups;
  if (shared > 1) {
    SmallVector<ReassociationIndices> split = {{0}, {1}, {2, 3}, {4}},
                                      joined = {{0}, {1, 2}, {3}, {4}};
    v = t.collapse(t.expand(v, split,
                            {to[0], t.b.getIndexAttr(groups),
                             t.b.getIndexAttr(shared), to[1], to[3]}),
                   joined);
  }
  return t.castTo(t.transpose(v, {0, 2, 1, 3}), like.getType());
}

Value sq::attentionProbabilities(Tensors &t, AttentionOp op, Value q, Value k) {
  ImplicitLocOpBuilder &b = t.b;
  int64_t groups = Tensors::typeOf(q).getDimSize(1),
          heads = Tensors::typeOf(op.getQ()).getDimSize(2);
  int64_t shared = heads / groups;
  SmallVector<OpFoldResult> of = t.sizes(op.getQ());
  Value products = t.matmul(q, t.transposeLast(k));
  OpFoldResult keys = t.sizes(products).back();
  SmallVector<ReassociationIndices> split = {{0}, {1}, {2, 3}, {4}};
  Value scores = t.expand(
      products, split,
      {of[0], b.getIndexAttr(groups), b.getIndexAttr(shared), of[1], keys});
  SmallVector<Input> inputs = {like(b, scores)};
  if (Value mask = op.getMask()) {
    auto type = Tensors::typeOf(mask);
    auto at = [&](int64_t dim, unsigned loop) {
      return type.getDimSize(dim) == 1 ? b.getAffineConstantExpr(0)
                                       : b.getAffineDimExpr(loop);
    };
    SmallVector<AffineExpr> read = {at(0, 0)};
    if (type.getDimSize(1) == 1) {
      read.push_back(b.getAffineConstantExpr(0));
    } else {
      SmallVector<OpFoldResult> to = t.sizes(mask);
      to[1] = b.getIndexAttr(shared);
      to.insert(to.begin() + 1, b.getIndexAttr(groups));
      SmallVector<ReassociationIndices> splitHeads = {{0}, {1, 2}, {3}, {4}};
      mask = t.expand(mask, splitHeads, to);
      read.append({b.getAffineDimExpr(1), b.getAffineDimExpr(2)});
    }
    read.append({at(2, 3), b.getAffineDimExpr(4)});
    inputs.push_back({mask, AffineMap::get(5, 0, read, b.getContext())});
  }
  Value past; // keys before the first query
  if (op.getCausal())
    past = arith::SubIOp::create(b, tensor::DimOp::create(b, op.getK(), 1),
                                 tensor::DimOp::create(b, op.getQ(), 1));
  Type element = Tensors::typeOf(scores).getElementType();
  Value masked = pointwise(
      b, inputs, t.emptyLike(scores),
      [&](ImplicitLocOpBuilder &ib, ValueRange args) {
        ScalarMath s{ib, element};
        Value score = s.mul(args[0], s.number(op.getScale().convertToFloat()));
        if (args.size() == 2)
          score = s.add(score, args[1]);
        if (!past)
          return score;
        Value last =
            arith::AddIOp::create(ib, linalg::IndexOp::create(ib, 3), past);
        Value isSeen =
            arith::CmpIOp::create(ib, arith::CmpIPredicate::sle,
                                  linalg::IndexOp::create(ib, 4), last);
        return arith::SelectOp::create(
                   ib, isSeen, score,
                   s.number(-std::numeric_limits<double>::infinity()))
            .getResult();
      });
  Value init = t.emptyLike(masked);
  Value p = SoftmaxOp::create(b, TypeRange(init.getType()), masked, init)
                .getResult()[0];
  return t.collapse(p, split);
}

namespace {

LogicalResult buildAttention(AttentionOp op, Tensors &t, ValueRange cotangents,
                             Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  int64_t heads = Tensors::typeOf(op.getQ()).getDimSize(2),
          groups = Tensors::typeOf(op.getK()).getDimSize(2);
  if (ShapedType::isDynamic(heads) || ShapedType::isDynamic(groups))
    return op.emitOpError(
               "has a derivative for a fixed number of heads only, got ")
           << op.getQ().getType();
  bool needsMask = op.getMask() && gradients.needs(op.getMask());
  Value q = groupHeads(t, op.getQ(), groups),
        k = groupHeads(t, op.getK(), groups),
        v = groupHeads(t, op.getV(), groups);
  Value dOut = groupHeads(t, cotangents[0], groups);
  Value p = attentionProbabilities(t, op, q, k);
  if (gradients.needs(op.getV()))
    gradients.add(op.getV(), ungroupHeads(t, t.matmul(t.transposeLast(p), dOut),
                                          op.getV()));
  if (!gradients.needs(op.getQ()) && !gradients.needs(op.getK()) && !needsMask)
    return success();
  Value out = groupHeads(t, op->getResult(0), groups);
  Value dot = t.sumRows({dOut, out}, [](ScalarMath &s, ValueRange a) {
    return s.mul(a[0], a[1]);
  });
  Value dP = t.matmul(dOut, t.transposeLast(v));
  if (needsMask) {
    // By the score that the mask is added to; summed over what it is
    // broadcast to.
    Value d = t.map({p, dP, dot}, [](ScalarMath &s, ValueRange a) {
      return s.mul(a[0], s.sub(a[1], a[2]));
    });
    SmallVector<OpFoldResult> of = t.sizes(op.getQ());
    SmallVector<ReassociationIndices> split = {{0}, {1}, {2, 3}, {4}},
                                      joined = {{0}, {1, 2}, {3}, {4}};
    d = t.expand(d, split,
                 {of[0], b.getIndexAttr(groups), b.getIndexAttr(heads / groups),
                  of[1], t.sizes(d).back()});
    gradients.add(op.getMask(), t.sumTo(t.collapse(d, joined),
                                        Tensors::typeOf(op.getMask())));
  }
  double scale = op.getScale().convertToFloat();
  Value dS = t.map({p, dP, dot}, [&](ScalarMath &s, ValueRange a) {
    return s.mul(s.mul(s.number(scale), a[0]), s.sub(a[1], a[2]));
  });
  if (gradients.needs(op.getQ()))
    gradients.add(op.getQ(), ungroupHeads(t, t.matmul(dS, k), op.getQ()));
  if (gradients.needs(op.getK()))
    gradients.add(op.getK(),
                  ungroupHeads(t, t.matmul(t.transposeLast(dS), q), op.getK()));
  return success();
}

} // namespace

void sq::registerAttentionVjp(MLIRContext &context) {
  attachVjp<AttentionOp, buildAttention>(context);
}
