#include "passes/analysis/MaskParts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

#include "passes/analysis/Elementwise.h"

#include <limits>

using namespace mlir;

/// A mask of 0 and -inf, selected by a boolean: the boolean that hides.
static std::optional<sq::MaskPart> asBoolean(const sq::MaskPart &part) {
  if (part.fill)
    return *part.fill == -std::numeric_limits<double>::infinity() ? std::optional(part) : std::nullopt;
  auto generic = part.tensor.getDefiningOp<linalg::GenericOp>();
  auto select = dyn_cast_or_null<arith::SelectOp>(sq::singleBodyOp(generic));
  if (!select || generic.getNumDpsInputs() != 1 || !sq::inputRead(generic, select.getCondition()))
    return std::nullopt;
  for (bool keepsOnTrue : {true, false})
    if (matchPattern(keepsOnTrue ? select.getTrueValue() : select.getFalseValue(), m_AnyZeroFloat()) &&
        matchPattern(keepsOnTrue ? select.getFalseValue() : select.getTrueValue(), m_NegInfFloat()))
      return sq::MaskPart{generic.getDpsInputs()[0], generic.getIndexingMapsArray()[0].compose(part.map),
                      -std::numeric_limits<double>::infinity(), keepsOnTrue};
  return std::nullopt;
}

void sq::splitMask(const MaskPart &part, SmallVectorImpl<MaskPart> &parts, int depth) {
  std::optional<MaskPart> boolean = asBoolean(part);
  auto generic = boolean ? boolean->tensor.getDefiningOp<linalg::GenericOp>() : nullptr;
  Operation *op = sq::singleBodyOp(generic);
  bool isBoth = op && (boolean->keepsOnTrue ? isa<arith::AndIOp>(op) : isa<arith::OrIOp>(op));
  if (!isBoth || generic.getNumDpsInputs() != 2 || !sq::inputRead(generic, op->getOperand(0)) ||
      !sq::inputRead(generic, op->getOperand(1)) || depth == 0) {
    parts.push_back(part);
    return;
  }
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  for (unsigned i : {0u, 1u})
    splitMask({generic.getDpsInputs()[i], maps[i].compose(boolean->map), boolean->fill, boolean->keepsOnTrue},
              parts, depth - 1);
}

std::optional<std::array<bool, 4>> sq::usedLoops(AffineMap map, RankedTensorType type) {
  std::array<bool, 4> used = {};
  int64_t missing = 4 - type.getRank();
  if (missing < 0 || map.getNumDims() != 4)
    return std::nullopt;
  for (auto [i, e] : llvm::enumerate(map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(e);
    bool isBroadcast = isa<AffineConstantExpr>(e) && type.getDimSize(i) == 1;
    if (!isBroadcast && !(dim && dim.getPosition() == i + missing))
      return std::nullopt;
    used[i + missing] = static_cast<bool>(dim);
  }
  return used;
}
