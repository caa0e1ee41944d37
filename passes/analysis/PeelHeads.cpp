#include "passes/analysis/PeelHeads.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "passes/analysis/Elementwise.h"

using namespace mlir;

namespace {

/// The source, of rank 4, of a tensor of rank 5 that is the same along dim `copies`.
Value matchBroadcast(Value v, int64_t copies) {
  auto broadcast = v.getDefiningOp<linalg::GenericOp>();
  if (!broadcast || broadcast.getNumDpsInputs() != 1 || broadcast.getNumReductionLoops() ||
      !broadcast.getIndexingMapsArray().back().isIdentity() ||
      broadcast.getBody()->getTerminator()->getOperand(0) != broadcast.getBody()->getArgument(0))
    return nullptr;
  // It is read from a dim of size 1, or from none, and every other dim from itself.
  auto isKept = [&](int64_t d, int64_t i) { return d == i + (i >= copies); };
  AffineMap map = broadcast.getIndexingMapsArray()[0];
  SmallVector<AffineExpr> others;
  bool hasUnitDim = map.getNumResults() == 5;
  for (auto [i, e] : llvm::enumerate(map.getResults())) {
    auto constant = dyn_cast<AffineConstantExpr>(e);
    if (hasUnitDim && static_cast<int64_t>(i) == copies && constant && constant.getValue() == 0)
      continue;
    others.push_back(e);
  }
  if (others.size() != 4)
    return nullptr;
  for (auto [i, e] : llvm::enumerate(others)) {
    auto loop = dyn_cast<AffineDimExpr>(e);
    if (!loop || !isKept(loop.getPosition(), i))
      return nullptr;
  }
  Value source = broadcast.getDpsInputs()[0];
  if (!hasUnitDim)
    return source;
  auto expand = source.getDefiningOp<tensor::ExpandShapeOp>();
  if (!expand || expand.getSrcType().getRank() != 4 || expand.getResultType().getDimSize(copies) != 1)
    return nullptr;
  for (auto [i, group] : llvm::enumerate(expand.getReassociationIndices()))
    for (int64_t d : group)
      if (d != copies && !isKept(d, i))
        return nullptr;
  return expand.getSrc();
}

/// [b, g, ..] -> [b, g, r, ..] -> [b, g * r, ..]: the source and r, the repeated dim in `dim`.
std::optional<std::pair<Value, int64_t>> matchRepeated(Value v, int64_t &dim) {
  auto collapse = v.getDefiningOp<tensor::CollapseShapeOp>();
  if (!collapse || collapse.getSrcType().getRank() != 5 || collapse.getResultType().getRank() != 4)
    return std::nullopt;
  // The dim that the collapse merges into the one before it.
  int64_t copies = -1;
  for (auto [i, group] : llvm::enumerate(collapse.getReassociationIndices()))
    if (group.size() == 2) {
      dim = i;
      copies = group[1];
    }
  if (copies < 0 || collapse.getSrcType().isDynamicDim(copies))
    return std::nullopt;
  Value source = matchBroadcast(collapse.getSrc(), copies);
  if (!source)
    return std::nullopt;
  return std::pair(source, collapse.getSrcType().getDimSize(copies));
}

/// A transposition of the last two dims while batch and heads are one: the source, and
/// how often its heads are repeated (they may be merged in the same step).
std::optional<std::pair<Value, int64_t>> matchFlatTranspose(Value v) {
  auto expand = v.getDefiningOp<tensor::ExpandShapeOp>();
  auto transpose = expand ? expand.getSrc().getDefiningOp<linalg::TransposeOp>() : nullptr;
  auto collapse =
      transpose ? transpose.getInput().getDefiningOp<tensor::CollapseShapeOp>() : nullptr;
  SmallVector<ReassociationIndices> groups = {{0, 1}, {2}, {3}};
  if (!collapse || transpose.getPermutation() != ArrayRef<int64_t>{0, 2, 1} ||
      expand.getReassociationIndices() != groups)
    return std::nullopt;
  RankedTensorType from = collapse.getSrcType(), to = expand.getResultType();
  if (from.getRank() == 5) {
    // [b, g, r, ..] -> [b * g * r, ..]
    groups = {{0, 1, 2}, {3}, {4}};
    Value source = matchBroadcast(collapse.getSrc(), 2);
    bool isSame = !from.isDynamicDim(1) && !from.isDynamicDim(2) &&
                  from.getDimSize(1) * from.getDimSize(2) == to.getDimSize(1) && to.getDimSize(1) > 0;
    if (!source || !isSame || collapse.getReassociationIndices() != groups)
      return std::nullopt;
    return std::pair(source, from.getDimSize(2));
  }
  // The product of both is the same, so one equal size makes the other equal.
  auto isEqual = [&](int64_t d) {
    return !from.isDynamicDim(d) && from.getDimSize(d) == to.getDimSize(d) && from.getDimSize(d) > 0;
  };
  if (collapse.getReassociationIndices() != groups || !(isEqual(0) || isEqual(1)))
    return std::nullopt;
  return std::pair(collapse.getSrc(), int64_t(1));
}

} // namespace

sq::PeeledHeads sq::peelHeads(Value v) {
  PeeledHeads p;
  p.source = v;
  auto permute = [&](ArrayRef<int64_t> permutation) {
    for (int64_t &d : p.permutation)
      d = permutation[d];
    if (p.repeatedDim >= 0)
      p.repeatedDim = permutation[p.repeatedDim];
  };
  while (true) {
    int64_t dim = -1;
    if (auto scaled = sq::matchScaled(p.source)) {
      p.source = scaled->first;
      p.scale *= scaled->second;
    } else if (auto repeated = matchRepeated(p.source, dim); repeated && p.repeatedDim < 0) {
      p.source = repeated->first;
      p.repeats = repeated->second;
      p.repeatedDim = dim;
    } else if (auto flat = matchFlatTranspose(p.source); flat && (flat->second == 1 || p.repeatedDim < 0)) {
      p.source = flat->first;
      permute({0, 1, 3, 2});
      if (flat->second != 1) {
        p.repeats = flat->second;
        p.repeatedDim = 1;
      }
    } else if (auto transpose = p.source.getDefiningOp<linalg::TransposeOp>()) {
      permute(transpose.getPermutation());
      p.source = transpose.getInput();
    } else {
      return p;
    }
  }
}

sq::PeeledHeads sq::peelMoves(Value v) {
  PeeledHeads p;
  p.source = v;
  while (true) {
    if (auto scaled = sq::matchScaled(p.source)) {
      p.source = scaled->first;
      p.scale *= scaled->second;
    } else if (auto transpose = p.source.getDefiningOp<linalg::TransposeOp>()) {
      for (int64_t &d : p.permutation)
        d = transpose.getPermutation()[d];
      p.source = transpose.getInput();
    } else {
      return p;
    }
  }
}

Value sq::arrangeHeads(const PeeledHeads &p, ArrayRef<int64_t> order, Location loc, OpBuilder &builder) {
  SmallVector<int64_t> permutation;
  for (int64_t d : order)
    permutation.push_back(p.permutation[d]);
  if (llvm::equal(permutation, llvm::seq<int64_t>(4)))
    return p.source;
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, p.source), arranged;
  for (int64_t d : permutation)
    arranged.push_back(sizes[d]);
  auto type = cast<RankedTensorType>(p.source.getType());
  Value init = tensor::EmptyOp::create(builder, loc, arranged, type.getElementType());
  return linalg::TransposeOp::create(builder, loc, p.source, init, permutation)->getResult(0);
}
