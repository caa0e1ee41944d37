/// All passes of sq.
#ifndef SQ_PASSES_PASSES_H
#define SQ_PASSES_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include "sq/compiler.h"

namespace sq {
#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

class CompressedLayers;

/// With layers that were compressed before (passes/CompressedLayer.h), and gets
/// those that are new; null: none.
std::unique_ptr<mlir::Pass>
createCompressWeightsPass(const CompressWeightsPassOptions &options,
                          std::shared_ptr<CompressedLayers> known);
} // namespace sq

#endif
