//===-- MmaProduct.cpp - a tile of a product by mma.sync
//----------------------===//
//
// Both factors come by cp.async, kStages - 1 steps of k ahead, into shared
// memory in rows of 64 bytes (x) and of a whole tile (weights). The 16-byte
// pieces of a row are permuted by its number, so that the eight rows that
// ldmatrix reads at once lie in different banks. A warp keeps its sums in
// registers; they leave by shared memory, so that each lane has eight
// neighbours of a row to finish and to write in one piece.
//
//===--------------------------------------------------------------------------===//

#include "codegen/cuda/MmaProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/NVGPU/IR/NVGPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "codegen/cuda/MmaFragments.h"
#include "codegen/cuda/SumRows.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

namespace {

constexpr int64_t kStages = 4;    // steps of k in shared memory
constexpr int64_t kRowBytes = 64; // of x in a step
constexpr int64_t kPiece = 16; // bytes of a cp.async, and of a row of ldmatrix
constexpr int64_t kMmaRows = 16, kMmaColumns = 8;
constexpr int64_t kWarps = MmaProduct::kThreads / kWarp;

struct Emitter : IndexMath {
  MmaProduct &p;
  Thread &t;
  Value firstRow, firstPanel, begin, end;
  // Of a thread:
  Value sliceX, sliceW, lane, warp, warpRow,
      warpColumn; // the warp's place in the tile

  bool wide() const { return p.factors == MmaProduct::TF32; }
  int64_t step() const { return p.step(); } // of k in a stage
  int64_t mmaDepth() const { return wide() ? 8 : 16; }
  int64_t chunk() const { return wide() ? 4 : 8; } // factors in a piece
  int64_t columns() const { return p.panelsOfBlock() * kCudaPanelColumns; }
  int64_t tilesM() const { return p.warpTile / kMmaRows; }
  int64_t tilesN() const { return p.warpTile / kMmaColumns; }

  Value flip(Value a, Value c) { return b->createOrFold<arith::XOrIOp>(a, c); }

  /// The column where piece `piece` of row `row` of x lies.
  Value placeX(Value row, Value piece) {
    return times(flip(piece, mod(over(row, 2), 4)), chunk());
  }
  /// The same of row `k` of the weights; tf32 are read four rows and two pieces
  /// at a time.
  Value placeW(Value k, Value piece) {
    return times(flip(piece, wide() ? times(mod(k, 4), 2) : mod(k, 8)),
                 chunk());
  }

  void copy(Value from, ValueRange at, Value to, ValueRange place,
            Value exists) {
    nvgpu::DeviceAsyncCopyOp::create(
        *b, nvgpu::DeviceAsyncTokenType::get(b->getContext()), to, place, from,
        at, b->getIndexAttr(chunk()), exists, /*bypassL1=*/b->getUnitAttr());
  }
  /// How much of a piece at k exists (null: all of it), and a place that does.
  Value existing(Value &k, int64_t pieceDepth) {
    if (p.depth % step() == 0)
      return Value();
    Value exists = arith::SelectOp::create(*b, below(*b, k, num(p.depth)),
                                           num(chunk()), num(0));
    k = arith::MinUIOp::create(*b, k,
                               num(std::max<int64_t>(p.depth - pieceDepth, 0)));
    return exists;
  }

  /// Queues the copy of x of the step at k0.
  void copyX(Value k0, Value slot) {
    constexpr int64_t kPieces = kRowBytes / kPiece,
                      kPass = MmaProduct::kThreads / kPieces;
    Value piece = mod(t.thread, kPieces),
          lastRow = arith::SubIOp::create(*b, p.rows, num(1));
    for (int64_t i = 0; i < p.rowsOfBlock() / kPass; ++i) {
      Value row = add(over(t.thread, kPieces), i * kPass),
            k = add(k0, times(piece, chunk()));
      // Rows past the last are that one again, and not stored.
      Value m = arith::MinUIOp::create(*b, add(firstRow, row), lastRow),
            place = placeX(row, piece);
      if (p.depth % chunk() == 0) {
        Value exists = existing(k, chunk());
        copy(p.x, {m, k}, sliceX, {slot, row, place}, exists);
        continue;
      }
      // Rows do not begin at multiples of 16 bytes: element by element.
      Type element = factorType(*b, p.factors);
      Value none = arith::ConstantOp::create(*b, b->getZeroAttr(element));
      for (int64_t j = 0; j < chunk(); ++j) {
        Value at = add(k, j),
              known = arith::MinUIOp::create(*b, at, num(p.depth - 1));
        Value v = memref::LoadOp::create(*b, p.x, ValueRange{m, known});
        v = arith::SelectOp::create(*b, below(*b, at, num(p.depth)), v, none);
        memref::StoreOp::create(*b, v, sliceX,
                                ValueRange{slot, row, add(place, j)});
      }
    }
  }

  void copyW(Value k0, Value slot) {
    int64_t pieces = kCudaPanelColumns / chunk(),
            pass = MmaProduct::kThreads / pieces;
    Value piece = mod(t.thread, pieces);
    int64_t panels = cast<MemRefType>(p.weight.getType()).getDimSize(0);
    for (int64_t half = 0; half < p.panelsOfBlock(); ++half) {
      Value panel = firstPanel;
      if (half) // the last one again where their number is odd
        panel =
            arith::MinUIOp::create(*b, add(firstPanel, half), num(panels - 1));
      for (int64_t i = 0; i < step() / pass; ++i) {
        Value row = add(over(t.thread, pieces), i * pass), k = add(k0, row);
        Value exists = existing(k, 1);
        copy(p.weight, {panel, k, times(piece, chunk())}, sliceW,
             {slot, row, placeW(row, add(piece, half * pieces))}, exists);
      }
    }
  }

  /// Queues the copies of the step at k0 as one group; an empty one past the
  /// last.
  Value copyStep(Value k0, Value slot) {
    onlyIf(*b, below(*b, k0, end), [&](ImplicitLocOpBuilder &ib) {
      ImplicitLocOpBuilder *outer = std::exchange(b, &ib);
      copyX(k0, slot);
      copyW(k0, slot);
      b = outer;
    });
    return nvgpu::DeviceAsyncCreateGroupOp::create(
        *b, nvgpu::DeviceAsyncTokenType::get(b->getContext()), ValueRange());
  }

  /// Registers of A for the 16 rows at `row` and the k at `k` of the step.
  SmallVector<Value> fragmentA(Value slot, Value row, int64_t k) {
    if (!wide()) {
      Value at = add(row, mod(lane, 16));
      return loadMatrices(
          *b, sliceX, {slot, at, placeX(at, add(over(lane, 16), k / chunk()))},
          4, /*transposed=*/false);
    }
    // (group, k), (group + 8, k), (group, k + 4), (group + 8, k + 4)
    SmallVector<Value> registers;
    for (int64_t i = 0; i < 4; ++i) {
      Value at = add(add(row, over(lane, 4)), i % 2 * 8);
      registers.push_back(word(
          sliceX,
          {slot, at, add(placeX(at, num(k / chunk() + i / 2)), mod(lane, 4))}));
    }
    return registers;
  }

  /// Registers of B for 16 columns at `column`, of the left and the right 8.
  SmallVector<Value> fragmentB(Value slot, Value column, int64_t k) {
    if (!wide()) {
      Value row = add(mod(lane, 16), k);
      return loadMatrices(
          *b, sliceW,
          {slot, row, placeW(row, add(over(column, chunk()), over(lane, 16)))},
          4, /*transposed=*/true);
    }
    // (k, group), (k + 4, group) of each 8 columns
    SmallVector<Value> registers;
    for (int64_t i = 0; i < 4; ++i) {
      Value row = add(mod(lane, 4), k + i % 2 * 4),
            n = add(add(column, over(lane, 4)), i / 2 * 8);
      registers.push_back(
          word(sliceW, {slot, row,
                        add(placeW(row, over(n, chunk())), mod(n, chunk()))}));
    }
    return registers;
  }

  Value word(Value memref, ArrayRef<Value> at) {
    Value v = memref::LoadOp::create(*b, memref, ValueRange(at));
    return arith::BitcastOp::create(*b, b->getI32Type(), toTf32(*b, v));
  }

  void multiplyStep(Value slot, MutableArrayRef<Value> sums) {
    for (int64_t k = 0; k < step(); k += mmaDepth()) {
      SmallVector<SmallVector<Value>> a, c;
      for (int64_t i = 0; i < tilesM(); ++i)
        a.push_back(fragmentA(slot, add(warpRow, i * kMmaRows), k));
      for (int64_t j = 0; j < tilesN(); j += 2) {
        SmallVector<Value> two =
            fragmentB(slot, add(warpColumn, j * kMmaColumns), k);
        c.push_back({two[0], two[1]});
        c.push_back({two[2], two[3]});
      }
      for (int64_t i = 0; i < tilesM(); ++i)
        for (int64_t j = 0; j < tilesN(); ++j)
          multiplyFragments(*b, p.factors, a[i], c[j],
                            sums.slice((i * tilesN() + j) * 4, 4));
    }
  }

  void emit() {
    Type element = factorType(*b, p.factors);
    sliceX = sharedView(t, 0, {kStages, p.rowsOfBlock(), step()}, element);
    sliceW = sharedView(t, kStages * p.rowsOfBlock() * kRowBytes,
                        {kStages, step(), columns()}, element);
    lane = mod(t.thread, kWarp);
    warp = over(t.thread, kWarp);
    warpRow = times(over(warp, 2), p.warpTile);
    warpColumn = times(mod(warp, 2), p.warpTile);
    Value queued;
    for (int64_t s = 0; s < kStages - 1; ++s)
      queued = copyStep(add(begin, s * step()), num(s));
    SmallVector<Value> state(tilesM() * tilesN() * 4, f32Constant(*b, 0.0));
    auto steps = scf::ForOp::create(
        *b, begin, end, num(step()), state,
        [&](OpBuilder &o, Location l, Value k0, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          ImplicitLocOpBuilder *outer = std::exchange(b, &ib);
          // What this step reads has come; what it overwrites has been read.
          nvgpu::DeviceAsyncWaitOp::create(ib, queued,
                                           ib.getI32IntegerAttr(kStages - 2));
          gpu::BarrierOp::create(ib);
          Value number = over(arith::SubIOp::create(ib, k0, begin), step());
          copyStep(add(k0, (kStages - 1) * step()),
                   mod(add(number, kStages - 1), kStages));
          SmallVector<Value> sums(acc);
          multiplyStep(mod(number, kStages), sums);
          b = outer;
          scf::YieldOp::create(ib, sums);
        });
    gpu::BarrierOp::create(*b); // the slices are read: sums go there
    Value staged = sharedView(t, 0, SumRows::stagedShape(kWarps, p.warpTile),
                              b->getF32Type());
    SumRows rows{lane, warp, p.rows, p.columns, p.warpTile};
    Value left = add(times(firstPanel, kCudaPanelColumns), warpColumn);
    for (int64_t i = 0; i < tilesM(); ++i)
      rows.store(*b, staged, add(add(firstRow, warpRow), i * kMmaRows), left,
                 steps.getResults().slice(i * tilesN() * 4, tilesN() * 4),
                 p.store);
  }
};

} // namespace

MmaProduct::Factors MmaProduct::factorsOf(Type weight) {
  return weight.isF16() ? F16 : weight.isBF16() ? BF16 : TF32;
}

int64_t MmaProduct::sharedBytes() const {
  int64_t slices = kStages * kRowBytes *
                   (rowsOfBlock() + panelsOfBlock() * kCudaPanelColumns);
  return std::max<int64_t>(slices, kWarps * SumRows::sharedFloats(warpTile) * 4);
}

void MmaProduct::emit(Thread &t, Value firstRow, Value firstPanel, Value begin,
                      Value end) {
  Emitter{{&t.b}, *this, t, firstRow, firstPanel, begin, end, {}, {}, {}, {}, {}, {}}
      .emit();
}
