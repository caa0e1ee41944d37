//===-- VerifyIntegerOnly.cpp - which floats are left -------------------------===//

#include "llvm/ADT/SetVector.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "passes/Passes.h"
#include "passes/analysis/NodeOutputs.h"
#include "passes/analysis/ObservedValues.h"
#include "passes/integer_only/Converter.h"

namespace sq {
#define GEN_PASS_DEF_VERIFYINTEGERONLYPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

bool isFloat(Type type) { return isa<FloatType>(getElementTypeOrSelf(type)); }

struct VerifyIntegerOnlyPass : sq::impl::VerifyIntegerOnlyPassBase<VerifyIntegerOnlyPass> {
  /// Whether `op` does arithmetic on floats. What only moves them is not what is wrong.
  static bool computes(Operation *op) {
    bool hasFloats = llvm::any_of(op->getOperandTypes(), isFloat) || llvm::any_of(op->getResultTypes(), isFloat);
    if (!hasFloats || isa<arith::ConstantOp, arith::SelectOp>(op))
      return false;
    return isa<arith::ArithDialect, math::MathDialect, sq::SqDialect>(op->getDialect());
  }

  /// A dequantize kernel whose result is an output, or a quantize kernel of an input.
  static bool isAllowed(Operation *op) {
    auto border = op->getAttrOfType<StringAttr>(sq::kBorder);
    if (!border)
      return false;
    if (border == "quantize")
      return isa<BlockArgument>(sq::throughReshapes(op->getOperand(0)));
    return border == "dequantize" && llvm::all_of(op->getUsers(), [](Operation *user) { return isa<func::ReturnOp>(user); });
  }

  static std::string nodesOf(Operation *op) {
    std::vector<std::string> names = sq::nodeNames(op->getLoc());
    llvm::SetVector<StringRef> nodes(names.begin(), names.end());
    return nodes.empty() ? "of no node" : "of " + llvm::join(nodes, ", ");
  }

  void runOnOperation() override {
    std::string list;
    unsigned count = 0;
    for (Operation &op : getOperation().getBody().front()) {
      bool hasFloats = false;
      op.walk([&](Operation *inner) {
        hasFloats |= computes(inner);
      });
      auto border = op.getAttrOfType<StringAttr>(sq::kBorder);
      // What lies between an op that stayed and the integers around it is not what is wrong.
      if (!hasFloats || isAllowed(&op) || (border && border == "inner"))
        continue;
      auto reason = op.getAttrOfType<StringAttr>(sq::kReason);
      list += "\n  " + op.getName().getStringRef().str() + " " + nodesOf(&op);
      if (reason)
        list += ": " + reason.str();
      ++count;
    }
    if (!count)
      return;
    emitError(getOperation().getLoc()) << count << (count == 1 ? " op stays" : " ops stay")
                               << " in float, so that the model is not integer-only; --quant=int8 runs them in float:" << list;
    getOperation()->setAttr("sq.refused", UnitAttr::get(&getContext()));
    signalPassFailure();
  }
};

} // namespace
