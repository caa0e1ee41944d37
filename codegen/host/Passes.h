/// Passes of host code generation.
#ifndef SQ_CODEGEN_HOST_PASSES_H
#define SQ_CODEGEN_HOST_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace sq {
#define GEN_PASS_DECL
#include "codegen/host/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "codegen/host/Passes.h.inc"
} // namespace sq

#endif
