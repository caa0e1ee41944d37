/// The inner loops of products by codes: a row of the weight by a few rows of
/// x.
#ifndef SQ_CODEGEN_HOST_CODEDMATMUL_H
#define SQ_CODEGEN_HOST_CODEDMATMUL_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "codegen/host/HostTarget.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {

/// Codes on a grid per group of inputs (`sq.grouped_matmul`).
struct CodedGroups {
  int64_t size = 0; // inputs; at least k: all of them; 0: there are tables
  int64_t stored = 0, zeroPoint = 0;
  mlir::Value scales, offsets; // [n, stored]; the latter may be null
  mlir::Value sums; // of x (bytes: rounded) in each group, f32 [rows, stored];
                    // null where nothing is added to codes
};

/// How wide groups are, and how many of them a row of sums has.
using GroupShape = std::pair<int64_t, int64_t>;

/// Emits sums of rows of a weight of codes, `op` being of such a weight.
struct CodedRows {
  const TiledTarget &target;
  int64_t bits, depth;                     // of a code; k
  bool bytes;                              // products of bytes
  mlir::Value x;                           // f32 [rows, k]
  mlir::Value codes, table;                // as sq.packed_matmul has them
  mlir::Value tableScale, rowPtr, entries; // may be null
  mlir::Value rounded, roundedScale; // bytes: i8 [rows, k padded to blocks];
                                     // f32 [rows, 2], scale and sum of q
  CodedGroups groups;
  mlir::Value transposed; // bytes, many rows and a sparse matrix: x as f32 [k,
                          // rows padded to blocks]; may be null

  /// `x` is [rows, k].
  CodedRows(mlir::ImplicitLocOpBuilder &b, PackedMatmulOp op,
            const TiledTarget &target, mlir::Value x);

  /// Vectors of codes of row n and `block` from lane `lane` on: one or, of 3
  /// bits, three.
  llvm::SmallVector<mlir::Value> words(mlir::ImplicitLocOpBuilder &b,
                                       mlir::Value n, mlir::Value block,
                                       int64_t lane);
  /// Sums of row n for each of `rows`, vectors of `sumType`: `add` adds the
  /// first `left` codes of a block to `sums`, several for each of `rows`.
  llvm::SmallVector<mlir::Value>
  overBlocks(mlir::ImplicitLocOpBuilder &b, mlir::Value n,
             llvm::ArrayRef<mlir::Value> rows, mlir::VectorType sumType,
             llvm::function_ref<void(mlir::ImplicitLocOpBuilder &,
                                     mlir::Value block, int64_t left,
                                     llvm::SmallVectorImpl<mlir::Value> &sums)>
                 add);
  /// A vector of codes, of what is looked up, and of sums.
  mlir::VectorType codeType(mlir::ImplicitLocOpBuilder &b);
  mlir::VectorType sumType(mlir::ImplicitLocOpBuilder &b);

  /// Before the kernel, with products of bytes: one that rounds the rows of x,
  /// and adds up groups of them to a memref for each of `shapes`.
  llvm::SmallVector<mlir::Value> roundInput(mlir::ImplicitLocOpBuilder &b,
                                            mlir::StringRef name,
                                            llvm::ArrayRef<GroupShape> shapes);

  /// Likewise in floats, where sums of groups are needed.
  void sumInput(mlir::ImplicitLocOpBuilder &b, mlir::StringRef name);

  /// Whether sums of groups of x are needed.
  bool needsSums() const {
    return groups.size && (groups.offsets || (bytes && groups.zeroPoint));
  }
  GroupShape groupShape() const { return {groups.size, groups.stored}; }

  /// Likewise one that transposes x, which does nothing if `isFew`.
  void transposeInput(mlir::ImplicitLocOpBuilder &b, mlir::StringRef name,
                      mlir::Value isFew);

  /// sum_k x[row, k] w[n, k] for each of `rows`, as scalars.
  llvm::SmallVector<mlir::Value> sums(mlir::ImplicitLocOpBuilder &b,
                                      mlir::Value n,
                                      llvm::ArrayRef<mlir::Value> rows);

  /// In groups, a code stands for this and its level: floats, that levels are
  /// small; 0 where they are the codes.
  int64_t levelOfZero() const {
    return bytes            ? 0
           : groups.offsets ? int64_t(1) << (bits - 1)
                            : groups.zeroPoint;
  }
  /// Groups of a block; 1 where they are longer.
  int64_t groupsOfBlock() const;
  /// The number of the first group of a block.
  mlir::Value firstGroup(mlir::ImplicitLocOpBuilder &b, mlir::Value block);
  /// Scales of groups [group, group + count) of row n as f32, one as a number.
  mlir::Value scalesAt(mlir::ImplicitLocOpBuilder &b, mlir::Value n,
                       mlir::Value group, int64_t count);
  /// What is added to the scaled levels of these groups, whose scales are
  /// `scale`: null where nothing is.
  mlir::Value offsetsAt(mlir::ImplicitLocOpBuilder &b, mlir::Value n,
                        mlir::Value group, mlir::Value scale);

  /// Adds what the sparse matrix has of row n.
  void addSparse(mlir::ImplicitLocOpBuilder &b, mlir::Value n,
                 llvm::ArrayRef<mlir::Value> rows,
                 llvm::SmallVectorImpl<mlir::Value> &sums);

  /// The first entry of row n, and the one after its last.
  std::pair<mlir::Value, mlir::Value> entriesOf(mlir::ImplicitLocOpBuilder &b,
                                                mlir::Value n);
  /// Column and value of entry `e`.
  std::pair<mlir::Value, mlir::Value> entryAt(mlir::ImplicitLocOpBuilder &b,
                                              mlir::Value e);

private:
  /// Fetches what comes some blocks later.
  void fetchCodes(mlir::ImplicitLocOpBuilder &b, mlir::Value n,
                  mlir::Value block);
  std::pair<mlir::Value, mlir::Value>
  entriesAt(mlir::ImplicitLocOpBuilder &b, mlir::Value e, mlir::Value mask);
  void fetchRow(mlir::ImplicitLocOpBuilder &b, mlir::Value n);
  void sumGroups(mlir::ImplicitLocOpBuilder &b, mlir::Value row,
                 GroupShape shape, mlir::Value to);
  llvm::SmallVector<mlir::Value> groupedSums(mlir::ImplicitLocOpBuilder &b,
                                             mlir::Value n,
                                             llvm::ArrayRef<mlir::Value> rows);
  llvm::SmallVector<mlir::Value> floatSums(mlir::ImplicitLocOpBuilder &b,
                                           mlir::Value n,
                                           llvm::ArrayRef<mlir::Value> rows);
  llvm::SmallVector<mlir::Value> byteSums(mlir::ImplicitLocOpBuilder &b,
                                          mlir::Value n,
                                          llvm::ArrayRef<mlir::Value> rows);
};

/// The sum of a vector's lanes, as a tree: in order it would be a chain of
/// additions.
mlir::Value sumOfLanes(mlir::ImplicitLocOpBuilder &b, mlir::Value sum);

/// The other way, for many rows of x: columns of the result are decoded to a
/// panel, which a contraction tile multiplies. A thread has one panel, [k][48]
/// of f32, or [k / 4][48] of fours of bytes.
struct CodedPanels {
  /// Of x, whose sums wait in L1 for the epilogue.
  static constexpr int64_t kBlockRows = 64;

  CodedRows &coded;
  int64_t columns; // of the result
  int64_t units;   // rows of a panel: of k, or fours of k
  // Memory of all threads; of sums [threads][kBlockRows][48], and with columns
  // before rows.
  mlir::Value panel, blockRows, scales, sums, tileSums, columnSums;
  // Of groups of bytes: [threads][groups][48].
  mlir::Value groupScales, groupOffsets;
  mlir::Value thread = {}, zeros = {};

  CodedPanels(mlir::ImplicitLocOpBuilder &b, CodedRows &coded, int64_t columns);

  /// Fills the panel with columns [n, n + 48), the last one again where there
  /// are no more.
  void decode(mlir::ImplicitLocOpBuilder &b, mlir::Value n);

  /// Once, where the kernel begins.
  void prepare(mlir::ImplicitLocOpBuilder &b);

  /// Leaves the sums of rows [first, first + count), at most kBlockRows, and
  /// the panel in `sums`. `width` columns exist.
  void multiply(mlir::ImplicitLocOpBuilder &b, mlir::Value n, int64_t width,
                mlir::Value first, mlir::Value count);

private:
  bool onTiles() const {
    return coded.bytes && !coded.groups.size && coded.target.amx;
  }
  void decodeGroups(mlir::ImplicitLocOpBuilder &b, mlir::Value n);
  mlir::Value ofGroup(mlir::ImplicitLocOpBuilder &b, mlir::Value weights,
                      mlir::Value n, mlir::Value block, int64_t from);
  llvm::SmallVector<mlir::Value>
  multiplyGroups(mlir::ImplicitLocOpBuilder &b,
                 llvm::ArrayRef<mlir::Value> rows, int64_t sub,
                 int64_t vectors);
  void multiplyTiles(mlir::ImplicitLocOpBuilder &b, mlir::Value x,
                     mlir::Value row, int64_t column, int64_t tiles);
  void multiplyInRegisters(mlir::ImplicitLocOpBuilder &b, mlir::Value first,
                           int64_t width, llvm::ArrayRef<mlir::Value> rows);
  void storeSum(mlir::ImplicitLocOpBuilder &b, mlir::Value sum, mlir::Value x,
                mlir::Value row, mlir::Value column);
  void transposeSums(mlir::ImplicitLocOpBuilder &b, mlir::Value from,
                     mlir::Value to, mlir::Value rows, mlir::Value columns);
  void addSparse(mlir::ImplicitLocOpBuilder &b, mlir::Value n, int64_t width,
                 mlir::Value first, mlir::Value count);
  void decodeBlock(mlir::ImplicitLocOpBuilder &b, mlir::Value n,
                   mlir::Value last, mlir::Value block);
  void transpose(mlir::ImplicitLocOpBuilder &b, mlir::Value column,
                 mlir::Value block);
  void scatterSparse(mlir::ImplicitLocOpBuilder &b, mlir::Value n,
                     mlir::Value column);
};

/// What a register holds of the table of a row, and how codes are looked up in
/// it.
struct TableLookup {
  const TiledTarget &target;
  int64_t bits;
  bool bytes;
  mlir::Value low, high; // high: entries 8 to 15 where a register takes 8;
                         // null: codes are what they stand for

  /// Loads row n.
  TableLookup(mlir::ImplicitLocOpBuilder &b, const TiledTarget &target,
              int64_t bits, bool bytes, mlir::Value table, mlir::Value n);

  /// Of codes in groups: bytes are the codes themselves, floats how far they
  /// are from the level that stands for 0.
  TableLookup(mlir::ImplicitLocOpBuilder &b, CodedRows &coded);

  /// Whichever the rows have.
  static TableLookup ofRow(mlir::ImplicitLocOpBuilder &b, CodedRows &coded,
                           mlir::Value n);

  /// Weights of step `s` of a block, from its vectors of codes, one or three:
  /// lanes [16 s + first lane, ...) of the block as f32, or with bytes 4 times
  /// as many.
  mlir::Value weights(mlir::ImplicitLocOpBuilder &b,
                      llvm::ArrayRef<mlir::Value> words, int64_t s);

private:
  mlir::Value call(mlir::ImplicitLocOpBuilder &b, mlir::Type type,
                   llvm::StringRef name, mlir::ValueRange args);
  mlir::Value splat(mlir::ImplicitLocOpBuilder &b, mlir::Type type,
                    int64_t value);
  mlir::Value shifted(mlir::ImplicitLocOpBuilder &b, mlir::Value v, int64_t by);
  mlir::Value byteWeights(mlir::ImplicitLocOpBuilder &b,
                          llvm::ArrayRef<mlir::Value> words, int64_t s);
};

} // namespace sq

#endif
