//===-- Pointwise.cpp - activations, sums, masks ------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

#include "lib/numerics/IntegerActivations.h"
#include "lib/numerics/IntegerPiecewise.h"
#include "lib/numerics/Tensor.h"
#include "passes/Pointwise.h"
#include "passes/analysis/Elementwise.h"
#include "passes/analysis/ObservedValues.h"
#include "passes/integer_only/Converter.h"
#include "passes/integer_only/Evaluate.h"

using namespace mlir;
using namespace sq;
using calibration::Histogram;
using calibration::TensorStats;
using numerics::IntegerGelu;
using numerics::IntegerPiecewise;
using numerics::IntegerRange;
using numerics::IntegerSigmoid;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

/// The mean squared error of `approximate` on what calibration saw.
static double errorOn(const TensorStats &stats, function_ref<double(double)> exact, function_ref<double(double)> approximate) {
  const Histogram &histogram = stats.histogram;
  double width = histogram.width(), squares = 0, count = 0;
  for (int i = 0; i < 2 * Histogram::kBins; ++i)
    if (uint64_t seen = histogram.counts[i]) {
      // Bins of 8 bits or coarser hide what rounding does: three points in each.
      for (double part : {0.17, 0.5, 0.83}) {
        double x = (i - Histogram::kBins + part) * width, lost = approximate(x) - exact(x);
        squares += double(seen) * lost * lost / 3;
      }
      count += double(seen);
    }
  return count ? squares / count : 0;
}

/// What 13 bits of `sq.int_piecewise` stand for: what was seen of the input and a quarter more, without the ends where the function stays
/// within 2^-12 of its largest result.
static Form segmentsOf(const TensorStats &stats, double largest, function_ref<double(double)> f) {
  constexpr double kRoom = 1.25, kFlat = 0x1p-12;
  constexpr int kSteps = 256;
  double ends[2] = {std::min(kRoom * stats.min, 0.0), std::max(kRoom * stats.max, 0.0)}, begin = ends[0], step = (ends[1] - ends[0]) / kSteps;
  for (int end : {0, 1}) {
    int flat = 0;
    double at = f(ends[end]);
    while (flat < kSteps && std::fabs(f(ends[end] + (end ? -step : step) * (flat + 1)) - at) <= kFlat * largest)
      ++flat;
    ends[end] += (end ? -step : step) * flat;
  }
  // Zero points are in range: so is 0.
  ends[0] = std::min(ends[0], 0.0), ends[1] = std::max(ends[1], 0.0);
  if (ends[0] == ends[1]) // a constant
    ends[0] = std::min(begin, -calibration::kMinRange);
  constexpr int kMost = (1 << numerics::IntegerPiecewise::kInputBits) - 1;
  double scale = (ends[1] - ends[0]) / kMost;
  return {numerics::IntegerPiecewise::kInputBits, true, scale, std::clamp<int64_t>(std::llrint(-ends[0] / scale), 0, kMost)};
}

namespace {
/// A function as `sq.int_piecewise` has it.
struct Pieces {
  Form input;
  numerics::Parabolas parabolas;
  double error = INFINITY; // what 16 bits of `step` lose, or parabolas cannot give
};
} // namespace

static Pieces piecesOf(const TensorStats &stats, double largest, double step, function_ref<double(double)> f) {
  Pieces pieces{segmentsOf(stats, largest, f), {}};
  const Form &input = pieces.input;
  try {
    pieces.parabolas = numerics::Parabolas::of(input.scale, input.zero, f);
    auto piecewise = IntegerPiecewise::of(pieces.parabolas, step, 0);
    pieces.error = errorOn(stats, f, [&](double v) {
      int64_t q = std::clamp<int64_t>(std::llrint(v / input.scale) + input.zero, 0, (1 << input.bits) - 1);
      return step * double(piecewise.apply(q, IntegerRange::of(16)));
    });
  } catch (const numerics::Error &) { // not finite everywhere, or too steep
  }
  return pieces;
}

bool IntegerConverter::convertFactor(Value x, Value result, function_ref<std::optional<double>(double)> f) {
  std::optional<double> factor = f(1);
  if (!factor || !(*factor > 0) || !std::isfinite(*factor) || !isKnown(x))
    return false;
  double largest = statsOf(x) ? std::max(statsOf(x)->maxAbs(), 1.0f) : 1e3;
  for (int i = -64; i <= 64; ++i) {
    double at = largest * i / 64;
    if (std::optional<double> y = f(at); !y || std::fabs(*y - *factor * at) > 1e-6 * *factor * largest)
      return false;
  }
  // The same integers in another scale.
  double by = *factor;
  Known &entry = known[result];
  auto source = known.find(x);
  entry.perChannel = source == known.end() || source->second.perChannel;
  entry.direct = [=](const Form &form) {
    Form before = form;
    before.scale /= by;
    return get(x, before);
  };
  entry.raw = [=] {
    Raw raw = rawOf(x);
    for (double &scale : raw.scales)
      scale *= by;
    return raw;
  };
  return true;
}

bool IntegerConverter::convertActivation(Value x, Value result, Activation kind, function_ref<std::optional<double>(double)> f) {
  if (kind == Activation::Other && convertFactor(x, result, f))
    return true;
  const TensorStats *stats = statsOf(x), *results = statsOf(result);
  if (!stats || !results || !isKnown(x))
    return refuse("calibration has not seen its input or its result");
  // A table: the input in 8 bits, each result rounded once.
  Form coarse = unsignedForm(*stats);
  std::vector<double> table(256);
  for (int i = 0; i < 256; ++i) {
    std::optional<double> y = f(double(i - coarse.zero) * coarse.scale);
    if (!y || !std::isfinite(*y))
      return refuse("its function is not known at every point of its input's range");
    table[i] = *y;
  }
  auto exact = [&](double v) { return f(v).value_or(0); };
  double tableError = errorOn(*stats, exact, [&](double v) {
    return table[std::clamp<int64_t>(std::llrint(v / coarse.scale) + coarse.zero, 0, 255)];
  });

  // A polynomial of the input in 16 bits, in units of 2^-10.
  const Form fine{16, false, 0x1p-10};
  const IntegerRange range16 = IntegerRange::of(16);
  double step = std::max<double>(results->maxAbs(), calibration::kMinRange) / 32767;
  double polynomialError = INFINITY;
  auto atFine = [](double v) { return std::clamp<int64_t>(std::llrint(v * 1024), -32768, 32767); };
  if (kind == Activation::Gelu) {
    auto gelu = IntegerGelu::of(fine.scale, step, range16);
    polynomialError = errorOn(*stats, exact, [&](double v) { return step * double(gelu.apply(atFine(v), range16)); });
  } else if (kind != Activation::Other) {
    auto which = kind == Activation::Tanh ? IntegerSigmoid::Kind::Tanh : kind == Activation::Silu ? IntegerSigmoid::Kind::Silu : IntegerSigmoid::Kind::Sigmoid;
    auto sigmoid = IntegerSigmoid::of(which, fine.scale, step, range16);
    polynomialError = errorOn(*stats, exact, [&](double v) { return step * double(sigmoid.apply(atFine(v), range16)); });
  }

  // A parabola for each segment of what was seen of the input.
  Pieces pieces = piecesOf(*stats, results->maxAbs(), step, [&](double v) { return f(v).value_or(NAN); });
  bool byTable = tableError <= std::min(polynomialError, pieces.error), byPieces = !byTable && pieces.error <= polynomialError;
  Value q = get(x, byTable ? coarse : byPieces ? pieces.input : fine);
  if (!q)
    return refuse("its input has no integer form");
  Location loc = b.getLoc();
  auto make = [=](const Form &form) -> Value {
    IntegerRange range = IntegerRange::of(form.bits, form.isUnsigned);
    bool limited = form.bits != int(form.storage(b.getContext()).getIntOrFloatBitWidth());
    std::optional<IntegerPiecewise> p;
    try {
      if (byPieces)
        p = IntegerPiecewise::of(pieces.parabolas, form.scale, form.zero);
    } catch (const numerics::Error &) { // the result's range is a tiny part of what the function gives; of 16 bits it is not
    }
    if (!byTable && ((form.zero && !byPieces) || (byPieces && !p) || !form.factors.empty() || limited || form.bits > 16)) {
      // Polynomials have neither zero points nor factors, and pieces no factors: those come behind 16 bits.
      Form wide{16, false, step};
      return requantize({get(result, wide), {wide.scale}, 16}, form);
    }
    ImplicitLocOpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfterValue(q);
    Location before = b.getLoc();
    b.setLoc(loc);
    Value init = emptyLike(q, form.storage(b.getContext())), y;
    Type initType = init.getType();
    TypeRange type(initType);
    IntegerAttr bits = b.getI64IntegerAttr(form.bits), inBits = b.getI64IntegerAttr(16);
    if (byTable) {
      SmallVector<int32_t> entries;
      for (double value : table)
        entries.push_back(range.clamp(std::llrint(value / form.scale) + form.zero));
      auto attribute = DenseIntElementsAttr::get(RankedTensorType::get(256, b.getI32Type()), entries);
      y = LookupOp::create(b, type, q, init, attribute).getResult()[0];
    } else if (byPieces) {
      y = IntPiecewiseOp::create(b, type, q, init, p->bases, p->slopes, p->curves, p->shift, form.isUnsigned, bits).getResult()[0];
    } else if (kind == Activation::Gelu) {
      auto g = IntegerGelu::of(fine.scale, form.scale, range);
      auto out = g.out.encodable();
      y = IntGeluOp::create(b, type, q, init, ArrayRef<int64_t>(g.b), ArrayRef<int64_t>(g.hi), ArrayRef<int64_t>(g.c), ArrayRef<int32_t>(g.shift),
                            ArrayRef<int32_t>(int32_t(out.m)), ArrayRef<int32_t>(out.e), /*axis=*/-1, kRounding, false, inBits, form.isUnsigned, bits)
              .getResult()[0];
    } else {
      auto which = kind == Activation::Tanh ? IntegerSigmoid::Kind::Tanh : kind == Activation::Silu ? IntegerSigmoid::Kind::Silu : IntegerSigmoid::Kind::Sigmoid;
      auto s = IntegerSigmoid::of(which, fine.scale, form.scale, range);
      auto out = s.out.encodable();
      if (kind == Activation::Silu)
        y = IntSiluOp::create(b, type, q, init, s.lo, s.hi, s.exp.u, s.exp.ln2, s.exp.b, s.exp.c, out.m, out.e, kRounding, false, inBits, form.isUnsigned, bits).getResult()[0];
      else if (kind == Activation::Tanh)
        y = IntTanhOp::create(b, type, q, init, s.exp.u, s.exp.ln2, s.exp.b, s.exp.c, out.m, out.e, kRounding, false, inBits, form.isUnsigned, bits).getResult()[0];
      else
        y = IntSigmoidOp::create(b, type, q, init, s.exp.u, s.exp.ln2, s.exp.b, s.exp.c, out.m, out.e, kRounding, false, inBits, form.isUnsigned, bits).getResult()[0];
    }
    b.setLoc(before);
    return y;
  };
  // A table is one for all channels.
  define(result, make, /*perChannel=*/!byTable);
  return true;
}

//===----------------------------------------------------------------------===//
// Loops over elements
//===----------------------------------------------------------------------===//

bool IntegerConverter::convertGeneric(linalg::GenericOp op) {
  if (op->getNumResults() == 1 && op.getNumReductionLoops())
    return convertReduction(op);
  if (op->getNumResults() != 1 || op.hasIndexSemantics())
    return refuse("its loop has several results or computes from indices");
  if (convertMask(op))
    return true;
  if (convertMasked(op) || convertCount(op))
    return true;
  why = "no integer form of its arithmetic is known";
  if (isa_and_nonnull<arith::DivFOp>(singleBodyOp(op)) && op.getNumDpsInputs() == 2)
    return convertQuotient(op);
  Value result = op->getResult(0);
  SmallVector<Value> inputs(op.getDpsInputs());
  if (inputs.size() == 1 && isa<FloatType>(getElementTypeOrSelf(inputs[0].getType())) &&
      op.getMatchingIndexingMap(op.getDpsInputOperand(0)).isIdentity()) {
    Op *single = singleBodyOp(op);
    Activation kind = isa_and_nonnull<math::TanhOp>(single) ? Activation::Tanh : Activation::Other;
    auto f = [&](double x) { return evaluateBody(op, x); };
    std::optional<double> half = f(0.5), minus = f(-1.5);
    // 1 / (1 + exp(-x)), however it is written.
    auto isSigmoid = [](std::optional<double> y, double x) { return y && std::fabs(*y - 1 / (1 + std::exp(-x))) < 1e-6; };
    if (isSigmoid(half, 0.5) && isSigmoid(minus, -1.5))
      kind = Activation::Sigmoid;
    return convertActivation(inputs[0], result, kind, f);
  }
  return convertSum(op);
}

bool IntegerConverter::convertSum(linalg::GenericOp op) {
  Op *single = singleBodyOp(op);
  Value result = op->getResult(0);
  if (!isa_and_nonnull<arith::AddFOp, arith::SubFOp>(single) || op.getNumDpsInputs() != 2)
    return refuse("no integer form of its arithmetic is known");
  std::optional<unsigned> left = inputRead(op, single->getOperand(0)), right = inputRead(op, single->getOperand(1));
  const TensorStats *stats = statsOf(result);
  if (!left || !right || !stats)
    return refuse(stats ? "one of its operands is a constant of the loop" : "calibration has not seen its result");
  int64_t rank = op.getNumLoops();
  SmallVector<Raw> raw;
  for (unsigned input : {*left, *right}) {
    Value v = op.getDpsInputs()[input];
    if (!isKnown(v))
      return refuse("an operand is in float, and calibration has not seen it");
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInputOperand(input));
    auto type = cast<RankedTensorType>(v.getType());
    bool isAligned = true, isOrdered = true;
    int64_t before = -1;
    SmallVector<int64_t> shape(rank, 1); // of a constant, with the dims that it lacks
    for (int64_t d = 0; d < type.getRank(); ++d) {
      auto dim = dyn_cast<AffineDimExpr>(map.getResult(d));
      isAligned &= dim ? dim.getPosition() == rank - type.getRank() + d : type.getDimSize(d) == 1;
      isOrdered &= dim && int64_t(dim.getPosition()) > before;
      before = dim ? dim.getPosition() : before;
      if (dim)
        shape[dim.getPosition()] = type.getDimSize(d);
    }
    DenseElementsAttr elements;
    bool isConstant = matchPattern(v, m_Constant()) && !known.contains(v);
    if (!isAligned && !(isConstant && isOrdered))
      return refuse("it permutes an operand");
    raw.push_back(rawOf(v));
    if (!raw.back().value)
      return refuse("an operand has no integer form");
    if (!isAligned && matchPattern(raw.back().value, m_Constant(&elements))) {
      ImplicitLocOpBuilder::InsertionGuard guard(b);
      b.setInsertionPointAfterValue(raw.back().value);
      raw.back().value = arith::ConstantOp::create(b, elements.reshape(elements.getType().clone(shape)));
    }
  }
  double sign = isa<arith::SubFOp>(single) ? -1 : 1;
  Location loc = op.getLoc();
  Raw x = raw[0], y = raw[1];
  Value outs = op.getDpsInits()[0];
  auto sum = [=](const Form &form) -> Value {
    size_t channels = std::max({x.scales.size(), y.scales.size(), form.factors.size()});
    std::vector<double> ratios;
    for (const Raw &each : {x, y})
      for (size_t c = 0; c < channels; ++c)
        ratios.push_back(each.scales[each.scales.size() == 1 ? 0 : c] / form.step(c) * (ratios.size() < channels ? 1 : sign));
    // 32-bit arithmetic, if that keeps 13 bits of the factors; the sum has one bit more than its terms.
    int widest = std::max(x.bits, y.bits), narrow = 29 - (widest - 1);
    std::optional<Factors> factors = factorsOf(ratios, narrow >= 14 ? narrow : std::min(31, 60 - widest));
    if (!factors)
      return Value();
    SmallVector<int64_t> a(factors->m.begin(), factors->m.begin() + channels), c(factors->m.begin() + channels, factors->m.end());
    SmallVector<int32_t> e(channels, factors->exponent);
    ImplicitLocOpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(op);
    Location before = b.getLoc();
    b.setLoc(loc);
    Value init = emptyLike(outs, form.storage(b.getContext()));
    Value result = RequantizedAddOp::create(b, TypeRange(init.getType()), x.value, y.value, init, a, c, e, /*axis=*/-1, kRounding, x.isUnsigned,
                                            b.getI64IntegerAttr(x.bits), x.zero, y.isUnsigned, b.getI64IntegerAttr(y.bits), y.zero,
                                            form.isUnsigned, b.getI64IntegerAttr(form.bits), form.zero)
                       .getResult()[0];
    b.setLoc(before);
    return result;
  };
  define(result, sum);
  return true;
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// A mask as an input has it, possibly moved: integers 0 and 1.
static bool isMaskInput(Value v) {
  v = throughReshapes(v);
  return isa<BlockArgument>(v) && isa<IntegerType>(getElementTypeOrSelf(v.getType()));
}

bool IntegerConverter::convertMask(linalg::GenericOp op) {
  // What each input is, bit by bit.
  SmallVector<TwoValued> bits;
  SmallVector<unsigned> inputs;
  for (auto [i, v] : llvm::enumerate(op.getDpsInputs())) {
    auto found = masks.find(v);
    bool isBit = getElementTypeOrSelf(v.getType()).isInteger(1);
    if (found == masks.end() && !isBit && !isMaskInput(v))
      return false;
    bits.push_back(found != masks.end() ? found->second : TwoValued{v, 0, 1});
  }
  if (bits.empty() || bits.size() > 4)
    return false;
  // The result for every combination; all that masks are one value.
  double low = 0, other = 0;
  SmallVector<double> values;
  for (unsigned combination = 0; combination < 1u << bits.size(); ++combination) {
    SmallVector<double> arguments;
    for (auto [i, bit] : llvm::enumerate(bits))
      arguments.push_back(combination >> i & 1 ? bit.atTrue : bit.atFalse);
    std::optional<double> value = evaluateBody(op, arguments);
    if (!value || std::isnan(*value))
      return false;
    values.push_back(*value);
  }
  low = *std::min_element(values.begin(), values.end());
  for (double value : values)
    if (value != low && (low > kMasked || value > kMasked))
      other = value;
  for (double value : values)
    if (value != low && value != other && !(low <= kMasked && value <= kMasked))
      return false;
  SmallVector<Input> read;
  for (auto [i, bit] : llvm::enumerate(bits))
    read.push_back({bit.bits, op.getMatchingIndexingMap(op.getDpsInputOperand(i))});
  Value y = pointwise(b, read, emptyLike(op.getDpsInits()[0], b.getI1Type()), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    SmallVector<Value> set, result;
    Value yes = arith::ConstantOp::create(ib, ib.getBoolAttr(true));
    for (size_t i = 0; i < args.size(); ++i) {
      Value arg = args[i];
      if (arg.getType().isInteger(1)) {
        set.push_back(arg);
        continue;
      }
      // Whether it is a mask is seen when it runs.
      auto number = [&](int64_t n) -> Value { return arith::ConstantOp::create(ib, ib.getIntegerAttr(arg.getType(), n)); };
      auto argument = cast<BlockArgument>(throughReshapes(op.getDpsInputs()[i]));
      auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "sq.name");
      Value isBit = arith::CmpIOp::create(ib, arith::CmpIPredicate::ult, arg, number(2));
      cf::AssertOp::create(ib, isBit, ("input '" + (name ? name.getValue() : "") + "' is a mask, which --quant=int-only takes to hold 0 and 1 only").str());
      set.push_back(arith::CmpIOp::create(ib, arith::CmpIPredicate::ne, arg, number(0)));
    }
    Value any;
    for (unsigned combination = 0; combination < values.size(); ++combination) {
      bool isLow = values[combination] == low || (low <= kMasked && values[combination] <= kMasked);
      if (isLow)
        continue;
      Value all;
      for (auto [i, bit] : llvm::enumerate(set)) {
        Value term = combination >> i & 1 ? bit : Value(arith::XOrIOp::create(ib, bit, yes));
        all = all ? Value(arith::AndIOp::create(ib, all, term)) : term;
      }
      any = any ? Value(arith::OrIOp::create(ib, any, all)) : all;
    }
    return any ? any : Value(arith::ConstantOp::create(ib, ib.getBoolAttr(false)));
  });
  masks[op->getResult(0)] = {y, low, other};
  return true;
}
