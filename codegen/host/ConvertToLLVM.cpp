//===-- ConvertToLLVM.cpp - the program in the LLVM dialect --------------------===//
//
// @main gets the run's context as its first argument and a status as its
// result; ops of sq become accesses to that context. `sq.parallel` stays, its
// region lowered, until --sq-outline-kernels.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Transforms/DialectConversion.h"

#include "codegen/common/KernelContext.h"
#include "codegen/host/LaunchToLLVM.h"
#include "codegen/host/Passes.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {
#define GEN_PASS_DEF_CONVERTTOLLVMPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct WeightPattern : ConvertOpToLLVMPattern<sq::WeightOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(sq::WeightOp op, OpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    bool isUnpacked = op.getBits() != 0;
    if (!op.getOffset() || (isUnpacked && !op.getWideOffset()))
      return op.emitOpError("has no offset; run --sq-place-weights first");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto ptr = LLVM::LLVMPointerType::get(rewriter.getContext());
    Value base = sq::loadContextField(b, sq::contextOf(op),
                                      op.getWidened() || isUnpacked ? offsetof(sq_kernel_context, widened)
                                                      : offsetof(sq_kernel_context, weights),
                                      ptr);
    Value offset = LLVM::ConstantOp::create(b, b.getI64Type(), static_cast<int64_t>(isUnpacked ? *op.getWideOffset() : *op.getOffset()));
    Value at = LLVM::GEPOp::create(b, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{offset});
    auto type = cast<MemRefType>(op.getResult().getType());
    rewriter.replaceOp(op, Value(MemRefDescriptor::fromStaticShape(rewriter, op.getLoc(),
                                                                   *getTypeConverter(), type, at)));
    return success();
  }
};

struct ThreadsPattern : ConvertOpToLLVMPattern<sq::ThreadsOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(sq::ThreadsOp op, OpAdaptor,
                                ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value n = sq::loadContextField(b, sq::contextOf(op), offsetof(sq_kernel_context, threads), b.getI32Type());
    rewriter.replaceOpWithNewOp<LLVM::SExtOp>(op, b.getI64Type(), n);
    return success();
  }
};

Value nonNull(ImplicitLocOpBuilder &b, Value ptr) {
  Value null = LLVM::ZeroOp::create(b, ptr.getType());
  return LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, ptr, null);
}

struct ArenaPattern : ConvertOpToLLVMPattern<sq::ArenaOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(sq::ArenaOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto ptr = LLVM::LLVMPointerType::get(rewriter.getContext());
    Value index = LLVM::ConstantOp::create(b, b.getI32Type(), static_cast<int64_t>(op.getIndex()));
    Value memory = sq::callContext(b, sq::contextOf(op), offsetof(sq_kernel_context, arena), ptr,
                                   {index, adaptor.getBytes()}).getResult();
    sq::returnUnless(rewriter, op.getLoc(), nonNull(b, memory));
    auto type = cast<MemRefType>(op.getResult().getType());
    auto descriptor = MemRefDescriptor::poison(rewriter, op.getLoc(), getTypeConverter()->convertType(type));
    descriptor.setAllocatedPtr(rewriter, op.getLoc(), memory);
    descriptor.setAlignedPtr(rewriter, op.getLoc(), memory);
    descriptor.setConstantOffset(rewriter, op.getLoc(), 0);
    descriptor.setSize(rewriter, op.getLoc(), 0, adaptor.getBytes());
    descriptor.setConstantStride(rewriter, op.getLoc(), 0, 1);
    rewriter.replaceOp(op, Value(descriptor));
    return success();
  }
};

struct OutputPattern : ConvertOpToLLVMPattern<sq::OutputOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(sq::OutputOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    ImplicitLocOpBuilder b(loc, rewriter);
    auto ptr = LLVM::LLVMPointerType::get(rewriter.getContext());
    auto type = cast<MemRefType>(op.getResult().getType());
    int64_t rank = type.getRank();
    Value shape = sq::frameSlot(b, op, LLVM::LLVMArrayType::get(b.getI64Type(), std::max<int64_t>(rank, 1)));
    SmallVector<Value> sizes, strides(rank);
    unsigned dynamic = 0;
    for (int64_t d = 0; d < rank; ++d) {
      sizes.push_back(type.isDynamicDim(d)
                          ? adaptor.getSizes()[dynamic++]
                          : Value(LLVM::ConstantOp::create(b, b.getI64Type(), type.getDimSize(d))));
      Value at = LLVM::GEPOp::create(b, ptr, b.getI64Type(), shape, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(d)});
      LLVM::StoreOp::create(b, sizes.back(), at);
    }
    Value index = LLVM::ConstantOp::create(b, b.getI32Type(), static_cast<int64_t>(op.getIndex()));
    Value memory = sq::callContext(b, sq::contextOf(op), offsetof(sq_kernel_context, output), ptr,
                                   {index, shape}).getResult();
    sq::returnUnless(rewriter, loc, nonNull(b, memory));
    b.restoreInsertionPoint(rewriter.saveInsertionPoint());
    Value stride = LLVM::ConstantOp::create(b, b.getI64Type(), 1);
    for (int64_t d = rank - 1; d >= 0; --d) {
      strides[d] = stride;
      stride = LLVM::MulOp::create(b, stride, sizes[d]);
    }
    auto descriptor = MemRefDescriptor::poison(rewriter, loc, getTypeConverter()->convertType(type));
    descriptor.setAllocatedPtr(rewriter, loc, memory);
    descriptor.setAlignedPtr(rewriter, loc, memory);
    descriptor.setConstantOffset(rewriter, loc, 0);
    for (int64_t d = 0; d < rank; ++d) {
      descriptor.setSize(rewriter, loc, d, sizes[d]);
      descriptor.setStride(rewriter, loc, d, strides[d]);
    }
    rewriter.replaceOp(op, Value(descriptor));
    return success();
  }
};

struct PartPattern : ConvertOpToLLVMPattern<sq::PartOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(sq::PartOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<MemRefType>(op.getSource().getType());
    MemRefDescriptor source(adaptor.getSource());
    auto descriptor = MemRefDescriptor::poison(rewriter, loc, getTypeConverter()->convertType(type));
    Value skipped = LLVM::MulOp::create(rewriter, loc, adaptor.getBegin(), source.stride(rewriter, loc, 0));
    Value memory = LLVM::GEPOp::create(rewriter, loc, getElementPtrType(type), getTypeConverter()->convertType(type.getElementType()),
                                       source.alignedPtr(rewriter, loc), skipped);
    descriptor.setAllocatedPtr(rewriter, loc, memory);
    descriptor.setAlignedPtr(rewriter, loc, memory);
    descriptor.setConstantOffset(rewriter, loc, 0);
    for (int64_t d = 0; d < type.getRank(); ++d) {
      descriptor.setSize(rewriter, loc, d, d == 0 ? adaptor.getLength() : source.size(rewriter, loc, d));
      descriptor.setStride(rewriter, loc, d, source.stride(rewriter, loc, d));
    }
    rewriter.replaceOp(op, Value(descriptor));
    return success();
  }
};

struct ParallelPattern : ConvertOpToLLVMPattern<sq::ParallelOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(sq::ParallelOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    OperationState state(op.getLoc(), op->getName());
    state.addOperands({adaptor.getCount(), adaptor.getGrain()});
    state.addAttributes(op->getAttrs());
    Region *body = state.addRegion();
    rewriter.inlineRegionBefore(op.getBody(), *body, body->end());
    if (failed(rewriter.convertRegionTypes(body, *getTypeConverter())))
      return failure();
    rewriter.create(state);
    rewriter.eraseOp(op);
    return success();
  }
};

/// A failed check in the schedule ends the run; in a kernel it is noted, and
/// the kernel goes on with what it clamped.
struct AssertPattern : ConvertOpToLLVMPattern<cf::AssertOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;
  LogicalResult matchAndRewrite(cf::AssertOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    bool inKernel = op->getParentOfType<sq::ParallelOp>() != nullptr;
    Value context = sq::contextOf(op);
    Block *before = op->getBlock();
    Block *after = rewriter.splitBlock(before, op->getIterator());
    Block *failed = rewriter.createBlock(after);
    ImplicitLocOpBuilder b(loc, rewriter);
    auto module = op->getParentOfType<ModuleOp>();
    Value zero = LLVM::ConstantOp::create(b, b.getI64Type(), 0);
    Value text = message(module, op.getMsg(), b);
    sq::callContext(b, context, offsetof(sq_kernel_context, fail), {}, {text, zero, zero});
    if (inKernel)
      LLVM::BrOp::create(b, after);
    else
      LLVM::ReturnOp::create(b, Value(LLVM::ConstantOp::create(b, b.getI32Type(), 1)));
    rewriter.setInsertionPointToEnd(before);
    LLVM::CondBrOp::create(rewriter, loc, adaptor.getArg(), after, failed);
    rewriter.eraseOp(op);
    return success();
  }

  static Value message(ModuleOp module, StringRef text, ImplicitLocOpBuilder &b) {
    std::string name;
    for (unsigned i = 0;; ++i) {
      name = "sq_message_" + std::to_string(i);
      auto global = module.lookupSymbol<LLVM::GlobalOp>(name);
      std::string bytes = text.str() + '\0';
      if (!global) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(module.getBody());
        auto type = LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size());
        LLVM::GlobalOp::create(b, type, /*isConstant=*/true, LLVM::Linkage::Private, name,
                               b.getStringAttr(bytes));
        break;
      }
      if (cast<StringAttr>(global.getValueOrNull()).getValue() == bytes)
        break;
    }
    return LLVM::AddressOfOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), name);
  }
};

struct ConvertToLLVMPass : sq::impl::ConvertToLLVMPassBase<ConvertToLLVMPass> {
  using ConvertToLLVMPassBase::ConvertToLLVMPassBase;

  /// Adds the context argument and the status result.
  static void adaptSignature(func::FuncOp func) {
    MLIRContext *context = func.getContext();
    auto ptr = LLVM::LLVMPointerType::get(context);
    (void)func.insertArgument(0, ptr, DictionaryAttr::get(context), func.getLoc());
    auto status = IntegerType::get(context, 32);
    func.setType(FunctionType::get(context, func.getArgumentTypes(), status));
    func.setPrivate();
    func.walk([&](func::ReturnOp ret) {
      OpBuilder b(ret);
      Value zero = LLVM::ConstantOp::create(b, ret.getLoc(), status, 0);
      ret->setOperands(zero);
    });
  }

  /// Thousands of inputs would be tens of thousands of arguments, which LLVM follows in quadratic
  /// time: @main reads one sq_kernel_input after the other itself.
  static void readInputs(LLVM::LLVMFuncOp main, ArrayRef<MemRefType> inputs) {
    ImplicitLocOpBuilder b(main.getLoc(), main.getContext());
    auto ptr = LLVM::LLVMPointerType::get(main.getContext());
    Block &block = main.getBody().front();
    b.setInsertionPointToStart(&block);
    unsigned unpacked = block.getNumArguments();
    Value array = block.addArgument(ptr, main.getLoc());
    SmallVector<Value> values;
    auto constant = [&](int64_t v) -> Value { return LLVM::ConstantOp::create(b, b.getI64Type(), v); };
    auto field = [&](Value base, int64_t offset, Type t) -> Value {
      Value at = LLVM::GEPOp::create(b, ptr, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset)});
      return LLVM::LoadOp::create(b, t, at);
    };
    for (auto [i, memref] : llvm::enumerate(inputs)) {
      int64_t base = i * sizeof(sq_kernel_input);
      Value data = field(array, base + offsetof(sq_kernel_input, data), ptr);
      Value shape = field(array, base + offsetof(sq_kernel_input, shape), ptr);
      SmallVector<Value> sizes, strides(memref.getRank());
      for (int64_t d = 0; d < memref.getRank(); ++d)
        sizes.push_back(memref.isDynamicDim(d) ? field(shape, d * 8, b.getI64Type())
                                               : constant(memref.getDimSize(d)));
      Value stride = constant(1);
      for (int64_t d = memref.getRank() - 1; d >= 0; --d) {
        strides[d] = stride;
        stride = LLVM::MulOp::create(b, stride, sizes[d]);
      }
      llvm::append_values(values, data, data, constant(0));
      llvm::append_range(values, sizes);
      llvm::append_range(values, strides);
    }
    for (auto [argument, value] : llvm::zip_equal(block.getArguments().slice(1, unpacked - 1), values))
      argument.replaceAllUsesWith(value);
    block.eraseArguments(1, unpacked - 1);
    main.setFunctionType(LLVM::LLVMFunctionType::get(b.getI32Type(), {ptr, ptr}));
    main.removeArgAttrsAttr();
  }

  /// The sq_entry_fn.
  static void makeEntry(ModuleOp module, LLVM::LLVMFuncOp main, StringRef name) {
    ImplicitLocOpBuilder b(main.getLoc(), module.getBodyRegion());
    b.setInsertionPointToEnd(module.getBody());
    auto entry = LLVM::LLVMFuncOp::create(b, name, main.getFunctionType());
    Block *block = entry.addEntryBlock(b);
    b.setInsertionPointToStart(block);
    auto call = LLVM::CallOp::create(b, main, block->getArguments());
    LLVM::ReturnOp::create(b, call.getResult());
  }

  /// What ends the function early splits its block, which moves all that follows in the block:
  /// where that is bounded, the time is linear. From the end, so that here too an op moves once.
  static void boundBlocks(Region &region) {
    constexpr int kMostOps = 512;
    SmallVector<Block *> blocks = llvm::map_to_vector(region, [](Block &block) { return &block; });
    for (Block *block : blocks) {
      int count = 0;
      for (Operation *op = &block->back(); op; op = op->getPrevNode()) {
        if (++count <= kMostOps)
          continue;
        Operation *next = op->getNextNode();
        Block *rest = block->splitBlock(next);
        OpBuilder b = OpBuilder::atBlockEnd(block);
        cf::BranchOp::create(b, next->getLoc(), rest);
        count = 0;
      }
    }
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal()) {
      module.emitError("has no function @main");
      return signalPassFailure();
    }
    SmallVector<MemRefType> inputs;
    for (Type t : main.getArgumentTypes()) {
      auto type = dyn_cast<MemRefType>(t);
      if (!type || !type.getLayout().isIdentity()) {
        main.emitError("takes an argument that is no dense memref: ") << t;
        return signalPassFailure();
      }
      inputs.push_back(type);
    }
    adaptSignature(main);
    boundBlocks(main.getBody());

    MLIRContext *context = &getContext();
    LowerToLLVMOptions options(context);
    LLVMTypeConverter converter(context, options);
    RewritePatternSet patterns(context);
    vector::populateVectorMaskMaterializationPatterns(patterns, /*force32BitVectorIndices=*/true);
    vector::populateVectorMaskOpLoweringPatterns(patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFuncToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    // An instruction where there is one; libm is called lane by lane.
    populateMathToLLVMConversionPatterns(converter, patterns, /*approximateLog1p=*/false,
                                         PatternBenefit(2));
    populateMathToLibmConversionPatterns(patterns, PatternBenefit(1));
    populateVectorToLLVMConversionPatterns(converter, patterns, /*reassociateFPReductions=*/false,
                                           /*force32BitVectorIndices=*/true);
    ub::populateUBToLLVMConversionPatterns(converter, patterns);
    patterns.add<WeightPattern, ThreadsPattern, ArenaPattern, OutputPattern, PartPattern, ParallelPattern>(converter);
    patterns.add<AssertPattern>(converter, PatternBenefit(2));
    sq::populateLaunchPatterns(converter, patterns);
    ConversionTarget target(*context);
    target.addLegalDialect<LLVM::LLVMDialect>();
    target.addLegalOp<ModuleOp, sq::YieldOp>();
    // Kernels, lowered already.
    target.addLegalOp<gpu::GPUModuleOp>();
    target.markOpRecursivelyLegal<gpu::GPUModuleOp>();
    target.addDynamicallyLegalOp<sq::ParallelOp>([&](sq::ParallelOp op) {
      return converter.isLegal(op->getOperandTypes()) && converter.isLegal(&op.getBody());
    });
    if (failed(applyFullConversion(module, target, std::move(patterns))))
      return signalPassFailure();
    auto converted = module.lookupSymbol<LLVM::LLVMFuncOp>("main");
    readInputs(converted, inputs);
    makeEntry(module, converted, entry);
  }
};

} // namespace
