/// The weights of onnxruntime's MatMulNBits: N rows of K numbers of 2 to 8 bits, in blocks that
/// have a scale and a zero point each, or with g_idx any column those of any block (GPTQ's act
/// order; ContribOperators.md). Numbers follow each other without gaps, the lowest bits first.
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

  int64_t bytes() const { return size * bits / 8; } // a size is a multiple of 16
  /// Bytes of a row of packed zero points: each row starts a byte.
  int64_t zeroBytes() const { return (count * bits + 7) / 8; }
};

/// The constant [N, K] of f32, when all operands are constant. `groups`: whose scale and zero point
/// a column has, if not its block's.
ElementsAttr unpackConstant(Lowering &l, Lowered *b, Lowered *scales, Lowered *zeros,
                            const Blocks &blocks, ArrayRef<int64_t> groups) {
  std::optional<std::vector<char>> packed = bytesOf(l, b), scale = bytesOf(l, scales), zero;
  if (zeros)
    zero = bytesOf(l, zeros);
  if (!packed || !scale || (zeros && !zero))
    return {};
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(blocks.n * blocks.k * sizeof(float), 64);
  char *out = blob.getMutableData().data();
  unsigned mask = (1u << blocks.bits) - 1;
  auto field = [&](const std::vector<char> &bytes, int64_t start, int64_t i) {
    int64_t at = start + i * blocks.bits / 8, shift = i * blocks.bits % 8;
    unsigned both = static_cast<uint8_t>(bytes[at]);
    if (shift + blocks.bits > 8)
      both |= static_cast<unsigned>(static_cast<uint8_t>(bytes[at + 1])) << 8;
    return static_cast<float>(both >> shift & mask);
  };
  for (int64_t n = 0; n < blocks.n; ++n)
    for (int64_t k = 0; k < blocks.k; ++k) {
      int64_t packedBlock = n * blocks.count + k / blocks.size;
      int64_t block = groups.empty() ? k / blocks.size : groups[k], index = n * blocks.count + block;
      float around = static_cast<float>(1 << (blocks.bits - 1));
      if (zeros)
        around = isa<FloatType>(zeros->element) ? floatAt(*zero, zeros->element, index)
                                                : field(*zero, n * blocks.zeroBytes(), block);
      float value = field(*packed, packedBlock * blocks.bytes(), k % blocks.size);
      float result = (value - around) * floatAt(*scale, scales->element, index);
      std::memcpy(out + (n * blocks.k + k) * sizeof(float), &result, sizeof(float));
    }
  auto type = RankedTensorType::get({blocks.n, blocks.k}, l.builder.getF32Type());
  return DenseResourceElementsAttr::get(type, "unpacked_blocks", std::move(blob));
}

/// g_idx: a block for each column; more than K (of a last block that is not full) are left out.
FailureOr<SmallVector<int64_t>> groupsOf(Lowering &l, Operation *op, const Blocks &blocks) {
  SmallVector<int64_t> groups;
  Lowered *given = l.operand(op, 3);
  if (!given)
    return groups;
  std::optional<std::vector<char>> bytes = bytesOf(l, given);
  if (!bytes || !given->element.isInteger(32) || int64_t(bytes->size() / 4) < blocks.k)
    return l.fail(op, "g_idx is not a constant of at least K = " + Twine(blocks.k) + " numbers (int32)");
  for (int64_t k = 0; k < blocks.k; ++k) {
    int32_t group;
    std::memcpy(&group, bytes->data() + k * 4, 4);
    if (group < 0 || group >= blocks.count)
      return l.fail(op, "g_idx has " + Twine(group) + " for column " + Twine(k) + "; there are blocks 0 to " +
                            Twine(blocks.count - 1));
    groups.push_back(group);
  }
  return groups;
}

/// sq.UnpackBlocks(B, scales, zero_points, g_idx) -> [N, K] of f32.
LogicalResult lowerUnpackBlocks(Lowering &l, Operation *op) {
  Lowered *b = l.operand(op, 0), *scales = l.operand(op, 1), *zeros = l.operand(op, 2);
  Blocks blocks{l.intAttr(op, "K", 0), l.intAttr(op, "N", 0), l.intAttr(op, "bits", 4),
                l.intAttr(op, "block_size", 0), 0};
  // So all products below fit in 64 bits.
  auto isSize = [](int64_t x, int64_t least) { return x >= least && x <= int64_t(1) << 30; };
  if (blocks.bits < 2 || blocks.bits > 8 || !isSize(blocks.k, 1) ||
      !isSize(blocks.n, 1) || !isSize(blocks.size, 16) || !llvm::isPowerOf2_64(blocks.size))
    return l.fail(op, "K or N (1 to 2^30), bits (2 to 8) or block_size (a power of 2 from 16 to 2^30) is "
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
  FailureOr<SmallVector<int64_t>> groups = groupsOf(l, op, blocks);
  if (failed(groups))
    return failure();
  Dims dims = {l.indexAttr(blocks.n), l.indexAttr(blocks.k)};
  Type f32 = l.builder.getF32Type();
  if (ElementsAttr constant = unpackConstant(l, b, scales, zeros, blocks, *groups)) {
    Lowered result;
    result.element = f32;
    result.dims = dims;
    result.constant = constant;
    l.set(op->getResult(0), std::move(result));
    return success();
  }

  // Flat, so that the operands' ranks (onnxruntime takes several) do not matter.
  Location loc = op->getLoc();
  Type index = l.builder.getIndexType(), i32 = l.builder.getI32Type(), i64 = l.builder.getI64Type();
  auto flat = [&](Lowered *x) {
    return l.reshape(loc, l.tensor(x), x->dims, {l.indexAttr(*staticCount(x->dims))});
  };
  Value packed = flat(b), scale = flat(scales), zero = zeros ? flat(zeros) : Value();
  Value groupTable;
  if (!groups->empty())
    groupTable = arith::ConstantOp::create(
        l.builder, loc, DenseElementsAttr::get(RankedTensorType::get({blocks.k}, i64), ArrayRef(*groups)));
  Value y = pointwise(l, loc, {}, dims, f32, [&](Scalars &s, ValueRange) {
    auto number = [&](int64_t value) { return s.integer(index, value); };
    auto divided = [&](Value x, int64_t by) { return s.make<arith::DivUIOp>(x, number(by)); };
    auto rest = [&](Value x, int64_t by) { return s.make<arith::RemUIOp>(x, number(by)); };
    auto field = [&](Value bytes, Value start, Value i) {
      Value bit = s.mul(i, number(blocks.bits)), at = s.add(start, divided(bit, 8));
      auto byte = [&](Value where) { return s.make<arith::ExtUIOp>(i32, extract(s, bytes, where)); };
      Value both = byte(at);
      if (8 % blocks.bits) { // some lie in two bytes; those that do not may be the last
        Value next = s.make<arith::MinUIOp>(s.add(at, number(1)), number(cast<RankedTensorType>(bytes.getType()).getDimSize(0) - 1));
        both = s.make<arith::OrIOp>(both, s.make<arith::ShLIOp>(byte(next), s.integer(i32, 8)));
      }
      both = s.make<arith::ShRUIOp>(both, s.make<arith::IndexCastOp>(i32, rest(bit, 8)));
      both = s.make<arith::AndIOp>(both, s.integer(i32, (1 << blocks.bits) - 1));
      return s.make<arith::UIToFPOp>(f32, both);
    };
    Value n = loopIndex(s, 0), k = loopIndex(s, 1), block = divided(k, blocks.size);
    Value packedAt = s.add(s.mul(n, number(blocks.count)), block), at = packedAt;
    if (groupTable) {
      block = s.make<arith::IndexCastOp>(index, extract(s, groupTable, k));
      at = s.add(s.mul(n, number(blocks.count)), block);
    }
    Value around = s.number(f32, 1 << (blocks.bits - 1));
    if (areFloats)
      around = convertFloat(s, extract(s, zero, at), f32);
    else if (zero)
      around = field(zero, s.mul(n, number(blocks.zeroBytes())), block);
    Value value = field(packed, s.mul(packedAt, number(blocks.bytes())), rest(k, blocks.size));
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
