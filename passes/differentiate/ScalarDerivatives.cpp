#include "passes/differentiate/ScalarDerivatives.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"

#include "passes/differentiate/Tensors.h"

using namespace mlir;
using namespace sq;

void sq::copyBody(ImplicitLocOpBuilder &b, Block &body, IRMapping &copies) {
  for (Operation &op : body.without_terminator()) {
    if (llvm::any_of(op.getResults(),
                     [&](Value v) { return copies.contains(v); }))
      continue;
    bool isKnown = isPure(&op) && op.getNumRegions() == 0;
    for (Value operand : op.getOperands())
      isKnown &= operand.getParentBlock() != &body || copies.contains(operand);
    if (isKnown)
      b.clone(op, copies);
  }
}

namespace {

struct Sweep {
  Sweep(ImplicitLocOpBuilder &b, Block &body, const IRMapping &copies,
        Value wanted, std::string &why)
      : b(b), body(body), copies(copies), wanted(wanted), why(why) {}

  ImplicitLocOpBuilder &b;
  Block &body;
  const IRMapping &copies;
  Value wanted;
  std::string &why;
  DenseMap<Value, Value> adjoints;
  llvm::DenseSet<Value> dependent;
  bool isMissing = false; // a value that a derivative needs

  /// The copy of a value of the body; what comes from outside is itself.
  Value at(Value v) {
    if (Value copy = copies.lookupOrNull(v))
      return copy;
    isMissing |= v.getParentBlock() == &body;
    return v;
  }

  void add(Value v, Value adjoint) {
    if (!dependent.contains(v))
      return;
    Value &sum = adjoints[v];
    sum = sum ? arith::AddFOp::create(b, sum, adjoint).getResult() : adjoint;
  }

  Value pick(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(b, condition, yes, no);
  }

  /// Adds `g`, the adjoint of the only result of `op`, times derivatives by its
  /// operands. False: it has none.
  bool backward(Operation *op, Value g) {
    ScalarMath s{b, g.getType()};
    // The derivative by the only operand, as a function of x and y.
    auto unary = [&](auto derivative) {
      Value x = at(op->getOperand(0)), y = at(op->getResult(0));
      add(op->getOperand(0), s.mul(g, derivative(x, y)));
      return true;
    };
    auto one = [&] { return s.number(1); };
    auto isDependent = [&](unsigned i) {
      return dependent.contains(op->getOperand(i));
    };
    // Of two operands: the one that is the result.
    auto extreme = [&](arith::CmpFPredicate isFirst) {
      Value x = at(op->getOperand(0)), y = at(op->getOperand(1));
      Value first = arith::CmpFOp::create(b, isFirst, x, y);
      add(op->getOperand(0), pick(first, g, s.number(0)));
      add(op->getOperand(1), pick(first, s.number(0), g));
      return true;
    };
    auto convert = [&] {
      Type from = op->getOperand(0).getType();
      auto wide = cast<FloatType>(from).getWidth() >
                  cast<FloatType>(g.getType()).getWidth();
      add(op->getOperand(0),
          wide ? arith::ExtFOp::create(b, from, g).getResult()
               : arith::TruncFOp::create(b, from, g).getResult());
      return true;
    };
    return llvm::TypeSwitch<Operation *, bool>(op)
        .Case([&](arith::AddFOp o) {
          return add(o.getLhs(), g), add(o.getRhs(), g), true;
        })
        .Case([&](arith::SubFOp o) {
          add(o.getLhs(), g);
          if (isDependent(1))
            add(o.getRhs(), s.neg(g));
          return true;
        })
        .Case([&](arith::MulFOp o) {
          if (isDependent(0))
            add(o.getLhs(), s.mul(g, at(o.getRhs())));
          if (isDependent(1))
            add(o.getRhs(), s.mul(g, at(o.getLhs())));
          return true;
        })
        .Case([&](arith::DivFOp o) {
          Value share = s.div(g, at(o.getRhs()));
          add(o.getLhs(), share);
          if (isDependent(1))
            add(o.getRhs(), s.neg(s.mul(share, at(o.getResult()))));
          return true;
        })
        .Case([&](math::FmaOp o) {
          if (isDependent(0))
            add(o.getA(), s.mul(g, at(o.getB())));
          if (isDependent(1))
            add(o.getB(), s.mul(g, at(o.getA())));
          return add(o.getC(), g), true;
        })
        .Case([&](arith::NegFOp o) {
          return add(o.getOperand(), s.neg(g)), true;
        })
        .Case<arith::MaximumFOp, arith::MaxNumFOp>(
            [&](Operation *) { return extreme(arith::CmpFPredicate::OGE); })
        .Case<arith::MinimumFOp, arith::MinNumFOp>(
            [&](Operation *) { return extreme(arith::CmpFPredicate::OLE); })
        .Case([&](arith::SelectOp o) {
          Value condition = at(o.getCondition());
          add(o.getTrueValue(), pick(condition, g, s.number(0)));
          add(o.getFalseValue(), pick(condition, s.number(0), g));
          return true;
        })
        .Case<arith::ExtFOp, arith::TruncFOp>(
            [&](Operation *) { return convert(); })
        .Case([&](arith::RemFOp o) {
          // x - y trunc(x / y)
          add(o.getLhs(), g);
          if (isDependent(1))
            add(o.getRhs(),
                s.neg(s.mul(g, math::TruncOp::create(
                                   b, s.div(at(o.getLhs()), at(o.getRhs()))))));
          return true;
        })
        .Case([&](math::AbsFOp) {
          return unary([&](Value x, Value) -> Value {
            return math::CopySignOp::create(b, one(), x);
          });
        })
        .Case([&](math::CopySignOp o) {
          // |x| with the sign of the other: x's own sign times that.
          Value sign = math::CopySignOp::create(b, one(), at(o.getLhs())),
                given = math::CopySignOp::create(b, one(), at(o.getRhs()));
          return add(o.getLhs(), s.mul(g, s.mul(sign, given))), true;
        })
        .Case([&](math::ExpOp) {
          return unary([&](Value, Value y) { return y; });
        })
        .Case([&](math::Exp2Op) {
          return unary([&](Value, Value y) {
            return s.mul(y, s.number(0.69314718055994530942));
          });
        })
        .Case([&](math::ExpM1Op) {
          return unary([&](Value, Value y) { return s.add(y, one()); });
        })
        .Case([&](math::LogOp) {
          return unary([&](Value x, Value) { return s.div(one(), x); });
        })
        .Case([&](math::Log2Op) {
          return unary([&](Value x, Value) {
            return s.div(s.number(1.4426950408889634074), x);
          });
        })
        .Case([&](math::Log10Op) {
          return unary([&](Value x, Value) {
            return s.div(s.number(0.43429448190325182765), x);
          });
        })
        .Case([&](math::Log1pOp) {
          return unary(
              [&](Value x, Value) { return s.div(one(), s.add(one(), x)); });
        })
        .Case([&](math::SqrtOp) {
          return unary([&](Value, Value y) { return s.div(s.number(0.5), y); });
        })
        .Case([&](math::RsqrtOp) {
          return unary([&](Value x, Value y) {
            return s.mul(s.number(-0.5), s.div(y, x));
          });
        })
        .Case([&](math::SinOp) {
          return unary([&](Value x, Value) -> Value {
            return math::CosOp::create(b, x);
          });
        })
        .Case([&](math::CosOp) {
          return unary(
              [&](Value x, Value) { return s.neg(math::SinOp::create(b, x)); });
        })
        .Case([&](math::TanOp) {
          return unary(
              [&](Value, Value y) { return s.add(one(), s.mul(y, y)); });
        })
        .Case([&](math::SinhOp) {
          return unary([&](Value x, Value) -> Value {
            return math::CoshOp::create(b, x);
          });
        })
        .Case([&](math::CoshOp) {
          return unary([&](Value x, Value) -> Value {
            return math::SinhOp::create(b, x);
          });
        })
        .Case([&](math::TanhOp) {
          return unary(
              [&](Value, Value y) { return s.sub(one(), s.mul(y, y)); });
        })
        .Case([&](math::AsinOp) {
          return unary([&](Value x, Value) -> Value {
            return s.div(one(),
                         math::SqrtOp::create(b, s.sub(one(), s.mul(x, x))));
          });
        })
        .Case([&](math::AcosOp) {
          return unary([&](Value x, Value) -> Value {
            return s.div(s.number(-1),
                         math::SqrtOp::create(b, s.sub(one(), s.mul(x, x))));
          });
        })
        .Case([&](math::AtanOp) {
          return unary([&](Value x, Value) {
            return s.div(one(), s.add(one(), s.mul(x, x)));
          });
        })
        .Case([&](math::AsinhOp) {
          return unary([&](Value x, Value) -> Value {
            return s.div(one(),
                         math::SqrtOp::create(b, s.add(s.mul(x, x), one())));
          });
        })
        .Case([&](math::AcoshOp) {
          return unary([&](Value x, Value) -> Value {
            return s.div(one(),
                         math::SqrtOp::create(b, s.sub(s.mul(x, x), one())));
          });
        })
        .Case([&](math::AtanhOp) {
          return unary([&](Value x, Value) {
            return s.div(one(), s.sub(one(), s.mul(x, x)));
          });
        })
        .Case([&](math::ErfOp) {
          return unary([&](Value x, Value) {
            return s.mul(
                s.number(1.1283791670955125739),
                math::ExpOp::create(b, s.neg(s.mul(x, x)))); // 2 / sqrt(pi)
          });
        })
        .Case([&](math::PowFOp o) {
          Value x = at(o.getLhs()), y = at(o.getRhs());
          if (isDependent(0))
            add(o.getLhs(),
                s.mul(g,
                      s.mul(y, math::PowFOp::create(b, x, s.sub(y, one())))));
          if (isDependent(1)) {
            // 0 at x = 0, where log x is infinite, as 0^y is 0 for every y > 0.
            Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ,
                                                 x, s.number(0));
            Value log = math::LogOp::create(b, pick(isZero, one(), x));
            add(o.getRhs(), s.mul(g, s.mul(at(o.getResult()), log)));
          }
          return true;
        })
        // Steps, and what depends on `wanted` only through integers.
        .Case<math::FloorOp, math::CeilOp, math::RoundOp, math::RoundEvenOp,
              math::TruncOp, arith::SIToFPOp, arith::UIToFPOp,
              tensor::ExtractOp>([](Operation *) { return true; })
        .Default([](Operation *) { return false; });
  }

  FailureOr<Value> run(ValueRange values, ValueRange seeds) {
    dependent.insert(wanted);
    for (Operation &op : body.without_terminator())
      if (llvm::any_of(op.getOperands(),
                       [&](Value v) { return dependent.contains(v); }))
        dependent.insert(op.result_begin(), op.result_end());
    for (auto [v, g] : llvm::zip(values, seeds))
      add(v, g);
    for (Operation &op : llvm::reverse(body.without_terminator())) {
      Value g =
          op.getNumResults() == 1 ? adjoints.lookup(op.getResult(0)) : Value();
      if (!g || op.getResult(0) == wanted ||
          !isa<FloatType>(op.getResult(0).getType()))
        continue;
      if (!backward(&op, g)) {
        why = "'" + op.getName().getStringRef().str() +
              "' in its body has no derivative";
        return failure();
      }
    }
    if (isMissing) {
      why = "its derivative depends on what was accumulated";
      return failure();
    }
    return adjoints.lookup(wanted);
  }
};

} // namespace

FailureOr<Value> sq::differentiateBody(ImplicitLocOpBuilder &b, Block &body,
                                       const IRMapping &copies,
                                       ValueRange values, ValueRange adjoints,
                                       Value wanted, std::string &why) {
  return Sweep(b, body, copies, wanted, why).run(values, adjoints);
}
