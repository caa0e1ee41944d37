#include "codegen/cuda/SplitK.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {
constexpr int64_t kBlocksWanted = 264; // two for each multiprocessor of an H200
constexpr int64_t kLeastDepth = 256;   // of a part: less is not worth the second launch
constexpr int64_t kThreads = 256;
} // namespace

SplitK::SplitK(ImplicitLocOpBuilder &b, Value rowTiles, int64_t panels, int64_t depth)
    : rowTiles(rowTiles), panels(panels) {
  static_assert(kTile == kCudaPanelColumns);
  Value tiles = arith::MulIOp::create(b, rowTiles, indexConstant(b, panels));
  Value one = indexConstant(b, 1);
  auto sizeOf = [&](int64_t count) {
    return indexConstant(b, llvm::alignTo(llvm::divideCeil(std::max<int64_t>(depth, 1), count), kStep));
  };
  parts = one;
  perPart = sizeOf(1);
  int64_t most = depth / kLeastDepth;
  if (most < 2)
    return;
  // The largest of a few numbers that still fits.
  SmallVector<int64_t> counts;
  for (int64_t count = 2; count < most; count *= 2)
    counts.push_back(count);
  counts.push_back(most);
  for (int64_t count : counts) {
    Value fits = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, tiles, indexConstant(b, kBlocksWanted / count));
    parts = arith::SelectOp::create(b, fits, indexConstant(b, count), parts);
    perPart = arith::SelectOp::create(b, fits, sizeOf(count), perPart);
  }
  // As much as there can be: a size that is known keeps the arena's formula.
  partial = memref::AllocOp::create(b, MemRefType::get({kBlocksWanted, kTile, kTile}, b.getF32Type()));
}

std::pair<Value, Value> SplitK::range(ImplicitLocOpBuilder &b, Value part, Value depth) const {
  if (!partial)
    return {indexConstant(b, 0), depth};
  Value begin = arith::MinUIOp::create(b, arith::MulIOp::create(b, part, perPart), depth);
  Value end = arith::MinUIOp::create(b, arith::AddIOp::create(b, begin, perPart), depth);
  return {begin, end};
}

SmallVector<Value> SplitK::place(ImplicitLocOpBuilder &b, Value part, Value m, Value n) const {
  Value size = indexConstant(b, kTile);
  Value row = arith::AddIOp::create(b, arith::MulIOp::create(b, part, rowTiles), arith::DivUIOp::create(b, m, size));
  Value tile = arith::AddIOp::create(b, arith::MulIOp::create(b, row, indexConstant(b, panels)), arith::DivUIOp::create(b, n, size));
  return {tile, arith::RemUIOp::create(b, m, size), arith::RemUIOp::create(b, n, size)};
}

StoreSum SplitK::storeOf(Value part, StoreSum store) const {
  if (!partial)
    return store;
  return [this, part, store](ImplicitLocOpBuilder &b, Value m, Value n, Value sum) {
    Value single = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, parts, indexConstant(b, 1));
    scf::IfOp::create(
        b, single,
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          store(ib, m, n, sum);
          scf::YieldOp::create(ib);
        },
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          storeF32(ib, sum, partial, place(ib, part, m, n));
          scf::YieldOp::create(ib);
        });
  };
}

void SplitK::join(ImplicitLocOpBuilder &b, Value rows, Value columns, const StoreSum &store) const {
  if (!partial)
    return;
  Value several = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, parts, indexConstant(b, 1));
  onlyIf(b, several, [&](ImplicitLocOpBuilder &ib) {
    launchSum(ib, parts, rows, columns, [&](ImplicitLocOpBuilder &lb, Value part, Value m, Value n) -> Value {
      return memref::LoadOp::create(lb, partial, ValueRange(place(lb, part, m, n)));
    }, store);
  });
}

void sq::cuda::launchSum(ImplicitLocOpBuilder &b, Value parts, Value rows, Value columns,
                         function_ref<Value(ImplicitLocOpBuilder &, Value, Value, Value)> load, const StoreSum &store) {
  Value threads = indexConstant(b, kThreads);
  gpu::LaunchOp op = launch(b, "split_sum", {ceilDiv(b, columns, threads), rows}, kThreads, {}, [&](Thread &t) {
    Value n = arith::AddIOp::create(t.b, arith::MulIOp::create(t.b, t.block, threads), t.thread);
    onlyIf(t.b, below(t.b, n, columns), [&](ImplicitLocOpBuilder &ib) {
      auto sum = scf::ForOp::create(ib, indexConstant(ib, 0), parts, indexConstant(ib, 1), f32Constant(ib, 0.0),
                                    [&](OpBuilder &o, Location l, Value part, ValueRange acc) {
                                      ImplicitLocOpBuilder sb(l, o);
                                      Value term = load(sb, part, t.blockY, n);
                                      scf::YieldOp::create(sb, ValueRange(arith::AddFOp::create(sb, acc[0], term)));
                                    });
      store(ib, t.blockY, n, sum.getResult(0));
    });
  });
  op->setAttr("sq.alternative", b.getUnitAttr()); // its work is told with the product's
}
