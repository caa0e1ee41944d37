#include "dialects/sq/IR/IntegerOps.h"

#include "llvm/ADT/StringSwitch.h"

#include "dialects/sq/IR/ShapeChecks.h"
#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace sq;

std::optional<numerics::Rounding> sq::roundingOf(StringRef name) {
  return llvm::StringSwitch<std::optional<numerics::Rounding>>(name)
      .Case("half_even", numerics::Rounding::HalfEven)
      .Case("half_up", numerics::Rounding::HalfUp)
      .Case("half_away", numerics::Rounding::HalfAway)
      .Default(std::nullopt);
}

static int64_t widthOf(Value v) { return getElementTypeOrSelf(v.getType()).getIntOrFloatBitWidth(); }

numerics::IntegerRange sq::rangeOf(Value v, std::optional<uint64_t> bits, bool isUnsigned) {
  return numerics::IntegerRange::of(static_cast<int>(bits.value_or(widthOf(v))), isUnsigned);
}

//===----------------------------------------------------------------------===//
// What several verifiers check
//===----------------------------------------------------------------------===//

static LogicalResult oneShape(Operation *op, Value x, Value y) {
  if (!shapesAgree(shaped(x), shaped(y)))
    return op->emitOpError("needs input and output of one shape, got ") << x.getType() << " and " << y.getType();
  return success();
}

static LogicalResult bitsFit(Operation *op, StringRef name, std::optional<uint64_t> bits, Value v) {
  int64_t given = static_cast<int64_t>(bits.value_or(1));
  if (given < 1 || given > widthOf(v))
    return op->emitOpError("has ") << name << " = " << given << " for integers of " << widthOf(v)
                                   << " bits; it must be 1 to " << widthOf(v);
  return success();
}

static LogicalResult lengthsFit(Operation *op, ArrayRef<std::pair<StringRef, size_t>> lists, Value v, int64_t axis) {
  ShapedType type = shaped(v);
  int64_t at = axisOf(axis, type.getRank());
  bool hasAxis = at >= 0 && at < type.getRank();
  for (auto [name, size] : lists)
    if (size != 1 && !(hasAxis && type.getDimSize(at) == static_cast<int64_t>(size)) )
      return op->emitOpError("has ") << size << " " << name << "; it must be one, or as many as dimension " << axis
                                     << " of " << type << " has, statically";
  return success();
}

static LogicalResult exponentsFit(Operation *op, ArrayRef<int32_t> exponents) {
  for (int32_t e : exponents)
    if (e < 1 || e > 62)
      return op->emitOpError("has an exponent of ") << e << "; it must be 1 to 62 (a larger one gives 0, a smaller one "
                                                            "the limits: make such factors with Dyadic::encodable)";
  return success();
}

static LogicalResult roundingExists(Operation *op, StringRef name) {
  if (!roundingOf(name))
    return op->emitOpError("needs a rounding of half_even, half_up or half_away, got '") << name << "'";
  return success();
}

static LogicalResult zeroFits(Operation *op, StringRef name, int64_t zero, numerics::IntegerRange range) {
  if (zero < range.lo || zero > range.hi)
    return op->emitOpError("has ") << name << " = " << zero << ", which is not a value of its tensor, " << range.lo
                                   << " to " << range.hi;
  return success();
}

template <typename OpTy> static LogicalResult exponentialFits(OpTy op) {
  int64_t shift = op.getExpShift(), ln2 = op.getLn2(), b = op.getExpB(), c = op.getExpC();
  // |c| is bounded first, so that the sum does not overflow.
  bool fits = std::abs(shift) <= 31 && ln2 >= 4096 && ln2 <= 8192 && b > ln2 && b < 1 << 14 && c >= 0 && c < 1 << 29;
  if (!fits || b * b + c < 1 << 26 || b * b + c >= 1 << 29)
    return op.emitOpError("needs an exponential with exp_shift -31 to 31, ln2 4096 to 8192, exp_b above ln2 and below "
                          "2^14, and exp_b^2 + exp_c in [2^26, 2^29), got ")
           << shift << ", " << ln2 << ", " << b << " and " << c;
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

LogicalResult RequantizeOp::verify() {
  // requantize_c1
  if (failed(oneShape(*this, getX(), getOuts())))
    return failure();
  // requantize_c2
  if (failed(bitsFit(*this, "x_bits", getXBits(), getX())) || failed(bitsFit(*this, "bits", getBits(), getOuts())))
    return failure();
  // requantize_c3
  if (failed(lengthsFit(*this, {{"multipliers", getMultipliers().size()}, {"exponents", getExponents().size()}},
                        getX(), getAxis())))
    return failure();
  // requantize_c4
  if (failed(exponentsFit(*this, getExponents())))
    return failure();
  // requantize_c5
  if (failed(roundingExists(*this, getRounding())))
    return failure();
  // requantize_c6
  if (failed(zeroFits(*this, "x_zero_point", getXZeroPoint(), rangeOf(getX(), getXBits(), getXUnsigned()))))
    return failure();
  return zeroFits(*this, "zero_point", getZeroPoint(), rangeOf(getOuts(), getBits(), getIsUnsigned()));
}

LogicalResult RequantizedAddOp::verify() {
  // requantized_add_c1
  ShapedType y = shaped(getOuts());
  for (Value v : {getA(), getB()}) {
    ShapedType type = shaped(v);
    int64_t missing = y.getRank() - type.getRank();
    bool fits = missing >= 0;
    for (int64_t d = 0; fits && d < type.getRank(); ++d)
      fits = type.getDimSize(d) == 1 || dimsAgree(type.getDimSize(d), y.getDimSize(missing + d));
    if (!fits)
      return emitOpError("needs operands that broadcast to ") << y << ", got " << type;
  }
  // requantized_add_c2
  if (failed(bitsFit(*this, "a_bits", getABits(), getA())) || failed(bitsFit(*this, "b_bits", getBBits(), getB())) ||
      failed(bitsFit(*this, "bits", getBits(), getOuts())))
    return failure();
  // requantized_add_c3
  if (failed(lengthsFit(*this,
                        {{"a_multipliers", getAMultipliers().size()},
                         {"b_multipliers", getBMultipliers().size()},
                         {"exponents", getExponents().size()}},
                        getOuts(), getAxis())))
    return failure();
  // requantized_add_c4
  if (failed(exponentsFit(*this, getExponents())))
    return failure();
  // requantized_add_c5
  if (failed(roundingExists(*this, getRounding())))
    return failure();
  // requantized_add_c6
  if (failed(zeroFits(*this, "a_zero_point", getAZeroPoint(), rangeOf(getA(), getABits(), getAUnsigned()))) ||
      failed(zeroFits(*this, "b_zero_point", getBZeroPoint(), rangeOf(getB(), getBBits(), getBUnsigned()))))
    return failure();
  return zeroFits(*this, "zero_point", getZeroPoint(), rangeOf(getOuts(), getBits(), getIsUnsigned()));
}

/// C1, C2 and the rounding of ops of one input.
template <typename OpTy> static LogicalResult mapFits(OpTy op) {
  if (failed(oneShape(op, op.getX(), op.getOuts())) || failed(bitsFit(op, "x_bits", op.getXBits(), op.getX())) ||
      failed(bitsFit(op, "bits", op.getBits(), op.getOuts())))
    return failure();
  return roundingExists(op, op.getRounding());
}

LogicalResult IntGeluOp::verify() {
  // int_gelu_c1, int_gelu_c2, int_gelu_c5
  if (failed(mapFits(*this)))
    return failure();
  // int_gelu_c3
  if (failed(lengthsFit(*this,
                        {{"limits", getLimits().size()},
                         {"highs", getHighs().size()},
                         {"ones", getOnes().size()},
                         {"shifts", getShifts().size()},
                         {"multipliers", getMultipliers().size()},
                         {"exponents", getExponents().size()}},
                        getX(), getAxis())))
    return failure();
  // int_gelu_c4
  if (failed(exponentsFit(*this, getExponents())))
    return failure();
  for (int32_t shift : getShifts())
    if (shift < 0 || shift > 47)
      return emitOpError("has a shift of ") << shift << "; it must be 0 to 47";
  // int_gelu_c6
  auto at = [](ArrayRef<int64_t> list, size_t i) { return list.size() == 1 ? list[0] : list[i]; };
  for (size_t i = 0, n = std::max({getLimits().size(), getHighs().size(), getOnes().size()}); i < n; ++i) {
    int64_t limit = at(getLimits(), i), high = at(getHighs(), i), one = at(getOnes(), i);
    if (limit < 1 || limit >= INT64_C(1) << 31 || high < limit || one < limit * limit)
      return emitOpError("needs a positive limit below 2^31, a high at least as large and a one of at least its "
                         "square, got ")
             << limit << ", " << high << " and " << one;
  }
  return success();
}

template <typename OpTy> static LogicalResult verifySigmoid(OpTy op) {
  // int_sigmoid_c1, int_sigmoid_c2, int_sigmoid_c5, and so for tanh and SiLU
  if (failed(mapFits(op)))
    return failure();
  // int_sigmoid_c3, int_tanh_c3, int_silu_c3
  if (failed(exponentialFits(op)))
    return failure();
  // int_sigmoid_c4, int_tanh_c4, int_silu_c4
  return exponentsFit(op, static_cast<int32_t>(op.getExponent()));
}

LogicalResult IntSigmoidOp::verify() { return verifySigmoid(*this); }
LogicalResult IntTanhOp::verify() { return verifySigmoid(*this); }
LogicalResult IntSiluOp::verify() {
  int64_t low = getLow(), high = getHigh();
  // int_silu_c6
  if (low > 0 || high < 0)
    return emitOpError("needs a low of at most 0 and a high of at least 0, got ") << low << " and " << high;
  return verifySigmoid(*this);
}

LogicalResult LookupOp::verify() {
  // lookup_c1
  if (failed(oneShape(*this, getX(), getOuts())))
    return failure();
  // lookup_c2
  if (getTable().getNumElements() != 256)
    return emitOpError("needs a table of 256 entries, got ") << getTable().getNumElements();
  // lookup_c3
  int64_t width = widthOf(getOuts());
  for (int64_t entry : getTable().getValues<int32_t>())
    if (entry < -(INT64_C(1) << (width - 1)) || entry >= INT64_C(1) << width)
      return emitOpError("has an entry of ") << entry << ", which " << width << " bits do not hold";
  return success();
}

/// The constants of parabolas: 32 of each, slopes and curves of 16 bits, sums of 32.
static LogicalResult parabolasFit(Operation *op, ArrayRef<int32_t> bases, ArrayRef<int32_t> slopes, ArrayRef<int32_t> curves) {
  constexpr int64_t kHalf = INT64_C(1) << (numerics::IntegerPiecewise::kSegmentBits - 1);
  for (auto [name, list] : {std::pair("bases", bases), std::pair("slopes", slopes), std::pair("curves", curves)})
    if (list.size() != numerics::IntegerPiecewise::kSegments)
      return op->emitOpError("has ") << list.size() << " " << name << "; it must be 32, one for each segment";
  for (auto [base, slope, curve] : llvm::zip(bases, slopes, curves)) {
    if (slope != int16_t(slope) || curve != int16_t(curve))
      return op->emitOpError("has a slope of ") << slope << " and a curve of " << curve << "; both must have 16 bits";
    int64_t most = std::abs(int64_t(base)) + kHalf * std::abs(int64_t(slope)) + kHalf * kHalf * std::abs(int64_t(curve));
    if (most > INT32_MAX)
      return op->emitOpError("has a segment (") << base << ", " << slope << ", " << curve << ") whose sums can leave 32 bits";
  }
  return success();
}

LogicalResult IntPiecewiseOp::verify() {
  // int_piecewise_c1
  if (failed(oneShape(*this, getX(), getOuts())))
    return failure();
  // int_piecewise_c2
  if (widthOf(getX()) < 16)
    return emitOpError("needs an input of 16 or 32 bits, got ") << getX().getType() << " (sq.lookup takes 8 bits)";
  if (failed(bitsFit(*this, "bits", getBits(), getOuts())))
    return failure();
  // int_piecewise_c3, int_piecewise_c4, int_piecewise_c6
  if (failed(parabolasFit(*this, getBases(), getSlopes(), getCurves())))
    return failure();
  // int_piecewise_c5
  if (int64_t(getShift()) < 1 || int64_t(getShift()) > 30)
    return emitOpError("has a shift of ") << int64_t(getShift()) << "; it must be 1 to 30";
  return success();
}

numerics::IntegerPiecewise IntPiecewiseOp::function() {
  return {getBases().vec(), getSlopes().vec(), getCurves().vec(), int(getShift())};
}

LogicalResult ParabolaOp::verify() {
  if (!getElementTypeOrSelf(getX().getType()).isInteger(32))
    return emitOpError("needs 32-bit integers, got ") << getX().getType();
  // parabola_c1, parabola_c2
  return parabolasFit(*this, getBases(), getSlopes(), getCurves());
}

LogicalResult IntSqrtOp::verify() {
  // int_sqrt_c1
  if (failed(oneShape(*this, getX(), getOuts())))
    return failure();
  if (getElementTypeOrSelf(getX().getType()) != getElementTypeOrSelf(getOuts().getType()))
    return emitOpError("needs input and output of one type, got ") << getX().getType() << " and " << getOuts().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

LogicalResult IntSoftmaxOp::verify() {
  ShapedType x = shaped(getX());
  // int_softmax_c1
  if (failed(oneShape(*this, getX(), getOuts())))
    return failure();
  if (x.getRank() < 1)
    return emitOpError("needs a rank of at least 1, got ") << x;
  // int_softmax_c2
  if (failed(bitsFit(*this, "x_bits", getXBits(), getX())))
    return failure();
  // int_softmax_c3
  if (failed(exponentialFits(*this)))
    return failure();
  // int_softmax_c4
  if (getKeep()) {
    ShapedType keep = shaped(getKeep());
    bool fits = keep.getRank() == x.getRank();
    for (int64_t d = 0; fits && d < x.getRank(); ++d)
      fits = keep.getDimSize(d) == 1 || dimsAgree(keep.getDimSize(d), x.getDimSize(d));
    if (!fits)
      return emitOpError("needs a keep of the rank of ") << x << ", its dims those or 1, got " << keep;
  }
  // int_softmax_c5
  if (x.getShape().back() > 1 << 26)
    return emitOpError("has rows of ") << x.getShape().back() << " elements; their sum fits up to 2^26";
  return success();
}

LogicalResult IntContextOp::verify() {
  ShapedType acc = shaped(getAcc()), p = shaped(getP());
  // int_context_c1
  if (failed(oneShape(*this, getAcc(), getOuts())))
    return failure();
  if (acc.getRank() < 1)
    return emitOpError("needs a rank of at least 1, got ") << acc;
  // int_context_c2
  bool fits = p.getRank() == acc.getRank() && (p.isDynamicDim(p.getRank() - 1) || p.getShape().back() <= 65793);
  for (int64_t d = 0; fits && d < acc.getRank() - 1; ++d)
    fits = dimsAgree(p.getDimSize(d), acc.getDimSize(d));
  if (!fits)
    return emitOpError("needs probabilities like ") << acc << " but for the last dimension, which is at most 65793, got " << p;
  // int_context_c3
  if (failed(bitsFit(*this, "bits", getBits(), getOuts())))
    return failure();
  // int_context_c4
  if (failed(exponentsFit(*this, static_cast<int32_t>(getExponent()))))
    return failure();
  // int_context_c5
  if (failed(roundingExists(*this, getRounding())))
    return failure();
  // int_context_c6
  return zeroFits(*this, "zero_point", getZeroPoint(), rangeOf(getOuts(), getBits(), getIsUnsigned()));
}

LogicalResult IntAttentionOp::verify() {
  constexpr int64_t kMost = 65793; // products of 8 bits, one of them unsigned, in 32
  ShapedType q = shaped(getQ()), k = shaped(getK()), v = shaped(getV()), y = shaped(getOuts());
  // int_attention_c1
  bool fits = q.getRank() == 4 && k.getRank() == 4 && shapesAgree(k, v) && shapesAgree(q, y) &&
              dimsAgree(q.getDimSize(0), k.getDimSize(0)) && dimsAgree(q.getDimSize(3), k.getDimSize(3)) &&
              !q.isDynamicDim(2) && !k.isDynamicDim(2) && k.getDimSize(2) > 0 && q.getDimSize(2) % k.getDimSize(2) == 0;
  if (!fits)
    return emitOpError("cannot attend with ") << q << " to " << k << " and " << v << " into " << y;
  // int_attention_c2
  if (getKeep()) {
    ShapedType keep = shaped(getKeep());
    int64_t dims[] = {q.getDimSize(0), q.getDimSize(2), q.getDimSize(1), k.getDimSize(1)};
    bool keeps = keep.getRank() == 4;
    for (int64_t d = 0; keeps && d < 4; ++d)
      keeps = keep.getDimSize(d) == 1 || dimsAgree(keep.getDimSize(d), dims[d]);
    if (!keeps)
      return emitOpError("needs what it keeps for batch, heads, queries and keys of ") << q << " and " << k << ", got " << keep;
  }
  // int_attention_c3
  int64_t shift = getExpShift(), factor = getExpFactor();
  if (shift < -15 || shift > 31 || factor < 0 || factor > 2047)
    return emitOpError("needs an exponential with exp_shift -15 to 31 and exp_factor 0 to 2047, got ")
           << shift << " and " << factor << "; make it with OctaveExp";
  // int_attention_c4
  int32_t multiplier = getMultiplier(), exponent = getExponent();
  if (multiplier < 0 || exponent < 8 || exponent > 38)
    return emitOpError("needs a multiplier of at least 0 and an exponent of 8 to 38, got ") << multiplier << " and " << exponent;
  // int_attention_c5
  if (failed(zeroFits(*this, "zero_point", getZeroPoint(), rangeOf(getOuts(), std::nullopt, getIsUnsigned()))))
    return failure();
  // int_attention_c6
  if (q.isDynamicDim(3) || q.getDimSize(3) > kMost || (!k.isDynamicDim(1) && k.getDimSize(1) > kMost))
    return emitOpError("needs a static head size and at most ") << kMost << " keys and elements of a head, got " << k;
  return success();
}

/// The last dimension, and sums that fit.
template <typename OpTy> static LogicalResult normFits(OpTy op, int64_t shift) {
  ShapedType x = shaped(op.getX());
  // int_layer_norm_c1, int_norm_rows_c1, and so for int_rms_norm
  if (x.getRank() < 1 || x.isDynamicDim(x.getRank() - 1) || x.getShape().back() < 1)
    return op.emitOpError("needs a last dimension that is static and positive, got ") << x;
  // int_layer_norm_c4, int_norm_rows_c4
  if (failed(exponentsFit(op, static_cast<int32_t>(op.getExponent()))))
    return failure();
  // int_layer_norm_c6, int_norm_rows_c5
  int64_t epsilon = op.getEpsilon(), channels = x.getShape().back();
  if (shift < 0 || shift > 16 || epsilon < 0 || epsilon > INT64_C(1) << 61)
    return op.emitOpError("needs a shift of 0 to 16 and an epsilon of 0 to 2^61, got ") << shift << " and " << epsilon;
  // int_layer_norm_c7, int_norm_rows_c6
  int64_t bits = op.getXBits().value_or(widthOf(op.getX())) + op.getXUnsigned();
  int64_t need = 2 * (bits - 1 + shift) + numerics::bitLength(channels - 1);
  if (need > 61)
    return op.emitOpError("adds up to 2^") << need << " (" << channels << " squares of integers of " << bits
                                           << " bits, " << shift << " of them shifted in), and 2^61 is the most; "
                                              "requantize to fewer bits before it and say so in x_bits";
  return success();
}

template <typename OpTy> static LogicalResult verifyNorm(OpTy op, int64_t shift) {
  // int_layer_norm_c1, c2, c5, and so for int_rms_norm
  if (failed(mapFits(op)) || failed(normFits(op, shift)))
    return failure();
  // int_layer_norm_c3
  return lengthsFit(op, {{"multipliers", op.getMultipliers().size()}, {"addends", op.getAddends().size()}}, op.getX(), -1);
}

LogicalResult IntNormRowsOp::verify() {
  // int_norm_rows_c1, int_norm_rows_c2
  if (failed(oneShape(*this, getX(), getOuts())) || failed(bitsFit(*this, "x_bits", getXBits(), getX())) ||
      failed(bitsFit(*this, "bits", getBits(), getOuts())) || failed(normFits(*this, getShift())))
    return failure();
  // int_norm_rows_c3
  int64_t channels = shaped(getX()).getShape().back();
  for (auto [name, v, width, stored] : {std::tuple("multipliers", getMultipliers(), 32, storedMultipliers(channels)), std::tuple("addends", getAddends(), 64, storedAddends(channels))})
    if (ShapedType type = shaped(v); type.getRank() != 1 || type.getDimSize(0) != stored || widthOf(v) != width)
      return emitOpError("needs ") << name << " of " << stored << " integers of " << width << " bits, got " << type;
  return success();
}

LogicalResult IntLayerNormOp::verify() { return verifyNorm(*this, getShift()); }
LogicalResult IntRmsNormOp::verify() { return verifyNorm(*this, 0); }
