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
} // namespace sq

#endif
