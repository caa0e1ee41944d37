/// `--sq-raise-onnx`: exporters spell layer normalization and GELU as a dozen
/// primitives, in many orders. Each spelling becomes the one op of the newest
/// opset, so that everything after this pass knows one form only.
///
/// GELU needs no list of spellings: the expression is expanded as a polynomial
/// in x and F = erf(..) or tanh(..), and the coefficients are compared.

#include "passes/Passes.h"

#include "dialects/onnx/IR/OnnxOps.h"

#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include <cmath>
#include <optional>

namespace sq {
#define GEN_PASS_DEF_RAISEONNXPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

//===----------------------------------------------------------------------===//
// Reading onnx ops by name
//===----------------------------------------------------------------------===//

/// Exporters print constants with three or more correct digits.
constexpr double tolerance = 1e-3;

bool isClose(double a, double b) { return std::fabs(a - b) <= tolerance * std::fabs(b); }

Operation *definedBy(Value v, StringRef onnxName) {
  Operation *op = v.getDefiningOp();
  return op && op->getName().getStringRef() == onnxName ? op : nullptr;
}

/// The first `count` operands are given (not omitted) and are the only ones.
bool hasOperands(Operation *op, unsigned count) { return op->getNumOperands() == count; }

/// The value of a constant with one element, as a double.
std::optional<double> scalarConstant(Value v) {
  if (Operation *cast = definedBy(v, "onnx.Cast"))
    return hasOperands(cast, 1) && isa<FloatType>(getElementTypeOrSelf(v.getType()))
               ? scalarConstant(cast->getOperand(0))
               : std::nullopt;
  if (Operation *sqrt = definedBy(v, "onnx.Sqrt")) {
    std::optional<double> x = hasOperands(sqrt, 1) ? scalarConstant(sqrt->getOperand(0)) : std::nullopt;
    return x ? std::optional<double>(std::sqrt(*x)) : std::nullopt;
  }
  Operation *constant = definedBy(v, "onnx.Constant");
  if (!constant)
    return std::nullopt;
  auto elements = constant->getAttrOfType<DenseElementsAttr>("value");
  if (!elements || elements.getNumElements() != 1)
    return std::nullopt;
  if (isa<FloatType>(elements.getElementType())) {
    APFloat value = *elements.value_begin<APFloat>();
    bool losesInfo;
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    return value.convertToDouble();
  }
  if (elements.getElementType().isInteger(64) || elements.getElementType().isInteger(32))
    return static_cast<double>((*elements.value_begin<APInt>()).getSExtValue());
  return std::nullopt;
}

/// Looks through casts between floats that lose nothing.
Value skipWidening(Value v) {
  while (Operation *cast = definedBy(v, "onnx.Cast")) {
    if (!hasOperands(cast, 1))
      break;
    auto from = dyn_cast<FloatType>(getElementTypeOrSelf(cast->getOperand(0).getType()));
    auto to = dyn_cast<FloatType>(getElementTypeOrSelf(v.getType()));
    if (!from || !to || APFloat::semanticsPrecision(from.getFloatSemantics()) >
                            APFloat::semanticsPrecision(to.getFloatSemantics()))
      break;
    v = cast->getOperand(0);
  }
  return v;
}

/// Calls `match` with both orders of the operands of the binary `op` until it
/// holds.
bool eitherOrder(Operation *op, llvm::function_ref<bool(Value, Value)> match) {
  if (!op || !hasOperands(op, 2))
    return false;
  return match(op->getOperand(0), op->getOperand(1)) || match(op->getOperand(1), op->getOperand(0));
}

Operation *createOnnx(PatternRewriter &rewriter, Location loc, StringRef name, ValueRange operands,
                      Type result, ArrayRef<NamedAttribute> attributes) {
  OperationState state(loc, name, operands, TypeRange(result), attributes);
  return rewriter.create(state);
}

//===----------------------------------------------------------------------===//
// Layer normalization
//===----------------------------------------------------------------------===//

/// The first of the trailing axes that a ReduceMean with kept dims reduces,
/// if that is what `v` is; the operand in `x`.
std::optional<int64_t> matchTrailingMean(Value v, Value &x) {
  Operation *mean = definedBy(skipWidening(v), "onnx.ReduceMean");
  if (!mean || mean->getNumOperands() < 1 || mean->getNumOperands() > 2)
    return std::nullopt;
  if (auto keep = mean->getAttrOfType<IntegerAttr>("keepdims"); keep && keep.getInt() == 0)
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(mean->getOperand(0).getType());
  if (!type)
    return std::nullopt;

  SmallVector<int64_t> axes;
  if (auto attr = mean->getAttrOfType<DenseI64ArrayAttr>("axes")) {
    axes.assign(attr.asArrayRef().begin(), attr.asArrayRef().end());
  } else if (mean->getNumOperands() == 2) {
    Operation *constant = definedBy(mean->getOperand(1), "onnx.Constant");
    auto values = constant ? constant->getAttrOfType<DenseElementsAttr>("value") : nullptr;
    if (!values || !values.getElementType().isInteger(64))
      return std::nullopt;
    for (const APInt &axis : values.getValues<APInt>())
      axes.push_back(axis.getSExtValue());
  }
  // No axes means all of them or, by an attribute, none: not worth raising.
  if (axes.empty())
    return std::nullopt;
  for (int64_t &axis : axes)
    axis = axis < 0 ? axis + type.getRank() : axis;
  llvm::sort(axes);
  for (auto [i, axis] : llvm::enumerate(axes))
    if (axis != type.getRank() - static_cast<int64_t>(axes.size()) + static_cast<int64_t>(i))
      return std::nullopt;
  x = mean->getOperand(0);
  return axes.front();
}

/// `x - mean(x)` over trailing axes.
struct Centred {
  Value x;
  int64_t axis;
};

std::optional<Centred> matchCentred(Value v) {
  Operation *sub = definedBy(skipWidening(v), "onnx.Sub");
  if (!sub || !hasOperands(sub, 2))
    return std::nullopt;
  Value averaged;
  std::optional<int64_t> axis = matchTrailingMean(sub->getOperand(1), averaged);
  if (!axis || skipWidening(averaged) != skipWidening(sub->getOperand(0)))
    return std::nullopt;
  return Centred{sub->getOperand(0), *axis};
}

/// `(x - mean) ^ 2`, as Pow or as a product with itself.
std::optional<Centred> matchSquaredCentred(Value v) {
  v = skipWidening(v);
  if (Operation *pow = definedBy(v, "onnx.Pow")) {
    if (!hasOperands(pow, 2) || scalarConstant(pow->getOperand(1)) != 2.0)
      return std::nullopt;
    return matchCentred(pow->getOperand(0));
  }
  if (Operation *mul = definedBy(v, "onnx.Mul"))
    if (hasOperands(mul, 2) &&
        skipWidening(mul->getOperand(0)) == skipWidening(mul->getOperand(1)))
      return matchCentred(mul->getOperand(0));
  return std::nullopt;
}

/// `sqrt(var + epsilon)`, as Sqrt or as Pow 0.5.
bool matchDeviation(Value v, const Centred &centred, double &epsilon) {
  v = skipWidening(v);
  Value inside;
  if (Operation *sqrt = definedBy(v, "onnx.Sqrt"); sqrt && hasOperands(sqrt, 1))
    inside = sqrt->getOperand(0);
  else if (Operation *pow = definedBy(v, "onnx.Pow");
           pow && hasOperands(pow, 2) && scalarConstant(pow->getOperand(1)) == 0.5)
    inside = pow->getOperand(0);
  else
    return false;

  return eitherOrder(definedBy(skipWidening(inside), "onnx.Add"), [&](Value variance, Value eps) {
    std::optional<double> value = scalarConstant(eps);
    Value squared;
    std::optional<int64_t> axis = matchTrailingMean(variance, squared);
    if (!value || !axis || *axis != centred.axis)
      return false;
    std::optional<Centred> again = matchSquaredCentred(squared);
    if (!again || again->axis != centred.axis || skipWidening(again->x) != skipWidening(centred.x))
      return false;
    epsilon = *value;
    return true;
  });
}

/// `(x - mean) / sqrt(var + epsilon)`, the quotient in any of its spellings.
std::optional<Centred> matchNormalized(Value v, double &epsilon) {
  // One narrowing is fine here: the result of a normalization in f32 that is
  // stored as f16 is what LayerNormalization's stash_type = 1 means.
  if (Operation *cast = definedBy(v, "onnx.Cast"); cast && hasOperands(cast, 1))
    v = cast->getOperand(0);
  v = skipWidening(v);

  std::optional<Centred> centred;
  if (Operation *div = definedBy(v, "onnx.Div"); div && hasOperands(div, 2)) {
    centred = matchCentred(div->getOperand(0));
    if (centred && matchDeviation(div->getOperand(1), *centred, epsilon))
      return centred;
    return std::nullopt;
  }
  bool matched = eitherOrder(definedBy(v, "onnx.Mul"), [&](Value numerator, Value inverse) {
    centred = matchCentred(numerator);
    if (!centred)
      return false;
    inverse = skipWidening(inverse);
    if (Operation *reciprocal = definedBy(inverse, "onnx.Reciprocal"))
      return hasOperands(reciprocal, 1) &&
             matchDeviation(reciprocal->getOperand(0), *centred, epsilon);
    if (Operation *div = definedBy(inverse, "onnx.Div"))
      return hasOperands(div, 2) && scalarConstant(div->getOperand(0)) == 1.0 &&
             matchDeviation(div->getOperand(1), *centred, epsilon);
    return false;
  });
  return matched ? centred : std::nullopt;
}

/// Whether `v` can be a scale or bias over the dims of `x` from `axis` on
/// without making the result larger than `x`.
bool fitsNormalizedDims(Value v, RankedTensorType x, int64_t axis) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  if (!type || type.getRank() > x.getRank() - axis || !type.hasStaticShape())
    return false;
  for (int64_t i = 1; i <= type.getRank(); ++i) {
    int64_t size = type.getDimSize(type.getRank() - i);
    if (size != 1 && size != x.getDimSize(x.getRank() - i))
      return false;
  }
  return true;
}

/// Mul(Div(Sub(x, ReduceMean(x)),
///         Sqrt(Add(ReduceMean(Pow(Sub(x, ReduceMean(x)), 2)), eps))), scale)
///   ==> LayerNormalization(x, scale)
struct RaiseLayerNorm : RewritePattern {
  RaiseLayerNorm(MLIRContext *context) : RewritePattern("onnx.Mul", 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    double epsilon = 0;
    std::optional<Centred> centred;
    Value scale;
    eitherOrder(op, [&](Value quotient, Value other) {
      scale = other;
      centred = matchNormalized(quotient, epsilon);
      return centred.has_value();
    });
    if (!centred)
      return rewriter.notifyMatchFailure(op, "no normalized operand");

    auto result = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!result)
      return rewriter.notifyMatchFailure(op, "rank is not known");
    // Where casts surround the primitives, x is taken at the result's precision.
    Value x = centred->x;
    if (getElementTypeOrSelf(x.getType()) != result.getElementType())
      x = skipWidening(x);
    auto type = dyn_cast<RankedTensorType>(x.getType());
    if (!type || type.getElementType() != result.getElementType() ||
        type.getRank() != result.getRank())
      return rewriter.notifyMatchFailure(op, "result and input differ in type");
    if (!fitsNormalizedDims(scale, type, centred->axis))
      return rewriter.notifyMatchFailure(op, "scale does not fit the normalized dimensions");
    if (!(epsilon >= 0))
      return rewriter.notifyMatchFailure(op, "epsilon is negative");

    Builder &b = rewriter;
    Operation *norm = createOnnx(
        rewriter, op->getLoc(), "onnx.LayerNormalization", {x, scale}, result,
        {b.getNamedAttr("axis", b.getI64IntegerAttr(centred->axis - type.getRank())),
         b.getNamedAttr("epsilon", b.getF32FloatAttr(static_cast<float>(epsilon)))});
    remark::passed(op->getLoc(), remark::RemarkOpts::name("layer-norm").category("sq-raise-onnx"))
        << remark::add("primitives became LayerNormalization");
    rewriter.replaceOp(op, norm->getResults());
    return success();
  }
};

/// Add(LayerNormalization(x, scale), bias) ==> LayerNormalization(x, scale, bias)
struct AddLayerNormBias : RewritePattern {
  AddLayerNormBias(MLIRContext *context) : RewritePattern("onnx.Add", 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    Operation *norm = nullptr;
    Value bias;
    eitherOrder(op, [&](Value lhs, Value rhs) {
      norm = definedBy(lhs, "onnx.LayerNormalization");
      bias = rhs;
      return norm && hasOperands(norm, 2) && norm->getNumResults() == 1;
    });
    if (!norm || !hasOperands(norm, 2) || norm->getNumResults() != 1)
      return rewriter.notifyMatchFailure(op, "no layer norm without a bias");
    // Another user would need the norm a second time, without the bias.
    if (!norm->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the layer norm has other users");
    auto x = dyn_cast<RankedTensorType>(norm->getOperand(0).getType());
    auto axis = norm->getAttrOfType<IntegerAttr>("axis");
    if (!x || !definedBy(bias, "onnx.Constant"))
      return rewriter.notifyMatchFailure(op, "the other operand is not a constant");
    int64_t first = axis ? axis.getInt() : -1;
    first = first < 0 ? first + x.getRank() : first;
    if (first < 0 || !fitsNormalizedDims(bias, x, first))
      return rewriter.notifyMatchFailure(op, "bias does not fit the normalized dimensions");

    Operation *fused = createOnnx(rewriter, rewriter.getFusedLoc({norm->getLoc(), op->getLoc()}),
                                  "onnx.LayerNormalization",
                                  {norm->getOperand(0), norm->getOperand(1), bias},
                                  op->getResult(0).getType(), norm->getAttrs());
    rewriter.replaceOp(op, fused->getResults());
    rewriter.eraseOp(norm);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// GELU
//===----------------------------------------------------------------------===//

/// sum of c[i][j] x^i F^j. Degree 3 in x is what tanh GELU's argument needs;
/// the whole is linear in F.
struct Polynomial {
  static constexpr int xTerms = 4, fTerms = 2;
  double c[xTerms][fTerms] = {};
};

std::optional<Polynomial> product(const Polynomial &a, const Polynomial &b) {
  Polynomial result;
  for (int i = 0; i < Polynomial::xTerms; ++i)
    for (int j = 0; j < Polynomial::fTerms; ++j)
      for (int k = 0; k < Polynomial::xTerms; ++k)
        for (int l = 0; l < Polynomial::fTerms; ++l) {
          double term = a.c[i][j] * b.c[k][l];
          if (term == 0)
            continue;
          if (i + k >= Polynomial::xTerms || j + l >= Polynomial::fTerms)
            return std::nullopt;
          result.c[i + k][j + l] += term;
        }
  return result;
}

bool equals(const Polynomial &a, const Polynomial &b) {
  for (int i = 0; i < Polynomial::xTerms; ++i)
    for (int j = 0; j < Polynomial::fTerms; ++j)
      if (!isClose(a.c[i][j], b.c[i][j]))
        return false;
  return true;
}

/// Expands `v` in `x` and `f` (null: there is no F). The known spellings are
/// at most 6 deep; the bound keeps hostile chains of products cheap.
std::optional<Polynomial> expand(Value v, Value x, Value f, int depth = 6) {
  Polynomial result;
  if (v == x || (f && v == f)) {
    result.c[v == x][v != x] = 1;
    return result;
  }
  if (std::optional<double> constant = scalarConstant(v)) {
    result.c[0][0] = *constant;
    return result;
  }
  Operation *op = v.getDefiningOp();
  if (!op || depth == 0 || op->getNumOperands() < 1 || op->getNumOperands() > 2)
    return std::nullopt;
  StringRef name = op->getName().getStringRef();
  if (name != "onnx.Mul" && name != "onnx.Add" && name != "onnx.Sub" && name != "onnx.Div" &&
      name != "onnx.Pow" && name != "onnx.Neg")
    return std::nullopt;

  std::optional<Polynomial> a = expand(op->getOperand(0), x, f, depth - 1);
  if (!a)
    return std::nullopt;
  if (name == "onnx.Neg") {
    result.c[0][0] = -1;
    return product(*a, result);
  }
  if (op->getNumOperands() != 2)
    return std::nullopt;
  if (name == "onnx.Pow") {
    std::optional<double> exponent = scalarConstant(op->getOperand(1));
    if (exponent != 2.0 && exponent != 3.0)
      return std::nullopt;
    std::optional<Polynomial> square = product(*a, *a);
    return square && exponent == 3.0 ? product(*square, *a) : square;
  }
  std::optional<Polynomial> b;
  if (name == "onnx.Div") {
    std::optional<double> divisor = scalarConstant(op->getOperand(1));
    if (!divisor || *divisor == 0)
      return std::nullopt;
    result.c[0][0] = 1 / *divisor;
    return product(*a, result);
  }
  b = expand(op->getOperand(1), x, f, depth - 1);
  if (!b)
    return std::nullopt;
  if (name == "onnx.Mul")
    return product(*a, *b);
  double sign = name == "onnx.Add" ? 1 : -1;
  for (int i = 0; i < Polynomial::xTerms; ++i)
    for (int j = 0; j < Polynomial::fTerms; ++j)
      result.c[i][j] = a->c[i][j] + sign * b->c[i][j];
  return result;
}

/// Values that `v` is computed from by arithmetic, `v` first, at most `depth`
/// operations away.
void collectLeaves(Value v, int depth, SmallVectorImpl<Value> &leaves) {
  if (!llvm::is_contained(leaves, v))
    leaves.push_back(v);
  Operation *op = v.getDefiningOp();
  if (!op || depth == 0 || op->getNumOperands() > 2)
    return;
  StringRef name = op->getName().getStringRef();
  if (name == "onnx.Mul" || name == "onnx.Add" || name == "onnx.Div" || name == "onnx.Pow")
    for (Value operand : op->getOperands())
      collectLeaves(operand, depth - 1, leaves);
}

/// 0.5 x (1 + erf(x / sqrt 2))                         ==> Gelu(x)
/// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))   ==> Gelu(x), "tanh"
/// (Hendrycks and Gimpel 2016, section 2), associated and commuted in any way.
struct RaiseGelu : RewritePattern {
  RaiseGelu(StringRef root, MLIRContext *context) : RewritePattern(root, 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    SmallVector<Value> leaves;
    collectLeaves(op->getResult(0), 4, leaves);
    for (Value f : leaves) {
      bool isErf = definedBy(f, "onnx.Erf");
      if (!isErf && !definedBy(f, "onnx.Tanh"))
        continue;
      if (!hasOperands(f.getDefiningOp(), 1))
        continue;
      Polynomial argument, whole;
      argument.c[1][0] = isErf ? M_SQRT1_2 : std::sqrt(M_2_PI);
      argument.c[3][0] = isErf ? 0 : 0.044715 * std::sqrt(M_2_PI);
      whole.c[1][0] = whole.c[1][1] = 0.5;

      SmallVector<Value> inputs;
      collectLeaves(f.getDefiningOp()->getOperand(0), 5, inputs);
      for (Value x : inputs) {
        std::optional<Polynomial> inner = expand(f.getDefiningOp()->getOperand(0), x, Value());
        if (!inner || !equals(*inner, argument))
          continue;
        std::optional<Polynomial> outer = expand(op->getResult(0), x, f);
        if (!outer || !equals(*outer, whole))
          continue;
        return rewrite(op, x, isErf, rewriter);
      }
    }
    return rewriter.notifyMatchFailure(op, "not 0.5 x (1 + F(x)) with GELU's constants");
  }

  static LogicalResult rewrite(Operation *op, Value x, bool isErf, PatternRewriter &rewriter) {
    auto type = dyn_cast<RankedTensorType>(x.getType());
    auto result = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    // A constant of a higher rank than x would have raised the rank.
    if (!type || !result || type.getRank() != result.getRank() ||
        type.getElementType() != result.getElementType())
      return rewriter.notifyMatchFailure(op, "result and input differ in type");
    Builder &b = rewriter;
    StringRef approximate = isErf ? "none" : "tanh";
    Operation *gelu =
        createOnnx(rewriter, op->getLoc(), "onnx.Gelu", x, result,
                   b.getNamedAttr("approximate", b.getStringAttr(approximate)));
    remark::passed(op->getLoc(), remark::RemarkOpts::name("gelu").category("sq-raise-onnx"))
        << remark::add(isErf ? "primitives became Gelu by erf" : "primitives became Gelu by tanh");
    rewriter.replaceOp(op, gelu->getResults());
    return success();
  }
};

struct RaiseOnnxPass : sq::impl::RaiseOnnxPassBase<RaiseOnnxPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RaiseLayerNorm, AddLayerNormBias>(&getContext());
    for (StringRef root : {"onnx.Mul", "onnx.Div", "onnx.Add"})
      patterns.add<RaiseGelu>(root, &getContext());
    // The constants of an onnx module are onnx.Constant; region simplification
    // and constant hoisting have nothing to do here.
    GreedyRewriteConfig config;
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};
} // namespace
