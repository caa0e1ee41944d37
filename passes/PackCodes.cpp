//===-- PackCodes.cpp - products by codes as kernels take them
//------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"

#include "dialects/sq/IR/ConstantBytes.h"
#include "dialects/sq/IR/ShapeChecks.h"
#include "passes/DecodeCodes.h"
#include "passes/GroupedWeights.h"
#include "passes/Passes.h"

namespace sq {
#define GEN_PASS_DEF_PACKCODESPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using namespace sq;

namespace {

/// Above this, columns take more than 16 bits, and sums of products of bytes
/// more than 32.
constexpr int64_t kMostShortColumns = 65536;

struct Packer {
  Operation *op;
  CodedOperands operands;
  bool bytes;
  OpBuilder b;

  Packer(Operation *op, const CodedOperands &operands, bool bytes)
      : op(op), operands(operands), bytes(bytes), b(op) {}

  template <typename T>
  Value constant(ArrayRef<int64_t> shape, Type element, ArrayRef<T> values) {
    return arith::ConstantOp::create(
        b, op->getLoc(),
        DenseElementsAttr::get(RankedTensorType::get(shape, element), values));
  }

  /// Tables in 8 bits, and the scale and least entry of each.
  LogicalResult addTables(SmallVectorImpl<Value> &lut) {
    auto halves = constantBytes(operands.table);
    if (!halves)
      return op->emitOpError("needs constant tables");
    if (!bytes) {
      lut.push_back(operands.table);
      return success();
    }
    int64_t entries = int64_t(1) << operands.bits;
    std::vector<int8_t> rounded;
    std::vector<float> scales, row(entries);
    for (int64_t n = 0; n < operands.n; ++n) {
      for (int64_t i = 0; i < entries; ++i)
        row[i] = halfToFloat(halves->as<uint16_t>()[n * entries + i]);
      numerics::ByteTable table = numerics::roundTable(row.data(), entries);
      rounded.insert(rounded.end(), table.q.begin(), table.q.end());
      scales.insert(scales.end(), {table.scale, table.least});
    }
    lut.push_back(
        constant<int8_t>({operands.n, entries}, b.getI8Type(), rounded));
    lut.push_back(constant<float>({operands.n, 2}, b.getF32Type(), scales));
    return success();
  }

  LogicalResult addSparse(SmallVectorImpl<Value> &lut) {
    if (!operands.sparse)
      return success();
    FailureOr<numerics::SparseRows> sparse =
        constantSparse(op, operands.sparse);
    if (failed(sparse))
      return failure();
    int64_t count = sparse->columns.size();
    if (!count)
      return success();
    auto values =
        constantBytes(operands.sparse.getDefiningOp<CsrOp>().getValues());
    bool isShort = operands.k <= kMostShortColumns;
    std::vector<uint32_t> narrow;
    std::vector<uint64_t> wide;
    for (int64_t e = 0; e < count; ++e) {
      uint64_t bits = values->as<uint16_t>()[e];
      if (isShort)
        narrow.push_back(uint32_t(bits) << 16 | sparse->columns[e]);
      else
        wide.push_back(bits << 32 | sparse->columns[e]);
    }
    lut.push_back(operands.sparse.getDefiningOp<CsrOp>().getRowPtr());
    lut.push_back(isShort ? constant<uint32_t>({count}, b.getI32Type(), narrow)
                          : constant<uint64_t>({count}, b.getI64Type(), wide));
    return success();
  }

  LogicalResult pack() {
    ElementsAttr codes;
    if (!matchPattern(operands.codes, m_Constant(&codes)))
      return op->emitOpError("needs constant codes");
    SmallVector<Value> lut;
    if (failed(addTables(lut)) || failed(addSparse(lut)))
      return failure();
    auto type = RankedTensorType::get(
        {operands.n, numerics::blocksOf(operands.k, operands.bits),
         operands.bits == 3 ? 3 : 1, bytes ? 64 : 16},
        bytes ? b.getI8Type() : b.getI32Type());
    auto weight = WeightOp::create(
        b, operands.codes.getLoc(), type, codes, /*pack=*/0,
        /*transpose=*/false, /*offset=*/nullptr,
        /*wide_offset=*/nullptr, /*widened=*/false, /*codes=*/operands.bits);
    auto product =
        PackedMatmulOp::create(b, op->getLoc(), operands.outs.getType(),
                               operands.x, weight.getResult(), lut,
                               /*extras=*/ValueRange(), operands.outs);
    Block *body =
        b.createBlock(&product.getEpilogue(), {}, b.getF32Type(), op->getLoc());
    YieldOp::create(b, op->getLoc(), body->getArgument(0));
    op->replaceAllUsesWith(product);
    op->erase();
    return success();
  }
};

struct PackCodesPass : sq::impl::PackCodesPassBase<PackCodesPass> {
  using PackCodesPassBase::PackCodesPassBase;

  static bool hasKernel(const CodedOperands &operands) {
    auto isF32 = [](Value v) {
      return getElementTypeOrSelf(v.getType()).isF32();
    };
    return operands.codes && isF32(operands.x) && isF32(operands.outs) &&
           !ShapedType::isDynamic(operands.k) &&
           !ShapedType::isDynamic(operands.n);
  }

  LogicalResult pack(GroupedMatmulOp op) {
    if (!isa<RankedTensorType>(op.getOuts().getType()))
      return op.emitOpError(
          "is bufferized already; run --sq-pack-codes on tensors");
    if (std::string why = whyNoGroupKernel(op); !why.empty()) {
      remark::missed(op->getLoc(), remark::RemarkOpts::name("decoded").category(
                                       "sq-pack-codes"))
          << remark::reason("a dense weight instead: {0}", why);
      return decodeGroups(op);
    }
    bool mayRound = activations == "int8-all" ||
                    (activations == "int8" && !op.getFloatInput());
    return packGroups(op, mayRound && shaped(op.getX()).getShape().back() <=
                                          kMostShortColumns);
  }

  void runOnOperation() override {
    if (activations != "f32" && activations != "int8" &&
        activations != "int8-all") {
      getOperation().emitError("unknown activations '")
          << activations << "'; f32, int8 or int8-all";
      return signalPassFailure();
    }
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<LutMatmulOp, CsrMatmulOp, DenseAndSparseMatmulOp,
              GroupedMatmulOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto grouped = dyn_cast<GroupedMatmulOp>(op)) {
        if (failed(pack(grouped)))
          return signalPassFailure();
        continue;
      }
      CodedOperands operands = *CodedOperands::of(op);
      if (!isa<RankedTensorType>(operands.outs.getType())) {
        op->emitOpError(
            "is bufferized already; run --sq-pack-codes on tensors");
        return signalPassFailure();
      }
      if (hasKernel(operands)) {
        if (failed(
                Packer(op, operands,
                       activations != "f32" && operands.k <= kMostShortColumns)
                    .pack()))
          return signalPassFailure();
        continue;
      }
      remark::missed(op->getLoc(), remark::RemarkOpts::name("decoded").category(
                                       "sq-pack-codes"))
          << remark::reason("a dense weight instead: {0}",
                            operands.codes
                                ? "there are kernels for f32 only"
                                : "a sparse product by itself has no kernel");
      if (failed(decodeCodes(op, operands)))
        return signalPassFailure();
    }
  }
};

} // namespace
