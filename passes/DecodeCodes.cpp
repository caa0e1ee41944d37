//===-- DecodeCodes.cpp - codes back to dense weights
//---------------------------===//

#include "passes/DecodeCodes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "dialects/sq/IR/ConstantBytes.h"
#include "dialects/sq/IR/ShapeChecks.h"
#include "passes/GroupedWeights.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_DECODECODESPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using namespace sq;

std::optional<CodedOperands> CodedOperands::of(Operation *op) {
  CodedOperands result;
  if (auto o = dyn_cast<LutMatmulOp>(op))
    result = {o.getX(), o.getCodes(), o.getTable(),
              {},       o.getOuts(),  o.getBits()};
  else if (auto o = dyn_cast<DenseAndSparseMatmulOp>(op))
    result = {o.getX(),      o.getCodes(), o.getTable(),
              o.getSparse(), o.getOuts(),  o.getBits()};
  else if (auto o = dyn_cast<CsrMatmulOp>(op))
    result = {o.getX(), {}, {}, o.getWeight(), o.getOuts()};
  else
    return std::nullopt;
  result.k = shaped(result.x).getShape().back();
  result.n = shaped(result.outs).getShape().back();
  return result;
}

FailureOr<numerics::SparseRows> sq::constantSparse(Operation *op,
                                                   Value sparse) {
  auto csr = sparse.getDefiningOp<CsrOp>();
  auto rows = csr ? constantBytes(csr.getRowPtr()) : std::nullopt;
  auto columns = csr ? constantBytes(csr.getColumns()) : std::nullopt;
  auto values = csr ? constantBytes(csr.getValues()) : std::nullopt;
  if (!rows || !columns || !values)
    return op->emitOpError(
        "needs a sparse weight that sq.csr makes of constants");
  numerics::SparseRows result;
  result.rowPtr.assign(rows->as<uint32_t>().begin(),
                       rows->as<uint32_t>().end());
  if (shaped(csr.getColumns()).getElementType().isInteger(16))
    result.columns.assign(columns->as<uint16_t>().begin(),
                          columns->as<uint16_t>().end());
  else
    result.columns.assign(columns->as<uint32_t>().begin(),
                          columns->as<uint32_t>().end());
  for (uint16_t bits : values->as<uint16_t>())
    result.values.push_back(halfToFloat(bits));
  return result;
}

LogicalResult sq::decodeCodes(Operation *op, const CodedOperands &operands) {
  if (ShapedType::isDynamic(operands.k) || ShapedType::isDynamic(operands.n))
    return op->emitOpError("needs static k and n, got ")
           << operands.x.getType() << " and " << operands.outs.getType();
  numerics::SparseRows sparse;
  if (operands.sparse) {
    FailureOr<numerics::SparseRows> found = constantSparse(op, operands.sparse);
    if (failed(found))
      return failure();
    sparse = std::move(*found);
  }
  std::vector<float> w;
  if (operands.codes) {
    auto codes = constantBytes(operands.codes),
         table = constantBytes(operands.table);
    if (!codes || !table)
      return op->emitOpError("needs constant codes and tables");
    std::vector<float> entries;
    for (uint16_t bits : table->as<uint16_t>())
      entries.push_back(halfToFloat(bits));
    w = numerics::decodeCodes(codes->as<uint32_t>().data(), entries.data(),
                              operands.n, operands.k, operands.bits,
                              operands.sparse ? &sparse : nullptr);
  } else {
    w.assign(operands.n * operands.k, 0.0f);
    for (int64_t r = 0; r < operands.n; ++r)
      for (uint32_t e = sparse.rowPtr[r]; e < sparse.rowPtr[r + 1]; ++e)
        w[r * operands.k + sparse.columns[e]] = sparse.values[e];
  }
  OpBuilder b(op);
  auto type = RankedTensorType::get({operands.n, operands.k}, b.getF32Type());
  Value weight = arith::ConstantOp::create(
      b, op->getLoc(), DenseElementsAttr::get(type, ArrayRef(w)));
  auto linear =
      LinearOp::create(b, op->getLoc(), operands.outs.getType(), operands.x,
                       weight, /*bias=*/Value(), operands.outs,
                       /*transpose_weight=*/true);
  op->replaceAllUsesWith(linear);
  op->erase();
  return success();
}

namespace {

struct DecodeCodesPass : sq::impl::DecodeCodesPassBase<DecodeCodesPass> {
  using DecodeCodesPassBase::DecodeCodesPassBase;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<GroupedMatmulOp>(op) ||
          (!groupsOnly &&
           isa<LutMatmulOp, CsrMatmulOp, DenseAndSparseMatmulOp>(op)))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      auto grouped = dyn_cast<GroupedMatmulOp>(op);
      if (failed(grouped ? decodeGroups(grouped)
                         : decodeCodes(op, *CodedOperands::of(op))))
        return signalPassFailure();
    }
  }
};

} // namespace
