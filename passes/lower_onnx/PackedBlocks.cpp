/// The weights of onnxruntime's MatMulNBits: N rows of K numbers of 2 to 8 bits, in blocks that
/// have a scale and a zero point each, or with g_idx any column those of any block (GPTQ's act
/// order; ContribOperators.md). Numbers follow each other without gaps, the lowest bits first.
///
/// Constant ones of up to 4 bits stay codes, `sq.grouped_matmul`; others become floats.
#include "passes/lower_onnx/Constants.h"
#include "passes/lower_onnx/Contractions.h"
#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/GroupedProducts.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Remarks.h"

#include "dialects/sq/IR/SqOps.h"
#include "lib/numerics/Codes.h"
#include "passes/GroupedWeights.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace sq;

namespace {

/// How B [N, blocks, bytes] is read.
struct Blocks {
  int64_t k, n, bits, size, count;
  bool mayRound; // A to 8 bits

  int64_t bytes() const { return size * bits / 8; } // a size is a multiple of 16
  /// Bytes of a row of packed zero points: each row starts a byte.
  int64_t zeroBytes() const { return (count * bits + 7) / 8; }

  /// Number i of those that begin at byte `start`.
  unsigned numberAt(ArrayRef<char> from, int64_t start, int64_t i) const {
    int64_t at = start + i * bits / 8, shift = i * bits % 8;
    unsigned both = static_cast<uint8_t>(from[at]);
    if (shift + bits > 8)
      both |= static_cast<unsigned>(static_cast<uint8_t>(from[at + 1])) << 8;
    return both >> shift & ((1u << bits) - 1);
  }
};

/// B, scales, zero_points (null: none), and g_idx where it is not the usual one.
struct Operands {
  Lowered *b, *scales, *zeros;
  SmallVector<int64_t> groups;

  bool hasFloatZeros() const { return zeros && isSupportedFloat(zeros->element); }
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
  auto field = [&](const std::vector<char> &bytes, int64_t start, int64_t i) {
    return static_cast<float>(blocks.numberAt(bytes, start, i));
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
  Lowered *given = l.operand(op, 4);
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

/// What the attributes say, checked against the operands.
FailureOr<Blocks> blocksOf(Lowering &l, Operation *op, Operands &given) {
  constexpr int64_t kInt8 = 4; // accuracy_level: A may be rounded so far; otherwise it may not
  Blocks blocks{l.intAttr(op, "K", 0), l.intAttr(op, "N", 0), l.intAttr(op, "bits", 4),
                l.intAttr(op, "block_size", 0), 0, l.intAttr(op, "accuracy_level", 0) == kInt8};
  // So all products below fit in 64 bits.
  auto isSize = [](int64_t x, int64_t least) { return x >= least && x <= int64_t(1) << 30; };
  if (blocks.bits < 2 || blocks.bits > 8 || !isSize(blocks.k, 1) ||
      !isSize(blocks.n, 1) || !isSize(blocks.size, 16) || !llvm::isPowerOf2_64(blocks.size))
    return l.fail(op, "K or N (1 to 2^30), bits (2 to 8) or block_size (a power of 2 from 16 to 2^30) is "
                      "not valid");
  blocks.count = llvm::divideCeil(blocks.k, blocks.size);
  int64_t count = blocks.n * blocks.count;
  if (!given.b->element.isUnsignedInteger(8) || staticCount(given.b->dims) != count * blocks.bytes())
    return l.fail(op, "B is not " + Twine(count * blocks.bytes()) + " bytes (uint8)");
  if (!isSupportedFloat(given.scales->element) || staticCount(given.scales->dims) != count)
    return l.fail(op, "scales are not " + Twine(count) + " floats");
  int64_t zeroCount = given.hasFloatZeros() ? count : blocks.n * blocks.zeroBytes();
  if (given.zeros && ((!given.hasFloatZeros() && !given.zeros->element.isUnsignedInteger(8)) ||
                      staticCount(given.zeros->dims) != zeroCount))
    return l.fail(op, "zero_points are neither " + Twine(blocks.n * blocks.zeroBytes()) +
                          " bytes (uint8) nor " + Twine(count) + " floats");
  FailureOr<SmallVector<int64_t>> groups = groupsOf(l, op, blocks);
  if (failed(groups))
    return failure();
  bool isUsual = true;
  for (auto [k, group] : llvm::enumerate(*groups))
    isUsual &= group == int64_t(k) / blocks.size;
  if (!isUsual)
    given.groups = std::move(*groups);
  return blocks;
}

/// [N, K] of f32, a constant where all operands are.
Lowered unpack(Lowering &l, Operation *op, const Blocks &blocks, const Operands &given) {
  Dims dims = {l.indexAttr(blocks.n), l.indexAttr(blocks.k)};
  Type f32 = l.builder.getF32Type();
  Lowered *b = given.b, *scales = given.scales, *zeros = given.zeros;
  Lowered result;
  result.element = f32;
  result.dims = dims;
  result.constant = unpackConstant(l, b, scales, zeros, blocks, given.groups);
  if (result.constant)
    return result;

  // Flat, so that the operands' ranks (onnxruntime takes several) do not matter.
  Location loc = op->getLoc();
  Type index = l.builder.getIndexType(), i32 = l.builder.getI32Type(), i64 = l.builder.getI64Type();
  auto flat = [&](Lowered *x) {
    return l.reshape(loc, l.tensor(x), x->dims, {l.indexAttr(*staticCount(x->dims))});
  };
  Value packed = flat(b), scale = flat(scales), zero = zeros ? flat(zeros) : Value();
  Value groupTable;
  if (!given.groups.empty())
    groupTable = arith::ConstantOp::create(
        l.builder, loc, DenseElementsAttr::get(RankedTensorType::get({blocks.k}, i64), ArrayRef(given.groups)));
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
    if (given.hasFloatZeros())
      around = convertFloat(s, extract(s, zero, at), f32);
    else if (zero)
      around = field(zero, s.mul(n, number(blocks.zeroBytes())), block);
    Value value = field(packed, s.mul(packedAt, number(blocks.bytes())), rest(k, blocks.size));
    return s.make<arith::MulFOp>(s.make<arith::SubFOp>(value, around),
                                 convertFloat(s, extract(s, scale, at), f32));
  });
  return asLowered(y, dims, f32);
}

//===-- Codes that stay codes ----------------------------------------------------===//

/// Floats in the shape [N, blocks]; f16 where they are.
Value floatConstant(OpBuilder &b, Location loc, ArrayRef<int64_t> shape, ArrayRef<char> bytes, Type element, StringRef name) {
  if (element.isF16()) {
    ArrayRef<uint16_t> halves(reinterpret_cast<const uint16_t *>(bytes.data()), bytes.size() / 2);
    return largeConstant<uint16_t>(b, loc, shape, element, halves, name);
  }
  std::vector<float> values(shape[0] * shape[1]);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = floatAt(bytes, element, i);
  return largeConstant<float>(b, loc, shape, b.getF32Type(), values, name);
}

/// Rows of codes: those of B are streams too, padded to a block instead of 32 numbers.
Value codesOf(OpBuilder &b, Location loc, const Blocks &blocks, ArrayRef<char> packed) {
  int64_t words = numerics::rowWords(blocks.k, blocks.bits), bits = blocks.k * blocks.bits;
  int64_t rowBytes = blocks.count * blocks.bytes(), used = llvm::divideCeil(bits, 8);
  std::vector<uint32_t> codes(blocks.n * words);
  for (int64_t n = 0; n < blocks.n; ++n) {
    char *row = reinterpret_cast<char *>(codes.data() + n * words);
    std::memcpy(row, packed.data() + n * rowBytes, used);
    if (bits % 8) // of numbers past K
      row[used - 1] &= (1 << bits % 8) - 1;
  }
  return largeConstant<uint32_t>(b, loc, {blocks.n, words}, b.getI32Type(), codes, "codes");
}

/// Why the numbers cannot stay codes; empty when they did, in `result`.
std::string keepCodes(Lowering &l, Operation *op, const Blocks &blocks, const Operands &given, GroupedConstants &result) {
  if (blocks.bits > 4)
    return "numbers of " + std::to_string(blocks.bits) + " bits; there are kernels for 2 to 4";
  if (!given.groups.empty())
    return "g_idx scatters groups over columns";
  std::optional<std::vector<char>> packed = bytesOf(l, given.b), scale = bytesOf(l, given.scales), zero;
  if (given.zeros)
    zero = bytesOf(l, given.zeros);
  if (!packed || !scale || (given.zeros && !zero))
    return "B, scales or zero_points are not constant";
  int64_t count = blocks.n * blocks.count;
  for (int64_t i = 0; i < count; ++i)
    if (!std::isfinite(floatAt(*scale, given.scales->element, i)))
      return "scales are not all finite";
  std::vector<float> minima;
  std::vector<uint8_t> zeros;
  if (!given.zeros) {
    result.zeroPoint = int64_t(1) << (blocks.bits - 1);
  } else if (given.hasFloatZeros()) {
    // Most are whole numbers.
    bool areBytes = true;
    for (int64_t i = 0; i < count; ++i) {
      float around = floatAt(*zero, given.zeros->element, i);
      if (!std::isfinite(around))
        return "zero_points are not all finite";
      areBytes &= around >= 0 && around <= 255 && around == std::floor(around);
      minima.push_back(-around * floatAt(*scale, given.scales->element, i));
      if (!std::isfinite(minima.back()))
        return "zero_points are too large for their scales";
    }
    if (areBytes)
      for (int64_t i = 0; i < count; ++i)
        zeros.push_back(static_cast<uint8_t>(floatAt(*zero, given.zeros->element, i)));
  } else {
    for (int64_t n = 0; n < blocks.n; ++n)
      for (int64_t i = 0; i < blocks.count; ++i)
        zeros.push_back(blocks.numberAt(*zero, n * blocks.zeroBytes(), i));
  }
  OpBuilder &b = l.builder;
  Location loc = op->getLoc();
  int64_t shape[] = {blocks.n, blocks.count};
  if (!zeros.empty())
    result.offsets = largeConstant<uint8_t>(b, loc, shape, b.getI8Type(), zeros, "zero_points");
  else if (!minima.empty())
    result.offsets = largeConstant<float>(b, loc, shape, b.getF32Type(), minima, "minima");
  result.scales = floatConstant(b, loc, shape, *scale, given.scales->element, "scales");
  result.codes = codesOf(b, loc, blocks, *packed);
  result.n = blocks.n, result.k = blocks.k, result.bits = blocks.bits, result.size = blocks.size, result.mayRound = blocks.mayRound;
  return "";
}

/// sq.MatMulBlocks(A, B, scales, zero_points, g_idx): A of f32 [.., K] by the transposed [N, K].
LogicalResult lowerMatMulBlocks(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  Operands given{l.operand(op, 1), l.operand(op, 2), l.operand(op, 3), {}};
  FailureOr<Blocks> blocks = blocksOf(l, op, given);
  if (failed(blocks))
    return failure();
  if (!x->element.isF32() || x->rank() < 1)
    return l.fail(op, "A is not a tensor of floats with one dimension or more");
  GroupedConstants constants;
  std::string why = keepCodes(l, op, *blocks, given, constants);
  FailureOr<Lowered> product = failure();
  if (why.empty()) {
    product = multiplyByCodes(l, op, x, constants);
  } else {
    remark::missed(op->getLoc(), remark::RemarkOpts::name("unpacked").category("sq-lower-onnx"))
        << remark::reason("a weight of floats instead of codes: {0}", why);
    Lowered weight = unpack(l, op, *blocks, given);
    product = multiplyByMatrix(l, op, x, &weight, /*transposed=*/true);
  }
  if (failed(product))
    return failure();
  l.set(op->getResult(0), *product);
  return success();
}

} // namespace

void sq::registerPackedBlocks(LoweringTable &table) {
  table["sq.MatMulBlocks"] = {lowerMatMulBlocks, 3};
}
