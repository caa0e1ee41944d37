/// GELU and SiLU from their primitives.
///
/// GELU needs no list of spellings: the expression is expanded as a polynomial
/// in x and F = erf(..) or tanh(..), and the coefficients are compared.

#include "passes/raise_onnx/Match.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

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

bool hasRankZero(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.getRank() == 0;
}

/// No constant between `v` and `x` can raise the rank of what it meets.
bool constantsHaveRankZero(Value v, Value x, int depth = 12) {
  if (v == x)
    return true;
  if (scalarConstant(v))
    return hasRankZero(v);
  Operation *op = v.getDefiningOp();
  return op && depth > 0 && llvm::all_of(op->getOperands(), [&](Value operand) {
    return constantsHaveRankZero(operand, x, depth - 1);
  });
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
    if (type && result && type.getElementType() != result.getElementType())
      return rewriter.notifyMatchFailure(op, "result and input differ in type");
    // A constant of a higher rank than x would have raised the rank. Behind
    // operators of onnxruntime no rank is known.
    if (!(type && result && type.getRank() == result.getRank()) &&
        !constantsHaveRankZero(op->getResult(0), x))
      return rewriter.notifyMatchFailure(op, "result and input may differ in rank");
    Builder &b = rewriter;
    StringRef approximate = isErf ? "none" : "tanh";
    Operation *gelu =
        createOnnx(rewriter, op->getLoc(), "onnx.Gelu", x, op->getResultTypes(),
                   b.getNamedAttr("approximate", b.getStringAttr(approximate)));
    remark::passed(op->getLoc(), remark::RemarkOpts::name("gelu").category("sq-raise-onnx"))
        << remark::add(isErf ? "primitives became Gelu by erf" : "primitives became Gelu by tanh");
    rewriter.replaceOp(op, gelu->getResults());
    return success();
  }
};

/// Mul(x, Sigmoid(x))          ==> Swish(x)
/// Mul(x, Sigmoid(Mul(x, c)))  ==> Swish(x), alpha = c
struct RaiseSwish : RewritePattern {
  RaiseSwish(MLIRContext *context) : RewritePattern("onnx.Mul", 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    Value x;
    double alpha = 1;
    bool matched = eitherOrder(op, [&](Value factor, Value other) {
      Operation *sigmoid = definedBy(other, "onnx.Sigmoid");
      if (!sigmoid || !hasOperands(sigmoid, 1))
        return false;
      x = factor;
      if (sigmoid->getOperand(0) == x)
        return true;
      return eitherOrder(definedBy(sigmoid->getOperand(0), "onnx.Mul"), [&](Value y, Value c) {
        std::optional<double> constant = scalarConstant(c);
        alpha = constant.value_or(0);
        return y == x && constant && hasRankZero(c);
      });
    });
    if (!matched)
      return rewriter.notifyMatchFailure(op, "not x times the sigmoid of x");
    Builder &b = rewriter;
    Operation *swish = createOnnx(
        rewriter, op->getLoc(), "onnx.Swish", x, op->getResultTypes(),
        b.getNamedAttr("alpha", b.getF32FloatAttr(static_cast<float>(alpha))));
    remark::passed(op->getLoc(), remark::RemarkOpts::name("swish").category("sq-raise-onnx"))
        << remark::add("primitives became Swish");
    rewriter.replaceOp(op, swish->getResults());
    return success();
  }
};

} // namespace

void sq::populateRaiseActivations(RewritePatternSet &patterns) {
  for (StringRef root : {"onnx.Mul", "onnx.Div", "onnx.Add"})
    patterns.add<RaiseGelu>(root, patterns.getContext());
  patterns.add<RaiseSwish>(patterns.getContext());
}
