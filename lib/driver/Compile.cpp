//===-- Compile.cpp - a model in, an artifact out -----------------------------===//

#include "sq/compiler.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Threading.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

#include "codegen/host/EmitObject.h"
#include "dialects/sq/IR/SqOps.h"
#include "lib/driver/Artifact.h"
#include "lib/driver/AssignBits.h"
#include "lib/driver/CompileCache.h"
#include "lib/calibration/StatsFile.h"
#include "lib/driver/Manifest.h"
#include "lib/driver/ModelHash.h"
#include "lib/driver/Report.h"
#include "lib/driver/Reproducer.h"
#include "lib/driver/Shapes.h"
#include "lib/driver/Target.h"
#include "lib/driver/Weights.h"
#include "lib/exporter/QdqModel.h"
#include "lib/exporter/QonnxModel.h"
#include "lib/importer/Importer.h"
#include "lib/init/InitSq.h"
#include "lib/sensitivity/SensitivityFile.h"
#include "lib/tensorio/File.h"
#include "passes/LayerDecisions.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

#include <mutex>

#include <sys/resource.h>

using namespace mlir;
using namespace sq;

#ifndef __has_feature
#define __has_feature(x) 0 // g++ 12
#endif
#if __has_feature(address_sanitizer)
static constexpr bool kSanitizedBuild = true;
#else
static constexpr bool kSanitizedBuild = false;
#endif

namespace {

/// Gathers diagnostics; a failed phase reports them as one message.
class Messages {
public:
  explicit Messages(MLIRContext *context)
      : handler(context, [this](Diagnostic &d) {
          std::lock_guard<std::mutex> lock(mutex);
          if (d.getSeverity() == DiagnosticSeverity::Remark)
            return success();
          hasErrors |= d.getSeverity() == DiagnosticSeverity::Error;
          llvm::raw_string_ostream os(text);
          append(os, d, UnknownLoc::get(d.getLocation().getContext()));
          for (Diagnostic &note : d.getNotes())
            append(os, note, d.getLocation());
          return success();
        }) {}

  std::string take() {
    std::lock_guard<std::mutex> lock(mutex);
    while (!text.empty() && text.back() == '\n')
      text.pop_back();
    return std::move(text);
  }

  bool hasErrors = false; // not only warnings

private:
  /// `known`: the place that has just been named.
  static void append(raw_ostream &os, Diagnostic &d, Location known) {
    // One line per message; what belongs to it is indented.
    if (d.getSeverity() == DiagnosticSeverity::Note)
      os << "  ";
    const char *kind = d.getSeverity() == DiagnosticSeverity::Note      ? "note: "
                       : d.getSeverity() == DiagnosticSeverity::Warning ? "warning: "
                                                                        : "";
    if (!isa<UnknownLoc>(d.getLocation()) && d.getLocation() != known) {
      std::string where;
      llvm::raw_string_ostream ls(where);
      d.getLocation().print(ls);
      StringRef shown(where);
      shown.consume_front("loc(");
      shown.consume_back(")");
      os << shown << ": ";
    }
    os << kind << d.str() << '\n';
  }

  std::mutex mutex;
  std::string text;
  ScopedDiagnosticHandler handler;
};

struct Compiler {
  const CompileOptions &options;
  MLIRContext &context;
  Messages &messages;
  const std::string &path;
  std::vector<LayerDecision> layers = {}; // of --quant, --weights, plans
  std::optional<AssignedBits> assigned = std::nullopt;
  int phase = 0;
  int phases() const { return options.targets.isAny() ? 8 : 7; }

  void begin(const char *name) {
    ++phase;
    if (options.progress)
      options.progress(name, phase, phases());
  }

  CompileResult fail(ExitCode code, const llvm::Twine &fallback) {
    CompileResult result;
    result.code = code;
    result.message = messages.take();
    if (!messages.hasErrors)
      result.message += (result.message.empty() ? "" : "\n") + fallback.str();
    if (code == ExitCode::Defect)
      result.message += "\nthis is a defect of sq, not of the model; please report it" + reproduce();
    return result;
  }

  /// Leaves a reproducer beside the output; how to use it, as text.
  std::string reproduce() {
    bool file = !options.output.empty() && options.output != "-" && options.output != "/dev/null";
    std::string name = (file ? options.output : "sq") + ".reproducer.mlir";
    SmallVector<Target> targets = chooseTargets(options);
    std::string pipeline = "builtin.module(" + std::string(options.keepIntermediates ? "sq-keep-intermediates," : "") + "sq-onnx-to-graph," +
                           (options.observe ? "sq-observe," : "") + cachePipeline() + graphPipeline() + "," +
                           codePipeline(targets.empty() ? Target{hostTargets().back(), {}} : targets[typicalTarget(targets)], options.tile) + ")";
    if (writeReproducer(path, pipeline, name))
      return " with " + name + " (the model without its weights), which this runs again:\n  sq-opt "
             "--run-reproducer " + name + " -o /dev/null";
    return " with the model; this runs the passes again:\n  sq-opt " + path + " --pass-pipeline='" + pipeline +
           "' -o /dev/null";
  }

  /// How weights are stored, and the columns of their panels.
  StringRef weightPrecision() const { return options.precision == "tf32" ? "f32" : StringRef(options.precision); }
  int64_t panelColumns() const { return options.cuda.empty() ? kPanelColumns : kCudaPanelColumns; }
  bool inPairs() const { return options.cuda.empty(); }
  bool byteProducts() const { return options.cuda.empty(); }
  StringRef codedActivations() const {
    return options.activations == "f32" || options.activations == "int8-all" ? StringRef(options.activations) : "int8";
  }
  std::string graphPipeline() const {
    return llvm::formatv("sq-graph-to-buffers{{precision={0} columns={1} pairs={2} byte-products={3} activations={4}}", weightPrecision(), panelColumns(), inPairs(),
                         byteProducts(), codedActivations());
  }

  std::string cachePipeline() const {
    return !mayKeepStates() ? "" : options.kvCache == "state" ? "func.func(sq-cache-states{required=true})," : "func.func(sq-cache-states),";
  }

  /// A sanitized build of sq instruments what its tests load; other kinds of
  /// artifact would need ASan's runtime linked in.
  bool sanitize() const {
    return options.sanitize || (kSanitizedBuild && StringRef(options.output).ends_with(".so"));
  }

  LogicalResult run(ModuleOp module, function_ref<void(OpPassManager &)> build) {
    PassManager pm(&context, ModuleOp::getOperationName());
    pm.enableVerifier(true);
    build(pm);
    return pm.run(module);
  }

  /// Writes text, or refuses with the reason.
  CompileResult write(ArrayRef<char> bytes) {
    if (options.output.empty() || options.output == "-") {
      llvm::outs().write(bytes.data(), bytes.size());
      llvm::outs().flush();
      return {};
    }
    llvm::Error error = llvm::writeToOutput(options.output, [&](raw_ostream &os) {
      os.write(bytes.data(), bytes.size());
      return llvm::Error::success();
    });
    if (error)
      return fail(ExitCode::Lacking, llvm::toString(std::move(error)));
    return {};
  }

  CompileResult writeModule(ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream os(text);
    OpPrintingFlags flags;
    flags.elideLargeElementsAttrs(64).elideLargeResourceString(64);
    module.print(os, flags);
    return write(ArrayRef<char>(text.data(), text.size()));
  }

  /// The weights as the model has them; with 16 bits a number they will be half as large.
  uint64_t constantBytes(ModuleOp module) const {
    llvm::DenseSet<Attribute> seen;
    uint64_t bytes = 0;
    module.walk([&](Operation *op) {
      auto value = op->getAttrOfType<ElementsAttr>("value");
      if (!value || !seen.insert(value).second || !value.getElementType().isIntOrFloat() || value.isSplat())
        return;
      uint64_t bits = value.getElementType().getIntOrFloatBitWidth();
      bool isHalved = weightPrecision() != "f32" && value.getElementType().isF32();
      bytes += value.getNumElements() * (isHalved ? bits / 2 : bits) / 8;
    });
    return bytes;
  }

  /// Refuses when the most that was in use so far and `weights` bytes exceed --max-memory.
  CompileResult checkMemory(uint64_t weights) {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    uint64_t used = uint64_t(usage.ru_maxrss) * 1024;
    if (!options.maxMemory || used + weights <= options.maxMemory)
      return {};
    return fail(ExitCode::Lacking,
                llvm::formatv("the compile needs at least {0:f1} MB of memory ({1:f1} MB in use and {2:f1} MB of weights "
                              "to write), --max-memory allows {3:f1} MB; allow more, or halve the weights with "
                              "--precision=bf16",
                              (used + weights) / 1e6, used / 1e6, weights / 1e6, options.maxMemory / 1e6)
                    .str());
  }

  /// Refuses statistics of another model.
  CompileResult checkStats(ModuleOp imported) {
    calibration::Stats stats;
    Status status = calibration::readStatsHead(options.stats, stats);
    if (status.ok())
      status = calibration::checkModel(stats, options.stats, hashModel(imported));
    return status.ok() ? CompileResult() : fail(ExitCode::Refused, status.message);
  }
  CompileResult checkSensitivity(ModuleOp imported) {
    sensitivity::SensitivityFile file;
    if (Status status = file.open(options.sensitivity); !status.ok())
      return fail(ExitCode::Refused, status.message);
    if (file.head().model != hashModel(imported))
      return fail(ExitCode::Refused, "'" + options.sensitivity + "' is of another model (or another version of this one); run sq-sensitivity on this model");
    return {};
  }

  /// What was quantised becomes an ONNX model again.
  bool isExported() const { return options.emit == "qdq-onnx" || options.emit == "qonnx"; }

  /// Whether keys and values of a decoder are to stay between runs; attention in integers has no caches.
  bool mayKeepStates() const {
    return options.kvCache != "explicit" && options.cuda.empty() && options.quant != "int-only" && !isExported() &&
           !options.keepIntermediates && !options.observe;
  }

  /// Linear layers to 8 bits, those that are to have them.
  CompileResult quantize(ModuleOp module) {
    auto main = *module.getOps<func::FuncOp>().begin();
    if (options.measureLayers) {
      std::vector<LayerShape> shapes;
      for (const auto &[op, layer] : linearLayers(main))
        if (layer.shape.k > 0 && layer.shape.n > 0 && !llvm::is_contained(shapes, layer.shape))
          shapes.push_back(layer.shape);
      std::vector<LayerTimes> times;
      if (CompileResult r = options.measureLayers(shapes, times); r.code != ExitCode::Done)
        return r;
      setMeasuredTimes(main, shapes, times);
    }
    QuantizePassOptions pass;
    pass.stats = options.stats;
    pass.plan = options.plan;
    pass.mixed = isMixed();
    pass.minSqnr = options.minSqnr;
    pass.activations = options.activations == "int8-all" ? "int8" : options.activations;
    pass.attention = !options.floatAttention && !isExported(); // ONNX has no such attention
    pass.rounding = options.rounding;
    // How fast others run what is exported is not ours to say.
    SmallVector<Target> targets = chooseTargets(options, /*ofBytes=*/true);
    if (!isExported() && !targets.empty())
      pass.level = targets[typicalTarget(targets)].host.level.str();
    if (failed(run(module, [&](OpPassManager &pm) { pm.addNestedPass<func::FuncOp>(createQuantizePass(pass)); })))
      return fail(ExitCode::Refused, "the model could not be quantised");
    layers = layerDecisions(main);
    return {};
  }

  /// Weights of linear layers to few bits.
  CompileResult compressWeights(ModuleOp module) {
    CompressWeightsPassOptions pass;
    if (!options.weights.empty())
      pass.weights = options.weights;
    pass.outliers = options.outliers;
    pass.tables = options.tables;
    pass.sensitivity = options.sensitivity;
    pass.stats = options.stats;
    pass.rounding = options.rounding;
    pass.plan = options.plan;
    pass.mixed = isMixed();
    pass.embeddings = !options.floatTables;
    pass.threads = options.threads;
    if (failed(run(module, [&](OpPassManager &pm) { pm.addNestedPass<func::FuncOp>(createCompressWeightsPass(pass, options.cache ? options.cache->layers : nullptr)); })))
      return fail(ExitCode::Refused, "the weights could not be compressed");
    layers = layerDecisions(*module.getOps<func::FuncOp>().begin());
    return {};
  }

  /// A plan alone says what linear layers are kept as.
  bool isMixed() const {
    return options.quant.empty() && options.weights.empty() && (!options.plan.empty() || !options.planText.empty() || options.targets.isAny());
  }

  /// To the rest of the compile a plan that sq has made is one that it was given.
  CompileResult followPlan(ModuleOp module, const calibration::ModelHash &model) {
    auto main = *module.getOps<func::FuncOp>().begin();
    std::string text = options.planText;
    if (options.targets.isAny()) {
      begin("assign bits");
      assigned.emplace();
      if (CompileResult r = assignBits(module, {options, model, [&](ModuleOp copy) { return toBuffers(copy); }}, *assigned); r.code != ExitCode::Done)
        return fail(r.code, r.message);
      text = assigned->plan;
    }
    Plan plan;
    Status status = text.empty() ? Plan::read(options.plan, plan) : Plan::parse(text, "plan", plan);
    if (!status.ok())
      return fail(status.code, status.message);
    if (!text.empty())
      setPlan(main, text);
    // Bytes first: what they read has to be as calibration saw it.
    bool anyBytes = llvm::any_of(plan.lines, [](const Plan::Line &line) { return isInteger(line.precision); });
    if (anyBytes && options.stats.empty() && options.activations != "dynamic")
      return fail(ExitCode::Refused, "the plan has layers in int8, which need --calib=DIR, samples, or a file that sq-calibrate wrote");
    if (anyBytes)
      if (CompileResult r = quantize(module); r.code != ExitCode::Done)
        return r;
    CompileResult done = compressWeights(module);
    main->removeAttr(kPlan);
    return done;
  }

  LogicalResult toBuffers(ModuleOp module) {
    return run(module, [&](OpPassManager &pm) {
      buildGraphToBuffers(pm, weightPrecision(), panelColumns(), inPairs(), byteProducts(), codedActivations());
    });
  }

  /// Last of all, so that it is there only when the rest is.
  CompileResult writePlan(CompileResult done) {
    if (done.code != ExitCode::Done || options.emitPlan.empty())
      return done;
    std::string text = assigned ? assigned->plan : planText(layers);
    if (Status status = writeFile(options.emitPlan, {{text.data(), text.size()}}); !status.ok())
      return fail(status.code, status.message);
    return done;
  }

  CompileResult compile() {
    begin("import");
    OwningOpRef<ModuleOp> module = loadModel(path, context);
    if (!module)
      return fail(ExitCode::Refused, "cannot read " + path);
    if (options.inspect)
      options.inspect("import", *module);
    if (!options.stats.empty())
      if (CompileResult r = checkStats(*module); r.code != ExitCode::Done)
        return r;
    if (!options.sensitivity.empty())
      if (CompileResult r = checkSensitivity(*module); r.code != ExitCode::Done)
        return r;
    calibration::ModelHash model;
    if (options.targets.isAny())
      model = hashModel(*module);
    if (failed(applyShapes(*module, options.shape)))
      return fail(ExitCode::Refused, "--shape does not fit the model");
    if (options.emit == "onnx")
      return writeModule(*module);
    if (CompileResult r = checkMemory(constantBytes(*module)); r.code != ExitCode::Done)
      return r;

    begin("normalise");
    if (failed(run(*module, [&](OpPassManager &pm) {
          if (options.keepIntermediates)
            pm.addPass(createKeepIntermediatesPass());
          buildOnnxToGraph(pm);
          // What follows knows linear layers only.
          if (options.observe || options.gradients || !options.quant.empty() || !options.weights.empty() || isMixed())
            pm.addNestedPass<func::FuncOp>(createDecodeCodesPass({.groupsOnly = true}));
          if (options.observe)
            pm.addPass(createObservePass());
          if (options.gradients) {
            DifferentiatePassOptions pass;
            pass.loss = options.gradients->loss;
            pass.output = options.gradients->output;
            pass.by = options.gradients->by;
            llvm::append_range(pass.layers, options.gradients->layers);
            pass.weightArguments = options.gradients->weightArguments;
            pass.recompute = options.gradients->recompute;
            pass.checkpoints = options.gradients->checkpoints;
            pass.products = options.gradients->products;
            pm.addPass(createDifferentiatePass(pass));
            pm.addPass(createCanonicalizerPass());
            pm.addPass(createBodyAwareCSEPass());
          }
          if (options.quant == "int-only") {
            pm.addNestedPass<func::FuncOp>(createIntegerOnlyPass({.stats = options.stats, .rounding = options.rounding}));
            pm.addPass(createCanonicalizerPass());
            pm.addPass(createCSEPass());
            pm.addNestedPass<func::FuncOp>(createVerifyIntegerOnlyPass());
          }
        })))
      return fail(ExitCode::Refused, "the model could not be normalised");
    // Before layers get other forms, which it would have to know.
    if (mayKeepStates() && failed(run(*module, [&](OpPassManager &pm) {
          pm.addNestedPass<func::FuncOp>(createCacheStatesPass({.required = options.kvCache == "state"}));
        })))
      return fail(ExitCode::Refused, "the model cannot have a cache");
    if (options.quant == "int8")
      if (CompileResult r = quantize(*module); r.code != ExitCode::Done)
        return r;
    if (!options.weights.empty())
      if (CompileResult r = compressWeights(*module); r.code != ExitCode::Done)
        return r;
    if (isMixed())
      if (CompileResult r = followPlan(*module, model); r.code != ExitCode::Done)
        return r;
    if (options.quant == "int-only")
      layers = layerDecisions(*module->getOps<func::FuncOp>().begin());
    if (layers.empty())
      layers = givenCodes(*module->getOps<func::FuncOp>().begin());
    if (options.inspect)
      options.inspect("normalise", *module);
    if (options.emit == "sq")
      return writeModule(*module);
    if (isExported()) {
      auto exportAs = options.emit == "qonnx" ? exportQonnx : exportQdq;
      FailureOr<std::string> bytes = exportAs(path, quantizedLayers(*module), quantizedTables(*module), options.shape, context);
      return failed(bytes) ? fail(ExitCode::Refused, "the model could not be written") : write(*bytes);
    }

    if (options.output.empty() && options.reports.empty() && options.emit.empty())
      return {}; // a plan was asked for

    begin("optimise");
    if (failed(toBuffers(*module)))
      return fail(isRefused(*module) ? ExitCode::Refused : ExitCode::Defect, "the model could not be bufferized");

    return generate(*module);
  }

  CompileResult generate(ModuleOp module) {
    bool ofBytes = module.walk([](PackedMatmulOp op) {
      return op.usesByteProducts() ? WalkResult::interrupt() : WalkResult::advance();
    }).wasInterrupted();
    bool inPairs = module.walk([](WeightOp op) {
      return op.widenedType() ? WalkResult::interrupt() : WalkResult::advance();
    }).wasInterrupted();
    SmallVector<Target> targets = chooseTargets(options, ofBytes, inPairs);
    if (targets.empty())
      return fail(ExitCode::Usage, "no CPU level or architecture to compile for");
    std::vector<std::string> levels;
    for (const Target &target : targets)
      levels.push_back(target.name());
    bool reportOnly = options.emit.empty() && options.output.empty();
    if (!options.emit.empty() || reportOnly)
      targets = {targets[typicalTarget(targets)]};

    begin("generate code");
    std::vector<Variant> variants(targets.size());
    for (auto [variant, target] : llvm::zip(variants, targets)) {
      variant.module = cast<ModuleOp>(module->clone());
      variant.entry = "sq_entry_" + target.name();
      std::replace_if(variant.entry.begin(), variant.entry.end(), [](char c) { return !llvm::isAlnum(c); }, '_');
    }
    LogicalResult done = failableParallelForEachN(&context, 0, targets.size(), [&](size_t i) {
      return success(variants[i].generate(targets[i], options, sanitize(), reportOnly));
    });
    if (failed(done)) {
      for (Variant &v : variants) {
        if (v.refused)
          return fail(ExitCode::Refused, "the model could not be lowered");
        if (!v.problem.empty())
          return fail(ExitCode::Defect, v.problem);
      }
      return fail(ExitCode::Defect, "code generation failed");
    }
    if (options.emit == "kernels")
      return writeModule(*variants[0].module);
    if (!options.emit.empty())
      return write(variants[0].object);

    begin("describe");
    SmallVector<const Schedule *> schedules;
    for (Variant &v : variants) {
      schedules.push_back(&v.schedule);
      auto launches = (*v.module)->getAttrOfType<ArrayAttr>(options.cuda.empty() ? "sq.kernels" : "sq.launches");
      size_t count = launches ? launches.size() : 0;
      if (!reportOnly && count != v.schedule.kernels.size())
        return fail(ExitCode::Defect, "the program launches other kernels than its schedule has");
    }
    ArtifactSpec spec;
    spec.output = options.output;
    std::string problem = describe(module, targets, schedules, spec.manifest);
    if (!problem.empty())
      return fail(ExitCode::Defect, problem);
    if (options.emulateAmx)
      for (ManifestVariant &variant : spec.manifest.variants)
        llvm::erase_if(variant.features, [](StringRef feature) { return feature.starts_with("amx"); });
    for (auto [described, v] : llvm::zip(spec.manifest.variants, variants))
      described.device = std::move(v.device);
    auto func = *module.getOps<func::FuncOp>().begin();
    if (auto size = func->getAttrOfType<IntegerAttr>("sq.weight_bytes"))
      spec.weightsSize = size.getInt();
    if (!options.reports.empty()) {
      // Scratch memory differs by level.
      Report report(path, levels, std::move(variants[typicalTarget(targets)].schedule), spec.manifest, spec.weightsSize);
      report.setLayers(layers);
      report.assigned = assigned;
      for (const std::string &file : options.reports)
        if (llvm::Error error = writeReport(report, file))
          return fail(ExitCode::Lacking, llvm::toString(std::move(error)));
    }
    if (reportOnly)
      return {};
    if (CompileResult r = checkMemory(spec.weightsSize); r.code != ExitCode::Done)
      return r;

    begin("write");
    std::vector<WeightPiece> pieces = collectWeights(module);
    for (const WeightPiece &piece : pieces)
      spec.weights.push_back({piece.offset, piece.size, [&](MutableArrayRef<uint8_t> out) -> llvm::Error {
                                if (succeeded(writeWeight(piece, reinterpret_cast<char *>(out.data()))))
                                  return llvm::Error::success();
                                return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                                               messages.take());
                              }});
    spec.threads = options.threads;
    spec.sanitized = sanitize();

    // Objects reach the linker as files.
    std::vector<std::unique_ptr<llvm::FileRemover>> temporary;
    int64_t codeBytes = 0;
    auto addObject = [&](ArrayRef<char> bytes) -> llvm::Error {
      SmallString<128> file;
      int fd = -1;
      if (std::error_code error = llvm::sys::fs::createTemporaryFile("sq", "o", fd, file))
        return llvm::createStringError(error, "cannot make a temporary file: " + error.message() +
                                                  "; set TMPDIR to a writable directory");
      temporary.push_back(std::make_unique<llvm::FileRemover>(file));
      llvm::raw_fd_ostream os(fd, /*shouldClose=*/true);
      os.write(bytes.data(), bytes.size());
      os.close();
      if (std::error_code error = os.error()) {
        os.clear_error();
        return llvm::createStringError(error, "cannot write " + file + ": " + error.message());
      }
      spec.objects.push_back(file.str().str());
      codeBytes += bytes.size();
      return llvm::Error::success();
    };
    SmallVector<std::pair<StringRef, StringRef>> entries;
    for (auto [variant, described] : llvm::zip(variants, spec.manifest.variants)) {
      entries.emplace_back(described.level, variant.entry);
      if (llvm::Error error = addObject(variant.object))
        return fail(ExitCode::Lacking, llvm::toString(std::move(error)));
      for (const auto &kernel : variant.kernels)
        if (llvm::Error error = addObject(*kernel))
          return fail(ExitCode::Lacking, llvm::toString(std::move(error)));
    }
    llvm::Expected<SmallVector<char, 0>> descriptor = emitDescriptor(entries);
    if (!descriptor)
      return fail(ExitCode::Defect, llvm::toString(descriptor.takeError()));
    if (llvm::Error error = addObject(*descriptor))
      return fail(ExitCode::Lacking, llvm::toString(std::move(error)));

    begin("link");
    CompileResult result = writeArtifact(spec);
    result.weightBytes = spec.weightsSize;
    result.codeBytes = codeBytes;
    return result;
  }
};

} // namespace

CompileResult sq::compileFile(const std::string &path, const CompileOptions &options) {
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  std::optional<llvm::DefaultThreadPool> pool;
  if (options.threads != 1) {
    pool.emplace(llvm::hardware_concurrency(options.threads));
    context.setThreadPool(*pool);
  }
  context.loadAllAvailableDialects();
  Messages messages(&context);
  Compiler compiler{options, context, messages, path};
  CompileResult result = compiler.writePlan(compiler.compile());
  if (result.code == ExitCode::Done && result.message.empty())
    result.message = messages.take(); // warnings
  return result;
}
