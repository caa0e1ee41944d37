/// Quant (IntQuant), BipolarQuant and Trunc of QONNX in terms of ONNX: integers
/// between DequantizeLinear where they fit a byte, so that products of them are
/// products of integers, otherwise floats that have been rounded.
///
/// Source: specification mixed-precision.md 10; what is computed is
/// lib/numerics/QonnxQuant.h.
#include "passes/raise_onnx/Expansion.h"

#include "lib/numerics/QonnxQuant.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>

using namespace mlir;
using namespace sq;
using numerics::QuantRange;
using numerics::Rounding;

namespace {

constexpr int64_t kInt8 = 3, kUint8 = 2; // TensorProto.DataType
constexpr int kMostBits = 32;

/// A constant with its elements as floats.
struct Numbers {
  SmallVector<int64_t> shape;
  std::vector<float> values;

  bool isOne() const { return values.size() == 1; }
};

std::optional<Numbers> numbersOf(Value v) {
  Operation *op = v ? definedBy(v, "onnx.Constant") : nullptr;
  auto value = op ? op->getAttrOfType<ElementsAttr>("value") : ElementsAttr();
  if (!value)
    return std::nullopt;
  Numbers numbers;
  llvm::append_range(numbers.shape,
                     cast<ShapedType>(value.getType()).getShape());
  if (auto dense = dyn_cast<DenseFPElementsAttr>(value);
      dense && dense.getElementType().isF32()) {
    llvm::append_range(numbers.values, dense.getValues<float>());
  } else if (auto dense = dyn_cast<DenseIntElementsAttr>(value)) {
    bool isUnsigned = dense.getElementType().isUnsignedInteger();
    for (const APInt &x : dense.getValues<APInt>())
      numbers.values.push_back(isUnsigned ? float(x.getZExtValue())
                                          : float(x.getSExtValue()));
  } else if (auto resource = dyn_cast<DenseF32ResourceElementsAttr>(value)) {
    std::optional<ArrayRef<float>> floats = resource.tryGetAsArrayRef();
    if (!floats)
      return std::nullopt;
    llvm::append_range(numbers.values, *floats);
  } else {
    return std::nullopt;
  }
  return numbers;
}

/// The axis of `shape` along which `numbers` differ when they are broadcast to
/// it: -1 where they are one number; nothing where they differ along several or
/// have more dims.
std::optional<int64_t> axisOf(const Numbers &numbers, int64_t rank) {
  int64_t axis = -1, missing = rank - int64_t(numbers.shape.size());
  if (missing < 0)
    return std::nullopt;
  for (auto [d, size] : llvm::enumerate(numbers.shape))
    if (size != 1) {
      if (axis >= 0)
        return std::nullopt;
      axis = d + missing;
    }
  return axis;
}

/// What a node says, as far as it has to be constant.
struct Quantizer {
  QuantRange range;
  Rounding rounding;
};

/// One positive integer, such as a number of bits; nothing when it is not that.
std::optional<int> integerOf(Value v) {
  std::optional<Numbers> number = numbersOf(v);
  if (!number || !number->isOne() ||
      number->values[0] != std::floor(number->values[0]) ||
      !(number->values[0] >= 1) || number->values[0] > kMostBits)
    return std::nullopt;
  return int(number->values[0]);
}

/// Empty, or why the node is refused.
std::string readQuantizer(Expansion &e, Value bits, Quantizer &read) {
  std::optional<int> width = integerOf(bits);
  if (!width)
    return "its bit width is not a constant integer from 1 to " +
           std::to_string(kMostBits);
  std::string name = e.text("rounding_mode");
  bool isTrunc = e.type == "Trunc";
  std::optional<Rounding> rounding =
      numerics::findRounding(name.empty() ? isTrunc ? "FLOOR" : "ROUND" : name);
  if (!rounding)
    return "there is no rounding_mode '" + name +
           "'; ROUND, CEIL, FLOOR, UP, DOWN, HALF_UP, HALF_DOWN";
  read.range = {*width, e.integer("signed", 1) != 0,
                e.integer("narrow", 0) != 0};
  read.rounding = *rounding;
  return "";
}

std::string checkScale(Value scale) {
  std::optional<Numbers> numbers = numbersOf(scale);
  bool isGood = !numbers || llvm::all_of(numbers->values, [](float s) {
    return s > 0 && std::isfinite(s);
  });
  return isGood ? "" : "a scale is not positive and finite";
}

Value constantOf(Expansion &e, ArrayRef<int64_t> shape, Type element,
                 ArrayRef<char> bytes) {
  auto type = RankedTensorType::get(shape, element);
  AsmResourceBlob blob =
      HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, /*align=*/64);
  Attribute value =
      DenseResourceElementsAttr::get(type, "quantized", std::move(blob));
  return createOnnx(e.rewriter, e.op->getLoc(), "onnx.Constant", {}, type,
                    e.rewriter.getNamedAttr("value", value))
      ->getResult(0);
}

Value floatsOf(Expansion &e, ArrayRef<int64_t> shape, ArrayRef<float> values) {
  if (shape.empty())
    return e.scalar(values.front());
  auto type = RankedTensorType::get(shape, e.rewriter.getF32Type());
  return createOnnx(e.rewriter, e.op->getLoc(), "onnx.Constant", {}, type,
                    e.rewriter.getNamedAttr(
                        "value", DenseElementsAttr::get(type, values)))
      ->getResult(0);
}

Value binary(Expansion &e, StringRef name, Value a, Value b) {
  return e.makeOf(name, {a, b}, e.rewriter.getF32Type());
}

Value unary(Expansion &e, StringRef name, Value x) {
  return e.makeOf(name, x, e.rewriter.getF32Type());
}

/// numerics::roundBy.
Value rounded(Expansion &e, Rounding rounding, Value x) {
  // Away from zero and back: what works on magnitudes.
  auto ofMagnitude = [&](StringRef name, float added) {
    Value magnitude = unary(e, "Abs", x);
    if (added != 0)
      magnitude = binary(e, "Add", magnitude, e.scalar(added));
    return binary(e, "Mul", unary(e, "Sign", x), unary(e, name, magnitude));
  };
  switch (rounding) {
  case Rounding::HalfEven:
    return unary(e, "Round", x);
  case Rounding::Ceil:
    return unary(e, "Ceil", x);
  case Rounding::Floor:
    return unary(e, "Floor", x);
  case Rounding::Up:
    return ofMagnitude("Ceil", 0);
  case Rounding::Down:
    return ofMagnitude("Floor", 0);
  case Rounding::HalfUp:
    return ofMagnitude("Floor", 0.5f);
  case Rounding::HalfDown:
    return ofMagnitude("Ceil", -0.5f);
  }
  llvm_unreachable("covered");
}

Value clamped(Expansion &e, const QuantRange &range, Value x) {
  return e.makeOf("Clip", {x, e.scalar(range.low()), e.scalar(range.high())},
                  e.rewriter.getF32Type());
}

/// 1 where x >= 0, else -1.
Value signsOf(Expansion &e, Value x) {
  Value isPositive =
      e.makeOf("GreaterOrEqual", {x, e.scalar(0)}, e.rewriter.getI1Type());
  return e.makeOf("Where", {isPositive, e.scalar(1), e.scalar(-1)},
                  e.rewriter.getF32Type());
}

/// numerics::quantSteps.
Value stepsOf(Expansion &e, const Quantizer &by, Value x, Value scale,
              Value zero) {
  Value y = binary(e, "Div", x, scale);
  if (zero)
    y = binary(e, "Add", y, zero);
  return by.range.isBipolar()
             ? signsOf(e, y)
             : rounded(e, by.rounding, clamped(e, by.range, y));
}

/// Constant scales and one zero point that fit DequantizeLinear of bytes.
struct ByteForm {
  Numbers scale;
  int64_t axis; // -1: one scale
  int zero;
  Type element;
  int64_t code;

  Value dequantize(Expansion &e, Value stored) {
    SmallVector<int64_t> shape;
    if (axis >= 0)
      shape.push_back(scale.values.size());
    SmallVector<Value> operands = {stored, floatsOf(e, shape, scale.values)};
    if (zero) {
      auto type = RankedTensorType::get({}, element);
      Attribute value =
          DenseElementsAttr::get(type, APInt(8, zero, /*isSigned=*/zero < 0));
      operands.push_back(createOnnx(e.rewriter, e.op->getLoc(), "onnx.Constant",
                                    {}, type,
                                    e.rewriter.getNamedAttr("value", value))
                             ->getResult(0));
    }
    return e.makeOf("DequantizeLinear", operands, e.rewriter.getF32Type(),
                    e.attribute("axis", std::max<int64_t>(axis, 0)));
  }
};

std::optional<ByteForm> byteForm(Expansion &e, const QuantRange &range, Value x,
                                 Value scale, Value zero) {
  std::optional<Numbers> scales = numbersOf(scale), zeros = numbersOf(zero);
  if (!scales || !zeros || !zeros->isOne() || range.bits > 8)
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(x.getType());
  // Of an activation whose rank nothing tells, one number only.
  std::optional<int64_t> axis =
      type ? axisOf(*scales, type.getRank()) : std::nullopt;
  if (!axis && scales->isOne() && scales->shape.size() <= 1)
    axis = -1;
  float z = zeros->values[0];
  bool isSigned = range.isSigned;
  if (!axis || z != std::floor(z) || z < (isSigned ? -128 : 0) ||
      z > (isSigned ? 127 : 255))
    return std::nullopt;
  if (*axis >= 0 && type.isDynamicDim(*axis))
    return std::nullopt;
  Type element = e.rewriter.getIntegerType(8);
  if (!isSigned)
    element = e.rewriter.getIntegerType(8, /*isSigned=*/false);
  return ByteForm{std::move(*scales), *axis, int(z), element,
                  isSigned ? kInt8 : kUint8};
}

/// The element of `numbers`, broadcast to `shape`, for each of its elements in
/// order.
template <typename F>
void forEachBroadcast(ArrayRef<int64_t> shape, const Numbers &a,
                      const Numbers &b, F f) {
  int64_t rank = shape.size(), count = ShapedType::getNumElements(shape);
  auto stridesOf = [&](const Numbers &numbers) {
    SmallVector<int64_t> strides(rank, 0);
    int64_t stride = 1;
    for (int64_t d = int64_t(numbers.shape.size()) - 1; d >= 0; --d) {
      strides[d + rank - numbers.shape.size()] =
          numbers.shape[d] == 1 ? 0 : stride;
      stride *= numbers.shape[d];
    }
    return strides;
  };
  SmallVector<int64_t> ofA = stridesOf(a), ofB = stridesOf(b), at(rank, 0);
  int64_t inA = 0, inB = 0;
  for (int64_t i = 0; i < count; ++i) {
    f(i, a.values[inA], b.values[inB]);
    for (int64_t d = rank - 1; d >= 0; --d) {
      inA += ofA[d], inB += ofB[d];
      if (++at[d] < shape[d])
        break;
      inA -= ofA[d] * shape[d], inB -= ofB[d] * shape[d];
      at[d] = 0;
    }
  }
}

/// Whether NumPy's rules broadcast `numbers` to `shape` as it is.
bool fits(const Numbers &numbers, ArrayRef<int64_t> shape) {
  if (numbers.shape.size() > shape.size())
    return false;
  for (auto [size, of] :
       llvm::zip(llvm::reverse(numbers.shape), llvm::reverse(shape)))
    if (size != 1 && size != of)
      return false;
  return true;
}

/// Quant of a constant: its integers where they fit a byte, else its floats;
/// null where a scale or zero point has another shape.
Value quantizedConstant(Expansion &e, const Quantizer &by, const Numbers &x,
                        std::optional<ByteForm> &form) {
  std::optional<Numbers> scale = numbersOf(e.operand(1)),
                         zero = numbersOf(e.operand(2));
  if (!scale || !zero || !fits(*scale, x.shape) || !fits(*zero, x.shape))
    return Value();
  auto bytesOf = [](auto &values) {
    return ArrayRef(reinterpret_cast<const char *>(values.data()),
                    values.size() * sizeof(values[0]));
  };
  if (form) {
    std::vector<int8_t> stored(x.values.size());
    forEachBroadcast(x.shape, *scale, *zero, [&](int64_t i, float s, float z) {
      float steps =
          numerics::quantSteps(x.values[i], s, z, by.range, by.rounding);
      stored[i] = static_cast<int8_t>(
          static_cast<int>(steps)); // of unsigned ones the same bits
    });
    return form->dequantize(
        e, constantOf(e, x.shape, form->element, bytesOf(stored)));
  }
  std::vector<float> values(x.values.size());
  forEachBroadcast(x.shape, *scale, *zero, [&](int64_t i, float s, float z) {
    values[i] = numerics::quantValue(
        numerics::quantSteps(x.values[i], s, z, by.range, by.rounding), s, z);
  });
  return constantOf(e, x.shape, e.rewriter.getF32Type(), bytesOf(values));
}

/// Quant(X, scale, zero point, bit width)
LogicalResult quant(Expansion &e) {
  Quantizer by;
  if (std::string why = readQuantizer(e, e.operand(3), by); !why.empty())
    return e.refuse(why);
  if (std::string why = checkScale(e.operand(1)); !why.empty())
    return e.refuse(why);
  Value x = e.operand(0), scale = e.operand(1), zero = e.operand(2);
  std::optional<ByteForm> form = byteForm(e, by.range, x, scale, zero);
  std::optional<Numbers> constant = numbersOf(x);
  // (A NaN is no byte.)
  if (constant &&
      llvm::any_of(constant->values, [](float v) { return std::isnan(v); }))
    form.reset();
  if (constant)
    if (Value y = quantizedConstant(e, by, *constant, form))
      return e.replace(y);
  std::optional<Numbers> zeros = numbersOf(zero);
  bool hasZero =
      !zeros || llvm::any_of(zeros->values, [](float z) { return z != 0; });
  if (!form) {
    Value y = stepsOf(e, by, x, scale, hasZero ? zero : Value());
    return e.replace(
        binary(e, "Mul", hasZero ? binary(e, "Sub", y, zero) : y, scale));
  }
  if (!hasZero && by.rounding == Rounding::HalfEven && by.range.bits == 8 &&
      !by.range.isNarrow) {
    // ONNX's own: the same without a zero point (specification 11.3), and found
    // by what fuses it.
    SmallVector<int64_t> shape;
    if (form->axis >= 0)
      shape.push_back(form->scale.values.size());
    Value stored =
        e.makeOf("QuantizeLinear", {x, floatsOf(e, shape, form->scale.values)},
                 form->element,
                 {e.attribute("axis", std::max<int64_t>(form->axis, 0)),
                  e.attribute("output_dtype", form->code)});
    return e.replace(form->dequantize(e, stored));
  }
  return e.replace(form->dequantize(
      e, e.cast(stepsOf(e, by, x, scale, hasZero ? zero : Value()), form->code,
                form->element)));
}

/// BipolarQuant(X, scale)
LogicalResult bipolarQuant(Expansion &e) {
  if (std::string why = checkScale(e.operand(1)); !why.empty())
    return e.refuse(why);
  return e.replace(binary(e, "Mul", signsOf(e, e.operand(0)), e.operand(1)));
}

/// Trunc(X, scale, zero point, bit width, bit width of Y), and from version 2
/// on Trunc(X, scale, zero point, bit width, scale of Y, bit width of Y)
LogicalResult trunc(Expansion &e) {
  bool isFirst = e.op->getNumOperands() < 6;
  Quantizer by;
  if (std::string why = readQuantizer(e, e.operand(isFirst ? 4 : 5), by);
      !why.empty())
    return e.refuse(why);
  std::optional<int> bits = integerOf(e.operand(3));
  if (!bits)
    return e.refuse(
        "the bit width of its input is not a constant integer from 1 to " +
        std::to_string(kMostBits));
  Value scale = e.operand(1), zero = e.operand(2);
  std::string why = checkScale(scale);
  if (!isFirst && why.empty())
    why = checkScale(e.operand(4));
  if (!why.empty())
    return e.refuse(why);
  Value y;
  auto steps = [&] {
    return unary(e, "Round",
                 binary(e, "Add", binary(e, "Div", e.operand(0), scale), zero));
  };
  if (isFirst) {
    y = binary(e, "Mul", steps(),
               e.scalar(std::ldexp(1.0, by.range.bits - *bits)));
    return e.replace(binary(
        e, "Mul", binary(e, "Sub", rounded(e, by.rounding, y), zero), scale));
  }
  std::optional<Numbers> from = numbersOf(scale), to = numbersOf(e.operand(4));
  if (!from || !to || !from->isOne() || !to->isOne())
    return e.refuse("a scale is not one constant number");
  float by2 = 1 / numerics::truncFactor(from->values[0],
                                        to->values[0]); // a power of 2: exact
  y = clamped(e, by.range, binary(e, "Mul", steps(), e.scalar(by2)));
  Value moved = binary(e, "Mul", zero, e.scalar(by2));
  return e.replace(binary(e, "Mul",
                          binary(e, "Sub", rounded(e, by.rounding, y), moved),
                          e.operand(4)));
}

} // namespace

void sq::addQonnxRules(ExpansionRules &rules) {
  for (StringRef domain : kQonnxDomains) {
    for (StringRef name : {"Quant", "IntQuant"})
      rules[(domain + "." + name).str()] = {quant};
    rules[(domain + ".BipolarQuant").str()] = {bipolarQuant};
    rules[(domain + ".Trunc").str()] = {trunc};
  }
}
