/// The integer ops of the `sq` dialect as loops, op by op.
#ifndef SQ_PASSES_LOWER_INTEGER_LOWERING_H
#define SQ_PASSES_LOWER_INTEGER_LOWERING_H

#include "mlir/IR/PatternMatch.h"

#include "dialects/sq/IR/IntegerOps.h"
#include "dialects/sq/IR/SqOps.h"
#include "passes/Pointwise.h"
#include "passes/lower_integer/Arithmetic.h"

namespace sq {

/// Each gives the result's tensor. A problem, when there is one, says why it is of no use.
using Lowered = std::pair<mlir::Value, std::string>;

Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, RequantizeOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, RequantizedAddOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntGeluOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntSigmoidOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntTanhOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntSiluOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, LookupOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntPiecewiseOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntSqrtOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntSoftmaxOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntContextOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntAttentionOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntLayerNormOp op);
Lowered lowerInteger(mlir::ImplicitLocOpBuilder &b, IntRmsNormOp op);

/// Constants of channels as inputs of a loop; one value for all is a constant of its body instead.
class ChannelLists {
public:
  /// Channels are dimension `axis` of `rank`.
  ChannelLists(mlir::ImplicitLocOpBuilder &b, int64_t rank, int64_t axis, llvm::SmallVectorImpl<Input> &inputs)
      : b(b), rank(rank), axis(axisOf(axis, rank)), inputs(inputs) {}

  struct List {
    std::optional<unsigned> input;
    llvm::SmallVector<numerics::Interval, 1> ranges;

    Ranged in(Arithmetic &a, mlir::ValueRange args) const {
      return input ? a.input(args[*input], ranges, /*isUnsigned=*/false)
                   : a.constant(static_cast<int64_t>(ranges[0].lo));
    }
  };
  List add(llvm::ArrayRef<int64_t> values);
  List add(llvm::ArrayRef<int32_t> values) { return add(llvm::SmallVector<int64_t>(values)); }

private:
  mlir::ImplicitLocOpBuilder &b;
  int64_t rank, axis;
  llvm::SmallVectorImpl<Input> &inputs;
};

} // namespace sq

#endif
