//===-- CodedPanels.cpp - codes decoded for many rows of x
//----------------------===//
//
// Rows of the weight are decoded a block of codes at a time, 16 of them one
// after the other into L1, and from there transposed into the panel in squares
// of a vector's lanes: what has 32 bits there are floats, or fours of bytes
// along k, as vpdpbusd and AMX take them. All of it costs some 0.2 cycles a
// weight; what follows is in CodedBlocks.cpp.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/Transpose.h"
#include "codegen/host/CodedMatmul.h"
#include "codegen/host/Kernels.h"
#include "lib/numerics/Codes.h"

using namespace mlir;
using namespace sq;

constexpr int64_t kGroup =
    16; // rows that are decoded before they are transposed

CodedPanels::CodedPanels(ImplicitLocOpBuilder &b, CodedRows &coded,
                         int64_t columns)
    : coded(coded), columns(columns) {
  int64_t perUnit = coded.bytes ? 4 : 1,
          inBlock = numerics::blockCodes(coded.bits) / perUnit;
  units = llvm::divideCeil(coded.depth, perUnit);
  int64_t padded = numerics::blocksOf(coded.depth, coded.bits) * inBlock;
  Type element = coded.sumType(b).getElementType();
  auto alloc = [&](ArrayRef<int64_t> shape, Type type) -> Value {
    return allocPerThread(b, getAsIndexOpFoldResult(b.getContext(), shape),
                          type);
  };
  panel = alloc({padded, kPanelColumns}, element);
  blockRows = alloc({kGroup, inBlock}, element);
  sums = alloc({kBlockRows, kPanelColumns}, b.getF32Type());
  if (coded.bytes && coded.groups.size) {
    int64_t count = llvm::divideCeil(coded.depth, coded.groups.size);
    groupScales = alloc({count, kPanelColumns}, b.getF32Type());
    if (coded.needsSums())
      groupOffsets = alloc({count, kPanelColumns}, b.getF32Type());
  } else if (coded.bytes) {
    scales = alloc({2, kPanelColumns}, b.getF32Type());
  }
  if (onTiles())
    tileSums = alloc({kBlockRows, kPanelColumns}, b.getI32Type());
  if (coded.transposed)
    columnSums = alloc({kPanelColumns, kBlockRows}, b.getF32Type());
}

void CodedPanels::decode(ImplicitLocOpBuilder &b, Value n) {
  Value last = indexConstant(b, columns - 1), zero = indexConstant(b, 0);
  loop(b, zero, indexConstant(b, kPanelColumns), kGroup,
       [&](ImplicitLocOpBuilder &gb, Value column) {
         Value first = arith::AddIOp::create(gb, n, column);
         loop(gb, zero,
              indexConstant(gb, numerics::blocksOf(coded.depth, coded.bits)), 1,
              [&](ImplicitLocOpBuilder &ib, Value block) {
                decodeBlock(ib, first, last, block);
                transpose(ib, column, block);
              });
       });
  if (coded.bytes && coded.groups.size)
    decodeGroups(b, n);
  else if (coded.bytes)
    loop(b, zero, indexConstant(b, kPanelColumns), 1,
         [&](ImplicitLocOpBuilder &ib, Value column) {
           Value row = arith::MinUIOp::create(
               ib, arith::AddIOp::create(ib, n, column), last);
           for (int64_t i = 0; i < 2; ++i)
             memref::StoreOp::create(
                 ib,
                 memref::LoadOp::create(ib, coded.tableScale,
                                        ValueRange{row, indexConstant(ib, i)}),
                 scales, ValueRange{thread, indexConstant(ib, i), column});
         });
  else if (coded.rowPtr)
    loop(b, zero,
         arith::MinUIOp::create(
             b, indexConstant(b, kPanelColumns),
             arith::SubIOp::create(b, indexConstant(b, columns), n)),
         1, [&](ImplicitLocOpBuilder &ib, Value column) {
           scatterSparse(ib, n, column);
         });
}

/// A block of rows [n, n + 16), as far as there are.
void CodedPanels::decodeBlock(ImplicitLocOpBuilder &b, Value n, Value last,
                              Value block) {
  int64_t inBlock = numerics::blockCodes(coded.bits),
          step = coded.bytes ? 64 : 16, perUnit = coded.bytes ? 4 : 1;
  int64_t perVector = coded.codeType(b).getNumElements();
  loop(b, indexConstant(b, 0), indexConstant(b, kGroup), 1,
       [&](ImplicitLocOpBuilder &ib, Value i) {
         Value row =
             arith::MinUIOp::create(ib, arith::AddIOp::create(ib, n, i), last);
         TableLookup lookup = TableLookup::ofRow(ib, coded, row);
         for (int64_t half = 0; half < step; half += perVector) {
           SmallVector<Value> words = coded.words(ib, row, block, half);
           for (int64_t s = 0; s * step < inBlock; ++s) {
             Value weights = lookup.weights(ib, words, s);
             if (coded.bytes)
               weights =
                   vector::BitCastOp::create(ib, coded.sumType(ib), weights);
             else if (coded.groups.size)
               weights = ofGroup(ib, weights, row, block, s * step + half);
             vector::StoreOp::create(
                 ib, weights, blockRows,
                 ValueRange{thread, i,
                            indexConstant(ib, (s * step + half) / perUnit)});
           }
         }
       });
}

/// Squares of the block to columns [column, column + 16) of the panel.
void CodedPanels::transpose(ImplicitLocOpBuilder &b, Value column,
                            Value block) {
  int64_t lanes = coded.target.lanes,
          inBlock = numerics::blockCodes(coded.bits) / (coded.bytes ? 4 : 1);
  Value first = arith::MulIOp::create(b, block, indexConstant(b, inBlock));
  loop(b, indexConstant(b, 0), indexConstant(b, inBlock), lanes,
       [&](ImplicitLocOpBuilder &ib, Value unit) {
         for (int64_t part = 0; part < kGroup; part += lanes) {
           SmallVector<Value> v;
           for (int64_t i = 0; i < lanes; ++i)
             v.push_back(vector::LoadOp::create(
                 ib, coded.sumType(ib), blockRows,
                 ValueRange{thread, indexConstant(ib, part + i), unit}));
           emitTranspose(ib, v);
           for (int64_t i = 0; i < lanes; ++i)
             vector::StoreOp::create(
                 ib, v[i], panel,
                 ValueRange{thread,
                            plus(ib, arith::AddIOp::create(ib, first, unit), i),
                            plus(ib, column, part)});
         }
       });
}

/// Entries of row n + column onto the panel.
void CodedPanels::scatterSparse(ImplicitLocOpBuilder &b, Value n,
                                Value column) {
  Value row = arith::AddIOp::create(b, n, column);
  auto bound = [&](Value at) {
    return arith::IndexCastUIOp::create(
               b, b.getIndexType(), memref::LoadOp::create(b, coded.rowPtr, at))
        .getResult();
  };
  loop(b, bound(row), bound(plus(b, row, 1)), 1,
       [&](ImplicitLocOpBuilder &ib, Value e) {
         auto [k, value] = coded.entryAt(ib, e);
         SmallVector<Value> at = {thread, k, column};
         memref::StoreOp::create(
             ib,
             arith::AddFOp::create(ib, memref::LoadOp::create(ib, panel, at),
                                   value),
             panel, at);
       });
}
