#include "lib/diff/Side.h"

#include "llvm/ADT/DenseMap.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"

#include "lib/driver/TemporaryArtifact.h"
#include "lib/importer/Importer.h"
#include "lib/init/InitSq.h"
#include "lib/reference/Reference.h"
#include "passes/analysis/NodeOutputs.h"

using namespace mlir;
using namespace sq;

namespace {

/// In the order of sq::DType.
constexpr numerics::DType kNumericTypes[] = {
    numerics::DType::F32, numerics::DType::F64, numerics::DType::F16, numerics::DType::BF16, numerics::DType::I8,
    numerics::DType::U8,  numerics::DType::I16, numerics::DType::U16, numerics::DType::I32,  numerics::DType::U32,
    numerics::DType::I64, numerics::DType::U64, numerics::DType::Bool,
    numerics::DType::I4,  numerics::DType::U4,  numerics::DType::I2,  numerics::DType::U2,
    numerics::DType::F8E4M3FN, numerics::DType::F8E4M3FNUZ, numerics::DType::F8E5M2, numerics::DType::F8E5M2FNUZ,
    numerics::DType::F8E8M0, numerics::DType::F4E2M1};
static_assert(std::size(kNumericTypes) == numDTypes);

class ReferenceSide : public diff::Side {
public:
  Status open(const std::string &path) {
    description = "'" + path + "' in float64";
    DialectRegistry registry;
    registerDialects(registry);
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    std::string messages;
    {
      ScopedDiagnosticHandler handler(context.get(), [&](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
          messages += (messages.empty() ? "" : "\n") + diagnostic.str();
        return success();
      });
      module = loadModel(path, *context);
    }
    if (!module)
      return Status::refused(messages.empty() ? "cannot read '" + path + "'" : messages);
    main = module->lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return Status::refused("'" + path + "' has no function @main");
    for (const reference::Argument &argument : reference::inputsOf(*module)) {
      auto type = llvm::find(kNumericTypes, argument.dtype);
      if (!argument.dtype || type == std::end(kNumericTypes))
        return Status::refused("input '" + argument.name + "' of '" + path + "' is no tensor of numbers");
      ports.push_back({argument.name, static_cast<DType>(type - kNumericTypes), {}});
    }
    nodes = nodeOutputs(main);
    for (auto [i, node] : llvm::enumerate(nodes))
      indices[node.value] = i;
    return {};
  }

  const std::vector<Port> &inputs() const override { return ports; }
  bool hasNodes() const override { return !nodes.empty(); }

  Status run(const std::vector<Tensor> &inputs, std::vector<diff::Value> &values) override {
    std::vector<numerics::Tensor> arguments;
    for (const Tensor &input : inputs)
      arguments.push_back(numerics::fromBytes(kNumericTypes[static_cast<int>(input.dtype)], input.shape,
                                              input.bytes.data(), input.bytes.size()));
    values.clear();
    auto observe = [&](Operation *op, ArrayRef<numerics::Tensor> results) {
      for (auto [value, tensor] : llvm::zip(op->getResults(), results))
        if (auto found = indices.find(value); found != indices.end()) {
          const NodeOutput &node = nodes[found->second];
          values.push_back({node.name, node.op, true, tensor.shape, tensor.reals});
        }
    };
    auto outputs = reference::run(*module, arguments, observe);
    if (!outputs) {
      std::string message = llvm::toString(outputs.takeError());
      if (llvm::StringRef(message).ends_with("unknown to the reference"))
        message += "; it has no float64 for this operator. Compile the model instead (--a=--precision=f32 or --b=...)";
      return Status::refused(message);
    }
    for (auto [argument, tensor] : llvm::zip(reference::outputsOf(*module), *outputs)) {
      std::vector<double> elements(tensor.size());
      for (int64_t i = 0; i < tensor.size(); ++i)
        elements[i] = tensor.real(i);
      values.push_back({argument.name, "", false, tensor.shape, std::move(elements)});
    }
    return {};
  }

private:
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module;
  func::FuncOp main;
  std::vector<Port> ports;
  std::vector<NodeOutput> nodes;
  llvm::DenseMap<mlir::Value, size_t> indices;
};

class ArtifactSide : public diff::Side {
public:
  Status open(const std::string &path, const RunOptions &options, int threads) {
    if (Status s = module.load(path.c_str(), options); !s.ok())
      return s;
    if (description.empty())
      description = "'" + path + "'";
    description += std::string(" on ") + (module.onDevice() ? sq_module_device(module.get())
                                                            : sq_module_cpu_level(module.get()));
    return session.create(module, threads);
  }

  Status compile(const std::string &model, CompileOptions options) {
    description = "'" + model + "' compiled with --precision=" + options.precision + (options.quant.empty() ? "" : " --quant=" + options.quant);
    options.keepIntermediates = true;
    CompileResult result = temporary.compile(model, std::move(options));
    return {result.code, result.message};
  }
  const std::string &compiled() const { return temporary.path(); }

  const std::vector<Port> &inputs() const override { return module.inputs(); }
  bool hasNodes() const override {
    return llvm::any_of(module.outputs(), [](const Port &port) { return isNode(port); });
  }

  Status run(const std::vector<Tensor> &inputs, std::vector<diff::Value> &values) override {
    session.bind(inputs);
    if (Status s = session.run(); !s.ok())
      return s;
    std::vector<diff::Value> outputs;
    values.clear();
    for (auto [i, port] : llvm::enumerate(module.outputs())) {
      Tensor tensor;
      if (Status s = session.output(i, tensor); !s.ok())
        return s;
      std::vector<double> elements(tensor.numElements());
      for (size_t k = 0; k < elements.size(); ++k)
        elements[k] = tensor.asDouble(k);
      bool node = isNode(port);
      (node ? values : outputs).push_back({node ? port.name.substr(std::size(kNodePrefix) - 1) : port.name, "", node,
                                           tensor.shape, std::move(elements)});
    }
    llvm::append_range(values, outputs);
    return {};
  }

private:
  static bool isNode(const Port &port) { return llvm::StringRef(port.name).starts_with(kNodePrefix); }

  TemporaryArtifact temporary;
  Module module;
  Session session; // after the module: released before it
};

} // namespace

Status diff::openReference(const std::string &model, std::unique_ptr<Side> &side) {
  auto made = std::make_unique<ReferenceSide>();
  Status status = made->open(model);
  side = std::move(made);
  return status;
}

Status diff::openArtifact(const std::string &path, const RunOptions &options, int threads,
                          std::unique_ptr<Side> &side) {
  auto made = std::make_unique<ArtifactSide>();
  Status status = made->open(path, options, threads);
  side = std::move(made);
  return status;
}

Status diff::openCompiled(const std::string &model, CompileOptions compile, const RunOptions &options, int threads,
                          std::unique_ptr<Side> &side) {
  auto made = std::make_unique<ArtifactSide>();
  Status status = made->compile(model, std::move(compile));
  if (status.ok())
    status = made->open(made->compiled(), options, threads);
  side = std::move(made);
  return status;
}
