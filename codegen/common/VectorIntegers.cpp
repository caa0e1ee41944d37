//===-- VectorIntegers.cpp - 64-bit integers in pairs of lanes ------------===//

#include "codegen/common/VectorIntegers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

// LLVM takes 32-bit products where it sees the extension beside them, and moves
// just this form of it there.
Value sq::halfLanes(ImplicitLocOpBuilder &b, Value v, bool odd, bool isSigned) {
  int64_t lanes = cast<VectorType>(v.getType()).getNumElements();
  auto wide = VectorType::get({lanes / 2}, b.getI64Type());
  auto splat = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(wide, value));
  };
  if (odd) {
    SmallVector<int64_t> mask;
    for (int64_t lane = 0; lane < lanes; ++lane)
      mask.push_back(lane | 1);
    v = vector::ShuffleOp::create(b, v, v, mask);
  }
  v = vector::BitCastOp::create(b, wide, v);
  if (!isSigned)
    return arith::AndIOp::create(b, v, splat(UINT32_MAX));
  return arith::ShRSIOp::create(b, arith::ShLIOp::create(b, v, splat(32)),
                                splat(32));
}

Value sq::joinHalves(ImplicitLocOpBuilder &b, Value even, Value odd) {
  int64_t lanes = 2 * cast<VectorType>(even.getType()).getNumElements();
  auto narrow = VectorType::get({lanes}, b.getI32Type());
  SmallVector<int64_t> mask;
  for (int64_t lane = 0; lane < lanes; ++lane)
    mask.push_back(lane % 2 ? lanes + lane - 1 : lane);
  return vector::ShuffleOp::create(
      b, vector::BitCastOp::create(b, narrow, even),
      vector::BitCastOp::create(b, narrow, odd), mask);
}

namespace {

/// Every second lane of vectors of 64-bit integers.
struct Halves {
  ImplicitLocOpBuilder b;
  int64_t lanes; // of the whole vectors
  DenseMap<Value, Value> known[2];

  Halves(Location loc, OpBuilder &builder, int64_t lanes)
      : b(loc, builder), lanes(lanes) {}

  VectorType wide() { return VectorType::get({lanes / 2}, b.getI64Type()); }
  VectorType narrow() { return VectorType::get({lanes}, b.getI32Type()); }

  static bool isArithmetic(Operation *op) {
    return isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::ShLIOp,
               arith::ShRSIOp, arith::ShRUIOp, arith::MinSIOp, arith::MaxSIOp,
               arith::MinUIOp, arith::MaxUIOp, arith::AndIOp, arith::OrIOp,
               arith::XOrIOp, arith::CmpIOp, arith::SelectOp>(op);
  }

  /// What a 64-bit number was extended from; null if it was not from 32 bits or
  /// fewer.
  static Value extended(Value v) {
    Operation *op = v.getDefiningOp();
    if (!isa_and_nonnull<arith::ExtSIOp, arith::ExtUIOp>(op) ||
        getElementTypeOrSelf(op->getOperand(0)).getIntOrFloatBitWidth() > 32 ||
        getElementTypeOrSelf(op->getOperand(0)).isInteger(1))
      return Value();
    return op->getOperand(0);
  }

  /// Whether every second lane of `v` can be had, in few operations, which
  /// `seen` gathers.
  static bool isSplittable(Value v, SetVector<Operation *> &seen) {
    constexpr size_t kMost = 128;
    Operation *op = v.getDefiningOp();
    if (matchPattern(v, m_Constant()))
      return isa<SplatElementsAttr>(cast<arith::ConstantOp>(op).getValue());
    if (auto broadcast = v.getDefiningOp<vector::BroadcastOp>())
      return broadcast.getSource().getType().isInteger(64);
    if (extended(v))
      return true;
    if (!op || !isArithmetic(op))
      return false;
    if (!seen.insert(op))
      return true;
    return seen.size() <= kMost &&
           llvm::all_of(op->getOperands(), [&](Value operand) {
             return isSplittable(operand, seen);
           });
  }

  Value split(Value v, bool odd) {
    if (Value found = known[odd].lookup(v))
      return found;
    Value result = make(v, odd);
    known[odd][v] = result;
    return result;
  }

  Value make(Value v, bool odd) {
    Operation *op = v.getDefiningOp();
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      auto element = cast<SplatElementsAttr>(constant.getValue())
                         .getSplatValue<Attribute>();
      auto type = VectorType::get(
          {lanes / 2}, cast<VectorType>(v.getType()).getElementType());
      return arith::ConstantOp::create(b,
                                       DenseElementsAttr::get(type, element));
    }
    if (auto broadcast = dyn_cast<vector::BroadcastOp>(op)) {
      Value source = broadcast.getSource(), from = extended(source);
      if (!from || !from.getType().isInteger(32))
        return vector::BroadcastOp::create(b, wide(), source);
      return sq::halfLanes(b, vector::BroadcastOp::create(b, narrow(), from),
                           /*odd=*/false,
                           isa<arith::ExtSIOp>(source.getDefiningOp()));
    }
    if (Value from = extended(v)) {
      bool isSigned = isa<arith::ExtSIOp>(op);
      if (!getElementTypeOrSelf(from).isInteger(32))
        from = isSigned ? Value(arith::ExtSIOp::create(b, narrow(), from))
                        : Value(arith::ExtUIOp::create(b, narrow(), from));
      return sq::halfLanes(b, from, odd, isSigned);
    }
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(split(operand, odd));
    OperationState state(b.getLoc(), op->getName());
    state.addOperands(operands);
    state.addTypes(VectorType::get(
        {lanes / 2}, cast<VectorType>(v.getType()).getElementType()));
    state.propertiesAttr = op->getPropertiesAsAttribute();
    return b.create(state)->getResult(0);
  }
};

struct TruncateHalves : OpRewritePattern<arith::TruncIOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::TruncIOp op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<VectorType>(op.getIn().getType());
    if (!type || !type.getElementType().isInteger(64) || type.getRank() != 1 ||
        type.isScalable() || type.getNumElements() % 8 ||
        getElementTypeOrSelf(op.getType()).getIntOrFloatBitWidth() > 32)
      return rewriter.notifyMatchFailure(
          op, "not from vectors of 64 bits to 32 bits or fewer");
    SetVector<Operation *> seen;
    if (!Halves::isSplittable(op.getIn(), seen) ||
        llvm::none_of(seen, llvm::IsaPred<arith::MulIOp>))
      return rewriter.notifyMatchFailure(op,
                                         "not products of what had 32 bits");
    Halves h(op.getLoc(), rewriter, type.getNumElements());
    Value even = h.split(op.getIn(), false), odd = h.split(op.getIn(), true);
    Value result = sq::joinHalves(h.b, even, odd);
    if (result.getType() != op.getType())
      result = arith::TruncIOp::create(h.b, op.getType(), result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Parabolas
//===----------------------------------------------------------------------===//

/// Tables of 32 numbers, and arithmetic on 32-bit numbers or vectors of them.
struct Segments {
  ImplicitLocOpBuilder &b;
  Type type;
  int64_t lanes; // 0: a number

  Value number(int64_t value) {
    TypedAttr attribute = b.getI32IntegerAttr(static_cast<int32_t>(value));
    if (auto vector = dyn_cast<VectorType>(type))
      attribute = DenseElementsAttr::get(vector, Attribute(attribute));
    return arith::ConstantOp::create(b, attribute);
  }
  Value call(Type result, StringRef name, ValueRange args) {
    return LLVM::CallIntrinsicOp::create(b, result, b.getStringAttr(name), args)
        .getResult(0);
  }
  Value bit(Value i, int64_t n) {
    Value masked = arith::AndIOp::create(b, i, number(INT64_C(1) << n));
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, masked,
                                 number(0));
  }

  /// Entries of the low five bits of `i`.
  Value lookUp(ArrayRef<int32_t> table, Value i) {
    SmallVector<Value> parts; // by what more bits than lanes have say
    int64_t bitsInside = lanes == 16 ? 4 : lanes == 8 ? 3 : 0;
    for (size_t first = 0; first < table.size();
         first += size_t(1) << bitsInside)
      parts.push_back(
          bitsInside
              ? Value(arith::ConstantOp::create(
                    b, DenseElementsAttr::get(cast<VectorType>(type),
                                              table.slice(first, lanes))))
              : number(table[first]));
    if (lanes == 16)
      return call(type, "llvm.x86.avx512.vpermi2var.d.512",
                  {parts[0], i, parts[1]});
    if (lanes == 8)
      for (Value &part : parts)
        part = call(type, "llvm.x86.avx2.permd", {part, i});
    for (int64_t n = bitsInside; parts.size() > 1; ++n) {
      Value isSet = bit(i, n);
      for (size_t p = 0; 2 * p < parts.size(); ++p)
        parts[p] =
            arith::SelectOp::create(b, isSet, parts[2 * p + 1], parts[2 * p]);
      parts.resize(parts.size() / 2);
    }
    return parts[0];
  }
};

struct WriteOutParabola : OpRewritePattern<sq::ParabolaOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(sq::ParabolaOp op,
                                PatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, sq::emitParabola(b, op, op.getX()));
    return success();
  }
};

} // namespace

Value sq::emitParabola(ImplicitLocOpBuilder &b, ParabolaOp op, Value x) {
  auto vector = dyn_cast<VectorType>(x.getType());
  Segments s{b, x.getType(),
             vector && vector.getRank() == 1 ? vector.getNumElements() : 0};
  constexpr int64_t kBits = numerics::IntegerPiecewise::kSegmentBits,
                    kWidth = INT64_C(1) << kBits;
  Value i = arith::ShRUIOp::create(b, x, s.number(kBits)),
        base = s.lookUp(op.getBases(), i);
  if (s.lanes != 8 && s.lanes != 16) {
    Value r = arith::SubIOp::create(
        b, arith::AndIOp::create(b, x, s.number(kWidth - 1)),
        s.number(kWidth / 2));
    Value slope = arith::MulIOp::create(b, s.lookUp(op.getSlopes(), i), r);
    Value curve = arith::MulIOp::create(b, s.lookUp(op.getCurves(), i),
                                        arith::MulIOp::create(b, r, r));
    return arith::AddIOp::create(b, base,
                                 arith::AddIOp::create(b, slope, curve));
  }
  // Pairs of 16 bits, (slope, curve) and (r, r^2), in one product. The latter
  // is (r, r) times (1, r), whose r comes from the lowest byte.
  SmallVector<int32_t> factors;
  for (auto [slope, curve] : llvm::zip(op.getSlopes(), op.getCurves()))
    factors.push_back(static_cast<int32_t>(uint32_t(curve) << 16 |
                                           (uint32_t(slope) & 0xffff)));
  auto pairs = VectorType::get({2 * s.lanes}, b.getI16Type()),
       bytes = VectorType::get({4 * s.lanes}, b.getI8Type());
  auto as = [&](VectorType type, Value v) -> Value {
    return vector::BitCastOp::create(b, type, v);
  };
  SmallVector<int8_t> places; // in each 16 bytes; negative: 0
  for (int64_t lane = 0; lane < s.lanes; ++lane)
    for (int8_t place :
         {4 * (lane % 4), INT64_C(-1), 4 * (lane % 4), INT64_C(-1)})
      places.push_back(place);
  Value shuffle = arith::ConstantOp::create(
      b, DenseElementsAttr::get(bytes, ArrayRef(places)));
  Value twice = s.call(bytes,
                       s.lanes == 16 ? "llvm.x86.avx512.pshuf.b.512"
                                     : "llvm.x86.avx2.pshuf.b",
                       {as(bytes, x), shuffle});
  Value middle = arith::ConstantOp::create(
      b, DenseElementsAttr::get(pairs,
                                Attribute(b.getI16IntegerAttr(kWidth / 2))));
  twice = arith::SubIOp::create(b, as(pairs, twice), middle);
  Value once = arith::OrIOp::create(
      b,
      arith::AndIOp::create(b, as(cast<VectorType>(s.type), twice),
                            s.number(INT64_C(-1) << 16)),
      s.number(1));
  Value powers = arith::MulIOp::create(b, twice, as(pairs, once));
  Value product = s.call(s.type,
                         s.lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512"
                                       : "llvm.x86.avx2.pmadd.wd",
                         {as(pairs, s.lookUp(factors, i)), powers});
  return arith::AddIOp::create(b, base, product);
}

void sq::populateVectorIntegerPatterns(RewritePatternSet &patterns) {
  patterns.add<TruncateHalves, WriteOutParabola>(patterns.getContext());
}
