/// The compiler as a library: a model in, an artifact out.
#ifndef SQ_COMPILER_H
#define SQ_COMPILER_H

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mlir {
class MLIRContext;
class ModuleOp;
} // namespace mlir

namespace sq {

/// Exit codes of all tools (design.md).
enum class ExitCode : int {
  Done = 0,
  Refused = 1,    // the input: model, data, plan or artifact
  Usage = 2,
  Lacking = 3,    // CPU feature, device, memory, disk, permission
  Comparison = 4,
  Defect = 70
};

struct DimRange {
  int64_t min = 1;
  int64_t max = INT64_MAX;
};

/// A linear layer: x [rows, k] by a weight [k, n].
struct LayerShape {
  int64_t k = 0, n = 0;
  int64_t rows = 0; // that times are of
  bool operator==(const LayerShape &other) const { return k == other.k && n == other.n && rows == other.rows; }
};

/// Seconds of such a layer, x in float and the result in float.
struct LayerTimes {
  double int8 = 0, f32 = 0;
};

/// Noise with a tenth of a layer's power leaves little of what the layer says.
constexpr double kMinLayerSqnr = 10;

struct CompileResult;

/// A program of gradients instead of the model: --sq-differentiate of passes/Passes.td, whose options these are.
struct GradientOptions {
  std::string loss = "cross-entropy";
  std::string output;              // empty: the first result in floating point
  std::string by = "weights";
  std::vector<std::string> layers; // empty: all
  bool weightArguments = false;
  bool recompute = true;
  bool checkpoints = false;
  bool products = false;
};

/// A way to keep a linear layer, to be timed: `format` as plans have it (lib/quantization/Plan.h).
struct LayerToTime {
  LayerShape shape;
  std::string format; // "f32", "int8", "lut4", "lut3+0.45%"
};

/// Budgets for sq to choose the precision of linear layers within (lib/assign); what is to be measured for that, the caller
/// brings.
struct BitTargets {
  std::optional<double> bytes;         // of all weights in the artifact
  std::optional<double> bitsPerWeight; // of the linear layers, as the report counts them
  std::optional<double> bops;          // bit operations of a run with `dims`
  std::optional<double> seconds;       // of a run with `dims` and one thread
  std::map<std::string, int64_t> dims; // by symbol; for the others a typical size
  std::string outliers = "0.45%";      // of the choices that have some
  std::string losses;                  // file of expected losses that emitLosses wrote; empty: `probe` measures them
  std::string emitLosses;              // file that gets them
  /// Instead of the best plan one to compare it with: "reversed" or "shuffled:SEED" sensitivities (lib/assign/Losses.h).
  std::string control;
  /// The increase of the model's loss by each of these plans, texts of lib/quantization/Plan.h, over data; and what that is, in
  /// words. `starts` is called before each, in their order, one call at a time.
  std::function<CompileResult(const std::vector<std::string> &plans, const std::function<void(size_t)> &starts,
                              std::vector<double> &losses, std::string &metric)>
      probe;
  /// The same by samples that `probe` does not see, one by one: [plans, samples], the mean of a plan's is its loss. With it the
  /// plan and some beside it are run, and the best is taken; null: the plan is what is expected to be best.
  std::function<CompileResult(const std::vector<std::string> &plans, const std::function<void(size_t)> &starts,
                              std::vector<std::vector<double>> &losses)>
      compare;
  /// Seconds of each layer, and of the whole float model with `dims`.
  std::function<CompileResult(const std::vector<LayerToTime> &layers, std::vector<double> &seconds, double &model)> time;
  /// What takes long, and how far it is. One call at a time, from any thread.
  std::function<void(const std::string &what, size_t index, size_t count)> progress;

  bool isAny() const { return bytes || bitsPerWeight || bops || seconds; }
};

struct CompileCache;

struct CompileOptions {
  std::string output;                      // .so, .a (+ .h), or an executable
  std::map<std::string, DimRange> shape;   // by symbol, --shape=
  std::string precision = "f32";           // of linear layers' weights and products: f32, bf16, and for CUDA f16, tf32
  std::string quant;                       // "int8", "int-only", or empty
  std::string stats;                       // file of sq-calibrate, for `quant`
  std::string activations = "int8";        // of `quant` "int8": "int8" or "dynamic", which can do without `stats`; of
                                           // products by codes: "int8", rounded row by row at run time, unless the model
                                           // says that they are not to be (MatMulNBits), "int8-all", or "f32"
  bool floatAttention = false;             // of `quant` "int8": attention stays in float (in bf16 on AMX)
  std::string rounding = "gptq";           // of weights, for `quant`: "gptq", where `stats` has second moments, or "nearest"
  /// Weights of linear layers in 2 to 4 bits: "lut4", "gptq3-g64", ... (lib/quantization/WeightScheme.h), or empty. With `stats`
  /// fitted to those.
  std::string weights;
  std::string outliers = "0%";             // of `weights` "lut": a share that keeps 16 bits
  std::string sensitivity;                 // file of sq-sensitivity, for `weights`
  std::string tables = "auto";             // entries of `weights` "lut": "auto", "f16", "int8"
  /// File with the precision of layers; lib/quantization/Plan.h. With neither `quant` nor `weights` it alone decides, and
  /// what it says nothing about stays in float.
  std::string plan;
  std::string planText;                    // the same as a text, which goes before the file
  std::string emitPlan;                    // file that gets the precision of every layer
  bool floatTables = false;                // with a plan alone: tables of embeddings stay in float whatever it says
  BitTargets targets;                      // then `quant` and `weights` are empty, and `plan` fixes what it is about
  double minSqnr = kMinLayerSqnr;          // in dB; a layer that is expected to have less stays in float
  /// Measures layers of these shapes on this machine, for "int8": one that is slower in 8 bits stays in float. Null:
  /// sq's cost model has to do.
  std::function<CompileResult(const std::vector<LayerShape> &shapes, std::vector<LayerTimes> &times)> measureLayers;
  std::vector<std::string> levels;         // empty: every CPU level; "native" resolved by the tool
  std::vector<std::string> cuda;           // architectures (sm_80, ...): CUDA kernels instead of the host's
  /// How a decoder that takes its past and returns it longer is compiled: "auto": its keys and values stay in
  /// caches between runs where that is possible (the signature stays the same: sq/runtime.h); "state": the same,
  /// or the model is refused, and a mask of padding is taken to be ones; "explicit": they are handed in and out.
  /// For CUDA it is "explicit".
  std::string kvCache = "auto";
  std::string tile;                        // sizes of tiles, --tile=; empty: by the cost model
  std::string emit;                        // a phase name, or empty for an artifact
  /// Files that get the compile report, by suffix (.json, .html, .txt); "-":
  /// text on stdout. With neither output nor emit nothing else is made (nor with emitPlan alone).
  std::vector<std::string> reports;
  int threads = 0;                         // of the compiler; 0: all allowed cores
  /// Every node's floating-point tensors become outputs called "node:" and the
  /// node's name, for sq-diff.
  bool keepIntermediates = false;
  /// Every tensor whose range calibration gathers becomes an output called "observed:" and its
  /// name (passes/analysis/ObservedValues.h), for sq-calibrate.
  bool observe = false;
  /// The artifact computes a loss and its gradients, for sq-sensitivity.
  std::optional<GradientOptions> gradients;
  /// Called with the module as imported, before --shape ("import"), and at graph level, before
  /// what it computes is turned into buffers ("normalise"). It must not be changed.
  std::function<void(const std::string &phase, mlir::ModuleOp module)> inspect;
  /// Bytes of resident memory that the compile may take; 0: any. It is refused as soon as what is
  /// in use and the weights still to be written exceed them. What passes and LLVM will need beside
  /// is not foreseen, so this is no hard limit.
  uint64_t maxMemory = 0;
  bool sanitize = false;                   // AddressSanitizer in generated code, .so only
  bool emulateAmx = false;                 // loops instead of AMX instructions, for tests
  bool emulateCuda = false;                // kernels for the emulator of test/cuda, for tests
  bool verbose = false;
  /// What other compiles of this process made already (lib/driver/CompileCache.h): compressed weights, and kernels, which
  /// are then compiled one by one, without each other's constants, and compute the same. The artifact refers to nothing in it.
  /// Null: none.
  std::shared_ptr<CompileCache> cache;
  /// Called at the start of each phase (`index` of `count`), from one thread.
  std::function<void(const std::string &phase, int index, int count)> progress;
};

struct CompileResult {
  ExitCode code = ExitCode::Done;
  std::string message; // one clear message when code is not Done
  int64_t weightBytes = 0, codeBytes = 0;
};

/// Compiles `path` (.onnx, .onnxtxt, .mlir, .mlirbc, or "-" for stdin) into
/// options.output. Either the whole artifact is there afterwards or nothing is.
CompileResult compileFile(const std::string &path, const CompileOptions &options);

} // namespace sq

#endif
