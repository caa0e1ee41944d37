#include "dialects/sq/IR/SqBufferize.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"

#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace mlir::bufferization;

namespace {

/// Composites: `ins` are read, `outs` is only written, its old contents never
/// read, so that no initialisation is kept alive for it; unless `updates`: what a
/// scatter or an append does not write must stay.
template <typename OpTy, bool updates = false>
struct DpsModel : DstBufferizableOpInterfaceExternalModel<DpsModel<OpTy, updates>, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return updates || !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options, BufferizationState &state) const {
    auto dps = cast<DestinationStyleOpInterface>(op);
    SmallVector<Value> operands;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<TensorType>(operand.get().getType())) {
        operands.push_back(operand.get());
        continue;
      }
      FailureOr<Value> buffer = getBuffer(rewriter, operand.get(), options, state);
      if (failed(buffer))
        return failure();
      operands.push_back(*buffer);
    }
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    mlir::clone(rewriter, op, TypeRange(), operands);
    Value out = operands[dps.getDpsInitOperand(0)->getOperandNumber()];
    replaceOpWithBufferizedValues(rewriter, op, out);
    return success();
  }
};

/// A weight is memory that nobody may write.
struct WeightModel : BufferizableOpInterface::ExternalModel<WeightModel, sq::WeightOp> {
  bool bufferizesToAllocation(Operation *, Value) const { return false; }
  bool isWritable(Operation *, Value, const AnalysisState &) const { return false; }
  bool bufferizesToMemoryRead(Operation *, OpOperand &, const AnalysisState &) const {
    return false;
  }
  bool bufferizesToMemoryWrite(Operation *, OpOperand &, const AnalysisState &) const {
    return false;
  }
  AliasingValueList getAliasingValues(Operation *, OpOperand &, const AnalysisState &) const {
    return {};
  }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &,
                          BufferizationState &) const {
    auto weight = cast<sq::WeightOp>(op);
    auto type = cast<RankedTensorType>(weight.getResult().getType());
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    auto memref = cast<sq::WeightOp>(mlir::clone(
        rewriter, op, MemRefType::get(type.getShape(), type.getElementType()), ValueRange()));
    replaceOpWithBufferizedValues(rewriter, op, memref.getResult());
    return success();
  }
};

/// The buffer of the value itself: nothing is left of the op.
struct RecomputeModel : BufferizableOpInterface::ExternalModel<RecomputeModel, sq::RecomputeOp> {
  bool bufferizesToMemoryRead(Operation *, OpOperand &, const AnalysisState &) const { return false; }
  bool bufferizesToMemoryWrite(Operation *, OpOperand &, const AnalysisState &) const { return false; }
  AliasingValueList getAliasingValues(Operation *op, OpOperand &, const AnalysisState &) const {
    return {{op->getResult(0), BufferRelation::Equivalent}};
  }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    FailureOr<Value> buffer = getBuffer(rewriter, op->getOperand(0), options, state);
    if (failed(buffer))
      return failure();
    replaceOpWithBufferizedValues(rewriter, op, *buffer);
    return success();
  }
};

} // namespace

void sq::registerBufferizableOpInterfaces(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, sq::SqDialect *) {
    MatmulOp::attachInterface<DpsModel<MatmulOp>>(*context);
    LinearOp::attachInterface<DpsModel<LinearOp>>(*context);
    SoftmaxOp::attachInterface<DpsModel<SoftmaxOp>>(*context);
    LayerNormOp::attachInterface<DpsModel<LayerNormOp>>(*context);
    RmsNormOp::attachInterface<DpsModel<RmsNormOp>>(*context);
    AttentionOp::attachInterface<DpsModel<AttentionOp>>(*context);
    RequantizeOp::attachInterface<DpsModel<RequantizeOp>>(*context);
    RequantizedAddOp::attachInterface<DpsModel<RequantizedAddOp>>(*context);
    IntGeluOp::attachInterface<DpsModel<IntGeluOp>>(*context);
    IntSigmoidOp::attachInterface<DpsModel<IntSigmoidOp>>(*context);
    IntTanhOp::attachInterface<DpsModel<IntTanhOp>>(*context);
    IntSiluOp::attachInterface<DpsModel<IntSiluOp>>(*context);
    LookupOp::attachInterface<DpsModel<LookupOp>>(*context);
    IntPiecewiseOp::attachInterface<DpsModel<IntPiecewiseOp>>(*context);
    IntSqrtOp::attachInterface<DpsModel<IntSqrtOp>>(*context);
    IntSoftmaxOp::attachInterface<DpsModel<IntSoftmaxOp>>(*context);
    IntAttentionOp::attachInterface<DpsModel<IntAttentionOp>>(*context);
    IntContextOp::attachInterface<DpsModel<IntContextOp>>(*context);
    IntLayerNormOp::attachInterface<DpsModel<IntLayerNormOp>>(*context);
    IntRmsNormOp::attachInterface<DpsModel<IntRmsNormOp>>(*context);
    IntNormRowsOp::attachInterface<DpsModel<IntNormRowsOp>>(*context);
    ScatterOp::attachInterface<DpsModel<ScatterOp, true>>(*context);
    PackedMatmulOp::attachInterface<DpsModel<PackedMatmulOp>>(*context);
    KvAppendOp::attachInterface<DpsModel<KvAppendOp, true>>(*context);
    KvAttendOp::attachInterface<DpsModel<KvAttendOp>>(*context);
    LutMatmulOp::attachInterface<DpsModel<LutMatmulOp>>(*context);
    GroupedMatmulOp::attachInterface<DpsModel<GroupedMatmulOp>>(*context);
    CsrMatmulOp::attachInterface<DpsModel<CsrMatmulOp>>(*context);
    DenseAndSparseMatmulOp::attachInterface<DpsModel<DenseAndSparseMatmulOp>>(*context);
    WeightOp::attachInterface<WeightModel>(*context);
    RecomputeOp::attachInterface<RecomputeModel>(*context);
  });
}
