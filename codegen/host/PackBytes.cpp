//===-- PackBytes.cpp - 32-bit integers to bytes -------------------------------===//
//
// Bounding a vector from above and taking its low bytes is three operations of the
// ports that products and activations want, too, and a store of 16 bytes. Packing
// four vectors with saturation takes as many for all of them.
//
//===--------------------------------------------------------------------------===//

#include "codegen/host/PackBytes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

static bool isSplat(Value v, APInt &number) {
  if (auto broadcast = v.getDefiningOp<vector::BroadcastOp>())
    v = broadcast.getSource();
  return matchPattern(v, m_ConstantInt(&number));
}

/// What vectors are before their upper bound and before they become bytes, and the lower bound of all, the upper one being 255
/// more; none where that is not so. (The lower one stays: without it the difference of the two may overflow.)
static SmallVector<Value> beforeUpperBound(ArrayRef<Value> values, int32_t &low) {
  SmallVector<Value> before;
  for (auto [i, value] : llvm::enumerate(values)) {
    auto narrow = value.getDefiningOp<arith::TruncIOp>();
    auto least = narrow ? narrow.getIn().getDefiningOp<arith::MinSIOp>() : nullptr;
    auto most = least ? least.getLhs().getDefiningOp<arith::MaxSIOp>() : nullptr;
    APInt from, to;
    if (!most || !isSplat(most.getRhs(), from) || !isSplat(least.getRhs(), to) || from.getBitWidth() != 32 ||
        value.getType() != VectorType::get({16}, IntegerType::get(value.getContext(), 8)) ||
        to.getSExtValue() - from.getSExtValue() != 255 || (i > 0 && from.getSExtValue() != low))
      return {};
    low = from.getSExtValue();
    before.push_back(most);
  }
  return before;
}

SmallVector<Value> sq::packBytes(ImplicitLocOpBuilder &b, ArrayRef<Value> values) {
  int32_t low = 0;
  SmallVector<Value> before = beforeUpperBound(values, low), rows;
  if (before.empty() || before.size() % 4 || low < INT16_MIN)
    return {};
  auto call = [&](Type type, StringRef name, ValueRange args) {
    return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), args).getResult(0);
  };
  auto splat = [&](Type element, int64_t lanes, int64_t value) {
    auto type = VectorType::get({lanes}, element);
    return arith::ConstantOp::create(b, DenseElementsAttr::get(type, b.getIntegerAttr(element, value)));
  };
  Type i8 = b.getI8Type(), i32 = b.getI32Type();
  auto words = VectorType::get({32}, b.getI16Type()), all = VectorType::get({64}, i8);
  for (size_t i = 0; i < before.size(); i += 4) {
    Value x[4], half[2];
    // From 0 on: before the first packing where that cannot overflow, else behind it, where it stops at the largest number.
    for (int j = 0; j < 4; ++j)
      x[j] = low > 0 ? Value(arith::SubIOp::create(b, before[i + j], splat(i32, 16, low))) : before[i + j];
    for (int j = 0; j < 2; ++j) {
      half[j] = call(words, "llvm.x86.avx512.packssdw.512", {x[2 * j], x[2 * j + 1]});
      if (low < 0)
        half[j] = call(words, "llvm.ssub.sat.v32i16", {half[j], splat(b.getI16Type(), 32, low)});
    }
    Value bytes = call(all, "llvm.x86.avx512.packuswb.512", {half[0], half[1]});
    // Fours of vector v lie at 4 L + v.
    Value fours = vector::BitCastOp::create(b, VectorType::get({16}, i32), bytes);
    SmallVector<int64_t> order;
    for (int64_t v = 0; v < 4; ++v)
      for (int64_t l = 0; l < 4; ++l)
        order.push_back(4 * l + v);
    bytes = vector::BitCastOp::create(b, all, vector::ShuffleOp::create(b, fours, fours, order));
    if (int8_t offset = static_cast<int8_t>(low))
      bytes = arith::AddIOp::create(b, bytes, splat(i8, 64, offset));
    for (int64_t j = 0; j < 2; ++j)
      rows.push_back(vector::ShuffleOp::create(b, bytes, bytes, llvm::to_vector(llvm::seq<int64_t>(32 * j, 32 * j + 32))));
  }
  return rows;
}
