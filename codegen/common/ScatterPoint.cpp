#include "codegen/common/ScatterPoint.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace sq;

static Value combine(ImplicitLocOpBuilder &b, ScatterOp op, Value old, Value update) {
  StringRef how = op.getReduction();
  bool isFloat = isa<FloatType>(old.getType()), isUnsigned = op.getIsUnsigned();
  if (how == "add")
    return isFloat ? Value(arith::AddFOp::create(b, old, update)) : arith::AddIOp::create(b, old, update);
  if (how == "mul")
    return isFloat ? Value(arith::MulFOp::create(b, old, update)) : arith::MulIOp::create(b, old, update);
  if (how == "max") {
    if (isFloat)
      return arith::MaximumFOp::create(b, old, update);
    return isUnsigned ? Value(arith::MaxUIOp::create(b, old, update)) : arith::MaxSIOp::create(b, old, update);
  }
  if (how == "min") {
    if (isFloat)
      return arith::MinimumFOp::create(b, old, update);
    return isUnsigned ? Value(arith::MinUIOp::create(b, old, update)) : arith::MinSIOp::create(b, old, update);
  }
  return update;
}

void sq::scatterPoint(ImplicitLocOpBuilder &b, ScatterOp op, Value p, Value n, Value r, Value q) {
  Value update = memref::LoadOp::create(b, op.getUpdates(), ValueRange{p, r, q});
  Type type = update.getType(), f32 = b.getF32Type();
  if (op.getReduction() != "replace") {
    Value old = memref::LoadOp::create(b, op.getOuts(), ValueRange{p, n, q});
    if (type.isF16() || type.isBF16()) {
      Value sum = combine(b, op, arith::ExtFOp::create(b, f32, old), arith::ExtFOp::create(b, f32, update));
      update = arith::TruncFOp::create(b, type, sum);
    } else {
      update = combine(b, op, old, update);
    }
  }
  memref::StoreOp::create(b, update, op.getOuts(), ValueRange{p, n, q});
}

ScatterRow sq::scatterRow(ImplicitLocOpBuilder &b, ScatterOp op, Value p, Value r) {
  Value index = memref::LoadOp::create(b, op.getIndices(), ValueRange{p, r});
  Value row = arith::IndexCastOp::create(b, b.getIndexType(), index);
  // Unsigned: a negative index is too large.
  Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, row, dimOf(b, op.getOuts(), 1));
  return {row, exists};
}
