#include "lib/importer/Contradictions.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"

#include "lib/importer/Messages.h"
#include "lib/importer/Structure.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::TypeProto;

namespace sq::importer {
namespace {

/// "[N, 3, ?]"; empty when not even the rank is known.
std::string shapeText(const TypeProto &type) {
  if (!type.has_tensor_type() || !type.tensor_type().has_shape())
    return "";
  std::string text = "[";
  for (const auto &dim : type.tensor_type().shape().dim())
    text += (text.size() > 1 ? ", " : "") + (dim.has_dim_value()          ? std::to_string(dim.dim_value())
                                             : !dim.dim_param().empty() ? dim.dim_param()
                                                                        : "?");
  return text + "]";
}

/// The graph and the node that an error is about; null when the name is not its own.
std::pair<const GraphProto *, const NodeProto *> findNode(const GraphProto &graph, StringRef name) {
  std::pair<const GraphProto *, const NodeProto *> found = {nullptr, nullptr};
  for (const NodeProto &node : graph.node()) {
    auto here = std::pair(&graph, StringRef(node.name()) == name ? &node : nullptr);
    for (const AttributeProto &attribute : node.attribute())
      if (!here.second && attribute.has_g())
        here = findNode(attribute.g(), name);
    if (!here.second)
      continue;
    if (found.second)
      return {nullptr, nullptr};
    found = here;
  }
  return found;
}

/// What a value is and where it comes from.
std::string describeValue(const GraphProto &graph, const std::string &name) {
  auto text = [&](const std::string &shape, const std::string &origin) {
    return quoted(name) + (shape.empty() ? "" : " is " + shape) + ", " + origin;
  };
  for (const auto &tensor : graph.initializer())
    if (tensor.name() == name) {
      TypeProto type;
      auto *shape = type.mutable_tensor_type()->mutable_shape();
      for (int64_t size : tensor.dims())
        shape->add_dim()->set_dim_value(size);
      return text(shapeText(type), "an initializer");
    }
  for (const auto &input : graph.input())
    if (input.name() == name)
      return text(shapeText(input.type()), "an input of the graph");
  std::string shape, origin = "from outside of the graph";
  for (const auto *list : {&graph.value_info(), &graph.output()})
    for (const auto &info : *list)
      if (info.name() == name && shape.empty())
        shape = shapeText(info.type());
  for (const NodeProto &node : graph.node())
    if (llvm::is_contained(node.output(), name))
      origin = "from " + quoted(node.op_type()) + " " + quoted(node.name());
  return text(shape, origin);
}

} // namespace

void nameNodes(GraphProto &graph) {
  for (NodeProto &node : *graph.mutable_node())
    if (node.name().empty())
      node.set_name(node.op_type() + (node.output().empty() ? "" : " of " + node.output(0)));
}

/// onnx collects "(op_type:MatMul, node name: m): [ShapeInferenceError] text" line by line. The
/// first is the cause, later ones often follow from it.
LogicalResult reportContradiction(std::string message, const ::onnx::ModelProto &model,
                                  Location loc) {
  for (StringRef noise : {"[ShapeInferenceError] ", "[TypeInferenceError] ",
                          "Inference error(s): "})
    for (size_t at; (at = message.find(noise.str())) != std::string::npos;)
      message.erase(at, noise.size());
  SmallVector<StringRef> lines;
  StringRef(message).split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  // Bodies of onnx's own functions have such constants in opsets that did not know them yet; the
  // model's constants are checked when they become ops.
  llvm::erase_if(lines, [](StringRef line) { return line.contains("for a Constant node"); });
  if (lines.empty())
    return success();
  Location where = loc;
  StringRef op, node, text = lines.front();
  if (text.consume_front("(op_type:")) {
    std::tie(node, text) = text.split("): ");
    std::tie(op, node) = node.split(", node name: ");
    if (!node.empty())
      where = NameLoc::get(StringAttr::get(loc.getContext(), node));
  }
  InFlightDiagnostic error = emitError(where) << "shapes or types contradict each other";
  if (!op.empty())
    error << " at " << quoted(op);
  error << ": " << text;
  if (auto [graph, found] = findNode(model.graph(), node); found && !node.empty()) {
    for (auto [i, input] : llvm::enumerate(found->input()))
      if (!input.empty())
        error.attachNote(where) << "input " << i << " " << describeValue(*graph, input);
    for (const auto &output : graph->output())
      if (std::string shape = shapeText(output.type());
          !shape.empty() && llvm::is_contained(found->output(), output.name()))
        error.attachNote(where) << "the graph declares its output " << quoted(output.name()) << " as "
                                << shape;
  }
  if (lines.size() > 1)
    error.attachNote(loc) << lines.size() - 1 << " more of this kind";
  return error;
}

} // namespace sq::importer
