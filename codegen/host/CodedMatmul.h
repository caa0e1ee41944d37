/// The inner loops of products by codes: a row of the weight by a few rows of
/// x.
#ifndef SQ_CODEGEN_HOST_CODEDMATMUL_H
#define SQ_CODEGEN_HOST_CODEDMATMUL_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "codegen/host/HostTarget.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {

/// Emits sums of rows of a weight of codes, `op` being of such a weight.
struct CodedRows {
  const TiledTarget &target;
  int64_t bits, depth;                     // of a code; k
  bool bytes;                              // tables of bytes
  mlir::Value x;                           // f32 [rows, k]
  mlir::Value codes, table;                // as sq.packed_matmul has them
  mlir::Value tableScale, rowPtr, entries; // may be null
  mlir::Value rounded, roundedScale; // bytes: i8 [rows, k padded to blocks];
                                     // f32 [rows, 2], scale and sum of q
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
  /// A vector of codes, of what is looked up, and of sums.
  mlir::VectorType codeType(mlir::ImplicitLocOpBuilder &b);
  mlir::VectorType sumType(mlir::ImplicitLocOpBuilder &b);

  /// Before the kernel, with tables of bytes: one that rounds the rows of x.
  void roundInput(mlir::ImplicitLocOpBuilder &b, mlir::StringRef name);

  /// Likewise one that transposes x, which does nothing if `isFew`.
  void transposeInput(mlir::ImplicitLocOpBuilder &b, mlir::StringRef name,
                      mlir::Value isFew);

  /// sum_k x[row, k] w[n, k] for each of `rows`, as scalars.
  llvm::SmallVector<mlir::Value> sums(mlir::ImplicitLocOpBuilder &b,
                                      mlir::Value n,
                                      llvm::ArrayRef<mlir::Value> rows);

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
  std::pair<mlir::Value, mlir::Value> entriesAt(mlir::ImplicitLocOpBuilder &b,
                                                mlir::Value e,
                                                mlir::Value mask);
  void fetchRow(mlir::ImplicitLocOpBuilder &b, mlir::Value n);
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
  bool onTiles() const { return coded.bytes && coded.target.amx; }
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
  mlir::Value low, high; // high: entries 8 to 15 where a register takes 8

  /// Loads row n.
  TableLookup(mlir::ImplicitLocOpBuilder &b, const TiledTarget &target,
              int64_t bits, bool bytes, mlir::Value table, mlir::Value n);

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
