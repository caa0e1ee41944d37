//===-- IntegerOnly.cpp - a graph without floats ------------------------------===//
//
// From embeddings to the last layer in integers (Kim et al. 2021, I-BERT; Yao et al. 2021, HAWQ-V3),
// with ranges from calibration. The rewriting is in integer_only/.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "passes/Passes.h"
#include "passes/integer_only/Converter.h"

namespace sq {
#define GEN_PASS_DEF_INTEGERONLYPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

struct IntegerOnlyPass : sq::impl::IntegerOnlyPassBase<IntegerOnlyPass> {
  using IntegerOnlyPassBase::IntegerOnlyPassBase;

  void runOnOperation() override {
    sq::calibration::Stats read;
    sq::calibration::RangeOptions options;
    if (sq::Status status = sq::calibration::readStats(stats, method, read, options); !status.ok()) {
      getOperation().emitError(status.message);
      return signalPassFailure();
    }
    if (std::string wrong = sq::checkRounding(rounding); !wrong.empty()) {
      getOperation().emitError(wrong);
      return signalPassFailure();
    }
    sq::IntegerConverter(getOperation(), read, options, rounding == "gptq").run();
  }
};

} // namespace
