//===-- Layers.cpp - products, norms, embeddings, attention -------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

#include "lib/numerics/IntegerActivations.h"
#include "lib/numerics/IntegerNorm.h"
#include "lib/numerics/IntegerSoftmax.h"
#include "lib/numerics/Tensor.h"
#include "passes/Pointwise.h"
#include "passes/analysis/ObservedValues.h"
#include "passes/integer_only/Converter.h"

using namespace mlir;
using namespace sq;
using calibration::TensorStats;

template <typename T> static Value resource(ImplicitLocOpBuilder &b, Location loc, ArrayRef<int64_t> shape, Type element, const std::vector<T> &values) {
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
      ArrayRef(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)), /*align=*/64);
  return arith::ConstantOp::create(b, loc, DenseResourceElementsAttr::get(RankedTensorType::get(shape, element), "integers", std::move(blob)));
}

//===----------------------------------------------------------------------===//
// Linear layers
//===----------------------------------------------------------------------===//

IntegerConverter::Group *IntegerConverter::groupOf(LinearOp op) {
  // Reshapes that leave the last dim alone are looked through: all layers behind share one weight.
  Value x = op.getX();
  int64_t k = cast<RankedTensorType>(x.getType()).getShape().back();
  while (Op *reshape = x.getDefiningOp()) {
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(reshape) ||
        cast<RankedTensorType>(reshape->getOperand(0).getType()).getShape().back() != k)
      break;
    x = reshape->getOperand(0);
  }
  auto [it, isNew] = groups.try_emplace(x);
  if (!isNew)
    return it->second.get();
  const TensorStats *stats = statsOf(x);
  if (!stats) {
    refuse("calibration has not seen its input");
    return nullptr;
  }
  SmallVector<LinearOp> layers;
  SmallVector<Value> values = {x};
  while (!values.empty()) {
    Value v = values.pop_back_val();
    for (Op *user : v.getUsers()) {
      if (auto layer = dyn_cast<LinearOp>(user); layer && layer.getX() == v && !llvm::is_contained(layers, layer))
        layers.push_back(layer);
      else if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(user) &&
               cast<RankedTensorType>(user->getResult(0).getType()).getShape().back() == k)
        values.push_back(user->getResult(0));
    }
  }
  SmallVector<QuantizedWeight::Part> parts;
  DenseMap<Op *, int64_t> firstColumn;
  int64_t columns = 0;
  for (LinearOp layer : layers) {
    QuantizedWeight::Part part{floatsOf(layer.getWeight()), floatsOf(layer.getBias()),
                               cast<RankedTensorType>(layer.getOuts().getType()).getShape().back(), layer.getTransposeWeight()};
    if (part.weight.empty() || (layer.getBias() && part.bias.empty()))
      continue;
    firstColumn[layer] = columns;
    columns += part.n;
    parts.push_back(std::move(part));
  }
  if (!firstColumn.contains(op)) {
    refuse("its weight or bias is not constant, or not finite");
    groups.erase(x);
    return nullptr;
  }
  auto group = std::make_unique<Group>(Group{QuantizedWeight(*stats, k, parts, hasFeedback), {}, firstColumn});
  QuantizedWeight &weight = group->weight;
  calibration::RangeOptions affine = ranges;
  affine.symmetric = false;
  calibration::Range range = calibration::chooseRange(*stats, affine);
  weight.low = range.min;
  weight.high = range.max;
  auto below = known.find(x);
  if (weight.perChannel && (below == known.end() || below->second.perChannel))
    weight.smooth();
  if (llvm::all_of(weight.factors, [](float f) { return f == 1; }))
    weight.factors.clear();
  weight.roundWeight();
  // A column of nearly nothing would have too fine a scale for its bias.
  std::vector<float> bias = weight.correctedBias();
  for (int64_t c = 0; c < weight.n; ++c)
    if (double least = std::fabs(bias[c]) / weight.scale() * 0x1p-30; weight.scales[c] < least) {
      weight.scales[c] = least;
      for (int64_t r = 0; r < k; ++r)
        weight.stored[r * weight.n + c] = std::lrint(weight.weight[r * weight.n + c] / least);
    }
  group->form = {8, true, weight.scale(), weight.zero(), weight.factors};
  return (groups[x] = std::move(group)).get();
}

bool IntegerConverter::convertLinear(LinearOp op) {
  if (!isKnown(op.getX()))
    return refuse("its input is in float, and calibration has not seen it");
  Group *group = groupOf(op);
  if (!group || !group->firstColumn.contains(op))
    return group ? refuse("its weight or bias is not constant, or not finite") : false;
  const QuantizedWeight &weight = group->weight;
  int64_t k = weight.k, n = cast<RankedTensorType>(op.getOuts().getType()).getShape().back();
  int64_t first = group->firstColumn.lookup(op), zero = group->form.zero;
  std::vector<float> corrected = weight.correctedBias();
  std::vector<int8_t> stored(k * n);
  std::vector<double> scales(n), sums(n);
  SmallVector<int32_t> bias(n);
  int64_t most = 0;
  for (int64_t c = 0; c < n; ++c) {
    scales[c] = weight.scales[first + c];
    sums[c] = scales[c] * group->form.scale;
    bias[c] = std::llrint(corrected[first + c] / sums[c]);
    int64_t magnitude = std::abs(int64_t(bias[c]));
    for (int64_t r = 0; r < k; ++r) {
      int8_t w = stored[r * n + c] = weight.stored[r * weight.n + first + c];
      magnitude += std::abs(int64_t(w)) * std::max(zero, 255 - zero);
    }
    most = std::max(most, magnitude);
  }
  if (most > INT32_MAX)
    return refuse("its sums can leave 32 bits");
  Value x = get(op.getX(), group->form);
  if (!x)
    return refuse("its input has no form of 8 bits");
  Type i8 = b.getI8Type(), f32 = b.getF32Type();
  auto xType = quant::UniformQuantizedType::get(/*flags=*/0, i8, f32, group->form.scale, zero, 0, 255);
  x = quant::StorageCastOp::create(b, cast<RankedTensorType>(x.getType()).clone(xType), x);
  Location at = op.getWeight().getLoc();
  auto wType = quant::UniformQuantizedPerAxisType::get(quant::QuantizationFlags::Signed, i8, f32, scales,
                                                       SmallVector<int64_t>(n, 0), /*quantizedDimension=*/1, -127, 127);
  Value w = quant::StorageCastOp::create(b, at, RankedTensorType::get({k, n}, wType), resource(b, at, {k, n}, i8, stored));
  Value start = arith::ConstantOp::create(b, DenseIntElementsAttr::get(RankedTensorType::get({n}, b.getI32Type()), bias));
  Value init = emptyLike(op.getOuts(), b.getI32Type());
  Value sum = LinearOp::create(b, TypeRange(init.getType()), x, w, start, init, /*transpose_weight=*/false).getResult()[0];
  defineRaw(op->getResult(0), {sum, sums, numerics::bitLength(most) + 1});
  return true;
}

//===----------------------------------------------------------------------===//
// Convolutions, and other contractions with a constant
//===----------------------------------------------------------------------===//

bool IntegerConverter::convertContraction(linalg::GenericOp op) {
  // out + x * w, or that where a condition holds, x and w read in place or by index.
  Block *body = op.getBody();
  Value out = op.getRegionOutputArgs()[0], yielded = body->getTerminator()->getOperand(0);
  if (auto select = yielded.getDefiningOp<arith::SelectOp>(); select && select.getFalseValue() == out)
    yielded = select.getTrueValue();
  auto add = yielded.getDefiningOp<arith::AddFOp>();
  Value term = !add ? Value() : add.getLhs() == out ? add.getRhs() : add.getRhs() == out ? add.getLhs() : Value();
  auto product = term ? term.getDefiningOp<arith::MulFOp>() : arith::MulFOp();
  Value start = op.getDpsInits()[0]; // zeros, or a bias
  auto fill = start.getDefiningOp<linalg::FillOp>();
  bool isZero = fill && matchPattern(fill.getInputs()[0], m_AnyZeroFloat());
  if (!product || (!isZero && !known.contains(start)))
    return false;
  auto sourceOf = [&](Value v) -> Value {
    if (auto extract = v.getDefiningOp<tensor::ExtractOp>())
      return extract.getTensor();
    auto argument = dyn_cast<BlockArgument>(v);
    return argument && argument.getOwner() == body && argument.getArgNumber() < op.getNumDpsInputs() ? op.getDpsInputs()[argument.getArgNumber()] : Value();
  };
  Value x = sourceOf(product.getLhs()), w = sourceOf(product.getRhs());
  auto isFloat = [](Value v) { return isa<FloatType>(getElementTypeOrSelf(v.getType())); };
  for (Op &inner : body->without_terminator()) {
    bool isOfFloats = llvm::any_of(inner.getOperands(), isFloat) || llvm::any_of(inner.getResults(), isFloat);
    bool isKnownOp = &inner == product || &inner == add || isa<arith::SelectOp>(inner) ||
                     (isa<tensor::ExtractOp>(inner) && (inner.getResult(0) == product.getLhs() || inner.getResult(0) == product.getRhs()));
    if (isOfFloats && !isKnownOp)
      return false;
  }
  if (!x || !w || x == w)
    return false;
  if (!floatsOf(x).empty())
    std::swap(x, w);
  std::vector<float> weight = floatsOf(w);
  const TensorStats *stats = statsOf(x);
  auto type = cast<RankedTensorType>(w.getType());
  if (weight.empty() || !stats || !isKnown(x))
    return refuse(weight.empty() ? "it is a product of two activations" : "calibration has not seen its input");
  // How many products a sum has: the weight's elements but for the dims that the result has as well.
  int64_t depth = type.getNumElements();
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  for (OpOperand *operand : op.getDpsInputOperands())
    if (operand->get() == w)
      for (auto [d, expression] : llvm::enumerate(op.getMatchingIndexingMap(operand).getResults()))
        if (auto dim = dyn_cast<AffineDimExpr>(expression); dim && iterators[dim.getPosition()] == utils::IteratorType::parallel)
          depth /= std::max<int64_t>(type.getDimSize(d), 1);
  // One scale for all of the weight, of as many bits as sums of 31 leave it.
  int bits = std::min(16, 30 - 7 - numerics::bitLength(std::max<int64_t>(depth, 1)));
  if (bits < 6)
    return refuse("its sums of " + llvm::Twine(depth) + " products do not fit 32 bits");
  double largest = calibration::kMinRange;
  for (float value : weight)
    largest = std::max<double>(largest, std::fabs(value));
  Form xForm = signedForm(*stats), wForm{bits, false, largest / ((1 << (bits - 1)) - 1)};
  Value xi = get(x, xForm), wi = constant(w, wForm);
  if (!xi)
    return refuse("its input has no form of 8 bits");

  b.setInsertionPoint(op);
  Type i32 = b.getI32Type();
  double scale = xForm.scale * wForm.scale;
  Value si;
  if (isZero) {
    Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    si = linalg::FillOp::create(b, zero, emptyLike(start, i32)).getResult(0);
  } else {
    // Where the sum begins must leave room for it.
    si = get(start, {24, false, scale});
    b.setInsertionPoint(op);
  }
  if (!si)
    return refuse("its bias has no integer form");
  IRMapping map;
  map.map(x, xi);
  map.map(w, wi);
  map.map(start, si);
  auto copy = cast<linalg::GenericOp>(b.clone(*op, map));
  copy->getResult(0).setType(copy.getDpsInits()[0].getType());
  for (auto [argument, operand] : llvm::zip(copy.getBody()->getArguments(), copy->getOperands()))
    argument.setType(getElementTypeOrSelf(operand.getType()));
  for (Op &inner : llvm::make_early_inc_range(copy.getBody()->without_terminator())) {
    ImplicitLocOpBuilder ib(inner.getLoc(), &inner);
    auto wide = [&](Value v) { return v.getType() == i32 ? v : Value(arith::ExtSIOp::create(ib, i32, v)); };
    if (auto extract = dyn_cast<tensor::ExtractOp>(inner))
      extract.getResult().setType(getElementTypeOrSelf(extract.getTensor().getType()));
    else if (auto select = dyn_cast<arith::SelectOp>(inner))
      select.getResult().setType(select.getTrueValue().getType());
    Value integer;
    if (isa<arith::MulFOp>(inner)) {
      Value left = wide(inner.getOperand(0)), right = wide(inner.getOperand(1));
      integer = arith::MulIOp::create(ib, left, right);
    } else if (isa<arith::AddFOp>(inner)) {
      integer = arith::AddIOp::create(ib, inner.getOperand(0), inner.getOperand(1));
    }
    if (!integer)
      continue;
    inner.getResult(0).replaceAllUsesWith(integer);
    inner.erase();
  }
  defineRaw(op->getResult(0), {copy->getResult(0), {scale}, 32});
  return true;
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

template <typename OpTy> bool IntegerConverter::convertNorm(OpTy op, bool centred) {
  std::vector<float> gamma = floatsOf(op.getScale()), beta;
  if constexpr (std::is_same_v<OpTy, LayerNormOp>)
    beta = floatsOf(op.getBias());
  Value result = op->getResult(0);
  const TensorStats *stats = statsOf(op.getX());
  if (gamma.empty())
    return refuse("its scale is not constant, or not finite");
  if (!stats || !statsOf(result) || !isKnown(op.getX()))
    return refuse("calibration has not seen its input or its result");
  Form wide = wideForm(*stats);
  if (auto it = known.find(op.getX()); it != known.end() && it->second.kept && it->second.kept->scales.size() == 1) {
    const Raw &raw = *it->second.kept; // as it is
    wide = {raw.bits, raw.isUnsigned, raw.scales[0], raw.zero};
  }
  if (wide.zero || wide.isUnsigned)
    wide = wideForm(*stats);
  // Rows that are nothing beside epsilon: it must fit 64 bits in units of the scale.
  double epsilon = op.getEpsilon().convertToDouble();
  if (double finest = std::sqrt(double(gamma.size()) * epsilon) * 0x1p-28; wide.scale < finest)
    wide = {16, false, finest};
  Value x = get(op.getX(), wide);
  if (!x)
    return refuse("its input has no form of 16 bits");
  std::vector<double> factors(gamma.begin(), gamma.end()), shifts(beta.begin(), beta.end());
  defineNorm(result, x, wide, centred, epsilon, factors, shifts, op.getLoc(), wideForm(*statsOf(result)));
  return true;
}

template bool IntegerConverter::convertNorm(LayerNormOp, bool);
template bool IntegerConverter::convertNorm(RmsNormOp, bool);

void IntegerConverter::defineNorm(Value result, Value x, const Form &wide, bool centred, double epsilon, std::vector<double> gamma,
                                  std::vector<double> beta, Location loc, const Form &kept) {
  int64_t channels = gamma.size();
  auto norm = numerics::IntegerNorm::of(channels, centred, wide.bits, wide.scale, epsilon);
  auto make = [=](const Form &form) -> Value {
    std::vector<double> factors, shifts;
    for (int64_t c = 0; c < channels; ++c) {
      double factor = form.factors.empty() ? 1 : form.factors[c];
      factors.push_back(gamma[c] * factor);
      shifts.push_back((beta.empty() ? 0 : beta[c] * factor) + double(form.zero) * form.scale);
    }
    auto affine = numerics::IntegerAffine::of(factors, shifts, form.scale);
    SmallVector<int32_t> m(affine.m.begin(), affine.m.end());
    ImplicitLocOpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfterValue(x);
    Location before = b.getLoc();
    b.setLoc(loc);
    Value init = emptyLike(x, form.storage(b.getContext()));
    Value y;
    if (centred)
      y = IntLayerNormOp::create(b, TypeRange(init.getType()), x, init, norm.shift, norm.epsilon, m, affine.b, affine.e, kRounding,
                                 false, b.getI64IntegerAttr(wide.bits), form.isUnsigned, b.getI64IntegerAttr(form.bits))
              .getResult()[0];
    else
      y = IntRmsNormOp::create(b, TypeRange(init.getType()), x, init, norm.epsilon, m, affine.b, affine.e, kRounding,
                               false, b.getI64IntegerAttr(wide.bits), form.isUnsigned, b.getI64IntegerAttr(form.bits))
              .getResult()[0];
    b.setLoc(before);
    return y;
  };
  define(result, make);
  known[result].raw = [=] { return Raw{make(kept), {kept.scale}, kept.bits}; };
}

//===----------------------------------------------------------------------===//
// Embeddings
//===----------------------------------------------------------------------===//

bool IntegerConverter::convertEmbedding(EmbeddingOp op) {
  Value result = op->getResult(0);
  const TensorStats *stats = statsOf(result);
  if (!stats)
    return refuse("calibration has not seen its result");
  auto type = cast<RankedTensorType>(op.getOuts().getType());
  int64_t rank = type.getRank(), columns = type.getShape().back();
  Form form = wideForm(*stats);

  // Rows that many tokens share have 16 bits, which cost little there.
  constexpr int64_t kSmall = 1024;
  struct Table {
    std::vector<float> values;
    int bits;
    std::vector<double> scales;
  };
  SmallVector<Table> tables;
  std::vector<double> ratios;
  for (Value v : op.getTables()) {
    Table table{floatsOf(v), cast<RankedTensorType>(v.getType()).getDimSize(0) <= kSmall ? 16 : 8, std::vector<double>(columns, 0)};
    if (table.values.empty())
      return refuse("a table is not constant, or not finite");
    for (size_t i = 0; i < table.values.size(); ++i)
      table.scales[i % columns] = std::max<double>(table.scales[i % columns], std::fabs(table.values[i]));
    for (double &scale : table.scales)
      scale = std::max(scale, calibration::kMinRange) / ((1 << (table.bits - 1)) - 1);
    // In units of the largest element, so that one width bounds the products of all tables.
    for (double scale : table.scales)
      ratios.push_back(scale / form.scale * (1 << (table.bits - 1)));
    tables.push_back(std::move(table));
  }
  // The sum of products stays within 31 bits.
  int spare = numerics::bitLength(tables.size());
  std::optional<Factors> bound = factorsOf(ratios, 30 - spare);
  if (!bound)
    return refuse("its tables have scales that are too far apart");
  int exponent = bound->exponent;

  SmallVector<Input> inputs;
  for (Value index : op.getIndices()) {
    auto from = cast<RankedTensorType>(index.getType());
    SmallVector<AffineExpr> at;
    for (int64_t d = 0; d < from.getRank(); ++d)
      at.push_back(from.getDimSize(d) == 1 ? b.getAffineConstantExpr(0) : b.getAffineDimExpr(rank - 1 - from.getRank() + d));
    inputs.push_back({index, AffineMap::get(rank, 0, at, b.getContext())});
  }
  SmallVector<Value> stored;
  for (size_t t = 0; t < tables.size(); ++t) {
    const Table &table = tables[t];
    Value v = op.getTables()[t];
    auto quantized = [&](auto integers, Type element) {
      for (size_t i = 0; i < integers.size(); ++i)
        integers[i] = std::lrint(table.values[i] / table.scales[i % columns]);
      return resource(b, v.getLoc(), cast<RankedTensorType>(v.getType()).getShape(), element, integers);
    };
    stored.push_back(table.bits == 8 ? quantized(std::vector<int8_t>(table.values.size()), b.getI8Type())
                                     : quantized(std::vector<int16_t>(table.values.size()), b.getI16Type()));
    SmallVector<int32_t> factors;
    for (double scale : table.scales)
      factors.push_back(std::llrint(std::ldexp(scale / form.scale, exponent)));
    auto row = RankedTensorType::get({columns}, b.getI32Type());
    inputs.push_back({arith::ConstantOp::create(b, DenseIntElementsAttr::get(row, factors)),
                      AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1))});
  }
  Type element = form.storage(b.getContext());
  size_t count = tables.size();
  int64_t high = (INT64_C(1) << (form.bits - 1)) - 1;
  Value y = pointwise(b, inputs, emptyLike(op.getOuts(), element), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Type i32 = ib.getI32Type();
    auto number = [&](int64_t x) -> Value { return arith::ConstantOp::create(ib, ib.getI32IntegerAttr(x)); };
    Value column = linalg::IndexOp::create(ib, rank - 1), sum = number(INT64_C(1) << (exponent - 1));
    for (size_t t = 0; t < count; ++t) {
      Value row = arith::IndexCastOp::create(ib, ib.getIndexType(), args[t]);
      Value q = arith::ExtSIOp::create(ib, i32, tensor::ExtractOp::create(ib, stored[t], ValueRange{row, column}));
      sum = arith::AddIOp::create(ib, sum, arith::MulIOp::create(ib, q, args[count + t]));
    }
    sum = arith::ShRSIOp::create(ib, sum, number(exponent));
    sum = arith::MinSIOp::create(ib, arith::MaxSIOp::create(ib, sum, number(-high - 1)), number(high));
    return element == i32 ? sum : Value(arith::TruncIOp::create(ib, element, sum));
  });
  defineRaw(result, {y, {form.scale}, form.bits});
  return true;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

bool IntegerConverter::convertAttention(AttentionOp op) {
  const TensorStats *q = statsOf(op.getQ()), *k = statsOf(op.getK()), *v = statsOf(op.getV());
  Value result = op->getResult(0);
  const TensorStats *stats = statsOf(result);
  if (!q || !k || !v || !stats || !isKnown(op.getQ()) || !isKnown(op.getK()) || !isKnown(op.getV()))
    return refuse("calibration has not seen its operands or its result");
  for (Value operand : {op.getQ(), op.getK()})
    if (auto type = cast<RankedTensorType>(operand.getType()); type.isDynamicDim(2) || type.isDynamicDim(3))
      return refuse("its heads or their elements are not of a known number");
  Form qForm = signedForm(*q), kForm = unsignedForm(*k), vForm = signedForm(*v);
  auto exp = numerics::OctaveExp::of(qForm.scale * kForm.scale * op.getScale().convertToDouble());
  Value keep;
  bool uniform = false;
  if (Value mask = op.getMask()) {
    auto found = masks.find(mask);
    bool isBoolean = found != masks.end();
    if (isBoolean) {
      double low = std::min(found->second.atFalse, found->second.atTrue), high = std::max(found->second.atFalse, found->second.atTrue);
      isBoolean = high == 0 && (low == 0 || low < kMasked);
      uniform = std::isfinite(low);
    }
    if (!isBoolean)
      return refuse("its mask is no choice between 0 and -10000 or less that a mask of integers or booleans makes");
    bool keptAtTrue = found->second.atTrue == 0, keptAtFalse = found->second.atFalse == 0;
    if (!keptAtTrue || !keptAtFalse)
      keep = pointwise(b, like(b, found->second.bits), emptyLike(found->second.bits, b.getI8Type()), [&](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
        Value bit = args[0];
        if (!keptAtTrue)
          bit = arith::XOrIOp::create(ib, bit, arith::ConstantOp::create(ib, ib.getBoolAttr(true)));
        return arith::ExtUIOp::create(ib, ib.getI8Type(), bit);
      });
  }
  Value qi = get(op.getQ(), qForm), ki = get(op.getK(), kForm), vi = get(op.getV(), vForm);
  if (!qi || !ki || !vi)
    return refuse("its operands have no form of 8 bits");
  Location loc = op.getLoc();
  bool causal = op.getCausal();
  auto attend = [=](const Form &form) -> Value {
    numerics::Dyadic out = numerics::contextScale(vForm.scale / form.scale);
    ImplicitLocOpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(op);
    Location before = b.getLoc();
    b.setLoc(loc);
    Value init = emptyLike(qi, b.getI8Type());
    Value y = IntAttentionOp::create(b, TypeRange(init.getType()), qi, ki, vi, keep, init, exp.shift, exp.factor, causal, uniform,
                                     /*k_unsigned=*/true, out.m, out.e, form.isUnsigned, form.zero)
                  .getResult()[0];
    b.setLoc(before);
    return y;
  };
  Known &entry = known[result];
  entry.perChannel = false;
  entry.direct = [=](const Form &form) -> Value {
    return form.bits == 8 && form.factors.empty() ? attend(form) : requantize(rawOf(result), form);
  };
  entry.raw = [=] {
    Form form = signedForm(*stats);
    return Raw{attend(form), {form.scale}, 8};
  };
  return true;
}
