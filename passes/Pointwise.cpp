#include "passes/Pointwise.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace sq;

Input sq::like(ImplicitLocOpBuilder &b, Value tensor) {
  return {tensor, b.getMultiDimIdentityMap(cast<RankedTensorType>(tensor.getType()).getRank())};
}

static Value generic(ImplicitLocOpBuilder &b, ArrayRef<Input> inputs, Value init, bool reduces, Body body) {
  auto type = cast<RankedTensorType>(init.getType());
  int64_t rank = type.getRank();
  SmallVector<Value> tensors;
  SmallVector<AffineMap> maps;
  for (const Input &input : inputs) {
    tensors.push_back(input.tensor);
    maps.push_back(input.map);
  }
  AffineMap all = b.getMultiDimIdentityMap(rank + reduces);
  maps.push_back(reduces ? all.dropResult(rank) : all);
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  if (reduces)
    loops.push_back(utils::IteratorType::reduction);
  return linalg::GenericOp::create(b, TypeRange(type), tensors, ValueRange(init), maps, loops,
                                   [&](OpBuilder &o, Location l, ValueRange args) {
                                     ImplicitLocOpBuilder ib(l, o);
                                     linalg::YieldOp::create(ib, body(ib, reduces ? args : args.drop_back()));
                                   })
      .getResult(0);
}

Value sq::pointwise(ImplicitLocOpBuilder &b, ArrayRef<Input> inputs, Value init, Body body) {
  return generic(b, inputs, init, /*reduces=*/false, body);
}

Value sq::reduceRows(ImplicitLocOpBuilder &b, ArrayRef<Input> inputs, Value init, Body body) {
  return generic(b, inputs, init, /*reduces=*/true, body);
}
