//===-- DoubleMath.cpp - f64 functions as arithmetic ---------------------------===//
//
// exp: x = n ln 2 + r, the Taylor series of exp(r) to r^13, |r| <= ln 2 / 2 (the
// next term is below 2^-57), times 2^n in two factors, which makes denormals and
// infinity right. log: x = 2^k m with sqrt(1/2) < m <= sqrt(2), log m by the
// series in s = f / (2 + f), f = m - 1, with the coefficients of FreeBSD's
// e_log.c (error below 1 ULP).
//
//===--------------------------------------------------------------------------===//

#include "codegen/common/DoubleMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace {

constexpr int kBenefit = 3; // before MLIR's
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;

/// Arithmetic on f64.
struct Doubles {
  ImplicitLocOpBuilder b;

  Doubles(Location loc, OpBuilder &builder) : b(loc, builder) {}

  Value number(double x) { return arith::ConstantOp::create(b, b.getF64FloatAttr(x)); }
  Value integer(int64_t x) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(x)); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, x, y, z); }
  Value is(arith::CmpFPredicate p, Value x, Value y) { return arith::CmpFOp::create(b, p, x, y); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, c, x, y); }
  Value bits(Value x) { return arith::BitcastOp::create(b, b.getI64Type(), x); }
  Value fromBits(Value x) { return arith::BitcastOp::create(b, b.getF64Type(), x); }
  /// 2^n for an integer n in [-1022, 1023].
  Value power2(Value n) {
    return fromBits(arith::ShLIOp::create(b, arith::AddIOp::create(b, n, integer(1023)), integer(52)));
  }
  Value polynomial(Value x, ArrayRef<double> coefficients) { // the highest first
    Value sum = number(coefficients[0]);
    for (double c : coefficients.drop_front())
      sum = fma(sum, x, number(c));
    return sum;
  }

  Value exp(Value x) {
    // Bounds at which the result is already 0 or infinity, and n fits.
    Value c = select(is(arith::CmpFPredicate::OGT, x, number(710.0)), number(710.0), x);
    c = select(is(arith::CmpFPredicate::OLT, c, number(-746.0)), number(-746.0), c);
    Value n = math::RoundEvenOp::create(b, mul(c, number(1.44269504088896338700)));
    Value r = fma(n, number(-kLn2Low), fma(n, number(-kLn2High), c));
    SmallVector<double> series;
    double factorial = 6227020800.0; // 13!
    for (int i = 13; i >= 0; --i) {
      series.push_back(1.0 / factorial);
      factorial /= i ? i : 1;
    }
    Value p = polynomial(r, series);
    Value whole = arith::FPToSIOp::create(b, b.getI64Type(), n);
    Value half = arith::ShRSIOp::create(b, whole, integer(1));
    Value result = mul(mul(p, power2(half)), power2(arith::SubIOp::create(b, whole, half)));
    return select(is(arith::CmpFPredicate::UNO, x, x), x, result);
  }

  Value log(Value x) {
    // Denormals are made normal.
    Value small = is(arith::CmpFPredicate::OLT, x, number(0x1p-1022));
    Value scaled = select(small, mul(x, number(0x1p54)), x);
    // The exponent of scaled / sqrt(1/2), so that m lies around 1.
    Value shifted = arith::SubIOp::create(b, bits(scaled), integer(0x3fe6a09e667f3bcdLL));
    Value k = arith::ShRSIOp::create(b, shifted, integer(52));
    Value m = fromBits(arith::SubIOp::create(b, bits(scaled), arith::ShLIOp::create(b, k, integer(52))));
    Value f = sub(m, number(1.0));
    Value s = div(f, add(f, number(2.0))), z = mul(s, s);
    Value series = mul(z, polynomial(z, {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                                         2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                                         6.666666666666735130e-01}));
    Value square = mul(mul(f, f), number(0.5));
    Value exponent = arith::SIToFPOp::create(b, b.getF64Type(), arith::SubIOp::create(b, k, select(small, integer(54), integer(0))));
    Value low = fma(s, add(square, series), mul(exponent, number(kLn2Low)));
    Value result = fma(exponent, number(kLn2High), sub(f, sub(square, low)));
    result = select(is(arith::CmpFPredicate::OEQ, x, number(0.0)), number(-kInfinity), result);
    result = select(is(arith::CmpFPredicate::OLT, x, number(0.0)), number(std::numeric_limits<double>::quiet_NaN()), result);
    // Infinity and NaN are their own logarithms.
    return select(is(arith::CmpFPredicate::ULT, x, number(kInfinity)), select(is(arith::CmpFPredicate::UNO, x, x), x, result), x);
  }

  /// (exp(x) - 1) x / log(exp(x)): rounding of exp(x) cancels (Kahan).
  Value expm1(Value x) {
    Value u = exp(x), d = sub(u, number(1.0));
    Value exact = mul(d, div(x, log(u)));
    Value result = select(is(arith::CmpFPredicate::OEQ, d, number(-1.0)), d, exact);
    result = select(is(arith::CmpFPredicate::OEQ, u, number(kInfinity)), u, result);
    return select(is(arith::CmpFPredicate::OEQ, u, number(1.0)), x, result);
  }
  Value log1p(Value x) {
    Value u = add(x, number(1.0));
    Value exact = mul(log(u), div(x, sub(u, number(1.0))));
    Value result = select(is(arith::CmpFPredicate::OEQ, u, number(kInfinity)), u, exact);
    return select(is(arith::CmpFPredicate::OEQ, u, number(1.0)), x, result);
  }
  Value tanh(Value x) {
    Value e = expm1(mul(math::AbsFOp::create(b, x), number(2.0)));
    // e / (e + 2), which is 1 where e is infinite.
    Value t = sub(number(1.0), div(number(2.0), add(e, number(2.0))));
    Value small = div(e, add(e, number(2.0)));
    Value result = select(is(arith::CmpFPredicate::OLT, e, number(1.0)), small, t);
    return math::CopySignOp::create(b, result, x);
  }

  /// base^n for an integer 0 <= n < 64, by squaring: exact where f64 holds the
  /// powers, which those of small integers must be.
  Value smallPower(Value base, Value n) {
    Value result = number(1.0), square = base;
    for (int bit = 0; bit < 6; ++bit) {
      Value set = arith::AndIOp::create(b, n, integer(int64_t(1) << bit));
      Value isSet = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, set, integer(0));
      result = select(isSet, mul(result, square), result);
      if (bit < 5)
        square = mul(square, square);
    }
    return result;
  }

  Value pow(Value x, Value y) {
    Value base = math::AbsFOp::create(b, x), size = exp(mul(y, log(base)));
    auto whole = [&](Value v) { return is(arith::CmpFPredicate::OEQ, math::TruncOp::create(b, v), v); };
    Value even = whole(mul(y, number(0.5))), integral = whole(y);
    Value exponent = math::AbsFOp::create(b, y);
    Value small = arith::AndIOp::create(b, integral, is(arith::CmpFPredicate::OLT, exponent, number(64.0)));
    Value count = arith::FPToSIOp::create(b, b.getI64Type(), select(small, exponent, number(0.0)));
    Value product = smallPower(base, count);
    Value signedPower = select(is(arith::CmpFPredicate::OLT, y, number(0.0)), div(number(1.0), product), product);
    size = select(small, signedPower, size);
    Value negative = is(arith::CmpFPredicate::OLT, bitsAsSign(x), number(0.0));
    Value odd = arith::AndIOp::create(b, integral, arith::XOrIOp::create(b, even, arith::ConstantOp::create(b, b.getBoolAttr(true))));
    Value flips = arith::AndIOp::create(b, negative, odd);
    Value result = select(flips, arith::NegFOp::create(b, size), size);
    Value undefined = arith::AndIOp::create(
        b, is(arith::CmpFPredicate::OLT, x, number(0.0)), arith::XOrIOp::create(b, integral, arith::ConstantOp::create(b, b.getBoolAttr(true))));
    Value infinite = is(arith::CmpFPredicate::OEQ, math::AbsFOp::create(b, x), number(kInfinity));
    undefined = arith::AndIOp::create(b, undefined, arith::XOrIOp::create(b, infinite, arith::ConstantOp::create(b, b.getBoolAttr(true))));
    result = select(undefined, number(std::numeric_limits<double>::quiet_NaN()), result);
    // 1 to anything and anything to 0 are 1; -1 to an infinite power too.
    Value one = number(1.0);
    Value isOne = arith::OrIOp::create(b, is(arith::CmpFPredicate::OEQ, x, one), is(arith::CmpFPredicate::OEQ, y, number(0.0)));
    Value endless = arith::AndIOp::create(b, is(arith::CmpFPredicate::OEQ, x, number(-1.0)),
                                          is(arith::CmpFPredicate::OEQ, math::AbsFOp::create(b, y), number(kInfinity)));
    return select(arith::OrIOp::create(b, isOne, endless), one, result);
  }
  Value bitsAsSign(Value x) { return math::CopySignOp::create(b, number(1.0), x); }
};

template <typename Op> struct OfDouble : OpRewritePattern<Op> {
  Value (*emit)(Doubles &, Value);
  OfDouble(MLIRContext *context, Value (*emit)(Doubles &, Value))
      : OpRewritePattern<Op>(context, kBenefit), emit(emit) {}

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (!op.getType().isF64())
      return failure();
    Doubles d(op.getLoc(), rewriter);
    rewriter.replaceOp(op, emit(d, op.getOperand()));
    return success();
  }
};

struct Power : OpRewritePattern<math::PowFOp> {
  Power(MLIRContext *context) : OpRewritePattern(context, kBenefit) {}
  LogicalResult matchAndRewrite(math::PowFOp op, PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!isa<FloatType>(type))
      return failure();
    Doubles d(op.getLoc(), rewriter);
    auto wide = [&](Value v) -> Value {
      return type.isF64() ? v : Value(arith::ExtFOp::create(d.b, d.b.getF64Type(), v));
    };
    Value result = d.pow(wide(op.getLhs()), wide(op.getRhs()));
    rewriter.replaceOp(op, type.isF64() ? result : Value(arith::TruncFOp::create(d.b, type, result)));
    return success();
  }
};

struct Tangent : OpRewritePattern<math::TanOp> {
  Tangent(MLIRContext *context) : OpRewritePattern(context, kBenefit) {}
  LogicalResult matchAndRewrite(math::TanOp op, PatternRewriter &rewriter) const override {
    Value sine = math::SinOp::create(rewriter, op.getLoc(), op.getOperand());
    Value cosine = math::CosOp::create(rewriter, op.getLoc(), op.getOperand());
    rewriter.replaceOpWithNewOp<arith::DivFOp>(op, sine, cosine);
    return success();
  }
};

/// x - y trunc(x / y). A step takes a multiple of y 2^k off, exactly: the
/// quotient is an integer of at most 52 bits, one fused multiply-add gives the
/// rest, and a quotient that was rounded up is put right. Steps of 51 bits go
/// down through all exponents that x / y can have.
struct Remainder : OpRewritePattern<arith::RemFOp> {
  Remainder(MLIRContext *context) : OpRewritePattern(context, kBenefit) {}
  LogicalResult matchAndRewrite(arith::RemFOp op, PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!isa<FloatType>(type))
      return failure();
    Doubles d(op.getLoc(), rewriter);
    bool isF64 = type.isF64();
    auto wide = [&](Value v) -> Value { return isF64 ? v : Value(arith::ExtFOp::create(d.b, d.b.getF64Type(), v)); };
    Value x = wide(op.getLhs()), y = math::AbsFOp::create(d.b, wide(op.getRhs()));
    Value rest = math::AbsFOp::create(d.b, x);
    // f32: 2^128 / 2^-149 at most; f64: 2^1024 / 2^-1074.
    Value steps = d.integer(isF64 ? 42 : 6);
    auto loop = scf::ForOp::create(d.b, d.integer(0), steps, d.integer(1), rest, [&](OpBuilder &o, Location l, Value i, ValueRange acc) {
      Doubles e(l, o);
      Value k = arith::MulIOp::create(e.b, arith::SubIOp::create(e.b, arith::SubIOp::create(e.b, steps, e.integer(1)), i), e.integer(51));
      // y 2^k in four factors; infinite where x is smaller, which takes nothing off.
      Value scaled = y;
      for (int part = 0; part < 4; ++part) {
        Value share = arith::ShRSIOp::create(e.b, arith::AddIOp::create(e.b, k, e.integer(part)), e.integer(2));
        scaled = e.mul(scaled, e.power2(share));
      }
      Value finite = e.is(arith::CmpFPredicate::OLE, scaled, acc[0]);
      Value quotient = math::TruncOp::create(e.b, e.div(acc[0], scaled));
      Value left = e.fma(arith::NegFOp::create(e.b, quotient), scaled, acc[0]);
      left = e.select(e.is(arith::CmpFPredicate::OLT, left, e.number(0.0)), e.add(left, scaled), left);
      scf::YieldOp::create(e.b, ValueRange(e.select(finite, left, acc[0])));
    });
    Value result = math::CopySignOp::create(d.b, loop.getResult(0), x);
    // No number: y of 0, x infinite, either NaN. (x of an infinite y is x.)
    Value invalid = d.is(arith::CmpFPredicate::UEQ, y, d.number(0.0));
    invalid = arith::OrIOp::create(d.b, invalid, d.is(arith::CmpFPredicate::UEQ, math::AbsFOp::create(d.b, x), d.number(kInfinity)));
    result = d.select(invalid, d.number(std::numeric_limits<double>::quiet_NaN()), result);
    rewriter.replaceOp(op, isF64 ? result : Value(arith::TruncFOp::create(d.b, type, result)));
    return success();
  }
};

} // namespace

void sq::populateDoubleMathPatterns(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<OfDouble<math::ExpOp>>(context, +[](Doubles &d, Value x) { return d.exp(x); });
  patterns.add<OfDouble<math::Exp2Op>>(context, +[](Doubles &d, Value x) { return d.exp(d.mul(x, d.number(0.69314718055994530942))); });
  patterns.add<OfDouble<math::ExpM1Op>>(context, +[](Doubles &d, Value x) { return d.expm1(x); });
  patterns.add<OfDouble<math::LogOp>>(context, +[](Doubles &d, Value x) { return d.log(x); });
  patterns.add<OfDouble<math::Log2Op>>(context, +[](Doubles &d, Value x) { return d.mul(d.log(x), d.number(1.44269504088896340736)); });
  patterns.add<OfDouble<math::Log10Op>>(context, +[](Doubles &d, Value x) { return d.mul(d.log(x), d.number(0.43429448190325182765)); });
  patterns.add<OfDouble<math::Log1pOp>>(context, +[](Doubles &d, Value x) { return d.log1p(x); });
  patterns.add<OfDouble<math::TanhOp>>(context, +[](Doubles &d, Value x) { return d.tanh(x); });
  patterns.add<Power, Tangent, Remainder>(context);
}

bool sq::hasDoubleMath(Operation *op) {
  if (!isa<math::MathDialect>(op->getDialect()) || op->getNumResults() != 1 || !op->getResult(0).getType().isF64())
    return true;
  return isa<math::ExpOp, math::Exp2Op, math::ExpM1Op, math::LogOp, math::Log2Op, math::Log10Op, math::Log1pOp,
             math::TanhOp, math::PowFOp, math::SinhOp, math::CoshOp, math::AsinhOp, math::AcoshOp, math::AtanhOp,
             math::AbsFOp, math::CeilOp, math::FloorOp, math::TruncOp, math::RoundOp, math::RoundEvenOp, math::SqrtOp,
             math::RsqrtOp, math::FmaOp, math::CopySignOp>(op);
}
