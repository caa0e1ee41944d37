/// Quantised constants where the lowering finds them: next to what reads them.

#include "passes/raise_onnx/Match.h"

#include "dialects/onnx/IR/OnnxOps.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace sq;

namespace {

bool isGiven(Operation *op, unsigned i) {
  return i < op->getNumOperands() && !isa<NoneType>(op->getOperand(i).getType());
}

/// A constant, or one that is quantised or dequantised.
bool isConstant(Value v) {
  for (StringRef name : {"onnx.QuantizeLinear", "onnx.DequantizeLinear"})
    if (Operation *op = definedBy(v, name))
      return isConstant(op->getOperand(0));
  return definedBy(v, "onnx.Constant");
}

RankedTensorType rankedType(Value v) { return dyn_cast<RankedTensorType>(v.getType()); }

/// A tensor type with the elements of `like`.
Type elementsOf(Value like) {
  return UnrankedTensorType::get(getElementTypeOrSelf(like.getType()));
}

/// The scale, which decides where a zero point runs: one number, or one for each element of an axis.
enum class Scales { One, AlongAxis, Other };

Scales scalesOf(Operation *op) {
  RankedTensorType scale = rankedType(op->getOperand(1));
  if (!scale || !scale.hasStaticShape() || scale.getRank() > 1)
    return Scales::Other;
  if (scale.getNumElements() == 1)
    return Scales::One;
  auto block = op->getAttrOfType<IntegerAttr>("block_size");
  return block && block.getInt() ? Scales::Other : Scales::AlongAxis;
}

int64_t axisOf(Operation *op, int64_t rank) {
  auto axis = op->getAttrOfType<IntegerAttr>("axis");
  int64_t value = axis ? axis.getInt() : 1;
  return value < 0 ? value + rank : value;
}

// DequantizeLinear(Transpose(constant))  ==>  Transpose(DequantizeLinear(constant))
// and QuantizeLinear likewise: a product takes a weight as it lies.
struct TransposeBehind : RewritePattern {
  TransposeBehind(StringRef name, MLIRContext *context) : RewritePattern(name, 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    Operation *transpose = op->getNumOperands() > 1 ? definedBy(op->getOperand(0), "onnx.Transpose") : nullptr;
    if (!transpose || !hasOperands(transpose, 1) || !isConstant(transpose->getOperand(0)))
      return rewriter.notifyMatchFailure(op, "not of a transposed constant");
    Value source = transpose->getOperand(0);
    RankedTensorType type = rankedType(source);
    Scales scales = scalesOf(op);
    if (!type || scales == Scales::Other)
      return rewriter.notifyMatchFailure(op, "its rank is not known, or it has other scales than one or those of an axis");
    SmallVector<int64_t> perm = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(type.getRank())));
    if (auto given = transpose->getAttrOfType<DenseI64ArrayAttr>("perm"))
      perm.assign(given.asArrayRef().begin(), given.asArrayRef().end());
    NamedAttrList attributes(op->getAttrs());
    if (scales == Scales::AlongAxis) {
      int64_t axis = axisOf(op, type.getRank());
      if (axis < 0 || axis >= int64_t(perm.size()) || perm[axis] < 0 || perm[axis] >= type.getRank())
        return rewriter.notifyMatchFailure(op, "an axis out of range"); // (The lowering says so.)
      attributes.set("axis", rewriter.getIntegerAttr(rewriter.getIntegerType(64), perm[axis]));
    }
    SmallVector<Value> operands(op->getOperands());
    operands[0] = source;
    Type element = getElementTypeOrSelf(op->getResult(0).getType());
    if (!TensorType::isValidElementType(element))
      return rewriter.notifyMatchFailure(op, "its type is not known");
    Operation *inner = createOnnx(rewriter, op->getLoc(), op->getName().getStringRef(), operands, type.clone(element),
                                  attributes.getAttrs());
    rewriter.replaceOp(op, createOnnx(rewriter, transpose->getLoc(), "onnx.Transpose", inner->getResult(0),
                                      op->getResultTypes(), transpose->getAttrs()));
    return success();
  }
};

// Gather(DequantizeLinear(constant, scale, zero), indices)
// ==>  DequantizeLinear(Gather(constant, indices), scale, zero)
// so that a table of embeddings is not dequantised as a whole. With a scale for each row that is
// gathered, and no zero points,
// ==>  Mul(DequantizeLinear(Gather(constant, indices), 1), Unsqueeze(Gather(scale, indices), -1)).
struct GatherBefore : RewritePattern {
  GatherBefore(MLIRContext *context) : RewritePattern("onnx.Gather", 1, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    Operation *dequantize = hasOperands(op, 2) ? definedBy(op->getOperand(0), "onnx.DequantizeLinear") : nullptr;
    if (!dequantize || dequantize->getNumOperands() < 2 || !isConstant(dequantize->getOperand(0)))
      return rewriter.notifyMatchFailure(op, "not of a dequantised constant");
    Value stored = dequantize->getOperand(0), scale = dequantize->getOperand(1), indices = op->getOperand(1);
    Location loc = op->getLoc();
    auto gather = [&](Value from) {
      return createOnnx(rewriter, loc, "onnx.Gather", {from, indices}, elementsOf(from), op->getAttrs())->getResult(0);
    };
    switch (scalesOf(dequantize)) {
    case Scales::One: {
      SmallVector<Value> operands(dequantize->getOperands());
      operands[0] = gather(stored);
      rewriter.replaceOp(op, createOnnx(rewriter, loc, "onnx.DequantizeLinear", operands, op->getResultTypes(),
                                        dequantize->getAttrs()));
      return success();
    }
    case Scales::AlongAxis: {
      RankedTensorType type = rankedType(stored);
      auto axis = op->getAttrOfType<IntegerAttr>("axis");
      if (!type || type.getRank() != 2 || (axis && axis.getInt() != 0) || axisOf(dequantize, 2) != 0 ||
          isGiven(dequantize, 2) || !getElementTypeOrSelf(scale.getType()).isF32() || dequantize->hasAttr("output_dtype"))
        return rewriter.notifyMatchFailure(op, "scales of other than the rows, or zero points");
      auto constant = [&](DenseElementsAttr value) {
        return createOnnx(rewriter, loc, "onnx.Constant", {}, value.getType(), rewriter.getNamedAttr("value", value))
            ->getResult(0);
      };
      Value one = constant(DenseElementsAttr::get(RankedTensorType::get({}, rewriter.getF32Type()), 1.0f));
      Value last = constant(DenseElementsAttr::get(RankedTensorType::get({1}, rewriter.getI64Type()), int64_t(-1)));
      Type floats = elementsOf(scale);
      Value rows = createOnnx(rewriter, loc, "onnx.DequantizeLinear", {gather(stored), one}, floats)->getResult(0);
      Value scales = createOnnx(rewriter, loc, "onnx.Unsqueeze", {gather(scale), last}, floats)->getResult(0);
      rewriter.replaceOp(op, createOnnx(rewriter, loc, "onnx.Mul", {rows, scales}, op->getResultTypes()));
      return success();
    }
    case Scales::Other:
      return rewriter.notifyMatchFailure(op, "it has other scales than one or those of an axis");
    }
    llvm_unreachable("covered");
  }
};

} // namespace

void sq::populateRaiseQuantizedConstants(RewritePatternSet &patterns) {
  for (StringRef name : {"onnx.QuantizeLinear", "onnx.DequantizeLinear"})
    patterns.add<TransposeBehind>(name, patterns.getContext());
  patterns.add<GatherBefore>(patterns.getContext());
}
