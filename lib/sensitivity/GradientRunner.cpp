#include "lib/sensitivity/GradientRunner.h"

#include <cstdlib>
#include <cstring>

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include "lib/calibration/HostProgram.h"
#include "lib/driver/ModelHash.h"
#include "passes/GradientProgram.h"
#include "passes/analysis/TokenInputs.h"

using namespace mlir;

namespace sq::sensitivity {
namespace {

/// The weights that --sq-differentiate describes on @main.
std::vector<Weight> weightsOf(func::FuncOp main) {
  std::vector<Weight> weights;
  auto described = main->getAttrOfType<ArrayAttr>(kGradientsAttribute);
  if (!described)
    return weights;
  for (DictionaryAttr entry : described.getAsRange<DictionaryAttr>()) {
    Weight &weight = weights.emplace_back();
    weight.name = entry.getAs<StringAttr>("name").str();
    weight.initializer = entry.getAs<StringAttr>("weight").str();
    for (StringAttr layer :
         entry.getAs<ArrayAttr>("layers").getAsRange<StringAttr>())
      weight.layers.push_back(layer.str());
    auto type =
        cast<RankedTensorType>(entry.getAs<TypeAttr>("type").getValue());
    weight.rows = type.getDimSize(0);
    weight.columns = type.getDimSize(1);
    auto value = entry.getAs<ElementsAttr>("value");
    if (!value || !value.getElementType().isF32())
      continue;
    weight.values.resize(weight.elements());
    if (auto resource = dyn_cast<DenseF32ResourceElementsAttr>(value)) {
      auto values = resource.tryGetAsArrayRef();
      if (values && int64_t(values->size()) == weight.elements())
        std::memcpy(weight.values.data(), values->data(),
                    values->size() * sizeof(float));
    } else if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
      llvm::copy(dense.getValues<float>(), weight.values.begin());
    }
  }
  return weights;
}

} // namespace

Status describeModel(const RunnerOptions &options,
                     const GradientOptions &gradients, ModelInfo &info) {
  CompileOptions compile;
  if (Status s = chooseHost(options.shape, options.threads, compile); !s.ok())
    return s;
  compile.gradients = gradients; // and nothing to write: it ends with the graph
  compile.inspect = [&](const std::string &phase, ModuleOp ir) {
    auto main = ir.lookupSymbol<func::FuncOp>("main");
    if (main && phase == "import") {
      info.hash = hashModel(ir);
      info.tables = tokenInputs(main);
    } else if (main) {
      info.weights = weightsOf(main);
      if (auto classes = main->getAttrOfType<IntegerAttr>(kClassesAttribute))
        info.classes = classes.getInt();
    }
  };
  CompileResult result = compileFile(options.model, compile);
  return {result.code, result.code == ExitCode::Done ? "" : result.message};
}

Status Runner::compile(const RunnerOptions &options,
                       const std::optional<GradientOptions> &gradients) {
  CompileOptions compile;
  if (Status s = chooseHost(options.shape, options.threads, compile); !s.ok())
    return s;
  compile.gradients = gradients;
  compile.inspect = [&](const std::string &phase, ModuleOp ir) {
    auto main = ir.lookupSymbol<func::FuncOp>("main");
    if (main && phase == "normalise")
      found = weightsOf(main);
  };
  if (Status s =
          compileHere(options.model, std::move(compile), artifact, module);
      !s.ok())
    return s;
  if (Status s = session.create(module, options.threads); !s.ok())
    return s;
  tensors.clear();
  tensors.resize(module.inputs().size());
  return {};
}

Tensor *Runner::input(const std::string &name) {
  int port = findPort(module.inputs(), name);
  return port < 0 ? nullptr : &tensors[port];
}

Status Runner::run() {
  session.bind(tensors);
  return session.run();
}

int64_t Runner::arenaBytes() const {
  sq_session_stats info;
  return session.stats(info).ok() ? info.arena_bytes : 0;
}

const float *Runner::output(int index, int64_t &count) const {
  const DLTensor &view = session.view(index);
  count = 1;
  for (int i = 0; i < view.ndim; ++i)
    count *= view.shape[i];
  return reinterpret_cast<const float *>(static_cast<const char *>(view.data) +
                                         view.byte_offset);
}

} // namespace sq::sensitivity
