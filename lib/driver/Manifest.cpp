#include "lib/driver/Manifest.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/CacheStates.h"

#include <set>

using namespace mlir;
using namespace sq;

namespace {

/// One argument or result; `attr` looks up its attributes.
std::string describeTensor(ShapedType type, function_ref<Attribute(StringRef)> attr,
                           DictionaryAttr ranges, ManifestTensor &out) {
  auto name = dyn_cast_or_null<StringAttr>(attr("sq.name"));
  auto dtype = dyn_cast_or_null<StringAttr>(attr("sq.dtype"));
  auto symbols = dyn_cast_or_null<ArrayAttr>(attr("sq.dims"));
  if (!name || !dtype)
    return "lacks sq.name or sq.dtype";
  out.name = name.getValue().str();
  out.dtype = dtype.getValue().str();
  for (int64_t d = 0; d < type.getRank(); ++d) {
    ManifestDim dim;
    if (symbols && d < static_cast<int64_t>(symbols.size()))
      dim.name = cast<StringAttr>(symbols[d]).getValue().str();
    if (!type.isDynamicDim(d)) {
      dim.min = dim.max = type.getDimSize(d);
    } else {
      dim.min = 0;
      dim.max = INT64_MAX;
      if (auto range = ranges ? ranges.getAs<DenseI64ArrayAttr>(dim.name) : nullptr) {
        dim.min = range[0];
        dim.max = range[1];
      }
    }
    out.dims.push_back(std::move(dim));
  }
  return "";
}

/// A program with caches: the model's own signature, and what stands for its
/// pasts.
std::string describeCached(DictionaryAttr cache, DictionaryAttr ranges,
                           Manifest &manifest) {
  for (auto [key, tensors] : {std::pair("inputs", &manifest.inputs),
                              std::pair("outputs", &manifest.outputs)})
    for (auto tensor :
         cache.getAs<ArrayAttr>(key).getAsRange<DictionaryAttr>()) {
      auto type = cast<ShapedType>(tensor.getAs<TypeAttr>("type").getValue());
      std::string problem = describeTensor(
          type, [&](StringRef name) { return tensor.get(name); }, ranges,
          tensors->emplace_back());
      if (!problem.empty())
        return std::string("one of the ") + key + " " + problem;
    }
  ManifestCache &made = manifest.cache.emplace();
  for (auto state :
       cache.getAs<ArrayAttr>("states").getAsRange<DenseI64ArrayAttr>())
    made.states.push_back({static_cast<int32_t>(state[0]),
                           static_cast<int32_t>(state[1]),
                           static_cast<int32_t>(state[2]), state[3], state[4]});
  made.tokens =
      static_cast<int32_t>(cache.getAs<IntegerAttr>("tokens").getInt());
  made.positions =
      static_cast<int32_t>(cache.getAs<IntegerAttr>("positions").getInt());
  made.vocabulary = cache.getAs<IntegerAttr>("vocabulary").getInt();
  for (int64_t output : cache.getAs<DenseI64ArrayAttr>("selected").asArrayRef())
    made.selected.push_back(static_cast<int32_t>(output));
  return "";
}

} // namespace

std::string sq::describe(ModuleOp module, ArrayRef<Target> targets, ArrayRef<const Schedule *> schedules,
                         Manifest &manifest) {
  auto func = module.lookupSymbol<func::FuncOp>("main");
  if (!func)
    return "the program has no @main";
  auto ranges = module->getAttrOfType<DictionaryAttr>("sq.dims");
  auto cache = func->getAttrOfType<DictionaryAttr>(kCacheAttr);
  if (cache)
    if (std::string problem = describeCached(cache, ranges, manifest);
        !problem.empty())
      return problem;
  for (unsigned i = 0; !cache && i < func.getNumArguments(); ++i) {
    std::string problem = describeTensor(
        cast<ShapedType>(func.getArgument(i).getType()),
        [&](StringRef name) { return func.getArgAttr(i, name); }, ranges,
        manifest.inputs.emplace_back());
    if (!problem.empty())
      return "input " + std::to_string(i) + " " + problem;
  }
  // After --sq-bind-outputs the results are sq.output ops, with their
  // attributes still on the function.
  auto attributes = func->getAttrOfType<ArrayAttr>("sq.results");
  SmallVector<OutputOp> outputs;
  func.walk([&](OutputOp op) { outputs.push_back(op); });
  llvm::sort(outputs, [](OutputOp a, OutputOp b) { return a.getIndex() < b.getIndex(); });
  if (!attributes || attributes.size() != outputs.size())
    return "the program has lost the names of its outputs";
  for (auto [op, attr] : llvm::zip(outputs, attributes)) {
    if (cache)
      break;
    auto dictionary = cast<DictionaryAttr>(attr);
    std::string problem =
        describeTensor(cast<ShapedType>(op.getResult().getType()),
                       [&](StringRef name) { return dictionary.get(name); }, ranges,
                       manifest.outputs.emplace_back());
    if (!problem.empty())
      return "output " + std::to_string(op.getIndex()) + " " + problem;
  }
  std::set<uint64_t> listed; // equal weights share one place
  func.walk([&](WeightOp op) {
    if (!op.getWideOffset() || !listed.insert(*op.getWideOffset()).second)
      return;
    if (op.getBits()) {
      auto count = cast<ShapedType>(op.getResult().getType()).getNumElements();
      manifest.unpacked.push_back({op.getOffset().value_or(0), *op.getWideOffset(), static_cast<uint64_t>(count),
                                   static_cast<uint8_t>(op.getBits())});
      return;
    }
    auto [depth, columns] = op.matrixSize();
    manifest.widened.push_back({op.getOffset().value_or(0), *op.getWideOffset(),
                                static_cast<uint64_t>(depth), static_cast<uint64_t>(columns)});
  });
  func.walk([&](WeightOp op) {
    if (!op.getCodes())
      return;
    auto type = cast<ShapedType>(op.getResult().getType());
    uint64_t begin = op.getOffset().value_or(0);
    uint64_t end = begin + type.getNumElements() * type.getElementTypeBitWidth() / 8;
    bool first = manifest.codedEnd == 0;
    manifest.codedBegin = first ? begin : std::min(manifest.codedBegin, begin);
    manifest.codedEnd = std::max(manifest.codedEnd, end);
  });
  if (auto size = func->getAttrOfType<IntegerAttr>("sq.widened_bytes"))
    manifest.widenedSize = size.getInt();
  if (auto size = func->getAttrOfType<IntegerAttr>("sq.unpacked_bytes"))
    manifest.unpackedSize = size.getInt();
  for (const Target &target : targets) {
    ManifestVariant variant{target.name(), {}, !target.cuda && !target.host.amx && !manifest.widened.empty(), {}, {}};
    if (!target.cuda)
      for (StringRef feature : target.host.features)
        variant.features.push_back(feature.str());
    manifest.variants.push_back(std::move(variant));
  }
  auto known = [](const std::string &formula) { return formula == "?" ? "" : formula; };
  auto kernelsOf = [&](const Schedule &schedule) {
    std::vector<ManifestKernel> kernels;
    for (const ScheduledKernel &kernel : schedule.kernels)
      kernels.push_back({kernel.name, kernel.nodes, known(kernel.flops), known(kernel.reads), known(kernel.writes)});
    return kernels;
  };
  if (schedules.empty())
    return "";
  manifest.kernels = kernelsOf(*schedules.front());
  auto names = [](const std::vector<ManifestKernel> &kernels) {
    return llvm::map_to_vector(kernels, [](const ManifestKernel &kernel) { return StringRef(kernel.name); });
  };
  for (auto [variant, schedule] : llvm::zip(manifest.variants, schedules))
    if (std::vector<ManifestKernel> own = kernelsOf(*schedule); names(own) != names(manifest.kernels))
      variant.kernels = std::move(own);
  return "";
}
