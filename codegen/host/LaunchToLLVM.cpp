#include "codegen/host/LaunchToLLVM.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

#include "codegen/common/KernelContext.h"
#include "dialects/sq/IR/SqOps.h"

using namespace mlir;

namespace {

Value constant(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  return LLVM::ConstantOp::create(b, type, value);
}

/// Memory in the frame that all launches of the function share: the driver
/// copies what a launch is given.
Value launchSlot(ImplicitLocOpBuilder &b, Operation *op, StringRef role, Type type) {
  auto func = op->getParentOfType<FunctionOpInterface>();
  for (auto slot : func.getFunctionBody().front().getOps<LLVM::AllocaOp>())
    if (auto known = slot->getAttrOfType<StringAttr>("sq.role"); known && known.getValue() == role)
      return slot;
  Value slot = sq::frameSlot(b, op, type);
  slot.getDefiningOp()->setAttr("sq.role", b.getStringAttr(role));
  return slot;
}

/// Goes on only when the callback returned 0.
void stopUnlessZero(ConversionPatternRewriter &rewriter, ImplicitLocOpBuilder &b, Value status) {
  Value fine = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::eq, status, constant(b, b.getI32Type(), 0));
  rewriter.restoreInsertionPoint(b.saveInsertionPoint());
  sq::returnUnless(rewriter, b.getLoc(), fine);
}

struct LaunchPattern : ConvertOpToLLVMPattern<gpu::LaunchFuncOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(gpu::LaunchFuncOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    auto kept = op->getAttrOfType<DenseI32ArrayAttr>("sq.arguments");
    auto function = op->getAttrOfType<IntegerAttr>("sq.function");
    auto launch = op->getAttrOfType<IntegerAttr>("sq.launch");
    if (!kept || !function || !launch)
      return op.emitOpError("lacks attributes; run --sq-outline-gpu-kernels and --sq-trim-kernel-arguments first");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto ptr = LLVM::LLVMPointerType::get(b.getContext());
    SmallVector<Value> all = getTypeConverter()->promoteOperands(op.getLoc(), op.getKernelOperands(),
                                                                 adaptor.getKernelOperands(), rewriter);
    // As many as the largest launch has: the first one that is converted makes them.
    size_t most = 1;
    op->getParentOfType<FunctionOpInterface>()->walk([&](gpu::LaunchFuncOp other) {
      if (auto numbers = other->getAttrOfType<DenseI32ArrayAttr>("sq.arguments"))
        most = std::max<size_t>(most, numbers.size());
    });
    Value params = launchSlot(b, op, "parameters", LLVM::LLVMArrayType::get(ptr, most));
    Value arguments = launchSlot(b, op, "arguments", LLVM::LLVMArrayType::get(b.getI64Type(), most));
    auto store = [&](Value value, Value base, int64_t offset) {
      Value at = LLVM::GEPOp::create(b, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset)});
      LLVM::StoreOp::create(b, value, at);
    };
    for (auto [i, number] : llvm::enumerate(kept.asArrayRef())) {
      if (number >= static_cast<int32_t>(all.size()))
        return op.emitOpError("has an argument too few for its kernel");
      auto offset = static_cast<int64_t>(i * sizeof(int64_t)); // none is larger
      Value slot = LLVM::GEPOp::create(b, ptr, b.getI8Type(), arguments, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset)});
      LLVM::StoreOp::create(b, all[number], slot);
      store(slot, params, offset);
    }
    // A struct of include/sq/kernel_abi.h, field by field.
    Value call = launchSlot(b, op, "launch", LLVM::LLVMArrayType::get(b.getI64Type(), sizeof(sq_launch) / 8));
    Type i32 = b.getI32Type();
    auto narrow = [&](Value v) -> Value { return LLVM::TruncOp::create(b, i32, v); };
    store(constant(b, i32, launch.getInt()), call, offsetof(sq_launch, kernel));
    store(constant(b, i32, function.getInt()), call, offsetof(sq_launch, function));
    Value grid[] = {adaptor.getGridSizeX(), adaptor.getGridSizeY(), adaptor.getGridSizeZ()};
    Value block[] = {adaptor.getBlockSizeX(), adaptor.getBlockSizeY(), adaptor.getBlockSizeZ()};
    for (int64_t d = 0; d < 3; ++d) {
      store(grid[d], call, static_cast<int64_t>(offsetof(sq_launch, grid)) + 8 * d);
      store(narrow(block[d]), call, static_cast<int64_t>(offsetof(sq_launch, block)) + 4 * d);
    }
    Value dynamic = adaptor.getDynamicSharedMemorySize();
    store(dynamic ? dynamic : constant(b, i32, 0), call, offsetof(sq_launch, shared_bytes));
    store(params, call, offsetof(sq_launch, params));
    Value status = sq::callContext(b, sq::contextOf(op), offsetof(sq_kernel_context, launch), i32, {call}).getResult();
    stopUnlessZero(rewriter, b, status);
    rewriter.eraseOp(op);
    return success();
  }
};

struct FaultPattern : ConvertOpToLLVMPattern<sq::FaultOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(sq::FaultOp op, OpAdaptor, ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value at = sq::loadContextField(b, sq::contextOf(op), offsetof(sq_kernel_context, fault),
                                    LLVM::LLVMPointerType::get(b.getContext()));
    auto type = cast<MemRefType>(op.getResult().getType());
    rewriter.replaceOp(op, Value(MemRefDescriptor::fromStaticShape(rewriter, op.getLoc(), *getTypeConverter(), type, at)));
    return success();
  }
};

/// memref.load by the schedule of a program whose memory is a device's.
struct ReadPattern : ConvertOpToLLVMPattern<memref::LoadOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(memref::LoadOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    if (!op->getParentOfType<ModuleOp>()->hasAttr(gpu::GPUDialect::getContainerModuleAttrName()))
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    MemRefType type = op.getMemRefType();
    Type element = getTypeConverter()->convertType(type.getElementType());
    Value device = getStridedElementPtr(rewriter, op.getLoc(), type, adaptor.getMemref(), adaptor.getIndices());
    Value host = sq::frameSlot(b, op, element);
    int64_t bytes = (type.getElementType().isIndex() ? 64 : type.getElementTypeBitWidth() + 7) / 8;
    Value status = sq::callContext(b, sq::contextOf(op), offsetof(sq_kernel_context, read), b.getI32Type(),
                                   {host, device, constant(b, b.getI64Type(), bytes)})
                       .getResult();
    stopUnlessZero(rewriter, b, status);
    rewriter.replaceOpWithNewOp<LLVM::LoadOp>(op, element, host);
    return success();
  }
};

} // namespace

void sq::populateLaunchPatterns(const LLVMTypeConverter &converter, RewritePatternSet &patterns) {
  patterns.add<LaunchPattern, FaultPattern>(converter);
  patterns.add<ReadPattern>(converter, PatternBenefit(2));
}
