#include "passes/QuantizedAttention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>

#include "dialects/sq/IR/IntegerOps.h"
#include "passes/Pointwise.h"
#include "passes/analysis/MaskValues.h"
#include "passes/analysis/ObservedValues.h"
#include "passes/integer_only/Converter.h"

using namespace mlir;
using namespace sq;
using calibration::TensorStats;
using quant::UniformQuantizedType;

static constexpr double kMostScoreError = 0.125;

namespace {

/// Of q (signed, symmetric), k (unsigned, as softmax does not see its zero point) and v (signed, symmetric).
struct Scales {
  double q, k, v;
  int64_t kZero;
};

struct Quantizer {
  const AttentionCandidate &candidate;
  DenseMap<Value, Value> &keeps;
  AttentionOp op = candidate.op;
  ImplicitLocOpBuilder b{op.getLoc(), op};

  static bool isFromBytes(Value v) {
    auto linear = throughReshapes(v).getDefiningOp<LinearOp>();
    return linear && isa<quant::QuantizedType>(getElementTypeOrSelf(linear.getX()));
  }

  /// Why the operands keep it in float; null when they do not.
  const char *whyFloat() {
    for (Value v : {op.getQ(), op.getK(), op.getV()}) {
      auto type = dyn_cast<RankedTensorType>(v.getType());
      if (!type || !type.getElementType().isF32() || type.isDynamicDim(2) || type.isDynamicDim(3) || type.getDimSize(3) % 4 ||
          type.getDimSize(3) > kMostHeadElements)
        return "heads of f32 with a known multiple of 4 elements, at most 1024, have a kernel";
      if (!isFromBytes(v))
        return "its operands do not come from layers in 8 bits alone";
    }
    for (const TensorStats *stats : {candidate.q, candidate.k, candidate.v})
      if (!stats || stats->isEmpty() || stats->channels() == 0)
        return "calibration has not seen its operands";
    return nullptr;
  }

  /// The layer that alone reads the result, by way of `reshapes`.
  const LayerInput *reader(ArrayRef<LayerInput> inputs, SmallVectorImpl<Operation *> &reshapes) {
    for (Value v = op->getResult(0);;) {
      Operation *user = nullptr;
      for (Operation *each : v.getUsers()) {
        if (isa<tensor::DimOp>(each))
          continue;
        if (user)
          return nullptr;
        user = each;
      }
      const auto *found = llvm::find_if(inputs, [&](const LayerInput &input) { return input.x == v; });
      if (found != inputs.end())
        return found;
      if (!isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(user))
        return nullptr;
      reshapes.push_back(user);
      v = user->getResult(0);
    }
  }

  /// Mean squares of a channel, around its mean or around 0.
  static double power(const TensorStats &stats, bool aroundMean) {
    double sum = 0;
    for (size_t c = 0; c < stats.channels(); ++c)
      sum += stats.channelPower(c) - (aroundMean ? stats.channelMean(c) * stats.channelMean(c) : 0);
    return sum / double(stats.channels());
  }

  Scales scales(calibration::RangeOptions ranges, ArrayRef<float> factors) {
    using calibration::kMinRange;
    Scales s{};
    ranges.symmetric = true;
    s.q = std::max(calibration::chooseRange(*candidate.q, ranges).max, kMinRange) / 127;
    double most = kMinRange;
    if (factors.empty())
      most = std::max(most, calibration::chooseRange(*candidate.v, ranges).max);
    for (auto [c, f] : llvm::enumerate(factors))
      most = std::max<double>(most, std::fabs(f) * std::max(std::fabs(candidate.v->channelMin[c]), std::fabs(candidate.v->channelMax[c])));
    s.v = most / 127;
    ranges.symmetric = false;
    calibration::Range k = calibration::chooseRange(*candidate.k, ranges);
    s.k = std::max((k.max - k.min) / 255, kMinRange);
    s.kZero = std::clamp<int64_t>(std::llrint(-k.min / s.k), 0, 255);
    return s;
  }

  /// Root mean square of what rounding q and k does to the differences of scores, in which the mean of k has no part.
  double scoreError(const Scales &s) {
    double elements = cast<RankedTensorType>(op.getQ().getType()).getDimSize(3);
    double squares = s.q * s.q / 12 * power(*candidate.k, true) + s.k * s.k / 12 * power(*candidate.q, false);
    return op.getScale().convertToDouble() * std::sqrt(elements * squares);
  }

  UniformQuantizedType type(bool isSigned, double scale, int64_t zero) {
    return isSigned ? UniformQuantizedType::get(quant::QuantizationFlags::Signed, b.getI8Type(), b.getF32Type(), scale, 0, -127, 127)
                    : UniformQuantizedType::get(0, b.getI8Type(), b.getF32Type(), scale, zero, 0, 255);
  }

  Value clone(ArrayRef<Operation *> reshapes, Value v) {
    for (Operation *reshape : reshapes) {
      Operation *copy = b.clone(*reshape);
      copy->setOperand(0, v);
      v = copy->getResult(0);
      v.setType(cast<RankedTensorType>(v.getType()).clone(b.getI8Type()));
    }
    return v;
  }

  /// Bytes of `v`, made where it is before reshapes.
  Value quantized(Value v, UniformQuantizedType type, ArrayRef<float> factors) {
    SmallVector<Operation *> reshapes;
    Value x = throughReshapes(v);
    for (; v != x; v = v.getDefiningOp()->getOperand(0))
      reshapes.insert(reshapes.begin(), v.getDefiningOp());
    auto tensorType = cast<RankedTensorType>(x.getType());
    if (!factors.empty()) {
      auto vector = RankedTensorType::get({int64_t(factors.size())}, b.getF32Type());
      Value by = arith::ConstantOp::create(b, DenseElementsAttr::get(vector, factors));
      int64_t rank = tensorType.getRank();
      Input channels{by, AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1))};
      Value init = tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), x), b.getF32Type());
      x = pointwise(b, {like(b, x), channels}, init, [](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
        return arith::MulFOp::create(ib, args[0], args[1]);
      });
    }
    Value q = QuantizeOp::create(b, tensorType.clone(type), x);
    return clone(reshapes, quant::StorageCastOp::create(b, tensorType.clone(b.getI8Type()), q));
  }

  /// 1 where the mask is 0.
  Value kept(const BooleanMask &mask) {
    Value &made = keeps[op.getMask()];
    if (made)
      return made;
    ImplicitLocOpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfterValue(op.getMask());
    Value init = tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), op.getMask()), b.getI8Type());
    made = pointwise(b, like(b, op.getMask()), init, [&](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
      auto is = [&](arith::CmpFPredicate predicate, double x) -> Value {
        return arith::CmpFOp::create(ib, predicate, args[0], arith::ConstantOp::create(ib, ib.getF32FloatAttr(x)));
      };
      Value isKept = is(arith::CmpFPredicate::OEQ, 0);
      if (auto input = dyn_cast_or_null<BlockArgument>(mask.assumed)) {
        auto func = op->getParentOfType<func::FuncOp>();
        auto name = func.getArgAttrOfType<StringAttr>(input.getArgNumber(), "sq.name");
        Value isMask = arith::OrIOp::create(ib, isKept, is(arith::CmpFPredicate::OLE, kMasked));
        cf::AssertOp::create(ib, isMask, ("input '" + (name ? name.getValue() : "") + "' is a mask, which --quant=int8 takes to hold 0 and 1 only").str());
      }
      return arith::ExtUIOp::create(ib, ib.getI8Type(), isKept);
    });
    return made;
  }

  /// Null when it was done.
  const char *run(ArrayRef<LayerInput> inputs, const calibration::RangeOptions &ranges) {
    if (const char *why = whyFloat())
      return why;
    SmallVector<Operation *> reshapes;
    const LayerInput *to = reader(inputs, reshapes);
    if (!to)
      return "its result is not read by one layer in 8 bits alone";
    QuantizeOp quantize = to->op;
    auto readerType = dyn_cast<UniformQuantizedType>(getElementTypeOrSelf(quantize.getType()));
    bool sharesKeys = cast<RankedTensorType>(op.getQ().getType()).getDimSize(2) != cast<RankedTensorType>(op.getK().getType()).getDimSize(2);
    std::vector<float> factors = to->factors;
    if (llvm::all_of(factors, [](float f) { return f == 1; }))
      factors.clear();
    bool fits = readerType && readerType.getStorageType().isInteger(8) && readerType.getStorageTypeMax() - readerType.getStorageTypeMin() == 255;
    // A channel of v has one factor, so queries that share keys need the same.
    if (!fits || (!factors.empty() && (sharesKeys || factors.size() != candidate.v->channels())))
      return "what reads its result has factors that v cannot take, or other bytes";
    BooleanMask mask{false, false, Value()};
    if (op.getMask()) {
      std::optional<BooleanMask> found = booleanMask(op.getMask());
      if (!found)
        return "its mask may hold other numbers than 0 and -9990 or less";
      mask = *found;
    }
    Scales s = scales(ranges, factors);
    auto exp = numerics::OctaveExp::of(s.q * s.k * op.getScale().convertToDouble());
    if (!(scoreError(s) <= kMostScoreError) || exp.shift > kMostExpShift)
      return "rounding q and k would change its probabilities too much";

    Value keep = mask.hides ? kept(mask) : Value();
    Value q = quantized(op.getQ(), type(true, s.q, 0), {}), k = quantized(op.getK(), type(false, s.k, s.kZero), {}),
          v = quantized(op.getV(), type(true, s.v, 0), factors);
    Value init = tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), op.getOuts()), b.getI8Type());
    numerics::Dyadic out = numerics::contextScale(s.v / readerType.getScale());
    Value y = IntAttentionOp::create(b, TypeRange(init.getType()), q, k, v, keep, init, exp.shift, exp.factor, op.getCausal(), mask.isUniform,
                                     /*k_unsigned=*/true, int32_t(out.m), out.e, !readerType.isSigned(), readerType.getZeroPoint())
                  .getResult()[0];
    b.setInsertionPoint(quantize);
    quantize.replaceAllUsesWith(quant::StorageCastOp::create(b, quantize.getType(), clone(reshapes, y)).getResult());
    quantize.erase();
    op->getResult(0).replaceAllUsesWith(op.getOuts()); // only sizes are left to ask for
    op.erase();
    return nullptr;
  }
};

} // namespace

void sq::quantizeAttention(const AttentionCandidate &candidate, ArrayRef<LayerInput> inputs, const calibration::RangeOptions &ranges,
                           DenseMap<Value, Value> &keeps) {
  Location at = AttentionOp(candidate.op).getLoc();
  const char *why = Quantizer{candidate, keeps}.run(inputs, ranges);
  auto options = remark::RemarkOpts::name("attention").category("sq-quantize");
  if (why)
    remark::missed(at, options) << remark::add("stays in float: {0}", why);
  else
    remark::passed(at, options) << remark::add("in 8 bits");
}
