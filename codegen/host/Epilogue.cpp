#include "codegen/host/Epilogue.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

#include "codegen/common/VectorIntegers.h"
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
  return apply(b, ValueRange(sum), Place{row, n, lanes}).front();
}

/// The product of a sum of integers and its scale to which `op` alone adds something.
static arith::MulFOp scaledSum(Operation &op) {
  if (!isa<arith::AddFOp>(op))
    return {};
  for (Value v : op.getOperands())
    if (auto product = v.getDefiningOp<arith::MulFOp>(); product && product->hasOneUse())
      if (product.getLhs().getDefiningOp<arith::SIToFPOp>() || product.getRhs().getDefiningOp<arith::SIToFPOp>())
        return product;
  return {};
}

SmallVector<Value> EpilogueEmitter::apply(ImplicitLocOpBuilder &b, ValueRange sums, ArrayRef<Place> places) {
  Block &body = op.getEpilogue().front();
  std::vector<IRMapping> maps(places.size());
  for (auto [map, sum] : llvm::zip(maps, sums))
    map.map(body.getArgument(0), sum);
  for (auto [extra, argument] : llvm::zip(extras, body.getArguments().drop_front()))
    for (auto [map, place] : llvm::zip(maps, places))
      map.map(argument, loadExtra(b, extra, place));
  // The region's ops are elementwise, so each is cloned with vector types.
  auto widen = [&](Type t) -> Type {
    return t.isIntOrFloat() ? VectorType::get(vectorType.getShape(), t) : t;
  };
  auto operand = [&](const IRMapping &map, Value v) {
    Value mapped = map.lookupOrDefault(v);
    if (isa<VectorType>(mapped.getType()) || !mapped.getType().isIntOrFloat())
      return mapped;
    return Value(vector::BroadcastOp::create(b, cast<VectorType>(widen(mapped.getType())), mapped));
  };
  for (Operation &inner : body.without_terminator())
    for (IRMapping &map : maps) {
      if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
        auto type = cast<VectorType>(widen(constant.getType()));
        map.map(constant.getResult(),
                arith::ConstantOp::create(b, DenseElementsAttr::get(type, cast<Attribute>(constant.getValue()))));
        continue;
      }
      if (auto parabola = dyn_cast<ParabolaOp>(inner)) {
        map.map(parabola.getResult(), emitParabola(b, parabola, operand(map, parabola.getX())));
        continue;
      }
      if (auto product = scaledSum(inner)) {
        Value other = inner.getOperand(inner.getOperand(0) == product.getResult());
        map.map(inner.getResult(0), math::FmaOp::create(b, operand(map, product.getLhs()), operand(map, product.getRhs()), operand(map, other)).getResult());
        continue;
      }
      OperationState state(b.getLoc(), inner.getName());
      for (Value v : inner.getOperands())
        state.addOperands(operand(map, v));
      for (Type t : inner.getResultTypes())
        state.addTypes(widen(t));
      state.addAttributes(inner.getAttrs());
      state.propertiesAttr = inner.getPropertiesAsAttribute();
      Operation *copy = b.create(state);
      map.map(inner.getResults(), copy->getResults());
    }
  return llvm::map_to_vector(maps, [&](const IRMapping &map) {
    return operand(map, cast<YieldOp>(body.getTerminator()).getValues().front());
  });
}

Value EpilogueEmitter::loadExtra(ImplicitLocOpBuilder &b, Value extra, const Place &place) {
  auto type = cast<MemRefType>(extra.getType());
  if (type.getRank() == 0)
    return memref::LoadOp::create(b, extra); // broadcast where it is used
  if (type.getRank() == 2 && type.getDimSize(1) == 1)
    return memref::LoadOp::create(b, extra, ValueRange{place.row, indexConstant(b, 0)});
  return load(b, extra, type.getRank() == 1 ? ValueRange(place.n) : ValueRange{place.row, place.n}, place.lanes);
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
