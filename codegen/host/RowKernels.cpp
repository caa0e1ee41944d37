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

  /// body(b, column, mask or null, accumulators) over the whole row; returns
  /// the accumulators.
  SmallVector<Value>
  forEach(ImplicitLocOpBuilder &b, ValueRange init,
          function_ref<SmallVector<Value>(ImplicitLocOpBuilder &, Value, Value, ValueRange)> body) const {
    Value zero = indexConstant(b, 0), step = indexConstant(b, lanes);
    auto loop = scf::ForOp::create(b, zero, full, step, init,
                                   [&](OpBuilder &o, Location l, Value n, ValueRange acc) {
                                     ImplicitLocOpBuilder ib(l, o);
                                     scf::YieldOp::create(ib, body(ib, n, Value(), acc));
                                   });
    if (auto constant = columns.getDefiningOp<arith::ConstantIndexOp>())
      if (constant.value() % lanes == 0)
        return SmallVector<Value>(loop.getResults());
    Value rest = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, full, columns);
    auto tail = scf::IfOp::create(
        b, rest,
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          scf::YieldOp::create(ib, body(ib, full, mask, loop.getResults()));
        },
        [&](OpBuilder &o, Location l) { scf::YieldOp::create(o, l, loop.getResults()); });
    return SmallVector<Value>(tail.getResults());
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
    Value most = r.forEach(rb, lowest, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange acc) {
      Value v = r.load(ib, x, {row, n}, mask, lowest);
      return SmallVector<Value>{arith::MaximumFOp::create(ib, acc[0], v)};
    })[0];
    Value shift = r.splat(rb, r.reduce(rb, vector::CombiningKind::MAXIMUMF, most));
    Value sums = r.forEach(rb, zero, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange acc) {
      Value v = r.load(ib, x, {row, n}, mask, lowest);
      Value e = math::ExpOp::create(ib, arith::SubFOp::create(ib, v, shift));
      r.store(ib, e, y, {row, n}, mask);
      // Padding lanes are exp(-inf - shift) = 0, or NaN beside an all -inf row.
      Value term = mask ? Value(arith::SelectOp::create(ib, mask, e, zero)) : e;
      return SmallVector<Value>{arith::AddFOp::create(ib, acc[0], term)};
    })[0];
    Value total = r.reduce(rb, vector::CombiningKind::ADD, sums);
    Value inverse = r.splat(rb, arith::DivFOp::create(rb, f32(rb, 1.0), total));
    r.forEach(rb, {}, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange) {
      Value e = r.load(ib, y, {row, n}, mask, zero);
      r.store(ib, arith::MulFOp::create(ib, e, inverse), y, {row, n}, mask);
      return SmallVector<Value>();
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
    Value sums = r.forEach(rb, zero, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange acc) {
      return SmallVector<Value>{
          arith::AddFOp::create(ib, acc[0], r.load(ib, x, {row, n}, mask, zero))};
    })[0];
    Value mean = r.splat(rb, arith::MulFOp::create(rb, r.reduce(rb, vector::CombiningKind::ADD, sums), inverse));
    Value squares = r.forEach(rb, zero, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange acc) {
      // Padding reads the mean itself, so that it adds nothing.
      Value d = arith::SubFOp::create(ib, r.load(ib, x, {row, n}, mask, mean), mean);
      return SmallVector<Value>{vector::FMAOp::create(ib, d, d, acc[0])};
    })[0];
    Value variance = arith::MulFOp::create(rb, r.reduce(rb, vector::CombiningKind::ADD, squares), inverse);
    Value deviation = math::SqrtOp::create(rb, arith::AddFOp::create(rb, variance, f32(rb, epsilon)));
    Value norm = r.splat(rb, arith::DivFOp::create(rb, f32(rb, 1.0), deviation));
    r.forEach(rb, {}, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange) {
      Value d = arith::SubFOp::create(ib, r.load(ib, x, {row, n}, mask, mean), mean);
      Value v = arith::MulFOp::create(ib, arith::MulFOp::create(ib, d, norm),
                                      r.load(ib, scale, {n}, mask, zero));
      if (bias)
        v = arith::AddFOp::create(ib, v, r.load(ib, bias, {n}, mask, zero));
      r.store(ib, v, y, {row, n}, mask);
      return SmallVector<Value>();
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
    Value squares = r.forEach(rb, zero, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange acc) {
      Value v = r.load(ib, x, {row, n}, mask, zero);
      return SmallVector<Value>{vector::FMAOp::create(ib, v, v, acc[0])};
    })[0];
    Value mean = arith::DivFOp::create(rb, r.reduce(rb, vector::CombiningKind::ADD, squares), count);
    Value root = math::SqrtOp::create(rb, arith::AddFOp::create(rb, mean, f32(rb, epsilon)));
    Value norm = r.splat(rb, arith::DivFOp::create(rb, f32(rb, 1.0), root));
    r.forEach(rb, {}, [&](ImplicitLocOpBuilder &ib, Value n, Value mask, ValueRange) {
      Value v = arith::MulFOp::create(ib, r.load(ib, x, {row, n}, mask, zero), norm);
      v = arith::MulFOp::create(ib, v, r.load(ib, scale, {n}, mask, zero));
      r.store(ib, v, y, {row, n}, mask);
      return SmallVector<Value>();
    });
  });
  rewriter.eraseOp(op);
  return success();
}
