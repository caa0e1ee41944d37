//===-- KvAppend.cpp - rows added to a cache
//-----------------------------------===//
//
// A token of a cache is one run of memory: [heads, size].
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

LogicalResult sq::lowerKvAppend(RewriterBase &rewriter, KvAppendOp op,
                                const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  if (!cast<MemRefType>(op.getOuts().getType()).getLayout().isIdentity())
    return op.emitOpError("has no kernel for a cache with strides, ")
           << op.getOuts().getType();
  SmallVector<ReassociationIndices> groups = {{0}, {1}, {2, 3}};
  Value rows =
      memref::CollapseShapeOp::create(b, denseMemref(b, op.getRows()), groups);
  Value cache = memref::CollapseShapeOp::create(b, op.getOuts(), groups);
  Value batch = dimOf(b, rows, 0), tokens = dimOf(b, rows, 1),
        width = dimOf(b, rows, 2), capacity = dimOf(b, cache, 1);
  auto type = cast<MemRefType>(rows.getType());
  bool isInVectors = type.getElementType().isF32() && !type.isDynamicDim(2) &&
                     type.getDimSize(2) % target.lanes == 0;
  auto vector = VectorType::get({target.lanes}, type.getElementType());
  ParallelOp::create(
      b, kernelName("append", op.getLoc()), product(b, {batch, tokens}),
      grainFor(b, width, kElementsPerThread),
      [&](OpBuilder &o, Location l, ValueRange range) {
        ImplicitLocOpBuilder ob(l, o);
        loop(
            ob, range[0], range[1], 1,
            [&](ImplicitLocOpBuilder &ib, Value index) {
              SmallVector<Value> from = delinearize(ib, index, {batch, tokens});
              Value length = arith::IndexCastOp::create(
                  ib, ib.getIndexType(),
                  memref::LoadOp::create(ib, op.getLengths(), from[0]));
              Value place = arith::AddIOp::create(ib, length, from[1]);
              // Unsigned: a negative length is too large.
              Value exists = arith::CmpIOp::create(
                  ib, arith::CmpIPredicate::ult, place, capacity);
              scf::IfOp::create(ib, exists, [&](OpBuilder &t, Location tl) {
                ImplicitLocOpBuilder tb(tl, t);
                loop(tb, indexConstant(tb, 0), width,
                     isInVectors ? target.lanes : 1,
                     [&](ImplicitLocOpBuilder &cb, Value i) {
                       SmallVector<Value> source = {from[0], from[1], i},
                                          to = {from[0], place, i};
                       if (isInVectors)
                         vector::StoreOp::create(
                             cb,
                             vector::LoadOp::create(cb, vector, rows, source),
                             cache, to);
                       else
                         memref::StoreOp::create(
                             cb, memref::LoadOp::create(cb, rows, source),
                             cache, to);
                     });
                scf::YieldOp::create(tb);
              });
            });
      });
  rewriter.eraseOp(op);
  return success();
}
