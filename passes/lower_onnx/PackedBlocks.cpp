/// The weights of onnxruntime's MatMulNBits: N rows of K numbers of 2, 4 or 8 bits, in
/// blocks that have a scale and a zero point each (ContribOperators.md).
#include "passes/lower_onnx/Constants.h"
#include "passes/lower_onnx/Generics.h"

#include "mlir/IR/DialectResourceBlobManager.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace sq;

namespace {

/// How B [N, blocks, bytes] is read.
struct Blocks {
  int64_t k, n, bits, size, count;

  int64_t bytes() const { return size * bits / 8; }
  int64_t perByte() const { return 8 / bits; }
  /// Bytes of a row of packed zero points: each row starts a byte.
  int64_t zeroBytes() const { return (count * bits + 7) / 8; }
};

/// The constant [N, K] of f32, when all operands are constant.
ElementsAttr unpackConstant(Lowering &l, Lowered *b, Lowered *scales, Lowered *zeros,
                            const Blocks &blocks) {
  std::optional<std::vector<char>> packed = bytesOf(l, b), scale = bytesOf(l, scales), zero;
  if (zeros)
    zero = bytesOf(l, zeros);
  if (!packed || !scale || (zeros && !zero))
    return {};
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(blocks.n * blocks.k * sizeof(float), 64);
  char *out = blob.getMutableData().data();
  unsigned mask = (1u << blocks.bits) - 1;
  auto field = [&](const std::vector<char> &bytes, int64_t start, int64_t i) {
    uint8_t byte = bytes[start + i / blocks.perByte()];
    return static_cast<float>(byte >> (i % blocks.perByte() * blocks.bits) & mask);
  };
  for (int64_t n = 0; n < blocks.n; ++n)
    for (int64_t k = 0; k < blocks.k; ++k) {
      int64_t block = k / blocks.size, index = n * blocks.count + block;
      float around = static_cast<float>(1 << (blocks.bits - 1));
      if (zeros)
        around = isa<FloatType>(zeros->element) ? floatAt(*zero, zeros->element, index)
                                                : field(*zero, n * blocks.zeroBytes(), block);
      float value = field(*packed, index * blocks.bytes(), k % blocks.size);
      float result = (value - around) * floatAt(*scale, scales->element, index);
      std::memcpy(out + (n * blocks.k + k) * sizeof(float), &result, sizeof(float));
    }
  auto type = RankedTensorType::get({blocks.n, blocks.k}, l.builder.getF32Type());
  return DenseResourceElementsAttr::get(type, "unpacked_blocks", std::move(blob));
}

/// sq.UnpackBlocks(B, scales, zero_points) -> [N, K] of f32.
LogicalResult lowerUnpackBlocks(Lowering &l, Operation *op) {
  Lowered *b = l.operand(op, 0), *scales = l.operand(op, 1), *zeros = l.operand(op, 2);
  Blocks blocks{l.intAttr(op, "K", 0), l.intAttr(op, "N", 0), l.intAttr(op, "bits", 4),
                l.intAttr(op, "block_size", 0), 0};
  // So all products below fit in 64 bits.
  auto isSize = [](int64_t x, int64_t least) { return x >= least && x <= int64_t(1) << 30; };
  if ((blocks.bits != 2 && blocks.bits != 4 && blocks.bits != 8) || !isSize(blocks.k, 1) ||
      !isSize(blocks.n, 1) || !isSize(blocks.size, 16) || !llvm::isPowerOf2_64(blocks.size))
    return l.fail(op, "K or N (1 to 2^30), bits (2, 4 or 8) or block_size (a power of 2 from 16 to 2^30) is "
                      "not valid");
  blocks.count = llvm::divideCeil(blocks.k, blocks.size);
  int64_t count = blocks.n * blocks.count;
  if (!b->element.isUnsignedInteger(8) || staticCount(b->dims) != count * blocks.bytes())
    return l.fail(op, "B is not " + Twine(count * blocks.bytes()) + " bytes (uint8)");
  if (!isSupportedFloat(scales->element) || staticCount(scales->dims) != count)
    return l.fail(op, "scales are not " + Twine(count) + " floats");
  bool areFloats = zeros && isSupportedFloat(zeros->element);
  int64_t zeroCount = areFloats ? count : blocks.n * blocks.zeroBytes();
  if (zeros && ((!areFloats && !zeros->element.isUnsignedInteger(8)) ||
                staticCount(zeros->dims) != zeroCount))
    return l.fail(op, "zero_points are neither " + Twine(blocks.n * blocks.zeroBytes()) +
                          " bytes (uint8) nor " + Twine(count) + " floats");
  Dims dims = {l.indexAttr(blocks.n), l.indexAttr(blocks.k)};
  Type f32 = l.builder.getF32Type();
  if (ElementsAttr constant = unpackConstant(l, b, scales, zeros, blocks)) {
    Lowered result;
    result.element = f32;
    result.dims = dims;
    result.constant = constant;
    l.set(op->getResult(0), std::move(result));
    return success();
  }

  // Flat, so that the operands' ranks (onnxruntime takes several) do not matter.
  Location loc = op->getLoc();
  Type index = l.builder.getIndexType(), i32 = l.builder.getI32Type();
  auto flat = [&](Lowered *x) {
    return l.reshape(loc, l.tensor(x), x->dims, {l.indexAttr(*staticCount(x->dims))});
  };
  Value packed = flat(b), scale = flat(scales), zero = zeros ? flat(zeros) : Value();
  Value y = pointwise(l, loc, {}, dims, f32, [&](Scalars &s, ValueRange) {
    auto number = [&](int64_t value) { return s.integer(index, value); };
    auto divided = [&](Value x, int64_t by) { return s.make<arith::DivUIOp>(x, number(by)); };
    auto rest = [&](Value x, int64_t by) { return s.make<arith::RemUIOp>(x, number(by)); };
    auto field = [&](Value bytes, Value start, Value i) {
      Value at = s.add(start, divided(i, blocks.perByte()));
      Value byte = s.make<arith::ExtUIOp>(i32, extract(s, bytes, at));
      Value shift = s.mul(rest(i, blocks.perByte()), number(blocks.bits));
      byte = s.make<arith::ShRUIOp>(byte, s.make<arith::IndexCastOp>(i32, shift));
      byte = s.make<arith::AndIOp>(byte, s.integer(i32, (1 << blocks.bits) - 1));
      return s.make<arith::UIToFPOp>(f32, byte);
    };
    Value n = loopIndex(s, 0), k = loopIndex(s, 1), block = divided(k, blocks.size);
    Value at = s.add(s.mul(n, number(blocks.count)), block);
    Value around = s.number(f32, 1 << (blocks.bits - 1));
    if (areFloats)
      around = convertFloat(s, extract(s, zero, at), f32);
    else if (zero)
      around = field(zero, s.mul(n, number(blocks.zeroBytes())), block);
    Value value = field(packed, s.mul(at, number(blocks.bytes())), rest(k, blocks.size));
    return s.make<arith::MulFOp>(s.make<arith::SubFOp>(value, around),
                                 convertFloat(s, extract(s, scale, at), f32));
  });
  l.setTensor(op, 0, y, dims, f32);
  return success();
}

} // namespace

void sq::registerPackedBlocks(LoweringTable &table) {
  table["sq.UnpackBlocks"] = {lowerUnpackBlocks, 2};
}
