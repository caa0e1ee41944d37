/// The host's side of CUDA kernels.
#ifndef SQ_CODEGEN_HOST_LAUNCHTOLLVM_H
#define SQ_CODEGEN_HOST_LAUNCHTOLLVM_H

#include "mlir/Conversion/LLVMCommon/Pattern.h"

namespace sq {

/// Launches, the fault word, and reads of device memory by the schedule become
/// callbacks of the run's context.
void populateLaunchPatterns(const mlir::LLVMTypeConverter &converter, mlir::RewritePatternSet &patterns);

} // namespace sq

#endif
