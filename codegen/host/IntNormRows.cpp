//===-- IntNormRows.cpp - norms of integers by rows -----------------------===//
//
// Three passes over a row, which stays in L1: its sum, its squares, its
// results. Products have 64 bits, which even and odd lanes take in turn
// (codegen/common/VectorIntegers.h). What each row divides by is scalar
// arithmetic, the same as in the loops of --sq-lower-integer.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/VectorIntegers.h"
#include "codegen/host/Kernels.h"
#include "dialects/sq/IR/IntegerOps.h"
#include "passes/lower_integer/NormRow.h"

using namespace mlir;
using namespace sq;
using numerics::Interval;

namespace {

/// Elements of a thread's share that are worth waking it.
constexpr int64_t kElementsPerThread = 1 << 13;

struct Emitter {
  IntNormRowsOp op;
  int64_t lanes, columns;
  Value x, y, multipliers, addends;

  VectorType narrow(OpBuilder &b) {
    return VectorType::get({lanes}, b.getI32Type());
  }
  VectorType wide(OpBuilder &b) {
    return VectorType::get({lanes / 2}, b.getI64Type());
  }
  Value splat(ImplicitLocOpBuilder &b, VectorType type, int64_t value) {
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, Attribute(b.getIntegerAttr(
                                            type.getElementType(), value))));
  }
  Value spread(ImplicitLocOpBuilder &b, VectorType type, Value scalar) {
    return vector::BroadcastOp::create(b, type, scalar);
  }

  /// body(b, column, mask or null, accumulators) for all vectors of a row; what
  /// it returns comes next.
  SmallVector<Value>
  forVectors(ImplicitLocOpBuilder &b, ValueRange init,
             function_ref<SmallVector<Value>(ImplicitLocOpBuilder &, Value,
                                             Value, ValueRange)>
                 body) {
    int64_t full = columns - columns % lanes;
    auto loop = scf::ForOp::create(
        b, indexConstant(b, 0), indexConstant(b, full), indexConstant(b, lanes),
        init, [&](OpBuilder &o, Location l, Value n, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          scf::YieldOp::create(ib, body(ib, n, Value(), acc));
        });
    if (full == columns)
      return loop.getResults();
    Value mask = vector::CreateMaskOp::create(
        b, VectorType::get({lanes}, b.getI1Type()),
        ValueRange(indexConstant(b, columns - full)));
    return body(b, indexConstant(b, full), mask, loop.getResults());
  }

  /// Elements of x in 32 bits, 0 behind the row.
  Value load(ImplicitLocOpBuilder &b, Value row, Value n, Value mask) {
    auto type = VectorType::get({lanes},
                                cast<MemRefType>(x.getType()).getElementType());
    Value v =
        mask ? Value(vector::MaskedLoadOp::create(
                   b, type, x, ValueRange{row, n}, mask,
                   arith::ConstantOp::create(b, b.getZeroAttr(type))))
             : Value(vector::LoadOp::create(b, type, x, ValueRange{row, n}));
    if (type.getElementType().isInteger(32))
      return v;
    return op.getXUnsigned() ? Value(arith::ExtUIOp::create(b, narrow(b), v))
                             : Value(arith::ExtSIOp::create(b, narrow(b), v));
  }

  Value deviation(ImplicitLocOpBuilder &b, Value v, Value mean) {
    if (int64_t shift = op.getShift())
      v = arith::ShLIOp::create(b, v, splat(b, narrow(b), shift));
    return mean ? Value(arith::SubIOp::create(b, v, mean)) : v;
  }

  Value total(ImplicitLocOpBuilder &b, Value v) {
    return vector::ReductionOp::create(b, vector::CombiningKind::ADD, v);
  }

  /// In 64 bits.
  Value sum(ImplicitLocOpBuilder &b, Value row, Interval range) {
    // As long as a lane's sum has 31 bits, it is 32-bit arithmetic.
    Interval ofLane = range * Interval::of((columns + lanes - 1) / lanes);
    if (ofLane.fits(32)) {
      Value lanesSum = forVectors(
          b, splat(b, narrow(b), 0),
          [&](ImplicitLocOpBuilder &ib, Value n, Value mask,
              ValueRange acc) -> SmallVector<Value> {
            return {arith::AddIOp::create(ib, acc[0], load(ib, row, n, mask))};
          })[0];
      return total(
          b, arith::ExtSIOp::create(b, VectorType::get({lanes}, b.getI64Type()),
                                    lanesSum));
    }
    Value zero = splat(b, wide(b), 0);
    SmallVector<Value> sums = forVectors(
        b, {zero, zero},
        [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange acc) {
          Value v = load(ib, row, n, mask);
          SmallVector<Value> next;
          for (bool odd : {false, true})
            next.push_back(arith::AddIOp::create(
                ib, acc[odd], halfLanes(ib, v, odd, !op.getXUnsigned())));
          return next;
        });
    return total(b, arith::AddIOp::create(b, sums[0], sums[1]));
  }

  Value squares(ImplicitLocOpBuilder &b, Value row, Value mean) {
    Value zero = splat(b, wide(b), 0);
    SmallVector<Value> sums = forVectors(
        b, {zero, zero},
        [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange acc) {
          Value d = deviation(ib, load(ib, row, n, mask), mean);
          if (mask)
            d = arith::SelectOp::create(ib, mask, d, splat(ib, narrow(ib), 0));
          SmallVector<Value> next;
          for (bool odd : {false, true}) {
            Value half = halfLanes(ib, d, odd, /*isSigned=*/true);
            next.push_back(arith::AddIOp::create(
                ib, acc[odd], arith::MulIOp::create(ib, half, half)));
          }
          return next;
        });
    return total(b, arith::AddIOp::create(b, sums[0], sums[1]));
  }

  /// Where the addends of even or odd columns from `n` on are.
  Value addendAt(ImplicitLocOpBuilder &b, Value n, bool odd) {
    constexpr int64_t kBlock = IntNormRowsOp::kBlock;
    if (lanes == kBlock)
      return plus(b, n, odd * kBlock / 2);
    Value inBlock = b.createOrFold<arith::RemUIOp>(n, indexConstant(b, kBlock));
    Value begin = b.createOrFold<arith::SubIOp>(n, inBlock);
    Value at = arith::AddIOp::create(
        b, begin, b.createOrFold<arith::DivUIOp>(inBlock, indexConstant(b, 2)));
    return plus(b, at, odd * kBlock / 2);
  }

  /// clamp((n * m + b) >> exponent), n = (deviation * reciprocal + half) >>
  /// shift.
  void results(ImplicitLocOpBuilder &b, Value row, Value mean, Value reciprocal,
               Value shift) {
    VectorType of32 = narrow(b), of64 = wide(b);
    // 2^31 is none of 32 bits: half of it, and one place less.
    Value top = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, reciprocal,
                                      constant(b, INT32_MAX));
    reciprocal = arith::SelectOp::create(b, top, constant(b, INT64_C(1) << 30),
                                         reciprocal);
    shift = arith::SubIOp::create(
        b, shift, arith::ExtUIOp::create(b, b.getI64Type(), top));
    Value half = arith::ShRUIOp::create(
        b, arith::ShLIOp::create(b, constant(b, 1), shift), constant(b, 1));
    reciprocal =
        spread(b, of32, arith::TruncIOp::create(b, b.getI32Type(), reciprocal));
    shift = spread(b, of64, shift), half = spread(b, of64, half);
    int64_t exponent = op.getExponent();
    numerics::IntegerRange range =
        rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned());
    forVectors(
        b, {}, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange) {
          Value d = deviation(ib, load(ib, row, n, mask), mean), parts[2];
          for (bool odd : {false, true}) {
            Value product = arith::MulIOp::create(
                ib, halfLanes(ib, d, odd, true),
                halfLanes(ib, reciprocal, /*odd=*/false, true));
            Value norm = arith::ShRUIOp::create(
                ib, arith::AddIOp::create(ib, product, half), shift);
            // Of 31 bits with its sign, in the lower half.
            norm = halfLanes(ib, vector::BitCastOp::create(ib, of32, norm),
                             /*odd=*/false, true);
            // What is at odd places begins one place later.
            Value m = halfLanes(
                ib,
                vector::LoadOp::create(ib, of32, multipliers, plus(ib, n, odd)),
                /*odd=*/false, true);
            Value sum = arith::AddIOp::create(
                ib, arith::MulIOp::create(ib, norm, m),
                vector::LoadOp::create(ib, of64, addends,
                                       addendAt(ib, n, odd)));
            sum = arith::AddIOp::create(
                ib, sum, splat(ib, of64, INT64_C(1) << (exponent - 1)));
            sum = arith::ShRSIOp::create(ib, sum, splat(ib, of64, exponent));
            if (exponent < 31) { // below 2^62 before
              sum = arith::MaxSIOp::create(ib, sum, splat(ib, of64, range.lo));
              sum = arith::MinSIOp::create(ib, sum, splat(ib, of64, range.hi));
            }
            parts[odd] = sum;
          }
          Value result = joinHalves(ib, parts[0], parts[1]);
          if (exponent >= 31) {
            result =
                arith::MaxSIOp::create(ib, result, splat(ib, of32, range.lo));
            result =
                arith::MinSIOp::create(ib, result, splat(ib, of32, range.hi));
          }
          Type element = cast<MemRefType>(y.getType()).getElementType();
          if (!element.isInteger(32))
            result = arith::TruncIOp::create(
                ib, VectorType::get({lanes}, element), result);
          if (mask)
            vector::MaskedStoreOp::create(ib, y, ValueRange{row, n}, mask,
                                          result);
          else
            vector::StoreOp::create(ib, result, y, ValueRange{row, n});
          return SmallVector<Value>();
        });
  }

  Value constant(ImplicitLocOpBuilder &b, int64_t value) {
    return arith::ConstantOp::create(b, b.getI64IntegerAttr(value));
  }

  void emitRow(ImplicitLocOpBuilder &b, Value row) {
    numerics::IntegerRange limits =
        rangeOf(op.getX(), op.getXBits(), op.getXUnsigned());
    NormRow norm{columns, int64_t(op.getShift()), {limits.lo, limits.hi}};
    std::string problem; // none: of the op these are proved to fit
    Arithmetic a(b, problem);
    Value mean;
    if (op.getCentred())
      mean = spread(
          b, narrow(b),
          a.as(norm.mean(a, sum(b, row, norm.ofElement)), b.getI32Type()));
    Value variance = arith::AddIOp::create(b, squares(b, row, mean),
                                           constant(b, op.getEpsilon()));
    results(b, row, mean, a.as(norm.reciprocal(a, variance), b.getI64Type()),
            a.as(norm.shiftOf(a, variance), b.getI64Type()));
  }
};

} // namespace

LogicalResult sq::lowerIntNormRows(RewriterBase &rewriter, IntNormRowsOp op,
                                   const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  auto type = cast<MemRefType>(op.getX().getType());
  Emitter e{op,
            target.lanes,
            type.getShape().back(),
            asRows(b, denseMemref(b, op.getX())),
            asRows(b, op.getOuts()),
            denseMemref(b, op.getMultipliers()),
            denseMemref(b, op.getAddends())};
  Value rows = dimOf(b, e.x, 0);
  ParallelOp::create(
      b, kernelName("int_norm", op.getLoc()), rows,
      grainFor(b, indexConstant(b, e.columns), kElementsPerThread),
      [&](OpBuilder &o, Location l, ValueRange range) {
        ImplicitLocOpBuilder pb(l, o);
        loop(pb, range[0], range[1], 1,
             [&](ImplicitLocOpBuilder &ib, Value row) { e.emitRow(ib, row); });
      });
  rewriter.eraseOp(op);
  return success();
}
