#include "dialects/sq/IR/SqOps.h"

#include "dialects/sq/IR/ShapeChecks.h"

using namespace mlir;
using namespace sq;

/// A number per sample of `x`, of its element type.
static bool isPerSample(Value y, Value x) {
  ShapedType of = shaped(x), type = shaped(y);
  return type.getRank() == 1 &&
         dimsAgree(type.getDimSize(0), of.getDimSize(0)) &&
         type.getElementType() == of.getElementType();
}

LogicalResult CrossEntropyOp::verify() {
  ShapedType x = shaped(getLogits()), labels = shaped(getLabels());
  // cross_entropy_c1
  bool fits = x.getRank() >= 2 && labels.getRank() == x.getRank() - 1;
  for (int64_t d = 0; fits && d < labels.getRank(); ++d)
    fits = dimsAgree(x.getDimSize(d), labels.getDimSize(d));
  if (!fits)
    return emitOpError(
               "needs labels with the leading dimensions of the logits ")
           << x << ", got " << labels;
  // cross_entropy_c2
  if (!isPerSample(getOuts(), getLogits()))
    return emitOpError("needs a loss per sample of ")
           << x << ", got " << getOuts().getType();
  return success();
}

LogicalResult KlDivergenceOp::verify() {
  ShapedType x = shaped(getLogits()), reference = shaped(getReference());
  // kl_divergence_c1
  if (x.getRank() < 2 || !shapesAgree(x, reference) ||
      x.getElementType() != reference.getElementType())
    return emitOpError("needs logits and reference of one shape of rank 2 or "
                       "more, got ")
           << x << " and " << reference;
  // kl_divergence_c2
  if (!isPerSample(getOuts(), getLogits()))
    return emitOpError("needs a loss per sample of ")
           << x << ", got " << getOuts().getType();
  return success();
}

LogicalResult SquaredErrorOp::verify() {
  ShapedType x = shaped(getX()), reference = shaped(getReference());
  // squared_error_c1
  if (x.getRank() < 2 || !shapesAgree(x, reference) ||
      x.getElementType() != reference.getElementType())
    return emitOpError(
               "needs x and reference of one shape of rank 2 or more, got ")
           << x << " and " << reference;
  // squared_error_c2
  if (!isPerSample(getOuts(), getX()))
    return emitOpError("needs a loss per sample of ")
           << x << ", got " << getOuts().getType();
  return success();
}
