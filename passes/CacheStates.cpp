//===-- CacheStates.cpp - keys and values that stay between runs
//--------------===//
//
// A decoder that is handed its past and hands it back one token longer copies
// all of it in every step. That a result is an argument with new rows behind it
// is proved from what makes it (offsets and extents, as formulas of the dims),
// not from names; only causal attention may read it. Both then become one
// argument that the program writes in place: a cache with a capacity, of which
// a vector of lengths says how much is in use.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/CacheStates.h"
#include "passes/Passes.h"
#include "passes/analysis/PlaceByPlace.h"
#include "passes/cache_states/CacheAnalysis.h"

#include "llvm/ADT/StringSet.h"

namespace sq {
#define GEN_PASS_DEF_CACHESTATESPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using namespace sq;

namespace {

/// Rewrites a function of which the analysis is known to hold.
struct Rewriter {
  func::FuncOp func;
  ArrayRef<Cached> caches;
  ImplicitLocOpBuilder b;
  Value lengths, rows;

  Rewriter(func::FuncOp func, ArrayRef<Cached> caches)
      : func(func), caches(caches), b(func.getLoc(), func.getContext()) {}

  BlockArgument addArgument(RankedTensorType type, ArrayRef<StringRef> dims,
                            StringRef dtype, const Twine &name) {
    unsigned index = func.getNumArguments();
    auto attributes =
        b.getDictionaryAttr({b.getNamedAttr("sq.dims", b.getStrArrayAttr(dims)),
                             b.getNamedAttr("sq.dtype", b.getStringAttr(dtype)),
                             b.getNamedAttr("sq.name", b.getStringAttr(name))});
    (void)func.insertArgument(index, type, attributes, func.getLoc());
    return func.getArgument(index);
  }

  /// New rows as [batch, places, heads, size].
  Value headsThird(Value rows, int64_t axis) {
    if (axis == 1)
      return rows;
    auto transposed = rows.getDefiningOp<linalg::TransposeOp>();
    if (exchangesHeads(transposed))
      return transposed.getInput();
    auto type = cast<RankedTensorType>(rows.getType());
    SmallVector<int64_t> shape = {type.getDimSize(0), type.getDimSize(2),
                                  type.getDimSize(1), type.getDimSize(3)};
    SmallVector<Value> dynamic;
    for (int64_t d : {0, 2, 1, 3})
      if (type.isDynamicDim(d))
        dynamic.push_back(tensor::DimOp::create(b, rows, d));
    Value init = tensor::EmptyOp::create(
        b, RankedTensorType::get(shape, type.getElementType()), dynamic);
    return linalg::TransposeOp::create(b, rows, init,
                                       ArrayRef<int64_t>{0, 2, 1, 3})
        ->getResult(0);
  }

  void replaceCaches(StringRef batch, StringRef capacity) {
    for (auto [i, cached] : llvm::enumerate(caches)) {
      auto type = cast<RankedTensorType>(cached.whole.getType());
      int64_t heads = type.getDimSize(cached.axis == 2 ? 1 : 2),
              size = type.getDimSize(3);
      auto cacheType = RankedTensorType::get(
          {type.getDimSize(0), ShapedType::kDynamic, heads, size},
          type.getElementType());
      Value cache = addArgument(cacheType, {batch, capacity, "", ""}, "f32",
                                "sq.cache:" + Twine(i));
      b.setInsertionPoint(cached.input < 0 ? cached.readers.front()->getOwner() : cached.whole.getDefiningOp());
      b.setLoc(cached.whole.getLoc());
      Value all = KvAppendOp::create(b, TypeRange(cacheType),
                                     headsThird(cached.rows, cached.axis),
                                     lengths, /*rotary=*/ValueRange(), cache)
                      .getResult()[0];
      for (OpOperand *reader : cached.readers)
        replacement[reader] = all;
    }
    llvm::SetVector<Operation *> attentions;
    for (const Cached &cached : caches)
      for (OpOperand *reader : cached.readers)
        attentions.insert(reader->getOwner());
    for (Operation *op : attentions) {
      auto attention = cast<AttentionOp>(op);
      noteMask(attention.getMask());
      b.setInsertionPoint(op);
      b.setLoc(op->getLoc());
      auto attend = KvAttendOp::create(
          b, op->getResultTypes(), attention.getQ(),
          replacement.lookup(&attention.getKMutable()),
          replacement.lookup(&attention.getVMutable()), lengths,
          /*rotary=*/ValueRange(), attention.getOuts(), attention.getScaleAttr());
      op->replaceAllUsesWith(attend.getResult());
    }
    for (Operation *op : attentions)
      op->erase();
  }

  /// The op's operand of which each row gives one row of the result; null when
  /// that is not so.
  static OpOperand *rowsFrom(Operation *op) {
    if (!isa_and_nonnull<LinearOp, GroupedMatmulOp, RmsNormOp, LayerNormOp>(
            op) ||
        !op->getResult(0).hasOneUse())
      return nullptr;
    OpOperand &x = op->getOpOperand(0);
    auto type = dyn_cast<RankedTensorType>(x.get().getType());
    return type && type.getElementType().isF32() ? &x : nullptr;
  }

  /// `type` [batch, places, n] with as many rows as are asked for.
  static RankedTensorType withRows(Type type) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<int64_t> shape(tensor.getShape());
    shape[1] = ShapedType::kDynamic;
    return tensor.clone(shape);
  }

  /// `x` [batch, places, n] at places `rows` [batch, r].
  Value takeRows(Value x) {
    RankedTensorType type = withRows(x.getType());
    Value zero = arith::ConstantIndexOp::create(b, 0),
          one = arith::ConstantIndexOp::create(b, 1);
    Value last =
        arith::SubIOp::create(b, tensor::DimOp::create(b, x, one), one);
    SmallVector<Value> dynamic = {tensor::DimOp::create(b, rows, one)};
    if (type.isDynamicDim(0))
      dynamic.insert(dynamic.begin(), tensor::DimOp::create(b, x, zero));
    if (type.isDynamicDim(2))
      dynamic.push_back(tensor::DimOp::create(b, x, 2));
    Value init = tensor::EmptyOp::create(b, type, dynamic);
    auto all = b.getMultiDimIdentityMap(3);
    SmallVector<AffineMap> maps = {
        AffineMap::get(3, 0, {b.getAffineDimExpr(0), b.getAffineDimExpr(1)},
                       b.getContext()),
        all};
    SmallVector<utils::IteratorType> loops(3, utils::IteratorType::parallel);
    return linalg::GenericOp::create(
               b, TypeRange(type), ValueRange(rows), ValueRange(init), maps,
               loops,
               [&](OpBuilder &o, Location l, ValueRange args) {
                 ImplicitLocOpBuilder ib(l, o);
                 // What is out of range is the runtime's mistake; memory stays
                 // safe.
                 Value place =
                     arith::IndexCastOp::create(ib, ib.getIndexType(), args[0]);
                 place = arith::MinUIOp::create(ib, place, last);
                 Value v = tensor::ExtractOp::create(
                     ib, x,
                     ValueRange{linalg::IndexOp::create(ib, 0), place,
                                linalg::IndexOp::create(ib, 2)});
                 linalg::YieldOp::create(ib, v);
               })
        .getResult(0);
  }

  /// Computes a result [batch, places, n] only for the places asked for: rows
  /// are taken before the products that give it.
  void selectRows(OpOperand &result) {
    OpOperand *at = &result;
    while (OpOperand *below = rowsFrom(at->get().getDefiningOp()))
      at = below;
    b.setInsertionPoint(at->getOwner());
    b.setLoc(at->get().getLoc());
    at->set(takeRows(at->get()));
    // What follows has as many rows.
    for (Operation *op = at->getOwner(); !isa<func::ReturnOp>(op);
         op = *op->getResult(0).user_begin()) {
      auto styled = cast<DestinationStyleOpInterface>(op);
      OpOperand *init = styled.getDpsInitOperand(0);
      RankedTensorType type = withRows(init->get().getType());
      b.setInsertionPoint(op);
      SmallVector<Value> dynamic;
      for (int64_t d = 0; d < type.getRank(); ++d)
        if (type.isDynamicDim(d))
          dynamic.push_back(tensor::DimOp::create(
              b, d == 1 ? op->getOperand(0) : init->get(), d));
      init->set(tensor::EmptyOp::create(b, type, dynamic));
      op->getResult(0).setType(type);
    }
  }

  /// Loops over the batch that compute with how long the past is (positions, of
  /// GroupQueryAttention) take each sequence's own length. What they check of it
  /// is for the runtime to hold.
  void replacePast(SymbolicSizes &sizes, const SymbolicSize &batch) {
    llvm::SetVector<Value> lengthsOfPast;
    for (const Cached &cached : caches)
      if (cached.input >= 0)
        for (Operation *user : func.getArgument(cached.input).getUsers())
          if (auto dim = dyn_cast<tensor::DimOp>(user); dim && dim.getConstantIndex() == cached.axis)
            lengthsOfPast.insert(dim);
    for (size_t i = 0; i < lengthsOfPast.size(); ++i)
      for (Operation *user : lengthsOfPast[i].getUsers())
        if (isa<arith::IndexCastOp>(user))
          lengthsOfPast.insert(user->getResult(0));
    llvm::SetVector<Operation *> changed;
    for (Value past : lengthsOfPast)
      for (OpOperand &use : llvm::make_early_inc_range(past.getUses())) {
        auto loop = use.getOwner()->getParentOfType<linalg::GenericOp>();
        if (!loop || loop->getNumResults() != 1 || !loop.getIndexingMapsArray().back().isIdentity() ||
            loop.getNumLoops() == 0 || !(sizes.extent(loop.getResult(0), 0) == batch))
          continue;
        b.setInsertionPointToStart(loop.getBody());
        b.setLoc(loop.getLoc());
        Value own = tensor::ExtractOp::create(b, lengths, ValueRange(linalg::IndexOp::create(b, 0)));
        if (past.getType().isIndex())
          own = arith::IndexCastOp::create(b, past.getType(), own);
        use.set(own);
        changed.insert(loop);
      }
    for (Operation *loop : changed)
      loop->walk([&](cf::AssertOp check) {
        if (readsLengths(check.getArg()))
          check.erase();
      });
  }

  bool readsLengths(Value v, int depth = 16) {
    Operation *op = v.getDefiningOp();
    if (!op || depth == 0)
      return false;
    if (auto extract = dyn_cast<tensor::ExtractOp>(op); extract && extract.getTensor() == lengths)
      return true;
    return llvm::any_of(op->getOperands(), [&](Value operand) { return readsLengths(operand, depth - 1); });
  }

  /// What makes the mask of an attention, which goes with it: its checks are of
  /// inputs that are no more.
  void noteMask(Value v) {
    Operation *op = v ? v.getDefiningOp() : nullptr;
    if (!op || !ofMasks.insert(op).second)
      return;
    for (Value operand : op->getOperands())
      noteMask(operand);
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        noteMask(operand);
    });
  }

  /// Whether a check is of the sizes of `arg`.
  static bool isAbout(Value v, Value arg, int depth = 16) {
    Operation *op = v.getDefiningOp();
    if (!op || depth == 0)
      return false;
    if (auto dim = dyn_cast<tensor::DimOp>(op))
      return dim.getSource() == arg;
    return llvm::any_of(op->getOperands(), [&](Value operand) {
      return isAbout(operand, arg, depth - 1);
    });
  }

  /// Removes what nothing needs any more.
  void removeDead(Value mask) {
    Block &body = func.getBody().front();
    if (mask)
      for (auto check : llvm::make_early_inc_range(body.getOps<cf::AssertOp>()))
        if (isAbout(check.getArg(), mask))
          check.erase();
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
      if (isOpTriviallyDead(&op) ||
          (op.use_empty() && op.getNumResults() && ofMasks.contains(&op)))
        op.erase();
  }

  llvm::DenseMap<OpOperand *, Value> replacement;
  llvm::DenseSet<Operation *> ofMasks;
};

/// A tensor of the signature, for the manifest.
Attribute describe(Builder &b, Type type, DictionaryAttr attributes) {
  NamedAttrList all(attributes);
  all.set("type", TypeAttr::get(type));
  return all.getDictionary(b.getContext());
}

struct CacheStatesPass : sq::impl::CacheStatesPassBase<CacheStatesPass> {
  using CacheStatesPassBase::CacheStatesPassBase;

  void refuse(func::FuncOp func, StringRef reason) {
    if (required) {
      emitError(func.getLoc(), "keys and values cannot stay in a cache between runs: ")
          << reason << "; --kv-cache=explicit hands them in and out";
      return signalPassFailure();
    }
    remark::missed(func.getLoc(), remark::RemarkOpts::name("cache").category(
                                      "sq-cache-states"))
        << remark::add("{0}", reason.str());
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.getName() != "main" || func.isExternal() ||
        !func.getBody().hasOneBlock() || func->hasAttr(kCacheAttr))
      return;
    // Whether nothing else needs the past is known when the rest is rewritten.
    OwningOpRef<func::FuncOp> copy = func.clone();
    std::string reason = rewrite(*copy, required);
    if (!reason.empty())
      return refuse(func, reason);
    func.getBody().takeBody(copy->getBody());
    func->setAttrs((*copy)->getAttrDictionary());
    remark::passed(func.getLoc(), remark::RemarkOpts::name("cache").category(
                                      "sq-cache-states"))
        << remark::add("keys and values stay in a cache");
  }

  /// Why not, or "".
  static std::string rewrite(func::FuncOp func, bool required) {
    CacheAnalysis analysis{func, /*takeOnes=*/required, /*makeOwn=*/required};
    SmallVector<Cached> caches = analysis.find();
    if (caches.empty())
      return analysis.reason;
    SymbolicSizes &sizes = analysis.sizes;
    SymbolicSize places =
        sizes.extent(caches.front().rows, caches.front().axis);
    SymbolicSize batch = sizes.extent(caches.front().whole, 0);
    for (const Cached &cached : caches)
      if (!(sizes.extent(cached.rows, cached.axis) == places) || !(sizes.extent(cached.whole, 0) == batch) ||
          (cached.input >= 0 && !(sizes.extent(func.getArgument(cached.input), cached.axis) ==
                                  sizes.extent(func.getArgument(caches.front().input), caches.front().axis))))
        return "the caches grow by different numbers of rows";
    int tokens, positions;
    int64_t vocabulary;
    analysis.findTokens(places, tokens, positions, vocabulary);
    if (tokens < 0 || !(sizes.extent(func.getArgument(tokens), 0) == batch))
      return "no single input of integers is [batch, new places]: the tokens";

    // The signature as it is.
    Builder builder(func.getContext());
    SmallVector<Attribute> inputs, outputs, states;
    unsigned numInputs = func.getNumArguments();
    for (unsigned i = 0; i < func.getNumResults(); ++i)
      outputs.push_back(describe(builder, func.getResultTypes()[i],
                                 func.getResultAttrDict(i)));
    for (const Cached &cached : caches) {
      auto type = cast<RankedTensorType>(cached.whole.getType());
      states.push_back(builder.getDenseI64ArrayAttr(
          {cached.input, cached.output, cached.axis, type.getDimSize(cached.axis == 2 ? 1 : 2), type.getDimSize(3)}));
    }

    // Symbols of the new dims must not be those of others.
    llvm::StringSet<> symbols;
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (auto dims = func.getArgAttrOfType<ArrayAttr>(i, "sq.dims"))
        for (auto dim : dims.getAsRange<StringAttr>())
          symbols.insert(dim.getValue());
    auto fresh = [&](std::string name) {
      while (symbols.contains(name))
        name += "_";
      return name;
    };
    std::string capacity = fresh("capacity"), rowCount = fresh("rows"),
                batchName;
    if (auto dims = func.getArgAttrOfType<ArrayAttr>(tokens, "sq.dims"))
      batchName = cast<StringAttr>(dims[0]).getValue().str();

    Rewriter rewriter(func, caches);
    int64_t batchSize = batch.constant().value_or(ShapedType::kDynamic);
    auto i64 = builder.getI64Type();
    rewriter.lengths =
        rewriter.addArgument(RankedTensorType::get({batchSize}, i64),
                             {batchName}, "i64", "sq.lengths");
    rewriter.rows = rewriter.addArgument(
        RankedTensorType::get({batchSize, ShapedType::kDynamic}, i64),
        {batchName, rowCount}, "i64", "sq.rows");
    rewriter.replaceCaches(batchName, capacity);
    if (required)
      rewriter.replacePast(sizes, batch);

    // Pasts and presents leave the signature.
    auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    llvm::BitVector goneResults(func.getNumResults()),
        goneArguments(func.getNumArguments());
    for (const Cached &cached : caches)
      if (cached.input >= 0) {
        goneResults.set(cached.output);
        goneArguments.set(cached.input);
      }
    SmallVector<Value> kept;
    SmallVector<int64_t> outputOf; // of each result that stays
    for (OpOperand &operand : ret->getOpOperands())
      if (!goneResults.test(operand.getOperandNumber())) {
        kept.push_back(operand.get());
        outputOf.push_back(operand.getOperandNumber());
      }
    ret->setOperands(kept);
    (void)func.eraseResults(goneResults);
    replaceDims(func, goneArguments, tokens);
    if (analysis.maskInput)
      goneArguments.set(*analysis.maskInput);
    rewriter.removeDead(analysis.maskInput
                            ? Value(func.getArgument(*analysis.maskInput))
                            : Value());
    for (unsigned i : goneArguments.set_bits())
      if (!func.getArgument(i).use_empty())
        return "something beside attention needs '" + analysis.argName(i) +
               "' or its length; positions must be an input";

    if (required) {
      RewritePatternSet unused(func.getContext());
      linalg::populateEraseUnusedOperandsAndResultsPatterns(unused);
      (void)applyPatternsGreedily(func, std::move(unused));
    }
    // Sequences get different numbers of tokens, the rest is padding: it must not reach them.
    SymbolicSizes newSizes; // (values of the old ones are gone)
    if (places.constant() && places.constant() != 1)
      return "it takes " + std::to_string(*places.constant()) + " new places, no more and no less";
    if (!places.constant()) // (of one place none is padding)
      if (std::string mixed = mixesPlaces(func, newSizes, places); !mixed.empty())
        return mixed;
    // Results of each new place: those that are asked for.
    SmallVector<int64_t> selected;
    for (OpOperand &operand : ret->getOpOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.get().getType());
      if (!type || type.getRank() != 3 || !(newSizes.extent(operand.get(), 1) == places) ||
          !(newSizes.extent(operand.get(), 0) == batch))
        continue;
      rewriter.selectRows(operand);
      selected.push_back(outputOf[operand.getOperandNumber()]);
    }
    // An input that nothing reads any more leaves the signature, as the mask does.
    SmallVector<int64_t> place; // of each argument among the inputs
    for (unsigned i = 0; i < numInputs; ++i) {
      bool isGone = analysis.maskInput == i ||
                    (required && !goneArguments.test(i) && int(i) != tokens && int(i) != positions && func.getArgument(i).use_empty());
      place.push_back(inputs.size());
      if (isGone)
        goneArguments.set(i);
      else
        inputs.push_back(describe(builder, func.getArgument(i).getType(), func.getArgAttrDict(i)));
    }
    for (Attribute &state : states) {
      SmallVector<int64_t> numbers(cast<DenseI64ArrayAttr>(state).asArrayRef());
      numbers[0] = numbers[0] < 0 ? -1 : place[numbers[0]];
      state = builder.getDenseI64ArrayAttr(numbers);
    }
    func.setType(FunctionType::get(func.getContext(), func.getArgumentTypes(), ret.getOperandTypes()));
    (void)func.eraseArguments(goneArguments);
    func->setAttr(
        kCacheAttr,
        builder.getDictionaryAttr(
            {builder.getNamedAttr("inputs", builder.getArrayAttr(inputs)),
             builder.getNamedAttr("outputs", builder.getArrayAttr(outputs)),
             builder.getNamedAttr("states", builder.getArrayAttr(states)),
             builder.getNamedAttr("tokens",
                                  builder.getI64IntegerAttr(place[tokens])),
             builder.getNamedAttr("positions",
                                  builder.getI64IntegerAttr(
                                      positions < 0 ? -1 : place[positions])),
             builder.getNamedAttr("vocabulary",
                                  builder.getI64IntegerAttr(vocabulary)),
             builder.getNamedAttr("selected",
                                  builder.getDenseI64ArrayAttr(selected))}));
    return "";
  }

  /// The batch of a past is that of the tokens.
  static void replaceDims(func::FuncOp func, const llvm::BitVector &gone,
                          int tokens) {
    for (unsigned i : gone.set_bits())
      for (Operation *user :
           llvm::make_early_inc_range(func.getArgument(i).getUsers()))
        if (auto dim = dyn_cast<tensor::DimOp>(user);
            dim && dim.getConstantIndex() == 0) {
          OpBuilder b(dim);
          dim.replaceAllUsesWith(tensor::DimOp::create(b, dim.getLoc(),
                                                       func.getArgument(tokens),
                                                       0)
                                     .getResult());
          dim.erase();
        }
  }
};

} // namespace
