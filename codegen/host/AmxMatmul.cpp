//===-- AmxMatmul.cpp - the packed product on AMX tiles -----------------------===//
//
// Two tiles of 16 rows by two tiles of 16 columns (specs/host-codegen.md, section
// 9.2): four sums, two tiles of x, two of the weight. A thread brings its chunk of
// rows into tile layout first, [steps of k][16][64 bytes] for every 16 rows, f32 as
// bf16, then goes through its panels. A sum leaves through 4 KB of scratch, from where
// the epilogue takes it row by row. The `.internal` intrinsics leave tile numbers and
// configuration to LLVM.
//
// A weight of bytes lies in groups of 16 columns, by fours along k, as VNNI reads it: 64 of k
// are a tile, and what is past k is zero.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/Epilogue.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kTileRows = 16, kRowBytes = 64;
constexpr int64_t kPanel = 32;                     // columns: two tiles
constexpr int64_t kChunkRows = 128;
constexpr int64_t kFlopsPerThread = 1 << 23;       // 10 us, as for f32

struct Emitter : EpilogueEmitter {
  Value x, weight;
  int64_t depth, columns; // depth: elements of k
  bool bytes;
  int64_t tileDepth = bytes ? kRowBytes : kRowBytes / 2; // elements of k of a tile
  int64_t steps = llvm::divideCeil(depth, tileDepth);
  Value rows = {}, zero = {}, one = {};
  Value tiles = {}; // [threads][chunk rows / 16][steps][16][tileDepth]: x
  Value sums = {};  // [threads][32][32]
  Value zeros = {}; // 64 zero bytes for each of four tiles
  Value thread = {};

  //===-- Tile instructions ------------------------------------------------===//

  Value constant(ImplicitLocOpBuilder &b, unsigned bits, int64_t value) {
    return arith::ConstantIntOp::create(b, value, bits);
  }
  /// Address of the element of `memref` (dense) at the flat index `element`.
  Value address(ImplicitLocOpBuilder &b, Value memref, Value element) {
    int64_t bytes = cast<MemRefType>(memref.getType()).getElementTypeBitWidth() / 8;
    Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
    Value at = arith::AddIOp::create(b, base, arith::MulIOp::create(b, element, indexConstant(b, bytes)));
    Value bits = arith::IndexCastOp::create(b, b.getI64Type(), at);
    return LLVM::IntToPtrOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), ValueRange(bits));
  }
  Value call(ImplicitLocOpBuilder &b, StringRef name, ValueRange args, bool result = true) {
    StringAttr intrinsic = b.getStringAttr(name);
    if (result)
      return LLVM::CallIntrinsicOp::create(b, LLVM::LLVMX86AMXType::get(b.getContext()), intrinsic, args).getResults();
    LLVM::CallIntrinsicOp::create(b, intrinsic, args);
    return Value();
  }
  SmallVector<Value> shape(ImplicitLocOpBuilder &b) {
    return {constant(b, 16, kTileRows), constant(b, 16, kRowBytes)};
  }
  Value loadTile(ImplicitLocOpBuilder &b, Value from, int64_t stride, bool stream) {
    SmallVector<Value> args = shape(b);
    llvm::append_values(args, from, constant(b, 64, stride));
    // A streamed tile leaves the other operand's tiles in L1.
    return call(b, stream ? "llvm.x86.tileloaddt164.internal" : "llvm.x86.tileloadd64.internal", args);
  }

  //===-- Steps ------------------------------------------------------------===//

  /// Columns [k, k + valid) of row m of x to bf16; what is past k is zero, as a garbage
  /// NaN would spoil the sum even against a zero weight.
  void convertRow(ImplicitLocOpBuilder &b, Value m, Value k, int64_t valid, ArrayRef<Value> to) {
    auto narrow = VectorType::get({target.lanes}, b.getBF16Type());
    Value none = arith::ConstantOp::create(b, b.getZeroAttr(vectorType));
    for (int64_t half = 0; half < tileDepth; half += target.lanes) {
      int64_t lanes = std::clamp<int64_t>(valid - half, 0, target.lanes);
      Value f = lanes ? load(b, x, ValueRange{m, plus(b, k, half)}, lanes) : none;
      SmallVector<Value> at(to);
      at.push_back(indexConstant(b, half));
      vector::StoreOp::create(b, arith::TruncFOp::create(b, narrow, f), tiles, at);
    }
  }

  /// The same of bytes; past k anything goes, as the weight is zero there.
  void copyRow(ImplicitLocOpBuilder &b, Value m, Value k, int64_t valid, ArrayRef<Value> to) {
    auto type = VectorType::get({valid}, b.getI8Type());
    SmallVector<Value> at(to);
    at.push_back(zero);
    vector::StoreOp::create(b, vector::LoadOp::create(b, type, x, ValueRange{m, k}), tiles, at);
  }

  /// Rows [begin, end) of x to tiles.
  void convert(ImplicitLocOpBuilder &b, Value begin, Value end) {
    auto row = [&](ImplicitLocOpBuilder &rb, Value m) {
      Value local = arith::SubIOp::create(rb, m, begin);
      Value block = arith::DivUIOp::create(rb, local, indexConstant(rb, kTileRows));
      Value within = arith::RemUIOp::create(rb, local, indexConstant(rb, kTileRows));
      auto step = [&](ImplicitLocOpBuilder &sb, Value s, int64_t valid) {
        Value k = arith::MulIOp::create(sb, s, indexConstant(sb, tileDepth));
        Value to[] = {thread, block, s, within};
        bytes ? copyRow(sb, m, k, valid, to) : convertRow(sb, m, k, valid, to);
      };
      int64_t full = depth / tileDepth;
      loop(rb, zero, indexConstant(rb, full), 1,
           [&](ImplicitLocOpBuilder &sb, Value s) { step(sb, s, tileDepth); });
      if (depth % tileDepth)
        step(rb, indexConstant(rb, full), depth % tileDepth);
    };
    loop(b, begin, end, 1, row);
  }

  /// Sums plus the products of step s of k.
  SmallVector<Value> step(ImplicitLocOpBuilder &b, Value panel, Value firstTile, Value s, int64_t columnTiles, ValueRange acc) {
    int64_t rowTiles = acc.size() / columnTiles, stride = bytes ? kRowBytes : 2 * kRowBytes;
    SmallVector<Value> lhs, rhs, next;
    for (int64_t n = 0; n < columnTiles; ++n) {
      // Rows of 4 bytes of k: of a group, or of a panel of pairs.
      Value where = bytes ? plus(b, arith::MulIOp::create(b, panel, indexConstant(b, 2)), n) : panel;
      Value row = arith::AddIOp::create(
          b, arith::MulIOp::create(b, where, indexConstant(b, steps * kTileRows)),
          arith::MulIOp::create(b, s, indexConstant(b, kTileRows)));
      Value at = arith::MulIOp::create(b, row, indexConstant(b, 64)); // bytes, or pairs of bf16
      rhs.push_back(loadTile(b, address(b, weight, bytes ? at : plus(b, at, n * tileDepth)), stride, false));
    }
    for (int64_t m = 0; m < rowTiles; ++m) {
      Value tile = arith::AddIOp::create(
          b, arith::MulIOp::create(b, plus(b, firstTile, m), indexConstant(b, steps)), s);
      Value from = arith::MulIOp::create(b, tile, indexConstant(b, kTileRows * tileDepth));
      lhs.push_back(loadTile(b, address(b, tiles, from), kRowBytes, true));
    }
    for (int64_t m = 0; m < rowTiles; ++m)
      for (int64_t n = 0; n < columnTiles; ++n)
        next.push_back(call(b, bytes ? "llvm.x86.tdpbusd.internal" : "llvm.x86.tdpbf16ps.internal",
                            {constant(b, 16, kTileRows), constant(b, 16, 64), constant(b, 16, 64),
                             acc[m * columnTiles + n], lhs[m], rhs[n]}));
    return next;
  }

  /// The product of `rowTiles` x `columnTiles` tiles, `block` the first block of 16 rows of
  /// the chunk, to `sums`.
  void multiply(ImplicitLocOpBuilder &b, Value panel, Value block, int64_t rowTiles, int64_t columnTiles) {
    // Four times tilezero would be one for LLVM, and copies of it through memory.
    SmallVector<Value> none;
    for (int64_t i = 0; i < rowTiles * columnTiles; ++i)
      none.push_back(loadTile(b, address(b, zeros, indexConstant(b, i * kRowBytes)), /*stride=*/0, /*stream=*/false));
    Value blocks = indexConstant(b, kChunkRows / kTileRows);
    Value firstTile = arith::AddIOp::create(b, arith::MulIOp::create(b, thread, blocks), block);
    auto k = scf::ForOp::create(
        b, zero, indexConstant(b, steps), one, none,
        [&](OpBuilder &o, Location l, Value s, ValueRange acc) {
          ImplicitLocOpBuilder kb(l, o);
          scf::YieldOp::create(kb, step(kb, panel, firstTile, s, columnTiles, acc));
        });
    Value base = arith::MulIOp::create(b, thread, indexConstant(b, 2 * kTileRows * kPanel));
    for (int64_t m = 0; m < rowTiles; ++m)
      for (int64_t n = 0; n < columnTiles; ++n) {
        SmallVector<Value> args = shape(b);
        llvm::append_values(args, address(b, sums, plus(b, base, m * kTileRows * kPanel + n * kTileRows)),
                            constant(b, 64, kPanel * 4), k.getResult(m * columnTiles + n));
        call(b, "llvm.x86.tilestored64.internal", args, /*result=*/false);
      }
  }

  /// From `sums` to rows [m, last) of a panel of `width` columns.
  void finish(ImplicitLocOpBuilder &b, Value m, Value last, Value panel, int64_t width) {
    Value column = arith::MulIOp::create(b, panel, indexConstant(b, kPanel));
    loop(b, m, last, 1, [&](ImplicitLocOpBuilder &rb, Value row) {
      Value local = arith::SubIOp::create(rb, row, m);
      for (int64_t first = 0; first < width; first += target.lanes) {
        int64_t lanes = validLanes(width, first);
        Value sum = vector::LoadOp::create(rb, vectorType, sums,
                                           ValueRange{thread, local, indexConstant(rb, first)});
        Value n = plus(rb, column, first);
        store(rb, apply(rb, sum, row, n, lanes), out, ValueRange{row, n}, lanes);
      }
    });
  }

  /// All rows of a chunk against one panel.
  void panelOf(ImplicitLocOpBuilder &b, Value panel, Value begin, Value end, int64_t width) {
    int64_t columnTiles = bytes ? llvm::divideCeil(width, kTileRows) : 2; // bytes are padded to a group only
    loop(b, begin, end, 2 * kTileRows, [&](ImplicitLocOpBuilder &mb, Value m) {
      Value left = arith::SubIOp::create(mb, end, m);
      Value block = arith::DivUIOp::create(mb, arith::SubIOp::create(mb, m, begin), indexConstant(mb, kTileRows));
      Value two = arith::CmpIOp::create(mb, arith::CmpIPredicate::ugt, left, indexConstant(mb, kTileRows));
      auto with = [&](int64_t rowTiles) {
        return [&, rowTiles](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          multiply(ib, panel, block, rowTiles, columnTiles);
          scf::YieldOp::create(ib);
        };
      };
      scf::IfOp::create(mb, two, with(2), with(1));
      Value last = arith::MinUIOp::create(mb, plus(mb, m, 2 * kTileRows), end);
      finish(mb, m, last, panel, width);
    });
  }

  void emit(ImplicitLocOpBuilder &b) {
    zero = indexConstant(b, 0);
    one = indexConstant(b, 1);
    rows = dimOf(b, x, 0);
    int64_t panelCount = llvm::divideCeil(columns, kPanel), lastWidth = columns - (panelCount - 1) * kPanel;
    Value threads = ThreadsOp::create(b, b.getIndexType());
    auto scratch = [&](std::initializer_list<int64_t> shape, Type element) -> Value {
      return memref::AllocOp::create(b, MemRefType::get(shape, element), ValueRange(threads));
    };
    tiles = scratch({ShapedType::kDynamic, kChunkRows / kTileRows, steps, kTileRows, tileDepth},
                    bytes ? Type(b.getI8Type()) : Type(b.getBF16Type()));
    sums = scratch({ShapedType::kDynamic, 2 * kTileRows, kPanel}, vectorType.getElementType());
    Value panels = indexConstant(b, panelCount), chunkRows = indexConstant(b, kChunkRows);
    Value count = arith::MulIOp::create(b, ceilDiv(b, rows, chunkRows), panels);
    Value cost = arith::MulIOp::create(b, arith::MinUIOp::create(b, rows, chunkRows),
                                       indexConstant(b, 2 * depth * kPanel));
    ParallelOp::create(
        b, kernelName("matmul", op.getLoc()), count, grainFor(b, cost, kFlopsPerThread),
        [&](OpBuilder &o, Location l, ValueRange range) {
          ImplicitLocOpBuilder pb(l, o);
          thread = range[2];
          zeros = memref::AllocaOp::create(pb, MemRefType::get({4 * kRowBytes}, b.getI8Type()), b.getI64IntegerAttr(kRowBytes));
          auto line = VectorType::get({kRowBytes}, b.getI8Type());
          for (int64_t i = 0; i < 4; ++i)
            vector::StoreOp::create(pb, arith::ConstantOp::create(pb, b.getZeroAttr(line)), zeros, ValueRange(indexConstant(pb, i * kRowBytes)));
          Value firstChunk = arith::DivUIOp::create(pb, range[0], panels), lastTask = arith::SubIOp::create(pb, range[1], one);
          Value lastChunk = arith::DivUIOp::create(pb, lastTask, panels);
          loop(pb, firstChunk, plus(pb, lastChunk, 1), 1, [&](ImplicitLocOpBuilder &cb, Value chunk) {
            Value begin = arith::MulIOp::create(cb, chunk, chunkRows);
            Value end = arith::MinUIOp::create(cb, arith::AddIOp::create(cb, begin, chunkRows), rows);
            convert(cb, begin, end);
            // The panels of this chunk that are this thread's.
            Value base = arith::MulIOp::create(cb, chunk, panels);
            Value from = arith::SubIOp::create(cb, arith::MaxUIOp::create(cb, range[0], base), base);
            Value to = arith::MinUIOp::create(cb, arith::SubIOp::create(cb, range[1], base), panels);
            Value whole = lastWidth == kPanel ? to : Value(arith::MinUIOp::create(cb, to, indexConstant(cb, panelCount - 1)));
            loop(cb, from, whole, 1, [&](ImplicitLocOpBuilder &nb, Value panel) { panelOf(nb, panel, begin, end, kPanel); });
            if (lastWidth != kPanel)
              loop(cb, arith::MaxUIOp::create(cb, from, whole), to, 1,
                   [&](ImplicitLocOpBuilder &nb, Value panel) { panelOf(nb, panel, begin, end, lastWidth); });
          });
        });
  }
};

} // namespace

LogicalResult sq::lowerAmxMatmul(RewriterBase &rewriter, PackedMatmulOp op, const TiledTarget &target) {
  auto outType = cast<MemRefType>(op.getOuts().getType());
  auto weightType = cast<MemRefType>(op.getWeight().getType());
  bool bytes = op.isOfBytes();
  if (!outType.getLayout().isIdentity() ||
      (!bytes && (!outType.getElementType().isF32() || !cast<MemRefType>(op.getX().getType()).getElementType().isF32())))
    return op.emitOpError("needs f32 operands, or bytes, and a dense result, got ") << outType;
  if ((!bytes && weightType.getDimSize(2) != kPanel) || target.lanes != kTileRows)
    return op.emitOpError("needs a weight in panels of ") << kPanel << " columns, got " << weightType;
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  Value x = asRows(b, denseMemref(b, op.getX()));
  int64_t depth = cast<MemRefType>(x.getType()).getDimSize(1);
  Emitter e{EpilogueEmitter(b, op, target), x, op.getWeight(), depth, outType.getShape().back(), bytes};
  e.emit(b);
  rewriter.eraseOp(op);
  return success();
}
