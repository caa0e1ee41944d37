//===-- LowerQuantized.cpp - quantised elements become integers ---------------===//
//
// From here on a quantised tensor is its storage. A product of bytes sums x * w
// with x unsigned and w signed, as the machine has it, so that signed activations
// and unsigned weights are moved by 128 first; with zero points zx and zw
//   sum (x - zx)(w - zw) = sum x w - zx (sum w - K zw) - zw sum x,
// where all but the first and the last sum are known now. The last one is one sum for
// each row of x, of no account where weights are symmetric.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Iterators.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include "dialects/sq/IR/SqOps.h"
#include "lib/numerics/Interval.h"
#include "passes/Passes.h"
#include "passes/Pointwise.h"
#include "passes/QuantizedWeight.h"

namespace sq {
#define GEN_PASS_DEF_LOWERQUANTIZEDPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using quant::QuantizedType;
using quant::UniformQuantizedPerAxisType;
using quant::UniformQuantizedType;

namespace {

/// Adding it to a small float rounds that to an integer, which is then in the low bits.
constexpr double kRounder = 12582912.0; // 1.5 * 2^23

QuantizedType quantizedOf(Value v) { return cast<QuantizedType>(getElementTypeOrSelf(v.getType())); }

/// Elements of less than 8 bits lie in bytes.
Type storageOf(QuantizedType type) {
  unsigned width = type.getStorageTypeIntegralWidth();
  return IntegerType::get(type.getContext(), width <= 8 ? 8 : 16);
}

RankedTensorType storageType(Value v) {
  return cast<RankedTensorType>(v.getType()).clone(storageOf(quantizedOf(v)));
}

struct Lowering {
  ImplicitLocOpBuilder b;
  bool products; // of bytes; otherwise layers are expanded

  Value empty(Value like, Type element) {
    return tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), like), element);
  }

  Value pointwise(Value x, Type element, sq::Body body) {
    return sq::pointwise(b, sq::like(b, x), empty(x, element), body);
  }

  /// The storage of a quantised value.
  Value storage(Value v) {
    auto type = storageType(v);
    if (auto cast = v.getDefiningOp<quant::StorageCastOp>(); cast && cast.getInput().getType() == type)
      return cast.getInput();
    return quant::StorageCastOp::create(b, type, v);
  }

  //===-- quantize, dequantize -----------------------------------------------===//

  static Value toF32(ImplicitLocOpBuilder &b, Value v) {
    return v.getType().isF32() ? v : Value(arith::ExtFOp::create(b, b.getF32Type(), v));
  }

  /// In f32: x times `factor` + kRounder + zero point, and its low bits after they were clamped as integers, whose order is that of
  /// the floats here: the units of floats, of which AMX takes one, have enough to do. A NaN becomes the least or the greatest.
  Value quantized(ImplicitLocOpBuilder &ib, Value x, Value factor, int64_t zero, QuantizedType type) {
    auto constant = [&](double v) { return arith::ConstantOp::create(ib, ib.getF32FloatAttr(v)); };
    auto bitsOf = [&](double v) { return arith::ConstantOp::create(ib, ib.getI32IntegerAttr(llvm::bit_cast<int32_t>(float(v)))); };
    Value y = math::FmaOp::create(ib, toF32(ib, x), factor, constant(kRounder + zero));
    Value bits = arith::BitcastOp::create(ib, ib.getI32Type(), y);
    bits = arith::MaxSIOp::create(ib, bits, bitsOf(kRounder + type.getStorageTypeMin()));
    bits = arith::MinSIOp::create(ib, bits, bitsOf(kRounder + type.getStorageTypeMax()));
    return arith::TruncIOp::create(ib, storageOf(type), bits);
  }
  Value quantized(ImplicitLocOpBuilder &ib, Value x, double scale, int64_t zero, QuantizedType type) {
    return quantized(ib, x, arith::ConstantOp::create(ib, ib.getF32FloatAttr(1.0 / scale)), zero, type);
  }

  /// The factors of x's channels, its last dim, when `v` is x times a constant.
  static std::vector<float> factorsOf(Value v, Value &x) {
    auto generic = v.getDefiningOp<linalg::GenericOp>();
    if (!generic || generic.getNumDpsInputs() != 2 || generic.getBody()->getOperations().size() != 2)
      return {};
    auto product = dyn_cast<arith::MulFOp>(generic.getBody()->front());
    if (!product || !isa<BlockArgument>(product.getLhs()) || !isa<BlockArgument>(product.getRhs()) || product.getLhs() == product.getRhs())
      return {};
    for (int64_t i : {0, 1})
      if (std::vector<float> factors = sq::floatsOf(generic.getInputs()[i]);
          !factors.empty() && cast<ShapedType>(generic.getInputs()[i].getType()).getShape().back() == int64_t(factors.size())) {
        x = generic.getInputs()[1 - i];
        return factors;
      }
    return {};
  }

  /// A GELU that only the rounding to steps of `scale` reads, maybe after factors of its channels, may be so wrong
  /// that it adds a hundredth to the power of what rounding adds: e / sqrt 2 is the root mean square of
  /// an error that swings between -e and e.
  void tolerateRounding(Value v, double scale) {
    double power = 1;
    for (bool hasFactors = false;;) {
      if (llvm::count_if(v.getUsers(), [](Operation *user) { return !isa<tensor::DimOp>(user); }) != 1)
        return;
      Operation *source = v.getDefiningOp();
      if (auto gelu = dyn_cast_or_null<sq::GeluOp>(source)) {
        gelu.setToleranceAttr(b.getF32FloatAttr(float(scale * std::sqrt(2 * 0.01 / 12 / std::max(power, 1e-30)))));
        return;
      }
      if (isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(source)) {
        v = source->getOperand(0);
        continue;
      }
      std::vector<float> factors = factorsOf(v, v);
      if (hasFactors || factors.empty())
        return;
      hasFactors = true;
      power = 0;
      for (float f : factors)
        power += double(f) * f / factors.size();
    }
  }

  LogicalResult lower(sq::QuantizeOp op) {
    auto type = dyn_cast<UniformQuantizedType>(quantizedOf(op.getResult()));
    if (!type)
      return op.emitOpError("has no kernel for ") << op.getType() << "; only one scale for all of a tensor";
    if (storageOf(type).isInteger(8))
      tolerateRounding(op.getX(), type.getScale());
    Value x, bits;
    std::vector<float> factors = factorsOf(op.getX(), x);
    if (!factors.empty() && getElementTypeOrSelf(x).isF32() && cast<ShapedType>(x.getType()).getShape().back() == int64_t(factors.size())) {
      // One product for both.
      for (float &f : factors)
        f = float(f / type.getScale());
      auto vector = RankedTensorType::get({int64_t(factors.size())}, b.getF32Type());
      Value constant = arith::ConstantOp::create(b, DenseElementsAttr::get(vector, ArrayRef(factors)));
      int64_t rank = cast<ShapedType>(x.getType()).getRank();
      sq::Input inputs[] = {sq::like(b, x), {constant, AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1))}};
      bits = sq::pointwise(b, inputs, empty(x, storageOf(type)), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
        return quantized(ib, args[0], args[1], type.getZeroPoint(), type);
      });
    } else {
      bits = pointwise(op.getX(), storageOf(type), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
        return quantized(ib, args[0], type.getScale(), type.getZeroPoint(), type);
      });
    }
    op.replaceAllUsesWith(quant::StorageCastOp::create(b, op.getType(), bits).getResult());
    op.erase();
    return success();
  }

  static Value widen(ImplicitLocOpBuilder &b, Value v, QuantizedType type) {
    return type.isSigned() ? Value(arith::ExtSIOp::create(b, b.getI32Type(), v))
                           : Value(arith::ExtUIOp::create(b, b.getI32Type(), v));
  }

  LogicalResult lower(sq::DequantizeOp op) {
    auto type = dyn_cast<UniformQuantizedType>(quantizedOf(op.getX()));
    if (!type)
      return op.emitOpError("has no kernel for ") << op.getX().getType() << "; only one scale for all of a tensor";
    Type element = getElementTypeOrSelf(op.getType());
    Value y = pointwise(storage(op.getX()), element, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Value q = widen(ib, args[0], type);
      if (type.getZeroPoint())
        q = arith::SubIOp::create(ib, q, arith::ConstantOp::create(ib, ib.getI32IntegerAttr(type.getZeroPoint())));
      Value f = arith::MulFOp::create(ib, arith::SIToFPOp::create(ib, ib.getF32Type(), q),
                                      arith::ConstantOp::create(ib, ib.getF32FloatAttr(type.getScale())));
      return element.isF32() ? f : Value(arith::TruncFOp::create(ib, element, f));
    });
    op.replaceAllUsesWith(y);
    op.erase();
    return success();
  }

  //===-- linear -------------------------------------------------------------===//

  /// What is known of a weight: per column its sum, scale and zero point.
  struct Columns {
    std::vector<int32_t> sums, zeros;
    std::vector<float> scales;
  };

  static Columns describe(ArrayRef<int8_t> w, int64_t k, int64_t n, bool transposed, QuantizedType type, int64_t moved) {
    Columns columns{std::vector<int32_t>(n), std::vector<int32_t>(n), std::vector<float>(n)};
    auto one = dyn_cast<UniformQuantizedType>(type);
    auto each = dyn_cast<UniformQuantizedPerAxisType>(type);
    for (int64_t c = 0; c < n; ++c) {
      columns.scales[c] = one ? one.getScale() : each.getScales()[c];
      columns.zeros[c] = (one ? one.getZeroPoint() : each.getZeroPoints()[c]) - moved;
    }
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        columns.sums[c] += w[transposed ? c * k + r : r * n + c];
    return columns;
  }

  template <typename T> Value vectorOf(ArrayRef<T> values, Type element) {
    auto type = RankedTensorType::get({int64_t(values.size())}, element);
    return arith::ConstantOp::create(b, DenseElementsAttr::get(type, values));
  }

  /// x as unsigned bytes, k rounded up to a multiple of 4.
  Value unsignedBytes(Value x, bool isSigned) {
    auto type = cast<RankedTensorType>(x.getType());
    if (isSigned)
      x = pointwise(x, b.getI8Type(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
        return arith::XOrIOp::create(ib, args[0], arith::ConstantOp::create(ib, ib.getI8IntegerAttr(-128)));
      });
    int64_t k = type.getShape().back(), padded = llvm::alignTo(k, 4);
    if (padded == k)
      return x;
    SmallVector<OpFoldResult> low(type.getRank(), b.getIndexAttr(0)), high = low;
    high.back() = b.getIndexAttr(padded - k);
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = padded;
    Value zero = arith::ConstantOp::create(b, b.getI8IntegerAttr(0));
    return tensor::PadOp::create(b, type.clone(shape), x, low, high, zero);
  }

  /// The weight as signed bytes; null when it is not constant.
  ElementsAttr signedWeight(sq::LinearOp op, ArrayRef<int8_t> &bytes, bool isSigned) {
    ElementsAttr value;
    if (!matchPattern(storage(op.getWeight()), m_Constant(&value)))
      return nullptr;
    auto type = cast<ShapedType>(value.getType());
    std::vector<char> all;
    ArrayRef<char> raw;
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
      if (!resource.getRawHandle().getBlob())
        return nullptr;
      raw = resource.getRawHandle().getBlob()->getData();
    } else if (auto dense = dyn_cast<DenseElementsAttr>(value); dense && dense.isSplat()) {
      all.assign(type.getNumElements(), dense.getRawData().front());
      raw = all;
    } else if (dense) {
      raw = dense.getRawData();
    } else {
      return nullptr;
    }
    if (!isSigned || !all.empty()) {
      AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(raw, /*align=*/64, /*dataIsMutable=*/true);
      if (!isSigned)
        for (char &c : blob.getMutableData())
          c ^= char(0x80);
      auto moved = DenseResourceElementsAttr::get(type, "signed", std::move(blob));
      raw = moved.getRawHandle().getBlob()->getData();
      value = moved;
    }
    bytes = ArrayRef(reinterpret_cast<const int8_t *>(raw.data()), raw.size());
    return value;
  }

  /// Of unsigned bytes [.., k]: i32 [.., 1], or one number.
  Value rowSums(Value x) {
    auto type = cast<RankedTensorType>(x.getType());
    int64_t rank = type.getRank();
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), x);
    Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    Value empty = tensor::EmptyOp::create(b, ArrayRef(sizes).drop_back(), b.getI32Type());
    Value init = linalg::FillOp::create(b, zero, empty).getResult(0);
    sq::Input all{x, AffineMap::getMultiDimIdentityMap(rank, b.getContext())};
    Value sums = sq::reduceRows(b, all, init, [](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
      return arith::AddIOp::create(ib, arith::ExtUIOp::create(ib, ib.getI32Type(), args[0]), args[1]);
    });
    if (rank == 1)
      return sums;
    SmallVector<ReassociationIndices> groups;
    for (int64_t d = 0; d < rank - 1; ++d)
      groups.push_back({d});
    groups.back().push_back(rank - 1);
    sizes.back() = b.getIndexAttr(1);
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = 1;
    return tensor::ExpandShapeOp::create(b, RankedTensorType::get(shape, b.getI32Type()), sums, groups, sizes);
  }

  /// The layer of the floats that its operands, of which `bytes` are the weight's, stand for.
  Operation *linearOfFloats(sq::LinearOp op, ArrayRef<int8_t> bytes, const Columns &columns) {
    auto type = cast<RankedTensorType>(op.getWeight().getType()).clone(b.getF32Type());
    AsmResourceBlob blob = HeapAsmResourceBlob::allocate(bytes.size() * sizeof(float), /*align=*/64);
    auto *floats = reinterpret_cast<float *>(blob.getMutableData().data());
    int64_t inRow = type.getDimSize(1);
    for (size_t i = 0; i < bytes.size(); ++i) {
      size_t c = op.getTransposeWeight() ? i / inRow : i % inRow;
      floats[i] = float(bytes[i] - columns.zeros[c]) * columns.scales[c];
    }
    auto value = DenseResourceElementsAttr::get(type, "floats", std::move(blob));
    Value weight = arith::ConstantOp::create(b, op.getWeight().getLoc(), value);
    auto xType = cast<RankedTensorType>(op.getX().getType()).clone(b.getF32Type());
    auto x = sq::DequantizeOp::create(b, xType, op.getX());
    auto linear = sq::LinearOp::create(b, op->getResultTypes(), x, weight, op.getBias(), op.getOuts(),
                                       op.getTransposeWeight());
    b.setInsertionPoint(x);
    (void)lower(x); // of one scale
    return linear;
  }

  /// sum_k (x - zero)(w - zeros[n]) + bias[n] as one loop nest; `weight` is of signed bytes.
  Operation *sumsInLoops(sq::LinearOp op, ElementsAttr weight, const Columns &columns) {
    auto xType = cast<UniformQuantizedType>(quantizedOf(op.getX()));
    int64_t rank = cast<RankedTensorType>(op.getOuts().getType()).getRank();
    SmallVector<AffineExpr> d;
    for (int64_t i = 0; i <= rank; ++i)
      d.push_back(b.getAffineDimExpr(i));
    AffineExpr n = d[rank - 1], k = d[rank];
    SmallVector<AffineExpr> row(d.begin(), d.begin() + rank - 1), w = {k, n};
    row.push_back(k);
    if (op.getTransposeWeight())
      w = {n, k};
    auto map = [&](ArrayRef<AffineExpr> exprs) { return AffineMap::get(rank + 1, 0, exprs, b.getContext()); };
    Value constant = arith::ConstantOp::create(b, op.getWeight().getLoc(), weight);
    Value init;
    if (Value bias = op.getBias()) {
      sq::Input columnOf{bias, AffineMap::get(rank, 0, n, b.getContext())};
      init = sq::pointwise(b, columnOf, op.getOuts(), [](ImplicitLocOpBuilder &, ValueRange args) { return args[0]; });
    } else {
      Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
      init = linalg::FillOp::create(b, zero, op.getOuts()).getResult(0);
    }
    Value zeros = vectorOf<int32_t>(columns.zeros, b.getI32Type());
    sq::Input inputs[] = {{storage(op.getX()), map(row)}, {constant, map(w)}, {zeros, map(n)}};
    return sq::reduceRows(b, inputs, init, [&](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
             Value zeroX = arith::ConstantOp::create(ib, ib.getI32IntegerAttr(xType.getZeroPoint()));
             Value left = arith::SubIOp::create(ib, widen(ib, args[0], xType), zeroX);
             Value right = arith::SubIOp::create(ib, arith::ExtSIOp::create(ib, ib.getI32Type(), args[1]), args[2]);
             return arith::AddIOp::create(ib, arith::MulIOp::create(ib, left, right), args[3]);
           })
        .getDefiningOp();
  }

  /// Enough for the range of a signed weight; 0: 8 bits.
  static int64_t bitsOf(QuantizedType type) {
    for (int64_t bits = 2; bits < 8 && type.isSigned(); ++bits)
      if (type.getStorageTypeMin() >= -(1 << (bits - 1)) && type.getStorageTypeMax() < 1 << (bits - 1))
        return bits;
    return 0;
  }

  LogicalResult lower(sq::LinearOp op) {
    QuantizedType wType = quantizedOf(op.getWeight());
    auto xType = cast<UniformQuantizedType>(quantizedOf(op.getX()));
    auto shape = cast<RankedTensorType>(op.getWeight().getType());
    bool transposed = op.getTransposeWeight(), isSum = getElementTypeOrSelf(op.getOuts()).isInteger(32);
    if (!shape.hasStaticShape() || storageOf(xType).getIntOrFloatBitWidth() != 8 ||
        storageOf(wType).getIntOrFloatBitWidth() != 8 || !(isSum || getElementTypeOrSelf(op.getOuts()).isF32()))
      return op.emitOpError("has no kernel for ") << op.getX().getType() << " and " << shape
                                                  << "; both need at most 8 bits, and the result f32 or i32";
    int64_t k = shape.getDimSize(transposed), n = shape.getDimSize(!transposed);
    ArrayRef<int8_t> bytes;
    ElementsAttr weight = signedWeight(op, bytes, wType.isSigned());
    if (!weight)
      return op.emitOpError("needs a constant weight");
    Columns columns = describe(bytes, k, n, transposed, wType, wType.isSigned() ? 0 : 128);
    bool isSymmetric = llvm::all_of(columns.zeros, [](int32_t z) { return z == 0; });
    // A difference of two bytes has 9 bits; as its magnitude it is an unsigned byte.
    const int64_t mostDepth = sq::numerics::largestContraction(8, /*unsignedA=*/true, 8, /*unsignedB=*/!isSymmetric);
    if (k > mostDepth && !isSum)
      return op.emitOpError("sums ") << k << " products in 32 bits; at most " << mostDepth << " are sure to fit";
    if (!products) {
      op->replaceAllUsesWith(isSum ? sumsInLoops(op, weight, columns) : linearOfFloats(op, bytes, columns));
      op.erase();
      return success();
    }
    int64_t zeroX = xType.getZeroPoint() + (xType.isSigned() ? 128 : 0);

    auto packed = RankedTensorType::get({int64_t(llvm::divideCeil(n, 16)), int64_t(llvm::divideCeil(k, 64)) * 16, 64},
                                        b.getI8Type());
    Value panels = sq::WeightOp::create(b, op.getWeight().getLoc(), packed, weight, /*pack=*/16, transposed,
                                        /*offset=*/nullptr, /*wide_offset=*/nullptr, /*widened=*/false, /*codes=*/0,
                                        bitsOf(wType));
    SmallVector<Value> extras;
    std::vector<int32_t> offset(n);
    std::vector<float> scale(n);
    for (int64_t c = 0; c < n; ++c) {
      offset[c] = zeroX * (columns.sums[c] - k * columns.zeros[c]);
      scale[c] = xType.getScale() * columns.scales[c];
    }
    Value x = unsignedBytes(storage(op.getX()), xType.isSigned());
    Value bias = op.getBias();
    bool hasOffset = zeroX != 0;
    if (DenseIntElementsAttr known; isSum && bias && matchPattern(bias, m_Constant(&known))) {
      for (auto [o, value] : llvm::zip(offset, known.getValues<int32_t>()))
        o -= value;
      bias = Value();
      hasOffset = true;
    }
    if (hasOffset)
      extras.push_back(vectorOf<int32_t>(offset, b.getI32Type()));
    if (!isSymmetric)
      extras.append({vectorOf<int32_t>(columns.zeros, b.getI32Type()), rowSums(x)});
    if (!isSum)
      extras.push_back(vectorOf<float>(scale, b.getF32Type()));
    if (bias)
      extras.push_back(bias);
    auto product = sq::PackedMatmulOp::create(b, op.getOuts().getType(), x, panels, /*lut=*/ValueRange(), extras, op.getOuts());
    SmallVector<Type> scalars = {b.getI32Type()};
    for (Value extra : extras)
      scalars.push_back(getElementTypeOrSelf(extra.getType()));
    OpBuilder::InsertionGuard guard(b);
    Block *body = b.createBlock(&product.getEpilogue(), {}, scalars, SmallVector<Location>(scalars.size(), b.getLoc()));
    unsigned next = 0;
    Value y = body->getArgument(next++);
    if (hasOffset)
      y = arith::SubIOp::create(b, y, body->getArgument(next++));
    if (!isSymmetric) {
      Value zero = body->getArgument(next++);
      y = arith::SubIOp::create(b, y, arith::MulIOp::create(b, zero, body->getArgument(next++)));
    }
    if (!isSum)
      y = arith::MulFOp::create(b, arith::SIToFPOp::create(b, b.getF32Type(), y), body->getArgument(next++));
    if (bias && isSum)
      y = arith::AddIOp::create(b, y, body->getArgument(next++));
    else if (bias)
      y = arith::AddFOp::create(b, y, body->getArgument(next++));
    sq::YieldOp::create(b, y);
    op->replaceAllUsesWith(product);
    op.erase();
    return success();
  }
};

struct LowerQuantizedPass : sq::impl::LowerQuantizedPassBase<LowerQuantizedPass> {
  using LowerQuantizedPassBase::LowerQuantizedPassBase;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      auto isQuantized = [](Type t) { return isa<QuantizedType>(getElementTypeOrSelf(t)); };
      if (llvm::any_of(op->getOperandTypes(), isQuantized) || llvm::any_of(op->getResultTypes(), isQuantized))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      Lowering l{ImplicitLocOpBuilder(op->getLoc(), op), products};
      LogicalResult done = success();
      if (auto o = dyn_cast<sq::QuantizeOp>(op))
        done = l.lower(o);
      else if (auto o = dyn_cast<sq::DequantizeOp>(op))
        done = l.lower(o);
      else if (auto o = dyn_cast<sq::LinearOp>(op))
        done = l.lower(o);
      else if (!isa<quant::StorageCastOp>(op))
        done = op->emitOpError("has no lowering of quantised operands");
      if (failed(done))
        return signalPassFailure();
    }
    // What is left of them, users before what they use.
    getOperation().walk<WalkOrder::PostOrder, ReverseIterator>([](quant::StorageCastOp op) {
      if (op->use_empty())
        op->erase();
    });
  }
};

} // namespace
