// Vector-Jacobian products of what only moves elements.

#include "passes/differentiate/LinalgVjp.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "passes/differentiate/Models.h"
#include "passes/differentiate/VjpModel.h"

using namespace mlir;
using namespace sq;

namespace {

/// The cotangent in its place, zeros around it.
LogicalResult buildExtractSlice(tensor::ExtractSliceOp op, Tensors &t,
                                ValueRange cotangents, Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  Value zeros = t.zerosLike(op.getSource());
  gradients.add(op.getSource(),
                tensor::InsertSliceOp::create(
                    b, cotangents[0], zeros, op.getMixedOffsets(),
                    op.getMixedSizes(), op.getMixedStrides()));
  return success();
}

LogicalResult buildInsertSlice(tensor::InsertSliceOp op, Tensors &t,
                               ValueRange cotangents, Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  if (gradients.needs(op.getSource()))
    gradients.add(op.getSource(), tensor::ExtractSliceOp::create(
                                      b, op.getSourceType(), cotangents[0],
                                      op.getMixedOffsets(), op.getMixedSizes(),
                                      op.getMixedStrides()));
  if (gradients.needs(op.getDest()))
    gradients.add(op.getDest(), tensor::InsertSliceOp::create(
                                    b, t.zerosLike(op.getSource()),
                                    cotangents[0], op.getMixedOffsets(),
                                    op.getMixedSizes(), op.getMixedStrides()));
  return success();
}

LogicalResult buildExpandShape(tensor::ExpandShapeOp op, Tensors &t,
                               ValueRange cotangents, Gradients &gradients) {
  gradients.add(op.getSrc(), t.castTo(t.collapse(cotangents[0],
                                                 op.getReassociationIndices()),
                                      op.getSrcType()));
  return success();
}

LogicalResult buildCollapseShape(tensor::CollapseShapeOp op, Tensors &t,
                                 ValueRange cotangents, Gradients &gradients) {
  Value dx = t.expand(cotangents[0], op.getReassociationIndices(),
                      t.sizes(op.getSrc()));
  gradients.add(op.getSrc(), t.castTo(dx, op.getSrcType()));
  return success();
}

LogicalResult buildCast(tensor::CastOp op, Tensors &t, ValueRange cotangents,
                        Gradients &gradients) {
  gradients.add(op.getSource(),
                t.castTo(cotangents[0], op.getSource().getType()));
  return success();
}

/// Each operand gets its part.
LogicalResult buildConcat(tensor::ConcatOp op, Tensors &t,
                          ValueRange cotangents, Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  uint64_t dim = op.getDim();
  int64_t rank = Tensors::rankOf(cotangents[0]);
  SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)),
      strides(rank, b.getIndexAttr(1));
  for (Value part : op.getInputs()) {
    SmallVector<OpFoldResult> sizes = t.sizes(part);
    if (gradients.needs(part)) {
      Value slice = tensor::ExtractSliceOp::create(b, cotangents[0], offsets,
                                                   sizes, strides);
      gradients.add(part, t.castTo(slice, part.getType()));
    }
    AffineExpr sum = b.getAffineSymbolExpr(0) + b.getAffineSymbolExpr(1);
    offsets[dim] = affine::makeComposedFoldedAffineApply(
        b, b.getLoc(), sum, {offsets[dim], sizes[dim]});
  }
  return success();
}

/// The cotangent without what was put around it.
LogicalResult buildPad(tensor::PadOp op, Tensors &t, ValueRange cotangents,
                       Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  for (Operation &inner : *op.getBody())
    for (Value v : inner.getOperands())
      if (gradients.needs(v))
        return op.emitOpError("cannot be differentiated: the padding depends "
                              "on what it is differentiated by");
  Value source = op.getSource();
  SmallVector<OpFoldResult> strides(Tensors::rankOf(source), b.getIndexAttr(1));
  Value slice = tensor::ExtractSliceOp::create(
      b, cotangents[0], op.getMixedLowPad(), t.sizes(source), strides);
  gradients.add(source, t.castTo(slice, source.getType()));
  return success();
}

LogicalResult buildRecompute(RecomputeOp op, Tensors &t, ValueRange cotangents,
                             Gradients &gradients) {
  gradients.add(op->getOperand(0), cotangents[0]);
  return success();
}

} // namespace

void sq::registerTensorVjps(MLIRContext &context) {
  attachVjp<tensor::ExtractSliceOp, buildExtractSlice>(context);
  attachVjp<tensor::InsertSliceOp, buildInsertSlice>(context);
  attachVjp<tensor::ExpandShapeOp, buildExpandShape>(context);
  attachVjp<tensor::CollapseShapeOp, buildCollapseShape>(context);
  attachVjp<tensor::CastOp, buildCast>(context);
  attachVjp<tensor::ConcatOp, buildConcat>(context);
  attachVjp<tensor::PadOp, buildPad>(context);
  attachVjp<RecomputeOp, buildRecompute>(context);
}

void sq::registerDifferentiableOpInterfaces(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, SqDialect *,
                            linalg::LinalgDialect *, tensor::TensorDialect *) {
    registerCompositeVjps(*context);
    registerIndexingVjps(*context);
    registerAttentionVjp(*context);
    registerLossVjps(*context);
    registerLinalgVjps(*context);
    registerTensorVjps(*context);
  });
}

bool sq::isCheapToRecompute(Operation *op) {
  if (isa<LayerNormOp, RmsNormOp, GeluOp, SiluOp, RotaryEmbeddingOp,
          tensor::ExpandShapeOp, tensor::CollapseShapeOp>(op))
    return true;
  // A loop over as many points as its result has.
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && generic.getNumReductionLoops() == 0 &&
         generic->getNumResults() == 1 && isPure(op);
}
