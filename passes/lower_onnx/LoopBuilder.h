/// Loops of the schedule under construction, for Loop and Scan.
#ifndef SQ_PASSES_LOWER_ONNX_LOOPBUILDER_H
#define SQ_PASSES_LOWER_ONNX_LOOPBUILDER_H

#include "passes/lower_onnx/Regions.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace sq {

/// One loop under construction. Its iterator and the carried values are arguments of
/// the body's block; `draft` is a loop without any, which holds the block until the
/// types are known.
class LoopBuilder {
public:
  LoopBuilder(Lowering &l, mlir::Operation *op) : l(l), op(op), loc(op->getLoc()) {
    mlir::Value zero = index(0), one = index(1);
    draft = mlir::scf::ForOp::create(l.builder, loc, zero, zero, one);
    draft.getBody()->clear();
  }
  ~LoopBuilder() {
    if (draft)
      draft.erase();
  }

  mlir::Block *body() { return draft.getBody(); }
  mlir::Value iterator() { return draft.getInductionVar(); }

  /// A value that each iteration gives to the next; what the first one gets. Returns
  /// what the body sees.
  Lowered carry(Lowered *initial);
  /// Carried value `i` at the end of an iteration. Fails when its shape changed;
  /// `changedShape` is then true and nothing has been reported.
  mlir::LogicalResult setNext(unsigned i, Lowered *value);
  /// Overwrites the carried values: last in an iteration, when all has been read.
  void writeNext();
  bool changedShape = false;
  /// Iteration `position` writes `value` to this place of dim `axis` of a result that
  /// has `count` of them.
  mlir::LogicalResult collect(Lowered *value, int64_t axis, mlir::OpFoldResult count,
                              mlir::Value position);

  /// Ends a loop of `count` iterations.
  void finish(mlir::Value count);
  /// Ends a loop of at most `count` (null: any number of) iterations, which another one
  /// follows when `next` is true; `first`: whether there is one.
  void finishWhile(mlir::Value count, mlir::Value first, mlir::Value next);

  Lowered carried(unsigned i) { return result(carriedValues[i]); }
  Lowered collected(unsigned i) { return result(collectedValues[i]); }
  /// After finishWhile: how many iterations there were.
  mlir::Value iterations;

private:
  struct Carried {
    mlir::Type element;
    Dims dims;
    llvm::SmallVector<mlir::Value> initial; // one tensor, or scalars
    llvm::SmallVector<mlir::Value> arguments, next;
    llvm::SmallVector<mlir::Value> results;
    bool isScalars;
    Lowered source = {}; // of `next`, when it is to be written
  };
  mlir::Value index(int64_t i) { return l.scalars(loc).integer(l.builder.getIndexType(), i); }
  Lowered asLowered(const Carried &carried, llvm::ArrayRef<mlir::Value> values);
  Lowered result(const Carried &carried) { return asLowered(carried, carried.results); }
  llvm::SmallVector<mlir::Value> all(llvm::SmallVector<mlir::Value> Carried::*values);
  void setResults(mlir::ValueRange values);

  Lowering &l;
  mlir::Operation *op;
  mlir::Location loc;
  mlir::scf::ForOp draft;
  std::deque<Carried> carriedValues, collectedValues;
};

} // namespace sq

#endif
