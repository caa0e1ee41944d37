//===-- CodedMatmul.cpp - the product by codes into tables
//----------------------===//
//
// For a few rows of x, which is what decoding a token is, time is what it takes
// to read the codes: they are read once, in order, by rows of the weight.
// Sixteen such rows, and what the sparse matrix has of them, are a group, whose
// sums wait in L1 until they are vectors for the epilogue. Threads share
// groups. Each sum is computed in one order whatever the threads and the other
// rows of x.
//
//===--------------------------------------------------------------------------===//

#include "codegen/host/CodedMatmul.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/Epilogue.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kGroup = 16; // rows of the weight
constexpr int64_t kRows =
    8; // of x, for which a row of the weight is decoded once
constexpr int64_t kCodesPerThread = 1 << 17; // some 4 us

struct Emitter : EpilogueEmitter {
  CodedRows coded;
  int64_t columns;
  Value rows, scratch, thread; // scratch: f32 [threads][kRows][kGroup]

  Emitter(ImplicitLocOpBuilder &b, PackedMatmulOp op, const TiledTarget &target,
          Value x)
      : EpilogueEmitter(b, op, target), coded(b, op, target, x),
        columns(cast<MemRefType>(out.getType()).getDimSize(1)),
        rows(dimOf(b, x, 0)) {}

  /// Columns [n, n + width) of the result for rows [first, first + count),
  /// where count is at most `most`.
  void tile(ImplicitLocOpBuilder &b, Value n, int64_t width, Value first,
            Value count, int64_t most) {
    Value last = arith::SubIOp::create(
        b, arith::AddIOp::create(b, first, count), indexConstant(b, 1));
    SmallVector<Value> row;
    for (int64_t i = 0; i < most; ++i)
      row.push_back(arith::MinUIOp::create(b, plus(b, first, i), last));
    loop(b, indexConstant(b, 0), indexConstant(b, width), 1,
         [&](ImplicitLocOpBuilder &ib, Value i) {
           for (auto [r, sum] : llvm::enumerate(
                    coded.sums(ib, arith::AddIOp::create(ib, n, i), row)))
             memref::StoreOp::create(
                 ib, sum, scratch, ValueRange{thread, indexConstant(ib, r), i});
         });
    loop(b, indexConstant(b, 0), count, 1,
         [&](ImplicitLocOpBuilder &ib, Value r) {
           Value y = arith::AddIOp::create(ib, first, r);
           for (int64_t v = 0; v < width; v += target.lanes) {
             int64_t lanes = validLanes(width, v);
             Value sum = vector::LoadOp::create(
                 ib, vectorType, scratch,
                 ValueRange{thread, r, indexConstant(ib, v)});
             Value at = plus(ib, n, v);
             store(ib, apply(ib, sum, y, at, lanes), out, ValueRange{y, at},
                   lanes);
           }
         });
  }

  /// All rows of x for a group: by eights, and what is left by 1, 2, 4 or 8,
  /// some of them twice.
  void groupOf(ImplicitLocOpBuilder &b, Value group, int64_t width) {
    Value n = arith::MulIOp::create(b, group, indexConstant(b, kGroup));
    loop(b, indexConstant(b, 0), rows, kRows,
         [&](ImplicitLocOpBuilder &ib, Value first) {
           Value count = arith::MinUIOp::create(
               ib, arith::SubIOp::create(ib, rows, first),
               indexConstant(ib, kRows));
           SmallVector<int64_t> cases = {1, 2, 3, 4};
           auto choice = scf::IndexSwitchOp::create(ib, TypeRange(), count,
                                                    cases, cases.size());
           auto fill = [&](Region &region, int64_t most) {
             OpBuilder::InsertionGuard guard(ib);
             ib.createBlock(&region);
             tile(ib, n, width, first, count, most);
             scf::YieldOp::create(ib);
           };
           fill(choice.getDefaultRegion(), kRows);
           for (auto [i, size] : llvm::enumerate(cases))
             fill(choice.getCaseRegions()[i], size);
         });
  }

  void emit(ImplicitLocOpBuilder &b) {
    if (coded.bytes)
      coded.roundInput(b, kernelName("round", op.getLoc()));
    scratch = memref::AllocOp::create(
        b,
        MemRefType::get({ShapedType::kDynamic, kRows, kGroup}, b.getF32Type()),
        ValueRange(ThreadsOp::create(b, b.getIndexType())));
    int64_t groups = llvm::divideCeil(columns, kGroup),
            lastWidth = columns - (groups - 1) * kGroup;
    Value cost =
        arith::MulIOp::create(b, ceilDiv(b, rows, indexConstant(b, kRows)),
                              indexConstant(b, kGroup * coded.depth));
    ParallelOp::create(
        b, kernelName("matmul", op.getLoc()), indexConstant(b, groups),
        grainFor(b, cost, kCodesPerThread),
        [&](OpBuilder &o, Location l, ValueRange range) {
          ImplicitLocOpBuilder pb(l, o);
          thread = range[2];
          Value whole =
              indexConstant(pb, lastWidth == kGroup ? groups : groups - 1);
          loop(pb, range[0], arith::MinUIOp::create(pb, range[1], whole), 1,
               [&](ImplicitLocOpBuilder &ib, Value group) {
                 groupOf(ib, group, kGroup);
               });
          if (lastWidth != kGroup)
            loop(pb, arith::MaxUIOp::create(pb, range[0], whole), range[1], 1,
                 [&](ImplicitLocOpBuilder &ib, Value group) {
                   groupOf(ib, group, lastWidth);
                 });
        });
  }
};

} // namespace

LogicalResult sq::lowerCodedMatmul(RewriterBase &rewriter, PackedMatmulOp op,
                                   const TiledTarget &target) {
  auto outType = cast<MemRefType>(op.getOuts().getType());
  if (!outType.getElementType().isF32() || !outType.getLayout().isIdentity())
    return op.emitOpError("needs a dense f32 result, got ") << outType;
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX()));
  Emitter(b, op, target, x).emit(b);
  rewriter.eraseOp(op);
  return success();
}
