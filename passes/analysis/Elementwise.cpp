#include "passes/analysis/Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

Operation *sq::singleBodyOp(linalg::GenericOp op) {
  if (!op || op.getNumDpsInits() != 1 || op.getNumReductionLoops() || !op->getNumResults() ||
      !op.getIndexingMapsArray().back().isIdentity())
    return nullptr;
  Block *body = op.getBody();
  Operation *only = nullptr;
  for (Operation &inner : body->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    if (only)
      return nullptr;
    only = &inner;
  }
  return only && only->getNumResults() == 1 && body->getTerminator()->getOperand(0) == only->getResult(0)
             ? only
             : nullptr;
}

std::optional<unsigned> sq::inputRead(linalg::GenericOp op, Value operand) {
  auto arg = dyn_cast<BlockArgument>(operand);
  if (!arg || arg.getOwner() != op.getBody() ||
      static_cast<int64_t>(arg.getArgNumber()) >= op.getNumDpsInputs())
    return std::nullopt;
  return arg.getArgNumber();
}

std::optional<std::pair<Value, double>> sq::matchScaled(Value v) {
  auto generic = v.getDefiningOp<linalg::GenericOp>();
  Operation *op = singleBodyOp(generic);
  if (!op || generic.getNumDpsInputs() != 1 || !generic.getIndexingMapsArray()[0].isIdentity() ||
      !isa<arith::MulFOp, arith::DivFOp>(op))
    return std::nullopt;
  for (unsigned i : {0u, 1u}) {
    FloatAttr factor;
    if (op->getOperand(i) != generic.getBody()->getArgument(0) ||
        !matchPattern(op->getOperand(1 - i), m_Constant(&factor)))
      continue;
    double c = factor.getValueAsDouble();
    if (isa<arith::MulFOp>(op))
      return std::pair(generic.getDpsInputs()[0], c);
    if (i == 0 && c != 0)
      return std::pair(generic.getDpsInputs()[0], 1.0 / c);
  }
  return std::nullopt;
}
