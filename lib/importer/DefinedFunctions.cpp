// Operators that onnx defines by a function body and the dialect has no op for (LinearAttention,
// FlexAttention): their nodes become calls of local functions with that body, which are then inlined
// like any other. Bodies may depend on the types of a node's inputs, so shapes are inferred before.

#include "lib/importer/Structure.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringMap.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Messages.h"

using namespace mlir;
using ::onnx::FunctionProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::OpSchema;
using ::onnx::OpSchemaRegistry;
using ::onnx::TypeProto;

namespace sq::importer {
namespace {

// No model has a function of this domain: names that start so are not valid domains of ONNX.
constexpr llvm::StringLiteral kDomain = "sq:defined";

class Definitions {
public:
  Definitions(ModelProto &model, MLIRContext *context) : model(model), context(context) {}

  bool run() {
    expand(*model.mutable_graph());
    if (count > 0) {
      auto *import = model.add_opset_import();
      import->set_domain(kDomain.str());
      import->set_version(1);
    }
    return count > 0;
  }

private:
  using Types = llvm::StringMap<const TypeProto *>;

  void expand(GraphProto &graph) {
    std::vector<std::string> added;
    auto add = [&](const auto &values) {
      for (const auto &value : values)
        if (types.try_emplace(value.name(), &value.type()).second)
          added.push_back(value.name());
    };
    add(graph.input());
    add(graph.value_info());
    add(graph.output());
    for (const auto &tensor : graph.initializer()) {
      auto type = std::make_unique<TypeProto>();
      type->mutable_tensor_type()->set_elem_type(tensor.data_type());
      for (int64_t dim : tensor.dims())
        type->mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(dim);
      if (types.try_emplace(tensor.name(), type.get()).second)
        added.push_back(tensor.name());
      initializerTypes.push_back(std::move(type));
    }
    for (NodeProto &node : *graph.mutable_node()) {
      for (auto &attribute : *node.mutable_attribute()) {
        if (attribute.has_g())
          expand(*attribute.mutable_g());
        for (GraphProto &inner : *attribute.mutable_graphs())
          expand(inner);
      }
      if (!isDialectOp(model, node, context))
        call(node);
    }
    for (const std::string &name : added)
      types.erase(name);
  }

  /// Makes the node a call of its definition, when there is one that the model's opsets allow.
  void call(NodeProto &node) {
    const OpSchema *schema = findSchema(model, node);
    if (!schema || (!schema->HasFunction() && !schema->HasContextDependentFunction()))
      return;
    int version = static_cast<int>(importedVersion(model, node.domain()));
    NodeProto complete = node;
    llvm::StringMap<bool> given;
    for (const auto &attribute : node.attribute())
      given[attribute.name()] = true;
    for (const auto &[name, attribute] : schema->attributes())
      if (!given.count(name) && attribute.default_value.has_type())
        *complete.add_attribute() = attribute.default_value;

    FunctionProto function;
    try {
      if (schema->HasFunction()) {
        const FunctionProto *body = schema->GetFunction(version);
        if (!body)
          return;
        function = *body;
      } else {
        std::vector<TypeProto> inputs;
        for (const std::string &input : node.input()) {
          const TypeProto *type = types.lookup(input);
          inputs.push_back(type ? *type : TypeProto());
        }
        ::onnx::FunctionBodyBuildContextImpl bodyContext(complete, inputs);
        if (!schema->BuildContextDependentFunction(bodyContext, function, version))
          return;
      }
    } catch (const std::exception &) {
      return; // no body for these types or this opset: the node stays as it is
    }
    for (auto &import : *function.mutable_opset_import())
      if (!adopt(function.node(), import))
        return;
    std::string name = node.op_type() + "_" + std::to_string(count++);
    function.set_domain(kDomain.str());
    function.set_name(name);
    *function.add_opset_import() = [] {
      ::onnx::OperatorSetIdProto import;
      import.set_domain(kDomain.str());
      import.set_version(1);
      return import;
    }();
    *model.add_functions() = std::move(function);
    node = std::move(complete);
    node.set_domain(kDomain.str());
    node.set_op_type(name);
    node.clear_overload();
  }

  /// Gives the body the model's version of a domain, where that means the same to its nodes.
  template <typename Nodes> bool adopt(const Nodes &nodes, ::onnx::OperatorSetIdProto &import) {
    std::string domain = import.domain() == "ai.onnx" ? "" : import.domain();
    int64_t wanted = importedVersion(model, domain);
    if (!wanted || wanted == import.version())
      return true;
    for (const NodeProto &node : nodes) {
      if ((node.domain() == "ai.onnx" ? "" : node.domain()) == domain &&
          OpSchemaRegistry::Schema(node.op_type(), static_cast<int>(wanted), domain) !=
              OpSchemaRegistry::Schema(node.op_type(), static_cast<int>(import.version()), domain))
        return false;
      for (const auto &attribute : node.attribute()) {
        ::onnx::OperatorSetIdProto inner = import;
        if (attribute.has_g() && !adopt(attribute.g().node(), inner))
          return false;
      }
    }
    import.set_version(wanted);
    return true;
  }

  ModelProto &model;
  MLIRContext *context;
  Types types;
  std::vector<std::unique_ptr<TypeProto>> initializerTypes;
  int count = 0;
};

} // namespace

bool isDialectOp(const ModelProto &model, const NodeProto &node, MLIRContext *context) {
  return node.domain().empty() && findSchema(model, node) &&
         RegisteredOperationName::lookup("onnx." + node.op_type(), context);
}

FailureOr<bool> inlineDefinitions(ModelProto &model, Location loc) {
  if (!Definitions(model, loc.getContext()).run())
    return false;
  if (failed(inlineFunctions(model, loc)))
    return failure();
  auto &imports = *model.mutable_opset_import();
  for (int i = imports.size(); i-- > 0;)
    if (imports[i].domain() == kDomain)
      imports.DeleteSubrange(i, 1);
  normalizeDomains(model);
  return true;
}

} // namespace sq::importer
