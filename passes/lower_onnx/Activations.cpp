/// Activation functions, as compositions of arith and math on f32 or f64.
#include "passes/lower_onnx/Activations.h"
#include "passes/lower_onnx/Generics.h"

#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace sq;

namespace {
/// Float arithmetic with the constants of one type.
struct Floats {
  Scalars &s;
  Type type;

  Value number(double x) { return s.number(type, x); }
  Value add(Value a, Value b) { return s.make<arith::AddFOp>(a, b); }
  Value sub(Value a, Value b) { return s.make<arith::SubFOp>(a, b); }
  Value mul(Value a, Value b) { return s.make<arith::MulFOp>(a, b); }
  Value div(Value a, Value b) { return s.make<arith::DivFOp>(a, b); }
  Value max(Value a, Value b) { return s.make<arith::MaximumFOp>(a, b); }
  Value min(Value a, Value b) { return s.make<arith::MinimumFOp>(a, b); }
  Value neg(Value a) { return s.make<arith::NegFOp>(a); }
  Value exp(Value a) { return s.make<math::ExpOp>(a); }
  /// exp(a) - 1 without cancellation near 0.
  Value expm1(Value a) { return s.make<math::ExpM1Op>(a); }
  Value tanh(Value a) { return s.make<math::TanhOp>(a); }
  Value isPositive(Value a) { return s.compare(arith::CmpFPredicate::OGT, a, number(0)); }

  Value sigmoid(Value x) { return div(number(1), add(number(1), exp(neg(x)))); }
  /// log(1 + exp(x)) that neither overflows nor cancels.
  Value softplus(Value x) {
    Value tail = s.make<math::Log1pOp>(exp(neg(s.make<math::AbsFOp>(x))));
    return add(max(x, number(0)), tail);
  }
  Value hardSigmoid(Value x, double alpha, double beta) {
    return max(number(0), min(number(1), add(mul(number(alpha), x), number(beta))));
  }
};

using ActivationFn = Value (*)(Floats &, Value x, double alpha, double beta);
} // namespace

/// An activation with up to two float attributes.
static void addActivation(LoweringTable &table, StringRef name, ActivationFn fn,
                          StringRef first = "", double firstAbsent = 0, StringRef second = "",
                          double secondAbsent = 0) {
  table.add(name, 1, [=](Lowering &l, Operation *op) {
    double alpha = first.empty() ? 0 : l.floatAttr(op, first, firstAbsent);
    double beta = second.empty() ? 0 : l.floatAttr(op, second, secondAbsent);
    return l.floatElementwise(op, {l.operand(op, 0)}, [&](Scalars &s, ValueRange args) {
      Floats f{s, args[0].getType()};
      return fn(f, args[0], alpha, beta);
    });
  });
}

static LogicalResult lowerRelu(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (x->isBool())
    return l.fail(op, "it is not defined for elements of type bool8");
  if (x->isUnsigned()) {
    l.alias(op->getResult(0), x);
    return success();
  }
  // (The larger of two numbers needs no rounding, whatever the type.)
  return l.elementwise(op, {x}, x->element, [](Scalars &s, ValueRange args) {
    Type type = args[0].getType();
    if (isa<FloatType>(type))
      return s.make<arith::MaximumFOp>(args[0], s.number(type, 0));
    return s.max(args[0], s.integer(type, 0));
  });
}

/// An op of the sq dialect on the whole tensor.
static LogicalResult lowerComposite(Lowering &l, Operation *op,
                                    llvm::function_ref<Value(Value x, Value init)> create) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "it is not defined for elements of type " + dtypeName(x->element));
  Value init = l.emptyTensor(op->getLoc(), x->dims, x->element);
  l.setTensor(op, 0, create(l.tensor(x), init), x->dims, x->element);
  return success();
}

static LogicalResult lowerGelu(Lowering &l, Operation *op) {
  std::string approximate = l.stringAttr(op, "approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return l.fail(op, "its attribute `approximate` must be none or tanh, got '" + approximate + "'");
  return lowerComposite(l, op, [&](Value x, Value init) {
    return GeluOp::create(l.builder, op->getLoc(), TypeRange(init.getType()), x, init,
                          approximate == "tanh", /*tolerance=*/FloatAttr())
        .getResult()[0];
  });
}

static LogicalResult lowerSwish(Lowering &l, Operation *op) {
  llvm::APFloat alpha(static_cast<float>(l.floatAttr(op, "alpha", 1)));
  return lowerComposite(l, op, [&](Value x, Value init) {
    return SiluOp::create(l.builder, op->getLoc(), TypeRange(init.getType()), x, Value(), init, alpha)
        .getResult()[0];
  });
}

//===----------------------------------------------------------------------===//
// Functions that operators and gates of recurrent operators share
//===----------------------------------------------------------------------===//

static Value sigmoid(Floats &f, Value x, double, double) { return f.sigmoid(x); }
static Value softplus(Floats &f, Value x, double, double) { return f.softplus(x); }
static Value softsign(Floats &f, Value x, double, double) {
  return f.div(x, f.add(f.number(1), f.s.make<math::AbsFOp>(x)));
}
static Value hardSigmoid(Floats &f, Value x, double alpha, double beta) {
  return f.hardSigmoid(x, alpha, beta);
}
static Value leakyRelu(Floats &f, Value x, double alpha, double) {
  Value isNegative = f.s.compare(arith::CmpFPredicate::OLT, x, f.number(0));
  return f.s.select(isNegative, f.mul(f.number(alpha), x), x);
}
static Value thresholdedRelu(Floats &f, Value x, double alpha, double) {
  Value isAbove = f.s.compare(arith::CmpFPredicate::OGT, x, f.number(alpha));
  return f.s.select(isAbove, x, f.number(0));
}
static Value elu(Floats &f, Value x, double alpha, double) {
  return f.s.select(f.isPositive(x), x, f.mul(f.number(alpha), f.expm1(x)));
}
static Value tanh(Floats &f, Value x, double, double) { return f.tanh(x); }
static Value relu(Floats &f, Value x, double, double) { return f.max(x, f.number(0)); }
static Value affine(Floats &f, Value x, double alpha, double beta) {
  return f.add(f.mul(f.number(alpha), x), f.number(beta));
}
static Value scaledTanh(Floats &f, Value x, double alpha, double beta) {
  return f.mul(f.number(alpha), f.tanh(f.mul(f.number(beta), x)));
}

template <ActivationFn fn>
static Value apply(Scalars &s, Value x, double alpha, double beta) {
  Floats f{s, x.getType()};
  return fn(f, x, alpha, beta);
}

std::optional<Activation> sq::activationNamed(StringRef name) {
  return llvm::StringSwitch<std::optional<Activation>>(name.lower())
      .Case("tanh", Activation{apply<tanh>})
      .Case("relu", Activation{apply<relu>})
      .Case("sigmoid", Activation{apply<sigmoid>})
      .Case("affine", Activation{apply<affine>, 2})
      .Case("leakyrelu", Activation{apply<leakyRelu>, 1, 0.01f})
      .Case("thresholdedrelu", Activation{apply<thresholdedRelu>, 1, 1.0})
      .Case("scaledtanh", Activation{apply<scaledTanh>, 2})
      .Case("hardsigmoid", Activation{apply<hardSigmoid>, 2, 0.2f, 0.5})
      .Case("elu", Activation{apply<elu>, 1, 1.0})
      .Case("softsign", Activation{apply<softsign>})
      .Case("softplus", Activation{apply<softplus>})
      .Default(std::nullopt);
}

void sq::registerActivations(LoweringTable &table) {
  table.add("Relu", 1, lowerRelu);
  table.add("Gelu", 1, lowerGelu);
  table.add("Swish", 1, lowerSwish);
  addActivation(table, "Sigmoid", sigmoid);
  addActivation(table, "Softplus", softplus);
  addActivation(table, "Softsign", softsign);
  addActivation(table, "Mish", [](Floats &f, Value x, double, double) {
    return f.mul(x, f.tanh(f.softplus(x)));
  });
  addActivation(table, "HardSwish", [](Floats &f, Value x, double, double) {
    return f.mul(x, f.hardSigmoid(x, 1.0 / 6, 0.5));
  });
  addActivation(table, "HardSigmoid", hardSigmoid, "alpha", 0.2f, "beta", 0.5);
  addActivation(table, "LeakyRelu", leakyRelu, "alpha", 0.01f);
  addActivation(table, "ThresholdedRelu", thresholdedRelu, "alpha", 1);
  addActivation(table, "Elu", elu, "alpha", 1);
  addActivation(
      table, "Celu",
      [](Floats &f, Value x, double alpha, double) {
        Value tail = f.mul(f.number(alpha), f.expm1(f.div(x, f.number(alpha))));
        return f.s.select(f.isPositive(x), x, tail);
      },
      "alpha", 1);
  // Klambauer et al. 2017, equation 2; the defaults are ONNX's.
  addActivation(
      table, "Selu",
      [](Floats &f, Value x, double alpha, double gamma) {
        Value tail = f.mul(f.number(alpha), f.expm1(x));
        return f.mul(f.number(gamma), f.s.select(f.isPositive(x), x, tail));
      },
      "alpha", 1.67326319217681884765625, "gamma", 1.05070102214813232421875);
  addActivation(
      table, "Shrink",
      [](Floats &f, Value x, double lambd, double bias) {
        Value isBelow = f.s.compare(arith::CmpFPredicate::OLT, x, f.number(-lambd));
        Value isAbove = f.s.compare(arith::CmpFPredicate::OGT, x, f.number(lambd));
        Value above = f.s.select(isAbove, f.sub(x, f.number(bias)), f.number(0));
        return f.s.select(isBelow, f.add(x, f.number(bias)), above);
      },
      "lambd", 0.5, "bias", 0);
}
