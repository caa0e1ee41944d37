#include "passes/cache_states/CacheAnalysis.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"

#include "passes/analysis/CausalMask.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace sq;

bool CacheAnalysis::refuse(const Twine &why) {
  if (reason.empty())
    reason = why.str();
  return false;
}

std::string CacheAnalysis::argName(unsigned i) {
  auto name = func.getArgAttrOfType<StringAttr>(i, "sq.name");
  return name ? name.getValue().str() : "argument " + std::to_string(i);
}

SymbolicSize CacheAnalysis::sizeOf(OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return sizes.of(value);
  return SymbolicSize(*getConstantIntValue(size));
}

std::optional<SmallVector<SymbolicSize>> CacheAnalysis::offsetsOf(tensor::InsertSliceOp insert) {
  if (insert.getSourceType().getRank() != 4 ||
      llvm::any_of(insert.getMixedStrides(), [](OpFoldResult s) {
        return getConstantIntValue(s) != 1;
      }))
    return std::nullopt;
  SmallVector<SymbolicSize> offsets;
  for (OpFoldResult offset : insert.getMixedOffsets())
    if (offsets.push_back(sizeOf(offset)); !offsets.back().isKnown())
      return std::nullopt;
  return offsets;
}

std::optional<Cached> CacheAnalysis::matchAppend(Value result) {
  auto second = result.getDefiningOp<tensor::InsertSliceOp>();
  auto first = second
                   ? second.getDest().getDefiningOp<tensor::InsertSliceOp>()
                   : nullptr;
  if (!first || !first.getDest().getDefiningOp<tensor::EmptyOp>() ||
      !first->hasOneUse())
    return std::nullopt;
  auto past = dyn_cast<BlockArgument>(first.getSource());
  if (!past || past.getOwner() != &func.getBody().front())
    return std::nullopt;
  auto before = offsetsOf(first), after = offsetsOf(second);
  if (!before || !after || llvm::any_of(*before, [](const SymbolicSize &s) {
        return s.constant() != 0;
      }))
    return std::nullopt;
  Cached cached;
  for (int64_t d = 0; d < 4; ++d) {
    bool begins = (*after)[d].constant() == 0;
    SymbolicSize old = sizes.extent(past, d),
                 more = sizes.extent(second.getSource(), d),
                 all = sizes.extent(result, d);
    if (!begins && (*after)[d] == old && all == old + more && !cached.axis)
      cached.axis = d;
    else if (!begins || !(old == all) || !(more == all))
      return std::nullopt;
  }
  if (cached.axis != 1 && cached.axis != 2)
    return std::nullopt;
  cached.input = past.getArgNumber();
  cached.whole = result;
  cached.rows = second.getSource();
  return cached;
}

bool CacheAnalysis::findReaders(Cached &cached) {
  auto type = cast<RankedTensorType>(cached.whole.getType());
  if (!type.getElementType().isF32() || type.isDynamicDim(3) ||
      type.isDynamicDim(cached.axis == 2 ? 1 : 2))
    return refuse("'" + argName(cached.input) +
                  "' is not of f32 with a constant number and size of heads");
  auto addReader = [&](OpOperand &use) {
    auto attention = dyn_cast<AttentionOp>(use.getOwner());
    if (!attention || (&use != &attention.getKMutable() &&
                       &use != &attention.getVMutable()))
      return refuse("something else than attention reads '" +
                    argName(cached.input) + "'");
    cached.readers.push_back(&use);
    return true;
  };
  for (OpOperand &use : cached.whole.getUses()) {
    if (isa<func::ReturnOp>(use.getOwner()) ||
        isa<tensor::DimOp>(use.getOwner()))
      continue;
    if (cached.axis == 1) {
      if (!addReader(use))
        return false;
      continue;
    }
    auto transposed = dyn_cast<linalg::TransposeOp>(use.getOwner());
    if (!exchangesHeads(transposed) || use.getOperandNumber() != 0)
      return refuse("something else than attention reads '" +
                    argName(cached.input) + "'");
    for (OpOperand &inner : transposed->getResult(0).getUses())
      if (!addReader(inner))
        return false;
  }
  if (cached.readers.empty())
    return refuse("no attention reads '" + argName(cached.input) + "'");
  return true;
}

std::optional<unsigned> CacheAnalysis::findMask() {
  std::optional<unsigned> found;
  for (BlockArgument arg : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    if (!type || type.getRank() != 2 || !type.getElementType().isInteger() ||
        !StringRef(argName(arg.getArgNumber())).contains("mask"))
      continue;
    if (found)
      return std::nullopt;
    found = arg.getArgNumber();
  }
  return found;
}

bool CacheAnalysis::isCausalMask(AttentionOp op, const Cached &keys) {
  if (!maskInput)
    maskInput = findMask();
  if (!maskInput)
    return refuse("an attention has a mask beside causality");
  if (!takeOnes)
    return refuse(
        "an attention has a mask beside causality; --kv-cache=state takes '" +
        argName(*maskInput) + "' to be ones");
  auto type = cast<RankedTensorType>(op.getMask().getType());
  Builder b(func.getContext());
  OpFoldResult queries = b.getIndexAttr(0), all = queries; // no past: only their difference counts
  if (keys.input >= 0) {
    auto second = keys.whole.getDefiningOp<tensor::InsertSliceOp>();
    auto first = second.getDest().getDefiningOp<tensor::InsertSliceOp>();
    queries = second.getMixedSizes()[keys.axis];
    all = first.getDest().getDefiningOp<tensor::EmptyOp>().getMixedSizes()[keys.axis];
  }
  SmallVector<AffineExpr> at;
  for (int64_t d = 0; d < 4; ++d)
    at.push_back(type.getDimSize(d) == 1 ? b.getAffineConstantExpr(0)
                                         : b.getAffineDimExpr(d));
  if (type.getDimSize(3) == 1)
    return refuse("an attention has a mask of another kind");
  CausalValues values = evaluateCausal(
      op.getMask(), AffineMap::get(4, 0, at, func.getContext()),
      queries, all, func.getArgument(*maskInput));
  // (In f32 a score that 1e9 is taken from is lost beside any that is seen:
  // RaiseAttention.cpp.)
  if (values.seen != 0 || !values.hidden || *values.hidden > -1e9)
    return refuse(
        "an attention has a mask that is more than causality and '" +
        argName(*maskInput) + "'");
  return true;
}

bool CacheAnalysis::isCausal(AttentionOp op, const Cached &keys) {
  if (op.getMask() && !isCausalMask(op, keys))
    return false;
  if (op.getMask() && !op.getCausal())
    return true;
  if (!op.getCausal() && (keys.input < 0 || sizes.extent(op.getQ(), 1).constant() != 1))
    return refuse("an attention is not causal");
  return true;
}

SmallVector<Cached> CacheAnalysis::findOwn() {
  SmallVector<Cached> found;
  WalkResult done = func.walk([&](AttentionOp op) {
    auto k = cast<RankedTensorType>(op.getK().getType());
    if (op->getParentOp() != func || !k.getElementType().isF32() || k.isDynamicDim(2) || k.isDynamicDim(3)) {
      refuse("an attention is not of f32 with a constant number and size of heads");
      return WalkResult::interrupt();
    }
    if (!k.isDynamicDim(1) || !(sizes.extent(op.getK(), 1) == sizes.extent(op.getQ(), 1))) {
      refuse("an attention is to other places than those of its queries");
      return WalkResult::interrupt();
    }
    for (OpOperand *operand : {&op.getKMutable(), &op.getVMutable()}) {
      Cached &cached = found.emplace_back();
      cached.axis = 1;
      cached.whole = cached.rows = operand->get();
      cached.readers.push_back(operand);
    }
    return isCausal(op, found.back()) ? WalkResult::advance() : WalkResult::interrupt();
  });
  if (done.wasInterrupted())
    return {};
  if (found.empty())
    refuse("there is no attention");
  return found;
}

SmallVector<Cached> CacheAnalysis::find() {
  SmallVector<Cached> found;
  auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
  for (OpOperand &operand : ret->getOpOperands())
    if (std::optional<Cached> cached = matchAppend(operand.get())) {
      cached->output = operand.getOperandNumber();
      if (llvm::any_of(found, [&](const Cached &c) {
            return c.input == cached->input || c.whole == cached->whole;
          })) {
        refuse("'" + argName(cached->input) + "' is appended to twice");
        return {};
      }
      if (!findReaders(*cached))
        return {};
      found.push_back(std::move(*cached));
    }
  if (found.empty()) {
    if (makeOwn)
      return findOwn();
    refuse("no result is an argument with new rows behind it");
    return {};
  }
  // Keys and values both, of all attentions that read any.
  llvm::MapVector<Operation *, std::pair<int, const Cached *>> reads;
  for (const Cached &cached : found)
    for (OpOperand *reader : cached.readers) {
      ++reads[reader->getOwner()].first;
      reads[reader->getOwner()].second = &cached;
    }
  for (auto [op, read] : reads) {
    if (read.first != 2) {
      refuse("of an attention only the keys or only the values have a past");
      return {};
    }
    if (!isCausal(cast<AttentionOp>(op), *read.second))
      return {};
  }
  return found;
}

void CacheAnalysis::findTokens(const SymbolicSize &places, int &tokens, int &positions, int64_t &vocabulary) {
  tokens = positions = -1;
  vocabulary = 0;
  int candidates = 0;
  for (BlockArgument arg : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    if (!type || type.getRank() != 2 || !type.getElementType().isInteger() ||
        type.getElementTypeBitWidth() < 32 ||
        !(sizes.extent(arg, 1) == places) || arg.getArgNumber() == maskInput)
      continue;
    if (StringRef(argName(arg.getArgNumber())).contains("position")) {
      positions = arg.getArgNumber();
      continue;
    }
    ++candidates;
    tokens = arg.getArgNumber();
  }
  if (candidates != 1)
    tokens = -1;
  else
    vocabulary = tableRows(func.getArgument(tokens), 4);
}

int64_t CacheAnalysis::tableRows(Value v, int depth) {
  int64_t least = 0;
  auto see = [&](int64_t rows) {
    if (rows > 0 && (!least || rows < least))
      least = rows;
  };
  for (Operation *user : v.getUsers()) {
    if (auto embedding = dyn_cast<EmbeddingOp>(user)) {
      for (auto [index, table] :
           llvm::zip(embedding.getIndices(), embedding.getTables()))
        if (index == v)
          see(cast<ShapedType>(table.getType()).getDimSize(0));
    } else if (depth &&
               (isa<linalg::GenericOp>(user) ||
                isa<tensor::ExpandShapeOp>(user)) &&
               user->getNumResults() == 1 &&
               getElementTypeOrSelf(user->getResult(0).getType())
                   .isInteger()) {
      see(tableRows(user->getResult(0), depth - 1));
    }
  }
  return least;
}
