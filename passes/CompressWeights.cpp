//===-- CompressWeights.cpp - weights of linear layers in 2 to 4 bits
//---------===//
//
// Tables of few entries for each output channel with outliers beside them
// (SqueezeLLM, arXiv 2306.07629), by exact k-means, and fitted to the second
// moments of what the layer reads (lib/quantizer/Refine.h); or even grids in
// groups, rounded to nearest or with feedback of errors (GPTQ, Frantar et al.
// 2022).
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

#include "dialects/sq/IR/SqOps.h"
#include "lib/calibration/StatsFile.h"
#include "lib/quantizer/BitStream.h"
#include "lib/quantizer/Damping.h"
#include "lib/quantizer/WeightedKMeans.h"
#include "lib/sensitivity/SensitivityFile.h"
#include "passes/CompressedLayer.h"
#include "passes/GroupedWeights.h"
#include "passes/LayerPrecision.h"
#include "passes/Passes.h"
#include "passes/Pointwise.h"
#include "passes/QuantizedWeight.h"
#include "passes/analysis/ObservedValues.h"

#include <cmath>

namespace sq {
#define GEN_PASS_DEF_COMPRESSWEIGHTSPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using sq::calibration::TensorStats;

namespace {

/// Of squared gradients, in any case: on a language model with 128 x 4 samples and tables of 8 entries an increase of perplexity of
/// 5.95 %, instead of 6.18 % with what the normal distribution alone says of the noise, and 6.09 % with nothing left of single weights.
constexpr double kLeastDamping = 0.5;

/// [rows][columns] to [columns][rows].
std::vector<float> transposed(const std::vector<float> &from, int64_t rows,
                              int64_t columns) {
  constexpr int64_t kBlock = 32; // of both, in the cache
  std::vector<float> to(from.size());
  for (int64_t r = 0; r < rows; r += kBlock)
    for (int64_t c = 0; c < columns; c += kBlock)
      for (int64_t i = r; i < std::min(rows, r + kBlock); ++i)
        for (int64_t j = c; j < std::min(columns, c + kBlock); ++j)
          to[j * rows + i] = from[i * columns + j];
  return to;
}

struct CompressWeightsPass
    : sq::impl::CompressWeightsPassBase<CompressWeightsPass> {
  using CompressWeightsPassBase::CompressWeightsPassBase;

  std::shared_ptr<sq::CompressedLayers> known; // null: of this run only

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    sq::WeightScheme scheme;
    sq::CompressOptions options;
    if (std::string wrong = sq::parseWeightScheme(weights, scheme);
        !wrong.empty())
      return fail(wrong);
    if (std::string wrong = sq::parseShare(outliers, options.outliers);
        !wrong.empty())
      return fail(wrong);
    if (tables != "auto" && tables != "f16" && tables != "int8")
      return fail("there are no tables of '" + tables + "'; auto, f16, int8");
    if (std::string wrong = sq::checkRounding(rounding); !wrong.empty())
      return fail(wrong);
    options.tables = tables;
    options.refine = rounding == "gptq";
    options.threads = threads;
    sq::calibration::Stats read;
    if (!stats.empty())
      if (sq::Status status = sq::calibration::readStats(stats, read);
          !status.ok())
        return fail(status.message);
    if (!mixed && scheme.isGptq() && stats.empty())
      return fail(weights + " needs second moments of what layers read, in a "
                            "file of sq-calibrate (stats=)");
    fisher = std::make_shared<sq::sensitivity::SensitivityFile>();
    if (!sensitivity.empty())
      if (sq::Status status = fisher->open(sensitivity); !status.ok())
        return fail(status.message);
    DenseMap<Value, const TensorStats *> observed;
    for (const sq::ObservedValue &value : sq::observedValues(func))
      if (const TensorStats *found = read.find(value.name))
        observed[value.value] = found;
    auto layers = sq::linearLayers(func);
    sq::PrecisionPolicy policy;
    if (sq::Status status =
            policy.readPlan(func, plan, layers,
                            mixed ? sq::PlanUse::Mixed : sq::PlanUse::Weights);
        !status.ok())
      return fail(status.message);
    options.rounds = std::min<int>(rounds, roundsFor(layers));
    // With few rounds tables are fitted no better than what follows is worth:
    // the errors are the same, a fifth of the time is not spent.
    if (roundsFor(layers) < kMostRounds)
      options.enough = 1e-2;
    std::vector<sq::LayerDecision> decisions;
    // Of --sq-quantize, which comes first.
    const std::vector<sq::LayerDecision> before =
        mixed ? sq::layerDecisions(func) : std::vector<sq::LayerDecision>();
    std::string refused;
    for (auto &[op, decision] : layers) {
      const TensorStats *found =
          observed.lookup(sq::throughReshapes(op.getX()));
      if (auto name = op->getAttrOfType<StringAttr>(sq::kInputStats))
        found = read.find(name.str());
      op->removeAttr(sq::kInputStats);
      auto made = llvm::find_if(before, [&, &decision = decision](
                                            const sq::LayerDecision &earlier) {
        return earlier.name == decision.name &&
               (earlier.precision != sq::LayerPrecision::F32 ||
                !earlier.why.empty());
      });
      if (made != before.end()) {
        decisions.push_back(*made);
        continue;
      }
      if (sq::Status status =
              compress(op, decision, found, scheme, options, policy);
          !status.ok())
        refused += (refused.empty() ? "" : "\n") + status.message;
      decisions.push_back(decision);
    }
    if (!refused.empty())
      return fail(refused);
    if (mixed && embeddings &&
        llvm::any_of(decisions, [](const sq::LayerDecision &layer) {
          return layer.precision != sq::LayerPrecision::F32 &&
                 layer.precision != sq::LayerPrecision::Bf16;
        }))
      func.walk(sq::quantizeTables);
    sq::setLayerDecisions(func, decisions);
  }

  static constexpr int kMostRounds = 8;
  /// Rounds of refinement: as many as help where the model is small, but no
  /// more than take some minutes: a round is k n columns of length k, some
  /// times, and 1e12 of them about 130 s on two cores.
  static int
  roundsFor(ArrayRef<std::pair<sq::LinearOp, sq::LayerDecision>> layers) {
    constexpr double kWork = 2e12;
    double work = 1;
    for (const auto &[op, layer] : layers)
      work += double(layer.shape.n) * layer.shape.k * layer.shape.k;
    return std::clamp(kWork / work, 1.0, double(kMostRounds));
  }

  /// What --sq-pack-linear packs in bf16.
  sq::Status halve(sq::LinearOp op, sq::LayerDecision &decision,
                   const sq::PrecisionPolicy &policy) {
    std::vector<float> weight;
    if (const char *why = whyFloat(op, weight)) {
      decision.why = why;
      emitWarning(op.getLoc(), "stays in float: ") << why;
      return policy.refuse(decision, sq::LayerPrecision::Bf16, why);
    }
    op->setAttr(sq::kInBf16, UnitAttr::get(&getContext()));
    decision.precision = sq::LayerPrecision::Bf16;
    return {};
  }

  /// Compresses the weight, or says in `decision` why not.
  sq::Status compress(sq::LinearOp op, sq::LayerDecision &decision,
                      const TensorStats *found, sq::WeightScheme scheme,
                      sq::CompressOptions options,
                      const sq::PrecisionPolicy &policy) {
    if (const sq::Plan::Line *planned = policy.planned(decision)) {
      if (planned->precision == sq::LayerPrecision::F32) {
        decision.why = "the plan says so";
        return {};
      }
      if (planned->precision == sq::LayerPrecision::Bf16)
        return halve(op, decision, policy);
      if (mixed) {
        scheme = sq::WeightScheme{planned->precision};
        scheme.group = planned->group.value_or(
            scheme.isSymmetric() ? sq::WeightScheme::kSymmetricGroup
                                 : sq::WeightScheme::kGroup);
        options.outliers = planned->outliers.value_or(0);
        decision.group = planned->group;
        decision.outliers = planned->outliers;
      }
      scheme.precision = planned->precision;
    } else if (mixed) {
      decision.why = "no line of the plan is about it";
      return {};
    }
    std::vector<float> weight;
    const char *why = whyFloat(op, weight);
    if (!why && scheme.isGptq() && (!found || found->moments.isEmpty()))
      why = "the statistics have no second moments of its input";
    if (why) {
      decision.why = why;
      emitWarning(op.getLoc(), "stays in float: ") << why;
      return policy.refuse(decision, scheme.precision, why);
    }
    auto type = cast<RankedTensorType>(op.getWeight().getType());
    int64_t k = type.getDimSize(op.getTransposeWeight() ? 1 : 0),
            n = type.getDimSize(op.getTransposeWeight() ? 0 : 1);
    if (!op.getTransposeWeight())
      weight = transposed(weight, k, n);
    bool hasBias = op.getBias() != nullptr;
    std::vector<float> sensitivities;
    if (sq::Status status = readSensitivities(op, decision, n, k, sensitivities); !status.ok())
      return status;
    std::string key;
    std::shared_ptr<const sq::CompressedLayers::Kept> kept;
    if (known) {
      key = sq::CompressedLayers::keyOf(weight, n, k, scheme, stats, found, hasBias, sensitivities, options);
      kept = known->find(key);
    }
    sq::CompressedLayers::Kept made;
    sq::CompressedLayer &layer = made.layer;
    if (kept) {
      made = *kept;
      layer.decoded.resize(n * k);
      layer.weight.decode(layer.decoded.data());
    } else {
      prepareInput(found, k, hasBias, options);
      if (sq::Status status = sq::compressLayer(weight, n, k, scheme, *input,
                                                sensitivities.empty() ? nullptr : sensitivities.data(), options, layer);
          !status.ok())
        return status;
      made.means = input->means;
      made.problem = input->problem;
      if (known)
        known->keep(key, made);
    }
    if (!made.problem.empty())
      emitWarning(op.getLoc(), made.problem);
    decision.precision = scheme.precision;
    decision.why = layer.chosen;
    decision.compressed = sq::CompressedSize{
        sq::describe(layer.weight), layer.weight.bitsPerWeight(),
        (layer.weight.bits().total() + 7) / 8,
        int64_t(layer.weight.sparse.columns.size()), layer.error.value_or(0)};
    if (layer.error && *layer.error > 0)
      decision.sqnr = -10 * std::log10(*layer.error);
    rewrite(op, weight, layer, made.means, n, k);
    return {};
  }

  void prepareInput(const TensorStats *found, int64_t k, bool centred, const sq::CompressOptions &options) {
    if (input && inputOf == found && inputWidth == k && inputCentred == centred)
      return;
    input.reset(); // before the next: both are large
    input = std::make_shared<sq::LayerInput>(found, k, centred, options.damping, options.threads);
    inputOf = found;
    inputWidth = k;
    inputCentred = centred;
  }

  /// The squared gradients of the weight, [n][k]; empty when the file knows nothing of it.
  sq::Status readSensitivities(sq::LinearOp op, const sq::LayerDecision &decision, int64_t n, int64_t k, std::vector<float> &values) {
    const auto &known = fisher->head().layers;
    auto found = llvm::find_if(known, [&](const sq::sensitivity::LayerSensitivity &layer) {
      return layer.name == decision.name || llvm::is_contained(layer.layers, decision.name);
    });
    if (found == known.end()) {
      if (!sensitivity.empty())
        emitWarning(op.getLoc(), sensitivity + " has no gradients of its weight; its values count alike, or by mean squares of its input");
      return {};
    }
    if (found->elements() != n * k || found->rows != (op.getTransposeWeight() ? n : k))
      return sq::Status::refused(sensitivity + ": the layer '" + decision.name + "' has a weight of " + std::to_string(found->rows) + " x " +
                                 std::to_string(found->columns) + ", not as the model; it is of another model");
    if (sq::Status status = fisher->readFisher(found - known.begin(), values); !status.ok())
      return status;
    if (!values.empty() && !op.getTransposeWeight())
      values = transposed(values, k, n);
    if (values.empty())
      return {};
    if (sq::Status status = sq::quantizer::checkSensitivities(values.data(), n, k, sensitivity + ": the layer '" + decision.name + "'"); !status.ok())
      return status;
    sq::quantizer::dampSensitivities(values.data(), n, k, found->position, kLeastDamping);
    return {};
  }

  template <typename T>
  static Value constant(OpBuilder &b, Location at, ArrayRef<int64_t> shape, Type element, ArrayRef<T> values, StringRef name) {
    return sq::largeConstant<T>(b, at, shape, element, values, name);
  }

  /// The layer becomes a product by codes. The bias takes up what the change does to the mean of a result.
  void rewrite(sq::LinearOp op, const std::vector<float> &weight, const sq::CompressedLayer &layer,
               const std::vector<double> &means, int64_t n, int64_t k) {
    ImplicitLocOpBuilder b(op.getLoc(), op);
    Location at = op.getWeight().getLoc();
    Type f32 = b.getF32Type();
    Value bias = op.getBias();
    if (bias && !means.empty()) {
      std::vector<float> corrected = sq::floatsOf(bias);
      for (int64_t r = 0; r < n; ++r) {
        double lost = 0;
        for (int64_t c = 0; c < k; ++c)
          lost += means[c] * (double(weight[r * k + c]) - layer.decoded[r * k + c]);
        corrected[r] += lost;
      }
      bias = constant<float>(b, bias.getLoc(), cast<RankedTensorType>(bias.getType()).getShape(), f32, corrected, "corrected");
      op.getBiasMutable().assign(bias);
    }
    bool isTable = layer.weight.format.kind == sq::quantizer::GridKind::Table;
    Value y = isTable ? product(b, at, op, layer.weight) : groupedProduct(b, at, op, layer.weight);
    if (bias) {
      int64_t rank = cast<RankedTensorType>(y.getType()).getRank();
      sq::Input perColumn{bias, AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1))};
      Value init = tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), op.getOuts()), f32);
      y = sq::pointwise(b, {sq::like(b, y), perColumn}, init, [](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
        return arith::AddFOp::create(ib, args[0], args[1]);
      });
    }
    op->replaceAllUsesWith(ValueRange(y));
    op.erase();
  }

  static Value codesOf(OpBuilder &b, Location at, const sq::quantizer::CompressedWeight &weight) {
    int64_t n = weight.n, k = weight.k, bits = weight.format.bits;
    std::vector<uint32_t> words = sq::quantizer::packCodes(weight.codes.data(), n, k, bits);
    return constant<uint32_t>(b, at, {n, sq::quantizer::wordsPerRow(k, bits)}, b.getI32Type(), words, "codes");
  }

  /// Scales, and least values or one zero point.
  static Value groupedProduct(ImplicitLocOpBuilder &b, Location at, sq::LinearOp op, const sq::quantizer::CompressedWeight &weight) {
    int64_t n = weight.n, groups = weight.groups();
    bool isSymmetric = weight.format.kind == sq::quantizer::GridKind::Symmetric;
    Value codes = codesOf(b, at, weight), scales = constant<uint16_t>(b, at, {n, groups}, b.getF16Type(), weight.scales, "scales"), minima;
    if (!isSymmetric)
      minima = constant<uint16_t>(b, at, {n, groups}, b.getF16Type(), weight.minima, "minima");
    return sq::GroupedMatmulOp::create(b, TypeRange(op.getOuts().getType()), op.getX(), codes, scales, minima, op.getOuts(), weight.format.bits,
                                       weight.groupSize(), isSymmetric ? weight.levels() / 2 : 0)
        ->getResult(0);
  }

  static Value product(ImplicitLocOpBuilder &b, Location at, sq::LinearOp op, const sq::quantizer::CompressedWeight &weight) {
    int64_t n = weight.n, k = weight.k;
    Type i32 = b.getI32Type(), f16 = b.getF16Type();
    Value codes = codesOf(b, at, weight);
    std::vector<uint16_t> entries;
    for (int64_t row = 0; row < n; ++row)
      for (int code = 0; code < weight.levels(); ++code)
        entries.push_back(weight.entryF16(row, code));
    Value table = constant<uint16_t>(b, at, {n, weight.levels()}, f16, entries, "tables");
    Type type = op.getOuts().getType();
    const sq::quantizer::Csr &sparse = weight.sparse;
    if (sparse.isEmpty())
      return sq::LutMatmulOp::create(b, TypeRange(type), op.getX(), codes, table, op.getOuts())->getResult(0);
    int64_t count = sparse.columns.size();
    Value rows = constant<uint32_t>(b, at, {n + 1}, i32, sparse.starts, "row_ptr"), columns;
    if (k <= 65536)
      columns = constant<uint16_t>(b, at, {count}, b.getI16Type(), std::vector<uint16_t>(sparse.columns.begin(), sparse.columns.end()), "columns");
    else
      columns = constant<uint32_t>(b, at, {count}, i32, sparse.columns, "columns");
    Value values = constant<uint16_t>(b, at, {count}, f16, sparse.values, "values");
    Value rest = sq::CsrOp::create(b, at, RankedTensorType::get({n, k}, f16), rows, columns, values);
    return sq::DenseAndSparseMatmulOp::create(b, TypeRange(type), op.getX(), codes, table, rest, op.getOuts())->getResult(0);
  }

  /// Null when nothing keeps the weight from being compressed; it is in
  /// `weight` then.
  static const char *whyFloat(sq::LinearOp op, std::vector<float> &weight) {
    auto f32 = [](Value v) {
      return !v || getElementTypeOrSelf(v.getType()).isF32();
    };
    if (!f32(op.getX()) || !f32(op.getWeight()) || !f32(op.getBias()) ||
        !f32(op.getOuts()))
      return "it is not of f32";
    weight = sq::floatsOf(op.getWeight());
    if (weight.empty() || (op.getBias() && sq::floatsOf(op.getBias()).empty()))
      return "its weight or bias is not constant, or not finite";
    // Tables, scales and sparse values are f16, whose numbers are 2^-24 apart
    // at least.
    constexpr float kLargest = 65504, kSmallest = 0x1p-17f;
    float largest = 0;
    for (float w : weight)
      largest = std::max(largest, std::fabs(w));
    if (largest > kLargest || (largest > 0 && largest < kSmallest))
      return "its weights are too large or too small for f16 (65504, 7.6e-06)";
    return nullptr;
  }

  void fail(const std::string &message) {
    emitError(UnknownLoc::get(&getContext()),
              message); // not the function's doing
    signalPassFailure();
  }

  std::shared_ptr<sq::sensitivity::SensitivityFile> fisher; // passes are copied
  // Of the layer before: those that read one value lie together, and its factor
  // takes time.
  std::shared_ptr<const sq::LayerInput> input;
  const TensorStats *inputOf = nullptr;
  int64_t inputWidth = 0;
  bool inputCentred = false;
};

} // namespace

std::unique_ptr<Pass> sq::createCompressWeightsPass(const CompressWeightsPassOptions &options, std::shared_ptr<CompressedLayers> known) {
  auto pass = std::make_unique<CompressWeightsPass>(options);
  pass->known = std::move(known);
  return pass;
}
