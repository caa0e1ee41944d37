/// Layer and root mean square normalization from their primitives.

#include "passes/raise_onnx/Match.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace sq;

namespace {

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

/// The x of `x ^ 2`, as Pow or as a product with itself.
Value matchSquare(Value v) {
  v = skipWidening(v);
  if (Operation *pow = definedBy(v, "onnx.Pow"))
    return hasOperands(pow, 2) && scalarConstant(pow->getOperand(1)) == 2.0 ? pow->getOperand(0)
                                                                           : Value();
  Operation *mul = definedBy(v, "onnx.Mul");
  if (mul && hasOperands(mul, 2) &&
      skipWidening(mul->getOperand(0)) == skipWidening(mul->getOperand(1)))
    return mul->getOperand(0);
  return Value();
}

/// `(x - mean) ^ 2`
std::optional<Centred> matchSquaredCentred(Value v) {
  Value centred = matchSquare(v);
  return centred ? matchCentred(centred) : std::nullopt;
}

/// `n / sqrt(inside)`, the quotient and the root in any of their spellings:
/// calls `match(n, inside)` until it holds.
bool matchOverRoot(Value v, llvm::function_ref<bool(Value, Value)> match) {
  auto matchRoot = [&](Value numerator, Value root) {
    root = skipWidening(root);
    if (Operation *sqrt = definedBy(root, "onnx.Sqrt"))
      return hasOperands(sqrt, 1) && match(numerator, sqrt->getOperand(0));
    Operation *pow = definedBy(root, "onnx.Pow");
    return pow && hasOperands(pow, 2) && scalarConstant(pow->getOperand(1)) == 0.5 &&
           match(numerator, pow->getOperand(0));
  };
  // One narrowing is fine here: the result of a normalization in f32 that is
  // stored as f16 is what LayerNormalization's stash_type = 1 means.
  if (Operation *cast = definedBy(v, "onnx.Cast"); cast && hasOperands(cast, 1))
    v = cast->getOperand(0);
  v = skipWidening(v);

  if (Operation *div = definedBy(v, "onnx.Div"))
    return hasOperands(div, 2) && matchRoot(div->getOperand(0), div->getOperand(1));
  return eitherOrder(definedBy(v, "onnx.Mul"), [&](Value numerator, Value inverse) {
    inverse = skipWidening(inverse);
    if (Operation *reciprocal = definedBy(inverse, "onnx.Reciprocal"))
      return hasOperands(reciprocal, 1) && matchRoot(numerator, reciprocal->getOperand(0));
    if (Operation *div = definedBy(inverse, "onnx.Div"))
      return hasOperands(div, 2) && scalarConstant(div->getOperand(0)) == 1.0 &&
             matchRoot(numerator, div->getOperand(1));
    Operation *pow = definedBy(inverse, "onnx.Pow");
    return pow && hasOperands(pow, 2) && scalarConstant(pow->getOperand(1)) == -0.5 &&
           match(numerator, pow->getOperand(0));
  });
}

/// `mean + epsilon`: calls `match` with the mean.
bool matchPlusEpsilon(Value v, double &epsilon, llvm::function_ref<bool(Value)> match) {
  return eitherOrder(definedBy(skipWidening(v), "onnx.Add"), [&](Value mean, Value eps) {
    std::optional<double> value = scalarConstant(eps);
    if (!value || !match(mean))
      return false;
    epsilon = *value;
    return true;
  });
}

/// What is normalized, and over which trailing axes.
struct Normalized {
  Value x;
  int64_t axis;
  double epsilon;
};

/// `(x - mean) / sqrt(var + epsilon)`
std::optional<Normalized> matchStandardized(Value v) {
  Normalized result;
  bool matched = matchOverRoot(v, [&](Value numerator, Value inside) {
    std::optional<Centred> centred = matchCentred(numerator);
    return centred && matchPlusEpsilon(inside, result.epsilon, [&](Value variance) {
      Value squared;
      std::optional<int64_t> axis = matchTrailingMean(variance, squared);
      if (!axis || *axis != centred->axis)
        return false;
      std::optional<Centred> again = matchSquaredCentred(squared);
      result.x = centred->x;
      result.axis = *axis;
      return again && again->axis == *axis && skipWidening(again->x) == skipWidening(centred->x);
    });
  });
  return matched ? std::optional(result) : std::nullopt;
}

/// `x / sqrt(mean(x^2) + epsilon)`
std::optional<Normalized> matchRootMeanSquare(Value v) {
  Normalized result;
  bool matched = matchOverRoot(v, [&](Value numerator, Value inside) {
    return matchPlusEpsilon(inside, result.epsilon, [&](Value mean) {
      Value squared;
      std::optional<int64_t> axis = matchTrailingMean(mean, squared);
      Value x = axis ? matchSquare(squared) : Value();
      result.x = numerator;
      result.axis = axis.value_or(0);
      return x && skipWidening(x) == skipWidening(numerator);
    });
  });
  return matched ? std::optional(result) : std::nullopt;
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
/// Mul(Div(x, Sqrt(Add(ReduceMean(Pow(x, 2)), eps))), scale)
///   ==> RMSNormalization(x, scale)
struct RaiseNorm : RewritePattern {
  RaiseNorm(MLIRContext *context) : RewritePattern("onnx.Mul", 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    std::optional<Normalized> norm;
    bool isCentred = false;
    Value scale;
    eitherOrder(op, [&](Value quotient, Value other) {
      scale = other;
      norm = matchStandardized(quotient);
      isCentred = norm.has_value();
      if (!norm)
        norm = matchRootMeanSquare(quotient);
      return norm.has_value();
    });
    if (!norm)
      return rewriter.notifyMatchFailure(op, "no normalized operand");

    auto result = dyn_cast<RankedTensorType>(op->getResult(0).getType());
    if (!result)
      return rewriter.notifyMatchFailure(op, "rank is not known");
    // Where casts surround the primitives, x is taken at the result's precision.
    Value x = norm->x;
    if (getElementTypeOrSelf(x.getType()) != result.getElementType())
      x = skipWidening(x);
    auto type = dyn_cast<RankedTensorType>(x.getType());
    if (!type || type.getElementType() != result.getElementType() ||
        type.getRank() != result.getRank())
      return rewriter.notifyMatchFailure(op, "result and input differ in type");
    if (!fitsNormalizedDims(scale, type, norm->axis))
      return rewriter.notifyMatchFailure(op, "scale does not fit the normalized dimensions");
    if (!(norm->epsilon >= 0))
      return rewriter.notifyMatchFailure(op, "epsilon is negative");

    Builder &b = rewriter;
    StringRef name = isCentred ? "onnx.LayerNormalization" : "onnx.RMSNormalization";
    Operation *raised = createOnnx(
        rewriter, op->getLoc(), name, {x, scale}, result,
        {b.getNamedAttr("axis", b.getI64IntegerAttr(norm->axis - type.getRank())),
         b.getNamedAttr("epsilon", b.getF32FloatAttr(static_cast<float>(norm->epsilon)))});
    remark::passed(op->getLoc(),
                   remark::RemarkOpts::name(isCentred ? "layer-norm" : "rms-norm").category("sq-raise-onnx"))
        << remark::add(isCentred ? "primitives became LayerNormalization"
                                 : "primitives became RMSNormalization");
    rewriter.replaceOp(op, raised->getResults());
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

} // namespace

void sq::populateRaiseNorms(RewritePatternSet &patterns) {
  patterns.add<RaiseNorm, AddLayerNormBias>(patterns.getContext());
}
