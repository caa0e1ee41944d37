#include "lib/reduce/Graph.h"

#include "llvm/ADT/STLExtras.h"
#include "onnx/checker.h"
#include "onnx/shape_inference/implementation.h"

#include <functional>

using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TypeProto;
using namespace sq;
using namespace sq::reduce;

static bool isConstant(const NodeProto &node) { return node.op_type() == "Constant" && node.domain().empty(); }

Types reduce::inferTypes(const ModelProto &model) {
  ModelProto copy = model;
  try {
    ::onnx::ShapeInferenceOptions options(/*check_type=*/false, /*strict_mode=*/0, /*data_prop=*/true);
    ::onnx::shape_inference::InferShapes(copy, ::onnx::OpSchemaRegistry::Instance(), options);
  } catch (const std::exception &) {
    copy = model; // what the model says itself
  }
  Types types;
  const GraphProto &graph = copy.graph();
  for (const auto *values : {&graph.value_info(), &graph.output(), &graph.input()})
    for (const auto &value : *values)
      if (value.has_type())
        types[value.name()] = value.type();
  for (const auto &tensor : graph.initializer()) {
    TypeProto &type = types[tensor.name()];
    type.Clear();
    type.mutable_tensor_type()->set_elem_type(tensor.data_type());
    type.mutable_tensor_type()->mutable_shape();
    for (int64_t dim : tensor.dims())
      type.mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(dim);
  }
  return types;
}

std::string reduce::whyInvalid(const ModelProto &model, bool inferring) {
  try {
    ::onnx::checker::check_model(model, /*full_check=*/inferring);
    return "";
  } catch (const std::exception &exception) {
    std::string what = exception.what();
    return what.empty() ? "the model is not valid" : what;
  }
}

//===-- Uses ----------------------------------------------------------------===//

static void forEachFreeUse(GraphProto &graph, std::set<std::string> defined,
                           llvm::function_ref<void(std::string &)> visit) {
  for (const auto &input : graph.input())
    defined.insert(input.name());
  for (const auto &tensor : graph.initializer())
    defined.insert(tensor.name());
  for (const auto &tensor : graph.sparse_initializer())
    defined.insert(tensor.values().name());
  for (const NodeProto &node : graph.node())
    defined.insert(node.output().begin(), node.output().end());
  auto visitFree = [&](std::string &name) {
    if (!defined.count(name))
      visit(name);
  };
  for (NodeProto &node : *graph.mutable_node())
    forEachUse(node, visitFree);
  for (auto &output : *graph.mutable_output())
    visitFree(*output.mutable_name());
}

void reduce::forEachUse(NodeProto &node, llvm::function_ref<void(std::string &)> visit) {
  for (std::string &input : *node.mutable_input())
    if (!input.empty())
      visit(input);
  for (auto &attribute : *node.mutable_attribute()) {
    if (attribute.has_g())
      forEachFreeUse(*attribute.mutable_g(), {}, visit);
    for (GraphProto &graph : *attribute.mutable_graphs())
      forEachFreeUse(graph, {}, visit);
  }
}

std::set<std::string> reduce::usesOf(const NodeProto &node) {
  std::set<std::string> uses;
  // Only read here, whatever the signature says.
  forEachUse(const_cast<NodeProto &>(node), [&](std::string &name) { uses.insert(name); });
  return uses;
}

//===-- Cutting -------------------------------------------------------------===//

template <typename List, typename Keep> static void filter(List &list, Keep keep) {
  int kept = 0;
  for (int i = 0; i < list.size(); ++i)
    if (keep(list[i], i))
      list.SwapElements(kept++, i);
  list.DeleteSubrange(kept, list.size() - kept);
}

void reduce::prune(ModelProto &model) {
  GraphProto &graph = *model.mutable_graph();
  std::set<std::string> needed;
  for (const auto &output : graph.output())
    needed.insert(output.name());
  std::vector<bool> isNeeded(graph.node_size());
  for (bool changed = true; changed;) { // once, unless the nodes are not sorted
    changed = false;
    for (int i = graph.node_size(); i-- > 0;) {
      auto isRead = [&](const std::string &output) { return needed.count(output) > 0; };
      if (isNeeded[i] || llvm::none_of(graph.node(i).output(), isRead))
        continue;
      isNeeded[i] = true;
      size_t before = needed.size();
      needed.merge(usesOf(graph.node(i)));
      changed |= needed.size() != before;
    }
  }
  filter(*graph.mutable_node(), [&](const NodeProto &, int i) { return isNeeded[i]; });
  filter(*graph.mutable_initializer(), [&](const auto &tensor, int) { return needed.count(tensor.name()) > 0; });
  filter(*graph.mutable_sparse_initializer(),
         [&](const auto &tensor, int) { return needed.count(tensor.values().name()) > 0; });
  filter(*graph.mutable_value_info(), [&](const auto &value, int) { return needed.count(value.name()) > 0; });
  filter(*graph.mutable_quantization_annotation(),
         [&](const auto &value, int) { return needed.count(value.tensor_name()) > 0; });
}

/// Whether a graph's input or output may have this type: onnx's checker wants the rank.
static bool isSignature(const Types &types, const std::string &name) {
  auto found = types.find(name);
  if (found == types.end())
    return false;
  const TypeProto &type = found->second;
  return type.has_tensor_type() ? type.tensor_type().elem_type() != 0 && type.tensor_type().has_shape()
                                : type.value_case() != TypeProto::VALUE_NOT_SET;
}

bool reduce::keepNodes(ModelProto &model, const std::vector<bool> &wanted, const Types &types) {
  GraphProto &graph = *model.mutable_graph();
  std::vector<bool> kept = wanted;
  std::map<std::string, int> definition;
  for (int i = 0; i < graph.node_size(); ++i)
    for (const std::string &output : graph.node(i).output())
      definition[output] = i;
  std::vector<std::set<std::string>> uses;
  for (const NodeProto &node : graph.node())
    uses.push_back(usesOf(node));
  for (int i = 0; i < graph.node_size(); ++i)
    for (const std::string &name : uses[i])
      if (auto found = definition.find(name); wanted[i] && found != definition.end() && isConstant(graph.node(found->second)))
        kept[found->second] = true;

  std::set<std::string> cut, readBefore, readAfter, outputs;
  for (int i = 0; i < graph.node_size(); ++i) {
    readBefore.insert(uses[i].begin(), uses[i].end());
    if (!kept[i])
      continue;
    readAfter.insert(uses[i].begin(), uses[i].end());
    for (const std::string &name : uses[i])
      if (auto found = definition.find(name); found != definition.end() && !kept[found->second])
        cut.insert(name);
  }
  auto isKept = [&](const std::string &name) {
    auto found = definition.find(name);
    return found != definition.end() && kept[found->second];
  };
  filter(*graph.mutable_output(), [&](const auto &output, int) { return isKept(output.name()); });
  for (const auto &output : graph.output())
    outputs.insert(output.name());
  for (int i = 0; i < graph.node_size(); ++i) {
    if (!kept[i] || isConstant(graph.node(i)))
      continue;
    for (const std::string &name : graph.node(i).output())
      if (!name.empty() && readBefore.count(name) && !readAfter.count(name) && outputs.insert(name).second) {
        if (!isSignature(types, name))
          return false;
        auto *output = graph.add_output();
        output->set_name(name);
        *output->mutable_type() = types.at(name);
      }
  }
  for (const std::string &name : cut) {
    if (!isSignature(types, name))
      return false;
    auto *input = graph.add_input();
    input->set_name(name);
    *input->mutable_type() = types.at(name);
  }
  filter(*graph.mutable_node(), [&](const NodeProto &, int i) { return kept[i]; });
  prune(model);
  return graph.output_size() > 0 && graph.node_size() > 0;
}

//===-- Bypassing -----------------------------------------------------------===//

int reduce::bypassOf(const ModelProto &model, int index, const Types &types) {
  const GraphProto &graph = model.graph();
  const NodeProto &node = graph.node(index);
  if (node.output_size() == 0)
    return -1;
  auto bytes = [&](const std::string &name) {
    auto found = types.find(name);
    return found == types.end() ? "" : found->second.SerializeAsString();
  };
  std::string type = bytes(node.output(0));
  for (int i = 0; i < node.input_size() && !type.empty(); ++i)
    if (!node.input(i).empty() && bytes(node.input(i)) == type)
      return i;
  return -1;
}

bool reduce::bypass(ModelProto &model, int index, int input) {
  GraphProto &graph = *model.mutable_graph();
  const std::string from = graph.node(index).output(0), to = graph.node(index).input(input);
  bool isComputed = false;
  for (int i = 0; i < index; ++i)
    for (const std::string &output : graph.node(i).output())
      isComputed |= output == to && !isConstant(graph.node(i));
  for (auto &output : *graph.mutable_output()) {
    if (output.name() != from)
      continue;
    if (!isComputed)
      return false;
    output.set_name(to);
  }
  std::set<std::string> names; // two outputs may have become one
  filter(*graph.mutable_output(), [&](const auto &output, int) { return names.insert(output.name()).second; });
  for (int i = 0; i < graph.node_size(); ++i)
    if (i != index)
      forEachUse(*graph.mutable_node(i), [&](std::string &name) {
        if (name == from)
          name = to;
      });
  filter(*graph.mutable_node(), [&](const NodeProto &, int i) { return i != index; });
  prune(model);
  return true;
}
