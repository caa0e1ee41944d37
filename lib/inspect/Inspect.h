/// What a model or an artifact is and what it costs, without compiling or
/// running it.
#ifndef SQ_LIB_INSPECT_INSPECT_H
#define SQ_LIB_INSPECT_INSPECT_H

#include "lib/calibration/StatsFile.h"
#include "lib/driver/Report.h"
#include "lib/driver/Shapes.h"
#include "lib/machine/Machine.h"
#include "lib/sensitivity/SensitivityFile.h"
#include "lib/support/TimeText.h"
#include "lib/tensorio/Tensor.h"

namespace sq::inspect {

/// A kernel that is or would be launched; formulas as in lib/support/SizeText.h, "" when unknown.
struct Kernel {
  std::string kind; // "matmul", "attention", "elementwise", ...
  std::vector<std::string> parts, nodes;
  std::string flops, reads, writes; // operations, bytes
};

/// What both have: a signature and kernels.
struct Program {
  std::string path;
  std::vector<ManifestTensor> inputs, outputs;
  std::vector<Kernel> kernels;
};

struct Parameters {
  std::string dtype;
  int64_t tensors = 0, elements = 0, bytes = 0;
};

struct Operator {
  std::string name; // "MatMul", "com.microsoft.Attention"
  int64_t count = 0;
  bool refused = false; // some of its nodes
};

/// One reason for which nodes of one operator cannot be compiled.
struct Refusal {
  std::string op, reason, firstNode;
  int64_t nodes = 0;
};

struct Model : Program {
  std::string producer;
  int64_t irVersion = 0; // 0: not from ONNX
  std::vector<std::pair<std::string, int64_t>> opsets;
  std::vector<Parameters> parameters; // by dtype, the largest first
  std::vector<Operator> operators;    // the most frequent first
  std::vector<Refusal> refusals;
  std::vector<std::string> problems;  // that are not about one operator
  int64_t weightBytes = 0;            // as the artifact will store them
  std::string flops, reads, writes;   // of all kernels; "?" when one is unknown

  bool isAccepted() const { return refusals.empty() && problems.empty(); }
};

/// Imports `path` and runs it through the passes in front of code generation.
/// Weights stay where they are. Refused only when the file cannot be imported;
/// what sq cannot compile is part of the answer.
Status readModel(const std::string &path, const DimRanges &shape, Model &model);

struct Variant {
  std::string level;                 // "avx512", "cuda:sm_80"
  std::vector<std::string> features; // that the CPU must have
  int64_t functions = 0, cubinBytes = 0, ptxBytes = 0; // of CUDA
};

struct Artifact : Program {
  std::string producer, weightsHash; // XXH3-128, hexadecimal
  uint32_t formatVersion = 0;
  std::vector<Variant> variants;
  int64_t fileBytes = 0, codeBytes = 0, weightBytes = 0, manifestBytes = 0;
  int64_t caches = 0;       // of keys or values that stay between runs
  uint64_t cacheBytes = 0;  // of all of them, for a token
  int64_t widenedBytes = 0; // of f32 copies that a CPU without AMX makes when loading
  int64_t unpackedBytes = 0; // that loading makes of weights in 2 to 7 bits
};

/// Reads what `path` says of itself; its code is checked by hash, not executed.
Status readArtifact(const std::string &path, Artifact &artifact);

/// The time that a roofline gives: every kernel takes what its arithmetic needs at
/// the peak or what its operands need from memory, whichever is more.
struct Estimate {
  Machine machine;
  std::string level;          // of the CPU, "" when it has none that sq compiles for
  double measured = 0;        // seconds that measuring the machine took
  double seconds = 0, arithmetic = 0; // all kernels; those bound by arithmetic
  std::vector<double> kernels;        // seconds; -1 when unknown
  int64_t unknown = 0;
};

/// Measures this machine for less than 0.1 s. `threads` 0: all that the process may use.
Estimate estimate(const std::vector<Kernel> &kernels, const DimChoice &dims, int threads);

/// All that there is to print; `estimate` null: nothing to estimate.
struct View {
  const Model *model = nullptr; // one of the two
  const Artifact *artifact = nullptr;
  const DimChoice &dims;
  const Estimate *estimate;

  const Program &program() const { return model ? static_cast<const Program &>(*model) : *artifact; }
  /// Of all kernels at `dims`, unknown ones left out.
  double total(std::string Kernel::*formula) const;
  /// Indices of the kernels, the longest time first.
  std::vector<size_t> bySeconds() const;
};

void printText(const View &view, llvm::raw_ostream &os);
void printJson(const View &view, llvm::raw_ostream &os);
void printHtml(const View &view, llvm::raw_ostream &os);

/// A stats file of sq-calibrate: each tensor's extremes, moving averages, and the thresholds that the
/// methods of lib/calibration/Range.h choose for `bits` bits.
void printStats(const std::string &path, const calibration::Stats &stats, int bits, llvm::raw_ostream &os);
void printStatsJson(const calibration::Stats &stats, int bits, llvm::raw_ostream &os);

/// A file of sq-sensitivity: each layer's mean squared gradient over samples and elements, the trace of its Hessian
/// with the standard error, its greatest eigenvalue. Refused when an array is damaged.
Status printSensitivity(const std::string &path, const sensitivity::SensitivityFile &file, llvm::raw_ostream &os);
Status printSensitivityJson(const sensitivity::SensitivityFile &file, llvm::raw_ostream &os);

/// 32 hexadecimal digits.
std::string hashText(const calibration::ModelHash &hash);

/// "f32[batch, sequence, 384]".
std::string typeText(const ManifestTensor &tensor);
/// "batch: 1 and more", "sequence: 0 to 512"; each symbol once.
std::vector<std::string> dimTexts(const std::vector<ManifestTensor> &inputs);
/// "at 310 Gflop/s and 21.3 GB/s (2 threads, avx512), measured in 0.05 s".
std::string machineText(const Estimate &estimate);

} // namespace sq::inspect

#endif
