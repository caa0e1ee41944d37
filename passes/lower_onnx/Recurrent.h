/// RNN, GRU and LSTM under construction; private to Recurrent*.cpp.
#ifndef SQ_PASSES_LOWER_ONNX_RECURRENT_H
#define SQ_PASSES_LOWER_ONNX_RECURRENT_H

#include "passes/lower_onnx/Activations.h"
#include "passes/lower_onnx/Generics.h"

#include <vector>

namespace sq {

enum class Cell { RNN, GRU, LSTM };

/// A matrix [n, k], or [k, n] when not transposed.
struct Matrix {
  Lowered value;
  bool transposed = true;
};

/// What one of the directions has of its own.
struct Direction {
  bool isReverse = false;
  llvm::SmallVector<Activation> functions; // f, g, h of the specification
  mlir::Value inputs;   // X W' + b, [steps, batch, gates, hidden] as X is laid out
  Matrix recurrent;     // R, or without the last gate
  Matrix lastRecurrent; // of a GRU that multiplies after the reset: its last gate
  std::optional<Lowered> recurrentBias;
  mlir::Value peepholes; // [3, hidden]
  mlir::Value h, c;      // [batch, hidden]; in the loop as an iteration sees them
};

class Recurrence {
public:
  Recurrence(Lowering &l, mlir::Operation *op, Cell cell)
      : l(l), op(op), loc(op->getLoc()), cell(cell),
        gates(cell == Cell::LSTM ? 4 : cell == Cell::GRU ? 3 : 1) {}
  mlir::LogicalResult lower();

private:
  // In RecurrentOperands.cpp: all that is done before the loop.
  mlir::LogicalResult readAttributes();
  mlir::LogicalResult readFunctions();
  mlir::LogicalResult readShapes();
  mlir::LogicalResult readLengths();
  mlir::LogicalResult prepare(unsigned d);
  mlir::LogicalResult multiplyInputs(unsigned d);
  mlir::LogicalResult expect(Lowered *value, llvm::ArrayRef<mlir::OpFoldResult> dims,
                             llvm::StringRef what);
  Lowered part(Lowered *value, unsigned d, int64_t from, int64_t size);
  Matrix rows(Lowered *value, unsigned d, int64_t from, int64_t size);
  mlir::FailureOr<Lowered> plus(Lowered value, std::vector<Lowered> biases);
  mlir::Value initialState(unsigned i, unsigned d);

  // In Recurrent.cpp: the loop.
  using Values = llvm::ArrayRef<mlir::Value>;
  mlir::LogicalResult runSteps();
  mlir::FailureOr<mlir::Value> step(unsigned d, mlir::Value time, mlir::Value y);
  mlir::FailureOr<mlir::Value> resetState(Direction &dir, llvm::ArrayRef<Input> gates);
  mlir::FailureOr<llvm::SmallVector<Input>> stateTimes(mlir::Value state, const Matrix &matrix,
                                                       int64_t count, const Lowered *bias);
  std::pair<mlir::Value, mlir::Value> gateValues(Scalars &s, Direction &dir, Values x, Values r,
                                                 Values p, mlir::Value h, mlir::Value c);
  mlir::Value activate(Scalars &s, const Activation &function, mlir::Value x, bool isGate = true);
  void setResults(mlir::Value y);
  llvm::SmallVector<Input> gatesOf(mlir::Value tensor, int64_t count);
  mlir::AffineMap map(llvm::ArrayRef<mlir::AffineExpr> exprs) {
    return mlir::AffineMap::get(2, 0, exprs, l.builder.getContext());
  }
  mlir::AffineExpr row() { return l.builder.getAffineDimExpr(0); }
  mlir::AffineExpr column() { return l.builder.getAffineDimExpr(1); }

  /// Which dim of a state is the direction: the first, or after the batch.
  unsigned directionAxis() const { return batchFirst ? 1 : 0; }

  Lowering &l;
  mlir::Operation *op;
  mlir::Location loc;
  Cell cell;
  int64_t gates;
  std::vector<Direction> directions;
  bool batchFirst = false, linearBeforeReset = false, inputForget = false;
  std::optional<double> clip;
  int64_t hidden = 0;
  mlir::OpFoldResult steps, batch;
  mlir::Type element, compute;
  Lowered *x = nullptr, *w = nullptr, *r = nullptr, *bias = nullptr, *peepholes = nullptr;
  mlir::Value lengths; // [batch]; null: all sequences have all steps
};

} // namespace sq

#endif
