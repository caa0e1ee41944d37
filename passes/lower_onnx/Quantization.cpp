/// QuantizeLinear, DequantizeLinear (per tensor, per axis, blocked) and
/// DynamicQuantizeLinear.
#include "passes/lower_onnx/Quantization.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "passes/lower_onnx/Constants.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include "llvm/Support/Format.h"

#include <cmath>

using namespace mlir;
using namespace sq;

bool sq::isQuantized(Type element) {
  auto type = dyn_cast<IntegerType>(element);
  return isStorageOnly(element) || (type && (type.getWidth() == 8 || type.getWidth() == 16));
}

void QuantParameter::addTo(SmallVectorImpl<Input> &inputs, int64_t loops) {
  if (!tensor || block)
    return;
  MLIRContext *context = tensor.getContext();
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d)
    exprs.push_back(axis < 0 ? getAffineConstantExpr(0, context)
                             : getAffineDimExpr(axis, context));
  position = inputs.size();
  inputs.push_back({tensor, AffineMap::get(loops, 0, exprs, context)});
}

Value QuantParameter::read(Scalars &s, ValueRange args) const {
  if (!tensor || !block)
    return tensor ? args[position] : Value();
  SmallVector<Value> at;
  for (int64_t d = 0; d < rank; ++d) {
    Value i = loopIndex(s, d);
    bool isBlocked = d == axis;
    at.push_back(isBlocked ? s.make<arith::DivUIOp>(i, s.integer(i.getType(), block)) : i);
  }
  return extract(s, tensor, at);
}

FailureOr<QuantParameter> sq::scalarParameter(Lowering &l, Operation *op, Lowered *value,
                                              StringRef what) {
  QuantParameter result;
  if (!value)
    return result;
  if (staticCount(value->dims) != 1)
    return l.fail(op, what + " is not one number");
  result.tensor = l.tensor(value);
  result.element = value->element;
  result.rank = value->rank();
  return result;
}

FailureOr<QuantParameter> sq::quantParameter(Lowering &l, Operation *op, Lowered *x,
                                             Lowered *value, StringRef what) {
  if (!value || value->rank() == 0 || (value->rank() == 1 && isOne(value->dims[0])))
    return scalarParameter(l, op, value, what);
  QuantParameter result;
  result.tensor = l.tensor(value);
  result.element = value->element;
  result.rank = value->rank();
  FailureOr<int64_t> axis = l.normalizeAxis(op, l.intAttr(op, "axis", 1), x->rank());
  if (failed(axis))
    return failure();
  result.axis = *axis;
  if (value->rank() == 1 && x->rank() > 1) {
    if (failed(l.unify(op, x->dims[*axis], value->dims[0], "the quantised axis")))
      return failure();
    return result;
  }
  result.block = l.intAttr(op, "block_size", 0);
  if (value->rank() != x->rank())
    return l.fail(op, what + " has rank " + Twine(value->rank()) + "; give it one element, one per " +
                          "element of the axis, or one per block");
  if (result.block < 0 || (result.block == 0 && x->rank() > 1))
    return l.fail(op, "block_size is " + Twine(result.block) + "; blocks have at least one element");
  for (int64_t d = 0; d < x->rank(); ++d) {
    OpFoldResult expected = x->dims[d];
    if (d == *axis && result.block) {
      Scalars s = l.scalars(op->getLoc());
      Type i64 = l.builder.getI64Type();
      Value size = s.add(l.i64Value(expected), s.integer(i64, result.block - 1));
      expected = l.toDim(s.divide(size, s.integer(i64, result.block)));
    }
    if (failed(l.unify(op, expected, value->dims[d], "dimension " + Twine(d) + " of " + what)))
      return failure();
  }
  return result;
}

Value sq::quantizeScalar(Scalars &s, Value y, Value zero, Type element, SmallFloatCast how) {
  Type f32 = s.builder.getF32Type(), i32 = s.builder.getI32Type();
  if (const SmallFloat *format = smallFloatOf(element)) {
    if (zero)
      y = s.make<arith::AddFOp>(y, decodeSmallFloat(s, zero, *format));
    return encodeSmallFloat(s, y, *format, how);
  }
  bool isUnsigned = element.isUnsignedInteger();
  unsigned width = element.getIntOrFloatBitWidth();
  double low = isUnsigned ? 0 : -std::ldexp(1, width - 1);
  double high = std::ldexp(1, isUnsigned ? width : width - 1) - 1;
  y = s.make<math::RoundEvenOp>(y);
  if (zero)
    y = s.make<arith::AddFOp>(y, toFloat(s, zero, f32, isUnsigned));
  // One vmaxps and one vminps; a NaN becomes `low`.
  Value least = s.number(f32, low), most = s.number(f32, high);
  y = s.select(s.compare(arith::CmpFPredicate::OGT, y, least), y, least);
  y = s.select(s.compare(arith::CmpFPredicate::OLT, y, most), y, most);
  return s.make<arith::TruncIOp>(signless(element), s.make<arith::FPToSIOp>(i32, y));
}

Value sq::dequantizeScalar(Scalars &s, Value y, Value zero, Value scale, Type element,
                           Type scaleElement) {
  Type f32 = s.builder.getF32Type(), i32 = s.builder.getI32Type();
  Value factor = castScalar(s, scale, scaleElement, f32), number;
  if (const SmallFloat *format = smallFloatOf(element)) {
    number = decodeSmallFloat(s, y, *format);
    if (zero)
      number = s.make<arith::SubFOp>(number, decodeSmallFloat(s, zero, *format));
  } else {
    bool isUnsigned = element.isUnsignedInteger();
    Value integer = convertInteger(s, y, i32, isUnsigned);
    if (zero)
      integer = s.sub(integer, convertInteger(s, zero, i32, isUnsigned));
    number = s.make<arith::SIToFPOp>(f32, integer);
  }
  return s.make<arith::MulFOp>(number, factor);
}

LogicalResult sq::checkScale(Lowering &l, Operation *op, Lowered *scale) {
  std::optional<std::vector<float>> scales = floatsOf(l, scale);
  for (auto [i, value] : llvm::enumerate(scales ? *scales : std::vector<float>()))
    if (!(value > 0 && std::isfinite(value))) {
      std::string text;
      llvm::raw_string_ostream(text) << llvm::format("element %zu of its scale is %g; a scale is positive and finite", i, value);
      return l.fail(op, text);
    }
  return success();
}

Operation *sq::dequantizeOf(Value source) {
  Operation *op = source.getDefiningOp();
  if (auto custom = dyn_cast_if_present<onnx::CustomOp>(op))
    return custom.getDomain() == "com.microsoft" && custom.getOpType() == "DequantizeLinear" ? op : nullptr;
  return op && op->getName().getStringRef() == "onnx.DequantizeLinear" ? op : nullptr;
}

namespace {

/// Larger ones stay as they are stored: what reads them often does not need floats.
constexpr int64_t kMostFolded = 1 << 16;

/// The element of `parameter` that belongs to element i of a tensor of `shape`.
int64_t indexOf(const QuantParameter &parameter, ArrayRef<int64_t> shape, int64_t i) {
  if (parameter.axis < 0)
    return 0;
  int64_t inner = 1, extent = shape[parameter.axis];
  for (int64_t size : shape.drop_front(parameter.axis + 1))
    inner *= size;
  int64_t along = i / inner % extent;
  if (!parameter.block)
    return along;
  int64_t blocks = llvm::divideCeil(extent, parameter.block);
  return (i / (inner * extent) * blocks + along / parameter.block) * inner + i % inner;
}

/// What QuantizeLinear and DequantizeLinear take, all of it constant.
struct ConstantOperands {
  SmallVector<int64_t> shape;
  QuantParameter scaleAt, zeroAt;
  std::vector<float> scales;
  std::vector<int64_t> zeros;

  float scale(int64_t i) const { return scales[indexOf(scaleAt, shape, i)]; }
  int64_t zero(int64_t i) const { return zeros.empty() ? 0 : zeros[indexOf(zeroAt, shape, i)]; }
};

std::optional<ConstantOperands> constantOperands(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *scale = l.operand(op, 1), *zero = l.operand(op, 2);
  if (!x->constant || !scale->element.isF32())
    return std::nullopt;
  std::optional<std::vector<float>> scales = floatsOf(l, scale);
  std::optional<std::vector<int64_t>> zeros = zero ? integersOf(l, zero) : std::vector<int64_t>();
  if (!scales || !zeros)
    return std::nullopt;
  // (Neither fails: the op has been lowered, or is about to be.)
  FailureOr<QuantParameter> scaleAt = quantParameter(l, op, x, scale, "scale");
  FailureOr<QuantParameter> zeroAt = failed(scaleAt) ? FailureOr<QuantParameter>() : quantParameter(l, op, x, zero, "zero point");
  if (failed(zeroAt))
    return std::nullopt;
  return ConstantOperands{shapeOf(x->dims), *scaleAt, *zeroAt, std::move(*scales), std::move(*zeros)};
}

template <typename T> Lowered foldedConstant(Lowering &l, const Dims &dims, Type element, StringRef name,
                                         llvm::function_ref<T(int64_t)> at) {
  int64_t count = *staticCount(dims);
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(count * sizeof(T), /*align=*/64);
  auto *out = reinterpret_cast<T *>(blob.getMutableData().data());
  for (int64_t i = 0; i < count; ++i)
    out[i] = at(i);
  Lowered result;
  result.element = element;
  result.dims = dims;
  auto type = RankedTensorType::get(shapeOf(dims), signless(element));
  if (count <= maxKnownElements)
    result.constant = DenseElementsAttr::get(type, ArrayRef(out, count));
  else
    result.constant = DenseResourceElementsAttr::get(type, name, std::move(blob));
  return result;
}

/// QuantizeLinear of constant floats to integers of 8 bits; none when it is not that.
std::optional<Lowered> foldedQuantize(Lowering &l, Operation *op, Type element) {
  Lowered *x = l.operand(op, 0);
  if (!x->element.isF32() || !element.isInteger(8))
    return std::nullopt;
  std::optional<ConstantOperands> operands = constantOperands(l, op);
  std::optional<std::vector<float>> floats = operands ? floatsOf(l, x) : std::nullopt;
  if (!floats)
    return std::nullopt;
  const float low = element.isUnsignedInteger() ? 0 : -128, high = low + 255;
  return foldedConstant<int8_t>(l, x->dims, element, "quantized", [&](int64_t i) -> int8_t {
    float y = std::nearbyint((*floats)[i] / operands->scale(i)) + operands->zero(i);
    // (A NaN becomes the lowest.)
    return static_cast<int8_t>(static_cast<int>(y > low ? std::min(y, high) : low));
  });
}

/// DequantizeLinear of constant integers to f32.
std::optional<Lowered> foldDequantize(Lowering &l, Operation *op) {
  std::optional<ConstantOperands> operands = constantOperands(l, op);
  std::optional<std::vector<int64_t>> integers = operands ? integersOf(l, l.operand(op, 0)) : std::nullopt;
  if (!integers)
    return std::nullopt;
  return foldedConstant<float>(l, l.operand(op, 0)->dims, l.builder.getF32Type(), "dequantized", [&](int64_t i) {
    return static_cast<float>((*integers)[i] - operands->zero(i)) * operands->scale(i);
  });
}

AffineMap identityMap(Lowering &l, int64_t rank) {
  return AffineMap::getMultiDimIdentityMap(rank, l.builder.getContext());
}

bool isScale(Type element) {
  return isSupportedFloat(element) || isa<Float8E8M0FNUType>(element) ||
         element.isSignlessInteger(32);
}

/// The attribute `name`, a TensorProto.DataType; `absent` when it is not given or 0.
FailureOr<Type> typeAttr(Lowering &l, Operation *op, StringRef name, Type absent) {
  int64_t code = l.intAttr(op, name, 0);
  if (code == 0)
    return absent;
  if (Type type = elementTypeOf(op->getContext(), code))
    return type;
  return l.fail(op, "its attribute `" + name + "` is " + Twine(code) + ", an unsupported data type");
}

LogicalResult lowerQuantizeLinear(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *scale = l.operand(op, 1), *zero = l.operand(op, 2);
  Type ui8 = l.builder.getIntegerType(8, /*isSigned=*/false);
  FailureOr<Type> element = typeAttr(l, op, "output_dtype", zero ? zero->element : ui8);
  FailureOr<Type> precision = typeAttr(l, op, "precision", Type());
  if (failed(element) || failed(precision))
    return failure();
  if (!isQuantized(*element) || (zero && zero->element != *element))
    return l.fail(op, "the quantised type is none of 2 to 16 bits, or not that of the zero point");
  if ((!isSupportedFloat(x->element) && !x->isInteger()) || !isScale(scale->element))
    return l.fail(op, "the input is not a number or the scale is not a float");
  // The quotient is rounded to `precision`, which is that of both operands by default.
  Type f32 = l.builder.getF32Type(), quotient = *precision ? *precision : f32;
  if (!*precision && x->element == scale->element && isSupportedFloat(x->element))
    quotient = x->element;
  if (!isSupportedFloat(quotient))
    return l.fail(op, "its attribute `precision` is not a float");
  Type compute = accumulatorType(quotient);
  FailureOr<QuantParameter> scales = quantParameter(l, op, x, scale, "scale");
  FailureOr<QuantParameter> zeros = failed(scales)
                                        ? FailureOr<QuantParameter>()
                                        : quantParameter(l, op, x, zero, "zero point");
  if (failed(zeros))
    return failure();
  if (failed(checkScale(l, op, scale)))
    return failure();
  if (std::optional<Lowered> folded = quotient.isF32() ? foldedQuantize(l, op, *element) : std::nullopt) {
    l.set(op->getResult(0), std::move(*folded));
    return success();
  }
  SmallFloatCast how;
  how.saturate = l.intAttr(op, "saturate", 1) != 0;
  SmallVector<Input> inputs = {{l.tensor(x), identityMap(l, x->rank())}};
  scales->addTo(inputs, x->rank());
  zeros->addTo(inputs, x->rank());
  Value y = pointwise(
      l, op->getLoc(), inputs, x->dims, signless(*element), [&](Scalars &s, ValueRange args) {
        // As `precision` has it, then in the type of the division.
        auto operand = [&](Value value, Type from) {
          return convertFloat(s, castScalar(s, value, from, quotient), compute);
        };
        Value divided = s.make<arith::DivFOp>(operand(args[0], x->element),
                                              operand(scales->read(s, args), scales->element));
        divided = convertFloat(s, convertFloat(s, divided, quotient), f32);
        return quantizeScalar(s, divided, zeros->read(s, args), *element, how);
      });
  l.setTensor(op, 0, y, x->dims, *element);
  return success();
}

LogicalResult lowerDequantizeLinear(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *scale = l.operand(op, 1), *zero = l.operand(op, 2);
  if (!isQuantized(x->element) && !x->element.isSignlessInteger(32))
    return l.fail(op, "the quantised type is not one of 2 to 16 bits, or i32");
  if (std::optional<std::vector<int64_t>> zeros = zero && x->element.isInteger(32) ? integersOf(l, zero) : std::nullopt)
    if (llvm::any_of(*zeros, [](int64_t z) { return z != 0; }))
      return l.fail(op, "integers of 32 bits have no zero point; leave it out, or make it 0");
  if (!isScale(scale->element) || (zero && zero->element != x->element))
    return l.fail(op, "the scale is not a float or the zero point has another type");
  FailureOr<Type> element = typeAttr(l, op, "output_dtype", scale->element);
  if (failed(element))
    return failure();
  if (!isSupportedFloat(*element))
    return l.fail(op, "the result would be of " + dtypeName(*element) +
                          "; give a float as `output_dtype`");
  FailureOr<QuantParameter> scales = quantParameter(l, op, x, scale, "scale");
  FailureOr<QuantParameter> zeros = failed(scales)
                                        ? FailureOr<QuantParameter>()
                                        : quantParameter(l, op, x, zero, "zero point");
  if (failed(zeros) || failed(checkScale(l, op, scale)))
    return failure();
  if (element->isF32() && staticCount(x->dims).value_or(kMostFolded + 1) <= kMostFolded)
    if (std::optional<Lowered> folded = foldDequantize(l, op)) {
      l.set(op->getResult(0), std::move(*folded));
      return success();
    }
  SmallVector<Input> inputs = {{l.tensor(x), identityMap(l, x->rank())}};
  scales->addTo(inputs, x->rank());
  zeros->addTo(inputs, x->rank());
  Value y = pointwise(
      l, op->getLoc(), inputs, x->dims, *element, [&](Scalars &s, ValueRange args) {
        Value product = dequantizeScalar(
            s, args[0], zeros->read(s, args), scales->read(s, args), x->element, scales->element);
        return convertFloat(s, product, *element);
      });
  l.setTensor(op, 0, y, x->dims, *element);
  return success();
}

/// To uint8 with the range of the data, widened to hold 0:
/// scale = (max - min) / 255, zero = saturate(round(-min / scale)).
LogicalResult lowerDynamicQuantizeLinear(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!x->element.isF32())
    return l.fail(op, "the input is not float");
  Location loc = op->getLoc();
  Type f32 = l.builder.getF32Type(), i8 = l.builder.getI8Type();
  Type ui8 = l.builder.getIntegerType(8, /*isSigned=*/false);
  Value tensor = l.tensor(x);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(x->rank()));
  // The reductions start at 0, so that the range holds it.
  Value start = l.scalars(loc).number(f32, 0);
  Value low = reduceAxes(l, loc, tensor, x->dims, axes, start, [&](Scalars &s, ValueRange args) {
    return s.make<arith::MinimumFOp>(args[1], args[0]);
  });
  Value high = reduceAxes(l, loc, tensor, x->dims, axes, start, [&](Scalars &s, ValueRange args) {
    return s.make<arith::MaximumFOp>(args[1], args[0]);
  });
  AffineMap scalarMap = identityMap(l, 0);
  Value scale = pointwise(l, loc, {{low, scalarMap}, {high, scalarMap}}, {}, f32,
                          [&](Scalars &s, ValueRange args) {
                            Value range = s.make<arith::SubFOp>(args[1], args[0]);
                            return s.make<arith::DivFOp>(range, s.number(f32, 255));
                          });
  Value zero = pointwise(l, loc, {{low, scalarMap}, {scale, scalarMap}}, {}, i8,
                         [&](Scalars &s, ValueRange args) {
                           Value negated = s.make<arith::NegFOp>(args[0]);
                           return quantizeScalar(s, s.make<arith::DivFOp>(negated, args[1]), Value(), ui8);
                         });
  AffineMap everywhere = AffineMap::get(x->rank(), 0, l.builder.getContext());
  Value y = pointwise(
      l, loc, {{tensor, identityMap(l, x->rank())}, {scale, everywhere}, {zero, everywhere}},
      x->dims, i8, [&](Scalars &s, ValueRange args) {
        return quantizeScalar(s, s.make<arith::DivFOp>(args[0], args[1]), args[2], ui8);
      });
  l.setTensor(op, 0, y, x->dims, ui8);
  if (op->getNumResults() > 1)
    l.setTensor(op, 1, scale, {}, f32);
  if (op->getNumResults() > 2)
    l.setTensor(op, 2, zero, {}, ui8);
  return success();
}

} // namespace

std::optional<Lowered> sq::foldedDequantize(Lowering &l, Value source) {
  Operation *op = dequantizeOf(source);
  return op && l.lowered(source)->element.isF32() ? foldDequantize(l, op) : std::nullopt;
}

void sq::registerQuantization(LoweringTable &table) {
  table.add("QuantizeLinear", 2, lowerQuantizeLinear);
  table.add("DequantizeLinear", 2, lowerDequantizeLinear);
  table.addMicrosoft("QuantizeLinear", 2, lowerQuantizeLinear);
  table.addMicrosoft("DequantizeLinear", 2, lowerDequantizeLinear);
  table.add("DynamicQuantizeLinear", 1, lowerDynamicQuantizeLinear);
}
