#include "codegen/common/ContractionTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

SmallVector<Value> sq::emitContractionTile(ImplicitLocOpBuilder &b, const ContractionTile &tile) {
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(tile.vectorType));
  SmallVector<Value> init(tile.init);
  if (init.empty())
    init.assign(tile.rows * tile.vectors, zero);
  auto step = [&](ImplicitLocOpBuilder &ib, Value k, ValueRange acc) {
    SmallVector<Value> rhs, next;
    if (tile.step)
      tile.step(ib, k);
    for (int64_t v = 0; v < tile.vectors; ++v)
      rhs.push_back(tile.rhs(ib, k, v));
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value lhs = tile.lhs(ib, r, k);
      if (!tile.multiply)
        lhs = vector::BroadcastOp::create(ib, tile.vectorType, lhs);
      for (int64_t v = 0; v < tile.vectors; ++v) {
        Value sum = acc[r * tile.vectors + v];
        next.push_back(tile.multiply ? tile.multiply(ib, lhs, rhs[v], sum)
                                     : Value(vector::FMAOp::create(ib, lhs, rhs[v], sum)));
      }
    }
    return next;
  };
  auto steps = [&](ImplicitLocOpBuilder &ib, Value k, int64_t count, ValueRange acc) {
    SmallVector<Value> sums(acc);
    for (int64_t i = 0; i < count; ++i)
      sums = step(ib, i ? Value(arith::AddIOp::create(ib, k, arith::ConstantIndexOp::create(ib, i))) : k, sums);
    return sums;
  };
  Value end = tile.depth;
  int64_t rest = 0;
  if (tile.unroll > 1) {
    int64_t depth = *getConstantIntValue(tile.depth);
    rest = depth % tile.unroll;
    end = arith::ConstantIndexOp::create(b, depth - rest);
  }
  Value c0 = arith::ConstantIndexOp::create(b, 0);
  Value round = arith::ConstantIndexOp::create(b, tile.unroll);
  auto loop = scf::ForOp::create(b, c0, end, round, init, [&](OpBuilder &nested, Location loc, Value k, ValueRange acc) {
    ImplicitLocOpBuilder ib(loc, nested);
    scf::YieldOp::create(ib, steps(ib, k, tile.unroll, acc));
  });
  return steps(b, end, rest, loop.getResults());
}

void sq::emitRowTiles(ImplicitLocOpBuilder &b, Value begin, Value end, int64_t rows,
                      function_ref<void(ImplicitLocOpBuilder &, ArrayRef<Value>)> tile) {
  auto constant = [&](ImplicitLocOpBuilder &ib, int64_t value) -> Value {
    return arith::ConstantIndexOp::create(ib, value);
  };
  Value count = b.createOrFold<arith::SubIOp>(end, begin);
  Value rest = b.createOrFold<arith::RemUIOp>(count, constant(b, rows));
  Value full = b.createOrFold<arith::SubIOp>(end, rest);
  scf::ForOp::create(b, begin, full, constant(b, rows), ValueRange(),
                     [&](OpBuilder &inner, Location l, Value m, ValueRange) {
                       ImplicitLocOpBuilder tb(l, inner);
                       SmallVector<Value> row;
                       for (int64_t r = 0; r < rows; ++r)
                         row.push_back(tb.createOrFold<arith::AddIOp>(m, constant(tb, r)));
                       tile(tb, row);
                       scf::YieldOp::create(tb);
                     });
  auto part = [&](ImplicitLocOpBuilder &pb, int64_t size) {
    Value last = pb.createOrFold<arith::SubIOp>(end, constant(pb, 1));
    SmallVector<Value> row;
    for (int64_t r = 0; r < size; ++r)
      row.push_back(pb.createOrFold<arith::MinUIOp>(
          pb.createOrFold<arith::AddIOp>(full, constant(pb, r)), last));
    tile(pb, row);
  };
  if (auto known = rest.getDefiningOp<arith::ConstantIndexOp>()) {
    if (known.value())
      part(b, known.value());
    return;
  }
  int64_t largest = llvm::alignTo(rows - 1, 2);
  Value pairs = arith::ShRUIOp::create(b, arith::AddIOp::create(b, rest, constant(b, 1)), constant(b, 1));
  SmallVector<int64_t> cases = llvm::to_vector(llvm::seq<int64_t>(1, largest / 2 + 1));
  auto choice = scf::IndexSwitchOp::create(b, TypeRange(), pairs, cases, cases.size());
  auto fill = [&](Region &region, int64_t size) {
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&region);
    if (size)
      part(b, std::min(size, rows));
    scf::YieldOp::create(b);
  };
  fill(choice.getDefaultRegion(), 0);
  for (int64_t half : cases)
    fill(choice.getCaseRegions()[half - 1], 2 * half);
}
