//===-- CodedRows.cpp - rows of codes by a few rows of x
//------------------------===//
//
// A row of codes is decoded once for all rows of x, 16 weights at a time (64
// with bytes), in the order in which it lies in memory; sums stay in registers.
// There are at least four of them, as many as a fused multiply-add takes
// cycles. Columns past k have code 0, and x is zero there.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/Bytes.h"
#include "codegen/host/CodedMatmul.h"
#include "codegen/host/Kernels.h"
#include "lib/numerics/Codes.h"

using namespace mlir;
using namespace sq;

/// Sums at the same time: rows of x times so many of each.
constexpr int64_t kLeastSums = 4;
/// Codes of the longest block: rounded rows of x are padded to it, whatever the
/// bits of those who read them.
constexpr int64_t kMostBlockCodes = 512;
/// How far ahead codes are fetched, in bytes, to L2 and from there to L1. To L2
/// it is several times what memory delivers to a core within its latency (some
/// 100 ns), as the prefetchers of the hardware stop at pages; to L1 alone there
/// are too few lines under way. A product of one row on a Xeon with AMX, one
/// core, in GB/s: 13.9 to L1 from 3072, 15.5 to L2 from 12288, 16.0 both; plain
/// reading 18.
constexpr int64_t kFetchToL2 = 12288, kFetchToL1 = 1024;

/// The same for tables and their kind, in rows of the weight.
constexpr int64_t kRowsAhead = 24;

CodedRows::CodedRows(ImplicitLocOpBuilder &b, PackedMatmulOp op,
                     const TiledTarget &target, Value x)
    : target(target), x(x), codes(op.getWeight()) {
  depth = cast<MemRefType>(x.getType()).getDimSize(1);
  bytes = op.hasByteCodes();
  if (op.isGrouped()) {
    bits = op.getBits();
    groups.size = op.getGroupSize();
    groups.zeroPoint = op.getZeroPoint();
    groups.scales = op.getLut().front();
    groups.stored = cast<MemRefType>(groups.scales.getType()).getDimSize(1);
    if (op.getLut().size() > 1)
      groups.offsets = op.getLut()[1];
    return;
  }
  table = op.getLut().front();
  bits = llvm::Log2_64(cast<MemRefType>(table.getType()).getDimSize(1));
  ValueRange rest = ValueRange(op.getLut()).drop_front();
  if (bytes) {
    tableScale = rest.front();
    rest = rest.drop_front();
  }
  if (!rest.empty()) {
    rowPtr = rest[0];
    entries = rest[1];
  }
}

SmallVector<Value> CodedRows::sums(ImplicitLocOpBuilder &b, Value n,
                                   ArrayRef<Value> rows) {
  fetchRow(b, plus(b, n, kRowsAhead));
  if (groups.size)
    return groupedSums(b, n, rows);
  SmallVector<Value> result =
      bytes ? byteSums(b, n, rows) : floatSums(b, n, rows);
  if (rowPtr)
    addSparse(b, n, rows, result);
  return result;
}

/// What there is of a row beside its codes, a few bytes each.
void CodedRows::fetchRow(ImplicitLocOpBuilder &b, Value n) {
  constexpr int64_t kLine = 64, kMostLines = 16;
  for (Value memory : {groups.scales, groups.offsets}) {
    if (!memory)
      continue;
    int64_t perLine =
        kLine * 8 / cast<MemRefType>(memory.getType()).getElementTypeBitWidth();
    int64_t lines = llvm::divideCeil(groups.stored, perLine);
    for (int64_t line = 0; line < std::min(lines, kMostLines); ++line)
      memref::PrefetchOp::create(
          b, memory, ValueRange{n, indexConstant(b, line * perLine)},
          /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
  }
  for (Value memory : {table, tableScale, rowPtr}) {
    if (!memory)
      continue;
    SmallVector<Value> at = {n};
    if (cast<MemRefType>(memory.getType()).getRank() == 2)
      at.push_back(indexConstant(b, 0));
    memref::PrefetchOp::create(b, memory, at, /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
  }
}

VectorType CodedRows::codeType(ImplicitLocOpBuilder &b) {
  return bytes ? VectorType::get({4 * target.lanes}, b.getI8Type())
               : VectorType::get({target.lanes}, b.getI32Type());
}

VectorType CodedRows::sumType(ImplicitLocOpBuilder &b) {
  return VectorType::get({target.lanes},
                         bytes ? Type(b.getI32Type()) : Type(b.getF32Type()));
}

SmallVector<Value> CodedRows::words(ImplicitLocOpBuilder &b, Value n,
                                    Value block, int64_t lane) {
  SmallVector<Value> result;
  for (int64_t w = 0; w < (bits == 3 ? 3 : 1); ++w)
    result.push_back(vector::LoadOp::create(
        b, codeType(b), codes,
        ValueRange{n, block, indexConstant(b, w), indexConstant(b, lane)}));
  return result;
}

void CodedRows::fetchCodes(ImplicitLocOpBuilder &b, Value n, Value block) {
  int64_t words = bits == 3 ? 3 : 1;
  auto fetchFrom = [&](int64_t distance, int32_t locality) {
    Value ahead = plus(b, block, llvm::divideCeil(distance, 64 * words));
    for (int64_t w = 0; w < words; ++w)
      memref::PrefetchOp::create(
          b, codes,
          ValueRange{n, ahead, indexConstant(b, w), indexConstant(b, 0)},
          /*isWrite=*/false, locality, /*isDataCache=*/true);
  };
  fetchFrom(kFetchToL2, /*locality=*/2);
  fetchFrom(kFetchToL1, /*locality=*/3);
}

//===-- The loop over blocks
//----------------------------------------------------===//

namespace {

/// What a product of one block of codes needs.
struct Blocks {
  CodedRows &of;
  Value n;
  TableLookup lookup;
  VectorType codeType, sumType;
  int64_t
      step; // weights of a lookup in the order of the block: 16, or 64 bytes

  Blocks(ImplicitLocOpBuilder &b, CodedRows &of, Value n)
      : of(of), n(n), lookup(b, of.target, of.bits, of.bytes, of.table, n),
        step(of.bytes ? 64 : 16) {
    codeType = of.codeType(b);
    sumType = of.sumType(b);
  }

  /// Adds the products of the first `left` codes of a block to `sums`, for all
  /// rows of x.
  void add(ImplicitLocOpBuilder &b, Value block, int64_t left,
           ArrayRef<Value> rows, SmallVectorImpl<Value> &sums) {
    int64_t perVector = cast<VectorType>(codeType).getNumElements();
    Value first = arith::MulIOp::create(
        b, block, indexConstant(b, numerics::blockCodes(of.bits)));
    int64_t perRow = sums.size() / rows.size(), next = 0;
    for (int64_t half = 0; half < step; half += perVector) {
      SmallVector<Value> words = of.words(b, n, block, half);
      for (int64_t s = 0; s * step + half < left; ++s, ++next) {
        Value weights = lookup.weights(b, words, s);
        int64_t from = s * step + half;
        Value at = plus(b, first, from);
        for (auto [i, row] : llvm::enumerate(rows)) {
          Value &sum = sums[i * perRow + next % perRow];
          if (of.bytes) {
            Value q = vector::LoadOp::create(b, codeType, of.rounded,
                                             ValueRange{row, at});
            sum = multiplyBytes(b, of.target, weights, q, sum);
          } else {
            sum = vector::FMAOp::create(
                b, weights,
                floats(b, row, at, std::min(perVector, left - from)), sum);
          }
        }
      }
    }
  }

  Value floats(ImplicitLocOpBuilder &b, Value row, Value at, int64_t valid) {
    if (valid == sumType.getNumElements())
      return vector::LoadOp::create(b, sumType, of.x, ValueRange{row, at});
    Value mask = vector::CreateMaskOp::create(
        b, VectorType::get(sumType.getShape(), b.getI1Type()),
        ValueRange(indexConstant(b, valid)));
    return vector::MaskedLoadOp::create(
        b, sumType, of.x, ValueRange{row, at}, mask,
        arith::ConstantOp::create(b, b.getZeroAttr(sumType)));
  }
};

} // namespace

SmallVector<Value> CodedRows::overBlocks(
    ImplicitLocOpBuilder &b, Value n, ArrayRef<Value> rows, VectorType sumType,
    function_ref<void(ImplicitLocOpBuilder &, Value block, int64_t left,
                      SmallVectorImpl<Value> &sums)>
        add) {
  int64_t inBlock = numerics::blockCodes(bits), full = depth / inBlock,
          left = depth % inBlock;
  int64_t perRow = std::max<int64_t>(1, kLeastSums / int64_t(rows.size()));
  SmallVector<Value> sums(rows.size() * perRow,
                          arith::ConstantOp::create(b, b.getZeroAttr(sumType)));
  if (full) {
    auto loop = scf::ForOp::create(
        b, indexConstant(b, 0), indexConstant(b, full), indexConstant(b, 1),
        sums, [&](OpBuilder &o, Location l, Value block, ValueRange before) {
          ImplicitLocOpBuilder ib(l, o);
          SmallVector<Value> next(before);
          fetchCodes(ib, n, block);
          add(ib, block, inBlock, next);
          scf::YieldOp::create(ib, next);
        });
    sums.assign(loop.getResults().begin(), loop.getResults().end());
  }
  if (left)
    add(b, indexConstant(b, full), left, sums);
  bool areInts = sumType.getElementType().isInteger();
  SmallVector<Value> result;
  for (size_t i = 0; i < rows.size(); ++i) {
    Value sum = sums[i * perRow];
    for (int64_t s = 1; s < perRow; ++s) {
      Value other = sums[i * perRow + s];
      sum = areInts ? Value(arith::AddIOp::create(b, sum, other))
                    : Value(arith::AddFOp::create(b, sum, other));
    }
    result.push_back(sum);
  }
  return result;
}

/// By tables.
static SmallVector<Value> tableSums(ImplicitLocOpBuilder &b, CodedRows &of,
                                    Value n, ArrayRef<Value> rows) {
  Blocks blocks(b, of, n);
  return of.overBlocks(b, n, rows, blocks.sumType,
                       [&](ImplicitLocOpBuilder &ib, Value block, int64_t left,
                           SmallVectorImpl<Value> &sums) {
                         blocks.add(ib, block, left, rows, sums);
                       });
}

SmallVector<Value> CodedRows::floatSums(ImplicitLocOpBuilder &b, Value n,
                                        ArrayRef<Value> rows) {
  SmallVector<Value> result;
  for (Value sum : tableSums(b, *this, n, rows))
    result.push_back(sumOfLanes(b, sum));
  return result;
}

SmallVector<Value> CodedRows::byteSums(ImplicitLocOpBuilder &b, Value n,
                                       ArrayRef<Value> rows) {
  SmallVector<Value> result;
  Value zero = indexConstant(b, 0), one = indexConstant(b, 1);
  Value scale = memref::LoadOp::create(b, tableScale, ValueRange{n, zero}),
        least = memref::LoadOp::create(b, tableScale, ValueRange{n, one});
  for (auto [row, vector] : llvm::zip(rows, tableSums(b, *this, n, rows))) {
    Value sum = arith::SIToFPOp::create(
        b, b.getF32Type(),
        vector::ReductionOp::create(b, vector::CombiningKind::ADD, vector));
    Value total = memref::LoadOp::create(b, roundedScale, ValueRange{row, one});
    Value y = math::FmaOp::create(b, scale, sum,
                                  arith::MulFOp::create(b, least, total));
    result.push_back(arith::MulFOp::create(
        b, y, memref::LoadOp::create(b, roundedScale, ValueRange{row, zero})));
  }
  return result;
}

//===-- Rounding x
//----------------------------------------------------------------===//

/// q = round(x / s), s = max |x| / 127 (a NaN makes it one), for each row.
SmallVector<Value> CodedRows::roundInput(ImplicitLocOpBuilder &b,
                                         StringRef name,
                                         ArrayRef<GroupShape> shapes) {
  int64_t padded = llvm::alignTo(depth, kMostBlockCodes);
  Value count = dimOf(b, x, 0);
  // AMX reads rows by tiles of 16, two at once.
  Value room = count;
  if (target.amx)
    room = arith::MulIOp::create(b, ceilDiv(b, count, indexConstant(b, 32)),
                                 indexConstant(b, 32));
  rounded = memref::AllocOp::create(
      b, MemRefType::get({ShapedType::kDynamic, padded}, b.getI8Type()),
      ValueRange(room));
  roundedScale = memref::AllocOp::create(
      b, MemRefType::get({ShapedType::kDynamic, 2}, b.getF32Type()),
      ValueRange(count));
  SmallVector<Value> groupSums;
  for (auto [size, stored] : shapes)
    groupSums.push_back(memref::AllocOp::create(
        b, MemRefType::get({ShapedType::kDynamic, stored}, b.getF32Type()),
        ValueRange(count)));
  constexpr int64_t kElementsPerThread = 1 << 15;
  auto floats = VectorType::get({target.lanes}, b.getF32Type()),
       ints = VectorType::get({target.lanes}, b.getI32Type()),
       narrow = VectorType::get({target.lanes}, b.getI8Type());
  int64_t full = depth / target.lanes * target.lanes, left = depth - full;
  ParallelOp::create(
      b, name, count, grainFor(b, indexConstant(b, depth), kElementsPerThread),
      [&](OpBuilder &o, Location l, ValueRange range) {
        ImplicitLocOpBuilder pb(l, o);
        loop(pb, range[0], range[1], 1,
             [&](ImplicitLocOpBuilder &rb, Value row) {
               auto load = [&](ImplicitLocOpBuilder &ib, Value at,
                               int64_t lanes) -> Value {
                 if (lanes == target.lanes)
                   return vector::LoadOp::create(ib, floats, x,
                                                 ValueRange{row, at});
                 Value mask = vector::CreateMaskOp::create(
                     ib, VectorType::get({target.lanes}, ib.getI1Type()),
                     ValueRange(indexConstant(ib, lanes)));
                 return vector::MaskedLoadOp::create(
                     ib, floats, x, ValueRange{row, at}, mask,
                     arith::ConstantOp::create(ib, ib.getZeroAttr(floats)));
               };
               // `body` folds a vector at a time into `init`.
               auto fold = [&](Value init,
                               function_ref<Value(ImplicitLocOpBuilder &,
                                                  Value at, Value v, Value sum)>
                                   body) {
                 Value result = init;
                 if (full)
                   result =
                       scf::ForOp::create(
                           rb, indexConstant(rb, 0), indexConstant(rb, full),
                           indexConstant(rb, target.lanes), ValueRange(init),
                           [&](OpBuilder &fo, Location fl, Value at,
                               ValueRange before) {
                             ImplicitLocOpBuilder fb(fl, fo);
                             scf::YieldOp::create(
                                 fb, body(fb, at, load(fb, at, target.lanes),
                                          before[0]));
                           })
                           .getResult(0);
                 Value last = indexConstant(rb, full);
                 return left ? body(rb, last, load(rb, last, left), result)
                             : result;
               };
               Value none =
                   arith::ConstantOp::create(rb, rb.getZeroAttr(floats));
               Value largest = fold(none, [&](ImplicitLocOpBuilder &ib, Value,
                                              Value v, Value most) {
                 return arith::MaximumFOp::create(ib, most,
                                                  math::AbsFOp::create(ib, v))
                     .getResult();
               });
               Value most = vector::ReductionOp::create(
                   rb, vector::CombiningKind::MAXIMUMF, largest);
               auto number = [&](float v) {
                 return arith::ConstantOp::create(rb, rb.getF32FloatAttr(v));
               };
               Value isZero = arith::CmpFOp::create(
                   rb, arith::CmpFPredicate::OEQ, most, number(0));
               Value inverse = arith::SelectOp::create(
                   rb, isZero, number(0),
                   arith::DivFOp::create(rb, number(127), most));
               Value factor = vector::BroadcastOp::create(rb, floats, inverse);
               Value total = fold(
                   arith::ConstantOp::create(rb, rb.getZeroAttr(ints)),
                   [&](ImplicitLocOpBuilder &ib, Value at, Value v, Value sum) {
                     Value whole = math::RoundEvenOp::create(
                         ib, arith::MulFOp::create(ib, v, factor));
                     Value q = arith::FPToSIOp::create(ib, ints, whole);
                     vector::StoreOp::create(
                         ib, arith::TruncIOp::create(ib, narrow, q), rounded,
                         ValueRange{row, at});
                     return arith::AddIOp::create(ib, sum, q).getResult();
                   });
               Value zeros =
                   arith::ConstantOp::create(rb, rb.getZeroAttr(narrow));
               loop(rb, indexConstant(rb, llvm::alignTo(depth, target.lanes)),
                    indexConstant(rb, padded), target.lanes,
                    [&](ImplicitLocOpBuilder &ib, Value at) {
                      vector::StoreOp::create(ib, zeros, rounded,
                                              ValueRange{row, at});
                    });
               Value sum = vector::ReductionOp::create(
                   rb, vector::CombiningKind::ADD, total);
               memref::StoreOp::create(
                   rb, arith::DivFOp::create(rb, most, number(127)),
                   roundedScale, ValueRange{row, indexConstant(rb, 0)});
               memref::StoreOp::create(
                   rb, arith::SIToFPOp::create(rb, rb.getF32Type(), sum),
                   roundedScale, ValueRange{row, indexConstant(rb, 1)});
               for (auto [shape, to] : llvm::zip(shapes, groupSums))
                 sumGroups(rb, row, shape, to);
             });
      });
  return groupSums;
}
