//===-- TableLookup.cpp - codes into tables that lie in registers
//-------------===//
//
// Sixteen floats are one register of AVX-512: vpermps takes the low four bits
// of each lane for the index and ignores the others, so that codes need a shift
// and no mask. Of 3 bits the table is there twice, the fourth bit being any.
// AVX2 has eight entries in a register: one lookup for 3 bits, two and a blend
// for 4. Bytes: vpshufb, which ignores bits 4 to 6 but not 7, so that there a
// mask is needed. A gather would cost a load per code
// (specs/dense-and-sparse.md, section 7.1: a fifth of the speed).
//
// Floats of codes in groups are looked up as well, in a table of their levels:
// a mask and a conversion would be two instructions instead of one.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "codegen/host/CodedMatmul.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

/// `v` as many times as `lanes` take.
static Value repeat(ImplicitLocOpBuilder &b, Value v, int64_t lanes) {
  int64_t have = cast<VectorType>(v.getType()).getNumElements();
  if (have == lanes)
    return v;
  SmallVector<int64_t> mask;
  for (int64_t i = 0; i < lanes; ++i)
    mask.push_back(i % have);
  return vector::ShuffleOp::create(b, v, v, mask);
}

TableLookup::TableLookup(ImplicitLocOpBuilder &b, const TiledTarget &target,
                         int64_t bits, bool bytes, Value table, Value n)
    : target(target), bits(bits), bytes(bytes) {
  int64_t entries = int64_t(1) << bits;
  Value zero = indexConstant(b, 0);
  if (bytes) {
    Value row =
        vector::LoadOp::create(b, VectorType::get({entries}, b.getI8Type()),
                               table, ValueRange{n, zero});
    low = repeat(b, row, 4 * target.lanes);
    return;
  }
  int64_t part = std::min(entries, target.lanes);
  auto load = [&](int64_t first) {
    Value halves =
        vector::LoadOp::create(b, VectorType::get({part}, b.getF16Type()),
                               table, ValueRange{n, indexConstant(b, first)});
    Value floats = arith::ExtFOp::create(
        b, VectorType::get({part}, b.getF32Type()), halves);
    return repeat(b, floats, target.lanes);
  };
  low = load(0);
  if (entries > target.lanes)
    high = load(part);
}

TableLookup::TableLookup(ImplicitLocOpBuilder &b, CodedRows &coded)
    : target(coded.target), bits(coded.bits), bytes(coded.bytes) {
  if (bytes)
    return;
  int64_t entries = int64_t(1) << bits, part = std::min(entries, target.lanes);
  auto levels = [&](int64_t first) -> Value {
    SmallVector<float> values;
    for (int64_t i = 0; i < target.lanes; ++i)
      values.push_back(first + i % part - coded.levelOfZero());
    return arith::ConstantOp::create(
        b,
        DenseElementsAttr::get(VectorType::get({target.lanes}, b.getF32Type()),
                               ArrayRef<float>(values)));
  };
  low = levels(0);
  if (entries > target.lanes)
    high = levels(part);
}

TableLookup TableLookup::ofRow(ImplicitLocOpBuilder &b, CodedRows &coded,
                               Value n) {
  if (coded.groups.size)
    return TableLookup(b, coded);
  return TableLookup(b, coded.target, coded.bits, coded.bytes, coded.table, n);
}

Value TableLookup::call(ImplicitLocOpBuilder &b, Type type, StringRef name,
                        ValueRange args) {
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), args)
      .getResult(0);
}

Value TableLookup::splat(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  auto vector = cast<VectorType>(type);
  unsigned width = vector.getElementTypeBitWidth();
  return arith::ConstantOp::create(
      b,
      DenseElementsAttr::get(
          vector, b.getIntegerAttr(vector.getElementType(),
                                   llvm::APInt(width, value, /*isSigned=*/true,
                                               /*implicitTrunc=*/true))));
}

/// To the right by `by`, to the left if it is negative.
Value TableLookup::shifted(ImplicitLocOpBuilder &b, Value v, int64_t by) {
  if (by == 0)
    return v;
  Value amount = splat(b, v.getType(), std::abs(by));
  return by > 0 ? Value(arith::ShRUIOp::create(b, v, amount))
                : Value(arith::ShLIOp::create(b, v, amount));
}

Value TableLookup::weights(ImplicitLocOpBuilder &b, ArrayRef<Value> words,
                           int64_t s) {
  if (bytes)
    return byteWeights(b, words, s);
  int64_t bit = s * bits, word = bit / 32, shift = bit % 32;
  Value index = shifted(b, words[word], shift);
  if (shift + bits > 32) // the rest of the code is in the next word
    index =
        arith::OrIOp::create(b, index, shifted(b, words[word + 1], shift - 32));
  auto floats = VectorType::get({target.lanes}, b.getF32Type());
  if (target.lanes == 16)
    return call(b, floats, "llvm.x86.avx512.permvar.sf.512", {low, index});
  Value entry = call(b, floats, "llvm.x86.avx2.permps", {low, index});
  if (!high)
    return entry;
  // Bit 3 of the code, as a sign.
  Value sign =
      vector::BitCastOp::create(b, floats, shifted(b, words[word], shift - 28));
  return call(
      b, floats, "llvm.x86.avx.blendv.ps.256",
      {entry, call(b, floats, "llvm.x86.avx2.permps", {high, index}), sign});
}

Value TableLookup::byteWeights(ImplicitLocOpBuilder &b, ArrayRef<Value> words,
                               int64_t s) {
  Type type = words[0].getType();
  auto pairs = VectorType::get(
      {2 * target.lanes}, b.getI16Type()); // bytes have no shifts; what comes
                                           // from the neighbour is masked out
  auto take = [&](Value v, int64_t by, int64_t mask) -> Value {
    if (by) {
      Value wide = shifted(b, vector::BitCastOp::create(b, pairs, v), by);
      v = vector::BitCastOp::create(b, type, wide);
    }
    return arith::AndIOp::create(b, v, splat(b, type, mask));
  };
  // vpshufb does not mind what is above the code; where nothing is looked up it
  // has to go.
  int64_t mask = low ? 15 : (1 << bits) - 1;
  Value index;
  if (bits != 3)
    index = take(words[0], bits * s, mask);
  else if (s < 6)
    index = take(words[s / 2], 3 * (s % 2), mask);
  else if (s == 6) // as lib/numerics/Codes.cpp puts the last two codes
    index = arith::OrIOp::create(b, take(words[0], 6, 3), take(words[1], 4, 4));
  else
    index = arith::OrIOp::create(b, take(words[2], 6, 3), take(words[1], 5, 4));
  if (!low)
    return index;
  return call(b, type,
              target.lanes == 16 ? "llvm.x86.avx512.pshuf.b.512"
                                 : "llvm.x86.avx2.pshuf.b",
              {low, index});
}
