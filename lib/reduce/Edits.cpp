#include "lib/reduce/Edits.h"

#include <algorithm>
#include <cstring>

#include "llvm/ADT/STLExtras.h"
#include "onnx/inliner/inliner.h"

using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;
using ::onnx::TypeProto;
using namespace sq;
using namespace sq::reduce;

bool reduce::forEachTensor(GraphProto &graph, llvm::function_ref<bool(TensorProto &)> edit) {
  for (TensorProto &tensor : *graph.mutable_initializer())
    if (!edit(tensor))
      return false;
  for (NodeProto &node : *graph.mutable_node())
    for (AttributeProto &attribute : *node.mutable_attribute()) {
      if (attribute.has_t() && !edit(*attribute.mutable_t()))
        return false;
      for (TensorProto &tensor : *attribute.mutable_tensors())
        if (!edit(tensor))
          return false;
      if (attribute.has_g() && !forEachTensor(*attribute.mutable_g(), edit))
        return false;
      for (GraphProto &inner : *attribute.mutable_graphs())
        if (!forEachTensor(inner, edit))
          return false;
    }
  return true;
}

//===-- What has no meaning for the graph -------------------------------------===//

bool reduce::inlineFunctions(ModelProto &model) {
  if (model.functions_size() == 0)
    return false;
  try {
    ::onnx::inliner::InlineLocalFunctions(model);
  } catch (const std::exception &) {
    return false;
  }
  return true;
}

static void dropMetadata(GraphProto &graph) {
  graph.clear_doc_string();
  graph.clear_metadata_props();
  for (auto *values : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()})
    for (auto &value : *values) {
      value.clear_doc_string();
      value.clear_metadata_props();
    }
  for (TensorProto &tensor : *graph.mutable_initializer())
    tensor.clear_doc_string();
  for (NodeProto &node : *graph.mutable_node()) {
    node.clear_doc_string();
    node.clear_metadata_props();
    for (AttributeProto &attribute : *node.mutable_attribute()) {
      attribute.clear_doc_string();
      if (attribute.has_g())
        dropMetadata(*attribute.mutable_g());
      for (GraphProto &inner : *attribute.mutable_graphs())
        dropMetadata(inner);
    }
  }
}

bool reduce::dropMetadata(ModelProto &model) {
  size_t before = model.ByteSizeLong();
  model.clear_doc_string();
  model.clear_metadata_props();
  model.clear_training_info();
  model.clear_producer_name();
  model.clear_producer_version();
  model.clear_domain();
  model.clear_model_version();
  ::dropMetadata(*model.mutable_graph());
  return model.ByteSizeLong() != before;
}

bool reduce::dropValueInfo(ModelProto &model) {
  bool any = model.graph().value_info_size() > 0;
  model.mutable_graph()->clear_value_info();
  return any;
}

static void addDomains(const GraphProto &graph, std::set<std::string> &domains) {
  for (const NodeProto &node : graph.node()) {
    domains.insert(node.domain());
    for (const AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g())
        addDomains(attribute.g(), domains);
      for (const GraphProto &inner : attribute.graphs())
        addDomains(inner, domains);
    }
  }
}

bool reduce::dropUnused(ModelProto &model) {
  size_t before = model.ByteSizeLong();
  GraphProto &graph = *model.mutable_graph();
  std::set<std::string> used, domains = {""};
  for (const NodeProto &node : graph.node())
    used.merge(usesOf(node));
  for (const auto &output : graph.output())
    used.insert(output.name());
  auto *inputs = graph.mutable_input();
  inputs->erase(std::remove_if(inputs->begin(), inputs->end(), [&](const auto &input) { return !used.count(input.name()); }),
                inputs->end());
  addDomains(graph, domains);
  if (model.functions_size() == 0) {
    auto *imports = model.mutable_opset_import();
    imports->erase(std::remove_if(imports->begin(), imports->end(),
                                  [&](const auto &import) {
                                    return import.domain() != "ai.onnx" && !domains.count(import.domain());
                                  }),
                   imports->end());
  }
  return model.ByteSizeLong() != before;
}

//===-- Initializers ----------------------------------------------------------===//

bool reduce::constantsToInitializers(ModelProto &model) {
  GraphProto &graph = *model.mutable_graph();
  std::set<std::string> outputs;
  for (const auto &output : graph.output())
    outputs.insert(output.name());
  int kept = 0;
  for (int i = 0; i < graph.node_size(); ++i) {
    NodeProto &node = *graph.mutable_node(i);
    if (node.op_type() == "Constant" && node.domain().empty() && node.attribute_size() == 1 &&
        node.attribute(0).has_t() && node.output_size() == 1 && !outputs.count(node.output(0))) {
      TensorProto &tensor = *graph.add_initializer();
      tensor.Swap(node.mutable_attribute(0)->mutable_t());
      tensor.set_name(node.output(0));
    } else {
      graph.mutable_node()->SwapElements(kept++, i);
    }
  }
  bool any = kept < graph.node_size();
  graph.mutable_node()->DeleteSubrange(kept, graph.node_size() - kept);
  return any;
}

static TensorProto *findInitializer(ModelProto &model, const std::string &name) {
  for (TensorProto &tensor : *model.mutable_graph()->mutable_initializer())
    if (tensor.name() == name)
      return &tensor;
  return nullptr;
}

bool reduce::initializerToInput(ModelProto &model, const std::string &name) {
  TensorProto *tensor = findInitializer(model, name);
  if (!tensor)
    return false;
  GraphProto &graph = *model.mutable_graph();
  bool isInput = false; // the initializer was its default value
  for (const auto &input : graph.input())
    isInput |= input.name() == name;
  if (!isInput) {
    auto *input = graph.add_input();
    input->set_name(name);
    auto *type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(tensor->data_type());
    type->mutable_shape();
    for (int64_t dim : tensor->dims())
      type->mutable_shape()->add_dim()->set_dim_value(dim);
  }
  auto *list = graph.mutable_initializer();
  for (int i = 0; i < list->size(); ++i)
    if (list->Get(i).name() == name) {
      list->DeleteSubrange(i, 1);
      break;
    }
  return true;
}

/// Bytes of an element in raw data; 0 for strings and packed types.
static size_t widthOf(int type) {
  switch (type) {
  case TensorProto::FLOAT:
  case TensorProto::INT32:
  case TensorProto::UINT32:
    return 4;
  case TensorProto::DOUBLE:
  case TensorProto::INT64:
  case TensorProto::UINT64:
    return 8;
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
  case TensorProto::INT16:
  case TensorProto::UINT16:
    return 2;
  case TensorProto::INT8:
  case TensorProto::UINT8:
  case TensorProto::BOOL:
    return 1;
  default:
    return 0;
  }
}

/// Elements, or -1 when dims are negative or far too many.
static int64_t countOf(const TensorProto &tensor) {
  int64_t count = 1;
  for (int64_t dim : tensor.dims())
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count) || count > INT32_MAX)
      return -1;
  return count;
}

/// Brings the typed fields into raw_data, little endian; false for what has no such form.
static bool makeRaw(TensorProto &tensor) {
  int64_t count = countOf(tensor);
  size_t width = widthOf(tensor.data_type());
  if (count < 0 || width == 0 || tensor.data_location() == TensorProto::EXTERNAL)
    return false;
  if (tensor.has_raw_data())
    return tensor.raw_data().size() == count * width;
  std::string raw(count * width, '\0');
  auto copy = [&](const auto &values) {
    if (values.size() != count)
      return false;
    for (int64_t i = 0; i < count; ++i) {
      auto value = values.Get(i);
      std::memcpy(raw.data() + i * width, &value, std::min(width, sizeof value)); // the low bytes
    }
    return true;
  };
  int type = tensor.data_type();
  bool copied = type == TensorProto::FLOAT    ? copy(tensor.float_data())
                : type == TensorProto::DOUBLE ? copy(tensor.double_data())
                : type == TensorProto::INT64  ? copy(tensor.int64_data())
                : type == TensorProto::UINT64 || type == TensorProto::UINT32 ? copy(tensor.uint64_data())
                                                                             : copy(tensor.int32_data());
  if (!copied)
    return false;
  tensor.clear_float_data();
  tensor.clear_double_data();
  tensor.clear_int32_data();
  tensor.clear_int64_data();
  tensor.clear_uint64_data();
  tensor.set_raw_data(std::move(raw));
  return true;
}

bool reduce::zeroInitializer(ModelProto &model, const std::string &name) {
  TensorProto *tensor = findInitializer(model, name);
  bool isFloat = tensor && llvm::is_contained({TensorProto::FLOAT, TensorProto::DOUBLE, TensorProto::FLOAT16,
                                               TensorProto::BFLOAT16},
                                              tensor->data_type());
  if (!isFloat || !makeRaw(*tensor))
    return false;
  std::string &raw = *tensor->mutable_raw_data();
  if (raw.find_first_not_of('\0') == std::string::npos)
    return false;
  std::fill(raw.begin(), raw.end(), '\0');
  return true;
}

//===-- Dims ------------------------------------------------------------------===//

std::vector<int64_t> reduce::dimsOf(const ModelProto &model) {
  std::set<int64_t> sizes;
  for (const auto *values : {&model.graph().input(), &model.graph().output()})
    for (const auto &value : *values)
      for (const auto &dim : value.type().tensor_type().shape().dim())
        if (dim.dim_value() > 1)
          sizes.insert(dim.dim_value());
  for (const TensorProto &tensor : model.graph().initializer())
    for (int64_t dim : tensor.dims())
      if (dim > 1)
        sizes.insert(dim);
  return {sizes.rbegin(), sizes.rend()};
}

static bool shrinkTensor(TensorProto &tensor, int64_t from, int64_t to) {
  // A vector of few integers is a shape, axes, or bounds of a slice.
  if (tensor.data_type() == TensorProto::INT64 && tensor.dims_size() <= 1 && countOf(tensor) <= 16 && makeRaw(tensor)) {
    std::string &raw = *tensor.mutable_raw_data();
    for (size_t at = 0; at < raw.size(); at += 8)
      if (int64_t value; std::memcpy(&value, raw.data() + at, 8), value == from)
        std::memcpy(raw.data() + at, &to, 8);
  }
  if (!llvm::is_contained(tensor.dims(), from))
    return true;
  if (!makeRaw(tensor))
    return false;
  size_t width = widthOf(tensor.data_type());
  std::vector<int64_t> dims(tensor.dims().begin(), tensor.dims().end()), cut = dims;
  std::replace(cut.begin(), cut.end(), from, to);
  const std::string &raw = tensor.raw_data();
  std::string shrunk;
  std::vector<int64_t> index(cut.size());
  int64_t count = 1;
  for (int64_t dim : cut)
    count *= dim;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < dims.size(); ++d)
      at = at * dims[d] + index[d];
    shrunk.append(raw, at * width, width);
    for (size_t d = cut.size(); d-- > 0 && ++index[d] == cut[d];)
      index[d] = 0;
  }
  for (size_t d = 0; d < cut.size(); ++d)
    tensor.set_dims(d, cut[d]);
  tensor.set_raw_data(std::move(shrunk));
  return true;
}

bool reduce::shrinkDim(ModelProto &model, int64_t from, int64_t to) {
  GraphProto &graph = *model.mutable_graph();
  graph.clear_value_info();
  for (auto *values : {graph.mutable_input(), graph.mutable_output()})
    for (auto &value : *values)
      if (value.type().has_tensor_type() && value.type().tensor_type().has_shape())
        for (auto &dim : *value.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim())
          if (dim.dim_value() == from)
            dim.set_dim_value(to);
  constexpr int64_t kSmallest = 5; // below, an attribute is rather an axis or a flag
  if (from >= kSmallest)
    for (NodeProto &node : *graph.mutable_node())
      for (AttributeProto &attribute : *node.mutable_attribute()) {
        if (attribute.type() == AttributeProto::INT && attribute.i() == from)
          attribute.set_i(to);
        std::replace(attribute.mutable_ints()->begin(), attribute.mutable_ints()->end(), from, to);
      }
  return forEachTensor(graph, [&](TensorProto &tensor) { return shrinkTensor(tensor, from, to); });
}
