//===-- Quantize.cpp - linear layers and tables to 8 bits, from calibration ---===//
//
// Weights: symmetric, one scale per output column. Activations: one scale and zero
// point, from what sq-calibrate saw. Where a few channels of an activation are much
// larger than the others, each is first divided by a factor that its row of the
// weight takes over, which changes nothing in exact arithmetic: those of SmoothQuant
// (Xiao et al. 2023, equation 4) or of other shapes, whichever have the least
// estimated error. Weights are rounded so that others take over the error (GPTQ,
// Frantar et al. 2022), where the statistics have second moments. Rounding a weight
// moves the mean of a result; the bias takes that back (Nagel et al. 2019, section 4.2).
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include "dialects/sq/IR/SqOps.h"
#include "lib/calibration/Range.h"
#include "lib/calibration/StatsFile.h"
#include "passes/DynamicRows.h"
#include "passes/ExpectedError.h"
#include "passes/LayerPrecision.h"
#include "passes/Passes.h"
#include "passes/Pointwise.h"
#include "passes/QuantizedAttention.h"
#include "passes/QuantizedWeight.h"
#include "passes/analysis/ObservedValues.h"

namespace sq {
#define GEN_PASS_DEF_QUANTIZEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using sq::calibration::TensorStats;

namespace {

/// A linear layer in the making.
struct Layer : sq::QuantizedWeight {
  sq::LinearOp op;

  Layer(sq::LinearOp op, const TensorStats &stats, std::vector<float> weight, bool feedback)
      : QuantizedWeight(stats, cast<RankedTensorType>(op.getX().getType()).getShape().back(),
                        Part{std::move(weight), sq::floatsOf(op.getBias()),
                             cast<RankedTensorType>(op.getOuts().getType()).getShape().back(), op.getTransposeWeight()},
                        feedback),
        op(op) {}

  /// Activations have the scale and zero point of calibration, or, when `isDynamic`, each row has its own.
  sq::LayerInput rewrite(bool isDynamic) {
    ImplicitLocOpBuilder b(op.getLoc(), op);
    Type f32 = b.getF32Type(), i8 = b.getI8Type();
    Value x = op.getX();
    sq::LayerInput input{x, factors, {}};
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
    Value rows;
    auto quantized = quant::UniformQuantizedType::get(/*flags=*/0, i8, f32, scale(), zero(), 0, kSteps);
    x = isDynamic ? sq::quantizeRows(b, x, rows) : Value(sq::QuantizeOp::create(b, type.clone(quantized), x));

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
    auto linear = sq::LinearOp::create(b, TypeRange(op.getOuts().getType()), x, w, isDynamic ? Value() : bias, op.getOuts(),
                                       /*transpose_weight=*/false);
    op->replaceAllUsesWith(isDynamic ? ValueRange(sq::scaleRows(b, linear->getResult(0), rows, bias)) : linear->getResults());
    op.erase();
    input.op = x.getDefiningOp<sq::QuantizeOp>();
    return input;
  }
};

struct QuantizePass : sq::impl::QuantizePassBase<QuantizePass> {
  using QuantizePassBase::QuantizePassBase;

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    sq::calibration::Stats read;
    sq::calibration::RangeOptions options;
    bool isDynamic = activations == "dynamic";
    if (!isDynamic && activations != "int8")
      return fail("there are no activations '" + activations + "'; int8, dynamic");
    if (!isDynamic || !stats.empty())
      if (sq::Status status = sq::calibration::readStats(stats, method, read, options); !status.ok())
        return fail(status.message);
    if (std::string wrong = sq::checkRounding(rounding); !wrong.empty())
      return fail(wrong);
    options.symmetric = false;
    DenseMap<Value, const TensorStats *> observed;
    for (const sq::ObservedValue &value : sq::observedValues(func))
      if (const TensorStats *found = read.find(value.name))
        observed[value.value] = found;
    auto layers = sq::linearLayers(func);
    sq::PrecisionPolicy policy;
    policy.minSqnr = minSqnr;
    policy.takeTimes(func);
    if (!level.empty() && !(policy.cost = sq::levelCost(level)))
      return fail("level=" + level + " is no CPU level");
    if (sq::Status status = policy.readPlan(plan, layers); !status.ok())
      return fail(status.message);
    func.walk(sq::quantizeTables);
    // Before the first is rewritten: layers read what others compute.
    std::vector<const TensorStats *> inputs;
    for (auto &[op, decision] : layers)
      inputs.push_back(observed.lookup(sq::throughReshapes(op.getX())));
    std::vector<sq::AttentionCandidate> attentions;
    func.walk([&](sq::AttentionOp op) {
      auto seen = [&](Value v) { return observed.lookup(sq::throughReshapes(v)); };
      attentions.push_back({op, seen(op.getQ()), seen(op.getK()), seen(op.getV())});
    });
    std::vector<sq::LayerDecision> decisions;
    std::vector<sq::LayerInput> made;
    std::string refused;
    for (auto [layer, input] : llvm::zip(layers, inputs)) {
      auto &[op, decision] = layer;
      if (sq::Status status = decide(op, decision, input, options, policy, made); !status.ok())
        refused += (refused.empty() ? "" : "\n") + status.message;
      decisions.push_back(std::move(decision));
    }
    if (!refused.empty())
      return fail(refused);
    DenseMap<Value, Value> keeps;
    for (const sq::AttentionCandidate &attention : attentions)
      sq::quantizeAttention(attention, made, options, keeps);
    // Beside products of bytes, attention in bf16 adds nothing that counts.
    auto isNew = [](const sq::LayerDecision &layer) { return layer.precision == sq::LayerPrecision::Int8 && !layer.isGiven; };
    if (llvm::any_of(decisions, isNew))
      func.walk([](sq::AttentionOp op) { op.setBf16(true); });
    sq::setLayerDecisions(func, decisions);
  }

  /// Quantises the layer, or says in `decision` why not.
  sq::Status decide(sq::LinearOp op, sq::LayerDecision &decision, const TensorStats *found,
                    const sq::calibration::RangeOptions &options, const sq::PrecisionPolicy &policy,
                    std::vector<sq::LayerInput> &made) {
    static const TensorStats unseen;
    bool isDynamic = activations == "dynamic";
    if (!found && isDynamic)
      found = &unseen;
    policy.time(decision);
    if (isa<quant::QuantizedType>(getElementTypeOrSelf(op.getX()))) {
      decision.precision = sq::LayerPrecision::Int8;
      decision.isGiven = true;
      decision.why = "the model has it in 8 bits";
      return policy.refuse(decision, sq::LayerPrecision::F32, decision.why);
    }
    std::vector<float> weight = sq::floatsOf(op.getWeight());
    if (const char *why = whyFloat(op, found, weight, isDynamic)) {
      decision.why = why;
      warn(op, why);
      return policy.refuse(decision, sq::LayerPrecision::Int8, why);
    }
    const sq::Plan::Line *planned = policy.planned(decision);
    if (planned && planned->precision == sq::LayerPrecision::F32) {
      decision.why = "the plan says so";
      return {};
    }
    Layer layer(op, *found, std::move(weight), rounding == "gptq");
    auto range = sq::calibration::chooseRange(*found, options);
    layer.low = range.min;
    layer.high = range.max;
    if (smooth && layer.perChannel)
      layer.smooth();
    layer.roundWeight();
    if (layer.hasFeedback && layer.feedbackNoise.empty())
      emitWarning(op.getLoc(), "its weight is rounded to nearest: the second moments of its input leave a channel nothing of "
                               "its own, or are not finite; calibrate with more rows (sq-calibrate --moments)");
    // (Of rows with scales of their own the statistics say nothing.)
    if (double sqnr = sq::expectedSqnr(layer); std::isfinite(sqnr) && !isDynamic)
      decision.sqnr = sqnr;
    std::string against = policy.whyFloat(decision);
    if (!against.empty() && !planned) {
      decision.why = against;
      warn(op, against);
      return {};
    }
    if (!against.empty())
      decision.why = "the plan says so, although " + against;
    decision.precision = sq::LayerPrecision::Int8;
    if (!isDynamic)
      decision.input = {layer.low, layer.high, layer.scale(), layer.zero(), layer.alpha};
    sq::LayerInput input = layer.rewrite(isDynamic);
    if (input.op)
      made.push_back(std::move(input));
    return {};
  }

  /// Null when nothing keeps the layer from being quantised.
  static const char *whyFloat(sq::LinearOp op, const TensorStats *found, ArrayRef<float> weight, bool isDynamic) {
    auto f32 = [](Value v) { return !v || getElementTypeOrSelf(v.getType()).isF32(); };
    if (!f32(op.getX()) || !f32(op.getWeight()) || !f32(op.getBias()) || !f32(op.getOuts()))
      return "it is not of f32";
    if (!isDynamic && (!found || found->isEmpty()))
      return "calibration has not seen its input";
    if (weight.empty() || (op.getBias() && sq::floatsOf(op.getBias()).empty()))
      return "its weight or bias is not constant, or not finite";
    return nullptr;
  }

  /// The op itself, which warnings of ops come with, has a line for each channel.
  static void warn(sq::LinearOp op, const llvm::Twine &why) { emitWarning(op.getLoc(), "stays in float: " + why); }

  void fail(const std::string &message) {
    emitError(UnknownLoc::get(&getContext()), message); // not the function's doing
    signalPassFailure();
  }
};

} // namespace
