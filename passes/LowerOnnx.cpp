#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "dialects/sq/IR/SqOps.h"

namespace sq {
#define GEN_PASS_DEF_LOWERONNXPASS
#include "passes/Passes.h.inc"
} // namespace sq

namespace {
struct LowerOnnxPass : sq::impl::LowerOnnxPassBase<LowerOnnxPass> {
  void runOnOperation() override {}
};
} // namespace
