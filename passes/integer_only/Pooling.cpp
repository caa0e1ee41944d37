//===-- Pooling.cpp - means over what a mask keeps, vectors of length 1 -------===//
//
// Sentence embeddings: elements times a mask, their sum divided by the mask's, then
// divided by its own length. A mask chooses; its sum is a count, an integer from the
// start; the last step is an RMS norm with factors of 1 / sqrt(C).
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

#include "passes/Pointwise.h"
#include "passes/analysis/Elementwise.h"
#include "passes/integer_only/Converter.h"
#include "passes/integer_only/Evaluate.h"

using namespace mlir;
using namespace sq;

//===----------------------------------------------------------------------===//
// Products with masks, sums, counts
//===----------------------------------------------------------------------===//

bool IntegerConverter::convertMasked(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 2 || !isa_and_nonnull<arith::MulFOp>(singleBodyOp(op)))
    return false;
  unsigned maskAt = masks.contains(op.getDpsInputs()[0]) ? 0 : 1;
  Value x = op.getDpsInputs()[1 - maskAt], result = op->getResult(0);
  auto found = masks.find(op.getDpsInputs()[maskAt]);
  auto mapOf = [&](unsigned i) { return op.getMatchingIndexingMap(op.getDpsInputOperand(i)); };
  if (found == masks.end() || !isKnown(x) || !mapOf(1 - maskAt).isIdentity())
    return false;
  TwoValued mask = found->second;
  bool isChoice = (mask.atFalse == 0 && mask.atTrue == 1) || (mask.atFalse == 1 && mask.atTrue == 0);
  if (!isChoice)
    return false;
  AffineMap maskMap = mapOf(maskAt);
  Location loc = op.getLoc();
  auto choose = [=](Value integers, int64_t zero) -> Value {
    ImplicitLocOpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(op);
    Location before = b.getLoc();
    b.setLoc(loc);
    Type element = getElementTypeOrSelf(integers.getType());
    Value chosen = pointwise(b, {like(b, integers), {mask.bits, maskMap}}, emptyLike(integers, element), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Value none = arith::ConstantOp::create(ib, ib.getIntegerAttr(element, zero));
      return mask.atTrue == 1 ? Value(arith::SelectOp::create(ib, args[1], args[0], none)) : Value(arith::SelectOp::create(ib, args[1], none, args[0]));
    });
    b.setLoc(before);
    return chosen;
  };
  auto source = known.find(x);
  bool perChannel = source == known.end() || source->second.perChannel;
  Known &entry = known[result];
  entry.perChannel = perChannel;
  entry.direct = [=](const Form &form) {
    Value integers = get(x, form);
    return integers ? choose(integers, form.zero) : Value();
  };
  entry.raw = [=] {
    Raw raw = rawOf(x);
    if (raw.value)
      raw.value = choose(raw.value, raw.zero);
    return raw;
  };
  return true;
}

/// Whether `op` adds up what it reads, from 0.
static bool isSum(linalg::GenericOp op) {
  auto add = op.getBody()->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!add || op.getBody()->getOperations().size() != 2 || op.getNumDpsInputs() != 1 || op.getNumReductionLoops() == 0 || !op.getMatchingIndexingMap(op.getDpsInputOperand(0)).isIdentity())
    return false;
  Value in = op.getRegionInputArgs()[0], out = op.getRegionOutputArgs()[0];
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  return ((add.getLhs() == in && add.getRhs() == out) || (add.getLhs() == out && add.getRhs() == in)) && fill &&
         matchPattern(fill.getInputs()[0], m_AnyZeroFloat());
}

/// As `op` does on floats, in i32.
static Value sumOf(ImplicitLocOpBuilder &b, linalg::GenericOp op, Value integers, function_ref<Value(ImplicitLocOpBuilder &, Value)> term) {
  Type i32 = b.getI32Type();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), op.getDpsInits()[0]);
  Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  Value init = linalg::FillOp::create(b, zero, ValueRange(tensor::EmptyOp::create(b, sizes, i32).getResult())).getResult(0);
  return linalg::GenericOp::create(b, TypeRange(init.getType()), ValueRange(integers), ValueRange(init), op.getIndexingMapsArray(),
                                   op.getIteratorTypesArray(),
                                   [&](OpBuilder &o, Location l, ValueRange args) {
                                     ImplicitLocOpBuilder ib(l, o);
                                     Value wide = term(ib, args[0]);
                                     linalg::YieldOp::create(ib, arith::AddIOp::create(ib, args[1], wide).getResult());
                                   })
      .getResult(0);
}

bool IntegerConverter::convertReduction(linalg::GenericOp op) {
  if (!isSum(op)) {
    why = "no integer form of its reduction is known";
    return convertContraction(op);
  }
  Value x = op.getDpsInputs()[0], result = op->getResult(0);
  Type i32 = b.getI32Type();
  if (auto found = masks.find(x); found != masks.end()) {
    TwoValued mask = found->second;
    if (!(mask.atFalse == 0 && mask.atTrue == 1) && !(mask.atFalse == 1 && mask.atTrue == 0))
      return refuse("it adds up a mask that is not of 0 and 1");
    counts[result] = sumOf(b, op, mask.bits, [&](ImplicitLocOpBuilder &ib, Value bit) -> Value {
      if (mask.atFalse == 1)
        bit = arith::XOrIOp::create(ib, bit, arith::ConstantOp::create(ib, ib.getBoolAttr(true)));
      return arith::ExtUIOp::create(ib, i32, bit);
    });
    return true;
  }
  if (!isKnown(x))
    return refuse("what it adds up is in float, and calibration has not seen it");
  // Up to 2^16 elements of 16 bits fit 32.
  Raw raw = rawOf(x);
  if (raw.bits > 16 || raw.scales.size() > 1) {
    double largest = *std::max_element(raw.scales.begin(), raw.scales.end());
    Form narrow{16, false, std::ldexp(largest, std::max(0, raw.bits - 16))};
    raw = {requantize(raw, narrow), {narrow.scale}, 16};
  }
  if (!raw.value)
    return refuse("what it adds up has no form of 16 bits");
  b.setInsertionPoint(op);
  Value sum = sumOf(b, op, raw.value, [&](ImplicitLocOpBuilder &ib, Value q) -> Value {
    Value wide = raw.isUnsigned ? Value(arith::ExtUIOp::create(ib, i32, q)) : Value(arith::ExtSIOp::create(ib, i32, q));
    return raw.zero ? Value(arith::SubIOp::create(ib, wide, arith::ConstantOp::create(ib, ib.getI32IntegerAttr(raw.zero)))) : wide;
  });
  defineRaw(result, {sum, raw.scales, 32});
  return true;
}

bool IntegerConverter::convertCount(linalg::GenericOp op) {
  // max(count, something up to 1), as divisors have it: of a count of 0 the sum is 0 as well.
  auto found = counts.find(op.getDpsInputs()[0]);
  if (op.getNumDpsInputs() != 1 || found == counts.end())
    return false;
  for (double n : {1.0, 2.0, 3.0, 17.0, 65536.0})
    if (std::optional<double> y = evaluateBody(op, n); !y || *y != n)
      return false;
  std::optional<double> ofNone = evaluateBody(op, 0.0);
  if (!ofNone || *ofNone < 0 || *ofNone > 1)
    return false;
  Value n = found->second;
  Value y = pointwise(b, {{n, op.getMatchingIndexingMap(op.getDpsInputOperand(0))}}, emptyLike(op.getDpsInits()[0], b.getI32Type()),
                      [](ImplicitLocOpBuilder &, ValueRange args) { return args[0]; });
  counts[op->getResult(0)] = y;
  return true;
}

//===----------------------------------------------------------------------===//
// Quotients
//===----------------------------------------------------------------------===//

/// What `v` is, before changes of shape and repetitions.
static Value beforeBroadcast(Value v) {
  while (Operation *op = v.getDefiningOp()) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    bool repeats = generic && generic.getNumDpsInputs() == 1 && generic.getNumReductionLoops() == 0 &&
                   generic.getBody()->getOperations().size() == 1 &&
                   generic.getBody()->getTerminator()->getOperand(0) == generic.getBody()->getArgument(0);
    if (!repeats && !isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op))
      break;
    v = op->getOperand(0);
  }
  return v;
}

/// Behind functions of one value for which `accepts` holds.
static Value beforeFunctions(Value v, function_ref<bool(linalg::GenericOp)> accepts) {
  v = beforeBroadcast(v);
  auto generic = v.getDefiningOp<linalg::GenericOp>();
  bool isFunction = generic && generic.getNumDpsInputs() == 1 && generic.getNumReductionLoops() == 0 && !generic.hasIndexSemantics();
  return isFunction && accepts(generic) ? beforeBroadcast(generic.getDpsInputs()[0]) : Value();
}

/// x for the length of each row of x: sqrt(sum x^2), or that and no less than something small; null for others.
static Value rowOfLength(Value length) {
  auto isLimit = [](linalg::GenericOp op) {
    for (double x : {1e-3, 0.5, 1.0, 300.0})
      if (std::optional<double> y = evaluateBody(op, x); !y || *y != x)
        return false;
    std::optional<double> ofZero = evaluateBody(op, 0.0);
    return ofZero && *ofZero >= 0;
  };
  auto isRoot = [](linalg::GenericOp op) {
    for (double x : {0.25, 2.0, 300.0})
      if (std::optional<double> y = evaluateBody(op, x); !y || std::fabs(*y - std::sqrt(x)) > 1e-6 * x)
        return false;
    return true;
  };
  auto isSquare = [](linalg::GenericOp op) {
    for (double x : {-3.0, 0.25, 2.0})
      if (std::optional<double> y = evaluateBody(op, x); !y || std::fabs(*y - x * x) > 1e-6 * x * x)
        return false;
    return true;
  };
  Value inner = beforeFunctions(length, isLimit);
  Value squares = beforeFunctions(inner ? inner : length, isRoot);
  auto sum = squares ? squares.getDefiningOp<linalg::GenericOp>() : linalg::GenericOp();
  if (!sum || sum.getNumDpsInputs() != 1 || sum.getNumReductionLoops() != 1)
    return Value();
  SmallVector<unsigned> reduced;
  sum.getReductionDims(reduced);
  if (reduced[0] != sum.getNumLoops() - 1)
    return Value();
  if (isSum(sum))
    return beforeFunctions(sum.getDpsInputs()[0], isSquare);
  // The square in the same loop.
  Value in = sum.getRegionInputArgs()[0], out = sum.getRegionOutputArgs()[0];
  auto add = sum.getBody()->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  auto square = add ? (add.getLhs() == out ? add.getRhs() : add.getLhs()).getDefiningOp<arith::MulFOp>() : arith::MulFOp();
  bool isSumOfSquares = square && square.getLhs() == in && square.getRhs() == in && (add.getLhs() == out || add.getRhs() == out) &&
                        sum.getBody()->getOperations().size() == 3;
  return isSumOfSquares ? sum.getDpsInputs()[0] : Value();
}

bool IntegerConverter::convertQuotient(linalg::GenericOp op) {
  auto divide = dyn_cast_or_null<arith::DivFOp>(singleBodyOp(op));
  if (!divide || op.getNumDpsInputs() != 2)
    return false;
  std::optional<unsigned> left = inputRead(op, divide.getLhs()), right = inputRead(op, divide.getRhs());
  if (!left || !right || *left == *right || !op.getMatchingIndexingMap(op.getDpsInputOperand(*left)).isIdentity())
    return false;
  Value x = op.getDpsInputs()[*left], by = op.getDpsInputs()[*right], result = op->getResult(0);
  if (!isKnown(x))
    return refuse("what it divides is in float, and calibration has not seen it");

  if (Value count = counts.lookup(by)) {
    // Means have more bits than what they are of.
    constexpr int kFraction = 8;
    Raw raw = rawOf(x);
    if (!raw.value || raw.isUnsigned || raw.zero)
      return refuse("what it divides is no sum");
    b.setInsertionPoint(op);
    Type i32 = b.getI32Type(), i64 = b.getI64Type();
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInputOperand(*right));
    Value mean = pointwise(b, {like(b, raw.value), {count, map}}, emptyLike(raw.value, i32), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      auto number = [&](int64_t n) -> Value { return arith::ConstantOp::create(ib, ib.getI64IntegerAttr(n)); };
      Value sum = arith::ShLIOp::create(ib, arith::ExtSIOp::create(ib, i64, args[0]), number(kFraction));
      Value n = arith::MaxSIOp::create(ib, arith::ExtSIOp::create(ib, i64, args[1]), number(1));
      // Rounded, a half away from 0.
      Value half = arith::ShRSIOp::create(ib, n, number(1));
      Value isNegative = arith::CmpIOp::create(ib, arith::CmpIPredicate::slt, sum, number(0));
      half = arith::SelectOp::create(ib, isNegative, arith::SubIOp::create(ib, number(0), half), half);
      Value q = arith::DivSIOp::create(ib, arith::AddIOp::create(ib, sum, half), n);
      return arith::TruncIOp::create(ib, i32, q).getResult();
    });
    std::vector<double> scales = raw.scales;
    for (double &scale : scales)
      scale = std::ldexp(scale, -kFraction);
    // The mean of integers of 16 bits.
    defineRaw(result, {mean, scales, 16 + kFraction});
    return true;
  }

  Value row = rowOfLength(by);
  auto type = cast<RankedTensorType>(x.getType());
  if (!row || row != beforeBroadcast(x) || type.isDynamicDim(type.getRank() - 1))
    return refuse("it divides by something else than a count or the length of its rows");
  Raw raw = rawOf(x);
  Form form{std::min(raw.bits, 24), false, *std::max_element(raw.scales.begin(), raw.scales.end()) * std::ldexp(1.0, std::max(0, raw.bits - 24))};
  Value integers = raw.scales.size() == 1 && raw.bits <= 24 && !raw.isUnsigned && !raw.zero ? raw.value : requantize(raw, form);
  if (!integers)
    return refuse("its rows have no integer form");
  std::vector<double> gamma(type.getShape().back(), 1 / std::sqrt(double(type.getShape().back())));
  defineNorm(result, integers, form, /*centred=*/false, /*epsilon=*/0, gamma, {}, op.getLoc(), Form{16, false, 1.0 / 32767});
  return true;
}
