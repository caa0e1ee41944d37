#include "codegen/cuda/Kernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

static gpu::LaunchOp makeLaunch(ImplicitLocOpBuilder &b, StringRef kind, ArrayRef<Value> blocks, int64_t threads,
                                ArrayRef<MemRefType> shared, int64_t dynamicBytes, function_ref<void(Thread &)> body) {
  Value one = indexConstant(b, 1);
  SmallVector<Value> grid(blocks);
  grid.resize(3, one);
  SmallVector<Type> attributions(shared.begin(), shared.end());
  Value dynamic = dynamicBytes ? Value(arith::ConstantOp::create(b, b.getI32IntegerAttr(static_cast<int32_t>(dynamicBytes)))) : Value();
  auto op = gpu::LaunchOp::create(b, grid[0], grid[1], grid[2], indexConstant(b, threads), one, one,
                                  /*dynamicSharedMemorySize=*/dynamic, /*asyncTokenType=*/Type(),
                                  /*asyncDependencies=*/ValueRange(), TypeRange(attributions));
  op->setAttr("sq.name", b.getStringAttr(kernelName(kind, b.getLoc())));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&op.getBody().front());
  Thread thread{b, op.getBlockIds().x, op.getBlockIds().y, op.getBlockIds().z, op.getThreadIds().x,
                SmallVector<Value>(llvm::map_range(op.getWorkgroupAttributions(), [](BlockArgument a) -> Value { return a; }))};
  if (dynamic)
    thread.shared.push_back(gpu::DynamicSharedMemoryOp::create(b, sharedType(b, {ShapedType::kDynamic}, b.getI8Type())));
  body(thread);
  gpu::TerminatorOp::create(b);
  return op;
}

gpu::LaunchOp sq::cuda::launch(ImplicitLocOpBuilder &b, StringRef kind, ArrayRef<Value> blocks, int64_t threads,
                               ArrayRef<MemRefType> shared, function_ref<void(Thread &)> body) {
  return makeLaunch(b, kind, blocks, threads, shared, 0, body);
}

gpu::LaunchOp sq::cuda::launchDynamic(ImplicitLocOpBuilder &b, StringRef kind, ArrayRef<Value> blocks, int64_t threads,
                                      int64_t bytes, function_ref<void(Thread &)> body) {
  return makeLaunch(b, kind, blocks, threads, {}, bytes, body);
}

Value sq::cuda::sharedView(Thread &t, int64_t offset, ArrayRef<int64_t> shape, Type element) {
  return memref::ViewOp::create(t.b, sharedType(t.b, shape, element), t.shared[0], indexConstant(t.b, offset), ValueRange());
}

MemRefType sq::cuda::sharedType(ImplicitLocOpBuilder &b, ArrayRef<int64_t> shape, Type element) {
  return MemRefType::get(shape, element, MemRefLayoutAttrInterface(),
                         gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup));
}

Value sq::cuda::f32Constant(ImplicitLocOpBuilder &b, double value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(static_cast<float>(value)));
}

static Type elementOf(Value memref) { return cast<MemRefType>(memref.getType()).getElementType(); }

llvm::MaybeAlign sq::cuda::alignmentOf(VectorType type) {
  return llvm::Align(std::min<int64_t>(type.getNumElements() * type.getElementTypeBitWidth() / 8, 16));
}

bool sq::cuda::isFloatUpTo32(Value memref) {
  Type element = elementOf(memref);
  return element.isF32() || element.isF16() || element.isBF16();
}

Value sq::cuda::loadF32(ImplicitLocOpBuilder &b, Value memref, ValueRange at) {
  Value v = memref::LoadOp::create(b, memref, at);
  return v.getType().isF32() ? v : Value(arith::ExtFOp::create(b, b.getF32Type(), v));
}

Value sq::cuda::loadVectorF32(ImplicitLocOpBuilder &b, int64_t count, Value memref, ValueRange at) {
  Type element = elementOf(memref);
  auto type = VectorType::get({count}, element);
  Value v = vector::LoadOp::create(b, type, memref, at, false, alignmentOf(type));
  return element.isF32() ? v : Value(arith::ExtFOp::create(b, type.clone(b.getF32Type()), v));
}

void sq::cuda::storeF32(ImplicitLocOpBuilder &b, Value value, Value memref, ValueRange at) {
  Type element = elementOf(memref);
  auto vector = dyn_cast<VectorType>(value.getType());
  if (!element.isF32())
    value = arith::TruncFOp::create(b, vector ? Type(vector.clone(element)) : element, value);
  if (!vector) {
    memref::StoreOp::create(b, value, memref, at);
    return;
  }
  vector::StoreOp::create(b, value, memref, at, false, alignmentOf(vector.clone(element)));
}

Value sq::cuda::reduceLanes(ImplicitLocOpBuilder &b, Value v, int64_t lanes,
                      function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> combine) {
  for (int64_t distance = lanes / 2; distance > 0; distance /= 2) {
    Value other = gpu::ShuffleOp::create(b, v, static_cast<int32_t>(distance), static_cast<int32_t>(kWarp),
                                         gpu::ShuffleMode::XOR)
                      .getShuffleResult();
    v = combine(b, v, other);
  }
  return v;
}

bool sq::cuda::hasAlignedRows(Value memref, int64_t elements) {
  auto type = cast<MemRefType>(memref.getType());
  auto fits = [&](int64_t n) { return !ShapedType::isDynamic(n) && n % elements == 0; };
  if (type.getRank() == 0 || !fits(type.getShape().back()))
    return false;
  if (type.getLayout().isIdentity())
    return true;
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(type.getStridesAndOffset(strides, offset)) && fits(offset) && strides.back() == 1 &&
         llvm::all_of(ArrayRef(strides).drop_back(), fits);
}

SmallVector<Value> sq::cuda::inlineRegion(ImplicitLocOpBuilder &b, Block &block, ValueRange args) {
  IRMapping map;
  map.map(block.getArguments(), args);
  for (Operation &inner : block.without_terminator())
    b.clone(inner, map);
  return llvm::map_to_vector(block.getTerminator()->getOperands(),
                             [&](Value v) { return map.lookupOrDefault(v); });
}

void sq::cuda::onlyIf(ImplicitLocOpBuilder &b, Value condition, function_ref<void(ImplicitLocOpBuilder &)> then) {
  scf::IfOp::create(b, condition, [&](OpBuilder &o, Location l) {
    ImplicitLocOpBuilder ib(l, o);
    then(ib);
    scf::YieldOp::create(ib);
  });
}

Value sq::cuda::below(ImplicitLocOpBuilder &b, Value a, Value c) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, a, c);
}
