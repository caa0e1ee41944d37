/// What kernels of attention of bytes have in common, whatever multiplies:
/// tasks, masks and the exponential.
#ifndef SQ_CODEGEN_HOST_INTATTENTION_H
#define SQ_CODEGEN_HOST_INTATTENTION_H

#include "codegen/host/Kernels.h"

namespace sq {

/// A task is some queries of a head of the keys, in scratch memory of the
/// thread.
///
/// Masks are what the sums of scores begin with: a masked key is so far below
/// all others that its exponential is 0 (hence the limit to the exponential's
/// shift, `kMostExpShift`), and a key that does not exist as far below those.
class IntAttentionEmitter {
public:
  IntAttentionEmitter(IntAttentionOp op, const TiledTarget &target);
  virtual ~IntAttentionEmitter() = default;

  void emit(mlir::ImplicitLocOpBuilder &b);

protected:
  using Builder = mlir::ImplicitLocOpBuilder;
  using Value = mlir::Value;

  //===-- What multiplies
  //--------------------------------------------------===//

  /// Memory of its own.
  virtual void allocate(Builder &b) = 0;
  /// What a thread does before its tasks.
  virtual void prepare(Builder &b) {}
  /// Queries [first, end) of a task.
  virtual void attend(Builder &b, Value first, Value end) = 0;
  /// Queries of a task.
  virtual Value taskRows(Builder &b) = 0;

  Value splat(Builder &b, int64_t value);
  static Value splatOf(Builder &b, mlir::VectorType type, int64_t value);
  Value times(Builder &b, Value x, int64_t y);
  Value add(Builder &b, Value x, Value y);
  Value sub(Builder &b, Value x, Value y);
  /// Memory [threads][shape..], the unknown dims of which are `sizes`.
  Value scratch(Builder &b, llvm::ArrayRef<int64_t> shape, mlir::Type element,
                mlir::ValueRange sizes);
  bool startsPerQuery() { return op.getCausal() || isKeptBy(2); }

  IntAttentionOp op;
  const TiledTarget &target;
  Value q, k, v, keep, out;
  int64_t size, group; // elements of a head; heads that share keys
  int64_t lanes;       // of a vector of 32 bits
  int64_t productsPerThread = 1 << 19;
  mlir::VectorType sums, bytes,
      quads; // i32, one byte and four bytes a lane
  Value queries, keys, keyHeads, past,
      columns; // the last: keys, in whole groups of four vectors
  Value zero, one;
  // A task.
  Value thread, batch, keyHead;

  /// What the sums of scores of a query begin with, to row `row` of `start`,
  /// i32 [threads][rows][columns or more].
  void fillStart(Builder &b, Value start, Value row, Value head, Value query);
  /// The least that the largest score of a query counts as: if all keys are
  /// masked, all exponentials are 0, or those of keys that do not exist.
  int64_t leastLargest();
  /// 255 exp(x - largest) of four vectors of scores, as bytes: part L of 128
  /// bits has four lanes of the first, then of the second...
  Value exponential(Builder &b, Value largest, llvm::ArrayRef<Value> x);
  /// The factor of a sum of exponentials, an i32 (`numerics::ContextFactor`).
  struct Factor {
    Value reciprocal, shift; // i32
  };
  Factor factorOf(Builder &b, Value sum);

private:
  /// Whether `keep` differs along this dim.
  bool isKeptBy(int64_t dim);
  Value octaveEntry(Builder &b, Value t);
};

void emitAmxIntAttention(mlir::ImplicitLocOpBuilder &b, IntAttentionOp op,
                         const TiledTarget &target);

} // namespace sq

#endif
