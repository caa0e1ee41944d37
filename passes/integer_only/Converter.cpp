#include "passes/integer_only/Converter.h"

#include "llvm/ADT/TypeSwitch.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

#include "lib/numerics/Tensor.h"
#include "passes/ExpectedError.h"
#include "passes/Pointwise.h"
#include "passes/analysis/ObservedValues.h"

using namespace mlir;
using namespace sq;

static bool hasFloats(Type type) { return isa<FloatType>(getElementTypeOrSelf(type)); }

IntegerConverter::IntegerConverter(func::FuncOp func, const calibration::Stats &stats, const calibration::RangeOptions &ranges,
                                   bool hasFeedback)
    : func(func), b(func.getLoc(), func.getContext()), ranges(ranges), hasFeedback(hasFeedback) {
  for (const ObservedValue &value : observedValues(func))
    if (const calibration::TensorStats *found = stats.find(value.name))
      observed[value.value] = found;
}

void IntegerConverter::describe(LinearOp op, LayerDecision &layer) const {
  auto reason = op->getAttrOfType<StringAttr>(kReason);
  auto group = llvm::find_if(groups, [&](const auto &entry) { return entry.second && entry.second->firstColumn.contains(op); });
  if (reason || group == groups.end()) {
    layer.why = reason ? reason.str() : "it is not of @main's body";
    return;
  }
  const QuantizedWeight &weight = group->second->weight;
  layer.precision = LayerPrecision::Int8;
  layer.input = {weight.low, weight.high, weight.scale(), weight.zero(), weight.alpha};
  if (double sqnr = expectedSqnr(weight, group->second->firstColumn.lookup(op), layer.shape.n); std::isfinite(sqnr))
    layer.sqnr = sqnr;
}

void IntegerConverter::run() {
  auto layers = linearLayers(func);
  SmallVector<Op *> ops;
  for (Op &op : func.getBody().front())
    if (llvm::any_of(op.getResultTypes(), hasFloats) && !op.hasTrait<OpTrait::ConstantLike>() &&
        !isa<tensor::EmptyOp, linalg::FillOp>(op))
      ops.push_back(&op);
  for (Op *op : ops) {
    b.setInsertionPoint(op);
    b.setLoc(op->getLoc());
    why = "no integer form of it is known";
    bool done = false;
    try {
      done = convert(op);
    } catch (const numerics::Error &error) {
      why = error.what();
    }
    if (!done && !isa<tensor::EmptyOp>(op))
      op->setAttr(kReason, b.getStringAttr(why));
  }
  std::vector<LayerDecision> decisions;
  for (auto &[op, layer] : layers) {
    describe(op, layer);
    decisions.push_back(std::move(layer));
  }
  setLayerDecisions(func, decisions);
  finish();
}

bool IntegerConverter::convert(Op *op) {
  return llvm::TypeSwitch<Op *, bool>(op)
      .Case<LinearOp>([&](auto o) { return convertLinear(o); })
      .Case<LayerNormOp>([&](auto o) { return convertNorm(o, /*centred=*/true); })
      .Case<RmsNormOp>([&](auto o) { return convertNorm(o, /*centred=*/false); })
      .Case<EmbeddingOp>([&](auto o) { return convertEmbedding(o); })
      .Case<AttentionOp>([&](auto o) { return convertAttention(o); })
      .Case<GeluOp>([&](GeluOp o) {
        return convertActivation(o.getX(), o->getResult(0), Activation::Gelu,
                                 [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); });
      })
      .Case<SiluOp>([&](SiluOp o) {
        double alpha = o.getAlpha().convertToFloat();
        if (o.getUp())
          return refuse("a product of two activations has no integer form yet");
        return convertActivation(o.getX(), o->getResult(0), alpha == 1 ? Activation::Silu : Activation::Other,
                                 [&](double x) { return x / (1 + std::exp(-alpha * x)); });
      })
      .Case<linalg::GenericOp>([&](auto o) { return isMovement(o) ? convertMovement(o) : convertGeneric(o); })
      .Default([&](Op *o) { return isMovement(o) && convertMovement(o); });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

bool IntegerConverter::isKnown(Value v) {
  // Inputs of floats become integers at the entry, what a float op gives behind it.
  return known.contains(v) || !floatsOf(v).empty() || (statsOf(v) && hasFloats(v.getType()));
}

Value IntegerConverter::get(Value v, const Form &form) {
  if (auto it = known.find(v); it != known.end()) {
    for (auto &[has, value] : it->second.made)
      if (has == form)
        return value;
    assert((form.factors.empty() || it->second.perChannel) && "a form that the value was not asked for");
    auto direct = it->second.direct;
    // Both may define other values, which moves entries of the map.
    Value result = direct ? direct(form) : requantize(rawOf(v), form);
    if (result)
      known.find(v)->second.made.emplace_back(form, result);
    return result;
  }
  if (matchPattern(v, m_Constant()))
    return constant(v, form);
  Known &entry = known[v];
  entry.direct = [this, v](const Form &asked) { return quantize(v, asked, isa<BlockArgument>(v) ? "quantize" : "inner"); };
  entry.raw = [this, v] {
    Form wide = wideForm(*statsOf(v));
    return Raw{get(v, wide), {wide.scale}, wide.bits};
  };
  return get(v, form);
}

Raw IntegerConverter::rawOf(Value v) {
  auto it = known.find(v);
  if (it == known.end()) {
    std::vector<float> values = floatsOf(v);
    Form form{16, false, 1};
    if (const calibration::TensorStats *stats = statsOf(v); stats && values.empty()) {
      form = wideForm(*stats);
    } else {
      double largest = calibration::kMinRange;
      for (float value : values)
        largest = std::max<double>(largest, std::fabs(value));
      form.scale = largest / 32767;
    }
    return {get(v, form), {form.scale}, form.bits};
  }
  if (!it->second.kept) {
    Raw raw = it->second.raw();
    known.find(v)->second.kept = raw;
  }
  return *known.find(v)->second.kept;
}

bool IntegerConverter::hasOneForm(Value v) {
  SmallVector<Value> values = {v};
  int linears = 0, others = 0;
  while (!values.empty())
    for (OpOperand &use : values.pop_back_val().getUses()) {
      Op *user = use.getOwner();
      auto dps = dyn_cast<DestinationStyleOpInterface>(user);
      if (isa<tensor::DimOp>(user) || (dps && dps.isDpsInit(&use)))
        continue;
      if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(user))
        values.push_back(user->getResult(0));
      else
        ++(isa<LinearOp>(user) ? linears : others);
    }
  return others == 0 || (linears == 0 && others == 1);
}

void IntegerConverter::define(Value v, std::function<Value(const Form &)> direct, bool perChannel) {
  Known &entry = known[v];
  entry.perChannel = perChannel;
  entry.raw = [this, v, direct] {
    Form wide = wideForm(*statsOf(v));
    return Raw{direct(wide), {wide.scale}, wide.bits};
  };
  if (hasOneForm(v))
    entry.direct = direct;
}

void IntegerConverter::defineRaw(Value v, Raw raw) {
  Known &entry = known[v];
  entry.kept = raw;
  // Channels of a raw value are those of the last dim already.
  entry.raw = [raw] { return raw; };
}

//===----------------------------------------------------------------------===//
// Where floats begin and end
//===----------------------------------------------------------------------===//

Value IntegerConverter::dequantize(Value v, Location loc, StringRef border) {
  Raw raw;
  std::string reason = "its scale is out of the range of integers";
  try {
    raw = rawOf(v);
  } catch (const numerics::Error &error) {
    reason = error.what();
  }
  if (raw.value && raw.scales.size() > 1) {
    // In the coarsest of the channels' scales, finer by 8 bits: no result loses any.
    Form common{32, false, *std::max_element(raw.scales.begin(), raw.scales.end()) / 256};
    int room = 31 - raw.bits;
    common.scale = std::ldexp(common.scale, std::max(0, 8 - room));
    raw = {requantize(raw, common), {common.scale}, 32};
  }
  if (!raw.value) {
    v.getDefiningOp()->setAttr(kReason, b.getStringAttr(reason));
    return v;
  }
  auto type = cast<RankedTensorType>(v.getType());
  ImplicitLocOpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(raw.value);
  b.setLoc(loc);
  Value result = pointwise(b, like(b, raw.value), emptyLike(raw.value, type.getElementType()), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Type f32 = ib.getF32Type();
    Value q = args[0];
    if (!q.getType().isInteger(32))
      q = raw.isUnsigned ? Value(arith::ExtUIOp::create(ib, ib.getI32Type(), q)) : Value(arith::ExtSIOp::create(ib, ib.getI32Type(), q));
    if (raw.zero)
      q = arith::SubIOp::create(ib, q, arith::ConstantOp::create(ib, ib.getI32IntegerAttr(raw.zero)));
    Value y = arith::MulFOp::create(ib, arith::SIToFPOp::create(ib, f32, q),
                                    arith::ConstantOp::create(ib, ib.getF32FloatAttr(raw.scales[0])));
    Type element = type.getElementType();
    return element == f32 ? y : element.isF64() ? Value(arith::ExtFOp::create(ib, element, y)) : Value(arith::TruncFOp::create(ib, element, y));
  });
  result.getDefiningOp()->setAttr(kBorder, b.getStringAttr(border));
  return result;
}

Value IntegerConverter::quantize(Value v, const Form &form, StringRef border) {
  std::vector<float> factors;
  for (size_t c = 0; c < std::max<size_t>(1, form.factors.size()); ++c)
    factors.push_back(1 / form.step(c));
  int64_t low = form.isUnsigned ? 0 : -(INT64_C(1) << (form.bits - 1)), high = low + (INT64_C(1) << form.bits) - 1;
  ImplicitLocOpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(v);
  if (auto argument = dyn_cast<BlockArgument>(v)) {
    auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "sq.name");
    b.setLoc(NameLoc::get(b.getStringAttr("quantize " + (name ? name.getValue() : "")), func.getLoc()));
  }
  int64_t rank = cast<RankedTensorType>(v.getType()).getRank();
  SmallVector<Input> inputs = {like(b, v)};
  if (factors.size() > 1) {
    auto type = RankedTensorType::get({int64_t(factors.size())}, b.getF32Type());
    inputs.push_back({arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef(factors))),
                      AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1))});
  }
  Type element = form.storage(b.getContext());
  Value result = pointwise(b, inputs, emptyLike(v, element), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Type f32 = ib.getF32Type();
    auto number = [&](double x) -> Value { return arith::ConstantOp::create(ib, ib.getF32FloatAttr(x)); };
    Value x = args[0];
    if (!x.getType().isF32())
      x = x.getType().isF64() ? Value(arith::TruncFOp::create(ib, f32, x)) : Value(arith::ExtFOp::create(ib, f32, x));
    Value y = arith::MulFOp::create(ib, x, args.size() > 1 ? args[1] : number(factors[0]));
    y = math::RoundEvenOp::create(ib, y);
    // A NaN becomes the lowest value.
    Value least = number(low - form.zero), most = number(high - form.zero);
    y = arith::SelectOp::create(ib, arith::CmpFOp::create(ib, arith::CmpFPredicate::OGT, y, least), y, least);
    y = arith::SelectOp::create(ib, arith::CmpFOp::create(ib, arith::CmpFPredicate::OLT, y, most), y, most);
    Value q = arith::FPToSIOp::create(ib, ib.getI32Type(), y);
    if (form.zero)
      q = arith::AddIOp::create(ib, q, arith::ConstantOp::create(ib, ib.getI32IntegerAttr(form.zero)));
    return element.isInteger(32) ? q : Value(arith::TruncIOp::create(ib, element, q));
  });
  result.getDefiningOp()->setAttr(kBorder, b.getStringAttr(border));
  return result;
}

void IntegerConverter::finish() {
  Op *end = func.getBody().front().getTerminator();
  for (OpOperand &result : end->getOpOperands())
    if (hasFloats(result.get().getType()) && known.contains(result.get()) && !result.get().getDefiningOp()->hasAttr(kReason)) {
      auto name = func.getResultAttrOfType<StringAttr>(result.getOperandNumber(), "sq.name");
      Location loc = NameLoc::get(b.getStringAttr("dequantize " + (name ? name.getValue() : "")), result.get().getLoc());
      result.set(dequantize(result.get(), loc, "dequantize"));
    }
  // What stayed reads floats again.
  for (Op &op : func.getBody().front())
    if (op.hasAttr(kReason))
      op.walk([&](Op *inner) {
        for (OpOperand &operand : inner->getOpOperands()) {
          auto found = known.find(operand.get());
          bool isConverted = found != known.end() && !isa<BlockArgument>(operand.get()) &&
                             !operand.get().getDefiningOp()->hasAttr(kReason);
          if (isConverted && !isa<tensor::DimOp>(inner))
            operand.set(dequantize(operand.get(), operand.get().getLoc(), "inner"));
        }
      });
  for (Op &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}
