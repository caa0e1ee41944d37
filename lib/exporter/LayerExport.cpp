#include "lib/exporter/LayerExport.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"

#include "lib/importer/Contradictions.h"
#include "lib/importer/Importer.h"
#include "lib/importer/Messages.h"
#include "lib/importer/Protobuf.h"
#include "lib/importer/Structure.h"
#include "lib/importer/Tensors.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;
using ::onnx::ValueInfoProto;

namespace sq {

using namespace sq::importer;

namespace {

int64_t integerOf(const NodeProto &node, StringRef name) {
  for (const AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return attribute.i();
  return 0;
}

float floatOf(const NodeProto &node, StringRef name, float absent) {
  for (const AttributeProto &attribute : node.attribute())
    if (attribute.name() == name)
      return attribute.f();
  return absent;
}

bool readsProduct(const NodeProto &add, const NodeProto &product) {
  return add.input_size() == 2 && (add.input(0) == product.output(0) ||
                                   add.input(1) == product.output(0));
}

void addUsed(const NodeProto &node, llvm::StringSet<> &used) {
  for (const std::string &name : node.input())
    used.insert(name);
  auto inside = [&](const GraphProto &body) {
    for (const NodeProto &inner : body.node())
      addUsed(inner, used);
    for (const auto &output : body.output())
      used.insert(output.name());
  };
  for (const AttributeProto &attribute : node.attribute()) {
    if (attribute.has_g())
      inside(attribute.g());
    for (const GraphProto &body : attribute.graphs())
      inside(body);
  }
}

/// Brings all data into the file.
LogicalResult inlineAll(GraphProto &graph, Location loc, ExternalFiles &files) {
  auto inlined = [&](TensorProto &tensor) {
    return inlineExternal(tensor, loc, quoted(tensor.name()), files, INT64_MAX);
  };
  for (TensorProto &tensor : *graph.mutable_initializer())
    if (failed(inlined(tensor)))
      return failure();
  for (NodeProto &node : *graph.mutable_node())
    for (AttributeProto &attribute : *node.mutable_attribute()) {
      if ((attribute.has_t() && failed(inlined(*attribute.mutable_t()))) ||
          (attribute.has_g() &&
           failed(inlineAll(*attribute.mutable_g(), loc, files))))
        return failure();
      for (GraphProto &body : *attribute.mutable_graphs())
        if (failed(inlineAll(body, loc, files)))
          return failure();
    }
  return success();
}

/// Gives dims that have one size that size.
void fixDims(google::protobuf::RepeatedPtrField<ValueInfoProto> &values,
             const std::map<std::string, DimRange> &shapes) {
  for (ValueInfoProto &value : values) {
    if (!value.type().has_tensor_type() ||
        !value.type().tensor_type().has_shape())
      continue;
    for (auto &dim : *value.mutable_type()
                          ->mutable_tensor_type()
                          ->mutable_shape()
                          ->mutable_dim()) {
      auto range = shapes.find(dim.dim_param());
      if (dim.has_dim_param() && range != shapes.end() &&
          range->second.min == range->second.max)
        dim.set_dim_value(range->second.min); // (and takes the name away)
    }
  }
}

} // namespace

LayerExport::LayerExport(ModelProto &model)
    : model(model), graph(*model.mutable_graph()) {
  nameNodes(graph);
  for (int i = 0; i < graph.node_size(); ++i) {
    const NodeProto &node = graph.node(i);
    auto [it, fresh] = byName.try_emplace(node.name(), i);
    if (!fresh)
      it->second = kSeveral;
    for (const std::string &name : node.output())
      taken.insert(name);
  }
  for (const TensorProto &tensor : graph.initializer())
    taken.insert(tensor.name());
  before.resize(graph.node_size());
  after.resize(graph.node_size());
}

std::string LayerExport::quantize(const QuantizedLayer &layer) {
  int at = -1, adds = -1;
  for (const std::string &name : layer.nodes) {
    auto found = byName.find(name);
    if (found == byName.end() || found->second == kSeveral)
      continue;
    const NodeProto &node = graph.node(found->second);
    if (at < 0 && node.domain().empty() &&
        (node.op_type() == "MatMul" || node.op_type() == "Gemm"))
      at = found->second;
    else if (at >= 0 && node.domain().empty() && node.op_type() == "Add" &&
             readsProduct(node, graph.node(at)))
      adds = found->second;
  }
  if (at < 0)
    return "it is no MatMul or Gemm of the model's graph with a name of its "
           "own";
  NodeProto &node = *graph.mutable_node(at);
  bool isGemm = node.op_type() == "Gemm";
  if (isGemm && (integerOf(node, "transA") || floatOf(node, "alpha", 1) != 1 ||
                 floatOf(node, "beta", 1) != 1))
    return "a Gemm with transA, alpha or beta has no such form";
  if (!isGemm && layer.nodes.size() > 1 && adds < 0)
    return "what adds its bias is not next to it";
  if (!done.insert(at).second)
    return "its node is another layer, too";

  std::string base = node.name() + "/quantized";
  std::string x = node.input(0);
  if (!layer.factors.empty()) {
    std::string scaled = fresh(base + "/x_scaled");
    addNode(before[at], "Mul", {x, floats(base + "/x_factors", layer.factors)},
            scaled);
    x = scaled;
  }
  node.set_input(0, activation(layer, x, base, before[at]));
  node.set_input(1, weight(layer, base, before[at]));
  if (isGemm) {
    for (AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.name() == "transB")
        attribute.set_i(0);
    while (node.input_size() < 3)
      node.add_input();
    node.set_input(2, floats(base + "/bias", layer.bias));
  } else if (adds >= 0) {
    NodeProto &add = *graph.mutable_node(adds);
    bool isSecond = add.input(0) == node.output(0);
    add.set_input(isSecond, floats(base + "/bias", layer.bias));
  } else if (llvm::any_of(layer.bias, [](float x) { return x != 0; })) {
    std::string sum = node.output(0), product = fresh(base + "/product");
    node.set_output(0, product);
    addNode(after[at], "Add", {product, floats(base + "/bias", layer.bias)},
            sum);
  }
  return "";
}

std::string LayerExport::quantize(const QuantizedTable &table) {
  for (const std::string &name : table.nodes) {
    auto found = byName.find(name);
    if (found == byName.end() || found->second == kSeveral ||
        done.count(found->second))
      continue;
    NodeProto &node = *graph.mutable_node(found->second);
    if (node.op_type() != "Gather" || !node.domain().empty() ||
        integerOf(node, "axis") != 0 || !isTable(node.input(0), table))
      continue;
    done.insert(found->second);
    std::string &floats = tables[node.input(0)];
    if (floats.empty())
      floats = this->table(table, node.input(0) + "/quantized", before.front());
    node.set_input(0, floats);
    return "";
  }
  return "no Gather with a name of its own reads its rows";
}

void LayerExport::finish() {
  google::protobuf::RepeatedPtrField<NodeProto> nodes;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (NodeProto &node : before[i])
      nodes.Add()->Swap(&node);
    nodes.Add()->Swap(graph.mutable_node(i));
    for (NodeProto &node : after[i])
      nodes.Add()->Swap(&node);
  }
  llvm::StringSet<> used;
  for (const auto &output : graph.output())
    used.insert(output.name());
  std::vector<bool> isUsed(nodes.size());
  for (int i = nodes.size() - 1; i >= 0; --i) {
    isUsed[i] = llvm::any_of(nodes[i].output(), [&](const std::string &name) {
      return used.contains(name);
    });
    if (isUsed[i])
      addUsed(nodes[i], used);
  }
  graph.clear_node();
  for (int i = 0; i < nodes.size(); ++i)
    if (isUsed[i])
      graph.add_node()->Swap(&nodes[i]);
  for (const auto &input : graph.input())
    used.insert(input.name());
  auto &tensors = *graph.mutable_initializer();
  int kept = 0;
  for (int i = 0; i < tensors.size(); ++i)
    if (used.contains(tensors[i].name()))
      tensors.SwapElements(kept++, i);
  tensors.DeleteSubrange(kept, tensors.size() - kept);
}

bool LayerExport::isTable(const std::string &name,
                          const QuantizedTable &table) const {
  return llvm::any_of(graph.initializer(), [&](const TensorProto &tensor) {
    return tensor.name() == name && tensor.dims_size() == 2 &&
           tensor.dims(0) == table.rows && tensor.dims(1) == table.columns;
  });
}

std::string LayerExport::fresh(std::string name) {
  while (!taken.insert(name).second)
    name += "_";
  return name;
}

std::string LayerExport::tensor(const std::string &name, int32_t type,
                                ArrayRef<int64_t> dims, StringRef bytes) {
  TensorProto &made = *graph.add_initializer();
  made.set_name(fresh(name));
  made.set_data_type(type);
  for (int64_t dim : dims)
    made.add_dims(dim);
  made.set_raw_data(bytes.data(), bytes.size());
  return made.name();
}

std::string LayerExport::floats(const std::string &name, ArrayRef<float> values,
                                ArrayRef<int64_t> dims) {
  StringRef bytes(reinterpret_cast<const char *>(values.data()),
                  values.size() * sizeof(float));
  return tensor(name, TensorProto::FLOAT, dims, bytes);
}

NodeProto &LayerExport::addNode(Nodes &nodes, const char *type,
                                ArrayRef<std::string> inputs,
                                const std::string &output) {
  NodeProto &node = nodes.emplace_back();
  node.set_op_type(type);
  node.set_name(output);
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(output);
  return node;
}

void LayerExport::setInteger(NodeProto &node, const char *name, int64_t value) {
  AttributeProto &attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INT);
  attribute.set_i(value);
}

FailureOr<std::string>
exportModel(StringRef path, ArrayRef<QuantizedLayer> layers,
            ArrayRef<QuantizedTable> tables,
            const std::map<std::string, DimRange> &shapes, int64_t needed,
            StringRef because,
            function_ref<std::unique_ptr<LayerExport>(ModelProto &)> make,
            MLIRContext &context) {
  Location loc = fileLocation(path, &context);
  FailureOr<ModelFile> file = openModel(path, context);
  if (failed(file))
    return failure();
  if (file->format == ModelFormat::Mlir)
    return emitError(loc) << "is no ONNX model, so that none can be made of "
                             "it; --emit=sq prints what it is";
  StringRef bytes = file->buffer->getBuffer();
  FailureOr<std::unique_ptr<ModelProto>> model =
      file->format == ModelFormat::Onnx ? parseProtobuf(bytes, loc)
                                        : parseText(bytes, path, loc);
  if (failed(model))
    return failure();
  normalizeDomains(**model);
  if (int64_t opset = importedVersion(**model, ""); opset < needed)
    return emitError(loc)
           << "has opset " << opset << "; " << because << " need opset "
           << needed << " at least: convert it with onnx.version_converter";
  fixDims(*(*model)->mutable_graph()->mutable_input(), shapes);
  fixDims(*(*model)->mutable_graph()->mutable_output(), shapes);
  fixDims(*(*model)->mutable_graph()->mutable_value_info(), shapes);
  std::unique_ptr<LayerExport> made = make(**model);
  for (const QuantizedLayer &layer : layers)
    if (std::string why = made->quantize(layer); !why.empty())
      emitWarning(loc) << "layer "
                       << quoted(layer.nodes.empty() ? "?"
                                                     : layer.nodes.front())
                       << " stays in float: " << why;
  for (const QuantizedTable &table : tables)
    if (std::string why = made->quantize(table); !why.empty())
      emitWarning(loc) << "table of "
                       << quoted(table.nodes.empty() ? "?"
                                                     : table.nodes.front())
                       << " stays in float: " << why;
  made->finish();
  StringRef directory = llvm::sys::path::parent_path(path);
  ExternalFiles files(directory.empty() ? "." : directory.str());
  if (failed(inlineAll(*(*model)->mutable_graph(), loc, files)))
    return failure();
  std::string result;
  if ((*model)->ByteSizeLong() > size_t(INT32_MAX) ||
      !(*model)->SerializeToString(&result))
    return emitError(loc) << "would have more than 2 GiB in one file, which "
                             "protobuf cannot write";
  return result;
}

} // namespace sq
