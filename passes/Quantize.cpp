//===-- Quantize.cpp - linear layers and tables to 8 bits, from calibration ---===//
//
// Weights: symmetric, one scale per output column. Activations: one scale and zero
// point, from what sq-calibrate saw. Where a few channels of an activation are much
// larger than the others, each is first divided by a factor that its row of the
// weight takes over, which changes nothing in exact arithmetic: those of SmoothQuant
// (Xiao et al. 2023, equation 4) or of other shapes, whichever have the least
// estimated error. Layers that read one value read the same bytes of it. Weights are rounded so that others take over the error (GPTQ,
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
#include "llvm/ADT/MapVector.h"

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

/// A layer that can be in 8 bits.
struct Candidate {
  sq::LinearOp op;
  sq::LayerDecision *decision;
  const sq::Plan::Line *planned;
  int64_t first = 0; // of its columns in the group's weight

  int64_t columns() { return cast<RankedTensorType>(op.getOuts().getType()).getShape().back(); }
  /// Its weight, as long as it is needed.
  sq::QuantizedWeight::Part part() {
    return {sq::floatsOf(op.getWeight()), sq::floatsOf(op.getBias()), columns(), op.getTransposeWeight(), float(levels())};
  }
  sq::LayerPrecision precision() const { return planned ? planned->precision : sq::LayerPrecision::Int8; }
  /// Of its weight, on both sides of 0.
  int64_t levels() const { return (1 << (sq::precisionBits(precision()) - 1)) - 1; }
};

/// Linear layers that read one value, in the making: they share its range, factors and bytes.
struct Group : sq::QuantizedWeight {
  std::vector<Candidate> &members;

  static SmallVector<Part> placed(std::vector<Candidate> &members) {
    SmallVector<Part> parts;
    int64_t columns = 0;
    for (Candidate &member : members) {
      member.first = std::exchange(columns, columns + member.columns());
      parts.push_back(member.part());
    }
    return parts;
  }

  Group(std::vector<Candidate> &members, const TensorStats &stats, bool feedback)
      : QuantizedWeight(stats, cast<RankedTensorType>(members.front().op.getX().getType()).getShape().back(), placed(members), feedback),
        members(members) {}

  /// Activations have the scale and zero point of calibration, or, when `isDynamic`, each row has its own.
  sq::LayerInput rewrite(bool isDynamic) {
    sq::LinearOp before = members.front().op;
    ImplicitLocOpBuilder b(before.getLoc(), before);
    Type f32 = b.getF32Type(), i8 = b.getI8Type();
    Value x = before.getX();
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
    std::vector<float> corrected = correctedBias();
    for (Candidate &member : members)
      rewrite(member, x, rows, corrected);
    input.op = x.getDefiningOp<sq::QuantizeOp>();
    return input;
  }

private:
  void rewrite(Candidate &member, Value x, Value rows, ArrayRef<float> corrected) {
    sq::LinearOp op = member.op;
    ImplicitLocOpBuilder b(op.getLoc(), op);
    Type f32 = b.getF32Type(), i8 = b.getI8Type();
    int64_t columns = member.columns();
    SmallVector<char> bytes;
    for (int64_t row = 0; row < k; ++row)
      llvm::append_range(bytes, ArrayRef(stored).slice(row * n + member.first, columns));
    auto shape = RankedTensorType::get({k, columns}, i8);
    AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, /*align=*/64);
    Location at = op.getWeight().getLoc();
    Value w = arith::ConstantOp::create(b, at, DenseResourceElementsAttr::get(shape, "int8", std::move(blob)));
    auto weight = quant::UniformQuantizedPerAxisType::get(quant::QuantizationFlags::Signed, i8, f32,
                                                          ArrayRef(scales).slice(member.first, columns),
                                                          SmallVector<int64_t>(columns, 0), /*quantizedDimension=*/1, -member.levels(),
                                                          member.levels());
    w = quant::StorageCastOp::create(b, at, shape.clone(weight), w);
    Value bias = arith::ConstantOp::create(
        b, DenseElementsAttr::get(RankedTensorType::get({columns}, f32), corrected.slice(member.first, columns)));
    auto linear = sq::LinearOp::create(b, TypeRange(op.getOuts().getType()), x, w, rows ? Value() : bias, op.getOuts(),
                                       /*transpose_weight=*/false);
    op->replaceAllUsesWith(rows ? ValueRange(sq::scaleRows(b, linear->getResult(0), rows, bias)) : linear->getResults());
    op.erase();
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
    if (sq::Status status = policy.readPlan(func, plan, layers, mixed ? sq::PlanUse::Mixed : sq::PlanUse::Int8); !status.ok())
      return fail(status.message);
    if (!mixed)
      func.walk(sq::quantizeTables);
    // Before the first is rewritten: layers read what others compute.
    std::vector<const TensorStats *> inputs;
    for (auto &[op, decision] : layers) {
      inputs.push_back(observed.lookup(sq::throughReshapes(op.getX())));
      if (mixed && inputs.back())
        op->setAttr(sq::kInputStats, StringAttr::get(&getContext(), nameOf(read, inputs.back())));
    }
    std::vector<sq::AttentionCandidate> attentions;
    func.walk([&](sq::AttentionOp op) {
      auto seen = [&](Value v) { return observed.lookup(sq::throughReshapes(v)); };
      attentions.push_back({op, seen(op.getQ()), seen(op.getK()), seen(op.getV())});
    });
    struct Reading {
      const TensorStats *stats = nullptr;
      std::vector<Candidate> candidates;

      void add(const TensorStats *input, const Candidate &candidate) {
        stats = input;
        candidates.push_back(candidate);
      }
    };
    llvm::MapVector<Value, Reading> groups;
    std::string refused;
    for (auto [layer, input] : llvm::zip(layers, inputs)) {
      auto &[op, decision] = layer;
      std::optional<Candidate> candidate;
      if (sq::Status status = examine(op, decision, input, policy, candidate); !status.ok())
        refused += (refused.empty() ? "" : "\n") + status.message;
      else if (candidate)
        groups[op.getX()].add(input, *candidate);
    }
    if (!refused.empty())
      return fail(refused);
    std::vector<sq::LayerInput> made;
    for (auto &[x, reading] : groups)
      quantize(reading.candidates, reading.stats, options, policy, made);
    std::vector<sq::LayerDecision> decisions;
    for (auto &[op, decision] : layers)
      decisions.push_back(std::move(decision));
    DenseMap<Value, Value> keeps;
    for (const sq::AttentionCandidate &candidate : attentions)
      if (attention)
        sq::quantizeAttention(candidate, made, options, keeps);
    // Beside products of bytes, attention in bf16 adds nothing that counts.
    auto isNew = [](const sq::LayerDecision &layer) { return sq::isInteger(layer.precision) && !layer.isGiven; };
    if (llvm::any_of(decisions, isNew))
      func.walk([](sq::AttentionOp op) { op.setBf16(true); });
    sq::setLayerDecisions(func, decisions);
  }

  static StringRef nameOf(const sq::calibration::Stats &stats, const TensorStats *tensor) {
    return llvm::find_if(stats.tensors, [&](const auto &entry) { return &entry.second == tensor; })->first;
  }

  /// A candidate when the layer can be in 8 bits; otherwise `decision` says why not.
  sq::Status examine(sq::LinearOp op, sq::LayerDecision &decision, const TensorStats *found, const sq::PrecisionPolicy &policy,
                     std::optional<Candidate> &candidate) {
    policy.time(decision);
    if (isa<quant::QuantizedType>(getElementTypeOrSelf(op.getX()))) {
      decision.precision = sq::LayerPrecision::Int8;
      decision.isGiven = true;
      decision.why = "the model has it in 8 bits";
      return policy.refuse(decision, sq::LayerPrecision::F32, decision.why);
    }
    const sq::Plan::Line *planned = policy.planned(decision);
    if (mixed && (!planned || !sq::isInteger(planned->precision)))
      return {};
    std::vector<float> weight = sq::floatsOf(op.getWeight());
    if (const char *why = whyFloat(op, found, weight, activations == "dynamic")) {
      decision.why = why;
      warn(op, why);
      return policy.refuse(decision, planned ? planned->precision : sq::LayerPrecision::Int8, why);
    }
    if (planned && planned->precision == sq::LayerPrecision::F32) {
      decision.why = "the plan says so";
      return {};
    }
    candidate = Candidate{op, &decision, planned};
    return {};
  }

  /// Layers that read one value; those that are better off in float leave the others.
  void quantize(std::vector<Candidate> candidates, const TensorStats *stats, const sq::calibration::RangeOptions &options,
                const sq::PrecisionPolicy &policy, std::vector<sq::LayerInput> &made) {
    static const TensorStats unseen;
    bool isDynamic = activations == "dynamic";
    while (!candidates.empty()) {
      Group group(candidates, stats ? *stats : unseen, rounding == "gptq");
      auto range = sq::calibration::chooseRange(group.stats, options);
      group.low = range.min;
      group.high = range.max;
      if (smooth && group.perChannel)
        group.smooth();
      group.roundWeight();
      auto isAgainst = [&](Candidate &member) {
        sq::LayerDecision &decision = *member.decision;
        // (Of rows with scales of their own the statistics say nothing.)
        if (double sqnr = sq::expectedSqnr(group, member.first, member.columns()); std::isfinite(sqnr) && !isDynamic)
          decision.sqnr = sqnr;
        std::string against = policy.whyFloat(decision, member.precision());
        decision.why = against.empty() ? "" : member.planned ? "the plan says so, although " + against : against;
        if (against.empty() || member.planned)
          return false;
        warn(member.op, against);
        return true;
      };
      size_t count = candidates.size();
      llvm::erase_if(candidates, isAgainst);
      if (candidates.size() < count)
        continue;
      if (group.hasFeedback && group.feedbackNoise.empty())
        emitWarning(candidates.front().op.getLoc(),
                    "its weight is rounded to nearest: the second moments of its input leave a channel nothing of "
                    "its own, or are not finite; calibrate with more rows (sq-calibrate --moments)");
      for (Candidate &member : candidates) {
        member.decision->precision = member.precision();
        if (!isDynamic)
          member.decision->input = {group.low, group.high, group.scale(), group.zero(), group.alpha};
      }
      sq::LayerInput input = group.rewrite(isDynamic);
      if (input.op)
        made.push_back(std::move(input));
      return;
    }
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
