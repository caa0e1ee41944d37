/// What an artifact has a variant for: a CPU level or a CUDA architecture.
#ifndef SQ_LIB_DRIVER_TARGET_H
#define SQ_LIB_DRIVER_TARGET_H

#include "codegen/common/Schedule.h"
#include "codegen/cuda/CudaTarget.h"
#include "codegen/host/HostTarget.h"
#include "lib/driver/Artifact.h"
#include "lib/driver/KernelCache.h"

#include "mlir/IR/OwningOpRef.h"

namespace sq {

struct Target {
  HostTarget host; // of the code; with `cuda` of the schedule that launches the kernels
  std::optional<CudaTarget> cuda;

  /// As in the manifest: "avx512", "cuda:sm_80".
  std::string name() const { return cuda ? "cuda:" + cuda->arch.str() : host.level.str(); }
};

/// Which of `targets`, as chooseTargets has them, most machines of today run: the last one, or, where that needs AMX,
/// the one before. Reports and costs are of it.
size_t typicalTarget(llvm::ArrayRef<Target> targets);

/// The variants that `options` ask for.
llvm::SmallVector<Target> chooseTargets(const CompileOptions &options, bool ofBytes = false, bool inPairs = false);

/// Passes from buffers to the LLVM dialect, as text for sq-opt.
std::string codePipeline(const Target &target, llvm::StringRef tile);

/// After passes failed: whether the model asks for what cannot be done, as one of them said
/// with `sq.refused`; otherwise it is a defect.
bool isRefused(mlir::ModuleOp module);

/// The code of one variant in the making.
struct Variant {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string entry;                   // symbol of the schedule
  llvm::SmallVector<char, 0> object;   // or what --emit asks for
  std::optional<ManifestDevice> device;
  std::vector<std::shared_ptr<const KernelCache::Object>> kernels; // that the object refers to
  Schedule schedule;
  bool refused = false;                // the model's doing, not a defect
  std::string problem;                 // of what comes after the passes

  /// Lowers `module` for `target`, as far as options ask; false with the reason
  /// in `refused` or `problem`, or in diagnostics.
  bool generate(const Target &target, const CompileOptions &options, bool sanitize, bool reportOnly);
};

} // namespace sq

#endif
