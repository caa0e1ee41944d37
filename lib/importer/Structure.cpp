#include "lib/importer/Structure.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include "lib/importer/Messages.h"
#include "lib/importer/Tensors.h"
#include "lib/importer/Types.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::OpSchema;
using ::onnx::OpSchemaRegistry;
using ::onnx::TypeProto;

namespace sq::importer {
namespace {

// Real models nest three deep; onnx's code recurses per level with large frames.
constexpr int kDeepestGraph = 16;
constexpr int kDeepestType = 16;

int typeDepth(const TypeProto &type) {
  switch (type.value_case()) {
  case TypeProto::kSequenceType:
    return 1 + typeDepth(type.sequence_type().elem_type());
  case TypeProto::kOptionalType:
    return 1 + typeDepth(type.optional_type().elem_type());
  case TypeProto::kMapType:
    return 1 + typeDepth(type.map_type().value_type());
  default:
    return 1;
  }
}

std::string describe(const NodeProto &node) {
  if (node.name().empty())
    return "an unnamed " + quoted(node.op_type());
  return "node " + quoted(node.name()) + " (" + node.op_type() + ")";
}

/// Calls `visit` with every value name that a node reads, in nested graphs too. Names that a
/// nested graph defines itself are among them.
template <typename Visit> void forEachRead(const NodeProto &node, const Visit &visit) {
  for (const std::string &input : node.input())
    visit(input);
  auto visitGraph = [&](const GraphProto &graph) {
    for (const NodeProto &inner : graph.node())
      forEachRead(inner, visit);
    for (const auto &output : graph.output())
      visit(output.name());
  };
  for (const AttributeProto &attribute : node.attribute()) {
    visitGraph(attribute.g());
    for (const GraphProto &graph : attribute.graphs())
      visitGraph(graph);
  }
}

/// The values of one graph, and through `outer` those of the graphs around it.
struct Scope {
  static constexpr int kFromStart = -1; // inputs and initializers
  const GraphProto &graph;
  Scope *outer;
  llvm::StringMap<int> definedBy; // value -> index of the node
  int position = 0;               // index of the node being checked

  bool isVisible(StringRef name) const {
    auto found = definedBy.find(name);
    if (found != definedBy.end() && found->second < position)
      return true;
    return outer && outer->isVisible(name);
  }
};

class StructureChecker {
public:
  StructureChecker(const ModelProto &model, Location loc, ExternalFiles &files)
      : model(model), modelLoc(loc), context(loc.getContext()), files(files) {}

  LogicalResult run() {
    if (model.graph().output().empty())
      return emitError(modelLoc) << "the graph has no outputs";
    return checkGraph(model.graph(), modelLoc, nullptr, /*depth=*/1);
  }

private:
  LogicalResult checkGraph(const GraphProto &graph, Location loc, Scope *outer, int depth) {
    if (depth > kDeepestGraph)
      return emitError(loc) << "graphs are nested more than " << kDeepestGraph << " deep";
    Scope scope{graph, outer, {}, 0};
    if (failed(declareInputs(graph, loc, scope)) || failed(declareOutputs(graph, scope)))
      return failure();
    for (const auto &value : graph.value_info())
      if (failed(checkType(value.type(), loc, "value " + quoted(value.name()))))
        return failure();
    for (const NodeProto &node : graph.node()) {
      if (failed(checkNode(node, scope, depth)))
        return failure();
      ++scope.position;
    }
    for (const auto &output : graph.output()) {
      std::string what = "output " + quoted(output.name());
      if (failed(checkType(output.type(), loc, what)))
        return failure();
      if (!scope.isVisible(output.name()))
        return emitError(loc) << what << " is not defined by any node, input or initializer";
    }
    return success();
  }

  LogicalResult declareInputs(const GraphProto &graph, Location loc, Scope &scope) {
    for (const auto &input : graph.input()) {
      std::string what = "input " + quoted(input.name());
      if (input.name().empty())
        return emitError(loc) << "an input has no name";
      if (!scope.definedBy.try_emplace(input.name(), Scope::kFromStart).second)
        return emitError(loc) << what << " is declared twice";
      if (!scope.outer && input.type().value_case() == TypeProto::VALUE_NOT_SET)
        return emitError(loc) << what << " has no type";
      if (failed(checkType(input.type(), loc, what)))
        return failure();
    }
    llvm::StringSet<> initializers;
    auto declare = [&](const std::string &name) -> LogicalResult {
      if (name.empty())
        return emitError(loc) << "an initializer has no name";
      if (!initializers.insert(name).second)
        return emitError(loc) << "initializer " << quoted(name) << " is defined twice";
      // An input of the same name is the old spelling of a default value.
      scope.definedBy.try_emplace(name, Scope::kFromStart);
      return success();
    };
    for (const auto &tensor : graph.initializer())
      if (failed(declare(tensor.name())) ||
          failed(checkTensor(tensor, loc, "initializer " + quoted(tensor.name()), files)))
        return failure();
    for (const auto &tensor : graph.sparse_initializer())
      if (failed(declare(tensor.values().name())) ||
          failed(checkSparseTensor(tensor, loc, "initializer " + quoted(tensor.values().name()),
                                   files)))
        return failure();
    return success();
  }

  LogicalResult declareOutputs(const GraphProto &graph, Scope &scope) {
    for (auto [index, node] : llvm::enumerate(graph.node()))
      for (const std::string &output : node.output()) {
        if (output.empty())
          continue;
        auto [entry, isNew] = scope.definedBy.try_emplace(output, index);
        if (!isNew) {
          InFlightDiagnostic error = emitError(nodeLocation(node, context))
                                     << "value " << quoted(output) << " is defined twice, here and ";
          if (entry->second == Scope::kFromStart)
            return error << "as an input or initializer";
          return error << "by " << describe(graph.node(entry->second));
        }
        for (Scope *outer = scope.outer; outer; outer = outer->outer)
          if (outer->definedBy.count(output))
            return emitError(nodeLocation(node, context))
                   << "value " << quoted(output)
                   << " is also defined in an enclosing graph; names must be unique";
      }
    return success();
  }

  LogicalResult checkNode(const NodeProto &node, Scope &scope, int depth) {
    Location loc = nodeLocation(node, context);
    if (node.op_type().empty())
      return emitError(loc) << "a node has no operator";
    if (!importedVersion(model, node.domain()))
      return emitError(loc) << "operator " << quoted(node.op_type()) << " is of domain "
                            << quoted(node.domain().empty() ? "ai.onnx" : node.domain())
                            << ", which the model does not import; add an opset_import";
    for (const std::string &input : node.input())
      if (!input.empty() && !scope.isVisible(input))
        return undefined(node, input, scope);
    llvm::StringSet<> names;
    for (const AttributeProto &attribute : node.attribute()) {
      if (attribute.name().empty())
        return emitError(loc) << "an attribute has no name";
      if (!names.insert(attribute.name()).second)
        return emitError(loc) << "attribute " << quoted(attribute.name()) << " is given twice";
      if (failed(checkAttribute(attribute, loc, scope, depth)))
        return failure();
    }
    if (const OpSchema *schema = findSchema(model, node)) {
      // Deprecated operators are defined, but Verify would refuse them.
      if (schema->Deprecated())
        return success();
      try {
        schema->Verify(node);
      } catch (const std::exception &exception) {
        return emitError(loc) << "not a valid " << node.op_type() << " of opset "
                              << importedVersion(model, node.domain()) << ": "
                              << exception.what();
      }
    }
    return success();
  }

  LogicalResult checkAttribute(const AttributeProto &attribute, Location loc, Scope &scope,
                               int depth) {
    std::string what = "attribute " + quoted(attribute.name());
    if (!attribute.ref_attr_name().empty())
      return emitError(loc) << what << " refers to " << quoted(attribute.ref_attr_name())
                            << ", an attribute of a function, outside of one";
    // onnx reads by field, we read by type; both must mean the same.
    auto type = attribute.type();
    if (type == AttributeProto::UNDEFINED ||
        attribute.has_t() != (type == AttributeProto::TENSOR) ||
        attribute.has_g() != (type == AttributeProto::GRAPH) ||
        attribute.has_sparse_tensor() != (type == AttributeProto::SPARSE_TENSOR) ||
        attribute.has_tp() != (type == AttributeProto::TYPE_PROTO) ||
        (attribute.ints_size() && type != AttributeProto::INTS) ||
        (attribute.floats_size() && type != AttributeProto::FLOATS) ||
        (attribute.strings_size() && type != AttributeProto::STRINGS) ||
        (attribute.tensors_size() && type != AttributeProto::TENSORS) ||
        (attribute.graphs_size() && type != AttributeProto::GRAPHS) ||
        (attribute.sparse_tensors_size() && type != AttributeProto::SPARSE_TENSORS) ||
        (attribute.type_protos_size() && type != AttributeProto::TYPE_PROTOS))
      return emitError(loc) << what << " has another value than its type "
                            << ::onnx::AttributeProto_AttributeType_Name(type) << " says";
    switch (type) {
    case AttributeProto::TENSOR:
      return checkTensor(attribute.t(), loc, what, files);
    case AttributeProto::SPARSE_TENSOR:
      return checkSparseTensor(attribute.sparse_tensor(), loc, what, files);
    case AttributeProto::TYPE_PROTO:
      return checkType(attribute.tp(), loc, what);
    case AttributeProto::GRAPH:
      return checkGraph(attribute.g(), loc, &scope, depth + 1);
    case AttributeProto::TENSORS:
      for (const auto &tensor : attribute.tensors())
        if (failed(checkTensor(tensor, loc, what, files)))
          return failure();
      break;
    case AttributeProto::SPARSE_TENSORS:
      for (const auto &tensor : attribute.sparse_tensors())
        if (failed(checkSparseTensor(tensor, loc, what, files)))
          return failure();
      break;
    case AttributeProto::TYPE_PROTOS:
      for (const auto &typeProto : attribute.type_protos())
        if (failed(checkType(typeProto, loc, what)))
          return failure();
      break;
    case AttributeProto::GRAPHS:
      for (const auto &graph : attribute.graphs())
        if (failed(checkGraph(graph, loc, &scope, depth + 1)))
          return failure();
      break;
    default:
      break;
    }
    return success();
  }

  LogicalResult checkType(const TypeProto &type, Location loc, const Twine &what) {
    if (typeDepth(type) > kDeepestType)
      return emitError(loc) << what.str() << " has a type nested more than " << kDeepestType
                            << " deep";
    return convertType(type, loc, what);
  }

  /// Says why a value is not there: a cycle, the wrong order, or nothing defines it.
  LogicalResult undefined(const NodeProto &node, const std::string &name, const Scope &scope) {
    InFlightDiagnostic error = emitError(nodeLocation(node, context));
    for (const Scope *at = &scope; at; at = at->outer) {
      auto found = at->definedBy.find(name);
      if (found == at->definedBy.end())
        continue;
      const NodeProto &definer = at->graph.node(found->second);
      if (dependsOn(*at, found->second, at->position))
        return error << "the graph has a cycle: input " << quoted(name) << " of this "
                     << quoted(node.op_type()) << " is defined by " << describe(definer)
                     << ", which depends on it";
      return error << "input " << quoted(name) << " of this " << quoted(node.op_type())
                   << " is defined later, by " << describe(definer)
                   << "; sort the nodes so that definitions come first";
    }
    return error << "input " << quoted(name) << " of this " << quoted(node.op_type())
                 << " is not defined by any node, input or initializer";
  }

  /// Whether node `from` reads, directly or not, what node `to` of the same graph defines.
  static bool dependsOn(const Scope &scope, int from, int to) {
    llvm::BitVector seen(scope.graph.node_size());
    SmallVector<int> pending = {from};
    while (!pending.empty()) {
      int index = pending.pop_back_val();
      if (index == to)
        return true;
      if (seen.test(index))
        continue;
      seen.set(index);
      forEachRead(scope.graph.node(index), [&](const std::string &name) {
        auto found = scope.definedBy.find(name);
        if (found != scope.definedBy.end() && found->second != Scope::kFromStart)
          pending.push_back(found->second);
      });
    }
    return false;
  }

  const ModelProto &model;
  Location modelLoc;
  MLIRContext *context;
  ExternalFiles &files;
};

void normalizeDomains(GraphProto &graph) {
  for (NodeProto &node : *graph.mutable_node()) {
    if (node.domain() == "ai.onnx")
      node.clear_domain();
    for (AttributeProto &attribute : *node.mutable_attribute()) {
      if (attribute.has_g())
        normalizeDomains(*attribute.mutable_g());
      for (GraphProto &inner : *attribute.mutable_graphs())
        normalizeDomains(inner);
    }
  }
}

void normalizeDomain(std::string &domain) {
  if (domain == "ai.onnx")
    domain.clear();
}

} // namespace

Location nodeLocation(const NodeProto &node, MLIRContext *context) {
  std::string name = node.name();
  if (name.empty())
    name = node.op_type() + (node.output().empty() ? "" : " of " + node.output(0));
  return NameLoc::get(StringAttr::get(context, name.empty() ? "unnamed" : name));
}

int64_t importedVersion(const ModelProto &model, StringRef domain) {
  for (const auto &import : model.opset_import())
    if (import.domain() == domain)
      return import.version();
  return 0;
}

const OpSchema *findSchema(const ModelProto &model, const NodeProto &node) {
  return OpSchemaRegistry::Schema(
      node.op_type(), static_cast<int>(importedVersion(model, node.domain())), node.domain());
}

LogicalResult checkVersions(const ModelProto &model, Location loc) {
  if (model.ir_version() < 1)
    return emitError(loc) << "the model has no IR version; is it an ONNX model?";
  if (model.ir_version() > ::onnx::IR_VERSION)
    return emitError(loc) << "the model has IR version " << model.ir_version()
                          << ", sq knows up to " << int64_t(::onnx::IR_VERSION)
                          << "; export it for an older one";
  if (!model.has_graph())
    return emitError(loc) << "the model has no graph; is it an ONNX model?";
  if (model.opset_import().empty())
    return emitError(loc) << "the model imports no opset";
  const auto &known = OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  llvm::StringSet<> seen;
  for (const auto &import : model.opset_import()) {
    std::string name = quoted(import.domain().empty() ? "ai.onnx" : import.domain());
    if (!seen.insert(import.domain()).second)
      return emitError(loc) << "the model imports domain " << name << " twice";
    if (import.version() < 1 || import.version() > INT32_MAX)
      return emitError(loc) << "the model imports version " << import.version() << " of domain "
                            << name << "; expected 1 to " << INT32_MAX;
    auto range = known.find(import.domain());
    if (range != known.end() && import.version() > range->second.second)
      return emitError(loc) << "the model imports opset " << import.version() << " of domain "
                            << name << ", sq knows up to " << range->second.second
                            << "; export it for an older one";
  }
  return success();
}

void normalizeDomains(ModelProto &model) {
  // Before IR version 3 there was one opset.
  if (model.opset_import().empty() && model.ir_version() < 3)
    model.add_opset_import()->set_version(1);
  for (auto &import : *model.mutable_opset_import())
    normalizeDomain(*import.mutable_domain());
  if (model.has_graph())
    normalizeDomains(*model.mutable_graph());
  for (auto &function : *model.mutable_functions()) {
    normalizeDomain(*function.mutable_domain());
    for (auto &import : *function.mutable_opset_import())
      normalizeDomain(*import.mutable_domain());
    for (NodeProto &node : *function.mutable_node()) {
      normalizeDomain(*node.mutable_domain());
      for (AttributeProto &attribute : *node.mutable_attribute()) {
        if (attribute.has_g())
          normalizeDomains(*attribute.mutable_g());
        for (GraphProto &inner : *attribute.mutable_graphs())
          normalizeDomains(inner);
      }
    }
  }
}

LogicalResult checkStructure(const ModelProto &model, Location loc, ExternalFiles &files) {
  return StructureChecker(model, loc, files).run();
}

} // namespace sq::importer
