#include "lib/reference/Nodes.h"

#include "lib/numerics/Contraction.h"
#include "lib/numerics/Elementwise.h"
#include "lib/numerics/Layout.h"
#include "lib/numerics/Reduce.h"

#include <numeric>

using namespace sq;
using namespace sq::numerics;
using sq::reference::Node;

namespace {

using Results = std::vector<Tensor>;

Tensor reduceNode(const Node &node, ReduceOp op) {
  const Tensor &x = node.input(0);
  std::vector<int64_t> axes = node.integers(1, "axes").value_or(std::vector<int64_t>());
  if (axes.empty() && node.integer("noop_with_empty_axes", 0))
    return x;
  if (axes.empty()) {
    axes.resize(x.rank());
    std::iota(axes.begin(), axes.end(), 0);
  }
  return reduce(op, x, axes, node.integer("keepdims", 1));
}

Tensor softmaxNode(const Node &node, Tensor (*f)(const Tensor &, int64_t)) {
  const Tensor &x = node.input(0);
  if (node.opset >= 13)
    return f(x, node.integer("axis", -1));
  // Up to opset 12 all dims from `axis` on are one.
  int64_t axis = node.integer("axis", 1);
  if (axis != x.rank())
    axis = normalizeAxis(axis, x.rank());
  int64_t rows = numElements(Shape(x.shape.begin(), x.shape.begin() + axis));
  return reshape(f(reshape(x, {rows, rows ? x.size() / rows : 0}), 1), x.shape);
}

Results layerNormNode(const Node &node) {
  Normalized result = layerNorm(node.input(0), node.input(1), node.optional(2),
                                node.integer("axis", -1), node.real("epsilon", 1e-5f));
  return {result.y, result.mean, result.inverseStdDev};
}

Results dropout(const Node &node) {
  if (const Tensor *training = node.optional(2); training && training->real(0) != 0)
    throw Error("dropout in training mode is random and unknown to the reference");
  const Tensor &x = node.input(0);
  return {x, fill(Tensor::ofIntegers(DType::Bool, {}, {1}), x.shape)};
}

} // namespace

void reference::addReductionNodes(HandlerTable &table) {
  static const struct {
    const char *name;
    ReduceOp op;
  } reductions[] = {
      {"ReduceSum", ReduceOp::Sum},       {"ReduceMean", ReduceOp::Mean},
      {"ReduceMin", ReduceOp::Min},       {"ReduceMax", ReduceOp::Max},
      {"ReduceProd", ReduceOp::Prod},     {"ReduceSumSquare", ReduceOp::SumSquare},
      {"ReduceL1", ReduceOp::L1},         {"ReduceL2", ReduceOp::L2},
      {"ReduceLogSum", ReduceOp::LogSum}, {"ReduceLogSumExp", ReduceOp::LogSumExp},
  };
  for (const auto &reduction : reductions)
    table[reduction.name] = [op = reduction.op](const Node &n) {
      return Results{reduceNode(n, op)};
    };
  for (bool largest : {false, true})
    table[largest ? "ArgMax" : "ArgMin"] = [largest](const Node &n) {
      return Results{argExtreme(n.input(0), n.integer("axis", 0), largest,
                                n.integer("keepdims", 1), n.integer("select_last_index", 0))};
    };
  table["CumSum"] = [](const Node &n) {
    const Tensor &axis = n.input(1);
    if (axis.isFloat() || axis.size() != 1)
      throw Error("the axis is not one integer");
    return Results{cumulativeSum(n.input(0), axis.integers[0], n.integer("exclusive", 0),
                                 n.integer("reverse", 0))};
  };
  table["Softmax"] = [](const Node &n) { return Results{softmaxNode(n, softmax)}; };
  table["LogSoftmax"] = [](const Node &n) { return Results{softmaxNode(n, logSoftmax)}; };
  table["LayerNormalization"] = layerNormNode;
  table["RMSNormalization"] = [](const Node &n) {
    return Results{rmsNorm(n.input(0), n.input(1), n.integer("axis", -1), n.real("epsilon", 1e-5f))};
  };
  table["Dropout"] = dropout;
  table["MatMul"] = [](const Node &n) { return Results{matmul(n.input(0), n.input(1))}; };
  table["Gemm"] = [](const Node &n) {
    return Results{gemm(n.input(0), n.input(1), n.optional(2), n.real("alpha", 1),
                        n.real("beta", 1), n.integer("transA", 0), n.integer("transB", 0))};
  };
}
