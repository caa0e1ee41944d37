#include "lib/reference/Nodes.h"

#include "lib/numerics/Layout.h"
#include "lib/reference/Reference.h"

#include "mlir/IR/BuiltinAttributeInterfaces.h"

#include <algorithm>
#include <numeric>
#include <set>

using namespace sq;
using namespace sq::numerics;
using sq::reference::Node;

namespace {

using Results = std::vector<Tensor>;
using Integers = std::vector<int64_t>;

Tensor vectorOf(Integers values) {
  Shape shape{int64_t(values.size())};
  return Tensor::ofIntegers(DType::I64, shape, std::move(values));
}

Integers required(const Node &node, size_t index, llvm::StringRef attribute) {
  std::optional<Integers> values = node.integers(index, attribute);
  if (!values)
    throw Error(attribute.str() + " is missing");
  return *values;
}

Tensor constant(const Node &node) {
  auto value = node.op->getAttrOfType<mlir::ElementsAttr>("value");
  if (!value)
    throw Error("constant without a value");
  return reference::tensorOf(value);
}

Tensor constantOfShape(const Node &node) {
  auto value = node.op->getAttrOfType<mlir::ElementsAttr>("value");
  Tensor element = value ? reference::tensorOf(value) : Tensor::zeros(DType::F32, {});
  return fill(element, required(node, 0, "shape"));
}

Tensor transposeNode(const Node &node) {
  const Tensor &x = node.input(0);
  Integers reversed(x.rank());
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  return transpose(x, node.integers("perm").value_or(reversed));
}

Tensor squeeze(const Node &node) {
  const Tensor &x = node.input(0);
  std::optional<Integers> axes = node.integers(1, "axes");
  std::set<int64_t> dropped;
  if (axes)
    for (int64_t axis : *axes)
      dropped.insert(normalizeAxis(axis, x.rank()));
  Shape shape;
  for (int64_t d = 0; d < x.rank(); ++d) {
    bool drop = axes ? dropped.count(d) : x.shape[d] == 1;
    if (!drop)
      shape.push_back(x.shape[d]);
  }
  return reshape(x, shape); // refuses a dropped dim that is not 1
}

Tensor unsqueeze(const Node &node) {
  const Tensor &x = node.input(0);
  Integers axes = required(node, 1, "axes");
  int64_t rank = x.rank() + int64_t(axes.size());
  Shape shape(rank, 0);
  for (int64_t axis : axes) {
    axis = normalizeAxis(axis, rank);
    if (shape[axis])
      throw Error("axis " + std::to_string(axis) + " is given twice");
    shape[axis] = 1;
  }
  auto next = x.shape.begin();
  for (int64_t &dim : shape)
    if (!dim)
      dim = *next++;
  return reshape(x, shape);
}

Tensor flatten(const Node &node) {
  const Tensor &x = node.input(0);
  int64_t axis = node.integer("axis", 1);
  if (axis != x.rank()) // the one axis that lies behind the last dim
    axis = normalizeAxis(axis, x.rank());
  Shape head(x.shape.begin(), x.shape.begin() + axis), tail(x.shape.begin() + axis, x.shape.end());
  return reshape(x, {numElements(head), numElements(tail)});
}

Tensor sliceNode(const Node &node) {
  Integers starts = required(node, 1, "starts"), ends = required(node, 2, "ends");
  Integers axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  axes = node.integers(3, "axes").value_or(axes);
  return slice(node.input(0), starts, ends, axes,
               node.integers(4, "steps").value_or(Integers(starts.size(), 1)));
}

Results splitNode(const Node &node) {
  const Tensor &x = node.input(0);
  int64_t axis = normalizeAxis(node.integer("axis", 0), x.rank());
  std::optional<Integers> sizes = node.integers(1, "split");
  if (!sizes) {
    // Equal parts; the last one is smaller where they do not divide the dim.
    int64_t parts = node.op->getNumResults(), part = (x.shape[axis] + parts - 1) / parts;
    sizes = Integers(parts, part);
    sizes->back() = x.shape[axis] - part * (parts - 1);
  }
  return split(x, *sizes, axis);
}

Tensor padNode(const Node &node) {
  const Tensor &x = node.input(0);
  if (std::string mode = node.string("mode", "constant"); mode != "constant")
    throw Error("padding of mode \"" + mode + "\" is unknown to the reference");
  Integers pads = required(node, 1, "pads"), axes(x.rank());
  std::iota(axes.begin(), axes.end(), 0);
  axes = node.integers(3, "axes").value_or(axes);
  if (pads.size() != 2 * axes.size())
    throw Error(std::to_string(pads.size()) + " pads for " + std::to_string(axes.size()) + " dims");
  Integers begin(x.rank(), 0), end(x.rank(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t axis = normalizeAxis(axes[i], x.rank());
    begin[axis] = pads[i];
    end[axis] = pads[i + axes.size()];
  }
  return pad(x, begin, end, node.has(2) ? node.input(2) : Tensor::zeros(x.dtype, {}));
}

Tensor shapeNode(const Node &node) {
  const Shape &shape = node.input(0).shape;
  int64_t rank = shape.size();
  auto bound = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  int64_t start = bound(node.integer("start", 0)), end = bound(node.integer("end", rank));
  return vectorOf(Integers(shape.begin() + start, shape.begin() + std::max(start, end)));
}

} // namespace

void reference::addLayoutNodes(HandlerTable &table) {
  table["Constant"] = [](const Node &n) { return Results{constant(n)}; };
  table["ConstantOfShape"] = [](const Node &n) { return Results{constantOfShape(n)}; };
  table["Identity"] = [](const Node &n) { return Results{n.input(0)}; };
  table["Shape"] = [](const Node &n) { return Results{shapeNode(n)}; };
  table["Size"] = [](const Node &n) {
    return Results{Tensor::ofIntegers(DType::I64, {}, {n.input(0).size()})};
  };
  table["Reshape"] = [](const Node &n) {
    const Tensor &x = n.input(0);
    return Results{reshape(
        x, resolveShape(x.shape, required(n, 1, "shape"), n.integer("allowzero", 0)))};
  };
  table["Transpose"] = [](const Node &n) { return Results{transposeNode(n)}; };
  table["Squeeze"] = [](const Node &n) { return Results{squeeze(n)}; };
  table["Unsqueeze"] = [](const Node &n) { return Results{unsqueeze(n)}; };
  table["Flatten"] = [](const Node &n) { return Results{flatten(n)}; };
  table["Expand"] = [](const Node &n) {
    return Results{expand(n.input(0), required(n, 1, "shape"))};
  };
  table["Slice"] = [](const Node &n) { return Results{sliceNode(n)}; };
  table["Split"] = splitNode;
  table["Concat"] = [](const Node &n) {
    Results operands;
    for (size_t i = 0; i < n.numInputs(); ++i)
      operands.push_back(n.input(i));
    return Results{concat(operands, n.integer("axis"))};
  };
  table["Gather"] = [](const Node &n) {
    return Results{gather(n.input(0), n.input(1), n.integer("axis", 0))};
  };
  table["GatherElements"] = [](const Node &n) {
    return Results{gatherElements(n.input(0), n.input(1), n.integer("axis", 0))};
  };
  table["Tile"] = [](const Node &n) { return Results{tile(n.input(0), required(n, 1, "repeats"))}; };
  table["Pad"] = [](const Node &n) { return Results{padNode(n)}; };
  table["Trilu"] = [](const Node &n) {
    int64_t k = n.has(1) ? required(n, 1, "k").at(0) : 0;
    return Results{triangle(n.input(0), n.integer("upper", 1), k)};
  };
  table["Range"] = [](const Node &n) {
    return Results{range(n.input(0), n.input(1), n.input(2))};
  };
}
