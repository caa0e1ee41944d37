#include "lib/reference/Nodes.h"

#include "lib/numerics/Elementwise.h"
#include "lib/numerics/Layout.h"

#include <cmath>
#include <limits>

using namespace sq;
using namespace sq::numerics;
using sq::reference::Node;

namespace {

using Results = std::vector<Tensor>;

/// For functions with parameters, which `map` cannot take.
template <typename F> Tensor mapWith(const Tensor &x, F f) {
  if (!x.isFloat())
    throw Error(std::string("not defined for ") + name(x.dtype) + " elements");
  Tensor y = x;
  for (double &value : y.reals)
    value = f(value);
  return y;
}

/// The ONNX type numbers of Cast (TensorProto.DataType).
DType dtypeOfNumber(int64_t number) {
  switch (number) {
  case 1:
    return DType::F32;
  case 2:
    return DType::U8;
  case 3:
    return DType::I8;
  case 4:
    return DType::U16;
  case 5:
    return DType::I16;
  case 6:
    return DType::I32;
  case 7:
    return DType::I64;
  case 9:
    return DType::Bool;
  case 10:
    return DType::F16;
  case 11:
    return DType::F64;
  case 12:
    return DType::U32;
  case 13:
    return DType::U64;
  case 16:
    return DType::BF16;
  default:
    throw Error("a cast to ONNX type " + std::to_string(number) + " is unknown to the reference");
  }
}

Tensor fold(const Node &node, BinaryOp op) {
  Tensor result = node.input(0);
  for (size_t i = 1; i < node.numInputs(); ++i)
    result = binary(op, result, node.input(i));
  return result;
}

Tensor clip(const Node &node) {
  Tensor x = node.input(0);
  if (node.opset < 11) {
    double low = node.real("min", -std::numeric_limits<double>::infinity());
    double high = node.real("max", std::numeric_limits<double>::infinity());
    return mapWith(x, [&](double v) { return std::min(std::max(v, low), high); });
  }
  if (const Tensor *low = node.optional(1))
    x = binary(BinaryOp::Max, x, *low);
  if (const Tensor *high = node.optional(2)) // the upper bound wins
    x = binary(BinaryOp::Min, x, *high);
  return x;
}

/// Slopes broadcast to x only, never the other way.
Tensor pRelu(const Node &node) {
  const Tensor &x = node.input(0);
  Tensor negative = binary(BinaryOp::Less, x, Tensor::zeros(x.dtype, {}));
  return where(negative, binary(BinaryOp::Mul, x, node.input(1)), x);
}

void addUnary(reference::HandlerTable &table) {
  static const struct {
    const char *name;
    double (*f)(double);
  } functions[] = {
      {"Exp", std::exp},         {"Log", std::log},           {"Sqrt", std::sqrt},
      {"Reciprocal", reciprocal}, {"Tanh", std::tanh},        {"Sigmoid", sigmoid},
      {"Erf", std::erf},         {"Floor", std::floor},       {"Ceil", std::ceil},
      {"Round", std::nearbyint}, {"Sin", std::sin},           {"Cos", std::cos},
      {"Tan", std::tan},         {"Asin", std::asin},         {"Acos", std::acos},
      {"Atan", std::atan},       {"Sinh", std::sinh},         {"Cosh", std::cosh},
      {"Asinh", std::asinh},     {"Acosh", std::acosh},       {"Atanh", std::atanh},
      {"Softplus", softplus},    {"Softsign", softsign},      {"Mish", mish},
      {"HardSwish", hardSwish},
  };
  for (const auto &function : functions)
    table[function.name] = [f = function.f](const Node &n) { return Results{map(n.input(0), f)}; };

  table["Abs"] = [](const Node &n) { return Results{absolute(n.input(0))}; };
  table["Neg"] = [](const Node &n) { return Results{negate(n.input(0))}; };
  table["Not"] = [](const Node &n) { return Results{logicalNot(n.input(0))}; };
  table["IsNaN"] = [](const Node &n) { return Results{isNaN(n.input(0))}; };
  table["IsInf"] = [](const Node &n) {
    return Results{isInf(n.input(0), n.integer("detect_positive", 1),
                         n.integer("detect_negative", 1))};
  };
  table["Relu"] = [](const Node &n) {
    const Tensor &x = n.input(0);
    return Results{x.isFloat() ? map(x, relu)
                               : binary(BinaryOp::Max, x, Tensor::zeros(x.dtype, {}))};
  };
  table["Sign"] = [](const Node &n) {
    Tensor y = n.input(0);
    for (double &value : y.reals)
      value = sign(value);
    for (int64_t &value : y.integers)
      value = isUnsigned(y.dtype) ? value != 0 : (value > 0) - (value < 0);
    return Results{y};
  };
  table["Gelu"] = [](const Node &n) {
    bool tanh = n.string("approximate", "none") == "tanh";
    return Results{map(n.input(0), tanh ? geluTanh : gelu)};
  };
  table["LeakyRelu"] = [](const Node &n) {
    double slope = n.real("alpha", 0.01f);
    return Results{mapWith(n.input(0), [=](double x) { return x < 0 ? slope * x : x; })};
  };
  table["ThresholdedRelu"] = [](const Node &n) {
    double threshold = n.real("alpha", 1);
    return Results{mapWith(n.input(0), [=](double x) { return x > threshold ? x : 0; })};
  };
  table["Elu"] = [](const Node &n) {
    double alpha = n.real("alpha", 1);
    return Results{mapWith(n.input(0), [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; })};
  };
  table["Celu"] = [](const Node &n) {
    double alpha = n.real("alpha", 1);
    return Results{
        mapWith(n.input(0), [=](double x) { return x < 0 ? alpha * std::expm1(x / alpha) : x; })};
  };
  table["Selu"] = [](const Node &n) {
    double alpha = n.real("alpha", 1.67326319217681884765625f);
    double gamma = n.real("gamma", 1.05070102214813232421875f);
    return Results{mapWith(n.input(0), [=](double x) {
      return gamma * (x > 0 ? x : alpha * std::expm1(x));
    })};
  };
  table["HardSigmoid"] = [](const Node &n) {
    double alpha = n.real("alpha", 0.2f), beta = n.real("beta", 0.5);
    return Results{mapWith(n.input(0), [=](double x) {
      return std::max(0.0, std::min(1.0, alpha * x + beta));
    })};
  };
}

} // namespace

void reference::addElementwiseNodes(HandlerTable &table) {
  addUnary(table);

  static const struct {
    const char *name;
    BinaryOp op;
  } operators[] = {
      {"Add", BinaryOp::Add},     {"Sub", BinaryOp::Sub},
      {"Mul", BinaryOp::Mul},     {"Div", BinaryOp::Div},
      {"Pow", BinaryOp::Pow},     {"And", BinaryOp::And},
      {"Or", BinaryOp::Or},       {"Xor", BinaryOp::Xor},
      {"Equal", BinaryOp::Equal}, {"Less", BinaryOp::Less},
      {"LessOrEqual", BinaryOp::LessOrEqual},
      {"Greater", BinaryOp::Greater},
      {"GreaterOrEqual", BinaryOp::GreaterOrEqual},
      {"BitwiseAnd", BinaryOp::And},
      {"BitwiseOr", BinaryOp::Or},
      {"BitwiseXor", BinaryOp::Xor},
  };
  for (const auto &entry : operators)
    table[entry.name] = [op = entry.op](const Node &n) {
      return Results{binary(op, n.input(0), n.input(1))};
    };
  table["Mod"] = [](const Node &n) {
    return Results{
        binary(n.integer("fmod", 0) ? BinaryOp::FMod : BinaryOp::Mod, n.input(0), n.input(1))};
  };
  table["Min"] = [](const Node &n) { return Results{fold(n, BinaryOp::Min)}; };
  table["Max"] = [](const Node &n) { return Results{fold(n, BinaryOp::Max)}; };
  table["Sum"] = [](const Node &n) { return Results{fold(n, BinaryOp::Add)}; };
  table["Mean"] = [](const Node &n) {
    Tensor sum = fold(n, BinaryOp::Add);
    return Results{binary(BinaryOp::Div, sum, Tensor::ofReals(sum.dtype, {}, {double(n.numInputs())}))};
  };
  table["Where"] = [](const Node &n) {
    return Results{where(n.input(0), n.input(1), n.input(2))};
  };
  table["Clip"] = [](const Node &n) { return Results{clip(n)}; };
  table["PRelu"] = [](const Node &n) { return Results{pRelu(n)}; };
  table["Cast"] = [](const Node &n) {
    return Results{cast(n.input(0), dtypeOfNumber(n.integer("to")))};
  };
  table["CastLike"] = [](const Node &n) { return Results{cast(n.input(0), n.input(1).dtype)}; };
}
