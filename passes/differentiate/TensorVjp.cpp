// Vector-Jacobian products of what only moves elements.

#include "passes/differentiate/LinalgVjp.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "passes/differentiate/Models.h"
#include "passes/differentiate/Tensors.h"

using namespace mlir;
using namespace sq;

namespace {

template <typename Model, typename Op>
using External = DifferentiableOpInterface::ExternalModel<Model, Op>;

/// The cotangent in its place, zeros around it.
struct ExtractSliceVjp : External<ExtractSliceVjp, tensor::ExtractSliceOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<tensor::ExtractSliceOp>(o);
    Value zeros = Tensors{b}.zerosLike(op.getSource());
    gradients.add(op.getSource(),
                  tensor::InsertSliceOp::create(
                      b, cotangents[0], zeros, op.getMixedOffsets(),
                      op.getMixedSizes(), op.getMixedStrides()));
    return success();
  }
};

struct InsertSliceVjp : External<InsertSliceVjp, tensor::InsertSliceOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<tensor::InsertSliceOp>(o);
    Tensors t{b};
    if (gradients.needs(op.getSource()))
      gradients.add(op.getSource(),
                    tensor::ExtractSliceOp::create(
                        b, op.getSourceType(), cotangents[0],
                        op.getMixedOffsets(), op.getMixedSizes(),
                        op.getMixedStrides()));
    if (gradients.needs(op.getDest()))
      gradients.add(op.getDest(),
                    tensor::InsertSliceOp::create(
                        b, t.zerosLike(op.getSource()), cotangents[0],
                        op.getMixedOffsets(), op.getMixedSizes(),
                        op.getMixedStrides()));
    return success();
  }
};

struct ExpandShapeVjp : External<ExpandShapeVjp, tensor::ExpandShapeOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<tensor::ExpandShapeOp>(o);
    Tensors t{b};
    gradients.add(
        op.getSrc(),
        t.castTo(t.collapse(cotangents[0], op.getReassociationIndices()),
                 op.getSrcType()));
    return success();
  }
};

struct CollapseShapeVjp : External<CollapseShapeVjp, tensor::CollapseShapeOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<tensor::CollapseShapeOp>(o);
    Tensors t{b};
    Value dx = t.expand(cotangents[0], op.getReassociationIndices(),
                        t.sizes(op.getSrc()));
    gradients.add(op.getSrc(), t.castTo(dx, op.getSrcType()));
    return success();
  }
};

struct CastVjp : External<CastVjp, tensor::CastOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<tensor::CastOp>(o);
    gradients.add(op.getSource(),
                  Tensors{b}.castTo(cotangents[0], op.getSource().getType()));
    return success();
  }
};

/// Each operand gets its part.
struct ConcatVjp : External<ConcatVjp, tensor::ConcatOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<tensor::ConcatOp>(o);
    Tensors t{b};
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
};

/// The cotangent without what was put around it.
struct PadVjp : External<PadVjp, tensor::PadOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<tensor::PadOp>(o);
    for (Operation &inner : *op.getBody())
      for (Value v : inner.getOperands())
        if (gradients.needs(v))
          return op.emitOpError("cannot be differentiated: the padding depends "
                                "on what it is differentiated by");
    Tensors t{b};
    Value source = op.getSource();
    SmallVector<OpFoldResult> strides(Tensors::rankOf(source),
                                      b.getIndexAttr(1));
    Value slice = tensor::ExtractSliceOp::create(
        b, cotangents[0], op.getMixedLowPad(), t.sizes(source), strides);
    gradients.add(source, t.castTo(slice, source.getType()));
    return success();
  }
};

struct RecomputeVjp : External<RecomputeVjp, RecomputeOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &,
                         ValueRange cotangents, Gradients &gradients) const {
    gradients.add(o->getOperand(0), cotangents[0]);
    return success();
  }
};

} // namespace

void sq::registerTensorVjps(MLIRContext &context) {
  tensor::ExtractSliceOp::attachInterface<ExtractSliceVjp>(context);
  tensor::InsertSliceOp::attachInterface<InsertSliceVjp>(context);
  tensor::ExpandShapeOp::attachInterface<ExpandShapeVjp>(context);
  tensor::CollapseShapeOp::attachInterface<CollapseShapeVjp>(context);
  tensor::CastOp::attachInterface<CastVjp>(context);
  tensor::ConcatOp::attachInterface<ConcatVjp>(context);
  tensor::PadOp::attachInterface<PadVjp>(context);
  RecomputeOp::attachInterface<RecomputeVjp>(context);
}

void sq::registerDifferentiableOpInterfaces(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, SqDialect *,
                            linalg::LinalgDialect *, tensor::TensorDialect *) {
    registerCompositeVjps(*context);
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
