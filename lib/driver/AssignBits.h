/// The step of the driver behind --target-size= and its like: budgets in, a
/// plan out (lib/assign/README.md).
#ifndef SQ_LIB_DRIVER_ASSIGNBITS_H
#define SQ_LIB_DRIVER_ASSIGNBITS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/JSON.h"

#include "lib/calibration/StatsFile.h"
#include "sq/compiler.h"

namespace sq {

/// What was decided, as texts: for --emit-plan, and for reports.
struct AssignedBits {
  std::string plan;  // lib/quantization/Plan.h: every layer by its name
  std::string table; // budgets, totals, layers with the losses of all choices
  std::string
      front; // the Pareto front of the first budget's cost, a line each point
  std::string svg; // the same as a picture
  llvm::json::Value json = nullptr;
};

struct AssignRequest {
  const CompileOptions &options; // with `targets`
  calibration::ModelHash model;
  /// The rest of the compile as far as it says how large the weights are: sets
  /// `sq.weight_bytes` of @main.
  llvm::function_ref<mlir::LogicalResult(mlir::ModuleOp)> toBuffers;
};

/// `module` at graph level, with `sq.linear` as normalisation leaves them; it
/// stays as it is. Refused with one message: budgets that cannot be met,
/// choices without losses, layers that cannot be measured. The plan depends on
/// the model, the statistics, the losses and the budgets only.
CompileResult assignBits(mlir::ModuleOp module, const AssignRequest &request,
                         AssignedBits &result);

} // namespace sq

#endif
