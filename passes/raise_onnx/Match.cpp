#include "passes/raise_onnx/Match.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>

using namespace mlir;

/// Exporters print constants with three or more correct digits.
static constexpr double tolerance = 1e-3;

bool sq::isClose(double a, double b) { return std::fabs(a - b) <= tolerance * std::fabs(b); }

Operation *sq::definedBy(Value v, StringRef onnxName) {
  Operation *op = v.getDefiningOp();
  return op && op->getName().getStringRef() == onnxName ? op : nullptr;
}

/// The first `count` operands are given (not omitted) and are the only ones.
bool sq::hasOperands(Operation *op, unsigned count) { return op->getNumOperands() == count; }

/// The value of a constant with one element, as a double.
std::optional<double> sq::scalarConstant(Value v) {
  if (Operation *cast = definedBy(v, "onnx.Cast"))
    return hasOperands(cast, 1) && isa<FloatType>(getElementTypeOrSelf(v.getType()))
               ? scalarConstant(cast->getOperand(0))
               : std::nullopt;
  if (Operation *sqrt = definedBy(v, "onnx.Sqrt")) {
    std::optional<double> x = hasOperands(sqrt, 1) ? scalarConstant(sqrt->getOperand(0)) : std::nullopt;
    return x ? std::optional<double>(std::sqrt(*x)) : std::nullopt;
  }
  Operation *constant = definedBy(v, "onnx.Constant");
  if (!constant)
    return std::nullopt;
  auto elements = constant->getAttrOfType<DenseElementsAttr>("value");
  if (!elements || elements.getNumElements() != 1)
    return std::nullopt;
  if (isa<FloatType>(elements.getElementType())) {
    APFloat value = *elements.value_begin<APFloat>();
    bool losesInfo;
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    return value.convertToDouble();
  }
  if (elements.getElementType().isInteger(64) || elements.getElementType().isInteger(32))
    return static_cast<double>((*elements.value_begin<APInt>()).getSExtValue());
  return std::nullopt;
}

/// Looks through casts between floats that lose nothing.
Value sq::skipWidening(Value v) {
  while (Operation *cast = definedBy(v, "onnx.Cast")) {
    if (!hasOperands(cast, 1))
      break;
    auto from = dyn_cast<FloatType>(getElementTypeOrSelf(cast->getOperand(0).getType()));
    auto to = dyn_cast<FloatType>(getElementTypeOrSelf(v.getType()));
    if (!from || !to || APFloat::semanticsPrecision(from.getFloatSemantics()) >
                            APFloat::semanticsPrecision(to.getFloatSemantics()))
      break;
    v = cast->getOperand(0);
  }
  return v;
}

/// Calls `match` with both orders of the operands of the binary `op` until it
/// holds.
bool sq::eitherOrder(Operation *op, llvm::function_ref<bool(Value, Value)> match) {
  if (!op || !hasOperands(op, 2))
    return false;
  return match(op->getOperand(0), op->getOperand(1)) || match(op->getOperand(1), op->getOperand(0));
}

Operation *sq::createOnnx(PatternRewriter &rewriter, Location loc, StringRef name,
                          ValueRange operands, TypeRange results,
                          ArrayRef<NamedAttribute> attributes) {
  OperationState state(loc, name, operands, results, attributes);
  return rewriter.create(state);
}
