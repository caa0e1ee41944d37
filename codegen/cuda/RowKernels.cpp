//===-- RowKernels.cpp - softmax and norms, a warp for each row ---------------===//
//
// Rows that fit the registers of a warp are read once (HeldRow); longer ones, and
// ones of unknown length, as often as they are needed.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "codegen/cuda/HeldRow.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kWarps = 4; // rows of a block

/// One row, shared among the lanes of a warp.
struct Row {
  ImplicitLocOpBuilder &b;
  Value row, lane, columns;

  HeldRow held(Value memref, int64_t width) {
    return {b, row, lane, cast<MemRefType>(memref.getType()).getDimSize(1), width};
  }

  /// The sum (or whatever `combine` does) of term(b, column) over the row, in every lane.
  Value reduce(Value init, function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> term,
               function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> combine) {
    auto loop = scf::ForOp::create(b, lane, columns, indexConstant(b, kWarp), init,
                                   [&](OpBuilder &o, Location l, Value n, ValueRange acc) {
                                     ImplicitLocOpBuilder ib(l, o);
                                     scf::YieldOp::create(ib, term(ib, n, acc[0]));
                                   });
    return reduceLanes(b, loop.getResult(0), kWarp, combine);
  }
  Value sum(function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> term) {
    return reduce(f32Constant(b, 0.0), term, [](ImplicitLocOpBuilder &ib, Value a, Value c) -> Value {
      return arith::AddFOp::create(ib, a, c);
    });
  }
  void forEach(function_ref<void(ImplicitLocOpBuilder &, Value)> body) {
    loop(b, lane, columns, kWarp, body);
  }
};

void forRows(ImplicitLocOpBuilder &b, StringRef kind, Value x, function_ref<void(Row &)> body) {
  Value rows = dimOf(b, x, 0), columns = dimOf(b, x, 1);
  launch(b, kind, ceilDiv(b, rows, indexConstant(b, kWarps)), kWarps * kWarp, {}, [&](Thread &t) {
    Value warp = arith::DivUIOp::create(t.b, t.thread, indexConstant(t.b, kWarp));
    Value lane = arith::RemUIOp::create(t.b, t.thread, indexConstant(t.b, kWarp));
    Value row = arith::AddIOp::create(t.b, arith::MulIOp::create(t.b, t.block, indexConstant(t.b, kWarps)), warp);
    // The whole warp: its lanes meet in shuffles.
    onlyIf(t.b, below(t.b, row, rows), [&](ImplicitLocOpBuilder &ib) {
      Row r{ib, row, lane, columns};
      body(r);
    });
  });
}

/// `rows` of any short float, `factors` (null where absent) of f32.
LogicalResult haveKernels(Operation *op, ValueRange rows, ValueRange factors = {}) {
  for (Value v : rows)
    if (!isFloatUpTo32(v))
      return op->emitOpError("has no kernel for ") << v.getType() << "; only f32, f16 or bf16";
  for (Value v : factors)
    if (v && !cast<MemRefType>(v.getType()).getElementType().isF32())
      return op->emitOpError("has no kernel for ") << v.getType() << "; only f32";
  return success();
}

/// 1 / sqrt(variance + epsilon), correctly rounded steps as on the host.
Value inverseRoot(ImplicitLocOpBuilder &b, Value variance, APFloat epsilon) {
  Value root = math::SqrtOp::create(b, arith::AddFOp::create(b, variance, f32Constant(b, epsilon.convertToFloat())));
  return arith::DivFOp::create(b, f32Constant(b, 1.0), root);
}

Value countOf(ImplicitLocOpBuilder &b, Value columns) {
  return arith::UIToFPOp::create(b, b.getF32Type(), arith::IndexCastUIOp::create(b, b.getI64Type(), columns));
}

void heldSoftmax(HeldRow r, Value x, Value y) {
  SmallVector<Value> all = r.loadAll(x);
  for (auto [i, v] : llvm::enumerate(all))
    v = r.inRow(i, v, -std::numeric_limits<double>::infinity());
  Value most = r.splat(r.reduce(all, [](ImplicitLocOpBuilder &b, Value a, Value c) -> Value { return arith::MaximumFOp::create(b, a, c); }));
  for (Value &v : all)
    v = math::ExpOp::create(r.b, arith::SubFOp::create(r.b, v, most));
  Value inverse = r.splat(arith::DivFOp::create(r.b, f32Constant(r.b, 1.0), r.sum(all)));
  for (auto [i, v] : llvm::enumerate(all))
    r.store(i, arith::MulFOp::create(r.b, v, inverse), y);
}

void heldLayerNorm(HeldRow r, Value x, Value scale, Value bias, Value y, APFloat epsilon) {
  SmallVector<Value> all = r.loadAll(x);
  for (auto [i, v] : llvm::enumerate(all))
    v = r.inRow(i, v, 0);
  Value inverse = f32Constant(r.b, 1.0 / static_cast<float>(r.columns));
  Value mean = r.splat(arith::MulFOp::create(r.b, r.sum(all), inverse));
  SmallVector<Value> squares;
  for (auto [i, v] : llvm::enumerate(all)) {
    v = r.inRow(i, arith::SubFOp::create(r.b, v, mean), 0);
    squares.push_back(arith::MulFOp::create(r.b, v, v));
  }
  Value norm = r.splat(inverseRoot(r.b, arith::MulFOp::create(r.b, r.sum(squares), inverse), epsilon));
  for (auto [i, v] : llvm::enumerate(all)) {
    v = arith::MulFOp::create(r.b, arith::MulFOp::create(r.b, v, norm), r.load(i, scale));
    if (bias)
      v = arith::AddFOp::create(r.b, v, r.load(i, bias));
    r.store(i, v, y);
  }
}

void heldRmsNorm(HeldRow r, Value x, Value scale, Value y, APFloat epsilon) {
  SmallVector<Value> all = r.loadAll(x), squares;
  for (auto [i, v] : llvm::enumerate(all)) {
    v = r.inRow(i, v, 0);
    squares.push_back(arith::MulFOp::create(r.b, v, v));
  }
  Value mean = arith::DivFOp::create(r.b, r.sum(squares), f32Constant(r.b, static_cast<double>(r.columns)));
  Value norm = r.splat(inverseRoot(r.b, mean, epsilon));
  for (auto [i, v] : llvm::enumerate(all))
    r.store(i, arith::MulFOp::create(r.b, arith::MulFOp::create(r.b, v, norm), r.load(i, scale)), y);
}

} // namespace

LogicalResult sq::cuda::lowerSoftmax(RewriterBase &rewriter, SoftmaxOp op, const CudaTarget &) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX())), y = asRows(b, op.getOuts());
  if (failed(haveKernels(op, {x, y})))
    return failure();
  std::optional<int64_t> width = HeldRow::widthFor(x);
  forRows(b, "softmax", x, [&](Row &r) {
    if (width)
      return heldSoftmax(r.held(x, *width), x, y);
    Value lowest = f32Constant(r.b, -std::numeric_limits<float>::infinity());
    auto most = [](ImplicitLocOpBuilder &ib, Value a, Value c) -> Value {
      return arith::MaximumFOp::create(ib, a, c);
    };
    Value shift = r.reduce(lowest, [&](ImplicitLocOpBuilder &ib, Value n, Value acc) {
      return most(ib, acc, loadF32(ib, x, {r.row, n}));
    }, most);
    Value total = r.sum([&](ImplicitLocOpBuilder &ib, Value n, Value acc) -> Value {
      Value e = math::ExpOp::create(ib, arith::SubFOp::create(ib, loadF32(ib, x, {r.row, n}), shift));
      storeF32(ib, e, y, {r.row, n});
      return arith::AddFOp::create(ib, acc, e);
    });
    Value inverse = arith::DivFOp::create(r.b, f32Constant(r.b, 1.0), total);
    r.forEach([&](ImplicitLocOpBuilder &ib, Value n) {
      Value e = loadF32(ib, y, {r.row, n});
      storeF32(ib, arith::MulFOp::create(ib, e, inverse), y, {r.row, n});
    });
  });
  rewriter.eraseOp(op);
  return success();
}

LogicalResult sq::cuda::lowerLayerNorm(RewriterBase &rewriter, LayerNormOp op, const CudaTarget &) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX())), y = asRows(b, op.getOuts());
  Value scale = op.getScale(), bias = op.getBias();
  if (failed(haveKernels(op, {x, y}, {scale, bias})))
    return failure();
  std::optional<int64_t> width = HeldRow::widthFor(x);
  if (width && !(hasAlignedRows(scale, *width) && (!bias || hasAlignedRows(bias, *width))))
    width = std::nullopt;
  forRows(b, "layer_norm", x, [&](Row &r) {
    if (width)
      return heldLayerNorm(r.held(x, *width), x, scale, bias, y, op.getEpsilon());
    Value inverse = arith::DivFOp::create(r.b, f32Constant(r.b, 1.0), countOf(r.b, r.columns));
    Value sums = r.sum([&](ImplicitLocOpBuilder &ib, Value n, Value acc) -> Value {
      return arith::AddFOp::create(ib, acc, loadF32(ib, x, {r.row, n}));
    });
    Value mean = arith::MulFOp::create(r.b, sums, inverse);
    Value squares = r.sum([&](ImplicitLocOpBuilder &ib, Value n, Value acc) -> Value {
      Value d = arith::SubFOp::create(ib, loadF32(ib, x, {r.row, n}), mean);
      return math::FmaOp::create(ib, d, d, acc);
    });
    Value norm = inverseRoot(r.b, arith::MulFOp::create(r.b, squares, inverse), op.getEpsilon());
    r.forEach([&](ImplicitLocOpBuilder &ib, Value n) {
      Value d = arith::SubFOp::create(ib, loadF32(ib, x, {r.row, n}), mean);
      Value v = arith::MulFOp::create(ib, arith::MulFOp::create(ib, d, norm), memref::LoadOp::create(ib, scale, n));
      if (bias)
        v = arith::AddFOp::create(ib, v, memref::LoadOp::create(ib, bias, n));
      storeF32(ib, v, y, {r.row, n});
    });
  });
  rewriter.eraseOp(op);
  return success();
}

LogicalResult sq::cuda::lowerRmsNorm(RewriterBase &rewriter, RmsNormOp op, const CudaTarget &) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX())), y = asRows(b, op.getOuts());
  Value scale = op.getScale();
  if (failed(haveKernels(op, {x, y}, scale)))
    return failure();
  std::optional<int64_t> width = HeldRow::widthFor(x);
  if (width && !hasAlignedRows(scale, *width))
    width = std::nullopt;
  forRows(b, "rms_norm", x, [&](Row &r) {
    if (width)
      return heldRmsNorm(r.held(x, *width), x, scale, y, op.getEpsilon());
    Value squares = r.sum([&](ImplicitLocOpBuilder &ib, Value n, Value acc) -> Value {
      Value v = loadF32(ib, x, {r.row, n});
      return math::FmaOp::create(ib, v, v, acc);
    });
    Value norm = inverseRoot(r.b, arith::DivFOp::create(r.b, squares, countOf(r.b, r.columns)), op.getEpsilon());
    r.forEach([&](ImplicitLocOpBuilder &ib, Value n) {
      Value v = arith::MulFOp::create(ib, loadF32(ib, x, {r.row, n}), norm);
      storeF32(ib, arith::MulFOp::create(ib, v, memref::LoadOp::create(ib, scale, n)), y, {r.row, n});
    });
  });
  rewriter.eraseOp(op);
  return success();
}
