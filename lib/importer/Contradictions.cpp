#include "lib/importer/Contradictions.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"

#include "llvm/ADT/StringExtras.h"

#include "lib/importer/Messages.h"
#include "lib/importer/Structure.h"

#include <map>
#include <set>

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::TypeProto;

namespace sq::importer {
namespace {

/// "3", "N" or "?" for each dim; nothing when not even the rank is known.
std::optional<std::vector<std::string>> dimTexts(const TypeProto &type) {
  if (!type.has_tensor_type() || !type.tensor_type().has_shape())
    return std::nullopt;
  std::vector<std::string> texts;
  for (const auto &dim : type.tensor_type().shape().dim())
    texts.push_back(dim.has_dim_value()        ? std::to_string(dim.dim_value())
                    : !dim.dim_param().empty() ? dim.dim_param()
                                               : "?");
  return texts;
}

/// "[N, 3, ?]", or empty.
std::string shapeText(const TypeProto &type) {
  auto dims = dimTexts(type);
  return dims ? "[" + llvm::join(*dims, ", ") + "]" : "";
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

/// What is known of the values of one graph.
class GraphValues {
public:
  explicit GraphValues(const GraphProto &graph) {
    for (const NodeProto &node : graph.node())
      for (const std::string &name : node.output())
        values[name].maker = &node;
    for (const auto *list : {&graph.input(), &graph.value_info(), &graph.output()})
      for (const auto &info : *list)
        if (Known &known = values[info.name()]; !dimTexts(known.type))
          known.type = info.type();
    for (const auto &info : graph.input())
      values[info.name()].origin = "an input of the graph";
    for (const auto &tensor : graph.initializer()) {
      Known &known = values[tensor.name()];
      known.origin = "an initializer";
      auto *shape = known.type.mutable_tensor_type()->mutable_shape();
      shape->clear_dim();
      for (int64_t size : tensor.dims())
        shape->add_dim()->set_dim_value(size);
    }
  }

  /// What a value is, where it comes from, and where those of its dims come from that its node
  /// did not make.
  std::string describe(const std::string &name) {
    Known &known = values[name];
    std::string text = quoted(name), shape = shapeText(known.type);
    if (!shape.empty())
      text += " is " + shape;
    text += ", " + originOf(name);
    for (size_t d = 0, rank = dimTexts(known.type).value_or(std::vector<std::string>()).size(); d < rank; ++d) {
      auto [source, place] = dimSource(name, d);
      if (source != name)
        text += "; " + (*dimTexts(known.type))[d] + " is dimension " + std::to_string(place) + " of " +
                quoted(source) + ", " + originOf(source);
    }
    return text;
  }

private:
  struct Known {
    TypeProto type;
    const NodeProto *maker = nullptr;
    std::string origin;
  };

  std::string originOf(const std::string &name) {
    Known &known = values[name];
    if (known.maker)
      return "from " + quoted(known.maker->op_type()) + " " + quoted(known.maker->name());
    return known.origin.empty() ? "from outside of the graph" : known.origin;
  }

  /// The value in which a dim was first: an input of the maker that has the same, best in the same
  /// place counted from the end, as elementwise operators leave it.
  std::pair<std::string, size_t> dimSource(std::string name, size_t place) {
    std::set<std::string> seen;
    while (const NodeProto *maker = values[name].maker) {
      auto dims = dimTexts(values[name].type);
      if (!seen.insert(name).second || !dims || (*dims)[place] == "?")
        break;
      std::optional<std::pair<std::string, size_t>> before;
      bool isSamePlace = false;
      for (const std::string &input : maker->input()) {
        auto given = dimTexts(values[input].type).value_or(std::vector<std::string>());
        for (size_t d = 0; d < given.size(); ++d) {
          bool isSame = given.size() - d == dims->size() - place;
          if (given[d] != (*dims)[place] || (before && (isSamePlace || !isSame)))
            continue;
          before = {input, d};
          isSamePlace = isSame;
        }
      }
      if (!before)
        break;
      std::tie(name, place) = *before;
    }
    return {name, place};
  }

  std::map<std::string, Known> values;
};

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
    GraphValues values(*graph);
    for (auto [i, input] : llvm::enumerate(found->input()))
      if (!input.empty())
        error.attachNote(where) << "input " << i << " " << values.describe(input);
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
