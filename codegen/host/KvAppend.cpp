//===-- KvAppend.cpp - rows added to a cache
//-----------------------------------===//
//
// A token of a cache is one run of memory: [heads, size]. Keys are turned by
// the angles of their places on the way, where that is asked for.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {
constexpr int64_t kElementsPerThread = 1 << 15;
} // namespace

namespace {
struct Emitter {
  KvAppendOp op;
  const TiledTarget &target;
  Value rows, cache;  // [b, t, heads, size], or the last two as one
  Value cos, sin;     // [1 or b, t, size or size / 2], or null
  int64_t lanes = 1;  // that a row is copied by
  int64_t half = 0;   // of a head

  Type type() const {
    Type element = cast<MemRefType>(rows.getType()).getElementType();
    return lanes > 1 ? Type(VectorType::get({lanes}, element)) : element;
  }
  Value load(ImplicitLocOpBuilder &b, Value from, ValueRange at) {
    if (lanes > 1)
      return vector::LoadOp::create(b, cast<VectorType>(type()), from, at);
    return memref::LoadOp::create(b, from, at);
  }
  void store(ImplicitLocOpBuilder &b, Value value, ValueRange at) {
    if (lanes > 1)
      vector::StoreOp::create(b, value, cache, at);
    else
      memref::StoreOp::create(b, value, cache, at);
  }

  void copy(ImplicitLocOpBuilder &b, ValueRange from, Value place) {
    loop(b, indexConstant(b, 0), dimOf(b, rows, 2), lanes,
         [&](ImplicitLocOpBuilder &ib, Value i) {
           store(ib, load(ib, rows, {from[0], from[1], i}), {from[0], place, i});
         });
  }

  /// As sq.rotary_embedding: pairs are half a head apart.
  void turn(ImplicitLocOpBuilder &b, ValueRange from, Value place) {
    auto angles = cast<MemRefType>(cos.getType());
    Value zero = indexConstant(b, 0);
    loop(b, zero, indexConstant(b, half), lanes, [&](ImplicitLocOpBuilder &ib, Value i) {
      Value j = plus(ib, i, half),
            row = angles.getDimSize(0) == 1 ? zero : from[0];
      SmallVector<Value> first = {row, from[1], i}, second = {row, from[1], j};
      if (angles.getDimSize(2) == half)
        second = first;
      Value cosFirst = load(ib, cos, first), cosSecond = load(ib, cos, second),
            sinFirst = load(ib, sin, first), sinSecond = load(ib, sin, second);
      loop(ib, zero, dimOf(ib, rows, 2), 1, [&](ImplicitLocOpBuilder &hb, Value head) {
        Value x = load(hb, rows, {from[0], from[1], head, i}),
              y = load(hb, rows, {from[0], from[1], head, j});
        auto times = [&](Value a, Value b) {
          return arith::MulFOp::create(hb, a, b);
        };
        store(hb, arith::SubFOp::create(hb, times(x, cosFirst), times(y, sinFirst)),
              {from[0], place, head, i});
        store(hb, arith::AddFOp::create(hb, times(y, cosSecond), times(x, sinSecond)),
              {from[0], place, head, j});
      });
    });
  }
};
} // namespace

LogicalResult sq::lowerKvAppend(RewriterBase &rewriter, KvAppendOp op,
                                const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  if (!cast<MemRefType>(op.getOuts().getType()).getLayout().isIdentity())
    return op.emitOpError("has no kernel for a cache with strides, ")
           << op.getOuts().getType();
  Emitter e{op, target, denseMemref(b, op.getRows()), op.getOuts()};
  auto type = cast<MemRefType>(e.rows.getType());
  Value batch = dimOf(b, e.rows, 0), tokens = dimOf(b, e.rows, 1),
        capacity = dimOf(b, e.cache, 1),
        width = product(b, {dimOf(b, e.rows, 2), dimOf(b, e.rows, 3)});
  int64_t run = 0; // that vectors are to divide
  if (op.getRotary().empty()) {
    SmallVector<ReassociationIndices> groups = {{0}, {1}, {2, 3}};
    e.rows = memref::CollapseShapeOp::create(b, e.rows, groups);
    e.cache = memref::CollapseShapeOp::create(b, e.cache, groups);
    run = cast<MemRefType>(e.rows.getType()).getDimSize(2);
  } else {
    e.cos = denseMemref(b, op.getRotary()[0]);
    e.sin = denseMemref(b, op.getRotary()[1]);
    run = e.half = type.getDimSize(3) / 2;
  }
  if (type.getElementType().isF32() && !ShapedType::isDynamic(run) && run % target.lanes == 0)
    e.lanes = target.lanes;
  ParallelOp::create(
      b, kernelName("append", op.getLoc()), product(b, {batch, tokens}),
      grainFor(b, width, kElementsPerThread),
      [&](OpBuilder &o, Location l, ValueRange range) {
        ImplicitLocOpBuilder ob(l, o);
        loop(ob, range[0], range[1], 1, [&](ImplicitLocOpBuilder &ib, Value index) {
          SmallVector<Value> from = delinearize(ib, index, {batch, tokens});
          Value length = arith::IndexCastOp::create(
              ib, ib.getIndexType(),
              memref::LoadOp::create(ib, op.getLengths(), from[0]));
          Value place = arith::AddIOp::create(ib, length, from[1]);
          // Unsigned: a negative length is too large.
          Value exists = arith::CmpIOp::create(ib, arith::CmpIPredicate::ult, place, capacity);
          scf::IfOp::create(ib, exists, [&](OpBuilder &t, Location tl) {
            ImplicitLocOpBuilder tb(tl, t);
            if (e.cos)
              e.turn(tb, from, place);
            else
              e.copy(tb, from, place);
            scf::YieldOp::create(tb);
          });
        });
      });
  rewriter.eraseOp(op);
  return success();
}
