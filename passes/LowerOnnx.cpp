// From `onnx` to `sq`, linalg, tensor, arith and math on tensors.
//
// Not a dialect conversion: an ONNX graph is a straight line of pure nodes, and
// lowering it needs what the result so far is (its dims as SSA values, known
// elements, pending broadcasts), which types cannot carry. So the pass walks the
// graph once and writes a new function; see passes/lower_onnx/Lowering.h.

#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/lower_onnx/Lowering.h"

namespace sq {
#define GEN_PASS_DEF_LOWERONNXPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {
struct LowerOnnxPass : sq::impl::LowerOnnxPassBase<LowerOnnxPass> {
  LogicalResult initialize(MLIRContext *) override {
    sq::registerActivations(table);
    sq::registerArithmetic(table);
    sq::registerAttention(table);
    sq::registerCasts(table);
    sq::registerContractions(table);
    sq::registerControl(table);
    sq::registerIndexing(table);
    sq::registerLoops(table);
    sq::registerScan(table);
    sq::registerLosses(table);
    sq::registerMicrosoft(table);
    sq::registerMovement(table);
    sq::registerNormalizations(table);
    sq::registerPackedBlocks(table);
    sq::registerQuantization(table);
    sq::registerQuantizedProducts(table);
    sq::registerRandom(table);
    sq::registerRearrangement(table);
    sq::registerRecurrent(table);
    sq::registerReductions(table);
    sq::registerReshape(table);
    sq::registerRotary(table);
    sq::registerSelection(table);
    sq::registerShapes(table);
    sq::registerTensorScatter(table);
    sq::registerTextVectors(table);
    sq::registerSequences(table); // after Identity's rule
    sq::registerUnary(table);
    sq::registerConvolutions(table);
    sq::registerDeformConv(table);
    sq::registerFourier(table);
    sq::registerImages(table);
    sq::registerMatrices(table);
    sq::registerPooling(table);
    sq::registerResize(table);
    sq::registerSampling(table);
    sq::registerSignals(table);
    sq::registerUnpooling(table);
    return success();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal()) {
      module.emitError("the module has no function @main to lower");
      return signalPassFailure();
    }
    if (isLowered(main))
      return;
    sq::Lowering lowering(module, main, table);
    if (failed(lowering.run()))
      signalPassFailure();
  }

  /// Running the pass twice changes nothing.
  static bool isLowered(func::FuncOp main) {
    bool hasOnnx = false;
    main.walk([&](Operation *op) { hasOnnx |= op->getName().getDialectNamespace() == "onnx"; });
    auto hasDtypes = [](ArrayAttr attrs) {
      return attrs && llvm::all_of(attrs.getAsRange<DictionaryAttr>(),
                                   [](DictionaryAttr d) { return d.contains("sq.dtype"); });
    };
    return !hasOnnx && main.getNumResults() > 0 && hasDtypes(main.getAllResultAttrs()) &&
           (main.getNumArguments() == 0 || hasDtypes(main.getAllArgAttrs()));
  }

  sq::LoweringTable table;
};
} // namespace
