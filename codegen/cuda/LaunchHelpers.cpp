#include "codegen/cuda/Kernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

gpu::LaunchOp sq::cuda::launch(ImplicitLocOpBuilder &b, StringRef kind, ArrayRef<Value> blocks, int64_t threads,
                ArrayRef<MemRefType> shared, function_ref<void(Thread &)> body) {
  Value one = indexConstant(b, 1);
  SmallVector<Value> grid(blocks);
  grid.resize(3, one);
  SmallVector<Type> attributions(shared.begin(), shared.end());
  auto op = gpu::LaunchOp::create(b, grid[0], grid[1], grid[2], indexConstant(b, threads), one, one,
                                  /*dynamicSharedMemorySize=*/Value(), /*asyncTokenType=*/Type(),
                                  /*asyncDependencies=*/ValueRange(), TypeRange(attributions));
  op->setAttr("sq.name", b.getStringAttr(kernelName(kind, b.getLoc())));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&op.getBody().front());
  Thread thread{b, op.getBlockIds().x, op.getBlockIds().y, op.getBlockIds().z, op.getThreadIds().x,
                SmallVector<Value>(llvm::map_range(op.getWorkgroupAttributions(), [](BlockArgument a) -> Value { return a; }))};
  body(thread);
  gpu::TerminatorOp::create(b);
  return op;
}

MemRefType sq::cuda::sharedType(ImplicitLocOpBuilder &b, ArrayRef<int64_t> shape, Type element) {
  return MemRefType::get(shape, element, MemRefLayoutAttrInterface(),
                         gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup));
}

Value sq::cuda::f32Constant(ImplicitLocOpBuilder &b, double value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(static_cast<float>(value)));
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
