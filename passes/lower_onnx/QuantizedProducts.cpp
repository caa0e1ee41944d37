/// MatMul and Gemm of DequantizeLinear by DequantizeLinear, and MatMulInteger: `sq.linear` on
/// quantised elements where one of them is constant. The sums are exact; so the result is that of
/// the floats to their rounding.
#include "passes/lower_onnx/QuantizedProducts.h"

#include "lib/numerics/Interval.h"
#include "passes/lower_onnx/Constants.h"
#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/Quantization.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

constexpr const char *kTwoActivations =
    "neither operand is constant, and products of two activations have no integer kernel";

/// An integer of 2 to 8 bits.
bool isOfBytes(Type element) { return isa<IntegerType>(element) && signless(element).isInteger(8); }

struct Matrix {
  Value tensor;     // a constant of storage
  Lowered *stored;  // [k, n], or [n, k] when transposed
  bool transposed;
  std::vector<float> scales; // one, or one for each column
  std::vector<int64_t> zeros;

  OpFoldResult columns() const { return stored->dims[!transposed]; }
};

/// `values` are one number, or one for each column.
bool fitsColumns(const Matrix &matrix, size_t count) { return count == 1 || staticDim(matrix.columns()) == int64_t(count); }

/// The lowest and highest number of `element`, as they are stored.
std::pair<int64_t, int64_t> rangeOf(Type element) {
  auto type = cast<IntegerType>(element);
  bool isSigned = !type.isUnsigned();
  return {quant::QuantizedType::getDefaultMinimumForInteger(isSigned, type.getWidth()),
          quant::QuantizedType::getDefaultMaximumForInteger(isSigned, type.getWidth())};
}

unsigned flagsOf(Type element) { return element.isUnsignedInteger() ? 0 : quant::QuantizationFlags::Signed; }

Type quantizedType(Type element, double scale, int64_t zero) {
  MLIRContext *context = element.getContext();
  auto [low, high] = rangeOf(element);
  return quant::UniformQuantizedType::get(flagsOf(element), IntegerType::get(context, 8), Float32Type::get(context),
                                          scale, zero, low, high);
}

Type quantizedType(const Matrix &matrix) {
  Type element = matrix.stored->element;
  if (matrix.scales.size() == 1 && matrix.zeros.size() == 1)
    return quantizedType(element, matrix.scales[0], matrix.zeros[0]);
  MLIRContext *context = element.getContext();
  int64_t n = *staticDim(matrix.columns());
  SmallVector<double> scales;
  SmallVector<int64_t> zeros;
  for (int64_t c = 0; c < n; ++c) {
    scales.push_back(matrix.scales[matrix.scales.size() == 1 ? 0 : c]);
    zeros.push_back(matrix.zeros[matrix.zeros.size() == 1 ? 0 : c]);
  }
  auto [low, high] = rangeOf(element);
  return quant::UniformQuantizedPerAxisType::get(flagsOf(element), IntegerType::get(context, 8), Float32Type::get(context),
                                                 scales, zeros, !matrix.transposed, low, high);
}

/// What types of quantised elements take.
bool isNormal(float scale) { return std::isnormal(scale) && scale > 0; }

/// Sums of as many products of differences of bytes are sure to fit.
bool fitsDepth(const Matrix &matrix) {
  std::optional<int64_t> k = staticDim(matrix.stored->dims[matrix.transposed]);
  return k && *k <= numerics::largestContraction(8, /*unsignedA=*/true, 8, /*unsignedB=*/true);
}

Weight weightOf(Lowering &l, const Matrix &matrix, Type activation, Type result) {
  Type type = cast<RankedTensorType>(matrix.tensor.getType()).clone(quantizedType(matrix));
  Value cast = quant::StorageCastOp::create(l.builder, matrix.tensor.getLoc(), type, matrix.tensor);
  Weight weight{cast, matrix.stored->dims[matrix.transposed], matrix.columns(), matrix.transposed};
  weight.activation = activation;
  weight.result = result;
  return weight;
}

template <typename T> Lowered *constantVector(Lowering &l, ArrayRef<T> values, Type element) {
  Lowered result;
  result.element = element;
  result.dims = {l.indexAttr(values.size())};
  result.constant = DenseElementsAttr::get(RankedTensorType::get({int64_t(values.size())}, element), values);
  return l.addValue(std::move(result));
}

/// The sum of each column, less its zero points.
Lowered *columnSums(Lowering &l, const Matrix &matrix) {
  std::vector<int64_t> w = *integersOf(l, matrix.stored);
  int64_t n = *staticDim(matrix.columns()), k = n ? w.size() / n : 0;
  std::vector<int32_t> sums(n);
  for (int64_t r = 0; r < k; ++r)
    for (int64_t c = 0; c < n; ++c)
      sums[c] += w[matrix.transposed ? c * k + r : r * n + c] - matrix.zeros[matrix.zeros.size() == 1 ? 0 : c];
  return constantVector<int32_t>(l, sums, l.builder.getI32Type());
}

/// One number, 0 when there is none; none when it is not constant.
std::optional<int64_t> constantZero(Lowering &l, Lowered *zero) {
  if (!zero)
    return 0;
  std::optional<std::vector<int64_t>> value = integersOf(l, zero);
  return value && value->size() == 1 ? std::optional(value->front()) : std::nullopt;
}

bool isOneNumber(Lowered *value) { return !value || staticCount(value->dims) == 1; }

/// The constant matrix that is dequantised, with why not when it is not one.
std::optional<Matrix> quantizedWeight(Lowering &l, Operation *dequantize, bool transposed, std::string &why) {
  Lowered *stored = l.operand(dequantize, 0), *scale = l.operand(dequantize, 1), *zero = l.operand(dequantize, 2);
  Matrix matrix{Value(), stored, transposed, {}, {}};
  auto refuse = [&](const char *reason) {
    why = reason;
    return std::nullopt;
  };
  if (!stored->constant)
    return refuse(kTwoActivations);
  if (stored->rank() != 2 || !isOfBytes(stored->element))
    return refuse("its weight is not a matrix of at most 8 bits");
  std::optional<std::vector<float>> scales = scale->element.isF32() ? floatsOf(l, scale) : std::nullopt;
  std::optional<std::vector<int64_t>> zeros = zero ? integersOf(l, zero) : std::vector<int64_t>{0};
  if (!scales || !zeros)
    return refuse("a scale or zero point of its weight is not constant, or not of f32");
  FailureOr<int64_t> axis = l.normalizeAxis(dequantize, l.intAttr(dequantize, "axis", 1), 2);
  if (failed(axis) || (scales->size() > 1 && (scale->rank() != 1 || *axis != !transposed)) ||
      !fitsColumns(matrix, scales->size()) || !fitsColumns(matrix, zeros->size()))
    return refuse("the scales of its weight run along the contraction");
  if (!llvm::all_of(*scales, isNormal))
    return refuse("a scale of its weight is below what an f32 has with full precision");
  if (!fitsDepth(matrix))
    return refuse("it sums more products than are sure to fit in 32 bits");
  matrix.scales = std::move(*scales);
  matrix.zeros = std::move(*zeros);
  matrix.tensor = l.tensor(stored);
  return matrix;
}

} // namespace

Value sq::skipTransposes(Value source, bool &transposed) {
  while (Operation *op = source.getDefiningOp()) {
    if (op->getName().getStringRef() != "onnx.Transpose" || op->getNumOperands() != 1)
      break;
    auto perm = op->getAttrOfType<DenseI64ArrayAttr>("perm");
    if (perm && perm.asArrayRef() != ArrayRef<int64_t>{1, 0})
      break;
    transposed = !transposed;
    source = op->getOperand(0);
  }
  return source;
}

void sq::noteFloat(Lowering &l, Operation *op, const Twine &reason) { l.note(op, "stays in float: " + reason); }

std::optional<QuantizedProduct> sq::quantizedProduct(Lowering &l, Operation *op, Value xSource, Value weightSource,
                                                     bool transposed) {
  bool unused = false;
  Operation *x = dequantizeOf(xSource), *w = dequantizeOf(skipTransposes(weightSource, transposed));
  if (!x && !w && !dequantizeOf(skipTransposes(xSource, unused)))
    return std::nullopt;
  std::string why;
  auto refuse = [&](const Twine &reason) {
    noteFloat(l, op, reason);
    return std::nullopt;
  };
  if (!w)
    return refuse("its second operand is not quantised");
  if (!x && l.operand(w, 0)->constant)
    return refuse("its first operand is not quantised");
  Lowered *xScale = x ? l.operand(x, 1) : nullptr, *xZero = x ? l.operand(x, 2) : nullptr;
  std::optional<Matrix> matrix = quantizedWeight(l, w, transposed, why);
  if (!matrix || !x)
    return refuse(x ? why : kTwoActivations);
  QuantizedProduct product;
  product.x = l.operand(x, 0);
  auto isF32 = [&](Operation *dequantize) { return l.lowered(dequantize->getResult(0))->element.isF32(); };
  if (!isF32(x) || !isF32(w) || !xScale->element.isF32())
    return refuse("it does not compute in f32");
  if (product.x->rank() == 0)
    return std::nullopt; // which is refused as such
  if (!isOfBytes(product.x->element))
    return refuse("its first operand has more than 8 bits");
  if (!isOneNumber(xScale) || !isOneNumber(xZero))
    return refuse("its first operand has more than one scale or zero point");
  std::optional<std::vector<float>> scale = floatsOf(l, xScale);
  std::optional<int64_t> zero = constantZero(l, xZero);
  Type f32 = l.builder.getF32Type(), i32 = l.builder.getI32Type();
  bool isKnown = scale && zero;
  if (isKnown && !isNormal(scale->front()))
    return refuse("the scale of its first operand is below what an f32 has with full precision");
  if (!isKnown) {
    product.scale = xScale;
    product.scales = constantVector<float>(l, matrix->scales, f32);
    matrix->scales = {1};
  }
  if (!zero) {
    product.zero = xZero;
    product.sums = columnSums(l, *matrix);
  }
  product.weight = weightOf(l, *matrix, quantizedType(product.x->element, isKnown ? scale->front() : 1, zero.value_or(0)),
                            isKnown ? f32 : i32);
  return product;
}

std::optional<IntegerFactors> sq::integerFactors(Lowering &l, Operation *op) {
  auto isRounding = [](Operation *user) { return user->getName().getStringRef() == "onnx.QuantizeLinear"; };
  if (op->use_empty() || !llvm::all_of(op->getUsers(), isRounding))
    return std::nullopt;
  Type f32 = l.builder.getF32Type(), i32 = l.builder.getI32Type();
  IntegerFactors factors{{}, {}, 1};
  for (auto [to, source] : {std::pair(&factors.a, op->getOperand(0)), std::pair(&factors.b, op->getOperand(1))}) {
    Operation *dequantize = dequantizeOf(source);
    if (!dequantize || !l.lowered(source)->element.isF32())
      return std::nullopt;
    Lowered *x = l.operand(dequantize, 0), *scale = l.operand(dequantize, 1);
    std::optional<std::vector<float>> scales = isOneNumber(scale) && scale->element.isF32() ? floatsOf(l, scale) : std::nullopt;
    std::optional<int64_t> zero = constantZero(l, l.operand(dequantize, 2));
    if (!isOfBytes(x->element) || !scales || !zero)
      return std::nullopt;
    FailureOr<Lowered> integers = l.mapElements(op, {x}, f32, [&](Scalars &s, ValueRange args) {
      Value integer = convertInteger(s, args[0], i32, x->isUnsigned());
      if (*zero)
        integer = s.sub(integer, s.integer(i32, *zero));
      return s.make<arith::SIToFPOp>(f32, integer);
    });
    if (failed(integers))
      return std::nullopt;
    *to = *integers;
    factors.scale *= scales->front();
  }
  if (!isNormal(factors.scale))
    return std::nullopt;
  return factors;
}

std::optional<QuantizedProduct> sq::integerProductByWeight(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *xZero = l.operand(op, 2), *zero = l.operand(op, 3);
  bool transposed = false;
  Lowered *stored = l.lowered(skipTransposes(op->getOperand(1), transposed));
  if (!stored || stored->rank() != 2 || x->rank() == 0 || !stored->constant)
    return std::nullopt;
  Matrix matrix{l.tensor(stored), stored, transposed, {1}, {0}};
  if (!fitsDepth(matrix) || !isOneNumber(xZero))
    return std::nullopt;
  if (zero) {
    // A number, or a row of them.
    std::optional<std::vector<int64_t>> zeros = integersOf(l, zero);
    if (!zeros || !fitsColumns(matrix, zeros->size()) || (zeros->size() > 1 && !staticDim(zero->dims.back())) ||
        (zeros->size() > 1 && *staticDim(zero->dims.back()) != int64_t(zeros->size())))
      return std::nullopt;
    matrix.zeros = std::move(*zeros);
  }
  QuantizedProduct product;
  product.x = x;
  std::optional<int64_t> known = constantZero(l, xZero);
  if (!known) {
    product.zero = xZero;
    product.sums = columnSums(l, matrix);
  }
  product.weight = weightOf(l, matrix, quantizedType(x->element, 1, known.value_or(0)), l.builder.getI32Type());
  return product;
}

void sq::registerQuantizedProducts(LoweringTable &table) {
  // Those that --sq-raise-onnx did not write as others: says why not.
  auto refused = [](std::initializer_list<unsigned> scales) {
    return [scales = SmallVector<unsigned>(scales)](Lowering &l, Operation *op) -> LogicalResult {
      for (unsigned i : scales)
        if (Lowered *scale = l.operand(op, i); scale && failed(checkScale(l, op, scale)))
          return failure();
      return l.fail(op, "the rank of its weight or of a scale is not known, or it has outputs that sq does not compute");
    };
  };
  table.add("QLinearMatMul", 8, refused({1, 4, 6}));
  table.add("QLinearConv", 8, refused({1, 4, 6}));
  table.addMicrosoft("QGemm", 6, refused({1, 4, 7}));
  table.addMicrosoft("MatMulIntegerToFloat", 4, refused({2, 3}));
  table.addMicrosoft("DynamicQuantizeMatMul", 3, refused({2}));
}

FailureOr<Lowered> sq::multiply(Lowering &l, Operation *op, const QuantizedProduct &product, Lowered *x, Value bias) {
  FailureOr<Lowered> y = multiplyByConstant(l, op, x, product.weight, bias);
  if (failed(y) || (!product.zero && !product.scale))
    return y;
  Type f32 = l.builder.getF32Type(), i32 = l.builder.getI32Type();
  SmallVector<Lowered *> operands = {&*y};
  if (product.zero)
    operands.append({product.zero, product.sums});
  if (product.scale)
    operands.append({product.scale, product.scales});
  return l.mapElements(op, operands, product.scale ? f32 : i32, [&](Scalars &s, ValueRange args) {
    Value sum = args[0];
    if (product.zero)
      sum = s.sub(sum, s.mul(convertInteger(s, args[1], i32, product.zero->isUnsigned()), args[2]));
    if (!product.scale)
      return sum;
    Value scale = s.make<arith::MulFOp>(args[args.size() - 2], args.back());
    return s.make<arith::MulFOp>(s.make<arith::SIToFPOp>(f32, sum), scale);
  });
}
