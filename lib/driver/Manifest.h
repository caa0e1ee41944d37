/// What the artifact's manifest says of a program.
#ifndef SQ_LIB_DRIVER_MANIFEST_H
#define SQ_LIB_DRIVER_MANIFEST_H

#include "llvm/ADT/ArrayRef.h"
#include "mlir/IR/BuiltinOps.h"

#include "codegen/common/Schedule.h"
#include "lib/driver/Artifact.h"
#include "lib/driver/Target.h"

namespace sq {

/// Fills `manifest` from the signature of @main (`sq.name`, `sq.dims`,
/// `sq.dtype`, ranges of the module's `sq.dims`) and the schedule of each target, if there are any.
/// Returns an empty string, or what is wrong.
std::string describe(mlir::ModuleOp module, llvm::ArrayRef<Target> targets,
                     llvm::ArrayRef<const Schedule *> schedules, Manifest &manifest);

} // namespace sq

#endif
