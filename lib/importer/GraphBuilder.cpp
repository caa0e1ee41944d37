#include "lib/importer/GraphBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Messages.h"
#include "lib/importer/Structure.h"
#include "lib/importer/Tensors.h"
#include "lib/importer/Types.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TypeProto;

namespace sq::importer {
namespace {

/// The values and types of one graph, and through `outer` the values of those around it.
struct Scope {
  const Scope *outer = nullptr;
  llvm::StringMap<Value> values;
  llvm::StringMap<const TypeProto *> types;

  Value lookup(StringRef name) const {
    for (const Scope *scope = this; scope; scope = scope->outer)
      if (Value value = scope->values.lookup(name))
        return value;
    return {};
  }
};

class GraphBuilder {
public:
  GraphBuilder(ModelProto &model, SetAside &setAside, ExternalFiles &files, Location loc)
      : model(model), setAside(setAside), files(files), loc(loc), b(loc.getContext()) {}

  OwningOpRef<ModuleOp> build();

private:
  static Scope openScope(const GraphProto &graph, const Scope *outer);
  LogicalResult addBody(GraphProto &graph, Scope &scope, Location graphLoc);
  LogicalResult addNode(NodeProto &node, Scope &scope);
  LogicalResult addConstantNode(NodeProto &node, Scope &scope, Location nodeLoc);
  void addConstant(StringRef name, ElementsAttr value, Location constantLoc, Scope &scope);
  LogicalResult addRegion(OperationState &state, GraphProto &graph, const Scope &outer);
  FailureOr<SmallVector<Value>> outputValues(const GraphProto &graph, const Scope &scope,
                                             Location graphLoc);
  FailureOr<Attribute> convertAttribute(AttributeProto &attribute, Location nodeLoc);
  FailureOr<Attribute> convertSparse(::onnx::SparseTensorProto &tensor, Location nodeLoc,
                                     const Twine &what);
  FailureOr<Type> typeOf(const std::string &name, const Scope &scope, Location nodeLoc);
  DictionaryAttr valueAttributes(const std::string &name, ArrayRef<std::string> dims);
  ArrayAttr strings(ArrayRef<std::string> values);

  ModelProto &model;
  SetAside &setAside;
  ExternalFiles &files;
  Location loc;
  OpBuilder b;
};

Scope GraphBuilder::openScope(const GraphProto &graph, const Scope *outer) {
  Scope scope;
  scope.outer = outer;
  // Shape inference may know an output both ways; what it merged into the output is the better.
  for (const auto &value : graph.value_info())
    scope.types[value.name()] = &value.type();
  for (const auto &value : graph.output())
    scope.types[value.name()] = &value.type();
  for (const auto &value : graph.input())
    scope.types[value.name()] = &value.type();
  return scope;
}

FailureOr<Type> GraphBuilder::typeOf(const std::string &name, const Scope &scope,
                                     Location nodeLoc) {
  auto found = scope.types.find(name);
  if (name.empty() || found == scope.types.end())
    return Type(onnx::UnknownType::get(b.getContext()));
  return convertType(*found->second, nodeLoc, "value " + quoted(name));
}

ArrayAttr GraphBuilder::strings(ArrayRef<std::string> values) {
  SmallVector<Attribute> attributes;
  for (const std::string &value : values)
    attributes.push_back(b.getStringAttr(value));
  return b.getArrayAttr(attributes);
}

DictionaryAttr GraphBuilder::valueAttributes(const std::string &name, ArrayRef<std::string> dims) {
  return b.getDictionaryAttr({b.getNamedAttr("onnx.name", b.getStringAttr(name)),
                              b.getNamedAttr("onnx.dims", strings(dims))});
}

void GraphBuilder::addConstant(StringRef name, ElementsAttr value, Location constantLoc,
                               Scope &scope) {
  auto constant = onnx::ConstantOp::create(b, constantLoc, TypeRange(value.getType()),
                                           ValueRange(), value);
  if (!name.empty())
    scope.values[name] = constant.getResult(0);
}

/// Initializers, nodes: everything of a graph except its inputs and its end.
LogicalResult GraphBuilder::addBody(GraphProto &graph, Scope &scope, Location graphLoc) {
  for (auto &tensor : *graph.mutable_initializer()) {
    Location tensorLoc = NameLoc::get(b.getStringAttr(tensor.name()));
    FailureOr<ElementsAttr> value =
        convertTensor(tensor, graphLoc, "initializer " + quoted(tensor.name()), files);
    if (failed(value))
      return failure();
    addConstant(tensor.name(), *value, tensorLoc, scope);
  }
  auto sparse = setAside.sparse.find(&graph);
  if (sparse != setAside.sparse.end())
    for (auto &tensor : sparse->second) {
      const std::string name = tensor.values().name();
      FailureOr<ElementsAttr> value =
          convertSparseTensor(tensor, graphLoc, "sparse constant " + quoted(name), files);
      if (failed(value))
        return failure();
      addConstant(name, *value, NameLoc::get(b.getStringAttr(name)), scope);
    }
  for (NodeProto &node : *graph.mutable_node())
    if (failed(addNode(node, scope)))
      return failure();
  return success();
}

FailureOr<SmallVector<Value>> GraphBuilder::outputValues(const GraphProto &graph,
                                                         const Scope &scope, Location graphLoc) {
  SmallVector<Value> values;
  for (const auto &output : graph.output()) {
    values.push_back(scope.lookup(output.name()));
    if (!values.back())
      return emitError(graphLoc) << "output " << quoted(output.name()) << " is not defined";
  }
  return values;
}

LogicalResult GraphBuilder::addRegion(OperationState &state, GraphProto &graph,
                                      const Scope &outer) {
  Block *block = new Block;
  state.addRegion()->push_back(block);
  Scope scope = openScope(graph, &outer);
  for (const auto &input : graph.input()) {
    FailureOr<Type> type = typeOf(input.name(), scope, state.location);
    if (failed(type))
      return failure();
    scope.values[input.name()] =
        block->addArgument(*type, NameLoc::get(b.getStringAttr(input.name())));
  }
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(block);
  if (failed(addBody(graph, scope, state.location)))
    return failure();
  FailureOr<SmallVector<Value>> outputs = outputValues(graph, scope, state.location);
  if (failed(outputs))
    return failure();
  onnx::YieldOp::create(b, state.location, *outputs);
  return success();
}

FailureOr<Attribute> GraphBuilder::convertSparse(::onnx::SparseTensorProto &tensor,
                                                 Location nodeLoc, const Twine &what) {
  FailureOr<ElementsAttr> values = convertTensor(*tensor.mutable_values(), nodeLoc, what, files);
  FailureOr<ElementsAttr> indices = convertTensor(*tensor.mutable_indices(), nodeLoc, what, files);
  if (failed(values) || failed(indices))
    return failure();
  ArrayRef<int64_t> dims(tensor.dims().data(), tensor.dims_size());
  return Attribute(b.getDictionaryAttr({b.getNamedAttr("values", *values),
                                        b.getNamedAttr("indices", *indices),
                                        b.getNamedAttr("dims", b.getDenseI64ArrayAttr(dims))}));
}

/// Any attribute but graphs, which are regions.
FailureOr<Attribute> GraphBuilder::convertAttribute(AttributeProto &attribute, Location nodeLoc) {
  std::string what = "attribute " + quoted(attribute.name());
  SmallVector<Attribute> elements;
  switch (attribute.type()) {
  case AttributeProto::FLOAT:
    return Attribute(b.getF32FloatAttr(attribute.f()));
  case AttributeProto::INT:
    return Attribute(b.getI64IntegerAttr(attribute.i()));
  case AttributeProto::STRING:
    return Attribute(b.getStringAttr(attribute.s()));
  case AttributeProto::FLOATS:
    return Attribute(b.getDenseF32ArrayAttr(
        ArrayRef<float>(attribute.floats().data(), attribute.floats_size())));
  case AttributeProto::INTS:
    return Attribute(b.getDenseI64ArrayAttr(
        ArrayRef<int64_t>(attribute.ints().data(), attribute.ints_size())));
  case AttributeProto::STRINGS:
    for (const std::string &string : attribute.strings())
      elements.push_back(b.getStringAttr(string));
    return Attribute(b.getArrayAttr(elements));
  case AttributeProto::TENSOR: {
    FailureOr<ElementsAttr> tensor = convertTensor(*attribute.mutable_t(), nodeLoc, what, files);
    if (failed(tensor))
      return failure();
    return Attribute(*tensor);
  }
  case AttributeProto::SPARSE_TENSOR:
    return convertSparse(*attribute.mutable_sparse_tensor(), nodeLoc, what);
  case AttributeProto::TYPE_PROTO: {
    FailureOr<Type> type = convertType(attribute.tp(), nodeLoc, what);
    if (failed(type))
      return failure();
    return Attribute(TypeAttr::get(*type));
  }
  case AttributeProto::TENSORS:
    for (auto &proto : *attribute.mutable_tensors()) {
      FailureOr<ElementsAttr> tensor = convertTensor(proto, nodeLoc, what, files);
      if (failed(tensor))
        return failure();
      elements.push_back(*tensor);
    }
    return Attribute(b.getArrayAttr(elements));
  case AttributeProto::SPARSE_TENSORS:
    for (auto &proto : *attribute.mutable_sparse_tensors()) {
      FailureOr<Attribute> tensor = convertSparse(proto, nodeLoc, what);
      if (failed(tensor))
        return failure();
      elements.push_back(*tensor);
    }
    return Attribute(b.getArrayAttr(elements));
  case AttributeProto::TYPE_PROTOS:
    for (const auto &proto : attribute.type_protos()) {
      FailureOr<Type> type = convertType(proto, nodeLoc, what);
      if (failed(type))
        return failure();
      elements.push_back(TypeAttr::get(*type));
    }
    return Attribute(b.getArrayAttr(elements));
  default:
    return emitError(nodeLoc) << what << " has the unknown type " << int(attribute.type());
  }
}

/// All value_* forms of Constant are one op with one attribute.
LogicalResult GraphBuilder::addConstantNode(NodeProto &node, Scope &scope, Location nodeLoc) {
  if (node.attribute_size() != 1 || node.output_size() != 1)
    return emitError(nodeLoc) << "a Constant has " << node.attribute_size() << " attributes and "
                              << node.output_size() << " outputs; expected one of each";
  AttributeProto &attribute = *node.mutable_attribute(0);
  auto stringType = [&](ArrayRef<int64_t> shape) {
    return RankedTensorType::get(shape, onnx::StringType::get(b.getContext()));
  };
  ElementsAttr value;
  switch (attribute.type()) {
  case AttributeProto::TENSOR: {
    if (attribute.t().name().empty())
      attribute.mutable_t()->set_name(node.output(0));
    FailureOr<ElementsAttr> tensor =
        convertTensor(*attribute.mutable_t(), nodeLoc, "attribute 'value'", files);
    if (failed(tensor))
      return failure();
    value = *tensor;
    break;
  }
  case AttributeProto::FLOAT:
    value = DenseElementsAttr::get(RankedTensorType::get({}, b.getF32Type()), attribute.f());
    break;
  case AttributeProto::INT:
    value = DenseElementsAttr::get(RankedTensorType::get({}, b.getI64Type()),
                                   static_cast<int64_t>(attribute.i()));
    break;
  case AttributeProto::STRING:
    value = DenseElementsAttr::get(stringType({}), {StringRef(attribute.s())});
    break;
  case AttributeProto::FLOATS:
    value = DenseElementsAttr::get(
        RankedTensorType::get({attribute.floats_size()}, b.getF32Type()),
        ArrayRef<float>(attribute.floats().data(), attribute.floats_size()));
    break;
  case AttributeProto::INTS:
    value = DenseElementsAttr::get(
        RankedTensorType::get({attribute.ints_size()}, b.getI64Type()),
        ArrayRef<int64_t>(attribute.ints().data(), attribute.ints_size()));
    break;
  case AttributeProto::STRINGS: {
    SmallVector<StringRef> texts(attribute.strings().begin(), attribute.strings().end());
    value = DenseElementsAttr::get(stringType({attribute.strings_size()}), texts);
    break;
  }
  default:
    return emitError(nodeLoc) << "attribute " << quoted(attribute.name())
                              << " of a Constant has no value that a tensor can have";
  }
  addConstant(node.output(0), value, nodeLoc, scope);
  return success();
}

LogicalResult GraphBuilder::addNode(NodeProto &node, Scope &scope) {
  Location nodeLoc = nodeLocation(node, b.getContext());
  std::string opName = "onnx." + node.op_type();
  bool known = isDialectOp(model, node, b.getContext());
  if (known && node.op_type() == "Constant")
    return addConstantNode(node, scope, nodeLoc);

  OperationState state(nodeLoc, known ? StringRef(opName) : onnx::CustomOp::getOperationName());
  // Trailing omitted inputs are absent, others keep their place.
  int inputs = node.input_size();
  while (inputs > 0 && node.input(inputs - 1).empty())
    --inputs;
  Value noValue;
  for (int i = 0; i < inputs; ++i) {
    Value value;
    if (node.input(i).empty()) {
      if (!noValue)
        noValue = onnx::NoValueOp::create(b, nodeLoc, b.getNoneType());
      value = noValue;
    } else {
      value = scope.lookup(node.input(i));
    }
    if (!value)
      return emitError(nodeLoc) << "input " << quoted(node.input(i)) << " is not defined";
    state.operands.push_back(value);
  }
  for (const std::string &output : node.output()) {
    FailureOr<Type> type = typeOf(output, scope, nodeLoc);
    if (failed(type))
      return failure();
    state.types.push_back(*type);
  }

  NamedAttrList attributes;
  SmallVector<std::string> regionNames;
  for (AttributeProto &attribute : *node.mutable_attribute()) {
    if (attribute.type() == AttributeProto::GRAPH) {
      regionNames.push_back(attribute.name());
      if (failed(addRegion(state, *attribute.mutable_g(), scope)))
        return failure();
      continue;
    }
    if (attribute.type() == AttributeProto::GRAPHS) {
      for (GraphProto &graph : *attribute.mutable_graphs()) {
        regionNames.push_back(attribute.name());
        if (failed(addRegion(state, graph, scope)))
          return failure();
      }
      continue;
    }
    // Names that begin so are a private matter of the writer; onnx ignores them too.
    if (known && StringRef(attribute.name()).starts_with("__"))
      continue;
    FailureOr<Attribute> value = convertAttribute(attribute, nodeLoc);
    if (failed(value))
      return failure();
    attributes.append(attribute.name(), *value);
  }
  if (known) {
    state.attributes = attributes;
  } else {
    state.addAttribute("domain",
                       b.getStringAttr(node.domain().empty() ? "ai.onnx" : node.domain()));
    state.addAttribute("op_type", b.getStringAttr(node.op_type()));
    state.addAttribute("opset", b.getI64IntegerAttr(importedVersion(model, node.domain())));
    state.addAttribute("attributes", attributes.getDictionary(b.getContext()));
  }
  if (!regionNames.empty())
    state.addAttribute("region_names", strings(regionNames));
  // A setter would drop an attribute of another kind than this op's without a word.
  auto error = [&] { return emitError(nodeLoc) << node.op_type() << ": "; };
  if (failed(state.name.getRegisteredInfo()->verifyInherentAttrs(state.attributes, error)))
    return failure();
  Operation *op = b.create(state);
  for (auto [output, result] : llvm::zip_equal(node.output(), op->getResults()))
    if (!output.empty())
      scope.values[output] = result;
  return success();
}

/// Whether a value of type `actual` can be what a file declares as `declared`.
bool fits(Type actual, Type declared) {
  auto actualTensor = dyn_cast<TensorType>(actual), declaredTensor = dyn_cast<TensorType>(declared);
  if (!actualTensor || !declaredTensor)
    return true;
  return actualTensor.getElementType() == declaredTensor.getElementType() &&
         succeeded(verifyCompatibleShape(actualTensor, declaredTensor));
}

OwningOpRef<ModuleOp> GraphBuilder::build() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  SmallVector<NamedAttribute> imports;
  for (const auto &import : model.opset_import())
    imports.push_back(b.getNamedAttr(import.domain().empty() ? "ai.onnx" : import.domain(),
                                     b.getI64IntegerAttr(import.version())));
  (*module)->setAttr("onnx.ir_version", b.getI64IntegerAttr(model.ir_version()));
  (*module)->setAttr("onnx.opset_imports", b.getDictionaryAttr(imports));
  std::string producer = model.producer_name();
  if (!model.producer_version().empty())
    producer += " " + model.producer_version();
  (*module)->setAttr("onnx.producer", b.getStringAttr(producer));

  GraphProto &graph = *model.mutable_graph();
  llvm::StringSet<> initializers;
  for (const auto &tensor : graph.initializer())
    initializers.insert(tensor.name());
  for (const auto &tensor : setAside.sparse.lookup(&graph))
    initializers.insert(tensor.values().name());

  Scope scope = openScope(graph, nullptr);
  Block *entry = new Block;
  Region body;
  body.push_back(entry);
  SmallVector<Attribute> argumentAttributes, resultAttributes;
  for (const auto &input : graph.input()) {
    if (initializers.contains(input.name()))
      continue;
    FailureOr<Type> type = convertType(input.type(), loc, "input " + quoted(input.name()));
    if (failed(type))
      return {};
    scope.values[input.name()] =
        entry->addArgument(*type, NameLoc::get(b.getStringAttr(input.name())));
    argumentAttributes.push_back(valueAttributes(input.name(), dimSymbols(input.type())));
  }
  b.setInsertionPointToEnd(entry);
  if (failed(addBody(graph, scope, loc)))
    return {};
  FailureOr<SmallVector<Value>> outputs = outputValues(graph, scope, loc);
  if (failed(outputs))
    return {};
  for (auto [output, value, dims] :
       llvm::zip_equal(graph.output(), *outputs, setAside.outputDims)) {
    FailureOr<Type> declared = convertType(output.type(), loc, "output " + quoted(output.name()));
    if (failed(declared))
      return {};
    if (!fits(value.getType(), *declared)) {
      emitError(loc) << "output " << quoted(output.name()) << " is declared as " << *declared
                     << " and is a " << value.getType();
      return {};
    }
    if (auto shaped = dyn_cast<ShapedType>(value.getType()); shaped && shaped.hasRank())
      dims.resize(shaped.getRank()); // the file may leave the shape to inference
    resultAttributes.push_back(valueAttributes(output.name(), dims));
  }
  func::ReturnOp::create(b, loc, *outputs);

  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(
      b, loc, "main",
      b.getFunctionType(entry->getArgumentTypes(), TypeRange(ValueRange(*outputs))));
  function.getBody().takeBody(body);
  function.setAllArgAttrs(argumentAttributes);
  function.setAllResultAttrs(resultAttributes);
  return module;
}

} // namespace

std::vector<std::string> dimSymbols(const TypeProto &type) {
  std::vector<std::string> symbols;
  for (const auto &dim : type.tensor_type().shape().dim())
    symbols.push_back(dim.dim_param());
  return symbols;
}

OwningOpRef<ModuleOp> buildModule(ModelProto &model, SetAside &setAside, ExternalFiles &files,
                                  Location loc) {
  return GraphBuilder(model, setAside, files, loc).build();
}

} // namespace sq::importer
