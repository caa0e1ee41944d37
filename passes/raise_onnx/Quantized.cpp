/// Quantised operators in terms of products of integers, QuantizeLinear and
/// DequantizeLinear: ONNX's QLinearMatMul and QLinearConv, and those of onnxruntime.
///
/// Source: ContribOperators.md of onnxruntime.
#include "passes/raise_onnx/Expansion.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kFloat = 1; // TensorProto.DataType

/// A float tensor that is stored with a scale and a zero point.
Value dequantize(Expansion &e, Value x, Value scale, Value zero) {
  SmallVector<Value> operands = {x, scale};
  if (zero)
    operands.push_back(zero);
  return e.makeOf("DequantizeLinear", operands, e.rewriter.getF32Type());
}

/// Operands first, first + 1 (scale) and first + 2 (zero point).
Value dequantize(Expansion &e, unsigned first) {
  return dequantize(e, e.operand(first), e.operand(first + 1), e.operand(first + 2));
}

/// To the type of `zero`, or without one of `like` (onnxruntime's inputs and outputs agree).
Value quantize(Expansion &e, Value x, Value scale, Value zero, Value like) {
  SmallVector<Value> operands = {x, scale};
  SmallVector<NamedAttribute> attributes;
  if (zero)
    operands.push_back(zero);
  else if (getElementTypeOrSelf(like.getType()).isSignlessInteger(8))
    attributes.push_back(e.attribute("output_dtype", int64_t(3)));
  return e.makeOf("QuantizeLinear", operands, getElementTypeOrSelf(like.getType()), attributes);
}

std::optional<int64_t> rankOf(Value x) {
  auto type = dyn_cast<RankedTensorType>(x.getType());
  return type ? std::optional<int64_t>(type.getRank()) : std::nullopt;
}

/// One number per channel as a factor of [N, C, D1, ..] (`rank` dims); a scalar as it is.
Value alongChannels(Expansion &e, Value vector, int64_t rank) {
  if (rankOf(vector) == 0 || rank <= 2)
    return vector;
  SmallVector<int64_t> shape(rank - 1, 1);
  shape[0] = -1;
  return e.makeOf("Reshape", {vector, e.constant(shape)}, getElementTypeOrSelf(vector.getType()));
}

/// A constant that is not positive and finite, which the lowering refuses.
bool isBadScale(Value v) {
  Operation *constant = v ? definedBy(v, "onnx.Constant") : nullptr;
  auto isBad = [](float x) { return !(x > 0 && std::isfinite(x)); };
  if (!constant || !getElementTypeOrSelf(v.getType()).isF32())
    return false;
  if (auto dense = constant->getAttrOfType<DenseFPElementsAttr>("value"))
    return llvm::any_of(dense.getValues<float>(), isBad);
  auto resource = constant->getAttrOfType<DenseF32ResourceElementsAttr>("value");
  std::optional<ArrayRef<float>> floats = resource ? resource.tryGetAsArrayRef() : std::nullopt;
  return floats && llvm::any_of(*floats, isBad);
}

bool hasBadScale(Expansion &e, ArrayRef<unsigned> scales) {
  return llvm::any_of(scales, [&](unsigned i) { return isBadScale(e.operand(i)); });
}

constexpr const char *kBadScale = "a scale is not positive and finite";

/// A product of integers as a float: times both scales.
Value rescaled(Expansion &e, Value sum, Value scale) {
  Type f32 = e.rewriter.getF32Type();
  return e.makeOf("Mul", {e.cast(sum, kFloat, f32), scale}, f32);
}

/// scaleA scaleB / scaleY in f32.
Value jointScale(Expansion &e, Value a, Value b, Value y) {
  Type f32 = e.rewriter.getF32Type();
  auto wide = [&](Value scale) { return e.cast(scale, kFloat, f32); };
  Value product = e.makeOf("Mul", {wide(a), wide(b)}, f32);
  return y ? e.makeOf("Div", {product, wide(y)}, f32) : product;
}

Value matMulInteger(Expansion &e, Value a, Value b, Value aZero, Value bZero) {
  return e.makeOf("MatMulInteger", {a, b, e.orNone(aZero), e.orNone(bZero)}, e.rewriter.getI32Type());
}

/// A constant, or the transposition of one.
bool isConstant(Value v) {
  if (Operation *transpose = definedBy(v, "onnx.Transpose"))
    return isConstant(transpose->getOperand(0));
  return definedBy(v, "onnx.Constant");
}

/// A tensor of one element.
bool isNumber(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return type && type.hasStaticShape() && type.getNumElements() == 1;
}

/// QLinearMatMul(a, scale, zero, b, scale, zero, y scale, y zero)
LogicalResult qLinearMatMul(Expansion &e) {
  if (hasBadScale(e, {1, 4, 6}))
    return e.refuse(kBadScale);
  Value aScale = e.operand(1), aZero = e.operand(2);
  auto type = dyn_cast<RankedTensorType>(aScale.getType());
  if (!type)
    return e.refuse("the rank of a's scale is not known");
  if (type.getRank() == 1 && type.getDimSize(0) != 1) // along the rows
    aScale = e.makeOf("Unsqueeze", {aScale, e.constant(1)}, type.getElementType());
  if (!isConstant(e.operand(3)) && isNumber(e.operand(4)) && isNumber(aScale)) {
    // Integers have kernels for a constant b; of other products that of floats is the fastest.
    Value product = e.makeOf("MatMul", {dequantize(e, 0), dequantize(e, 3)}, e.rewriter.getF32Type());
    return e.replace(quantize(e, product, e.operand(6), e.operand(7), e.operand(7)));
  }
  Value sum = matMulInteger(e, e.operand(0), e.operand(3), aZero, e.operand(5));
  Value y = rescaled(e, sum, jointScale(e, aScale, e.operand(4), e.operand(6)));
  return e.replace(quantize(e, y, e.scalar(1), e.operand(7), e.operand(7)));
}

/// QLinearConv(x, scale, zero, w, scale, zero, y scale, y zero, bias)
LogicalResult qLinearConv(Expansion &e) {
  if (hasBadScale(e, {1, 4, 6}))
    return e.refuse(kBadScale);
  Value w = e.operand(3), bias = e.operand(8);
  std::optional<int64_t> rank = rankOf(w);
  if (!rank || !rankOf(e.operand(4)))
    return e.refuse("the weight's rank is not known");
  Type i32 = e.rewriter.getI32Type();
  Value sum = e.makeOf("ConvInteger", {e.operand(0), w, e.operand(2), e.operand(5)}, i32,
                       e.copied({"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"}));
  if (bias)
    sum = e.makeOf("Add", {sum, alongChannels(e, bias, *rank)}, i32);
  Value scale = jointScale(e, e.operand(1), alongChannels(e, e.operand(4), *rank), e.operand(6));
  return e.replace(quantize(e, rescaled(e, sum, scale), e.scalar(1), e.operand(7), e.operand(7)));
}

/// The value of a constant with one element, a float or an integer.
std::optional<float> numberOf(Value v) {
  Operation *constant = v ? definedBy(v, "onnx.Constant") : nullptr;
  auto value = constant ? constant->getAttrOfType<DenseElementsAttr>("value") : DenseElementsAttr();
  if (!value || value.getNumElements() != 1)
    return std::nullopt;
  if (value.getElementType().isF32())
    return *value.value_begin<float>();
  if (!isa<IntegerType>(value.getElementType()))
    return std::nullopt;
  APInt number = *value.value_begin<APInt>();
  return value.getElementType().isUnsignedInteger() ? float(number.getZExtValue()) : float(number.getSExtValue());
}

/// QLinearAdd and QLinearMul in steps of the result, with its zero point within the rounding:
///
///   round(a sA / sC + b sB / sC + (zC - zA sA / sC - zB sB / sC)),  round((a - zA) (b - zB) (sA sB / sC) + zC)
///
/// as onnxruntime computes them. It matters where sums lie half-way between two steps as a rule, as of erf + 1 in GELU, whose
/// scales are 2 / 255 and 1 / 255: floats that were multiplied by scales first round there by accident. False when a scale
/// or zero point is not constant, or no scale.
bool expandInSteps(Expansion &e) {
  std::optional<float> numbers[8];
  for (unsigned i : {1, 2, 4, 5, 6, 7})
    numbers[i] = e.operand(i) ? numberOf(e.operand(i)) : 0;
  if (!llvm::all_of(llvm::ArrayRef<unsigned>{1, 2, 4, 5, 6, 7}, [&](unsigned i) { return numbers[i].has_value(); }))
    return false;
  float sA = *numbers[1], zA = *numbers[2], sB = *numbers[4], zB = *numbers[5], sC = *numbers[6], zC = *numbers[7];
  float rA = sA / sC, rB = sB / sC, both = sA * sB / sC;
  Type f32 = e.rewriter.getF32Type(), element = getElementTypeOrSelf(e.operand(0).getType());
  auto isSize = [](float x) { return x > 0 && std::isfinite(x); };
  if (!element.isInteger(8) || !llvm::all_of(llvm::ArrayRef<float>{sA, sB, sC, rA, rB, both}, isSize))
    return false;
  bool isUnsigned = element.isUnsignedInteger();
  auto made = [&](StringRef name, Value x, Value y) { return e.makeOf(name, {x, y}, f32); };
  Value a = e.cast(e.operand(0), kFloat, f32), b = e.cast(e.operand(3), kFloat, f32), y;
  if (e.type == "QLinearMul") {
    y = made("Mul", made("Sub", a, e.scalar(zA)), made("Sub", b, e.scalar(zB)));
    y = made("Add", made("Mul", y, e.scalar(both)), e.scalar(zC));
  } else {
    // A single number belongs to what is fixed.
    Value fixed = e.scalar(zC - (rA * zA + rB * zB)), first = made("Mul", a, e.scalar(rA)), second = made("Mul", b, e.scalar(rB));
    if (isNumber(e.operand(3)))
      std::swap(first, second);
    y = made("Add", made("Add", fixed, first), second);
  }
  y = e.makeOf("Clip", {e.makeOf("Round", y, f32), e.scalar(isUnsigned ? 0 : -128), e.scalar(isUnsigned ? 255 : 127)}, f32);
  constexpr int64_t kUint8 = 2, kInt8 = 3;
  (void)e.replace(e.cast(y, isUnsigned ? kUint8 : kInt8, element));
  return true;
}

/// QLinearAdd and QLinearMul(A, scale, zero, B, scale, zero, scale, zero)
LogicalResult qLinearBinary(Expansion &e) {
  if (expandInSteps(e))
    return success();
  StringRef name = e.type == "QLinearAdd" ? "Add" : "Mul";
  Value a = dequantize(e, 0), b = dequantize(e, 3);
  Value y = e.makeOf(name, {a, b}, e.rewriter.getF32Type());
  return e.replace(quantize(e, y, e.operand(6), e.operand(7), e.operand(0)));
}

/// One input: QLinearSigmoid and its kin (X, scale, zero, Y scale, Y zero).
LogicalResult qLinearUnary(Expansion &e) {
  if (e.integer("channels_last", 0))
    return e.refuse("channels_last is not supported");
  StringRef name = e.type.drop_front(StringRef("QLinear").size());
  SmallVector<NamedAttribute> attributes =
      e.copied({"auto_pad", "axis", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"});
  if (name == "LeakyRelu")
    attributes = {e.attribute("alpha", e.number("alpha", 0.01))};
  if (name == "Softmax") {
    // Before opset 13 all dims from the axis on are one; the same for the last axis only.
    std::optional<int64_t> rank = rankOf(e.operand(0));
    int64_t axis = e.integer("axis", -1);
    if (e.integer("opset", 13) < 13 && axis != -1 && (!rank || axis != *rank - 1))
      return e.refuse("a softmax over several axes");
  }
  Value y = e.makeOf(name, dequantize(e, 0), e.rewriter.getF32Type(), attributes);
  return e.replace(quantize(e, y, e.operand(3), e.operand(4), e.operand(0)));
}

/// QLinearConcat(Y scale, Y zero, then (X, scale, zero) ..)
LogicalResult qLinearConcat(Expansion &e) {
  // (Nothing is written before a refusal.)
  for (unsigned i = 2; i < std::max(e.op->getNumOperands(), 4u); i += 3)
    if (!e.operand(i) || !e.operand(i + 1))
      return e.refuse("an input without a tensor or scale");
  SmallVector<Value> parts;
  for (unsigned i = 2; i < e.op->getNumOperands(); i += 3)
    parts.push_back(dequantize(e, i));
  Value y = e.makeOf("Concat", parts, e.rewriter.getF32Type(), e.copied({"axis"}));
  return e.replace(quantize(e, y, e.operand(0), e.operand(1), e.operand(2)));
}

/// QLinearWhere(condition, X, scale, zero, Y, scale, zero, Z scale, Z zero)
LogicalResult qLinearWhere(Expansion &e) {
  Value x = dequantize(e, 1), y = dequantize(e, 4);
  Value z = e.makeOf("Where", {e.operand(0), x, y}, e.rewriter.getF32Type());
  return e.replace(quantize(e, z, e.operand(7), e.operand(8), e.operand(1)));
}

/// MatMulIntegerToFloat(A, B, A scale, B scale, A zero, B zero, bias)
LogicalResult matMulIntegerToFloat(Expansion &e) {
  if (hasBadScale(e, {2, 3}))
    return e.refuse(kBadScale);
  Value sum = matMulInteger(e, e.operand(0), e.operand(1), e.operand(4), e.operand(5));
  Value y = rescaled(e, sum, jointScale(e, e.operand(2), e.operand(3), Value()));
  return e.replace(e.add(y, e.operand(6)));
}

/// DynamicQuantizeMatMul(A, B, B scale, B zero, bias)
LogicalResult dynamicQuantizeMatMul(Expansion &e) {
  if (hasBadScale(e, {2}))
    return e.refuse(kBadScale);
  Type ui8 = e.rewriter.getIntegerType(8, /*isSigned=*/false), f32 = e.rewriter.getF32Type();
  Operation *a = createOnnx(e.rewriter, e.op->getLoc(), "onnx.DynamicQuantizeLinear", e.operand(0),
                            {e.typeOf(ui8), e.typeOf(f32), e.typeOf(ui8)});
  Value sum = matMulInteger(e, a->getResult(0), e.operand(1), a->getResult(2), e.operand(3));
  Value y = rescaled(e, sum, jointScale(e, a->getResult(1), e.operand(2), Value()));
  return e.replace(e.add(y, e.operand(4)));
}

/// QGemm(A, scale, zero, B, scale, zero, C, y scale, y zero): alpha A' B' + C, where C is
/// i32 with the scale alpha scaleA scaleB; without a y scale the result is float.
LogicalResult qGemm(Expansion &e) {
  if (hasBadScale(e, {1, 4, 7}))
    return e.refuse(kBadScale);
  Type f32 = e.rewriter.getF32Type(), i32 = e.rewriter.getI32Type();
  int64_t swapped[] = {1, 0};
  auto transposed = [&](unsigned i, StringRef attribute) {
    if (!e.integer(attribute, 0))
      return e.operand(i);
    Attribute perm = e.rewriter.getDenseI64ArrayAttr(swapped);
    return e.makeOf("Transpose", e.operand(i), getElementTypeOrSelf(e.operand(i).getType()),
                    e.rewriter.getNamedAttr("perm", perm));
  };
  Value sum = matMulInteger(e, transposed(0, "transA"), transposed(3, "transB"), e.operand(2), e.operand(5));
  if (Value c = e.operand(6))
    sum = e.makeOf("Add", {sum, c}, i32);
  Value scale = jointScale(e, e.operand(1), e.operand(4), e.operand(7));
  if (double alpha = e.number("alpha", 1); alpha != 1)
    scale = e.makeOf("Mul", {scale, e.scalar(alpha)}, f32);
  Value y = rescaled(e, sum, scale);
  return e.replace(e.operand(7) ? quantize(e, y, e.scalar(1), e.operand(8), e.operand(0)) : y);
}

/// QAttention(input, weight, bias, input scale, weight scale, mask_index, input zero, weight
/// zero, past): Attention of what the integers stand for.
LogicalResult qAttention(Expansion &e) {
  Value x = dequantize(e, e.operand(0), e.operand(3), e.operand(6));
  Value weight = dequantize(e, e.operand(1), e.operand(4), e.operand(7));
  SmallVector<NamedAttribute> kept =
      e.copied({"num_heads", "unidirectional", "do_rotary", "past_present_share_buffer", "mask_filter_value"});
  Attribute dictionary = DictionaryAttr::get(e.op->getContext(), kept);
  SmallVector<Value> operands = {x, weight, e.orNone(e.operand(2)), e.orNone(e.operand(5)), e.orNone(e.operand(8))};
  Operation *attention =
      createOnnx(e.rewriter, e.op->getLoc(), "onnx.Custom", operands, e.op->getResultTypes(),
                 {e.attribute("domain", StringRef("com.microsoft")),
                  e.attribute("op_type", StringRef("Attention")), e.attribute("opset", int64_t(1)),
                  e.rewriter.getNamedAttr("attributes", dictionary)});
  return e.replace(SmallVector<Value>(attention->getResults()));
}

} // namespace

void sq::addQuantizedRules(ExpansionRules &rules) {
  rules["onnx.QLinearMatMul"] = {qLinearMatMul};
  rules["onnx.QLinearConv"] = {qLinearConv};
  for (StringRef name : {"QLinearAdd", "QLinearMul"})
    rules[("com.microsoft." + name).str()] = {qLinearBinary};
  for (StringRef name : {"QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax",
                         "QLinearAveragePool", "QLinearGlobalAveragePool"})
    rules[("com.microsoft." + name).str()] = {qLinearUnary};
  rules["com.microsoft.QLinearConcat"] = {qLinearConcat};
  rules["com.microsoft.QLinearWhere"] = {qLinearWhere};
  rules["com.microsoft.MatMulIntegerToFloat"] = {matMulIntegerToFloat};
  rules["com.microsoft.DynamicQuantizeMatMul"] = {dynamicQuantizeMatMul};
  rules["com.microsoft.QGemm"] = {qGemm};
  rules["com.microsoft.QAttention"] = {qAttention, {0, 1}};
}
