//===-- VectorMath.cpp - elementary functions of f32 ----------------------===//
//
// Short polynomials and rational functions with FMA. None branches, and none
// depends on the CPU: a division is a division, not an estimate refined, whose
// last bits differ between makers and between a loop and its remainder. What
// was tried and is not here (Zen 5, 512 bits): vscalefps in exp gains 7 % and
// would need the vectors that LLVM forms only later; Estrin's scheme loses 5 %,
// because enough independent vectors are in flight.
//
// Coefficients: polynomials by Sollya's fpminimax and remez, rational functions
// by Lawson's iteration on the linearised problem (weights multiplied by the
// error), in double, then rounded to f32. Errors are measured, not derived:
// test/unit/codegen/VectorMathTest.cpp.
//
//===----------------------------------------------------------------------===//

#include "codegen/common/VectorMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace {

/// Ahead of MLIR's own approximations of the same operations.
constexpr int kBenefit = 2;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Arithmetic on f32 or a vector of it.
struct Floats {
  ImplicitLocOpBuilder b;
  Type type, bitsType;

  Floats(Location loc, OpBuilder &builder, Type type)
      : b(loc, builder), type(type) {
    Type i32 = b.getI32Type();
    auto vector = dyn_cast<VectorType>(type);
    bitsType = vector ? Type(vector.clone(i32)) : i32;
  }

  Value constant(Type of, TypedAttr element) {
    if (auto vector = dyn_cast<VectorType>(of))
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(vector, Attribute(element)));
    return arith::ConstantOp::create(b, element);
  }
  Value number(double x) {
    return constant(type, b.getF32FloatAttr(static_cast<float>(x)));
  }
  Value integer(int32_t x) {
    return constant(bitsType, b.getI32IntegerAttr(x));
  }

  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) {
    return math::FmaOp::create(b, x, y, z);
  }
  Value bits(Value x) { return arith::BitcastOp::create(b, bitsType, x); }
  Value fromBits(Value x) { return arith::BitcastOp::create(b, type, x); }
  Value is(arith::CmpFPredicate predicate, Value x, Value y) {
    return arith::CmpFOp::create(b, predicate, x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, condition, x, y);
  }

  // One vmaxps or vminps each: those return their second operand when either
  // is NaN, which is what these comparisons say. arith.maximumf is four.
  Value atLeast(Value x, Value low) {
    return select(is(arith::CmpFPredicate::OGT, low, x), low, x);
  }
  Value atMost(Value x, Value high) {
    return select(is(arith::CmpFPredicate::OLT, high, x), high, x);
  }
  Value clamp(Value x, double low, double high) {
    return atMost(atLeast(x, number(low)), number(high));
  }

  /// Horner's scheme, the highest coefficient first.
  Value polynomial(Value x, ArrayRef<double> coefficients) {
    Value sum = number(coefficients[0]);
    for (double c : coefficients.drop_front())
      sum = fma(sum, x, number(c));
    return sum;
  }

  Value exp(Value x);
  Value exp2(Value x);
  Value log(Value x);
  Value oddRational(Value x, double limit, ArrayRef<double> p,
                    ArrayRef<double> q);
  Value tanh(Value x);
  Value erf(Value x);
  Value gelu(Value x);
  Value roughGelu(Value x, double limit, ArrayRef<double> coefficients, function_ref<double(double)> rest);
};

//===-- exp and exp2 ------------------------------------------------------===//
//
// 2^n is made by shifting n + 126 into the exponent. That is 2^(n-1), so that
// n = 128 has one too; the polynomial is twice as large, and their product
// overflows to infinity by itself where it should. At n = -126 the shifted
// exponent is 0, the factor 0.0: results below 2^-125.5 are zero, none is
// denormal, and -inf gives 0 without a comparison.

/// 1.5 * 2^23 + 126: adding it rounds to an integer, whose bits, biased as
/// wanted, are then the low bits of the sum.
constexpr double kRounder = 12582912.0 + 126.0;

Value Floats::exp(Value x) {
  // Bounds at which the result is already 0 or infinity, and n fits.
  Value c = clamp(x, -87.3, 89.0);
  Value shifted = fma(c, number(0x1.715476p+0), number(kRounder)); // 1 / ln 2
  Value n = sub(shifted, number(kRounder));
  // ln 2 in two parts (Cody and Waite); the first has 15 bits, so n times it is
  // exact.
  Value r = fma(n, number(-0x1.62e400p-1), c);
  r = fma(n, number(-0x1.7f7d1cp-20), r);
  // 2 exp(r) for |r| <= ln 2 / 2, relative error 2^-28.
  Value p =
      polynomial(r, {2 * 0x1.684f6cp-10, 2 * 0x1.123be4p-7, 2 * 0x1.555b9ap-5,
                     2 * 0x1.55548ep-3, 2 * 0x1.fffff8p-2, 2.0, 2.0});
  return mul(p, fromBits(arith::ShLIOp::create(b, bits(shifted), integer(23))));
}

Value Floats::exp2(Value x) {
  Value c = clamp(x, -126.0, 129.0);
  Value shifted = add(c, number(kRounder));
  Value r = sub(c, sub(shifted, number(kRounder)));
  // 2 * 2^r for |r| <= 1/2, relative error 2^-28.
  Value p = polynomial(r, {2 * 1.524016843177378177642822265625e-4,
                           2 * 1.3391315005719661712646484375e-3,
                           2 * 9.618836455047130584716796875e-3,
                           2 * 5.55035881698131561279296875e-2,
                           2 * 0.240226447582244873046875,
                           2 * 0.693147182464599609375, 2.0});
  return mul(p, fromBits(arith::ShLIOp::create(b, bits(shifted), integer(23))));
}

//===-- log ---------------------------------------------------------------===//

Value Floats::log(Value x) {
  // Denormals are scaled into range: log is not so hot that it must lose them.
  Value isTiny = is(arith::CmpFPredicate::OLT, x, number(0x1p-126));
  Value scaled = select(isTiny, mul(x, number(0x1p23)), x);
  // x = 2^e m with m in [2/3, 4/3): 0x3f2aaaab is 2/3.
  Value all = bits(scaled);
  Value e = arith::ShRSIOp::create(
      b, arith::SubIOp::create(b, all, integer(0x3f2aaaab)), integer(23));
  Value m = fromBits(
      arith::SubIOp::create(b, all, arith::ShLIOp::create(b, e, integer(23))));
  Value n = add(arith::SIToFPOp::create(b, type, e),
                select(isTiny, number(-23), number(0)));
  Value f = sub(m, number(1));
  // log(1 + f) = f + f^2 q(f), relative error 2^-26.7.
  Value q = polynomial(
      f, {-0.12914752960205078125, 0.13755349814891815185546875,
          -0.1218331158161163330078125, 0.14054477214813232421875,
          -0.1668013632297515869140625, 0.20007304847240447998046875,
          -0.2499981820583343505859375, 0.333332717418670654296875, -0.5});
  Value y = fma(mul(f, f), q, mul(n, number(0x1.7f7d1cp-20)));
  y = fma(n, number(0x1.62e400p-1), add(y, f));
  Value zero = number(0);
  Value pole =
      select(is(arith::CmpFPredicate::OEQ, x, zero), number(-kInfinity),
             number(std::numeric_limits<double>::quiet_NaN()));
  y = select(is(arith::CmpFPredicate::OGT, x, zero), y, pole);
  Value infinity = number(kInfinity);
  return select(is(arith::CmpFPredicate::OEQ, x, infinity), infinity, y);
}

//===-- tanh and erf ------------------------------------------------------===//

// Rounding in p and q leaves a few ULP where the result is near 1. Tried: erf
// as 1 - erfc (as in gelu below) beside a polynomial for |x| < 1 has 2.3 ULP
// and takes 1.8 times as long. What transformers need of both is GELU, apart
// below.

/// x p(x^2) / q(x^2). Beyond `limit` the function is 1 in f32 and the quotient
/// at `limit` rounds to that or more; the second clamp takes the excess, and
/// what rounding adds just before.
Value Floats::oddRational(Value x, double limit, ArrayRef<double> p,
                          ArrayRef<double> q) {
  Value c = clamp(x, -limit, limit), square = mul(c, c);
  Value y = div(mul(c, polynomial(square, p)), polynomial(square, q));
  return clamp(y, -1.0, 1.0);
}

Value Floats::tanh(Value x) {
  // Relative error 2^-25.5; p(0) = q(0) keeps tiny arguments exact. tanh
  // is 1 in f32 from 9.02 on, the quotient safely so at 9.2.
  return oddRational(x, 9.2,
                     {1.331907221109484e-08, 2.0583480914225993e-05,
                      0.003494034507499822, 0.13379717883634715, 1.0},
                     {7.762019404452427e-07, 0.0003283092777317919,
                      0.02587107296277616, 0.4671303312314057, 1.0});
}

Value Floats::erf(Value x) {
  // Relative error 2^-25.7. erf is 1 in f32 from 3.93 on, the quotient safely
  // so at 3.995.
  return oddRational(
      x, 3.995,
      {2.050084504623622e-06, 0.00028488374870915245, 0.0037656514396072994,
       0.05274882966885762, 0.19040723772719623, 1.1283791461298032},
      {3.809173996064601e-05, 0.0011625443488415225, 0.014969285180838053,
       0.11410943470693963, 0.5020767615736609, 1.0});
}

//===-- activations -------------------------------------------------------===//

/// x P(X <= x) = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2, and erfc is 1 over the
/// eighth power of a polynomial (the form of Abramowitz and Stegun 7.1.28, with
/// another power, degree and argument). Unlike 0.5 x (1 + erf), nothing cancels
/// for negative x and the error vanishes at both ends.
Value Floats::gelu(Value x) {
  // At 10 the second term is 1e-19, and its derivative no longer matters.
  Value a = atMost(math::AbsFOp::create(b, x), number(10.0));
  Value s = polynomial(a, {0x1.70321p-22, -0x1.0e37b6p-19, 0x1.a4b33cp-17,
                           0x1.63499p-18, 0x1.249facp-12, 0x1.a4ea18p-11,
                           0x1.1cfec4p-7, 0x1.6ea6d2p-5, 0x1.9884c4p-4});
  // (1 + s)^8. The first two squarings keep the 1 apart: rounded together they
  // would be four times as wrong (15 ULP near 0 instead of 5).
  s = mul(s, a);
  s = mul(s, add(s, number(2)));
  Value power = fma(s, add(s, number(2)), number(1));
  power = mul(power, power);
  return add(atLeast(x, number(0)), div(mul(a, number(-0.5)), power));
}

/// Wrong by at most 8e-5, and above 10 by as much more as x is. In general x (1/2 + t p(t^2)), t = x within
/// the limit: no division, half the operations. Coefficients by Lawson's iteration, weighted by x.
///
/// With AVX-512 by parabolas through three points of each of 32 segments, whose coefficients are looked up in registers:
/// beside AMX the units of floats have one port, shuffles have another. The first and the last segment have no end. `rest` is
/// what is to be added to max(x, 0), of |x|.
Value Floats::roughGelu(Value x, double limit, ArrayRef<double> coefficients, function_ref<double(double)> rest) {
  constexpr int kSegments = 32, kLanes = 16;
  constexpr double kScale = 3.75, kEnd = (kSegments / 2 - 0.6) / kScale; // segment i is about (i - 16) / kScale
  if (type != VectorType::get({kLanes}, b.getF32Type())) {
    Value above = atLeast(x, number(-limit)), t = atMost(above, number(limit));
    Value p = polynomial(mul(t, t), coefficients);
    return mul(above, fma(t, p, number(0.5)));
  }
  SmallVector<float> tables[3][2];
  auto value = [&](double t) { return std::max(t, 0.0) + rest(std::abs(t)); };
  for (int segment = 0; segment < kSegments; ++segment) {
    double middle = (segment - kSegments / 2) / kScale, half = 0.5 / kScale, c[3], t[3];
    for (int n = 0; n < 3; ++n) {
      t[n] = middle + half * std::cos(M_PI * (n + 0.5) / 3);
      c[n] = value(t[n]);
    }
    // Newton's divided differences, then powers of t.
    c[1] = (c[1] - c[0]) / (t[1] - t[0]);
    c[2] = ((c[2] - value(t[1])) / (t[2] - t[1]) - c[1]) / (t[2] - t[0]);
    double powers[] = {c[0] - c[1] * t[0] + c[2] * t[0] * t[1], c[1] - c[2] * (t[0] + t[1]), c[2]};
    if (segment == 0) { // to -inf
      powers[0] = value(middle + half) / 2, powers[1] = powers[2] = 0;
    } else if (segment == kSegments - 1) { // (1 - a (kEnd - t)) x - b
      double begin = middle - half;
      powers[0] = (value(kEnd) - kEnd) / 2;
      powers[2] = (begin - value(begin) + powers[0]) / ((kEnd - begin) * begin);
      powers[1] = 1 - powers[2] * kEnd;
    }
    for (int n = 0; n < 3; ++n)
      tables[n][segment / kLanes].push_back(float(powers[n]));
  }
  Value above = atLeast(x, number(-kEnd - 0.5 / kScale)), t = atMost(above, number(kEnd));
  Value index = bits(fma(t, number(kScale), number(0x1.8p23 + kSegments / 2))); // rounded, in the low bits
  Value c[3];
  for (int i = 0; i < 3; ++i) {
    Value table[2];
    for (int half = 0; half < 2; ++half)
      table[half] = arith::ConstantOp::create(b, DenseElementsAttr::get(cast<VectorType>(type), ArrayRef(tables[i][half])));
    c[i] = LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr("llvm.x86.avx512.vpermi2var.ps.512"),
                                         ValueRange{table[0], index, table[1]})
               .getResult(0);
  }
  // Infinity times 0 would not be a number; what is none stays so.
  return fma(fma(c[2], t, c[1]), above, c[0]);
}

/// Whether approximate functions are allowed.
template <typename Op> bool isRough(Op op) {
  return arith::bitEnumContainsAny(op.getFastmath(), arith::FastMathFlags::afn);
}

/// Whether `v` is the f32 constant `c`, or a vector of nothing else.
bool isNumber(Value v, double c) {
  Attribute attribute;
  if (!matchPattern(v, m_Constant(&attribute)))
    return false;
  if (auto splat = dyn_cast<SplatElementsAttr>(attribute))
    attribute = splat.getSplatValue<Attribute>();
  auto number = dyn_cast<FloatAttr>(attribute);
  return number && number.getValue().isExactlyValue(static_cast<float>(c));
}

bool isF32(Type type) { return getElementTypeOrSelf(type).isF32(); }

/// The operand of the commutative `Op` defining `v` that is not the constant c.
template <typename Op> Value besides(Value v, double c) {
  auto op = v.getDefiningOp<Op>();
  if (!op)
    return {};
  return isNumber(op.getRhs(), c)   ? op.getLhs()
         : isNumber(op.getLhs(), c) ? op.getRhs()
                                    : Value();
}

/// Calls `match(x, y)` with the operands of a product in both orders.
template <typename Match> bool eitherWay(arith::MulFOp op, Match match) {
  return op &&
         (match(op.getLhs(), op.getRhs()) || match(op.getRhs(), op.getLhs()));
}

/// x of 0.5 x (1 + inner), whose product may be grouped either way, if
/// `isInner(inner, x)`; null otherwise.
template <typename IsInner> Value matchGelu(arith::MulFOp op, IsInner isInner) {
  Value found;
  eitherWay(op, [&](Value half, Value sum) {
    Value x = besides<arith::MulFOp>(half, 0.5),
          inner = besides<arith::AddFOp>(sum, 1.0);
    if (x && inner && isInner(inner, x))
      found = x;
    return static_cast<bool>(found);
  });
  return found;
}

/// mul(mul(x, 0.5), add(erf(mul(x, 1 / sqrt 2)), 1))
///   ==> max(x, 0) - |x| / (2 P(|x|)^8)
struct GeluByErf : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::MulFOp op,
                                PatternRewriter &rewriter) const override {
    if (!isF32(op.getType()))
      return rewriter.notifyMatchFailure(op, "not f32");
    bool rough = false;
    Value x = matchGelu(op, [&](Value inner, Value x) {
      auto erf = inner.getDefiningOp<math::ErfOp>();
      rough = erf && isRough(erf);
      return erf && besides<arith::MulFOp>(erf.getOperand(),
                                           0.70710678118654752440) == x;
    });
    if (!x)
      return rewriter.notifyMatchFailure(op, "not 0.5 x (1 + erf(x / sqrt 2))");
    Floats f(op.getLoc(), rewriter, op.getType());
    rewriter.replaceOp(op, rough ? f.roughGelu(x, 4.1,
                                               {-1.0169552699945683e-09, 8.68614517925484e-08, -3.2316852770896277e-06,
                                                6.948254311226364e-05, -0.0009695329553514268, 0.009370902132263123,
                                                -0.06565894738394075, 0.3985439580452452},
                                               [](double t) { return -0.5 * t * std::erfc(t * M_SQRT1_2); })
                                 : f.gelu(x));
    return success();
  }
};

/// mul(mul(x, 0.5), add(tanh(mul(add(x, mul(mul(mul(x, x), x), b)), a)), 1))
///   ==> x / (1 + exp(x (-2a - 2ab x^2)))
/// because (1 + tanh u) / 2 = 1 / (1 + exp(-2u)).
struct GeluByTanh : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::MulFOp op,
                                PatternRewriter &rewriter) const override {
    if (!isF32(op.getType()))
      return rewriter.notifyMatchFailure(op, "not f32");
    constexpr double a = 0.79788456080286535588, b = 0.044715;
    bool rough = false;
    Value x = matchGelu(op, [&](Value inner, Value x) {
      auto tanh = inner.getDefiningOp<math::TanhOp>();
      rough = tanh && isRough(tanh);
      Value sum = tanh ? besides<arith::MulFOp>(tanh.getOperand(), a) : Value();
      auto add = sum ? sum.getDefiningOp<arith::AddFOp>() : arith::AddFOp();
      if (!add || (add.getLhs() != x && add.getRhs() != x))
        return false;
      Value cube = besides<arith::MulFOp>(
          add.getLhs() == x ? add.getRhs() : add.getLhs(), b);
      return cube &&
             eitherWay(cube.getDefiningOp<arith::MulFOp>(),
                       [&](Value square, Value y) {
                         auto inner = square.getDefiningOp<arith::MulFOp>();
                         return y == x && inner && inner.getLhs() == x &&
                                inner.getRhs() == x;
                       });
    });
    if (!x)
      return rewriter.notifyMatchFailure(op,
                                         "not 0.5 x (1 + tanh(a (x + b x^3)))");
    Floats f(op.getLoc(), rewriter, op.getType());
    if (rough) {
      rewriter.replaceOp(op, f.roughGelu(x, 4.0,
                                         {-1.3449339975046826e-09, 1.0834526259235339e-07, -3.805032128016293e-06,
                                          7.744946311607668e-05, -0.0010301188222451682, 0.009607679931666457,
                                          -0.06602137291390063, 0.3985747168653259},
                                         [](double t) { return -0.5 * t * (1 - std::tanh(a * (t + b * t * t * t))); }));
      return success();
    }
    Value factor = f.fma(f.mul(x, x), f.number(-2 * a * b), f.number(-2 * a));
    Value power = math::ExpOp::create(f.b, f.mul(x, factor));
    rewriter.replaceOp(op, f.div(x, f.add(power, f.number(1))));
    return success();
  }
};

/// mul(y, div(1, add(1, exp(z)))) ==> div(y, add(1, exp(z)))
/// SiLU and its kin: one operation and one rounding less. (Any product with an
/// inverse could become a quotient, but not where it is shared by many.)
struct SigmoidProduct : OpRewritePattern<arith::MulFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::MulFOp op,
                                PatternRewriter &rewriter) const override {
    if (!isF32(op.getType()))
      return rewriter.notifyMatchFailure(op, "not f32");
    bool matched = eitherWay(op, [&](Value x, Value sigmoid) {
      auto div = sigmoid.getDefiningOp<arith::DivFOp>();
      Value power = div && isNumber(div.getLhs(), 1)
                        ? besides<arith::AddFOp>(div.getRhs(), 1)
                        : Value();
      if (!power || !power.getDefiningOp<math::ExpOp>())
        return false;
      rewriter.replaceOpWithNewOp<arith::DivFOp>(op, x, div.getRhs());
      return true;
    });
    return success(matched);
  }
};

template <typename Op, Value (Floats::*Emit)(Value)>
struct Expand : OpRewritePattern<Op> {
  explicit Expand(MLIRContext *context)
      : OpRewritePattern<Op>(context, kBenefit) {}
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!isF32(op.getType()))
      return rewriter.notifyMatchFailure(op, "not f32");
    Floats f(op.getLoc(), rewriter, op.getType());
    rewriter.replaceOp(op, (f.*Emit)(op.getOperand()));
    return success();
  }
};

} // namespace

void sq::populateVectorActivationPatterns(RewritePatternSet &patterns) {
  patterns.add<GeluByErf, GeluByTanh, SigmoidProduct>(patterns.getContext());
}

void sq::populateVectorMathPatterns(RewritePatternSet &patterns) {
  patterns.add<
      Expand<math::ExpOp, &Floats::exp>, Expand<math::Exp2Op, &Floats::exp2>,
      Expand<math::LogOp, &Floats::log>, Expand<math::TanhOp, &Floats::tanh>,
      Expand<math::ErfOp, &Floats::erf>>(patterns.getContext());
}
