//===-- Forms.cpp - scales, and integers from one into another ----------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"

#include <cmath>

#include "passes/analysis/ObservedValues.h"
#include "passes/integer_only/Converter.h"

using namespace mlir;
using namespace sq;
using calibration::TensorStats;

Type Form::storage(MLIRContext *context) const {
  return IntegerType::get(context, bits <= 8 ? 8 : bits <= 16 ? 16 : 32);
}

std::optional<Factors> sq::factorsOf(ArrayRef<double> ratios, int width) {
  double largest = 0;
  for (double ratio : ratios)
    largest = std::max(largest, std::fabs(ratio));
  int k = 0;
  std::frexp(largest, &k); // largest < 2^k
  int exponent = std::min(62, width - k);
  // Of 31 bits three can be spared: with few different exponents, layers share their kernels.
  if (width == 31 && exponent > 4)
    exponent -= exponent % 4;
  if (!std::isfinite(largest) || exponent < 1)
    return std::nullopt;
  Factors factors{{}, exponent};
  auto make = [&] {
    factors.m.clear();
    bool fits = true;
    for (double ratio : ratios) {
      factors.m.push_back(std::llrint(std::ldexp(ratio, factors.exponent)));
      fits &= std::abs(factors.m.back()) < INT64_C(1) << width;
    }
    return fits;
  };
  // A ratio just below a power of two is rounded to it.
  if (!make() && (--factors.exponent < 1 || !make()))
    return std::nullopt;
  return factors;
}

const TensorStats *IntegerConverter::statsOf(Value v) {
  const TensorStats *found = observed.lookup(throughReshapes(v));
  return found && !found->isEmpty() ? found : nullptr;
}

/// Beyond the largest that calibration saw, where it costs nothing.
static constexpr double kRoom = 1.25;

Form IntegerConverter::wideForm(const TensorStats &stats) {
  constexpr double kLeastSignal = 1e7; // 70 dB: far less than what 8 bits elsewhere add
  double range = std::max<double>(kRoom * stats.maxAbs(), calibration::kMinRange);
  Form form{16, false, range / 32767};
  double squares = 0;
  for (size_t c = 0; c < stats.channels(); ++c)
    squares += stats.channelPower(c) / double(stats.channels());
  if (squares > 0 && form.scale * form.scale / 12 * kLeastSignal > squares)
    form = {22, false, range / ((1 << 21) - 1)};
  return form;
}

Form IntegerConverter::signedForm(const TensorStats &stats) {
  calibration::RangeOptions options = ranges;
  options.symmetric = true;
  return {8, false, std::max(calibration::chooseRange(stats, options).max, calibration::kMinRange) / 127};
}

Form IntegerConverter::unsignedForm(const TensorStats &stats) {
  calibration::RangeOptions options = ranges;
  options.symmetric = false;
  calibration::Range range = calibration::chooseRange(stats, options);
  double scale = std::max((range.max - range.min) / 255, calibration::kMinRange);
  return {8, true, scale, std::clamp<int64_t>(std::llrint(-range.min / scale), 0, 255)};
}

Value IntegerConverter::emptyLike(Value v, Type element) {
  return tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), v), element);
}

Value IntegerConverter::requantize(const Raw &from, const Form &to) {
  if (!from.value)
    return Value();
  size_t channels = std::max({from.scales.size(), to.factors.size(), size_t(1)});
  std::vector<double> ratios;
  bool isSame = from.bits == to.bits && from.isUnsigned == to.isUnsigned && from.zero == to.zero;
  for (size_t c = 0; c < channels; ++c) {
    ratios.push_back(from.scales[from.scales.size() == 1 ? 0 : c] / to.step(c));
    isSame &= ratios.back() == 1;
  }
  Type element = to.storage(b.getContext());
  if (isSame && getElementTypeOrSelf(from.value.getType()) == element)
    return from.value;
  // With factors of fewer bits all is 32-bit arithmetic, where that keeps the result's bits.
  int narrow = 30 - from.bits - (from.zero != 0);
  std::optional<Factors> factors = factorsOf(ratios, narrow >= to.bits + 5 ? narrow : 31);
  if (!factors)
    return Value();
  ImplicitLocOpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(from.value);
  SmallVector<int32_t> m(factors->m.begin(), factors->m.end()), e(m.size(), factors->exponent);
  Value init = emptyLike(from.value, element);
  return RequantizeOp::create(b, TypeRange(init.getType()), from.value, init, m, e, /*axis=*/-1, kRounding, from.isUnsigned,
                              b.getI64IntegerAttr(from.bits), from.zero, to.isUnsigned, b.getI64IntegerAttr(to.bits),
                              to.zero)
      .getResult()[0];
}

Value IntegerConverter::constant(Value v, const Form &form) {
  std::vector<float> values = floatsOf(v);
  auto type = dyn_cast<RankedTensorType>(v.getType());
  if (values.empty() || !type)
    return Value();
  int64_t low = form.isUnsigned ? 0 : -(INT64_C(1) << (form.bits - 1)), high = low + (INT64_C(1) << form.bits) - 1;
  size_t channels = std::max<size_t>(form.factors.size(), 1);
  Type element = form.storage(b.getContext());
  unsigned width = element.getIntOrFloatBitWidth();
  SmallVector<APInt> integers;
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t q = std::llrint(values[i] / form.step(i % channels)) + form.zero;
    integers.push_back(APInt(64, static_cast<uint64_t>(std::clamp(q, low, high))).trunc(width));
  }
  ImplicitLocOpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(v);
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type.clone(element), integers));
}
