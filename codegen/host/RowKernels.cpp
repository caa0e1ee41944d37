//===-- RowKernels.cpp - softmax and norms over the last dimension -----------===//
//
// One row after the other, the row in vectors: every pass over a row finds it
// in L1. The tail of a row is read and written under a mask.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

/// A power of two: additions take four cycles, and there are two units for them.
constexpr int64_t kAccumulators = 4;

/// Elements of a thread's share that are worth waking it.
constexpr int64_t kElementsPerThread = 1 << 14;

/// Vector access to the rows of [rows, n] memrefs.
struct Rows {
  VectorType vectorType, maskType;
  Value columns, full, mask; // full: columns rounded down to whole vectors
  int64_t lanes;

  Rows(ImplicitLocOpBuilder &b, Value columns, int64_t lanes)
      : vectorType(VectorType::get({lanes}, b.getF32Type())),
        maskType(VectorType::get({lanes}, b.getI1Type())), columns(columns), lanes(lanes) {
    Value width = indexConstant(b, lanes);
    Value rest = b.createOrFold<arith::RemUIOp>(columns, width);
    full = b.createOrFold<arith::SubIOp>(columns, rest);
    mask = vector::CreateMaskOp::create(b, maskType, ValueRange(rest));
  }

  Value splat(ImplicitLocOpBuilder &b, Value scalar) const {
    return vector::BroadcastOp::create(b, vectorType, scalar);
  }

  /// body(b, column, mask or null) for all vectors of the row.
  void forEach(ImplicitLocOpBuilder &b, function_ref<void(ImplicitLocOpBuilder &, Value, Value)> body) const {
    fold(b, Value(), 1, [&](ImplicitLocOpBuilder &ib, Value n, Value lanesMask, Value) {
      body(ib, n, lanesMask);
      return Value();
    }, {});
  }

  /// body(b, column, mask or null, accumulator) likewise. There are several accumulators, which `combine` makes one of:
  /// each waits for the body before, and a row is short.
  Value fold(ImplicitLocOpBuilder &b, Value init,
             function_ref<Value(ImplicitLocOpBuilder &, Value, Value, Value)> body,
             function_ref<Value(Value, Value)> combine) const {
    return fold(b, init, kAccumulators, body, combine);
  }

  Value load(ImplicitLocOpBuilder &b, Value memref, ValueRange at, Value lanesMask, Value pad) const {
    if (!lanesMask)
      return vector::LoadOp::create(b, vectorType, memref, at);
    return vector::MaskedLoadOp::create(b, vectorType, memref, at, lanesMask, pad);
  }

  void store(ImplicitLocOpBuilder &b, Value value, Value memref, ValueRange at, Value lanesMask) const {
    if (lanesMask)
      vector::MaskedStoreOp::create(b, memref, at, lanesMask, value);
    else
      vector::StoreOp::create(b, value, memref, at);
  }

  Value reduce(ImplicitLocOpBuilder &b, vector::CombiningKind kind, Value v) const {
    // Lanes may be added in any order: the sum of a row has no prescribed one.
    auto flags = arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::reassoc);
    return kind == vector::CombiningKind::ADD
               ? Value(vector::ReductionOp::create(b, kind, v, flags.getValue()))
               : Value(vector::ReductionOp::create(b, kind, v));
  }

private:
  /// Vectors [from, to) of the row, `count` at once by an accumulator each.
  SmallVector<Value> foldVectors(ImplicitLocOpBuilder &b, Value from, Value to, ValueRange init, int64_t count,
                                 function_ref<Value(ImplicitLocOpBuilder &, Value, Value, Value)> body) const {
    auto loop = scf::ForOp::create(b, from, to, indexConstant(b, count * lanes), init,
                                   [&](OpBuilder &o, Location l, Value n, ValueRange acc) {
                                     ImplicitLocOpBuilder ib(l, o);
                                     SmallVector<Value> next(acc);
                                     for (int64_t i = 0; i < count; ++i) {
                                       Value result = body(ib, plus(ib, n, i * lanes), Value(), acc.empty() ? Value() : acc[i]);
                                       if (!acc.empty())
                                         next[i] = result;
                                     }
                                     scf::YieldOp::create(ib, next);
                                   });
    return SmallVector<Value>(loop.getResults());
  }

  Value fold(ImplicitLocOpBuilder &b, Value init, int64_t count,
             function_ref<Value(ImplicitLocOpBuilder &, Value, Value, Value)> body,
             function_ref<Value(Value, Value)> combine) const {
    auto constant = columns.getDefiningOp<arith::ConstantIndexOp>();
    auto isMultipleOf = [&](int64_t width) { return constant && constant.value() % width == 0; };
    Value zero = indexConstant(b, 0), wide = full;
    SmallVector<Value> acc(init ? count : 0, init);
    if (count > 1) {
      Value rest = b.createOrFold<arith::RemUIOp>(full, indexConstant(b, count * lanes));
      wide = b.createOrFold<arith::SubIOp>(full, rest);
    }
    acc = foldVectors(b, zero, wide, acc, count, body);
    for (int64_t n = acc.size(); n > 1; n /= 2)
      for (int64_t i = 0; i < n / 2; ++i)
        acc[i] = combine(acc[i], acc[i + n / 2]);
    acc.resize(init ? 1 : 0);
    if (!isMultipleOf(count * lanes) && count > 1)
      acc = foldVectors(b, wide, full, acc, 1, body);
    if (isMultipleOf(lanes))
      return init ? acc.front() : Value();
    Value rest = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, full, columns);
    auto tail = scf::IfOp::create(
        b, rest,
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          Value result = body(ib, full, mask, init ? acc.front() : Value());
          scf::YieldOp::create(ib, init ? ValueRange(result) : ValueRange());
        },
        [&](OpBuilder &o, Location l) { scf::YieldOp::create(o, l, acc); });
    return init ? tail.getResult(0) : Value();
  }
};

/// Shares the rows of `x` among the threads.
void forRows(ImplicitLocOpBuilder &b, StringRef name, Value x,
             function_ref<void(ImplicitLocOpBuilder &, Value row)> body) {
  Value rows = dimOf(b, x, 0), columns = dimOf(b, x, 1);
  Value one = indexConstant(b, 1);
  ParallelOp::create(b, name, rows, grainFor(b, columns, kElementsPerThread),
                     [&](OpBuilder &o, Location loc, ValueRange range) {
                       scf::ForOp::create(o, loc, range[0], range[1], one, ValueRange(),
                                          [&](OpBuilder &inner, Location l, Value row, ValueRange) {
                                            ImplicitLocOpBuilder ib(l, inner);
                                            body(ib, row);
                                            scf::YieldOp::create(ib);
                                          });
                     });
}

Value f32(ImplicitLocOpBuilder &b, double value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

} // namespace

LogicalResult sq::lowerSoftmax(RewriterBase &rewriter, SoftmaxOp op, const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX())), y = asRows(b, op.getOuts());
  if (!cast<MemRefType>(y.getType()).getElementType().isF32())
    return op.emitOpError("has no kernel for ") << op.getOuts().getType() << "; only f32";
  forRows(b, kernelName("softmax", op.getLoc()), x, [&](ImplicitLocOpBuilder &rb, Value row) {
    Rows r(rb, dimOf(rb, x, 1), target.lanes);
    Value lowest = r.splat(rb, f32(rb, -std::numeric_limits<float>::infinity()));
    Value zero = r.splat(rb, f32(rb, 0.0));
    auto larger = [&](Value v, Value w) -> Value { return arith::MaximumFOp::create(rb, v, w); };
    auto sum = [&](Value v, Value w) -> Value { return arith::AddFOp::create(rb, v, w); };
    Value most = r.fold(
        rb, lowest,
        [&](ImplicitLocOpBuilder &ib, Value n, Value mask, Value acc) -> Value {
          return arith::MaximumFOp::create(ib, acc, r.load(ib, x, {row, n}, mask, lowest));
        },
        larger);
    Value shift = r.splat(rb, r.reduce(rb, vector::CombiningKind::MAXIMUMF, most));
    Value sums = r.fold(
        rb, zero,
        [&](ImplicitLocOpBuilder &ib, Value n, Value mask, Value acc) -> Value {
          Value v = r.load(ib, x, {row, n}, mask, lowest);
          Value e = math::ExpOp::create(ib, arith::SubFOp::create(ib, v, shift));
          r.store(ib, e, y, {row, n}, mask);
          // Padding lanes are exp(-inf - shift) = 0, or NaN beside an all -inf row.
          Value term = mask ? Value(arith::SelectOp::create(ib, mask, e, zero)) : e;
          return arith::AddFOp::create(ib, acc, term);
        },
        sum);
    Value total = r.reduce(rb, vector::CombiningKind::ADD, sums);
    Value inverse = r.splat(rb, arith::DivFOp::create(rb, f32(rb, 1.0), total));
    r.forEach(rb, [&](ImplicitLocOpBuilder &ib, Value n, Value mask) {
      Value e = r.load(ib, y, {row, n}, mask, zero);
      r.store(ib, arith::MulFOp::create(ib, e, inverse), y, {row, n}, mask);
    });
  });
  rewriter.eraseOp(op);
  return success();
}

LogicalResult sq::lowerLayerNorm(RewriterBase &rewriter, LayerNormOp op, const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX())), y = asRows(b, op.getOuts());
  Value scale = denseMemref(b, op.getScale());
  Value bias = op.getBias() ? denseMemref(b, op.getBias()) : Value();
  for (Value v : {x, y, scale, bias})
    if (v && !cast<MemRefType>(v.getType()).getElementType().isF32())
      return op.emitOpError("has no kernel for ") << v.getType() << "; only f32";
  float epsilon = op.getEpsilon().convertToFloat();
  forRows(b, kernelName("layer_norm", op.getLoc()), x, [&](ImplicitLocOpBuilder &rb, Value row) {
    Value columns = dimOf(rb, x, 1);
    Rows r(rb, columns, target.lanes);
    Value zero = r.splat(rb, f32(rb, 0.0));
    Value count = arith::UIToFPOp::create(
        rb, rb.getF32Type(), arith::IndexCastUIOp::create(rb, rb.getI64Type(), columns));
    Value inverse = arith::DivFOp::create(rb, f32(rb, 1.0), count);
    auto sum = [&](Value v, Value w) -> Value { return arith::AddFOp::create(rb, v, w); };
    Value sums = r.fold(
        rb, zero,
        [&](ImplicitLocOpBuilder &ib, Value n, Value mask, Value acc) -> Value {
          return arith::AddFOp::create(ib, acc, r.load(ib, x, {row, n}, mask, zero));
        },
        sum);
    Value mean = r.splat(rb, arith::MulFOp::create(rb, r.reduce(rb, vector::CombiningKind::ADD, sums), inverse));
    Value squares = r.fold(
        rb, zero,
        [&](ImplicitLocOpBuilder &ib, Value n, Value mask, Value acc) -> Value {
          // Padding reads the mean itself, so that it adds nothing.
          Value d = arith::SubFOp::create(ib, r.load(ib, x, {row, n}, mask, mean), mean);
          return vector::FMAOp::create(ib, d, d, acc);
        },
        sum);
    Value variance = arith::MulFOp::create(rb, r.reduce(rb, vector::CombiningKind::ADD, squares), inverse);
    Value deviation = math::SqrtOp::create(rb, arith::AddFOp::create(rb, variance, f32(rb, epsilon)));
    Value norm = r.splat(rb, arith::DivFOp::create(rb, f32(rb, 1.0), deviation));
    r.forEach(rb, [&](ImplicitLocOpBuilder &ib, Value n, Value mask) {
      Value d = arith::SubFOp::create(ib, r.load(ib, x, {row, n}, mask, mean), mean);
      Value v = arith::MulFOp::create(ib, d, norm), factor = r.load(ib, scale, {n}, mask, zero);
      v = bias ? Value(vector::FMAOp::create(ib, v, factor, r.load(ib, bias, {n}, mask, zero)))
               : Value(arith::MulFOp::create(ib, v, factor));
      r.store(ib, v, y, {row, n}, mask);
    });
  });
  rewriter.eraseOp(op);
  return success();
}

LogicalResult sq::lowerRmsNorm(RewriterBase &rewriter, RmsNormOp op, const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX())), y = asRows(b, op.getOuts());
  Value scale = denseMemref(b, op.getScale());
  for (Value v : {x, y, scale})
    if (!cast<MemRefType>(v.getType()).getElementType().isF32())
      return op.emitOpError("has no kernel for ") << v.getType() << "; only f32";
  float epsilon = op.getEpsilon().convertToFloat();
  forRows(b, kernelName("rms_norm", op.getLoc()), x, [&](ImplicitLocOpBuilder &rb, Value row) {
    Value columns = dimOf(rb, x, 1);
    Rows r(rb, columns, target.lanes);
    Value zero = r.splat(rb, f32(rb, 0.0));
    Value count = arith::UIToFPOp::create(
        rb, rb.getF32Type(), arith::IndexCastUIOp::create(rb, rb.getI64Type(), columns));
    Value squares = r.fold(
        rb, zero,
        [&](ImplicitLocOpBuilder &ib, Value n, Value mask, Value acc) -> Value {
          Value v = r.load(ib, x, {row, n}, mask, zero);
          return vector::FMAOp::create(ib, v, v, acc);
        },
        [&](Value v, Value w) -> Value { return arith::AddFOp::create(rb, v, w); });
    Value mean = arith::DivFOp::create(rb, r.reduce(rb, vector::CombiningKind::ADD, squares), count);
    Value root = math::SqrtOp::create(rb, arith::AddFOp::create(rb, mean, f32(rb, epsilon)));
    Value norm = r.splat(rb, arith::DivFOp::create(rb, f32(rb, 1.0), root));
    r.forEach(rb, [&](ImplicitLocOpBuilder &ib, Value n, Value mask) {
      Value v = arith::MulFOp::create(ib, r.load(ib, x, {row, n}, mask, zero), norm);
      v = arith::MulFOp::create(ib, v, r.load(ib, scale, {n}, mask, zero));
      r.store(ib, v, y, {row, n}, mask);
    });
  });
  rewriter.eraseOp(op);
  return success();
}
