#include "lib/reference/Nodes.h"

#include <algorithm>
#include <cmath>

using namespace sq;
using namespace sq::numerics;
using sq::reference::Node;

namespace {

using Row = std::vector<double>;

double apply(const std::string &name, double x, double a, double b) {
  if (name == "Tanh") return std::tanh(x);
  if (name == "Relu") return std::max(x, 0.0);
  if (name == "Sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "Affine") return a * x + b;
  if (name == "LeakyRelu") return x < 0 ? a * x : x;
  if (name == "ThresholdedRelu") return x > a ? x : 0;
  if (name == "ScaledTanh") return a * std::tanh(b * x);
  if (name == "HardSigmoid") return std::clamp(a * x + b, 0.0, 1.0);
  if (name == "Elu") return x > 0 ? x : a * std::expm1(x);
  if (name == "Softsign") return x / (1 + std::fabs(x));
  if (name == "Softplus") return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
  throw Error("activation " + name + " is unknown to the reference");
}

struct Function {
  std::string name;
  double a = 0, b = 0;
  double operator()(double x) const { return apply(name, x, a, b); }
};

/// The functions of all directions; each takes of the lists what it needs.
std::vector<Function> functionsOf(const Node &node, std::vector<std::string> names) {
  if (auto given = node.op->getAttrOfType<mlir::ArrayAttr>("activations")) {
    names.clear();
    for (auto name : given.getAsRange<mlir::StringAttr>())
      names.push_back(name.getValue().str());
  }
  auto list = [&](llvm::StringRef name) {
    auto attr = node.op->getAttrOfType<mlir::DenseF32ArrayAttr>(name);
    return attr ? attr.asArrayRef() : llvm::ArrayRef<float>();
  };
  auto alphas = list("activation_alpha"), betas = list("activation_beta");
  auto take = [](llvm::ArrayRef<float> &from, double otherwise) {
    if (from.empty())
      return otherwise;
    double first = from.front();
    from = from.drop_front();
    return first;
  };
  std::vector<Function> functions;
  for (const std::string &name : names) {
    Function f{name};
    bool both = name == "Affine" || name == "ScaledTanh" || name == "HardSigmoid";
    if (both || name == "LeakyRelu" || name == "ThresholdedRelu" || name == "Elu")
      f.a = take(alphas, name == "LeakyRelu" ? 0.01f : name == "HardSigmoid" ? 0.2f : 1);
    if (both)
      f.b = take(betas, 0.5);
    functions.push_back(f);
  }
  return functions;
}

/// One sequence after another, one element of the state after another.
std::vector<Tensor> recurrent(const Node &node, int gates) {
  const Tensor &x = node.input(0), &w = node.input(1), &r = node.input(2);
  const Tensor *bias = node.optional(3), *lengths = node.optional(4), *h0 = node.optional(5),
               *c0 = gates == 4 ? node.optional(6) : nullptr,
               *peepholes = gates == 4 ? node.optional(7) : nullptr;
  bool layout = node.integer("layout", 0), beforeReset = node.integer("linear_before_reset", 0),
       coupled = node.integer("input_forget", 0);
  int64_t steps = x.shape[layout], batch = x.shape[!layout], width = x.shape[2];
  int64_t directions = w.shape[0], size = r.shape[2];
  double limit = node.real("clip", INFINITY);
  std::vector<std::string> names;
  for (int64_t d = 0; d < directions; ++d)
    for (int i = 0; i < (gates == 4 ? 3 : gates == 3 ? 2 : 1); ++i)
      names.push_back(i || gates == 1 ? "Tanh" : "Sigmoid");
  std::vector<Function> functions = functionsOf(node, names);
  auto clip = [&](double v) { return std::clamp(v, -limit, limit); };
  auto stateAt = [&](int64_t d, int64_t b) { return (layout ? b * directions + d : d * batch + b) * size; };

  Shape yShape = layout ? Shape{batch, steps, directions, size} : Shape{steps, directions, batch, size};
  Shape stateShape = layout ? Shape{batch, directions, size} : Shape{directions, batch, size};
  Tensor y = Tensor::zeros(x.dtype, yShape), yh = Tensor::zeros(x.dtype, stateShape), yc = yh;
  for (int64_t d = 0; d < directions; ++d) {
    const Function *f = &functions[d * functions.size() / directions];
    bool reverse = d == 1 || node.string("direction", "forward") == "reverse";
    auto weight = [&](const Tensor &m, int64_t row, int64_t column) {
      return m.reals[(d * gates * size + row) * m.shape[2] + column];
    };
    auto biasOf = [&](int64_t row) { return bias ? bias->reals[d * 2 * gates * size + row] : 0; };
    auto peephole = [&](int64_t i, int64_t j) {
      return peepholes ? peepholes->reals[(d * 3 + i) * size + j] : 0;
    };
    for (int64_t b = 0; b < batch; ++b) {
      Row h(size), c(size);
      for (int64_t j = 0; j < size; ++j) {
        h[j] = h0 ? h0->reals[stateAt(d, b) + j] : 0;
        c[j] = c0 ? c0->reals[stateAt(d, b) + j] : 0;
      }
      int64_t length = lengths ? std::min(steps, lengths->integers[b]) : steps;
      for (int64_t i = 0; i < length; ++i) {
        int64_t t = reverse ? length - 1 - i : i;
        auto fromX = [&](int64_t row) {
          double sum = biasOf(row);
          for (int64_t k = 0; k < width; ++k)
            sum += x.reals[((layout ? b * steps + t : t * batch + b)) * width + k] * weight(w, row, k);
          return sum;
        };
        auto fromState = [&](int64_t row, const Row &state) {
          double sum = biasOf(gates * size + row);
          for (int64_t k = 0; k < size; ++k)
            sum += state[k] * weight(r, row, k);
          return sum;
        };
        Row next(size), reset(size), resetH(size);
        for (int64_t j = 0; gates == 3 && j < size; ++j) {
          reset[j] = f[0](clip(fromX(size + j) + fromState(size + j, h)));
          resetH[j] = reset[j] * h[j];
        }
        for (int64_t j = 0; j < size; ++j) {
          auto gate = [&](int64_t g) { return fromX(g * size + j) + fromState(g * size + j, h); };
          if (gates == 1) {
            next[j] = f[0](clip(gate(0)));
          } else if (gates == 3) {
            double z = f[0](clip(gate(0))), last = 2 * size + j;
            double sum = beforeReset ? reset[j] * fromState(last, h) : fromState(last, resetH);
            next[j] = (1 - z) * f[1](clip(fromX(last) + sum)) + z * h[j];
          } else {
            double in = f[0](clip(gate(0) + peephole(0, j) * c[j]));
            double forget = coupled ? 1 - in : f[0](clip(gate(2) + peephole(2, j) * c[j]));
            c[j] = forget * c[j] + in * f[1](clip(gate(3)));
            next[j] = f[0](clip(gate(1) + peephole(1, j) * c[j])) * f[2](c[j]);
          }
        }
        h = next;
        for (int64_t j = 0; j < size; ++j)
          y.reals[(layout ? (b * steps + t) * directions + d
                          : (t * directions + d) * batch + b) * size + j] = h[j];
      }
      std::copy(h.begin(), h.end(), yh.reals.begin() + stateAt(d, b));
      std::copy(c.begin(), c.end(), yc.reals.begin() + stateAt(d, b));
    }
  }
  if (gates == 4)
    return {y, yh, yc};
  return {y, yh};
}

} // namespace

void reference::addRecurrentNodes(HandlerTable &table) {
  table["RNN"] = [](const Node &node) { return recurrent(node, 1); };
  table["GRU"] = [](const Node &node) { return recurrent(node, 3); };
  table["LSTM"] = [](const Node &node) { return recurrent(node, 4); };
}
