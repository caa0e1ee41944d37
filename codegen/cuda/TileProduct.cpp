//===-- TileProduct.cpp - a tile of a product in f32, without tensor cores ----===//
//
// 16 x 16 threads, each with 4 x 4 sums in registers. The slices of A (transposed)
// and B lie in shared memory for 16 steps of k; a step of a thread is two loads
// of four floats and 16 fused multiply-adds.
//
//===--------------------------------------------------------------------------===//

#include "codegen/cuda/TileProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {
constexpr int64_t kEach = 4;                    // rows and columns of a thread
constexpr int64_t kPitch = TileProduct::kRows + kEach; // of transposed A: its stores spread over the banks
} // namespace

SmallVector<MemRefType> TileProduct::shared(ImplicitLocOpBuilder &b) {
  return {sharedType(b, {kDepth, kPitch}, b.getF32Type()), sharedType(b, {kDepth, kColumns}, b.getF32Type())};
}

void TileProduct::emit(Thread &t, Value firstRow, Value firstColumn) {
  ImplicitLocOpBuilder &b = t.b;
  Value sliceA = t.shared[0], sliceB = t.shared[1];
  auto split = [&](ImplicitLocOpBuilder &ib, Value v, int64_t by) {
    Value c = indexConstant(ib, by);
    return std::pair<Value, Value>(arith::DivUIOp::create(ib, v, c), arith::RemUIOp::create(ib, v, c));
  };
  auto sum = [](ImplicitLocOpBuilder &ib, Value a, Value c) { return ib.createOrFold<arith::AddIOp>(a, c); };
  auto [ty, tx] = split(b, t.thread, kColumns / kEach);
  Value myRow = arith::MulIOp::create(b, ty, indexConstant(b, kEach));
  Value myColumn = arith::MulIOp::create(b, tx, indexConstant(b, kEach));
  Value zero = f32Constant(b, 0.0);
  auto four = VectorType::get({kEach}, b.getF32Type());

  // A value of the matrix, or 0 beyond it.
  auto guarded = [&](ImplicitLocOpBuilder &ib, Value inside, function_ref<Value(ImplicitLocOpBuilder &)> load) -> Value {
    return scf::IfOp::create(
               ib, inside,
               [&](OpBuilder &o, Location l) {
                 ImplicitLocOpBuilder lb(l, o);
                 scf::YieldOp::create(lb, load(lb));
               },
               [&](OpBuilder &o, Location l) { scf::YieldOp::create(o, l, zero); })
        .getResult(0);
  };

  SmallVector<Value> init(kEach * kEach, zero);
  auto steps = scf::ForOp::create(
      b, begin, end, indexConstant(b, kDepth), init,
      [&](OpBuilder &o, Location loc, Value k0, ValueRange acc) {
        ImplicitLocOpBuilder ib(loc, o);
        for (int64_t i = 0; i < kRows * kDepth / kThreads; ++i) {
          auto [row, k] = split(ib, plus(ib, t.thread, i * kThreads), kDepth);
          Value m = sum(ib, firstRow, row), at = sum(ib, k0, k);
          Value inside = arith::AndIOp::create(ib, below(ib, m, rows), below(ib, at, end));
          Value v = guarded(ib, inside, [&](ImplicitLocOpBuilder &lb) { return loadA(lb, m, at); });
          memref::StoreOp::create(ib, v, sliceA, ValueRange{k, row});
        }
        for (int64_t i = 0; i < kColumns * kDepth / kThreads; ++i) {
          auto [k, column] = split(ib, plus(ib, t.thread, i * kThreads), kColumns);
          Value n = sum(ib, firstColumn, column), at = sum(ib, k0, k);
          Value inside = arith::AndIOp::create(ib, below(ib, n, columns), below(ib, at, end));
          Value v = guarded(ib, inside, [&](ImplicitLocOpBuilder &lb) { return loadB(lb, at, n); });
          memref::StoreOp::create(ib, v, sliceB, ValueRange{k, column});
        }
        gpu::BarrierOp::create(ib);
        SmallVector<Value> sums(acc);
        for (int64_t k = 0; k < kDepth; ++k) {
          Value a = vector::LoadOp::create(ib, four, sliceA, ValueRange{indexConstant(ib, k), myRow}, false, llvm::Align(16));
          Value c = vector::LoadOp::create(ib, four, sliceB, ValueRange{indexConstant(ib, k), myColumn}, false, llvm::Align(16));
          for (int64_t i = 0; i < kEach; ++i)
            for (int64_t j = 0; j < kEach; ++j)
              sums[i * kEach + j] = math::FmaOp::create(ib, vector::ExtractOp::create(ib, a, i),
                                                        vector::ExtractOp::create(ib, c, j), sums[i * kEach + j]);
        }
        gpu::BarrierOp::create(ib);
        scf::YieldOp::create(ib, sums);
      });
  std::optional<int64_t> known = getConstantIntValue(columns);
  bool whole = known && *known % kColumns == 0; // every column exists
  for (int64_t i = 0; i < kEach; ++i) {
    Value m = sum(b, firstRow, plus(b, myRow, i));
    onlyIf(b, below(b, m, rows), [&](ImplicitLocOpBuilder &rb) {
      for (int64_t j = 0; j < kEach; ++j) {
        Value n = sum(rb, firstColumn, plus(rb, myColumn, j)), value = steps.getResult(i * kEach + j);
        if (whole)
          store(rb, m, n, value);
        else
          onlyIf(rb, below(rb, n, columns), [&](ImplicitLocOpBuilder &ib) { store(ib, m, n, value); });
      }
    });
  }
}
