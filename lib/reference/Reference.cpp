#include "lib/reference/Reference.h"

#include "lib/reference/Nodes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace sq;
using numerics::DType;
using numerics::Error;
using numerics::Tensor;

std::optional<DType> reference::dtypeOf(Type type) {
  if (type.isF64())
    return DType::F64;
  if (type.isF32())
    return DType::F32;
  if (type.isF16())
    return DType::F16;
  if (type.isBF16())
    return DType::BF16;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return std::nullopt;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return DType::Bool;
  case 8:
    return isUnsigned ? DType::U8 : DType::I8;
  case 16:
    return isUnsigned ? DType::U16 : DType::I16;
  case 32:
    return isUnsigned ? DType::U32 : DType::I32;
  case 64:
    return isUnsigned ? DType::U64 : DType::I64;
  default:
    return std::nullopt;
  }
}

namespace {

std::string text(Type type) {
  std::string result;
  llvm::raw_string_ostream(result) << type;
  return result;
}

/// The node's name and operator, for messages.
std::string describe(Operation *op) {
  std::string result;
  llvm::raw_string_ostream os(result);
  os << "node ";
  if (auto name = op->getLoc()->findInstanceOf<NameLoc>())
    os << name.getName() << " ";
  StringRef type = op->getName().stripDialect();
  if (auto custom = op->getAttrOfType<StringAttr>("op_type"))
    type = custom.getValue();
  os << "(" << type << ")";
  return result;
}

} // namespace

Tensor reference::tensorOf(ElementsAttr value) {
  ShapedType type = value.getShapedType();
  std::optional<DType> dtype = dtypeOf(type.getElementType());
  if (!dtype)
    throw Error("elements of type " + text(type.getElementType()) +
                " are unknown to the reference");
  numerics::Shape shape(type.getShape().begin(), type.getShape().end());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      throw Error("constant without data");
    return numerics::fromBytes(*dtype, shape, blob->getData().data(), blob->getData().size());
  }
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (!dense)
    throw Error("constant that is not dense");
  Tensor tensor = Tensor::zeros(*dtype, shape);
  int64_t i = 0;
  if (tensor.isFloat()) {
    for (APFloat element : dense.getValues<APFloat>()) {
      bool losesInfo;
      element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
      tensor.reals[i++] = element.convertToDouble();
    }
  } else {
    for (const APInt &element : dense.getValues<APInt>())
      tensor.integers[i++] = numerics::wrap(element.getZExtValue(), *dtype);
  }
  return tensor;
}

const Tensor &reference::Node::input(size_t index) const {
  if (!has(index))
    throw Error("input " + std::to_string(index) + " is missing");
  return *inputs[index];
}

int64_t reference::Node::integer(StringRef name, std::optional<int64_t> otherwise) const {
  if (auto attribute = op->getAttrOfType<IntegerAttr>(name))
    return attribute.getInt();
  if (!otherwise)
    throw Error("attribute " + name.str() + " is missing");
  return *otherwise;
}

double reference::Node::real(StringRef name, std::optional<double> otherwise) const {
  if (auto attribute = op->getAttrOfType<FloatAttr>(name))
    return attribute.getValueAsDouble();
  if (!otherwise)
    throw Error("attribute " + name.str() + " is missing");
  return *otherwise;
}

std::string reference::Node::string(StringRef name, StringRef otherwise) const {
  auto attribute = op->getAttrOfType<StringAttr>(name);
  return attribute ? attribute.getValue().str() : otherwise.str();
}

std::optional<std::vector<int64_t>> reference::Node::integers(StringRef name) const {
  auto attribute = op->getAttrOfType<DenseI64ArrayAttr>(name);
  if (!attribute)
    return std::nullopt;
  return std::vector<int64_t>(attribute.asArrayRef());
}

std::optional<std::vector<int64_t>> reference::Node::integers(size_t index,
                                                              StringRef attribute) const {
  if (!has(index))
    return integers(attribute);
  if (input(index).isFloat() || input(index).rank() > 1)
    throw Error("input " + std::to_string(index) + " is not a vector of integers");
  return input(index).integers;
}

namespace {

func::FuncOp mainOf(ModuleOp module) { return module.lookupSymbol<func::FuncOp>("main"); }

reference::Argument argumentOf(Type type, Attribute name) {
  auto string = dyn_cast_or_null<StringAttr>(name);
  auto shaped = dyn_cast<ShapedType>(type);
  return {string ? string.getValue().str() : "",
          shaped ? reference::dtypeOf(shaped.getElementType()) : std::nullopt};
}

/// Runs the body of @main; throws Error.
class Interpreter {
public:
  Interpreter(ModuleOp module, reference::Observer observer) : observer(observer) {
    if (auto imports = module->getAttrOfType<DictionaryAttr>("onnx.opset_imports"))
      if (auto version = imports.getAs<IntegerAttr>("ai.onnx"))
        opset = version.getInt();
    reference::addElementwiseNodes(handlers);
    reference::addLayoutNodes(handlers);
    reference::addRecurrentNodes(handlers);
    reference::addReductionNodes(handlers);
  }

  std::vector<Tensor> run(func::FuncOp function, const std::vector<Tensor> &inputs) {
    Block &body = function.getBody().front();
    if (inputs.size() != body.getNumArguments())
      throw Error(std::to_string(inputs.size()) + " inputs given; the model has " +
                  std::to_string(body.getNumArguments()));
    for (auto [argument, input] : llvm::zip_equal(body.getArguments(), inputs)) {
      checkInput(argument, input, argumentOf(argument.getType(),
                                             function.getArgAttr(argument.getArgNumber(),
                                                                 "onnx.name")).name);
      define(argument, input);
    }
    for (Operation &op : body.without_terminator()) {
      try {
        step(op);
      } catch (const Error &error) {
        throw Error(describe(&op) + ": " + error.what());
      }
    }
    std::vector<Tensor> results;
    for (Value value : body.getTerminator()->getOperands())
      results.push_back(lookup(value));
    return results;
  }

private:
  void checkInput(BlockArgument argument, const Tensor &input, const std::string &name) {
    auto type = dyn_cast<TensorType>(argument.getType());
    bool fits = type && reference::dtypeOf(type.getElementType()) == input.dtype;
    if (fits && type.hasRank()) {
      fits = type.getRank() == input.rank();
      for (int64_t d = 0; fits && d < type.getRank(); ++d)
        fits = type.isDynamicDim(d) || type.getDimSize(d) == input.shape[d];
    }
    if (!fits)
      throw Error("input \"" + name + "\": given " + numerics::name(input.dtype) +
                  numerics::format(input.shape) + ", expected " + text(argument.getType()));
  }

  void step(Operation &op) {
    StringRef name = op.getName().stripDialect();
    if (op.getName().getDialectNamespace() != "onnx")
      throw Error("not an onnx operator; the reference takes what the importer delivers");
    if (name == "NoValue")
      return;
    auto handler = handlers.find(name);
    if (handler == handlers.end())
      throw Error("unknown to the reference");

    std::vector<const Tensor *> operands;
    for (Value operand : op.getOperands())
      operands.push_back(isa<NoneType>(operand.getType()) ? nullptr : &lookup(operand));
    std::vector<Tensor> results = handler->second({&op, opset, operands});
    if (observer)
      observer(&op, results);
    for (auto [value, tensor] : llvm::zip(op.getResults(), results))
      define(value, std::move(tensor));
    for (Value operand : op.getOperands())
      release(operand);
  }

  const Tensor &lookup(Value value) {
    auto found = values.find(value);
    if (found == values.end())
      throw Error("an operand was not computed; its node has an output that is unknown to the "
                  "reference");
    return *found->second;
  }

  /// A value lives until its last use: in float64, the attention of a long
  /// sequence alone takes hundreds of megabytes a layer.
  void define(Value value, Tensor tensor) {
    pendingUses[value] = std::distance(value.use_begin(), value.use_end());
    if (pendingUses[value])
      values[value] = std::make_unique<Tensor>(std::move(tensor));
  }
  void release(Value value) {
    auto pending = pendingUses.find(value);
    if (pending != pendingUses.end() && --pending->second == 0)
      values.erase(value);
  }

  reference::Observer observer;
  int64_t opset = 0;
  reference::HandlerTable handlers;
  llvm::DenseMap<Value, std::unique_ptr<Tensor>> values; // pointers stay while the map grows
  llvm::DenseMap<Value, int64_t> pendingUses;
};

} // namespace

std::vector<reference::Argument> reference::inputsOf(ModuleOp module) {
  std::vector<Argument> arguments;
  if (func::FuncOp function = mainOf(module))
    for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
      arguments.push_back(argumentOf(type, function.getArgAttr(i, "onnx.name")));
  return arguments;
}

std::vector<reference::Argument> reference::outputsOf(ModuleOp module) {
  std::vector<Argument> arguments;
  if (func::FuncOp function = mainOf(module))
    for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
      arguments.push_back(argumentOf(type, function.getResultAttr(i, "onnx.name")));
  return arguments;
}

llvm::Expected<std::vector<Tensor>> reference::run(ModuleOp module,
                                                   const std::vector<Tensor> &inputs,
                                                   Observer observer) {
  func::FuncOp function = mainOf(module);
  if (!function || function.isExternal())
    return llvm::createStringError("the module has no function @main");
  try {
    return Interpreter(module, observer).run(function, inputs);
  } catch (const Error &error) {
    return llvm::createStringError(error.what());
  } catch (const std::bad_alloc &) {
    return llvm::createStringError("out of memory in the reference");
  }
}
