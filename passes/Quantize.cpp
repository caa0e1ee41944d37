//===-- Quantize.cpp - linear layers to 8 bits, from calibration --------------===//
//
// Weights: symmetric, one scale per output column. Activations: one scale and zero
// point, from what sq-calibrate saw. Where a few channels of an activation are much
// larger than the others, each is first divided by a factor that its row of the
// weight takes over, which changes nothing in exact arithmetic (SmoothQuant, Xiao et
// al. 2023, equation 4, with the alpha of least estimated error). Rounding a weight moves the mean of a result; the bias takes
// that back (Nagel et al. 2019, section 4.2).
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>
#include <numeric>

#include "dialects/sq/IR/SqOps.h"
#include "lib/calibration/Range.h"
#include "lib/calibration/StatsFile.h"
#include "passes/Passes.h"
#include "passes/Pointwise.h"
#include "passes/analysis/ObservedValues.h"

namespace sq {
#define GEN_PASS_DEF_QUANTIZEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using sq::calibration::TensorStats;

namespace {

std::vector<float> readFloats(Value v) {
  ElementsAttr value;
  if (!v || !matchPattern(v, m_Constant(&value)))
    return {};
  if (auto dense = dyn_cast<DenseFPElementsAttr>(value)) {
    auto range = dense.getValues<float>();
    return std::vector<float>(range.begin(), range.end());
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(value);
  AsmResourceBlob *blob = resource ? resource.getRawHandle().getBlob() : nullptr;
  size_t count = cast<ShapedType>(v.getType()).getNumElements();
  if (!blob || blob->getData().size() != count * sizeof(float))
    return {};
  std::vector<float> result(count);
  std::memcpy(result.data(), blob->getData().data(), count * sizeof(float));
  return result;
}

/// f32 elements of a constant, row-major; empty when `v` is none, or not all are finite.
std::vector<float> floatsOf(Value v) {
  std::vector<float> values = readFloats(v);
  bool isFinite = llvm::all_of(values, [](float x) { return std::isfinite(x); });
  return isFinite ? values : std::vector<float>();
}

constexpr int64_t kSteps = 255;  // of an activation
constexpr float kLevels = 127;  // of a weight, on both sides of 0

/// A linear layer in the making.
struct Layer {
  sq::LinearOp op;
  const TensorStats &stats; // of x
  bool perChannel;          // the stats know each element of a row of x
  int64_t k, n;
  std::vector<float> weight; // [k][n]
  std::vector<double> rowPower; // sums of squares of the weight's rows
  std::vector<float> factors; // of the channels of x; empty: none
  double low = 0, high = 0;   // range of x, after the factors
  std::vector<float> power;   // mean squares of the channels of x, after the factors
  std::vector<double> scales; // of the columns
  std::vector<int8_t> stored; // [k][n]

  /// `given`: the weight as it lies.
  Layer(sq::LinearOp op, const TensorStats &stats, ArrayRef<float> given) : op(op), stats(stats) {
    auto type = cast<RankedTensorType>(op.getWeight().getType());
    bool transposed = op.getTransposeWeight();
    k = type.getDimSize(transposed);
    n = type.getDimSize(!transposed);
    weight.resize(given.size());
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        weight[r * n + c] = given[transposed ? c * k + r : r * n + c];
    perChannel = int64_t(stats.channels()) == k;
  }

  /// The mean squared error, summed over columns, that rounding x and the weight to 8 bits
  /// brings when channel r of x is multiplied by factor[r] before: errors of rounding are
  /// uniform, and independent of each other and of what is rounded.
  double estimateError(ArrayRef<double> factor, double range) const {
    double step = range / kSteps, ofX = 0, weighted = 0, ofWeight = 0;
    for (int64_t r = 0; r < k; ++r) {
      ofX += rowPower[r] / (factor[r] * factor[r]);
      weighted += stats.channelPower(r) * factor[r] * factor[r];
    }
    std::vector<float> largest(n);
    for (int64_t r = 0; r < k; ++r) {
      float by = 1 / factor[r];
      for (int64_t c = 0; c < n; ++c)
        largest[c] = std::max(largest[c], std::fabs(weight[r * n + c]) * by);
    }
    for (float w : largest)
      ofWeight += double(w) * w / (kLevels * kLevels);
    return (step * step * ofX + ofWeight * weighted) / 12;
  }

  std::pair<double, double> rangeWith(ArrayRef<double> factor) const {
    double least = 0, most = 0;
    for (int64_t r = 0; r < k; ++r) {
      least = std::min(least, stats.channelMin[r] * factor[r]);
      most = std::max(most, stats.channelMax[r] * factor[r]);
    }
    return {least, most};
  }

  /// Factors 1 / s, s = max|x_r|^alpha / max|w_r|^(1 - alpha), for the alpha of least error; none
  /// when all of x in the range it has is estimated to do better.
  void smooth() {
    rowPower.assign(k, 0);
    std::vector<double> largest(k), magnitude(k);
    for (int64_t r = 0; r < k; ++r) {
      for (int64_t c = 0; c < n; ++c) {
        rowPower[r] += double(weight[r * n + c]) * weight[r * n + c];
        largest[r] = std::max<double>(largest[r], std::fabs(weight[r * n + c]));
      }
      magnitude[r] = std::max(std::fabs(stats.channelMin[r]), std::fabs(stats.channelMax[r]));
    }
    std::vector<double> factor(k, 1), best = factor;
    double least = estimateError(factor, high - low);
    for (double alpha = 0.2; alpha <= 1.01; alpha += 0.05) {
      for (int64_t r = 0; r < k; ++r) {
        bool isUsed = magnitude[r] > 0 && largest[r] > 0;
        double s = isUsed ? std::pow(magnitude[r], alpha) / std::pow(largest[r], 1 - alpha) : 1;
        factor[r] = float(1 / std::clamp(s, 1e-12, 1e12));
      }
      auto [from, to] = rangeWith(factor);
      if (double error = estimateError(factor, to - from); error < least) {
        least = error;
        best = factor;
        low = from;
        high = to;
      }
    }
    factors.assign(best.begin(), best.end());
    for (int64_t r = 0; r < k; ++r)
      for (int64_t c = 0; c < n; ++c)
        weight[r * n + c] /= factors[r];
  }

  /// Weights of a column that round badly: sum over k of E[x_k^2] (w - round(w / scale) scale)^2.
  float roundingError(ArrayRef<float> column, float scale) const {
    // In floats with one sum per lane of a vector: there are many weights.
    constexpr int64_t kLanes = 16;
    float inverse = 1 / scale, sums[kLanes] = {};
    auto add = [&](int64_t r, int64_t lane) {
      float lost = column[r] - rounded(column[r] * inverse) * scale;
      sums[lane] += power[r] * lost * lost;
    };
    for (int64_t r = 0; r + kLanes <= k; r += kLanes)
      for (int64_t lane = 0; lane < kLanes; ++lane)
        add(r + lane, lane);
    for (int64_t r = k - k % kLanes; r < k; ++r)
      add(r, 0);
    return std::accumulate(std::begin(sums), std::end(sums), 0.0f);
  }

  /// To nearest even, by adding a number whose last bit is worth 1.
  static float rounded(float steps) {
    constexpr float kRounder = 12582912.0f; // 1.5 * 2^23
    float limited = std::min(std::max(steps, -kLevels), kLevels);
    return limited + kRounder - kRounder;
  }

  /// Each column in the scale of least error: its largest weight may be clipped.
  void roundWeight() {
    constexpr float kLeast = 1e-8, kLowest = 0.8, kStep = 0.04;
    power.assign(k, 1);
    for (int64_t r = 0; r < k && perChannel; ++r)
      power[r] = stats.channelPower(r) * (factors.empty() ? 1 : factors[r] * factors[r]);
    scales.assign(n, kLeast / kLevels);
    stored.resize(k * n);
    std::vector<float> column(k);
    for (int64_t c = 0; c < n; ++c) {
      float largest = kLeast, least = std::numeric_limits<float>::infinity();
      for (int64_t r = 0; r < k; ++r) {
        column[r] = weight[r * n + c];
        largest = std::max(largest, std::fabs(column[r]));
      }
      for (float share = 1; share >= kLowest; share -= kStep)
        if (float error = roundingError(column, share * largest / kLevels); error < least) {
          least = error;
          scales[c] = share * largest / kLevels;
        }
      for (int64_t r = 0; r < k; ++r)
        stored[r * n + c] = rounded(column[r] * float(1 / scales[c]));
    }
  }

  /// The bias, with what rounding the weight takes from the mean of each result.
  std::vector<float> correctedBias() {
    std::vector<float> bias = floatsOf(op.getBias());
    bias.resize(n);
    if (!perChannel || stats.isEmpty())
      return bias;
    std::vector<double> lost(n);
    for (int64_t r = 0; r < k; ++r) {
      double mean = stats.channelMean(r) * (factors.empty() ? 1 : factors[r]);
      for (int64_t c = 0; c < n; ++c)
        lost[c] += mean * (weight[r * n + c] - stored[r * n + c] * scales[c]);
    }
    for (int64_t c = 0; c < n; ++c)
      bias[c] += lost[c];
    return bias;
  }

  void rewrite() {
    ImplicitLocOpBuilder b(op.getLoc(), op);
    Type f32 = b.getF32Type(), i8 = b.getI8Type();
    Value x = op.getX();
    auto type = cast<RankedTensorType>(x.getType());
    if (llvm::any_of(factors, [](float f) { return f != 1; })) {
      auto vector = RankedTensorType::get({k}, f32);
      Value by = arith::ConstantOp::create(b, DenseElementsAttr::get(vector, ArrayRef(factors)));
      int64_t rank = type.getRank();
      sq::Input channels{by, AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1))};
      Value init = tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), x), f32);
      x = sq::pointwise(b, {sq::like(b, x), channels}, init, [](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
        return arith::MulFOp::create(ib, args[0], args[1]);
      });
    }
    double scale = std::max((high - low) / kSteps, sq::calibration::kMinRange);
    int64_t zero = std::clamp<int64_t>(std::nearbyint(-low / scale), 0, kSteps);
    auto quantized = quant::UniformQuantizedType::get(/*flags=*/0, i8, f32, scale, zero, 0, kSteps);
    x = sq::QuantizeOp::create(b, type.clone(quantized), x);

    auto shape = RankedTensorType::get({k, n}, i8);
    AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
        ArrayRef(reinterpret_cast<const char *>(stored.data()), stored.size()), /*align=*/64);
    Location at = op.getWeight().getLoc();
    Value w = arith::ConstantOp::create(b, at, DenseResourceElementsAttr::get(shape, "int8", std::move(blob)));
    auto columns = quant::UniformQuantizedPerAxisType::get(quant::QuantizationFlags::Signed, i8, f32, scales,
                                                           SmallVector<int64_t>(n, 0), /*quantizedDimension=*/1, -127, 127);
    w = quant::StorageCastOp::create(b, at, shape.clone(columns), w);
    Value bias = arith::ConstantOp::create(
        b, DenseElementsAttr::get(RankedTensorType::get({n}, f32), ArrayRef(correctedBias())));
    auto linear = sq::LinearOp::create(b, TypeRange(op.getOuts().getType()), x, w, bias, op.getOuts(), /*transpose_weight=*/false);
    op->replaceAllUsesWith(linear);
    op.erase();
  }
};

struct QuantizePass : sq::impl::QuantizePassBase<QuantizePass> {
  using QuantizePassBase::QuantizePassBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    sq::calibration::Stats read;
    auto options = sq::calibration::parseMethod(method);
    if (!options)
      return fail("there is no way '" + method + "' to choose ranges; minmax, moving-average, percentile=P, entropy, mse");
    if (sq::Status status = sq::calibration::readStats(stats, read); !status.ok())
      return fail(status.message);
    options->symmetric = false;
    DenseMap<Value, const TensorStats *> observed;
    for (const sq::ObservedValue &value : sq::observedValues(func))
      if (const TensorStats *found = read.find(value.name))
        observed[value.value] = found;
    SmallVector<sq::LinearOp> layers;
    func.walk([&](sq::LinearOp op) { layers.push_back(op); });
    for (sq::LinearOp op : layers) {
      if (isa<quant::QuantizedType>(getElementTypeOrSelf(op.getX())))
        continue; // by the model
      const TensorStats *found = observed.lookup(sq::throughReshapes(op.getX()));
      std::vector<float> weight = floatsOf(op.getWeight());
      if (const char *why = whyFloat(op, found, weight)) {
        op.emitWarning("stays in float: ") << why;
        continue;
      }
      Layer layer(op, *found, weight);
      auto range = sq::calibration::chooseRange(*found, *options);
      layer.low = range.min;
      layer.high = range.max;
      if (smooth && layer.perChannel)
        layer.smooth();
      layer.roundWeight();
      layer.rewrite();
    }
  }

  /// Null when nothing keeps the layer from being quantised.
  static const char *whyFloat(sq::LinearOp op, const TensorStats *found, ArrayRef<float> weight) {
    auto f32 = [](Value v) { return !v || getElementTypeOrSelf(v.getType()).isF32(); };
    if (!f32(op.getX()) || !f32(op.getWeight()) || !f32(op.getBias()) || !f32(op.getOuts()))
      return "it is not of f32";
    if (!found || found->isEmpty())
      return "calibration has not seen its input";
    if (weight.empty() || (op.getBias() && floatsOf(op.getBias()).empty()))
      return "its weight or bias is not constant, or not finite";
    return nullptr;
  }

  void fail(const std::string &message) {
    getOperation().emitError(message);
    signalPassFailure();
  }
};

} // namespace
