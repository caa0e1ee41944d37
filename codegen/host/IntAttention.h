/// What kernels of attention of bytes have in common, whatever multiplies: tasks, masks, softmax and the
/// division by its sum.
#ifndef SQ_CODEGEN_HOST_INTATTENTION_H
#define SQ_CODEGEN_HOST_INTATTENTION_H

#include "codegen/host/Kernels.h"

namespace sq {

/// A task is some queries of a head of the keys. Its keys and values are packed once, then blocks of
/// queries go through scores, softmax, the sum of values and its division, in scratch memory of the thread.
/// Lanes are keys in the first two, elements of a head in the last two.
///
/// Masks are what the sums of scores begin with: a masked key is so far below all others that its exponential is 0 (hence
/// the limit to the exponential's shift, `kMostExpShift`), and a key that does not exist as far below those.
class IntAttentionEmitter {
public:
  IntAttentionEmitter(IntAttentionOp op, const TiledTarget &target, int64_t blockRows);
  virtual ~IntAttentionEmitter() = default;

  void emit(mlir::ImplicitLocOpBuilder &b);

protected:
  using Builder = mlir::ImplicitLocOpBuilder;
  using Value = mlir::Value;

  //===-- What multiplies ----------------------------------------------------===//

  /// Memory of its own.
  virtual void allocate(Builder &b) {}
  /// Rows of softmax: what waits in one is done in others; blocks are multiples.
  static constexpr int64_t kTogether = 4;

  /// What a thread does before its tasks.
  virtual void prepare(Builder &b) {}
  /// Queries [first, end) of a task, its keys and values packed.
  virtual void attend(Builder &b, Value first, Value end) = 0;
  /// Queries of a task.
  virtual Value taskRows(Builder &b) = 0;

  Value splat(Builder &b, int64_t value);
  Value times(Builder &b, Value x, int64_t y);
  Value add(Builder &b, Value x, Value y);
  Value sub(Builder &b, Value x, Value y);
  /// Memory [threads][shape..], the unknown dims of which are `sizes`.
  Value scratch(Builder &b, llvm::ArrayRef<int64_t> shape, mlir::Type element, mlir::ValueRange sizes);
  bool startsPerQuery() { return op.getCausal() || isKeptBy(2); }

  IntAttentionOp op;
  const TiledTarget &target;
  Value q, k, v, keep, out;
  int64_t size, group;       // elements of a head; heads that share keys
  int64_t lanes, blockRows;  // of a vector of 32 bits; queries of a block
  int64_t weightRows = blockRows, startCopies = 1, productsPerThread = 1 << 19;
  int64_t resultVectors;     // of a head
  mlir::VectorType sums, bytes, quads; // i32, one byte and four bytes a lane
  Value queries, keys, keyHeads, past, columns; // the last: keys, in whole groups of four vectors
  Value zero, one;
  // [threads][..] each.
  Value packedK;  // i8 [columns / lanes * size / 4][4 * lanes]: of each vector of keys four bytes after four; then 16 more
  Value packedV;  // i8 [columns / 4][4 * lanes * resultVectors]: of four keys element by element
  Value start;    // i32 [blockRows, or copies where all queries have the same][pitch]
  Value scores;   // i32 [blockRows][pitch]; columns are not a power of two apart, for the sake of L1
  Value weights;  // i8 [weightRows][pitch]
  Value results;  // i32 [blockRows][lanes * resultVectors]
  Value divisors; // i32 [weightRows][2]: reciprocal and shift of ContextFactor
  // A task.
  Value thread, batch, keyHead;

  /// `start` of queries [begin, end) of `head`.
  void fillStarts(Builder &b, Value begin, Value end, Value head);
  /// `count` rows of `scores` from `from` on to those of `weights` and `divisors` from `to` on.
  void emitSoftmax(Builder &b, Value from, Value to, Value count);
  /// kTogether of them.
  void emitSoftmaxRows(Builder &b, Value from, Value to);
  /// `results` of queries [begin, end) by `divisors` from `row` on.
  void writeResults(Builder &b, Value begin, Value end, Value head, Value row);

private:
  /// Whether `keep` differs along this dim.
  bool isKeptBy(int64_t dim);
  void packKeys(Builder &b);
  void packValues(Builder &b);
  void fillStart(Builder &b, Value row, Value head, Value query);
  /// 255 exp(x - largest) of four vectors of scores, as bytes.
  Value exponential(Builder &b, Value largest, llvm::ArrayRef<Value> x);
  Value octaveEntry(Builder &b, Value t);
  void writeResult(Builder &b, Value local, Value query, Value head, Value row);
};

void emitAmxIntAttention(mlir::ImplicitLocOpBuilder &b, IntAttentionOp op, const TiledTarget &target);

} // namespace sq

#endif
