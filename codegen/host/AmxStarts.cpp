#include "codegen/host/AmxStarts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/Transpose.h"
#include "codegen/host/AmxTiles.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

static constexpr int64_t kLanes = 16;

static Value tileOf(ImplicitLocOpBuilder &b, Value t) {
  return arith::DivUIOp::create(b, t, indexConstant(b, kLanes));
}

AmxStarts AmxStarts::allocate(ImplicitLocOpBuilder &b, Value keys,
                              int64_t queries, Type element) {
  auto constant = [&](int64_t n) -> OpFoldResult { return b.getIndexAttr(n); };
  return {allocPerThread(b, {constant(queries), keys}, element),
          allocPerThread(b, {keys, constant(kLanes)}, element),
          allocPerThread(b, {tileOf(b, keys)}, b.getI64Type()), queries == 1};
}

void AmxStarts::fill(ImplicitLocOpBuilder &b, Value thread, Value keys) const {
  loop(b, indexConstant(b, 0), keys, kLanes,
       [&](ImplicitLocOpBuilder &tb, Value t) {
         if (isShared)
           fillShared(tb, thread, t);
         else
           fillOwn(tb, thread, t);
       });
}

static VectorType rowType(Value memref) {
  return VectorType::get({kLanes},
                         cast<MemRefType>(memref.getType()).getElementType());
}

void AmxStarts::fillShared(ImplicitLocOpBuilder &b, Value thread,
                           Value t) const {
  Value zero = indexConstant(b, 0);
  VectorType type = rowType(rows);
  Value x = vector::LoadOp::create(b, type, rows, ValueRange{thread, zero, t});
  auto store = [&](ImplicitLocOpBuilder &ib, int64_t i) {
    Value row = vector::BroadcastOp::create(
        ib, type, vector::ExtractOp::create(ib, x, i));
    vector::StoreOp::create(ib, row, tiles,
                            ValueRange{thread, plus(ib, t, i), zero});
    return row;
  };
  auto bits = VectorType::get({kLanes}, b.getI32Type());
  Value first = store(b, 0);
  Value differ =
      arith::XOrIOp::create(b, vector::BitCastOp::create(b, bits, x),
                            vector::BitCastOp::create(b, bits, first));
  Value any = vector::ReductionOp::create(b, vector::CombiningKind::OR, differ);
  Value isOne = arith::CmpIOp::create(
      b, arith::CmpIPredicate::eq, any,
      arith::ConstantOp::create(b, b.getI32IntegerAttr(0)));
  Value stride = arith::SelectOp::create(b, isOne, amx::strideOf(b, 0),
                                         amx::strideOf(b, amx::kRowBytes));
  memref::StoreOp::create(b, stride, strides, ValueRange{thread, tileOf(b, t)});
  auto nothing = [](OpBuilder &o, Location l) { scf::YieldOp::create(o, l); };
  scf::IfOp::create(b, isOne, nothing, [&](OpBuilder &o, Location l) {
    ImplicitLocOpBuilder ib(l, o);
    for (int64_t i = 1; i < kLanes; ++i)
      store(ib, i);
    scf::YieldOp::create(ib);
  });
}

void AmxStarts::fillOwn(ImplicitLocOpBuilder &b, Value thread, Value t) const {
  SmallVector<Value> x;
  for (int64_t i = 0; i < kLanes; ++i)
    x.push_back(vector::LoadOp::create(
        b, rowType(rows), rows, ValueRange{thread, indexConstant(b, i), t}));
  emitTranspose(b, x);
  for (auto [i, row] : llvm::enumerate(x))
    vector::StoreOp::create(
        b, row, tiles, ValueRange{thread, plus(b, t, i), indexConstant(b, 0)});
  memref::StoreOp::create(b, amx::strideOf(b, amx::kRowBytes), strides,
                          ValueRange{thread, tileOf(b, t)});
}

Value AmxStarts::load(ImplicitLocOpBuilder &b, Value thread, Value t) const {
  Value at = arith::AddIOp::create(
      b, arith::MulIOp::create(b, thread, dimOf(b, tiles, 1)), t);
  at = arith::MulIOp::create(b, at, indexConstant(b, kLanes));
  Value stride =
      memref::LoadOp::create(b, strides, ValueRange{thread, tileOf(b, t)});
  return amx::loadTile(b, amx::address(b, tiles, at), stride);
}
