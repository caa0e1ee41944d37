/// Writing an operator of onnxruntime in terms of ONNX.
#ifndef SQ_PASSES_RAISE_ONNX_EXPANSION_H
#define SQ_PASSES_RAISE_ONNX_EXPANSION_H

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Signatures.h"
#include "passes/raise_onnx/Match.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/StringMap.h"

namespace sq {

/// One op, an `onnx.Custom` or of the dialect, and the ops that are written for it.
struct Expansion {
  mlir::Operation *op;
  llvm::StringRef type; // without the domain: "BiasGelu"
  mlir::PatternRewriter &rewriter;

  /// Operand i, or null when it is not given.
  mlir::Value operand(unsigned i) {
    if (i >= op->getNumOperands() || mlir::isa<mlir::NoneType>(op->getOperand(i).getType()))
      return mlir::Value();
    return op->getOperand(i);
  }
  llvm::SmallVector<GivenOperand> givenOperands() {
    llvm::SmallVector<GivenOperand> given;
    for (mlir::Type type : op->getOperandTypes()) {
      auto tensor = mlir::dyn_cast<mlir::TensorType>(type);
      given.push_back({!mlir::isa<mlir::NoneType>(type), tensor ? tensor.getElementType() : mlir::Type()});
    }
    return given;
  }
  /// The attribute, null when it is not given.
  mlir::Attribute given(llvm::StringRef name) {
    auto dictionary = op->getAttrOfType<mlir::DictionaryAttr>("attributes");
    return dictionary ? dictionary.get(name) : op->getAttr(name);
  }
  double number(llvm::StringRef name, double absent) {
    auto value = llvm::dyn_cast_if_present<mlir::FloatAttr>(given(name));
    return value ? value.getValueAsDouble() : absent;
  }
  int64_t integer(llvm::StringRef name, int64_t absent) {
    auto value = llvm::dyn_cast_if_present<mlir::IntegerAttr>(given(name));
    return value ? value.getValue().getSExtValue() : absent;
  }
  std::string text(llvm::StringRef name) {
    auto value = llvm::dyn_cast_if_present<mlir::StringAttr>(given(name));
    return value ? value.str() : "";
  }
  /// Those of the attributes that are given.
  llvm::SmallVector<mlir::NamedAttribute> copied(llvm::ArrayRef<llvm::StringRef> names) {
    llvm::SmallVector<mlir::NamedAttribute> result;
    for (llvm::StringRef name : names)
      if (mlir::Attribute value = given(name))
        result.push_back(rewriter.getNamedAttr(name, value));
    return result;
  }
  mlir::NamedAttribute attribute(llvm::StringRef name, double value) {
    return rewriter.getNamedAttr(name, rewriter.getF32FloatAttr(static_cast<float>(value)));
  }
  mlir::NamedAttribute attribute(llvm::StringRef name, int64_t value) {
    return rewriter.getNamedAttr(name, rewriter.getI64IntegerAttr(value));
  }
  mlir::NamedAttribute attribute(llvm::StringRef name, llvm::StringRef value) {
    return rewriter.getNamedAttr(name, rewriter.getStringAttr(value));
  }

  /// Stands for an operand that is left out.
  mlir::Value none() {
    return createOnnx(rewriter, op->getLoc(), "onnx.NoValue", {}, rewriter.getNoneType())->getResult(0);
  }
  mlir::Value orNone(mlir::Value value) { return value ? value : none(); }
  /// A tensor of elements of a type, which may be unknown (that of an untyped value).
  mlir::Type typeOf(mlir::Type element) {
    if (mlir::TensorType::isValidElementType(element))
      return mlir::UnrankedTensorType::get(element);
    return onnx::UnknownType::get(op->getContext());
  }
  /// A new op with one result, of elements of a type.
  mlir::Value makeOf(llvm::StringRef name, mlir::ValueRange operands, mlir::Type element,
               llvm::ArrayRef<mlir::NamedAttribute> attributes = {}) {
    return createOnnx(rewriter, op->getLoc(), ("onnx." + name).str(), operands, typeOf(element),
                      attributes)
        ->getResult(0);
  }
  /// A new op with one result, typed like `like`.
  mlir::Value make(llvm::StringRef name, mlir::ValueRange operands, mlir::Value like,
             llvm::ArrayRef<mlir::NamedAttribute> attributes = {}) {
    return createOnnx(rewriter, op->getLoc(), ("onnx." + name).str(), operands, like.getType(),
                      attributes)
        ->getResult(0);
  }
  mlir::Value add(mlir::Value a, mlir::Value b) { return b ? make("Add", {a, b}, a) : a; }
  mlir::Value constant(llvm::ArrayRef<int64_t> values) {
    auto type = mlir::RankedTensorType::get(values.size(), rewriter.getI64Type());
    mlir::Attribute value = mlir::DenseElementsAttr::get(type, values);
    return createOnnx(rewriter, op->getLoc(), "onnx.Constant", {}, type,
                      rewriter.getNamedAttr("value", value))
        ->getResult(0);
  }
  mlir::Value scalar(double value) {
    auto type = mlir::RankedTensorType::get({}, rewriter.getF32Type());
    mlir::Attribute attr = mlir::DenseElementsAttr::get(type, static_cast<float>(value));
    return createOnnx(rewriter, op->getLoc(), "onnx.Constant", {}, type,
                      rewriter.getNamedAttr("value", attr))
        ->getResult(0);
  }
  /// A cast to the TensorProto.DataType `code`, whose type is `element`.
  mlir::Value cast(mlir::Value x, int64_t code, mlir::Type element) {
    return makeOf("Cast", x, element, attribute("to", code));
  }
  /// Before anything has been made: the driver would try again for ever.
  mlir::LogicalResult refuse(llvm::StringRef why) {
    op->setAttr(kRefused, rewriter.getStringAttr(why)); // unknown to the driver, which need not look again
    return rewriter.notifyMatchFailure(op, why);
  }
  /// LayerNormalization, or without `bias` and with `isRms` RMSNormalization.
  mlir::Value norm(mlir::Value x, mlir::Value scale, mlir::Value bias, bool isRms, double epsilonAbsent) {
    llvm::SmallVector<mlir::Value> operands = {x, scale};
    if (bias)
      operands.push_back(bias);
    return make(isRms ? "RMSNormalization" : "LayerNormalization", operands, x,
                {attribute("axis", int64_t(-1)), attribute("epsilon", number("epsilon", epsilonAbsent))});
  }
  /// Whether an output that is not among `computed` is used.
  bool usesOther(llvm::ArrayRef<unsigned> computed) {
    for (auto [i, result] : llvm::enumerate(op->getResults()))
      if (!result.use_empty() && !llvm::is_contained(computed, i))
        return true;
    return false;
  }
  /// Result types that are known stay as they are: the function's result may be
  /// among them.
  mlir::LogicalResult replace(llvm::ArrayRef<mlir::Value> values) {
    for (auto [i, result] : llvm::enumerate(op->getResults())) {
      if (result.use_empty())
        continue;
      mlir::Value value = values[i];
      if (!mlir::isa<onnx::UnknownType>(result.getType()))
        value.setType(result.getType());
      rewriter.replaceAllUsesWith(result, value);
    }
    rewriter.eraseOp(op);
    return mlir::success();
  }
};

struct Rule {
  mlir::LogicalResult (*expand)(Expansion &);
  llvm::SmallVector<unsigned> outputs = {0}; // those that it computes
};

/// By "domain.op_type".
using ExpansionRules = llvm::StringMap<Rule>;

void addFusedRules(ExpansionRules &rules);
void addQonnxRules(ExpansionRules &rules);
void addQuantizedRules(ExpansionRules &rules);

} // namespace sq

#endif
