#include "codegen/cuda/SumRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

void SumRows::store(ImplicitLocOpBuilder &b, Value staged, Value top,
                    Value left, ValueRange sums, const StoreSum &store) const {
  auto num = [&](ImplicitLocOpBuilder &at, int64_t v) {
    return indexConstant(at, v);
  };
  auto add = [](ImplicitLocOpBuilder &at, Value x, Value y) {
    return at.createOrFold<arith::AddIOp>(x, y);
  };
  auto times = [&](ImplicitLocOpBuilder &at, Value x, int64_t y) {
    return at.createOrFold<arith::MulIOp>(x, num(at, y));
  };
  auto over = [&](Value x, int64_t y) {
    return b.createOrFold<arith::DivUIOp>(x, num(b, y));
  };
  auto mod = [&](Value x, int64_t y) {
    return b.createOrFold<arith::RemUIOp>(x, num(b, y));
  };
  Value everyLane = arith::ConstantOp::create(b, b.getI32IntegerAttr(-1));
  auto two = VectorType::get({2}, b.getF32Type());
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t j = 0; j < width / 8; ++j) {
      Value pair = vector::FromElementsOp::create(
          b, two, sums.slice(j * 4 + half * 2, 2));
      Value row = plus(b, over(lane, 4), half * 8),
            column = plus(b, times(b, mod(lane, 4), 2), j * 8);
      vector::StoreOp::create(b, pair, staged, ValueRange{warp, row, column},
                              false, llvm::Align(8));
    }
  NVVM::SyncWarpOp::create(b, everyLane);
  std::optional<int64_t> known = getConstantIntValue(columns);
  bool together = known && *known % kTogether == 0;
  int64_t pieces =
      kRows * width / kTogether; // of the rows, in the order of memory
  loop(b, lane, num(b, pieces), kWarp,
       [&](ImplicitLocOpBuilder &ib, Value piece) {
         Value across = num(ib, width / kTogether);
         Value row = arith::DivUIOp::create(ib, piece, across),
               column = times(ib, arith::RemUIOp::create(ib, piece, across),
                              kTogether);
         Value m = add(ib, top, row), n = add(ib, left, column);
         Value exists = arith::AndIOp::create(ib, below(ib, m, rows),
                                              below(ib, n, columns));
         onlyIf(ib, exists, [&](ImplicitLocOpBuilder &sb) {
           auto all = VectorType::get({kTogether}, sb.getF32Type());
           Value v = vector::LoadOp::create(sb, all, staged,
                                            ValueRange{warp, row, column},
                                            false, llvm::Align(16));
           if (together)
             return store(sb, m, n, v);
           for (int64_t j = 0; j < kTogether; ++j) {
             Value one = vector::ExtractOp::create(sb, v, j),
                   at = plus(sb, n, j);
             onlyIf(sb, below(sb, at, columns),
                    [&](ImplicitLocOpBuilder &lb) { store(lb, m, at, one); });
           }
         });
       });
  NVVM::SyncWarpOp::create(b, everyLane);
}
