#include "test/fuzz/Mutate.h"

#include <cstdint>
#include <limits>
#include <vector>

using namespace onnx;

namespace {

/// Subgraphs are nested no deeper than this by mutation; how the importer takes deeper ones has a
/// test of its own.
constexpr size_t maxGraphs = 64;
/// And no graph grows beyond so many nodes.
constexpr int maxNodes = 256;

class Mutator {
public:
  Mutator(ModelProto &model, std::mt19937 &random) : model(model), random(random) {
    collect(*model.mutable_graph());
    for (FunctionProto &function : *model.mutable_functions())
      for (NodeProto &node : *function.mutable_node())
        collect(node);
  }
  void run();

private:
  void collect(GraphProto &graph);
  void collect(NodeProto &node);

  size_t below(size_t n) { return n ? random() % n : 0; }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <typename T> T *pick(const std::vector<T *> &from) {
    return from.empty() ? nullptr : from[below(from.size())];
  }
  template <typename Repeated> auto pickIn(Repeated &from) {
    return from.empty() ? nullptr : from.Mutable(below(from.size()));
  }
  int64_t oddInteger();
  float oddFloat();
  std::string anyValue();

  void changeAttribute(NodeProto &node);
  void changeAttributeType(AttributeProto &attribute);
  void changeEdge(NodeProto &node);
  void changeNode(GraphProto &graph);
  void changeOperator(NodeProto &node);
  void changeType(TypeProto &type);
  void changeTensor(TensorProto &tensor);
  void changeGraph(GraphProto &graph);
  void changeVersion();
  void forgetShapes();
  void makeSymbolic();
  template <typename Integers> void changeIntegers(Integers &values);
  template <typename Repeated> void changeOrder(Repeated &elements);

  ModelProto &model;
  std::mt19937 &random;
  std::vector<GraphProto *> graphs;
  std::vector<NodeProto *> nodes;
  std::vector<TensorProto *> tensors;
  std::vector<TypeProto *> types;
};

void Mutator::collect(GraphProto &graph) {
  graphs.push_back(&graph);
  for (NodeProto &node : *graph.mutable_node())
    collect(node);
  for (TensorProto &tensor : *graph.mutable_initializer())
    tensors.push_back(&tensor);
  for (auto *list : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()})
    for (ValueInfoProto &value : *list)
      types.push_back(value.mutable_type());
}

void Mutator::collect(NodeProto &node) {
  nodes.push_back(&node);
  for (AttributeProto &attribute : *node.mutable_attribute()) {
    if (attribute.has_t())
      tensors.push_back(attribute.mutable_t());
    if (attribute.has_g())
      collect(*attribute.mutable_g());
  }
}

int64_t Mutator::oddInteger() {
  static constexpr int64_t odd[] = {0,  1,  -1, 2,  -2,  3,   4,    5,     7,
                                    8,  -8, 16, 31, 63,  64,  65,   127,   128,
                                    255, 256, 1000, 1 << 20, INT32_MAX, INT32_MIN,
                                    int64_t(1) << 32, int64_t(1) << 62, INT64_MAX, INT64_MIN};
  return odd[below(std::size(odd))];
}

float Mutator::oddFloat() {
  using limits = std::numeric_limits<float>;
  static constexpr float odd[] = {0, 1, -1, 0.5f, 2, 1e-30f, -1e30f, limits::max(),
                                  limits::infinity(), limits::quiet_NaN()};
  return odd[below(std::size(odd))];
}

std::string Mutator::anyValue() {
  std::vector<const std::string *> names;
  for (GraphProto *graph : graphs) {
    for (const ValueInfoProto &input : graph->input())
      names.push_back(&input.name());
    for (const TensorProto &tensor : graph->initializer())
      names.push_back(&tensor.name());
  }
  for (NodeProto *node : nodes)
    for (const std::string &output : node->output())
      names.push_back(&output);
  return names.empty() ? "" : *names[below(names.size())];
}

template <typename Integers> void Mutator::changeIntegers(Integers &values) {
  switch (below(5)) {
  case 0:
    values.Add(oddInteger());
    break;
  case 1:
    if (!values.empty())
      values.RemoveLast();
    break;
  case 2:
    values.Clear();
    break;
  case 3:
    if (values.size() > 1)
      values.SwapElements(below(values.size()), below(values.size()));
    break;
  default:
    if (!values.empty())
      values.Set(below(values.size()), oddInteger());
  }
}

/// Elements dropped, repeated or exchanged.
template <typename Repeated> void Mutator::changeOrder(Repeated &elements) {
  if (elements.empty())
    return;
  int at = below(elements.size());
  switch (below(3)) {
  case 0:
    elements.DeleteSubrange(at, 1);
    break;
  case 1:
    if (elements.size() < maxNodes) {
      auto copy = elements.Get(at);
      if constexpr (std::is_same_v<decltype(copy), NodeProto>)
        for (std::string &output : *copy.mutable_output())
          output += output.empty() ? "" : "_";
      *elements.Add() = std::move(copy);
    }
    break;
  default:
    elements.SwapElements(at, below(elements.size()));
  }
}

void Mutator::changeAttributeType(AttributeProto &attribute) {
  static constexpr AttributeProto::AttributeType kinds[] = {
      AttributeProto::FLOAT, AttributeProto::INT,    AttributeProto::STRING, AttributeProto::TENSOR,
      AttributeProto::FLOATS, AttributeProto::INTS,  AttributeProto::STRINGS, AttributeProto::GRAPH,
      AttributeProto::SPARSE_TENSOR, AttributeProto::TYPE_PROTO, AttributeProto::GRAPHS};
  attribute.set_type(kinds[below(std::size(kinds))]);
}

void Mutator::changeAttribute(NodeProto &node) {
  // The name of another node's attribute, as the op may have it too.
  if (chance(15))
    if (NodeProto *other = pick(nodes); other && other->attribute_size() && node.attribute_size() < 20) {
      AttributeProto copy = other->attribute(below(other->attribute_size()));
      for (AttributeProto &own : *node.mutable_attribute())
        if (own.name() == copy.name()) {
          own = std::move(copy);
          return;
        }
      *node.add_attribute() = std::move(copy);
      return;
    }
  AttributeProto *attribute = pickIn(*node.mutable_attribute());
  if (!attribute)
    return;
  if (chance(10))
    return changeAttributeType(*attribute);
  if (chance(10)) {
    return node.mutable_attribute()->DeleteSubrange(below(node.attribute_size()), 1);
  }
  switch (attribute->type()) {
  case AttributeProto::INT:
    attribute->set_i(chance(50) ? int64_t(uint64_t(attribute->i()) + (chance(50) ? 1 : -1))
                                : oddInteger());
    break;
  case AttributeProto::FLOAT:
    attribute->set_f(oddFloat());
    break;
  case AttributeProto::INTS:
    changeIntegers(*attribute->mutable_ints());
    break;
  case AttributeProto::FLOATS:
    if (chance(50) || attribute->floats().empty())
      attribute->add_floats(oddFloat());
    else
      attribute->mutable_floats()->Set(below(attribute->floats_size()), oddFloat());
    break;
  case AttributeProto::STRING:
    attribute->set_s(chance(50) ? "" : attribute->s() + "x");
    break;
  case AttributeProto::STRINGS:
    changeOrder(*attribute->mutable_strings());
    break;
  case AttributeProto::TENSOR:
    changeTensor(*attribute->mutable_t());
    break;
  case AttributeProto::GRAPH:
    if (GraphProto *graph = pick(graphs); graph && graphs.size() < maxGraphs) {
      GraphProto copy = *graph; // it may contain the attribute
      *attribute->mutable_g() = std::move(copy);
    }
    break;
  default:
    break;
  }
}

void Mutator::changeEdge(NodeProto &node) {
  auto &edges = chance(75) ? *node.mutable_input() : *node.mutable_output();
  switch (below(5)) {
  case 0:
    changeOrder(edges);
    break;
  case 1:
    *edges.Add() = anyValue();
    break;
  case 2:
    if (!edges.empty())
      *edges.Mutable(below(edges.size())) = "";
    break;
  default:
    if (!edges.empty())
      *edges.Mutable(below(edges.size())) = anyValue();
  }
}

void Mutator::changeOperator(NodeProto &node) {
  static const char *const operators[] = {
      "Add", "MatMul", "Reshape", "Concat", "Slice", "Gather", "Shape", "Transpose", "ReduceSum",
      "Unsqueeze", "Squeeze", "Expand", "Where", "Cast", "Softmax", "Gemm", "Conv", "Split", "If",
      "Loop", "Scan", "Pad", "Tile", "TopK", "Range", "ConstantOfShape", "NonZero", "Unique",
      "Compress", "ScatterND", "GatherND", "ScatterElements", "Einsum", "Attention", "CumSum",
      "LayerNormalization", "Resize", "OneHot", "Size", "Identity", "Flatten", "ArgMax", "MaxPool",
      "DequantizeLinear", "QuantizeLinear", "NonMaxSuppression", "Trilu", "EyeLike", "Constant"};
  if (NodeProto *other = pick(nodes); other && chance(50))
    node.set_op_type(std::string(other->op_type()));
  else
    node.set_op_type(operators[below(std::size(operators))]);
}

void Mutator::changeType(TypeProto &type) {
  if (chance(5)) {
    TypeProto element = type;
    if (chance(50))
      *type.mutable_sequence_type()->mutable_elem_type() = element;
    else
      *type.mutable_optional_type()->mutable_elem_type() = element;
    return;
  }
  auto &tensor = *type.mutable_tensor_type();
  if (chance(25))
    return tensor.set_elem_type(below(24));
  if (chance(5))
    return tensor.clear_shape();
  auto &dims = *tensor.mutable_shape()->mutable_dim();
  if (chance(25))
    return changeOrder(dims);
  if (dims.empty() || chance(5))
    dims.Add();
  TensorShapeProto::Dimension &dim = *dims.Mutable(below(dims.size()));
  if (chance(50))
    dim.set_dim_value(oddInteger());
  else
    dim.set_dim_param(chance(50) ? "N" : chance(50) ? "M" : "");
}

void Mutator::changeTensor(TensorProto &tensor) {
  switch (below(6)) {
  case 0:
    tensor.set_data_type(below(24));
    break;
  case 1:
    changeIntegers(*tensor.mutable_dims());
    break;
  case 2: {
    std::string &raw = *tensor.mutable_raw_data();
    raw.resize(below(raw.size() + 9));
    break;
  }
  case 3:
    if (std::string &raw = *tensor.mutable_raw_data(); raw.size() >= 8) {
      int64_t value = oddInteger();
      raw.replace(below(raw.size() / 8) * 8, 8, reinterpret_cast<const char *>(&value), 8);
    } else if (raw.empty()) {
      tensor.clear_raw_data();
      changeIntegers(*tensor.mutable_int64_data());
    }
    break;
  case 4:
    changeIntegers(*tensor.mutable_int32_data());
    break;
  default:
    if (tensor.int64_data_size())
      tensor.set_int64_data(below(tensor.int64_data_size()), oddInteger());
    else if (tensor.float_data_size())
      tensor.set_float_data(below(tensor.float_data_size()), oddFloat());
  }
}

void Mutator::changeNode(GraphProto &graph) {
  if (chance(30) && graphs.size() < maxGraphs && graph.node_size()) {
    // The same nodes once more, in a branch of their own.
    GraphProto body = graph;
    body.clear_input();
    NodeProto &node = *graph.add_node();
    node.set_op_type(chance(50) ? "If" : chance(50) ? "Loop" : "Scan");
    for (const char *name : {"then_branch", "else_branch", "body"}) {
      AttributeProto &branch = *node.add_attribute();
      branch.set_name(name);
      branch.set_type(AttributeProto::GRAPH);
      *branch.mutable_g() = body;
    }
    for (size_t i = 0, n = 1 + below(3); i < n; ++i)
      node.add_input(anyValue());
    for (const ValueInfoProto &output : body.output())
      node.add_output(output.name() + "_again");
    return;
  }
  changeOrder(*graph.mutable_node());
}

void Mutator::changeGraph(GraphProto &graph) {
  switch (below(7)) {
  case 0:
    changeOrder(*graph.mutable_input());
    break;
  case 1:
    changeOrder(*graph.mutable_output());
    break;
  case 2:
    changeOrder(*graph.mutable_initializer());
    break;
  case 3:
    if (ValueInfoProto *output = pickIn(*graph.mutable_output()))
      output->set_name(anyValue());
    break;
  case 4: // an initializer becomes an input: what was constant is known when it runs only
  case 5:
    if (int count = graph.initializer_size()) {
      graph.mutable_initializer()->SwapElements(below(count), count - 1);
      const TensorProto &tensor = graph.initializer(count - 1);
      ValueInfoProto &input = *graph.add_input();
      input.set_name(tensor.name());
      auto &type = *input.mutable_type()->mutable_tensor_type();
      type.set_elem_type(tensor.data_type());
      type.mutable_shape();
      for (int64_t size : tensor.dims())
        type.mutable_shape()->add_dim()->set_dim_value(size);
      graph.mutable_initializer()->RemoveLast();
    }
    break;
  default:
    if (ValueInfoProto *value = pickIn(*graph.mutable_output()))
      *graph.add_value_info() = *value;
  }
}

/// What is declared of outputs and values between no longer contradicts a change.
void Mutator::forgetShapes() {
  for (GraphProto *graph : graphs) {
    for (ValueInfoProto &output : *graph->mutable_output())
      if (output.type().has_tensor_type())
        output.mutable_type()->mutable_tensor_type()->clear_shape();
    graph->clear_value_info();
  }
}

/// Inputs of one size get one symbol in its place.
void Mutator::makeSymbolic() {
  TypeProto *type = pick(types);
  if (!type || type->tensor_type().shape().dim().empty())
    return;
  const auto &dims = type->tensor_type().shape().dim();
  int64_t size = dims.Get(below(dims.size())).dim_value();
  for (TypeProto *other : types) {
    if (!other->tensor_type().has_shape())
      continue;
    for (auto &dim : *other->mutable_tensor_type()->mutable_shape()->mutable_dim())
      if (dim.has_dim_value() && dim.dim_value() == size)
        dim.set_dim_param("s" + std::to_string(size));
  }
}

void Mutator::changeVersion() {
  if (auto *import = pickIn(*model.mutable_opset_import()))
    import->set_version(chance(80) ? 1 + below(26) : oddInteger());
}

void Mutator::run() {
  if (chance(40))
    forgetShapes();
  GraphProto *graph = pick(graphs);
  NodeProto *node = pick(nodes);
  TensorProto *tensor = pick(tensors);
  TypeProto *type = pick(types);
  switch (below(100)) {
  case 0 ... 24:
    return node ? changeAttribute(*node) : void();
  case 25 ... 44:
    return node ? changeEdge(*node) : void();
  case 45 ... 64:
    return type ? changeType(*type) : void();
  case 65 ... 79:
    return tensor ? changeTensor(*tensor) : void();
  case 80 ... 87:
    return node ? changeOperator(*node) : void();
  case 88 ... 92:
    return changeNode(*graph);
  case 93 ... 96:
    return changeGraph(*graph);
  case 97 ... 98:
    return makeSymbolic();
  default:
    return changeVersion();
  }
}

} // namespace

void sq::test::mutate(ModelProto &model, std::mt19937 &random) { Mutator(model, random).run(); }

void sq::test::mutateBytes(std::string &bytes, std::mt19937 &random) {
  for (int changes = 1 + random() % 4; changes && !bytes.empty(); --changes) {
    size_t at = random() % bytes.size();
    switch (random() % 4) {
    case 0:
      bytes[at] ^= 1 << random() % 8;
      break;
    case 1:
      bytes[at] = char(random());
      break;
    case 2:
      bytes.erase(at, 1 + random() % 8);
      break;
    default:
      bytes.insert(at, bytes.substr(random() % bytes.size(), 1 + random() % 16));
    }
  }
}
