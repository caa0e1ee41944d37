#include "codegen/cuda/HeldRow.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;
using namespace sq::cuda;

constexpr int64_t kMostHeld =
    32; // registers of a lane: leaves three quarters of the threads resident

std::optional<int64_t> HeldRow::widthFor(Value memref) {
  int64_t columns = cast<MemRefType>(memref.getType()).getDimSize(1);
  if (ShapedType::isDynamic(columns) || columns == 0)
    return std::nullopt;
  int64_t width = columns % 4 == 0 ? 4 : 1;
  if (llvm::divideCeil(columns, width * kWarp) * width > kMostHeld)
    return std::nullopt;
  return width;
}

Value HeldRow::column(int64_t i) {
  Value first = b.createOrFold<arith::MulIOp>(lane, indexConstant(b, width));
  return plus(b, first, i * width * kWarp);
}

Value HeldRow::load(int64_t i, Value memref) {
  Value at = column(i);
  if (isPartial(i))
    at = arith::MinUIOp::create(b, at, indexConstant(b, columns - width));
  SmallVector<Value> place = {at};
  if (cast<MemRefType>(memref.getType()).getRank() == 2)
    place.insert(place.begin(), row);
  return loadVectorF32(b, width, memref, place);
}

SmallVector<Value> HeldRow::loadAll(Value memref) {
  SmallVector<Value> result;
  for (int64_t i = 0; i < pieces(); ++i)
    result.push_back(load(i, memref));
  return result;
}

Value HeldRow::inRow(int64_t i, Value v, double otherwise) {
  if (!isPartial(i))
    return v;
  Value exists = below(b, column(i), indexConstant(b, columns));
  return arith::SelectOp::create(b, exists, v,
                                 splat(f32Constant(b, otherwise)));
}

void HeldRow::store(int64_t i, Value v, Value memref) {
  if (!isPartial(i))
    return storeF32(b, v, memref, {row, column(i)});
  onlyIf(b, below(b, column(i), indexConstant(b, columns)),
         [&](ImplicitLocOpBuilder &ib) {
           storeF32(ib, v, memref,
                    {row, HeldRow{ib, row, lane, columns, width}.column(i)});
         });
}

Value HeldRow::reduce(
    ArrayRef<Value> all,
    function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> combine) {
  Value piece = all.front();
  for (Value v : all.drop_front())
    piece = combine(b, piece, v);
  Value result = vector::ExtractOp::create(b, piece, 0);
  for (int64_t i = 1; i < width; ++i)
    result = combine(b, result, vector::ExtractOp::create(b, piece, i));
  return reduceLanes(b, result, kWarp, combine);
}

Value HeldRow::sum(ArrayRef<Value> all) {
  return reduce(all, [](ImplicitLocOpBuilder &ib, Value x, Value y) -> Value {
    return arith::AddFOp::create(ib, x, y);
  });
}

Value HeldRow::splat(Value v) {
  return vector::BroadcastOp::create(
      b, VectorType::get({width}, b.getF32Type()), v);
}
