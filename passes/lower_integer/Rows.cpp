//===-- Rows.cpp - integer softmax and norms ----------------------------------===//
//
// Reductions of rows, what each row divides by, then a loop over elements. What
// needs a division or a root is one element a row, in a tensor of its own, so
// that elements only multiply and shift.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

#include "passes/lower_integer/Lowering.h"
#include "passes/lower_integer/NormRow.h"

using namespace mlir;
using namespace sq;
using numerics::Interval;

namespace {

/// Tensors with one element for each row of another, and loops over them.
struct Rows {
  ImplicitLocOpBuilder &b;
  std::string &problem;
  int64_t rank;                      // of the rows' tensor
  SmallVector<OpFoldResult> sizes;   // of all dims but the last
  AffineMap map;                     // from the loops over elements

  Rows(ImplicitLocOpBuilder &b, std::string &problem, Value rows)
      : b(b), problem(problem), rank(cast<RankedTensorType>(rows.getType()).getRank()),
        sizes(tensor::getMixedSizes(b, b.getLoc(), rows)), map(b.getMultiDimIdentityMap(rank).dropResult(rank - 1)) {
    sizes.pop_back();
  }

  Value empty(Type type) { return tensor::EmptyOp::create(b, sizes, type); }
  Value filled(TypedAttr value) {
    Value scalar = arith::ConstantOp::create(b, value);
    return linalg::FillOp::create(b, scalar, empty(value.getType())).getResult(0);
  }
  /// A tensor like this one of elements, as an input of loops over elements.
  Input perRow(Value v) { return {v, map}; }

  /// One i64 a row.
  Value compute(ArrayRef<Value> rows, function_ref<Ranged(Arithmetic &, ValueRange)> body) {
    SmallVector<Input> inputs;
    for (Value v : rows)
      inputs.push_back(like(b, v));
    return pointwise(b, inputs, empty(b.getI64Type()), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Arithmetic a(ib, problem);
      return a.as(body(a, args), ib.getI64Type());
    });
  }

  /// The sum of each row, which is known to be within 64 bits, in i64, from `start`.
  Value sum(ArrayRef<Input> inputs, int64_t start, function_ref<Ranged(Arithmetic &, ValueRange)> term) {
    return reduceRows(b, inputs, filled(b.getI64IntegerAttr(start)), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Arithmetic a(ib, problem);
      Value wide = a.as(term(a, args), ib.getI64Type());
      return arith::AddIOp::create(ib, args.back(), wide).getResult();
    });
  }
};

Interval upTo(__int128 hi) { return {0, hi}; }

} // namespace

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntSoftmaxOp op) {
  std::string problem;
  Rows rows(b, problem, op.getX());
  numerics::IntegerExp exp = exponentialOf(op);
  numerics::IntegerRange range = rangeOf(op.getX(), op.getXBits(), op.getXUnsigned());
  auto score = [&](Arithmetic &a, Value v) { return a.input(v, range, op.getXUnsigned()); };

  // x, then what is kept of it, then whether nothing is.
  SmallVector<Input> inputs = {like(b, op.getX())};
  bool uniform = op.getKeep() && op.getFullyMaskedUniform();
  if (Value keep = op.getKeep()) {
    SmallVector<AffineExpr> at;
    auto keepType = cast<RankedTensorType>(keep.getType());
    for (int64_t d = 0; d < rows.rank; ++d)
      at.push_back(keepType.getDimSize(d) == 1 ? b.getAffineConstantExpr(0) : b.getAffineDimExpr(d));
    inputs.push_back({keep, AffineMap::get(rows.rank, 0, at, b.getContext())});
    if (uniform) {
      Value any = reduceRows(b, inputs, rows.filled(b.getBoolAttr(false)), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
        return arith::OrIOp::create(ib, args[1], args[2]).getResult();
      });
      inputs.push_back(rows.perRow(any));
    }
  }
  // `otherwise` where the element is not kept.
  auto kept = [&](ImplicitLocOpBuilder &ib, Arithmetic &a, ValueRange args, Ranged x, int64_t otherwise) {
    if (!op.getKeep())
      return x;
    Value keep = args[1];
    if (uniform) {
      Value none = arith::XOrIOp::create(ib, args[2], arith::ConstantOp::create(ib, ib.getBoolAttr(true)));
      keep = arith::OrIOp::create(ib, keep, none);
    }
    return a.select(keep, x, a.constant(otherwise));
  };

  bool wide = !Interval{range.lo, range.hi}.fits(32);
  Type scoreType = b.getIntegerType(wide ? 64 : 32);
  Value largest = reduceRows(b, inputs, rows.filled(b.getIntegerAttr(scoreType, range.lo)),
                             [&](ImplicitLocOpBuilder &ib, ValueRange args) {
                               Arithmetic a(ib, problem);
                               Value x = a.as(kept(ib, a, args, score(a, args[0]), range.lo), scoreType);
                               return arith::MaxSIOp::create(ib, args.back(), x).getResult();
                             });

  // Of a row of which nothing is kept, the largest is below its elements.
  unsigned largestAt = inputs.size();
  inputs.push_back(rows.perRow(largest));
  auto exponential = [&](ImplicitLocOpBuilder &ib, Arithmetic &a, ValueRange args) {
    Ranged most = a.input(args[largestAt], range, /*isUnsigned=*/false);
    Ranged d = a.maximum(a.sub(most, score(a, args[0])), a.constant(0));
    return kept(ib, a, args, a.exponential(exp, d), 0);
  };
  Type byte = b.getI8Type();
  if (op.getDeferred()) {
    Value y = pointwise(b, inputs, op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Arithmetic a(ib, problem);
      Ranged scaled = a.add(a.mul(exponential(ib, a, args), a.constant(255)), a.constant(exp.one / 2));
      // (255 E + one / 2) / one: vectors have no division of 64 bits. With 29 of its 37 bits and 30
      // of the reciprocal the quotient is exact or, by less than 2^-17, the one below.
      Ranged one = a.constant(exp.one), reciprocal = a.constant((INT64_C(1) << 56) / exp.one);
      Ranged estimate = a.shiftRight(a.mul(a.shiftRight(scaled, a.constant(8)), reciprocal), a.constant(48));
      Ranged rest = a.sub(a.sub(scaled, a.mul(estimate, one)), one);
      return a.as(a.selectNegative(rest, estimate, a.add(estimate, a.constant(1))), byte);
    });
    return {y, problem};
  }

  Value all = tensor::EmptyOp::create(b, tensor::getMixedSizes(b, b.getLoc(), op.getX()), b.getI32Type());
  Value e = pointwise(b, inputs, all, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Arithmetic a(ib, problem);
    return a.as(exponential(ib, a, args), ib.getI32Type());
  });
  // At most 2^26 of less than 2^29 each.
  Interval ofE = upTo(exp.one), ofSum = upTo((__int128(1) << 55) - 1);
  Value total = rows.sum(like(b, e), 0, [&](Arithmetic &a, ValueRange args) { return a.input(args[0], ofE, false); });
  // floor(2^(t + 23) / T) in steps of 8 bits, which keeps the remainders of long rows within 64 bits.
  auto bits = [&](Arithmetic &a, Ranged sum) { return a.bitLength(sum); };
  auto atLeastOne = [&](Arithmetic &a, Value v) { return a.maximum(a.input(v, ofSum, false), a.constant(1)); };
  Value reciprocal = rows.compute(total, [&](Arithmetic &a, ValueRange args) {
    Ranged sum = atLeastOne(a, args[0]), one = a.constant(1), eight = a.constant(8);
    Ranged rest = a.shiftLeft(one, a.sub(bits(a, sum), one)); // at most the sum
    Ranged quotient = a.assume(a.divide(rest, sum), upTo(1));
    Interval ofRest = {0, sum.range().hi - 1};
    rest = a.assume(a.sub(rest, a.mul(quotient, sum)), ofRest);
    for (int step = 0, known = 1; step < 3; ++step, known += 8) {
      Ranged next = a.shiftLeft(rest, eight);
      Ranged digit = a.assume(a.divide(next, sum), upTo(255));
      rest = a.assume(a.sub(next, a.mul(digit, sum)), ofRest);
      quotient = a.assume(a.add(a.shiftLeft(quotient, eight), digit), upTo(INT64_C(1) << 24));
    }
    return quotient;
  });
  // Past 2^47 every element is far below a half.
  Value shift = rows.compute(total, [&](Arithmetic &a, ValueRange args) {
    return a.minimum(a.add(bits(a, atLeastOne(a, args[0])), a.constant(15)), a.constant(62));
  });
  Value y = pointwise(b, {like(b, e), rows.perRow(reciprocal), rows.perRow(shift)}, op.getOuts(),
                      [&](ImplicitLocOpBuilder &ib, ValueRange args) {
                        Arithmetic a(ib, problem);
                        Ranged product = a.mul(a.input(args[0], ofE, false),
                                               a.input(args[1], upTo(INT64_C(1) << 24), false));
                        Ranged p = a.shiftRounded(product, a.input(args[2], Interval{16, 62}, false), numerics::Rounding::HalfUp);
                        return a.as(a.minimum(p, a.constant(255)), byte);
                      });
  return {y, problem};
}

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntContextOp op) {
  std::string problem;
  Rows rows(b, problem, op.getAcc());
  Interval ofSum = upTo(int64_t(65793) * 255);
  Value sum = rows.sum(like(b, op.getP()), 0, [&](Arithmetic &a, ValueRange args) { return a.input(args[0], upTo(255), true); });
  auto bits = [&](Arithmetic &a, Value v) {
    Ranged s = a.maximum(a.input(v, ofSum, false), a.constant(1));
    return std::pair(s, a.bitLength(s));
  };
  Value reciprocal = rows.compute(sum, [&](Arithmetic &a, ValueRange args) {
    auto [s, l] = bits(a, args[0]);
    return a.assume(a.divide(a.shiftLeft(a.constant(1), a.add(l, a.constant(30))), s), upTo(INT64_C(1) << 31));
  });
  Value shift = rows.compute(sum, [&](Arithmetic &a, ValueRange args) {
    return a.add(bits(a, args[0]).second, a.constant(14));
  });
  numerics::IntegerRange range = rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned());
  Type element = getElementTypeOrSelf(op.getOuts().getType());
  Value y = pointwise(
      b, {like(b, op.getAcc()), rows.perRow(reciprocal), rows.perRow(shift)}, op.getOuts(),
      [&](ImplicitLocOpBuilder &ib, ValueRange args) {
        Arithmetic a(ib, problem);
        Ranged acc = a.input(args[0], rangeOf(op.getAcc(), std::nullopt, false), false);
        Ranged product = a.mul(acc, a.input(args[1], upTo(INT64_C(1) << 31), false));
        Ranged c = a.shiftRounded(product, a.input(args[2], Interval{15, 38}, false), numerics::Rounding::HalfUp);
        // Sums of what `p` allows are within this; others saturate.
        c = a.clamp(c, a.constant(-(1 << 23)), a.constant(1 << 23));
        Ranged scaled = a.mul(c, a.constant(static_cast<int32_t>(op.getMultiplier())));
        Ranged rounded = a.shiftRounded(scaled, a.constant(op.getExponent()), *roundingOf(op.getRounding()));
        return a.result(rounded, op.getZeroPoint(), range, element);
      });
  return {y, problem};
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

template <typename OpTy>
static Lowered lowerNorm(ImplicitLocOpBuilder &b, OpTy op, bool centred, int64_t shift) {
  std::string problem;
  Rows rows(b, problem, op.getX());
  int64_t channels = cast<RankedTensorType>(op.getX().getType()).getShape().back();
  numerics::IntegerRange range = rangeOf(op.getX(), op.getXBits(), op.getXUnsigned());
  auto element = [&](Arithmetic &a, Value v) { return a.input(v, range, op.getXUnsigned()); };

  NormRow row{channels, shift, {range.lo, range.hi}};
  SmallVector<Input> inputs = {like(b, op.getX())};
  if (centred) {
    Value sum = rows.sum(inputs, 0, [&](Arithmetic &a, ValueRange args) { return element(a, args[0]); });
    inputs.push_back(rows.perRow(rows.compute(sum, [&](Arithmetic &a, ValueRange args) { return row.mean(a, args[0]); })));
  }
  auto deviation = [&](Arithmetic &a, ValueRange args) {
    Ranged x = a.shiftLeft(element(a, args[0]), a.constant(shift));
    return centred ? a.sub(x, a.input(args[1], row.ofMean(), false)) : x;
  };
  Value variance = rows.sum(inputs, op.getEpsilon(), [&](Arithmetic &a, ValueRange args) {
    Ranged y = deviation(a, args);
    return a.mul(y, y);
  });
  Value reciprocal = rows.compute(variance, [&](Arithmetic &a, ValueRange args) { return row.reciprocal(a, args[0]); });
  Value rowShift = rows.compute(variance, [&](Arithmetic &a, ValueRange args) { return row.shiftOf(a, args[0]); });

  unsigned reciprocalAt = inputs.size();
  inputs.push_back(rows.perRow(reciprocal));
  inputs.push_back(rows.perRow(rowShift));
  ChannelLists lists(b, rows.rank, -1, inputs);
  auto multipliers = lists.add(op.getMultipliers()), addends = lists.add(op.getAddends());
  Value y = pointwise(b, inputs, op.getOuts(), [&](ImplicitLocOpBuilder &ib, ValueRange args) {
    Arithmetic a(ib, problem);
    Ranged product = a.mul(deviation(a, args), a.input(args[reciprocalAt], upTo(INT64_C(1) << 31), false));
    Ranged n = a.shiftRounded(product, a.input(args[reciprocalAt + 1], Interval{1, 31}, false), numerics::Rounding::HalfUp);
    // A deviation is at most the root of the sum of squares.
    n = a.assume(n, {-(1 << 30), 1 << 30});
    Ranged sum = a.add(a.mul(n, multipliers.in(a, args)), addends.in(a, args));
    Ranged rounded = a.shiftRounded(sum, a.constant(op.getExponent()), *roundingOf(op.getRounding()));
    return a.result(rounded, 0, rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()),
                    getElementTypeOrSelf(op.getOuts().getType()));
  });
  return {y, problem};
}

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntLayerNormOp op) { return lowerNorm(b, op, true, op.getShift()); }
Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntRmsNormOp op) { return lowerNorm(b, op, false, 0); }
