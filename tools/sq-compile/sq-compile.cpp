// A model in, one native artifact out.

#include "sq/compiler.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>
#include <cmath>

#include "codegen/cuda/CudaTarget.h"
#include "codegen/host/HostTarget.h"
#include "lib/calibration/Calibrate.h"
#include "lib/driver/Report.h"
#include "lib/driver/Shapes.h"
#include "lib/measure/MeasureLayers.h"
#include "lib/quantization/WeightScheme.h"
#include "tools/sq-compile/Targets.h"

using namespace llvm;
using sq::ExitCode;

static cl::OptionCategory category("sq-compile options");
enum class Precision { F32, BF16, F16, TF32 };

/// LLVM's library registers options of its own (lld's --threads among them),
/// which are neither ours to offer nor to collide with.
static void dropLibraryOptions() {
  SmallVector<cl::Option *> foreign;
  for (auto &entry : cl::getRegisteredOptions())
    if (!is_contained({"help", "help-hidden", "help-list", "help-list-hidden", "version"}, entry.first))
      foreign.push_back(entry.second);
  for (cl::Option *option : foreign)
    option->removeArgument();
}

struct Options {
  cl::opt<std::string> model{cl::Positional, cl::Required, cl::desc("MODEL"), cl::cat(category)};
  cl::opt<std::string> output{"o", cl::value_desc("OUT"), cl::cat(category),
           cl::desc("artifact: OUT.so (shared library), OUT.a (static library, with OUT.h), "
                    "any other name (executable)")};
  cl::opt<std::string> targetName{"target", cl::init("host"), cl::cat(category), cl::value_desc("host[:LEVEL] | cuda:ARCH,..."),
               cl::desc("host: every CPU level, chosen when the artifact is loaded; host:native: "
                        "the best one of this machine; host:x86-64-v3, host:avx512, host:vnni: that one; cuda:sm_80, cuda:sm_90 "
                        "or both (cuda:sm_80,sm_90): kernels for NVIDIA GPUs of that architecture or later")};
  cl::list<std::string> shapes{"shape", cl::CommaSeparated, cl::cat(category), cl::value_desc("NAME=LO..HI"),
           cl::desc("range of a symbolic dimension, or its only size (sequence=1..512,batch=8)")};
  cl::opt<Precision> precision{"precision", cl::init(Precision::F32), cl::cat(category),
                                    cl::desc("arithmetic of matrix products"),
                                    cl::values(clEnumValN(Precision::F32, "f32", "float32 (default)"),
                                               clEnumValN(Precision::BF16, "bf16",
                                                          "bfloat16 weights and AMX products with float32 sums; CPUs "
                                                          "without AMX widen the weights when they load them"),
                                               clEnumValN(Precision::F16, "f16", "CUDA: float16 factors, float32 sums"),
                                               clEnumValN(Precision::TF32, "tf32", "CUDA: factors of float32 rounded to 10 bits"))};
  cl::opt<std::string> quant{"quant", cl::cat(category), cl::value_desc("int8|int-only"),
         cl::desc("int8: linear layers multiply 8-bit integers, with ranges from --calib; int-only: everything in integers, "
                  "from embeddings to the last layer, or an error that names each op for which that is not possible")};
  cl::opt<std::string> activations{"activations", cl::cat(category), cl::value_desc("int8|dynamic|f32"), cl::init("int8"),
         cl::desc("of --quant=int8: int8 (default), one scale for a tensor, from --calib; dynamic, 8 bits with a scale for "
                  "each row (token) that is found at run time: --calib may be missing. Of products by codes into tables: int8 (default), "
                  "each row rounded to a scale of its own, with tables rounded to 8 bits; f32, exact")};
  cl::opt<std::string> rounding{"rounding", cl::cat(category), cl::value_desc("gptq|nearest"), cl::init("gptq"),
         cl::desc("how --quant rounds weights: gptq (default), so that others take over the error, where the statistics "
                  "have second moments (sq-calibrate --moments), or each to the nearest step")};
  cl::opt<std::string> attention{"attention", cl::cat(category), cl::value_desc("int8|float"), cl::init("int8"),
         cl::desc("of --quant=int8: int8 (default), products of bytes and an integer softmax between layers in 8 bits, where masks and "
                  "ranges allow it; float, as --emit=qdq-onnx has it in any case")};
  cl::opt<std::string> calib{"calib", cl::cat(category), cl::value_desc("DIR|STATS"),
         cl::desc("where --quant, --weights, plans and budgets have the ranges and moments of activations from: samples that sq-calibrate takes, which "
                  "the model is then run on, or the file that it wrote")};
  cl::opt<std::string> weights{"weights", cl::cat(category), cl::value_desc("lut4|rtn4|gptq4|..."),
         cl::desc("weights of linear layers in 2 to 4 bits: lut4, lut3, lut2 with a table for each output channel; rtn4, rtn3, rtn2 "
                  "in groups of 128 with a scale, rounded to nearest; gptq4, gptq3, gptq2 the same, so that others take over "
                  "the error; sym4, sym3, sym2 in groups of 32 without a minimum; rtn4-g64: groups of 64. With --calib tables and codes are fitted to what layers read. Products "
                  "by codes read them as they are (see --activations)")};
  cl::opt<std::string> outliers{"outliers", cl::cat(category), cl::value_desc("PERCENT"), cl::init("0%"),
         cl::desc("with --weights=lut...: the share of a weight that keeps 16 bits beside the codes, such as 0.45%")};
  cl::opt<std::string> sensitivity{"sensitivity", cl::cat(category), cl::value_desc("FILE"),
         cl::desc("with --weights=lut...: what sq-sensitivity wrote; squared gradients weight the search for tables, and 0.05 % of "
                  "the weights, the most sensitive ones, are among the outliers")};
  cl::opt<std::string> tables{"tables", cl::cat(category), cl::value_desc("auto|f16|int8"), cl::init("auto"),
         cl::desc("entries of the tables of --weights=lut...: f16; int8, with a scale for each table; auto (default): int8 "
                  "where f16 takes more than 0.1 bits a weight")};
  cl::opt<std::string> plan{"plan", cl::cat(category), cl::value_desc("FILE"),
         cl::desc("the precision of linear layers, as lines PATTERN = int8|f32|lut4|lut3+0.45%|... (or int2 to int7: int8 with "
                  "fewer values of the weight, which runs no faster here); a pattern is a name "
                  "of --emit-plan or a glob (*attention*), the last line that matches counts. It goes before "
                  "--weights, before --min-sqnr, times and budgets. Without any of these it alone decides, and the other "
                  "layers stay in float")};
  cl::opt<std::string> emitPlan{"emit-plan", cl::cat(category), cl::value_desc("FILE"),
         cl::desc("write what was decided about each linear layer, and why, as a file for --plan. Works "
                  "without -o")};
  cl::opt<double> minSqnr{"min-sqnr", cl::init(sq::kMinLayerSqnr), cl::cat(category), cl::value_desc("DB"),
         cl::desc("with --quant=int8 a linear layer whose result is expected to keep less than that in 8 bits stays in "
                  "float, as 10 log10(signal / noise) (default: 10)")};
  cl::opt<bool> measure{"measure", cl::init(false), cl::cat(category),
         cl::desc("with --quant=int8: run a layer of each shape in both precisions on this machine (some 0.5 s for "
                  "each shape) and leave those in float that are no faster in int8, instead of asking the cost model")};
  cl::opt<std::string> kvCache{"kv-cache", cl::init("auto"), cl::cat(category), cl::value_desc("auto|state|explicit"),
         cl::desc("of a decoder with past_key_values and present: auto (default), keys and values also stay in caches "
                  "between runs, without a copy for each token (sq-run --generate, sq_lm_* of sq/runtime.h), where the "
                  "model allows it; state, or it is refused, and attention_mask is taken to be ones and left out; "
                  "explicit, they are only handed in and out")};
  cl::opt<std::string> tile{"tile", cl::cat(category), cl::value_desc("NAME=N,..."),
         cl::desc("sizes of tiles instead of the cost model's: rows and vectors of a product's tile in "
                  "registers, block (its rows in L2), depth (of its k in caches), keys of attention, batch (rows per thread of a part "
                  "of the batch). A CPU level that rows x vectors do not fit keeps its own")};
  cl::opt<std::string> emit{"emit", cl::cat(category), cl::value_desc("PHASE"),
         cl::desc("stop and print: onnx (as imported), sq (normalised), qdq-onnx (the model as ONNX, with what --quant "
                  "quantised between QuantizeLinear and DequantizeLinear), qonnx (the same with Quant nodes of qonnx.custom_op.general, of the "
                  "bits that --plan says), kernels (one CPU level, "
                  "before LLVM), llvm, asm, obj, ptx (of the CUDA kernels); with -o into a file")};
  cl::opt<bool> keepIntermediates{"keep-intermediates", cl::init(false), cl::cat(category),
         cl::desc("what every node computes becomes an output (node:NAME) too, so that sq-diff can compare "
                  "them; such a program fuses less, is slower and needs more memory")};
  cl::opt<bool> sanitize{"sanitize", cl::init(false), cl::cat(category),
                         cl::desc("instrument generated code with AddressSanitizer; OUT.so then loads "
                                  "only into programs built with it")};
  cl::opt<bool> emulateAmx{"emulate-amx", cl::init(false), cl::cat(category), cl::Hidden,
                           cl::desc("for tests: loops instead of AMX instructions")};
  cl::opt<bool> emulateCuda{"emulate-cuda", cl::init(false), cl::cat(category), cl::Hidden,
                            cl::desc("for tests: CUDA kernels for the emulator in test/cuda/emulator")};
  cl::list<std::string> reports{"report", cl::cat(category), cl::value_desc("FILE"),
         cl::desc("write what became of the model: kernels, what they fuse and why not more, memory, "
                  "weights, what --quant=int8 decided about each layer; as FILE.html, FILE.json or FILE.txt, - for text on stdout. Works without -o")};
  cl::opt<int> threads{"threads", cl::init(0), cl::cat(category),
                            cl::desc("threads of the compiler (0: all allowed cores)")};
  cl::opt<std::string> maxMemory{"max-memory", cl::cat(category), cl::value_desc("SIZE"),
         cl::desc("refuse the model when what is in use and its weights exceed so many bytes (suffix K, M or G: "
                  "of 1024), as soon as that is known; no hard limit, as LLVM's needs are not foreseen")};
  TargetFlags targets{category};
  cl::opt<std::string> progress{"progress", cl::init("auto"), cl::cat(category),
                                     cl::value_desc("auto|plain|json|none"),
                                     cl::desc("phases on stderr; auto: when it is a terminal")};
};

static int usage(const Twine &message) {
  errs() << "sq-compile: " << message << "\nTry sq-compile --help\n";
  return static_cast<int>(ExitCode::Usage);
}

/// Bytes of "2G", "512M", "1000"; false for what is no size.
static bool parseSize(StringRef text, uint64_t &bytes) {
  unsigned shift = text.consume_back_insensitive("k")   ? 10
                   : text.consume_back_insensitive("m") ? 20
                   : text.consume_back_insensitive("g") ? 30
                                                        : 0;
  if (text.getAsInteger(10, bytes) || bytes == 0 || bytes > UINT64_MAX >> shift)
    return false;
  bytes <<= shift;
  return true;
}

/// A plan says what each layer is to be, or sq makes one.
static bool isMixed(const Options &cli) {
  return cli.quant.empty() && cli.weights.empty() && (cli.plan.getNumOccurrences() || cli.targets.isAny());
}

/// Empty, or which flags do not go with budgets.
static std::string checkTargets(const Options &cli, bool isCuda) {
  if (!cli.targets.isAny())
    return "";
  if (!cli.quant.empty() || !cli.weights.empty())
    return "budgets (--target-...) leave the precision of each layer to sq; --quant and --weights exclude them, --plan fixes some layers";
  if (isCuda)
    return "budgets (--target-...) have no CUDA kernels to choose from yet; --target=host";
  if (cli.precision != Precision::F32)
    return "budgets (--target-...) know layers in float32 only; leave --precision out";
  if (cli.model == "-")
    return "budgets (--target-...) have the model run many times; give a file, not standard input";
  if (cli.calib.empty())
    return "budgets (--target-...) need --calib=DIR, samples that losses are measured on; with --target-data or --losses a file that sq-calibrate wrote will do";
  if (cli.targets.losses.empty() && cli.targets.data.empty() && !sys::fs::is_directory(cli.calib))
    return "--calib=" + cli.calib + " is a file of statistics: to measure losses budgets (--target-...) need samples; give --target-data=DIR, or "
           "--losses=FILE that have been measured";
  return "";
}

/// Statistics of the float model on the samples in `folder`, in a file that goes with `remover`.
static sq::Status calibrateOn(const std::string &folder, const Options &cli, std::optional<FileRemover> &remover,
                              std::string &stats) {
  if (cli.model == "-")
    return sq::Status::usage("a model from standard input can be read once only; give --calib a file that "
                             "sq-calibrate wrote");
  SmallString<128> file;
  if (std::error_code error = sys::fs::createTemporaryFile("sq", "stats", file))
    return sq::Status::lacking("cannot make a temporary file: " + error.message() + "; set TMPDIR to a writable directory");
  remover.emplace(file);
  stats = file.str().str();
  sq::calibration::CalibrateOptions options;
  options.model = cli.model;
  options.data = {folder};
  options.output = stats;
  if (cli.rounding == "nearest")
    options.momentRows = 0;
  if (!cli.weights.empty() || isMixed(cli)) {
    // Weights are all there is to fit: by every row, and compared by those of every eighth sample.
    options.momentRows = INT32_MAX;
    options.holdBack = 8;
  }
  options.threads = cli.threads;
  options.shape = join(cli.shapes, ",");
  options.note = [](const std::string &text) { errs() << text << '\n'; };
  sq::calibration::Stats result;
  return sq::calibration::calibrate(options, result);
}

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  dropLibraryOptions();
  Options cli;
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](raw_ostream &os) { os << "sq-compile 0.1.0 (LLVM " LLVM_VERSION_STRING ")\n"; });
  std::string problem;
  raw_string_ostream problems(problem);
  if (!cl::ParseCommandLineOptions(
          argc, argv,
          "sq-compile: compiles a transformer (.onnx, .onnxtxt, .mlir, .mlirbc, - for stdin)\n"
          "into one native artifact with its weights.\n\n"
          "  sq-compile model.onnx -o model.so\n"
          "  sq-compile model.onnx -o model.so --shape=batch=1..8,sequence=1..512\n"
          "  sq-compile model.onnx --report=-\n"
          "  sq-compile model.onnx --emit=sq\n",
          &problems)) {
    errs() << problem;
    return static_cast<int>(ExitCode::Usage);
  }

  sq::CompileOptions options;
  options.output = cli.output;
  options.emit = cli.emit;
  options.threads = cli.threads;
  static const char *precisions[] = {"f32", "bf16", "f16", "tf32"};
  options.precision = precisions[static_cast<int>(cli.precision.getValue())];
  options.sanitize = cli.sanitize;
  options.keepIntermediates = cli.keepIntermediates;
  options.emulateAmx = cli.emulateAmx;
  options.emulateCuda = cli.emulateCuda;
  if (cli.sanitize && !StringRef(cli.output).ends_with(".so"))
    return usage("--sanitize needs -o OUT.so");
  options.kvCache = cli.kvCache;
  if (cli.kvCache != "auto" && cli.kvCache != "state" && cli.kvCache != "explicit")
    return usage("--kv-cache=" + cli.kvCache + ": expected auto, state or explicit");
  if (cli.kvCache == "state" && (cli.quant == "int-only" || cli.keepIntermediates))
    return usage("--kv-cache=state excludes --quant=int-only and --keep-intermediates, which know no caches");
  options.tile = cli.tile;
  sq::Tiles tiles;
  if (std::string wrong = sq::parseTiles(cli.tile, tiles); !wrong.empty())
    return usage("--tile=" + cli.tile + ": " + wrong);
  if (none_of(sq::hostTargets(), [&](const sq::HostTarget &target) { return sq::fitTiles(target, tiles); }))
    return usage("--tile=" + cli.tile + ": rows x vectors do not fit the registers of any CPU level");
  if (cli.maxMemory.getNumOccurrences() && !parseSize(cli.maxMemory, options.maxMemory))
    return usage("--max-memory=" + cli.maxMemory + " is no size; give bytes, or a number with K, M or G");
  if (cli.threads < 0)
    return usage("--threads=" + Twine(cli.threads) + " is negative");
  static const char *phases[] = {"onnx", "sq", "qdq-onnx", "qonnx", "kernels", "llvm", "asm", "obj", "ptx"};
  if (cli.emit.getNumOccurrences() && !is_contained(phases, StringRef(cli.emit)))
    return usage("--emit=" + cli.emit + " is none of onnx, sq, qdq-onnx, qonnx, kernels, llvm, asm, obj, ptx");
  if (cli.emit.empty() && cli.output.empty() && cli.reports.empty() && cli.emitPlan.empty())
    return usage("-o OUT is missing (or --emit=PHASE, --report=FILE, --emit-plan=FILE to look inside)");
  if (!cli.emit.empty() && !cli.reports.empty())
    return usage("--report and --emit exclude each other");
  for (const std::string &report : cli.reports)
    if (!sq::isReportName(report))
      return usage("--report=" + report + ": expected FILE.html, FILE.json, FILE.txt or -");
  options.reports.assign(cli.reports.begin(), cli.reports.end());
  for (const std::string &shape : cli.shapes)
    if (std::string wrong = sq::parseShape(shape, options.shape); !wrong.empty())
      return usage(wrong);
  auto [kind, level] = StringRef(cli.targetName).split(':');
  if (kind == "cuda") {
    for (StringRef arch : split(level, ',')) {
      if (!sq::findCudaTarget(arch))
        return usage("--target=" + cli.targetName + ": '" + arch + "' is no architecture of cuda; " + sq::cudaTargetNames());
      options.cuda.push_back(arch.str());
    }
    if (!cli.tile.empty())
      return usage("--tile is for the host");
    if (cli.kvCache == "state")
      return usage("--kv-cache=state is for the host");
  } else if (kind != "host") {
    return usage("--target=" + cli.targetName + " is not known; host, host:native, host:LEVEL or cuda:ARCH");
  }
  if (kind == "host" && (options.precision == "f16" || options.precision == "tf32"))
    return usage("--precision=" + options.precision + " is for --target=cuda:ARCH; host code has f32 and bf16");
  if (cli.emit == "ptx" && options.cuda.empty())
    return usage("--emit=ptx needs --target=cuda:ARCH");
  if (kind == "cuda") {
    // No CPU level to choose.
  } else if (level == "native") {
    std::string best = sq::bestHostLevel();
    if (best.empty()) {
      errs() << "sq-compile: this CPU lacks AVX2 and FMA, which the lowest level, x86-64-v3, needs; "
                "name a level to compile for another machine\n";
      return static_cast<int>(ExitCode::Lacking);
    }
    options.levels = {best};
  } else if (!level.empty()) {
    if (!sq::findHostTarget(level)) {
      std::string known;
      for (const sq::HostTarget &t : sq::hostTargets())
        known += (", " + t.level).str();
      return usage("--target=" + cli.targetName + ": levels are native" + known);
    }
    options.levels = {level.str()};
  }

  if (!cli.quant.empty() && cli.quant != "int8" && cli.quant != "int-only")
    return usage("--quant=" + cli.quant + " is not known; int8 or int-only");
  if (cli.activations != "int8" && cli.activations != "dynamic" && cli.activations != "f32")
    return usage("--activations=" + cli.activations + " is not known; int8, dynamic or f32");
  if (cli.attention != "int8" && cli.attention != "float")
    return usage("--attention=" + cli.attention + " is not known; int8 or float");
  bool mixed = isMixed(cli);
  if (std::string wrong = cli.targets.parse(options.targets); !wrong.empty())
    return usage(wrong);
  if (std::string wrong = checkTargets(cli, !options.cuda.empty()); !wrong.empty())
    return usage(wrong);
  if (cli.attention.getNumOccurrences() && cli.quant != "int8" && !mixed)
    return usage("--attention is for --quant=int8");
  bool isDynamic = cli.activations == "dynamic";
  if (isDynamic && cli.quant != "int8" && !mixed)
    return usage("--activations=dynamic is of use with --quant=int8 only");
  if (cli.activations == "f32" && !cli.quant.empty())
    return usage("--quant=" + cli.quant + " makes activations integers; --activations=f32 is for products by codes");
  bool isExported = cli.emit == "qdq-onnx" || cli.emit == "qonnx";
  if (isDynamic && isExported)
    return usage("--emit=" + cli.emit + " has no nodes for --activations=dynamic");
  if (isExported && cli.quant == "int-only")
    return usage("--emit=" + cli.emit + " has no nodes for --quant=int-only; --quant=int8 has the same products");
  if (isExported && !cli.weights.empty())
    return usage("--emit=" + cli.emit + " has no nodes for --weights=" + cli.weights + " (" +
                 (StringRef(cli.weights).starts_with("lut") ? "tables for each channel, and sparse weights beside them"
                                                           : "groups of inputs with a scale of their own") +
                 "); --quant=int8 with a --plan of int2 to int8 for each layer has");
  if (!cli.quant.empty() && cli.calib.empty() && !isDynamic)
    return usage("--quant=" + cli.quant + " needs --calib=DIR, samples, or a file that sq-calibrate wrote; "
                 "sq-calibrate --synthetic or --activations=dynamic do without samples");
  if (cli.quant.empty() && cli.weights.empty() && !mixed && !cli.calib.empty())
    return usage("--calib is of use with --quant, --weights, --plan and budgets only");
  if (!cli.weights.empty()) {
    sq::WeightScheme scheme;
    double percent = 0;
    if (std::string wrong = sq::parseWeightScheme(cli.weights, scheme); !wrong.empty())
      return usage("--weights: " + wrong);
    if (std::string wrong = sq::parseShare(cli.outliers, percent); !wrong.empty())
      return usage("--outliers: " + wrong);
    if (!cli.quant.empty())
      return usage("--weights and --quant exclude each other");
    if (scheme.isGptq() && cli.calib.empty())
      return usage("--weights=" + cli.weights + " needs --calib=DIR, samples, or a file that sq-calibrate wrote");
    if (cli.tables != "auto" && cli.tables != "f16" && cli.tables != "int8")
      return usage("--tables=" + cli.tables + " is not known; auto, f16 or int8");
    for (cl::Option *option : std::initializer_list<cl::Option *>{&cli.outliers, &cli.tables, &cli.sensitivity})
      if (option->getNumOccurrences() && !scheme.isTable())
        return usage("--" + option->ArgStr + " is for --weights=lut...");
  } else if (mixed) {
    double percent = 0;
    if (std::string wrong = sq::parseShare(cli.outliers, percent); !wrong.empty())
      return usage("--outliers: " + wrong);
    if (cli.outliers.getNumOccurrences() && !cli.targets.isAny())
      return usage("--outliers is for --weights=lut... and budgets; lines of a plan say it for themselves: lut4+0.45%");
    if (cli.outliers.getNumOccurrences())
      options.targets.outliers = cli.outliers;
    if (cli.tables != "auto" && cli.tables != "f16" && cli.tables != "int8")
      return usage("--tables=" + cli.tables + " is not known; auto, f16 or int8");
    if (!options.cuda.empty())
      return usage("a plan has no CUDA kernels yet; --target=host");
  } else if (cli.outliers.getNumOccurrences() || cli.tables.getNumOccurrences() || cli.sensitivity.getNumOccurrences()) {
    return usage("--outliers, --tables and --sensitivity are for --weights=lut..., budgets and plans");
  }
  if (!cli.quant.empty() && !options.cuda.empty())
    return usage("--quant=" + cli.quant + " has no CUDA kernels yet; --target=host");
  if (isExported && cli.quant.empty())
    return usage("--emit=" + cli.emit + " writes what --quant=int8 quantised; give --quant and --calib");
  if (isExported && cli.model == "-")
    return usage("--emit=" + cli.emit + " reads the model twice; give a file, not standard input");
  if (cli.rounding != "gptq" && cli.rounding != "nearest")
    return usage("--rounding=" + cli.rounding + " is not known; gptq or nearest");
  if (cli.quant.empty() && cli.weights.empty() && !mixed && cli.rounding.getNumOccurrences())
    return usage("--rounding is of use with --quant, --weights, --plan and budgets only");
  options.quant = cli.quant;
  options.rounding = cli.rounding;
  // Said, it goes before what a model says of its own codes.
  bool isSaid = cli.activations.getNumOccurrences() && cli.activations == "int8" && cli.quant.empty();
  options.activations = isSaid ? std::string("int8-all") : cli.activations.getValue();
  options.floatAttention = cli.attention == "float";
  options.weights = cli.weights;
  options.outliers = cli.outliers;
  options.tables = cli.tables;
  options.sensitivity = cli.sensitivity;
  for (cl::Option *option : std::initializer_list<cl::Option *>{&cli.plan, &cli.emitPlan})
    if (option->getNumOccurrences() && cli.quant != "int8" && cli.weights.empty() && !mixed)
      return usage("--" + option->ArgStr + " is for --quant=int8, --weights, plans and budgets");
  if (cli.plan.getNumOccurrences() && cli.quant == "int-only")
    return usage("--plan is for --quant=int8, --weights and budgets");
  for (cl::Option *option : std::initializer_list<cl::Option *>{&cli.minSqnr, &cli.measure})
    if (option->getNumOccurrences() && cli.quant != "int8")
      return usage("--" + option->ArgStr + " is for --quant=int8");
  if (!std::isfinite(cli.minSqnr))
    return usage("--min-sqnr takes a number of dB");
  options.plan = cli.plan;
  options.emitPlan = cli.emitPlan;
  options.minSqnr = cli.minSqnr;

  StringRef style = cli.progress;
  if (style != "auto" && style != "plain" && style != "json" && style != "none")
    return usage("--progress=" + style + " is none of auto, plain, json, none");
  bool json = style == "json";
  auto start = std::chrono::steady_clock::now();
  auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  bool shown = style == "plain" || json ||
               (style == "auto" && sys::Process::StandardErrIsDisplayed());
  if (shown)
    options.progress = [&](const std::string &phase, int index, int count) {
      if (json)
        errs() << formatv("{0}\n", json::Value(json::Object{{"phase", phase}, {"index", index},
                                                            {"count", count}, {"seconds", seconds()}}));
      else
        errs() << formatv("[{0}/{1}] {2,7:f2}s {3}\n", index, count, seconds(), phase);
    };

  sq::MeasureOptions measure;
  measure.levels = options.levels;
  measure.tile = options.tile;
  measure.compileThreads = options.threads;
  auto step = [&](const std::string &what, size_t index, size_t count) {
    if (json)
      errs() << formatv("{0}\n", json::Value(json::Object{{"phase", what}, {"index", int64_t(index + 1)}, {"count", int64_t(count)}, {"seconds", seconds()}}));
    else
      errs() << formatv("      {0,7:f2}s {1} of {2}: {3}\n", seconds(), index + 1, count, what);
  };
  if (shown) {
    options.targets.progress = step;
    measure.progress = [&](const sq::LayerShape &shape, size_t index, size_t count) {
      if (json)
        step("measure layers", index, count);
      else
        errs() << formatv("      {0,7:f2}s measure layer {1} of {2}: {3} x {4}\n", seconds(), index + 1, count, shape.k, shape.n);
    };
  }
  if (cli.measure)
    options.measureLayers = [&](const std::vector<sq::LayerShape> &shapes, std::vector<sq::LayerTimes> &times) {
      return sq::measureLayers(shapes, measure, times);
    };
  options.stats = cli.calib;
  std::optional<FileRemover> temporary;
  if (sys::fs::is_directory(cli.calib))
    if (sq::Status status = calibrateOn(cli.calib, cli, temporary, options.stats); !status.ok()) {
      errs() << "sq-compile: " << status.message << '\n';
      return static_cast<int>(status.code);
    }

  sq::probe::Probe probe;
  if (options.targets.isAny()) {
    std::string data = !cli.targets.data.empty()          ? cli.targets.data
                       : sys::fs::is_directory(cli.calib) ? cli.calib
                                                          : std::string();
    bringMeasurements(cli.model, data, cli.targets, measure, probe, options);
  }

  sq::CompileResult result = sq::compileFile(cli.model, options);
  if (result.code != ExitCode::Done) {
    errs() << "sq-compile: " << result.message << '\n';
    return static_cast<int>(result.code);
  }
  if (!result.message.empty()) // warnings
    errs() << result.message << '\n';
  if (shown && !json && !cli.output.empty() && cli.emit.empty())
    errs() << formatv("{0}: {1:f1} MB of weights, {2:f0} KB of code, {3:f2} s\n", cli.output,
                      result.weightBytes / 1e6, result.codeBytes / 1e3, seconds());
  return 0;
}
