/// Operators that onnxruntime's optimizer writes (domain com.microsoft, and
/// norms in ai.onnx before ONNX had them), in terms of ONNX. Those whose meaning
/// depends on ranks, which nothing infers behind them, are lowered directly:
/// passes/lower_onnx/MicrosoftAttention.cpp.
///
/// Source: ContribOperators.md of onnxruntime 1.23.

#include "passes/raise_onnx/Expansion.h"

using namespace mlir;
using namespace sq;

namespace {

/// LayerNormalization(X, scale, B): onnxruntime's own before opset 17.
LogicalResult layerNorm(Expansion &e) {
  if (e.integer("axis", -1) != -1)
    return e.rewriter.notifyMatchFailure(e.op, "axis is not -1");
  bool isRms = e.type == "SimplifiedLayerNormalization";
  return e.replace(e.norm(e.operand(0), e.operand(1), isRms ? Value() : e.operand(2), isRms, 1e-5));
}

/// SkipLayerNormalization(x, skip, gamma, beta, bias), and without beta
/// SkipSimplifiedLayerNormalization(x, skip, gamma, bias); the sum is output 3.
LogicalResult skipNorm(Expansion &e) {
  bool isRms = e.type == "SkipSimplifiedLayerNormalization";
  Value sum = e.add(e.add(e.operand(0), e.operand(isRms ? 3 : 4)), e.operand(1));
  Value y = e.norm(sum, e.operand(2), isRms ? Value() : e.operand(3), isRms, 1e-12);
  return e.replace({y, Value(), Value(), sum});
}

/// Gather(words, ids) + Gather(positions, position_ids or 0..S-1) + Gather(types, ..),
/// normalized; output 1 is the number of ones in each row of the mask.
LogicalResult embedNorm(Expansion &e) {
  Value ids = e.operand(0), types = e.operand(1), words = e.operand(2), positions = e.operand(3),
        typeTable = e.operand(4), mask = e.operand(7), positionIds = e.operand(8);
  auto table = dyn_cast<RankedTensorType>(words.getType());
  if (!table || table.getRank() != 2)
    return e.rewriter.notifyMatchFailure(e.op, "the table of words is no matrix");
  if (!mask && e.usesOther({0, 2}))
    return e.rewriter.notifyMatchFailure(e.op, "the mask that an output counts is missing");
  int64_t dynamic = ShapedType::kDynamic;
  Type element = table.getElementType();
  auto typed = [&](ArrayRef<int64_t> shape, Type type) { return RankedTensorType::get(shape, type); };
  auto make = [&](StringRef name, ValueRange operands, Type type,
                  ArrayRef<NamedAttribute> attributes = {}) {
    return createOnnx(e.rewriter, e.op->getLoc(), name, operands, type, attributes)->getResult(0);
  };
  Type rows = typed({dynamic, dynamic, table.getDimSize(1)}, element);
  Value sum = make("onnx.Gather", {words, ids}, rows);
  Value places;
  if (positionIds) {
    places = make("onnx.Gather", {positions, positionIds}, rows);
  } else {
    Type i64 = e.rewriter.getI64Type();
    auto scalar = [&](int64_t value) {
      Attribute attr = DenseElementsAttr::get(typed({}, i64), value);
      return make("onnx.Constant", {}, typed({}, i64), e.rewriter.getNamedAttr("value", attr));
    };
    Value shape = make("onnx.Shape", ids, typed(2, i64));
    Value length = make("onnx.Gather", {shape, scalar(1)}, typed({}, i64));
    Value range = make("onnx.Range", {scalar(0), length, scalar(1)}, typed(dynamic, i64));
    places = make("onnx.Gather", {positions, range}, typed({dynamic, table.getDimSize(1)}, element));
  }
  sum = e.add(sum, places);
  if (types && typeTable)
    sum = e.add(sum, make("onnx.Gather", {typeTable, types}, rows));
  Value y = e.norm(sum, e.operand(5), e.operand(6), /*isRms=*/false, 1e-12);
  Value count;
  if (mask)
    count = make("onnx.ReduceSum", {mask, e.constant(1)}, typed(dynamic, e.rewriter.getI32Type()),
                 e.attribute("keepdims", int64_t(0)));
  return e.replace({y, count, sum});
}

/// BiasGelu(x, bias), Gelu(x) by erf; FastGelu(x, bias) by tanh.
LogicalResult gelu(Expansion &e) {
  Value x = e.add(e.operand(0), e.operand(1));
  StringRef approximate = e.type == "FastGelu" ? "tanh" : "none";
  return e.replace(e.make("Gelu", x, x, e.attribute("approximate", approximate)));
}

/// x * sigmoid(alpha x)
LogicalResult quickGelu(Expansion &e) {
  return e.replace(e.make("Swish", e.operand(0), e.operand(0),
                          e.attribute("alpha", e.number("alpha", 1.702))));
}

/// Any op that has a rule.
struct ExpandMicrosoft : RewritePattern {
  ExpandMicrosoft(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), 1, context) {
    addFusedRules(rules);
    addQonnxRules(rules);
    addQuantizedRules(rules);
    rules["ai.onnx.LayerNormalization"] = {layerNorm};
    rules["ai.onnx.SimplifiedLayerNormalization"] = {layerNorm};
    rules["com.microsoft.LayerNormalization"] = {layerNorm};
    rules["com.microsoft.SimplifiedLayerNormalization"] = {layerNorm};
    rules["com.microsoft.SkipLayerNormalization"] = {skipNorm, {0, 3}};
    rules["com.microsoft.SkipSimplifiedLayerNormalization"] = {skipNorm, {0, 3}};
    rules["com.microsoft.EmbedLayerNormalization"] = {embedNorm, {0, 1, 2}};
    rules["com.microsoft.BiasGelu"] = {gelu};
    rules["com.microsoft.FastGelu"] = {gelu};
    rules["com.microsoft.Gelu"] = {gelu};
    rules["com.microsoft.QuickGelu"] = {quickGelu};
  }

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    std::string name = op->getName().getStringRef().str();
    if (auto custom = dyn_cast<onnx::CustomOp>(op))
      name = (custom.getDomain() + "." + custom.getOpType()).str();
    auto rule = rules.find(name);
    if (rule == rules.end())
      return rewriter.notifyMatchFailure(op, "not an operator that has an expansion");
    Expansion e{op, StringRef(name).rsplit('.').second, rewriter};
    // (The lowering says so.)
    if (!operandError(name, e.givenOperands()).empty())
      return rewriter.notifyMatchFailure(op, "not the operands that it takes");
    if (op->getNumResults() == 0 || e.usesOther(rule->second.outputs))
      return e.refuse("an output that sq does not compute is used, or there is none");
    return rule->second.expand(e);
  }

  ExpansionRules rules;
};

} // namespace

void sq::populateRaiseMicrosoft(RewritePatternSet &patterns) {
  patterns.add<ExpandMicrosoft>(patterns.getContext());
}
