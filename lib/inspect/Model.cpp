#include "lib/inspect/Inspect.h"

#include "llvm/ADT/MapVector.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Pass/PassManager.h"

#include "codegen/common/KernelHelpers.h"
#include "codegen/common/KernelWork.h"
#include "lib/driver/Manifest.h"
#include "lib/importer/Importer.h"
#include "lib/init/InitSq.h"
#include "passes/Pipelines.h"
#include "passes/analysis/NodeOutputs.h"
#include "passes/lower_onnx/Lowering.h"

using namespace mlir;
using namespace sq;
using namespace sq::inspect;

namespace {

std::string typeName(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  StringRef known = shaped && shaped.hasRank() ? dtypeName(shaped.getElementType()) : StringRef();
  if (!known.empty())
    return known.str();
  std::string text;
  llvm::raw_string_ostream os(text);
  if (shaped && shaped.hasRank())
    os << shaped.getElementType();
  else
    os << type;
  return text;
}

/// An argument or result of @main as the importer or a pass left it.
ManifestTensor signatureOf(Type type, DictionaryAttr attributes, DictionaryAttr ranges) {
  auto get = [&](StringRef name) -> Attribute {
    for (StringRef dialect : {"onnx.", "sq."})
      if (Attribute found = attributes ? attributes.get((dialect + name).str()) : Attribute())
        return found;
    return {};
  };
  ManifestTensor tensor;
  if (auto name = dyn_cast_if_present<StringAttr>(get("name")))
    tensor.name = name.str();
  tensor.dtype = typeName(type);
  auto shaped = dyn_cast<ShapedType>(type);
  if (!shaped || !shaped.hasRank())
    return tensor;
  auto symbols = dyn_cast_if_present<ArrayAttr>(get("dims"));
  for (auto [i, size] : llvm::enumerate(shaped.getShape())) {
    ManifestDim dim;
    if (!ShapedType::isDynamic(size)) {
      dim.min = dim.max = size;
    } else {
      dim.max = INT64_MAX;
      if (symbols && i < symbols.size())
        if (auto name = dyn_cast<StringAttr>(symbols[i]))
          dim.name = name.str();
      if (auto range = ranges ? ranges.getAs<DenseI64ArrayAttr>(dim.name) : nullptr; range && range.size() == 2) {
        dim.min = range[0];
        dim.max = range[1];
      }
    }
    tensor.dims.push_back(std::move(dim));
  }
  return tensor;
}

class Reader {
public:
  Reader(const std::string &path, Model &model)
      : model(model), context(registryOfSq(), MLIRContext::Threading::DISABLED),
        handler(&context, [this](Diagnostic &d) {
          if (d.getSeverity() == DiagnosticSeverity::Error)
            note(d);
          return success();
        }) {
    model.path = path;
    context.loadAllAvailableDialects();
  }

  Status read(const DimRanges &shape) {
    module = loadModel(model.path, context);
    if (!module || failed(applyShapes(*module, shape)))
      return Status::refused(model.problems.empty() ? "cannot read '" + model.path + "'"
                                                    : llvm::join(model.problems, "\n"));
    readHeader();
    readSignature();
    module->walk([&](Operation *op) { count(op); });
    sortCounts();
    if (failed(run(buildOnnxToGraph))) {
      for (Operator &op : model.operators)
        op.refused = llvm::any_of(model.refusals, [&](const Refusal &refusal) { return refusal.op == op.name; });
      if (model.isAccepted())
        model.problems.push_back("the model could not be normalised");
      return {};
    }
    if (failed(run([](OpPassManager &pm) { buildGraphToBuffers(pm); })))
      return {ExitCode::Defect, "the model could not be bufferized: " + llvm::join(model.problems, "; ")};
    readKernels();
    return {};
  }

private:
  static DialectRegistry registryOfSq() {
    DialectRegistry registry;
    registerDialects(registry);
    return registry;
  }

  LogicalResult run(function_ref<void(OpPassManager &)> build) {
    PassManager pm(&context, ModuleOp::getOperationName());
    build(pm);
    return pm.run(*module);
  }

  /// --sq-lower-onnx builds its errors of parts: "cannot lower ", the operator, ": ", the
  /// reason, and " (node '", name, "')" or " (", count, " nodes, the first is '", name, "')".
  void note(Diagnostic &d) {
    ArrayRef<DiagnosticArgument> parts = d.getArguments();
    using Kind = DiagnosticArgument::DiagnosticArgumentKind;
    auto text = [&](size_t i) {
      return i < parts.size() && parts[i].getKind() == Kind::String ? parts[i].getAsString() : StringRef();
    };
    if (text(0) != "cannot lower " || parts.size() < 7) {
      std::string where;
      llvm::raw_string_ostream os(where);
      if (!isa<UnknownLoc>(d.getLocation())) {
        d.getLocation().print(os);
        StringRef shown(where);
        shown.consume_front("loc(");
        shown.consume_back(")");
        where = shown.str() + ": ";
      }
      model.problems.push_back(where + d.str());
      return;
    }
    bool isOne = text(4) == " (node '";
    Refusal refusal{text(1).split(" (opset ").first.str(), text(3).str(), text(isOne ? 5 : 7).str(), 1};
    if (!isOne && parts[5].getKind() == Kind::Unsigned)
      refusal.nodes = parts[5].getAsUnsigned();
    else if (!isOne && parts[5].getKind() == Kind::Integer)
      refusal.nodes = parts[5].getAsInteger();
    model.refusals.push_back(std::move(refusal));
  }

  void readHeader() {
    if (auto producer = (*module)->getAttrOfType<StringAttr>("onnx.producer"))
      model.producer = producer.str();
    if (auto version = (*module)->getAttrOfType<IntegerAttr>("onnx.ir_version"))
      model.irVersion = version.getInt();
    if (auto imports = (*module)->getAttrOfType<DictionaryAttr>("onnx.opset_imports"))
      for (NamedAttribute import : imports)
        if (auto version = dyn_cast<IntegerAttr>(import.getValue()))
          model.opsets.emplace_back(import.getName().str(), version.getInt());
  }

  void readSignature() {
    auto main = module->lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    model.inputs.clear();
    model.outputs.clear();
    auto ranges = (*module)->getAttrOfType<DictionaryAttr>("sq.dims");
    for (auto [i, type] : llvm::enumerate(main.getArgumentTypes()))
      model.inputs.push_back(signatureOf(type, main.getArgAttrDict(i), ranges));
    for (auto [i, type] : llvm::enumerate(main.getResultTypes()))
      model.outputs.push_back(signatureOf(type, main.getResultAttrDict(i), ranges));
  }

  void count(Operation *op) {
    StringRef dialect = op->getName().getDialectNamespace(), name = op->getName().getStringRef();
    if (auto value = op->getAttrOfType<ElementsAttr>("value"); value && op->getNumOperands() == 0) {
      Parameters &sum = parameters[typeName(value.getShapedType())];
      sum.tensors += 1;
      sum.elements += value.getNumElements();
      Type element = value.getElementType();
      if (element.isIndex())
        sum.bytes += 8 * value.getNumElements();
      else if (element.isInteger(1))
        sum.bytes += value.getNumElements();
      else if (element.isIntOrFloat())
        sum.bytes += llvm::divideCeil(value.getNumElements() * element.getIntOrFloatBitWidth(), 8);
      return;
    }
    bool isNode = dialect == "onnx" ? name != "onnx.NoValue" && name != "onnx.Yield"
                                    : !isa<ModuleOp, func::FuncOp, func::ReturnOp>(op);
    if (isNode)
      ++operators[dialect == "onnx" ? operatorName(op) : name.str()];
  }

  void sortCounts() {
    for (auto &[dtype, sum] : parameters) {
      sum.dtype = dtype;
      model.parameters.push_back(sum);
    }
    llvm::sort(model.parameters, [](const Parameters &a, const Parameters &b) {
      return std::pair(-a.bytes, a.dtype) < std::pair(-b.bytes, b.dtype);
    });
    for (auto &[name, count] : operators)
      model.operators.push_back({name, count, false});
    llvm::sort(model.operators, [](const Operator &a, const Operator &b) {
      return std::pair(-a.count, a.name) < std::pair(-b.count, b.name);
    });
  }

  void readKernels() {
    auto main = module->lookupSymbol<func::FuncOp>("main");
    Manifest manifest;
    if (describe(*module, {}, {}, manifest).empty()) {
      model.inputs = std::move(manifest.inputs);
      model.outputs = std::move(manifest.outputs);
    }
    if (auto bytes = main->getAttrOfType<IntegerAttr>("sq.weight_bytes"))
      model.weightBytes = bytes.getInt();
    SymbolicSizes sizes;
    SymbolicSize flops, reads, writes;
    auto known = [](const SymbolicSize &size) { return size.isKnown() ? size.text() : ""; };
    main.walk([&](Operation *op) {
      if (!isKernel(op))
        return;
      OpWork work = workOf(op, sizes);
      model.kernels.push_back({work.kind, work.parts, work.nodes, known(work.flops), known(work.reads), known(work.writes)});
      flops += work.flops;
      reads += work.reads;
      writes += work.writes;
    });
    model.flops = flops.text();
    model.reads = reads.text();
    model.writes = writes.text();
  }

  Model &model;
  MLIRContext context;
  ScopedDiagnosticHandler handler;
  OwningOpRef<ModuleOp> module;
  std::map<std::string, Parameters> parameters;
  std::map<std::string, int64_t> operators;
};

} // namespace

Status inspect::readModel(const std::string &path, const DimRanges &shape, Model &model) {
  return Reader(path, model).read(shape);
}
