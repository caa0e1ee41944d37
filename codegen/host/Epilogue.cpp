#include "codegen/host/Epilogue.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

EpilogueEmitter::EpilogueEmitter(ImplicitLocOpBuilder &b, PackedMatmulOp op, const TiledTarget &target)
    : op(op), target(target), vectorType(VectorType::get({target.lanes}, op.isOfBytes() ? Type(b.getI32Type()) : Type(b.getF32Type()))),
      out(asRows(b, op.getOuts())) {
  for (Value extra : op.getExtras()) {
    Value dense = denseMemref(b, extra);
    // An extra of rank 1 runs over columns, unless the result itself is a vector.
    bool hasRows = cast<MemRefType>(dense.getType()).getRank() > 1;
    extras.push_back(hasRows ? asRows(b, dense) : dense);
  }
}

bool EpilogueEmitter::isCheap(size_t most) {
  auto isOperation = [](Operation &inner) { return !isa<arith::ConstantOp>(inner); };
  return size_t(llvm::count_if(op.getEpilogue().front().without_terminator(), isOperation)) <= most &&
         llvm::none_of(op.getEpilogue().front(), [](Operation &inner) {
           // 64-bit integers take two registers a vector, and without AVX-512 many instructions.
           bool isWide = llvm::any_of(inner.getResultTypes(), [](Type type) { return type.isInteger(64); });
           return isWide || inner.getName().getDialectNamespace() == "math";
         });
}

Value EpilogueEmitter::apply(ImplicitLocOpBuilder &b, Value sum, Value row, Value n, int64_t lanes) {
  SmallVector<Value> args = {sum};
  for (Value extra : extras) {
    auto type = cast<MemRefType>(extra.getType());
    if (type.getRank() == 0)
      args.push_back(memref::LoadOp::create(b, extra)); // broadcast where it is used
    else if (type.getRank() == 2 && type.getDimSize(1) == 1)
      args.push_back(memref::LoadOp::create(b, extra, ValueRange{row, indexConstant(b, 0)}));
    else
      args.push_back(load(b, extra, type.getRank() == 1 ? ValueRange(n) : ValueRange{row, n}, lanes));
  }
  // The region's ops are elementwise, so each is cloned with vector types.
  IRMapping map;
  Block &body = op.getEpilogue().front();
  map.map(body.getArguments(), args);
  auto widen = [&](Type t) -> Type {
    return t.isIntOrFloat() ? VectorType::get(vectorType.getShape(), t) : t;
  };
  auto operand = [&](Value v) {
    Value mapped = map.lookupOrDefault(v);
    if (isa<VectorType>(mapped.getType()) || !mapped.getType().isIntOrFloat())
      return mapped;
    return Value(vector::BroadcastOp::create(b, cast<VectorType>(widen(mapped.getType())), mapped));
  };
  for (Operation &inner : body.without_terminator()) {
    if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
      auto type = cast<VectorType>(widen(constant.getType()));
      map.map(constant.getResult(),
              arith::ConstantOp::create(b, DenseElementsAttr::get(type, cast<Attribute>(constant.getValue()))));
      continue;
    }
    OperationState state(b.getLoc(), inner.getName());
    for (Value v : inner.getOperands())
      state.addOperands(operand(v));
    for (Type t : inner.getResultTypes())
      state.addTypes(widen(t));
    state.addAttributes(inner.getAttrs());
    state.propertiesAttr = inner.getPropertiesAsAttribute();
    Operation *copy = b.create(state);
    map.map(inner.getResults(), copy->getResults());
  }
  return operand(cast<YieldOp>(body.getTerminator()).getValues().front());
}

Value EpilogueEmitter::load(ImplicitLocOpBuilder &b, Value memref, ValueRange at, int64_t lanes) {
  auto type = VectorType::get({target.lanes}, cast<MemRefType>(memref.getType()).getElementType());
  if (lanes == target.lanes)
    return vector::LoadOp::create(b, type, memref, at);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  return vector::MaskedLoadOp::create(b, type, memref, at, laneMask(b, lanes), zero);
}

void EpilogueEmitter::store(ImplicitLocOpBuilder &b, Value value, Value memref, ValueRange at, int64_t lanes) {
  if (lanes == target.lanes)
    vector::StoreOp::create(b, value, memref, at);
  else
    vector::MaskedStoreOp::create(b, memref, at, laneMask(b, lanes), value);
}

Value EpilogueEmitter::laneMask(ImplicitLocOpBuilder &b, int64_t lanes) {
  return vector::CreateMaskOp::create(b, VectorType::get({target.lanes}, b.getI1Type()),
                                      ValueRange(indexConstant(b, lanes)));
}
