#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace sq;

static LogicalResult verifyExpressed(Operation *op, Value floats, Value quantized) {
  auto type = cast<quant::QuantizedType>(cast<ShapedType>(quantized.getType()).getElementType());
  Type element = cast<ShapedType>(floats.getType()).getElementType();
  if (type.getExpressedType() != element)
    return op->emitOpError("needs floats as the quantised type expresses them, got ") << element << " and " << type;
  return success();
}

LogicalResult QuantizeOp::verify() {
  // quantize_c1
  return verifyExpressed(*this, getX(), getResult());
}

LogicalResult DequantizeOp::verify() {
  // dequantize_c1
  return verifyExpressed(*this, getResult(), getX());
}
