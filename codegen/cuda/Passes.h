/// Passes of CUDA code generation.
#ifndef SQ_CODEGEN_CUDA_PASSES_H
#define SQ_CODEGEN_CUDA_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace sq {
#define GEN_PASS_DECL
#include "codegen/cuda/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "codegen/cuda/Passes.h.inc"
} // namespace sq

#endif
