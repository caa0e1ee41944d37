//===-- Gemv.cpp - products with a few rows -----------------------------------===//
//
// A thread reads 16 bytes of a row of a panel at a time: 8 or 16 threads read a
// row of 64 columns, the others of the block further rows, so that a block reads
// one piece of memory. Four loads are under way in each thread. What the threads
// of one column found is added by shuffles and in shared memory.
//
//===--------------------------------------------------------------------------===//

#include "codegen/cuda/Gemv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {
constexpr int64_t kThreads = 256, kUnroll = 4;
constexpr int64_t kBlocksWanted = 512; // some for each multiprocessor of an H200 (132)

MemRefType typeOf(Value v) { return cast<MemRefType>(v.getType()); }
/// Weights in 16 bytes.
int64_t chunkOf(Value weight) { return 128 / typeOf(weight).getElementTypeBitWidth(); }
/// Rows of a panel that a block reads at a time.
int64_t slotsOf(Value weight) { return kThreads / (kCudaPanelColumns / chunkOf(weight)); }
} // namespace

int64_t Gemv::splits() const {
  int64_t panels = typeOf(weight).getDimSize(0), depth = typeOf(weight).getDimSize(1);
  int64_t most = std::max<int64_t>(depth / (slotsOf(weight) * kUnroll), 1);
  return std::min<int64_t>(llvm::divideCeil(kBlocksWanted, panels), most);
}

Value Gemv::scratch(ImplicitLocOpBuilder &b) const {
  if (splits() == 1)
    return Value();
  auto type = MemRefType::get({splits(), mostRows, typeOf(weight).getDimSize(0) * kCudaPanelColumns}, b.getF32Type());
  return memref::AllocOp::create(b, type);
}

void Gemv::emit(ImplicitLocOpBuilder &b, Value partial) const {
  MemRefType panels = typeOf(weight);
  int64_t depth = panels.getDimSize(1), chunk = chunkOf(weight), slots = slotsOf(weight), parts = splits();
  // Rows of a part, a multiple of what the block reads at a time.
  int64_t perPart = llvm::divideCeil(llvm::divideCeil(depth, parts), slots) * slots;
  Type f32 = b.getF32Type();
  auto loaded = VectorType::get({chunk}, panels.getElementType()), wide = VectorType::get({chunk}, f32);
  // None without rows: there is then no x to read.
  Value blocks = arith::MulIOp::create(b, arith::MinUIOp::create(b, rows, indexConstant(b, 1)),
                                       indexConstant(b, panels.getDimSize(0)));
  gpu::LaunchOp main = launch(b, "gemv", {blocks, indexConstant(b, parts)}, kThreads,
         {sharedType(b, {kThreads / kWarp, mostRows, kCudaPanelColumns + 4}, f32)}, [&](Thread &t) {
    ImplicitLocOpBuilder &tb = t.b;
    Value lanes = indexConstant(tb, kCudaPanelColumns / chunk);
    Value slot = arith::DivUIOp::create(tb, t.thread, lanes);
    Value column = arith::MulIOp::create(tb, arith::RemUIOp::create(tb, t.thread, lanes), indexConstant(tb, chunk));
    Value begin = arith::MulIOp::create(tb, t.blockY, indexConstant(tb, perPart));
    Value end = arith::MinUIOp::create(tb, plus(tb, begin, perPart), indexConstant(tb, depth));
    Value lastRow = arith::SubIOp::create(tb, rows, indexConstant(tb, 1)), lastK = indexConstant(tb, depth - 1);
    Value zero = f32Constant(tb, 0.0);
    SmallVector<Value> init(mostRows, arith::ConstantOp::create(tb, tb.getZeroAttr(wide)));
    auto steps = scf::ForOp::create(
        tb, arith::AddIOp::create(tb, begin, slot), end, indexConstant(tb, slots * kUnroll), init,
        [&](OpBuilder &o, Location l, Value k0, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          SmallVector<Value> sums(acc), weights, places, inside;
          for (int64_t u = 0; u < kUnroll; ++u) {
            // Beyond the end some row is read again and counts nothing.
            Value k = plus(ib, k0, u * slots);
            inside.push_back(below(ib, k, end));
            places.push_back(arith::MinUIOp::create(ib, k, lastK));
            weights.push_back(vector::LoadOp::create(ib, loaded, weight, ValueRange{t.block, places[u], column}, false, llvm::Align(16)));
          }
          for (int64_t u = 0; u < kUnroll; ++u) {
            Value w = panels.getElementType().isF32() ? weights[u] : Value(arith::ExtFOp::create(ib, wide, weights[u]));
            // A weight that is no number must not meet the 0 of what is beyond.
            w = arith::SelectOp::create(ib, inside[u], w, init[0]);
            for (int64_t m = 0; m < mostRows; ++m) {
              Value row = m ? Value(arith::MinUIOp::create(ib, indexConstant(ib, m), lastRow)) : indexConstant(ib, 0);
              Value value = loadF32(ib, x, {row, places[u]});
              value = arith::SelectOp::create(ib, inside[u], value, zero);
              sums[m] = math::FmaOp::create(ib, w, vector::BroadcastOp::create(ib, wide, value), sums[m]);
            }
          }
          scf::YieldOp::create(ib, sums);
        });
    // First among the lanes of a warp that have the same columns, then among warps.
    SmallVector<Value> found;
    for (int64_t m = 0; m < mostRows; ++m)
      for (int64_t i = 0; i < chunk; ++i) {
        Value sum = vector::ExtractOp::create(tb, steps.getResult(m), i);
        for (int64_t distance = kCudaPanelColumns / chunk; distance < kWarp; distance *= 2)
          sum = arith::AddFOp::create(tb, sum, gpu::ShuffleOp::create(tb, sum, static_cast<int32_t>(distance), static_cast<int32_t>(kWarp), gpu::ShuffleMode::XOR).getShuffleResult());
        found.push_back(sum);
      }
    Value warp = arith::DivUIOp::create(tb, t.thread, indexConstant(tb, kWarp));
    Value lane = arith::RemUIOp::create(tb, t.thread, indexConstant(tb, kWarp));
    onlyIf(tb, below(tb, lane, lanes), [&](ImplicitLocOpBuilder &ib) {
      for (auto [i, sum] : llvm::enumerate(found))
        memref::StoreOp::create(ib, sum, t.shared[0], ValueRange{warp, indexConstant(ib, i / chunk), plus(ib, column, i % chunk)});
    });
    gpu::BarrierOp::create(tb);
    loop(tb, t.thread, indexConstant(tb, mostRows * kCudaPanelColumns), kThreads, [&](ImplicitLocOpBuilder &ib, Value i) {
      Value width = indexConstant(ib, kCudaPanelColumns);
      Value m = arith::DivUIOp::create(ib, i, width), at = arith::RemUIOp::create(ib, i, width);
      Value sum = memref::LoadOp::create(ib, t.shared[0], ValueRange{indexConstant(ib, 0), m, at});
      for (int64_t s = 1; s < kThreads / kWarp; ++s)
        sum = arith::AddFOp::create(ib, sum, memref::LoadOp::create(ib, t.shared[0], ValueRange{indexConstant(ib, s), m, at}));
      Value n = arith::AddIOp::create(ib, arith::MulIOp::create(ib, t.block, width), at);
      if (partial) {
        memref::StoreOp::create(ib, sum, partial, ValueRange{t.blockY, m, n});
        return;
      }
      Value exists = arith::AndIOp::create(ib, below(ib, m, rows), below(ib, n, columns));
      onlyIf(ib, exists, [&](ImplicitLocOpBuilder &sb) { store(sb, m, n, sum); });
    });
  });
  if (isAlternative)
    main->setAttr("sq.alternative", b.getUnitAttr());
  if (!partial)
    return;
  launchSum(b, indexConstant(b, parts), rows, columns, [&](ImplicitLocOpBuilder &ib, Value part, Value m, Value n) -> Value {
    return memref::LoadOp::create(ib, partial, ValueRange{part, m, n});
  }, store);
}
