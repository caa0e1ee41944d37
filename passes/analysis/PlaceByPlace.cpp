#include "passes/analysis/PlaceByPlace.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace sq;

namespace {

struct Check {
  SymbolicSizes &sizes;
  const SymbolicSize &places;

  /// The dim of places, or of those of a whole batch in a row; -1: none.
  /// Nothing when that cannot be told.
  std::optional<int64_t> dimOf(Value v) {
    auto type = dyn_cast<RankedTensorType>(v.getType());
    if (!type)
      return std::nullopt;
    int64_t found = -1;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      SymbolicSize extent = sizes.extent(v, d);
      if (!extent.isKnown())
        return std::nullopt;
      if (!extent.mentions(places))
        continue;
      SymbolicSize rows = SymbolicSize::floorDiv(extent, places);
      if (found >= 0 || !(rows * places == extent) || rows.mentions(places))
        return std::nullopt;
      found = d;
    }
    return found;
  }

  /// What is only added to the length of its sequence: a position, which goes on
  /// where an earlier part ended.
  static bool isPosition(Value place, int depth = 4) {
    auto isLength = [](Value v) {
      while (isa_and_nonnull<arith::IndexCastOp>(v.getDefiningOp()))
        v = v.getDefiningOp()->getOperand(0);
      auto extract = v.getDefiningOp<tensor::ExtractOp>();
      auto arg = extract ? dyn_cast<BlockArgument>(extract.getTensor()) : nullptr;
      auto func = arg ? dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp()) : nullptr;
      auto name = func ? func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "sq.name") : nullptr;
      return name && name.getValue() == "sq.lengths";
    };
    return llvm::all_of(place.getUsers(), [&](Operation *user) {
      if (isa<arith::IndexCastOp>(user))
        return depth > 0 && isPosition(user->getResult(0), depth - 1);
      return isa<arith::AddIOp>(user) && isLength(user->getOperand(user->getOperand(0) == place));
    });
  }

  bool fits(linalg::LinalgOp op) {
    std::optional<unsigned> loop;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<RankedTensorType>(operand.get().getType()))
        continue;
      std::optional<int64_t> dim = dimOf(operand.get());
      if (!dim)
        return false;
      if (*dim < 0)
        continue;
      auto at = dyn_cast<AffineDimExpr>(
          op.getMatchingIndexingMap(&operand).getResult(*dim));
      if (!at || (loop && *loop != at.getPosition()))
        return false;
      loop = at.getPosition();
    }
    if (loop) {
      if (op.getIteratorTypesArray()[*loop] != utils::IteratorType::parallel)
        return false;
      for (OpOperand &operand : op->getOpOperands())
        for (auto [i, e] :
             llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
          if (e.isFunctionOfDim(*loop) &&
              dimOf(operand.get()) != static_cast<int64_t>(i))
            return false;
    }
    // Neither the place itself nor how many there are, nor elements chosen
    // elsewhere.
    return !op->walk([&](Operation *inner) {
                if (inner == op.getOperation())
                  return WalkResult::advance();
                auto index = dyn_cast<linalg::IndexOp>(inner);
                auto extract = dyn_cast<tensor::ExtractOp>(inner);
                bool wrong = (index && loop && index.getDim() == *loop && !isPosition(index)) ||
                             (extract && dimOf(extract.getTensor()) != -1);
                for (Value operand : inner->getOperands())
                  if (operand.getParentRegion()->isProperAncestor(
                          &op->getRegion(0)) &&
                      operand.getType().isIntOrIndex()) {
                    SymbolicSize value = sizes.of(operand);
                    // A number of data that the schedule reads would be
                    // unknown, too.
                    wrong |= !value.isKnown() || value.mentions(places);
                  }
                return wrong ? WalkResult::interrupt() : WalkResult::advance();
              }).wasInterrupted();
  }

  /// Each row (along the last dim) by itself.
  bool fitsRows(Operation *op) {
    for (Value v : op->getOperands()) {
      std::optional<int64_t> dim = dimOf(v);
      auto type = cast<RankedTensorType>(v.getType());
      if (!dim ||
          (*dim >= 0 && *dim == type.getRank() - 1 && !isa<EmbeddingOp>(op)))
        return false;
    }
    return true;
  }

  /// Places run fastest in their group: then the row of place s of sequence b
  /// is b * S + s, wherever such rows are split or joined.
  bool fitsGroups(Value wide, ArrayRef<ReassociationIndices> groups) {
    std::optional<int64_t> dim = dimOf(wide);
    if (!dim)
      return false;
    auto type = cast<RankedTensorType>(wide.getType());
    for (const ReassociationIndices &group : groups)
      if (llvm::is_contained(group, *dim))
        for (int64_t d : group)
          if (d > *dim && type.getDimSize(d) != 1)
            return false;
    return true;
  }

  /// All places, or nothing that has any.
  bool fitsSlice(Value whole, Value part, ArrayRef<OpFoldResult> offsets,
                 ArrayRef<OpFoldResult> strides) {
    std::optional<int64_t> dim = dimOf(whole), partDim = dimOf(part);
    if (!dim || !partDim || (*dim < 0) != (*partDim < 0))
      return false;
    return *dim < 0 ||
           (sizes.extent(whole, *dim) == sizes.extent(part, *partDim) &&
            isConstantIntValue(offsets[*dim], 0) &&
                        isConstantIntValue(strides[*dim], 1));
  }

  bool fits(Operation *op) {
    if (isa<AttentionOp, KvAppendOp, KvAttendOp, tensor::EmptyOp, tensor::DimOp, arith::ConstantOp,
            cf::AssertOp, func::ReturnOp>(op) ||
        llvm::all_of(op->getResultTypes(),
                     [](Type t) { return t.isIntOrIndex(); }))
      return true;
    if (auto o = dyn_cast<linalg::LinalgOp>(op))
      return fits(o);
    if (isa<LinearOp, GroupedMatmulOp, RmsNormOp, LayerNormOp, GeluOp, SiluOp, EmbeddingOp,
            RotaryEmbeddingOp, SoftmaxOp>(op))
      return fitsRows(op);
    if (auto o = dyn_cast<MatmulOp>(op)) {
      // Places are rows, of a factor without any.
      int64_t rows = cast<RankedTensorType>(o.getOuts().getType()).getRank() - 2;
      return dimOf(o.getA()) == rows && dimOf(o.getOuts()) == rows && dimOf(o.getB()) == -1;
    }
    if (auto o = dyn_cast<tensor::ExpandShapeOp>(op))
      return fitsGroups(o.getResult(), o.getReassociationIndices());
    if (auto o = dyn_cast<tensor::CollapseShapeOp>(op))
      return fitsGroups(o.getSrc(), o.getReassociationIndices());
    if (auto o = dyn_cast<tensor::ExtractSliceOp>(op))
      return fitsSlice(o.getSource(), o.getResult(), o.getMixedOffsets(),
                       o.getMixedStrides());
    if (auto o = dyn_cast<tensor::InsertSliceOp>(op))
      return fitsSlice(o.getDest(), o.getSource(), o.getMixedOffsets(),
                       o.getMixedStrides());
    return isa<tensor::CastOp>(op);
  }
};

} // namespace

std::string sq::mixesPlaces(func::FuncOp func, SymbolicSizes &sizes,
                            const SymbolicSize &places) {
  Check check{sizes, places};
  for (Operation &op : func.getBody().front())
    if (!check.fits(&op)) {
      std::string where;
      llvm::raw_string_ostream(where) << op.getLoc();
      return (op.getName().getStringRef() + " at " + where +
              " is not computed place by place")
          .str();
    }
  return "";
}
