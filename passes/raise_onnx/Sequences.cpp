/// Sequences that a Loop collects only to join them: scan outputs. TorchScript writes
/// `outputs.append(y)` and `torch.stack(outputs)` so; however many iterations there are.

#include "passes/raise_onnx/Match.h"

#include "dialects/onnx/IR/OnnxOps.h"

using namespace mlir;
using namespace sq;

namespace {

/// The op that defines `v` if it is ONNX's `type`, which the dialect does not declare.
onnx::CustomOp customOf(Value v, StringRef type) {
  auto op = v.getDefiningOp<onnx::CustomOp>();
  return op && op.getDomain() == "ai.onnx" && op.getOpType() == type ? op : nullptr;
}

bool isGiven(Operation *op, unsigned i) {
  return i < op->getNumOperands() && !isa<NoneType>(op->getOperand(i).getType());
}

int64_t integerOf(onnx::CustomOp op, StringRef name) {
  auto all = op->getAttrOfType<DictionaryAttr>("attributes");
  auto attr = all ? all.getAs<IntegerAttr>(name) : IntegerAttr();
  return attr ? attr.getInt() : 0;
}

//   %none = SequenceEmpty()
//   %seq = Loop(%m, %cond, %none) {^(%i, %go, %s): Yield(%next, SequenceInsert(%s, %t))}
//   %y = ConcatFromSequence(%seq) {axis = 0, new_axis = 1}
// ==>
//   %y = Loop(%m, %cond) {^(%i, %go): Yield(%next, %t)}
// With another axis a Transpose follows, without a new one a Reshape.
struct CollectAsScanOutput : RewritePattern {
  CollectAsScanOutput(MLIRContext *context) : RewritePattern("onnx.Loop", 1, context) {}

  LogicalResult matchAndRewrite(Operation *loop, PatternRewriter &rewriter) const override {
    if (loop->getNumRegions() != 1 || loop->getNumOperands() < 3 || !isGiven(loop, 0))
      return rewriter.notifyMatchFailure(loop, "carries nothing, or has no bound");
    Block &body = loop->getRegion(0).front();
    unsigned carried = loop->getNumOperands() - 2;
    if (body.getNumArguments() != carried + 2 || loop->getNumResults() < carried ||
        body.getTerminator()->getNumOperands() != loop->getNumResults() + 1)
      return rewriter.notifyMatchFailure(loop, "its body does not fit");
    for (unsigned i = 0; i < carried; ++i) {
      onnx::CustomOp insert = insertOf(loop, body, i);
      if (!insert)
        continue;
      int64_t rank = -1; // of what is inserted; -1: unknown
      if (auto type = dyn_cast<RankedTensorType>(insert->getOperand(1).getType()))
        rank = type.getRank();
      if (!llvm::all_of(loop->getResult(i).getUsers(), [&](Operation *user) { return isJoin(user, rank); }))
        continue;
      replace(loop, i, insert, rank, rewriter);
      return success();
    }
    return rewriter.notifyMatchFailure(loop, "no carried value is a sequence that is only joined");
  }

private:
  /// What adds to carried value `i` at its end, once in each iteration.
  onnx::CustomOp insertOf(Operation *loop, Block &body, unsigned i) const {
    onnx::CustomOp insert = customOf(body.getTerminator()->getOperand(1 + i), "SequenceInsert");
    bool matches = insert && insert->getBlock() == &body && insert->getNumOperands() >= 2 &&
                   !isGiven(insert, 2) && insert->getOperand(0) == body.getArgument(2 + i) &&
                   insert->getResult(0).hasOneUse() && body.getArgument(2 + i).hasOneUse() &&
                   customOf(loop->getOperand(2 + i), "SequenceEmpty");
    return matches ? insert : nullptr;
  }

  bool isJoin(Operation *user, int64_t rank) const {
    auto join = dyn_cast<onnx::CustomOp>(user);
    if (!join || !customOf(join->getResult(0), "ConcatFromSequence") || join->getNumResults() != 1)
      return false;
    int64_t axis = integerOf(join, "axis"), newAxis = integerOf(join, "new_axis");
    return (axis == 0 && newAxis) || (rank >= 0 && axis >= -rank - newAxis && axis < rank + newAxis);
  }

  void replace(Operation *loop, unsigned i, onnx::CustomOp insert, int64_t rank,
               PatternRewriter &rewriter) const {
    Block &body = loop->getRegion(0).front();
    Location loc = loop->getLoc();
    Type element = insert->getOperand(1).getType(), type = element;
    if (auto tensor = dyn_cast<RankedTensorType>(element)) {
      SmallVector<int64_t> shape(tensor.getShape());
      shape.insert(shape.begin(), ShapedType::kDynamic);
      type = RankedTensorType::get(shape, tensor.getElementType());
    }
    SmallVector<Value> operands(loop->getOperands());
    operands.erase(operands.begin() + 2 + i);
    SmallVector<Type> types(loop->getResultTypes());
    types.erase(types.begin() + i);
    types.push_back(type);

    Operation *end = body.getTerminator();
    SmallVector<Value> yields(end->getOperands());
    yields.erase(yields.begin() + 1 + i);
    yields.push_back(insert->getOperand(1));
    rewriter.modifyOpInPlace(end, [&] { end->setOperands(yields); });
    rewriter.eraseOp(insert);
    body.eraseArgument(2 + i);

    OperationState state(loc, "onnx.Loop", operands, types, loop->getAttrs());
    Region *region = state.addRegion();
    rewriter.inlineRegionBefore(loop->getRegion(0), *region, region->end());
    Operation *collecting = rewriter.create(state);
    for (Operation *user : llvm::make_early_inc_range(loop->getResult(i).getUsers()))
      replaceJoin(cast<onnx::CustomOp>(user), collecting->getResults().back(), rank, rewriter);
    for (auto [at, result] : llvm::enumerate(loop->getResults()))
      if (at != i)
        rewriter.replaceAllUsesWith(result, collecting->getResult(at < i ? at : at - 1));
    Operation *empty = loop->getOperand(2 + i).getDefiningOp();
    rewriter.eraseOp(loop);
    if (empty->use_empty())
      rewriter.eraseOp(empty);
  }

  /// `all` [iterations, ..] as `join` gives it.
  void replaceJoin(onnx::CustomOp join, Value all, int64_t rank, PatternRewriter &rewriter) const {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(join);
    Location loc = join.getLoc();
    int64_t axis = integerOf(join, "axis"), newAxis = integerOf(join, "new_axis");
    Type i64 = rewriter.getI64Type(), list = RankedTensorType::get(ShapedType::kDynamic, i64);
    auto make = [&](StringRef name, ValueRange operands, Type type,
                    ArrayRef<NamedAttribute> attributes = {}) {
      return createOnnx(rewriter, loc, name, operands, type, attributes)->getResult(0);
    };
    auto integer = [&](StringRef name, int64_t value) {
      return rewriter.getNamedAttr(name, rewriter.getI64IntegerAttr(value));
    };
    if (axis < 0)
      axis += rank + newAxis;
    if (axis > 0) {
      SmallVector<int64_t> perm;
      for (int64_t d = 1; d <= rank; ++d)
        perm.push_back(d);
      perm.insert(perm.begin() + axis, 0);
      SmallVector<int64_t> shape(perm.size(), ShapedType::kDynamic);
      Type type = RankedTensorType::get(shape, cast<RankedTensorType>(all.getType()).getElementType());
      all = make("onnx.Transpose", all, type,
                 rewriter.getNamedAttr("perm", rewriter.getDenseI64ArrayAttr(perm)));
    }
    Type result = join->getResult(0).getType();
    if (newAxis) {
      rewriter.replaceOp(join, make("onnx.Identity", all, result));
      return;
    }
    // The iterations and the dim that they are joined along become one.
    auto sizes = [&](int64_t start, int64_t end) {
      return make("onnx.Shape", all, list, {integer("start", start), integer("end", end)});
    };
    Attribute minusOne = DenseElementsAttr::get(RankedTensorType::get(1, i64), int64_t(-1));
    Value merged = make("onnx.Constant", {}, RankedTensorType::get(1, i64),
                        rewriter.getNamedAttr("value", minusOne));
    Value before = sizes(0, axis), behind = sizes(axis + 2, rank + 1);
    Value shape = make("onnx.Concat", {before, merged, behind}, list, integer("axis", 0));
    rewriter.replaceOp(join, make("onnx.Reshape", {all, shape}, result));
  }
};

} // namespace

void sq::populateRaiseSequences(RewritePatternSet &patterns) {
  patterns.add<CollectAsScanOutput>(patterns.getContext());
}
