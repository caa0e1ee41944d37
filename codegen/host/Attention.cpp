//===-- Attention.cpp - scaled dot-product attention as one kernel ------------===//
//
// Lanes are queries (of all heads that share keys and values: a row of lanes is a
// pair of place and head): a block of them is transposed once, then the scores
// S^T = K Q^T and the result O^T += V^T P^T are both the contraction tile, and
// softmax runs down the keys without a horizontal operation
// (specs/host-codegen.md, section 9.4). Keys come in tiles that stay in L1, with
// the running maximum and sum of online softmax (Milakov and Gimelshein 2018;
// Dao et al. 2022): nothing grows with the number of keys. Causal blocks stop at
// the last key that one of their queries sees.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/common/ContractionTile.h"
#include "codegen/common/Transpose.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kFlopsPerThread = 1 << 20;

/// What sq.attention and sq.kv_attend have in common, and how they differ.
struct Operands {
  Value q, k, v, mask, out; // mask: null without
  FloatAttr scale;
  bool causal;
  Value cos, sin; // that turn the queries, [1 or b, s, d or d / 2]; null without
  Value lengths; // of a cache: the places in use before the queries, by row of the batch; else null
};

struct Emitter : Operands {
  Location loc;
  const TiledTarget &target;
  int64_t blockVectors; // of queries in a block, at most
  Value queries, keys, heads, size; // S * group, T, H / group, D
  Value past; // T - S, or what the row of the batch has in its cache
  int64_t group; // heads that share keys and values
  bool maskPerQuery;
  VectorType vectorType;
  Value scratch; // [threads][rows][blockVectors * lanes]
  // Rows of the scratch memory: queries [D], result [D], scores [target.tiles.keys],
  // mask [target.tiles.keys]; D rounded up to whole vectors.
  Value resultRows, scoreRows, maskRows;

  // One task.
  Value batch, first, valid, thread, zero;
  SmallVector<Value> lastSeen; // causal: the last key that each query of the block sees, i32

  Emitter(Location loc, const Operands &operands, const TiledTarget &target)
      : Operands(operands), loc(loc), target(target), blockVectors(target.lanes == 16 ? 4 : 2),
        group(cast<MemRefType>(q.getType()).getDimSize(2) / cast<MemRefType>(k.getType()).getDimSize(2)) {
    auto maskDim = [&](int64_t dim) { return cast<MemRefType>(mask.getType()).getDimSize(dim); };
    maskPerQuery = mask && (maskDim(2) != 1 || (maskDim(1) != 1 && group > 1));
  }

  /// Place and head of row `j` of the queries that share head `head` of the keys.
  std::pair<Value, Value> placeOf(ImplicitLocOpBuilder &b, Value j, Value head) {
    if (group == 1)
      return {j, head};
    Value each = indexConstant(b, group);
    return {arith::DivUIOp::create(b, j, each),
            arith::AddIOp::create(b, arith::MulIOp::create(b, head, each), arith::RemUIOp::create(b, j, each))};
  }

  /// Rows of a tile of so many vectors: what the registers hold.
  int64_t tileRows(int64_t vectors) const {
    return std::min<int64_t>(target.tiles.rows * target.tiles.vectors / vectors, 12);
  }

  Value splat(ImplicitLocOpBuilder &b, float value) {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(vectorType, value));
  }
  Value scratchLoad(ImplicitLocOpBuilder &b, Value row, int64_t vec) {
    return vector::LoadOp::create(b, vectorType, scratch,
                                  ValueRange{thread, row, indexConstant(b, vec * target.lanes)});
  }
  void scratchStore(ImplicitLocOpBuilder &b, Value value, Value row, int64_t vec) {
    vector::StoreOp::create(b, value, scratch,
                            ValueRange{thread, row, indexConstant(b, vec * target.lanes)});
  }
  Value at(ImplicitLocOpBuilder &b, Value base, Value row) {
    return b.createOrFold<arith::AddIOp>(base, row);
  }
  Value maskIndex(int64_t dim, Value index) {
    return cast<MemRefType>(mask.getType()).getDimSize(dim) == 1 ? zero : index;
  }
  /// Lanes of a vector at `from` of a dim with `extent`; null when all exist.
  Value lanesLeft(ImplicitLocOpBuilder &b, Value extent, Value from) {
    if (auto constant = extent.getDefiningOp<arith::ConstantIndexOp>())
      if (constant.value() % target.lanes == 0)
        return Value();
    return vector::CreateMaskOp::create(
        b, VectorType::get({target.lanes}, b.getI1Type()),
        ValueRange(arith::SubIOp::create(b, extent, from)));
  }

  /// Fetches the columns of a head at `indices` to L2. Rows of one head lie far
  /// apart, so the hardware does not foresee the next head, or what will be
  /// written.
  void prefetchHead(ImplicitLocOpBuilder &b, Value memref, ArrayRef<Value> token, Value head, bool write) {
    constexpr int64_t kLine = 16, kMostLines = 8; // floats of a cache line
    auto constant = size.getDefiningOp<arith::ConstantIndexOp>();
    int64_t lines = constant ? llvm::divideCeil(constant.value(), kLine) : 2;
    for (int64_t line = 0; line < std::min(lines, kMostLines); ++line)
      memref::PrefetchOp::create(b, memref,
                                 ValueRange{token[0], token[1], head, indexConstant(b, line * kLine)},
                                 write, /*localityHint=*/2, /*isDataCache=*/true);
  }

  /// A vector of `source`, 0 where `lanesMask`, if there is one, has no lane.
  Value load(ImplicitLocOpBuilder &b, Value source, ValueRange indices, Value lanesMask) {
    if (!lanesMask)
      return vector::LoadOp::create(b, vectorType, source, indices);
    return vector::MaskedLoadOp::create(b, vectorType, source, indices, lanesMask, splat(b, 0.0f));
  }

  /// Vectors of the queries of the block (`load` of each), transposed into the
  /// scratch rows at `row`. Lanes past the last query repeat it: what they
  /// compute is never written.
  void transposeIn(ImplicitLocOpBuilder &b, Value row, int64_t vec, function_ref<Value(Value j)> load) {
    SmallVector<Value> block;
    Value last = arith::SubIOp::create(b, valid, indexConstant(b, 1));
    for (int64_t r = 0; r < target.lanes; ++r) {
      Value j = arith::MinUIOp::create(b, indexConstant(b, vec * target.lanes + r), last);
      block.push_back(load(arith::AddIOp::create(b, first, j)));
    }
    emitTranspose(b, block);
    for (int64_t r = 0; r < target.lanes; ++r)
      scratchStore(b, block[r], plus(b, row, r), vec);
  }

  /// Elements [d, d + lanes) of a query that cos and sin turn, all of them in one half of it: x cos - y sin in the
  /// first, x cos + y sin in the second, y being what lies as far in the other one.
  Value turned(ImplicitLocOpBuilder &b, Value s, Value h, Value d, bool isSecond, Value lanesMask) {
    auto angles = cast<MemRefType>(cos.getType());
    const int64_t all = cast<MemRefType>(q.getType()).getDimSize(3), half = all / 2;
    Value angle = isSecond && angles.getDimSize(2) != all ? plus(b, d, -half) : d;
    SmallVector<Value> at = {angles.getDimSize(0) == 1 ? zero : batch, s, angle};
    Value other = plus(b, d, isSecond ? -half : half);
    Value x = arith::MulFOp::create(b, load(b, q, {batch, s, h, d}, lanesMask), load(b, cos, at, lanesMask));
    Value y = arith::MulFOp::create(b, load(b, q, {batch, s, h, other}, lanesMask), load(b, sin, at, lanesMask));
    return isSecond ? Value(arith::AddFOp::create(b, x, y)) : Value(arith::SubFOp::create(b, x, y));
  }

  /// Elements of queries, from `begin` to `end`, into the rows of scratch memory that begin at `begin`.
  void packElements(ImplicitLocOpBuilder &b, int64_t vectors, Value head, Value begin, Value end, bool isSecond) {
    Value factor = vector::BroadcastOp::create(b, vectorType, arith::ConstantOp::create(b, scale));
    Value extent = b.createOrFold<arith::SubIOp>(end, begin);
    loop(b, begin, end, target.lanes, [&](ImplicitLocOpBuilder &db, Value d) {
      Value lanesMask = lanesLeft(db, extent, db.createOrFold<arith::SubIOp>(d, begin));
      for (int64_t vec = 0; vec < vectors; ++vec)
        transposeIn(db, d, vec, [&](Value j) -> Value {
          auto [s, h] = placeOf(db, j, head);
          Value value = cos ? turned(db, s, h, d, isSecond, lanesMask) : load(db, q, {batch, s, h, d}, lanesMask);
          return arith::MulFOp::create(db, value, factor);
        });
    });
  }

  void packQueries(ImplicitLocOpBuilder &b, int64_t vectors, Value head) {
    if (cos) {
      // The second half last: the first one writes whole vectors of rows, which may reach into it.
      Value half = indexConstant(b, cast<MemRefType>(q.getType()).getDimSize(3) / 2);
      packElements(b, vectors, head, zero, half, /*isSecond=*/false);
      packElements(b, vectors, head, half, size, /*isSecond=*/true);
    } else {
      packElements(b, vectors, head, zero, size, /*isSecond=*/false);
    }
    loop(b, zero, size, 1, [&](ImplicitLocOpBuilder &db, Value d) {
      for (int64_t vec = 0; vec < vectors; ++vec)
        scratchStore(db, splat(db, 0.0f), at(db, resultRows, d), vec);
    });
    Value next = plus(b, head, 1);
    loop(b, zero, valid, 1, [&](ImplicitLocOpBuilder &jb, Value j) {
      auto [s, h] = placeOf(jb, arith::AddIOp::create(jb, first, j), head);
      prefetchHead(jb, q, {batch, s}, placeOf(jb, arith::AddIOp::create(jb, first, j), next).second, /*write=*/false);
      prefetchHead(jb, out, {batch, s}, h, /*write=*/true);
    });
  }

  void transposeMask(ImplicitLocOpBuilder &b, int64_t vectors, Value head, Value t0, Value count) {
    Value batchIndex = maskIndex(0, batch);
    loop(b, zero, count, target.lanes, [&](ImplicitLocOpBuilder &tb, Value t) {
      Value key = arith::AddIOp::create(tb, t0, t);
      Value lanesMask = lanesLeft(tb, keys, key);
      for (int64_t vec = 0; vec < vectors; ++vec)
        transposeIn(tb, at(tb, maskRows, t), vec, [&](Value j) {
          auto [s, h] = placeOf(tb, j, head);
          return load(tb, mask, {batchIndex, maskIndex(1, h), maskIndex(2, s), key}, lanesMask);
        });
    });
  }

  /// Scores of keys [t0, t0 + count), with the mask.
  void scores(ImplicitLocOpBuilder &b, int64_t vectors, Value head, Value t0, Value count) {
    emitRowTiles(b, zero, count, tileRows(vectors), [&](ImplicitLocOpBuilder &tb, ArrayRef<Value> row) {
      int64_t rows = row.size();
      SmallVector<Value> key;
      for (Value r : row)
        key.push_back(arith::AddIOp::create(tb, t0, r));
      Value next = plus(tb, head, 1);
      for (Value t : key) {
        prefetchHead(tb, k, {batch, t}, next, /*write=*/false);
        prefetchHead(tb, v, {batch, t}, next, /*write=*/false);
      }
      auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value d) -> Value {
        return memref::LoadOp::create(ib, k, ValueRange{batch, key[r], head, d});
      };
      auto rhs = [&](ImplicitLocOpBuilder &ib, Value d, int64_t vec) -> Value {
        return scratchLoad(ib, d, vec);
      };
      ContractionTile tile{rows, vectors, vectorType, size, lhs, rhs};
      SmallVector<Value> sums = emitContractionTile(tb, tile);
      for (int64_t r = 0; r < rows; ++r) {
        Value shared;
        if (mask && !maskPerQuery) {
          Value m = memref::LoadOp::create(
              tb, mask, ValueRange{maskIndex(0, batch), maskIndex(1, head), zero, key[r]}); // its head: group is 1
          shared = vector::BroadcastOp::create(tb, vectorType, m);
        }
        for (int64_t vec = 0; vec < vectors; ++vec) {
          Value sum = sums[r * vectors + vec];
          Value add = shared         ? shared
                      : maskPerQuery ? scratchLoad(tb, at(tb, maskRows, row[r]), vec)
                                     : Value();
          if (add)
            sum = arith::AddFOp::create(tb, sum, add);
          if (causal) {
            Value t = arith::IndexCastOp::create(tb, tb.getI32Type(), key[r]);
            Value isSeen = arith::CmpIOp::create(tb, arith::CmpIPredicate::sge, lastSeen[vec],
                                                 vector::BroadcastOp::create(tb, lastSeen[vec].getType(), t));
            sum = arith::SelectOp::create(tb, isSeen, sum, splat(tb, -std::numeric_limits<float>::infinity()));
          }
          scratchStore(tb, sum, at(tb, scoreRows, row[r]), vec);
        }
      }
    });
  }

  /// Scores to exponentials, against the running maxima; returns the new
  /// maxima and sums and, third, what earlier sums and results are worth now.
  SmallVector<Value> softmax(ImplicitLocOpBuilder &b, int64_t vectors, Value count,
                             ValueRange running) {
    Value one = indexConstant(b, 1), lowest = splat(b, -std::numeric_limits<float>::infinity());
    auto most = scf::ForOp::create(
        b, zero, count, one, running.take_front(vectors),
        [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          SmallVector<Value> next;
          for (int64_t vec = 0; vec < vectors; ++vec) {
            // One instruction, unlike maximumf: a NaN is left to the exponential.
            Value score = scratchLoad(ib, at(ib, scoreRows, t), vec);
            Value more = arith::CmpFOp::create(ib, arith::CmpFPredicate::OGT, score, acc[vec]);
            next.push_back(arith::SelectOp::create(ib, more, score, acc[vec]));
          }
          scf::YieldOp::create(ib, next);
        });
    SmallVector<Value> shift, worth, sums;
    for (int64_t vec = 0; vec < vectors; ++vec) {
      // As long as all keys are masked by -inf, their exponentials are 0, not NaN.
      Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, most.getResult(vec), lowest);
      shift.push_back(arith::SelectOp::create(b, none, splat(b, 0.0f), most.getResult(vec)));
      worth.push_back(math::ExpOp::create(b, arith::SubFOp::create(b, running[vec], shift[vec])));
      sums.push_back(arith::MulFOp::create(b, running[vectors + vec], worth[vec]));
    }
    auto total = scf::ForOp::create(
        b, zero, count, one, sums, [&](OpBuilder &o, Location l, Value t, ValueRange acc) {
          ImplicitLocOpBuilder ib(l, o);
          SmallVector<Value> next;
          for (int64_t vec = 0; vec < vectors; ++vec) {
            Value row = at(ib, scoreRows, t);
            Value e = math::ExpOp::create(ib, arith::SubFOp::create(ib, scratchLoad(ib, row, vec),
                                                                    shift[vec]));
            scratchStore(ib, e, row, vec);
            next.push_back(arith::AddFOp::create(ib, acc[vec], e));
          }
          scf::YieldOp::create(ib, next);
        });
    SmallVector<Value> result(most.getResults());
    llvm::append_range(result, total.getResults());
    llvm::append_range(result, worth);
    return result;
  }

  /// result = result * worth + V^T P^T for keys [t0, t0 + count).
  void values(ImplicitLocOpBuilder &b, int64_t vectors, Value head, Value t0, Value count,
              ValueRange worth) {
    emitRowTiles(b, zero, size, tileRows(vectors), [&](ImplicitLocOpBuilder &tb, ArrayRef<Value> row) {
      int64_t rows = row.size();
      SmallVector<Value> init;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t vec = 0; vec < vectors; ++vec)
          init.push_back(arith::MulFOp::create(
              tb, scratchLoad(tb, at(tb, resultRows, row[r]), vec), worth[vec]));
      auto lhs = [&](ImplicitLocOpBuilder &ib, int64_t r, Value t) -> Value {
        return memref::LoadOp::create(
            ib, v, ValueRange{batch, arith::AddIOp::create(ib, t0, t), head, row[r]});
      };
      auto rhs = [&](ImplicitLocOpBuilder &ib, Value t, int64_t vec) -> Value {
        return scratchLoad(ib, at(ib, scoreRows, t), vec);
      };
      ContractionTile tile{rows, vectors, vectorType, count, lhs, rhs};
      tile.init = init;
      SmallVector<Value> sums = emitContractionTile(tb, tile);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t vec = 0; vec < vectors; ++vec)
          scratchStore(tb, sums[r * vectors + vec], at(tb, resultRows, row[r]), vec);
    });
  }

  void writeResult(ImplicitLocOpBuilder &b, int64_t vectors, Value head, ValueRange sums) {
    SmallVector<Value> inverse;
    for (Value sum : sums)
      inverse.push_back(arith::DivFOp::create(b, splat(b, 1.0f), sum));
    loop(b, zero, size, target.lanes, [&](ImplicitLocOpBuilder &db, Value d) {
      Value lanesMask = lanesLeft(db, size, d);
      for (int64_t vec = 0; vec < vectors; ++vec) {
        SmallVector<Value> block;
        for (int64_t r = 0; r < target.lanes; ++r)
          block.push_back(arith::MulFOp::create(
              db, scratchLoad(db, at(db, resultRows, plus(db, d, r)), vec), inverse[vec]));
        emitTranspose(db, block);
        writeRows(db, block, vec, head, d, lanesMask);
      }
    });
  }

  /// Vector r of `rows` is columns [d, d + lanes) of query vec * lanes + r.
  void writeRows(ImplicitLocOpBuilder &b, ArrayRef<Value> rows, int64_t vec, Value head, Value d,
                 Value lanesMask) {
    auto write = [&](ImplicitLocOpBuilder &ib, int64_t r) {
      auto [s, h] = placeOf(ib, plus(ib, first, vec * target.lanes + r), head);
      if (lanesMask)
        vector::MaskedStoreOp::create(ib, out, ValueRange{batch, s, h, d}, lanesMask, rows[r]);
      else
        vector::StoreOp::create(ib, rows[r], out, ValueRange{batch, s, h, d});
    };
    auto exist = [&](ImplicitLocOpBuilder &ib, int64_t count) -> Value {
      return arith::CmpIOp::create(ib, arith::CmpIPredicate::uge, valid, indexConstant(ib, count));
    };
    scf::IfOp::create(
        b, exist(b, (vec + 1) * target.lanes),
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          for (int64_t r = 0; r < target.lanes; ++r)
            write(ib, r);
          scf::YieldOp::create(ib);
        },
        [&](OpBuilder &o, Location l) {
          ImplicitLocOpBuilder ib(l, o);
          for (int64_t r = 0; r < target.lanes; ++r)
            scf::IfOp::create(ib, exist(ib, vec * target.lanes + r + 1), [&](OpBuilder &ro, Location rl) {
              ImplicitLocOpBuilder rb(rl, ro);
              write(rb, r);
              scf::YieldOp::create(rb);
            });
          scf::YieldOp::create(ib);
        });
  }

  Value lengthOf(ImplicitLocOpBuilder &b, Value row) {
    return arith::IndexCastOp::create(b, b.getIndexType(), memref::LoadOp::create(b, lengths, row));
  }

  /// Sets `lastSeen`; returns the number of keys that queries of the block see.
  Value seenKeys(ImplicitLocOpBuilder &b, int64_t vectors) {
    if (!causal)
      return keys;
    auto type = VectorType::get({target.lanes}, b.getI32Type());
    auto splatOf = [&](Value v) -> Value {
      return vector::BroadcastOp::create(b, type, arith::IndexCastOp::create(b, b.getI32Type(), v));
    };
    lastSeen.clear();
    SmallVector<int32_t> lane = llvm::to_vector(llvm::seq<int32_t>(0, target.lanes));
    for (int64_t vec = 0; vec < vectors; ++vec) {
      Value j = arith::AddIOp::create(b, splatOf(plus(b, first, vec * target.lanes)),
                                      arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef(lane))));
      if (group > 1)
        j = arith::DivUIOp::create(b, j, splatOf(indexConstant(b, group)));
      lastSeen.push_back(arith::AddIOp::create(b, j, splatOf(past)));
    }
    Value last = arith::AddIOp::create(b, first, plus(b, valid, -1));
    return arith::MinSIOp::create(b, keys, plus(b, arith::AddIOp::create(b, placeOf(b, last, zero).first, past), 1));
  }

  /// A block of queries and one head of the keys.
  void attend(ImplicitLocOpBuilder &b, int64_t vectors, Value head) {
    packQueries(b, vectors, head);
    Value seen = seenKeys(b, vectors);
    SmallVector<Value> init(vectors, splat(b, -std::numeric_limits<float>::infinity()));
    init.append(vectors, splat(b, 0.0f));
    Value tileSize = indexConstant(b, target.tiles.keys);
    auto tiles = scf::ForOp::create(
        b, zero, seen, tileSize, init, [&](OpBuilder &o, Location l, Value t0, ValueRange running) {
          ImplicitLocOpBuilder tb(l, o);
          Value count = arith::MinUIOp::create(tb, tileSize, arith::SubIOp::create(tb, seen, t0));
          if (maskPerQuery)
            transposeMask(tb, vectors, head, t0, count);
          scores(tb, vectors, head, t0, count);
          SmallVector<Value> next = softmax(tb, vectors, count, running);
          ValueRange worth = ValueRange(next).drop_front(2 * vectors);
          values(tb, vectors, head, t0, count, worth);
          scf::YieldOp::create(tb, ValueRange(next).take_front(2 * vectors));
        });
    writeResult(b, vectors, head, tiles.getResults().drop_front(vectors));
  }

  void emit(ImplicitLocOpBuilder &b) {
    zero = indexConstant(b, 0);
    Value perBlock = indexConstant(b, blockVectors * target.lanes), lanes = indexConstant(b, target.lanes);
    resultRows = arith::MulIOp::create(b, ceilDiv(b, size, lanes), lanes);
    scoreRows = arith::AddIOp::create(b, resultRows, resultRows);
    maskRows = plus(b, scoreRows, target.tiles.keys);
    Value rows = maskPerQuery ? plus(b, maskRows, target.tiles.keys) : maskRows;
    scratch = allocPerThread(b, {rows, b.getIndexAttr(blockVectors * target.lanes)}, b.getF32Type());
    SmallVector<Value> sizes = {dimOf(b, out, 0), heads, ceilDiv(b, queries, perBlock)};
    // Of a cache the first row's length has to speak for all.
    Value seen = lengths ? arith::MinUIOp::create(b, keys, arith::AddIOp::create(b, dimOf(b, q, 1), lengthOf(b, zero))) : keys;
    Value cost = product(b, {seen, size, indexConstant(b, 4 * blockVectors * target.lanes)});
    ParallelOp::create(
        b, kernelName("attention", loc), product(b, sizes),
        grainFor(b, cost, kFlopsPerThread), [&](OpBuilder &o, Location l, ValueRange range) {
          ImplicitLocOpBuilder pb(l, o);
          thread = range[2];
          loop(pb, range[0], range[1], 1, [&](ImplicitLocOpBuilder &ib, Value task) {
            SmallVector<Value> where = delinearize(ib, task, sizes);
            batch = where[0];
            if (lengths)
              past = lengthOf(ib, batch);
            first = arith::MulIOp::create(ib, where[2], perBlock);
            valid = arith::MinUIOp::create(ib, perBlock, arith::SubIOp::create(ib, queries, first));
            Value head = where[1];
            // Powers of two that hold the queries there are.
            Value used = arith::DivUIOp::create(ib, plus(ib, valid, -1), lanes);
            auto choice = scf::IndexSwitchOp::create(ib, TypeRange(), used, {0, 1}, 2);
            auto fill = [&](Region &region, int64_t vectors) {
              OpBuilder::InsertionGuard guard(ib);
              ib.createBlock(&region);
              attend(ib, vectors, head);
              scf::YieldOp::create(ib);
            };
            fill(choice.getCaseRegions()[0], 1);
            fill(choice.getCaseRegions()[1], 2);
            fill(choice.getDefaultRegion(), blockVectors);
          });
        });
  }
};

LogicalResult lower(RewriterBase &rewriter, Operation *op, const Operands &operands, const TiledTarget &target) {
  ImplicitLocOpBuilder b(op->getLoc(), rewriter);
  for (Value v : op->getOperands())
    if (v != operands.lengths && !cast<MemRefType>(v.getType()).getElementType().isF32())
      return op->emitOpError("has no kernel for ") << v.getType() << "; only f32";
  auto headsOf = [](Value v) { return cast<MemRefType>(v.getType()).getDimSize(2); };
  if (headsOf(operands.q) != headsOf(operands.k) &&
      (ShapedType::isDynamic(headsOf(operands.q)) || ShapedType::isDynamic(headsOf(operands.k))))
    return op->emitOpError("has an unknown number of heads; make the head dimension static");
  Emitter e(op->getLoc(), operands, target);
  Value places = dimOf(b, operands.q, 1);
  e.queries = e.group == 1 ? places : Value(arith::MulIOp::create(b, places, indexConstant(b, e.group)));
  e.keys = dimOf(b, operands.k, 1);
  if (!operands.lengths)
    e.past = arith::SubIOp::create(b, e.keys, places);
  e.heads = dimOf(b, operands.k, 2);
  e.size = dimOf(b, operands.q, 3);
  e.vectorType = VectorType::get({target.lanes}, b.getF32Type());
  e.emit(b);
  rewriter.eraseOp(op);
  return success();
}

} // namespace

LogicalResult sq::lowerAttention(RewriterBase &rewriter, AttentionOp op, const TiledTarget &target) {
  return lower(rewriter, op,
               {op.getQ(), op.getK(), op.getV(), op.getMask(), op.getOuts(), op.getScaleAttr(), op.getCausal(),
                Value(), Value(), Value()},
               target);
}

LogicalResult sq::lowerKvAttend(RewriterBase &rewriter, KvAttendOp op, const TiledTarget &target) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  SmallVector<Value> rotary = {Value(), Value()};
  for (auto [i, v] : llvm::enumerate(op.getRotary()))
    rotary[i] = denseMemref(b, v);
  return lower(rewriter, op,
               {op.getQ(), op.getK(), op.getV(), Value(), op.getOuts(), op.getScaleAttr(), /*causal=*/true, rotary[0], rotary[1],
                op.getLengths()},
               target);
}
