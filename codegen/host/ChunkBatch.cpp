//===-- ChunkBatch.cpp - a batch a few rows at a time -------------------------===//
//
// What a layer leaves for the next one should still be in the caches: a large
// batch runs through many layers in chunks rather than through each layer as a
// whole, and buffers are as large as a chunk. A run of kernels may be chunked if
// each of them computes part [b, b + n) of its results' first dim from that part
// of its operands' and from what has no such dim.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

#include "codegen/common/KernelWork.h"
#include "codegen/host/Kernels.h"
#include "codegen/host/Passes.h"
#include "codegen/common/Schedule.h"
#include "passes/analysis/BufferDims.h"

#include "llvm/ADT/StringSet.h"

namespace sq {
#define GEN_PASS_DEF_CHUNKBATCHPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

bool isProduct(Operation *op) { return isa<sq::PackedMatmulOp, sq::AttentionOp, sq::KvAttendOp, sq::IntAttentionOp>(op); }

/// Which operands of kernels run along the batch.
struct Batch {
  sq::SymbolicSizes &sizes;
  sq::SymbolicSize size;

  enum Kind { Along, Fixed, Neither };

  Kind kindOf(Value v) {
    auto type = cast<MemRefType>(v.getType());
    if (type.getRank() && sizes.extent(v, 0) == size) {
      for (Value from = v; Operation *op = from.getDefiningOp();) {
        if (!isa<ViewLikeOpInterface>(op))
          break;
        if (!isa<memref::ExpandShapeOp, memref::CollapseShapeOp>(op))
          return Neither;
        from = op->getOperand(0);
        if (!(sizes.extent(from, 0) == size))
          return Neither;
      }
      return cast<MemRefType>(sq::rootOf(v).getType()).getLayout().isIdentity() ? Along : Neither;
    }
    Value root = sq::rootOf(v);
    auto rootType = cast<MemRefType>(root.getType());
    for (int64_t d = 0; d < rootType.getRank(); ++d)
      if (sq::SymbolicSize extent = sizes.extent(root, d); !extent.isKnown() || extent.mentions(size))
        return Neither;
    return Fixed;
  }
  bool isAlong(Value v) { return kindOf(v) == Along; }
  bool isFixed(Value v) { return !v || kindOf(v) == Fixed; }

  /// A number that is the same for each part of the batch.
  bool isFixedNumber(Value v) {
    if (!v.getType().isIntOrIndex())
      return matchPattern(v, m_Constant());
    sq::SymbolicSize value = sizes.of(v);
    return value.isKnown() && !value.mentions(size);
  }

  bool mayChunk(linalg::LinalgOp op) {
    std::optional<unsigned> loop;
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<MemRefType>(operand.get().getType()) || !isAlong(operand.get()))
        continue;
      auto dim = dyn_cast<AffineDimExpr>(op.getMatchingIndexingMap(&operand).getResult(0));
      if (!dim || (loop && *loop != dim.getPosition()))
        return false;
      loop = dim.getPosition();
    }
    if (!loop || op.getIteratorTypesArray()[*loop] != utils::IteratorType::parallel)
      return false;
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = op.getMatchingIndexingMap(&operand);
      bool isMemref = isa<MemRefType>(operand.get().getType());
      Kind kind = isMemref ? kindOf(operand.get()) : isFixedNumber(operand.get()) ? Fixed : Neither;
      if (kind == Neither || (op.isDpsInit(&operand) && kind == Fixed))
        return false;
      // The batch loop runs along the first dim, nowhere else.
      for (auto [i, e] : llvm::enumerate(map.getResults()))
        if ((kind == Fixed || i > 0) && e.isFunctionOfDim(*loop))
          return false;
    }
    WalkResult body = op->walk([&](Operation *inner) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner); index && index.getDim() == *loop)
        return WalkResult::interrupt();
      if (auto load = dyn_cast<memref::LoadOp>(inner); load && !isFixed(load.getMemref()))
        return WalkResult::interrupt();
      for (Value v : inner->getOperands())
        if (!isa<MemRefType>(v.getType()) && v.getParentRegion()->isProperAncestor(&op->getRegion(0)) && !isFixedNumber(v))
          return WalkResult::interrupt();
      return WalkResult::advance();
    });
    return !body.wasInterrupted();
  }

  /// Whether `op` computes a part of the batch from that part alone.
  bool mayChunk(Operation *op) {
    if (auto o = dyn_cast<sq::PackedMatmulOp>(op))
      return isAlong(o.getX()) && isAlong(o.getOuts()) && isFixed(o.getWeight()) &&
             llvm::all_of(o.getLut(), [&](Value v) { return isFixed(v); }) &&
             llvm::all_of(o.getExtras(), [&](Value v) {
               return cast<MemRefType>(v.getType()).getRank() <= 1 ? isFixed(v) : isAlong(v);
             });
    if (auto o = dyn_cast<sq::MatmulOp>(op)) {
      auto rank = [](Value v) { return cast<MemRefType>(v.getType()).getRank(); };
      return rank(o.getA()) > 2 && rank(o.getA()) == rank(o.getOuts()) && isAlong(o.getA()) && isAlong(o.getOuts()) &&
             (isFixed(o.getB()) || (rank(o.getB()) == rank(o.getOuts()) && isAlong(o.getB())));
    }
    if (auto o = dyn_cast<sq::LayerNormOp>(op))
      return isAlong(o.getX()) && isAlong(o.getOuts()) && isFixed(o.getScale()) && isFixed(o.getBias()) &&
             cast<MemRefType>(o.getX().getType()).getRank() > 1;
    if (auto o = dyn_cast<sq::RmsNormOp>(op))
      return isAlong(o.getX()) && isAlong(o.getOuts()) && isFixed(o.getScale()) &&
             cast<MemRefType>(o.getX().getType()).getRank() > 1;
    if (auto o = dyn_cast<sq::IntNormRowsOp>(op))
      return isAlong(o.getX()) && isAlong(o.getOuts()) && isFixed(o.getMultipliers()) && isFixed(o.getAddends()) &&
             cast<MemRefType>(o.getX().getType()).getRank() > 1;
    if (auto o = dyn_cast<sq::SoftmaxOp>(op))
      return isAlong(o.getX()) && isAlong(o.getOuts()) && cast<MemRefType>(o.getX().getType()).getRank() > 1;
    if (auto o = dyn_cast<sq::AttentionOp>(op))
      return isAlong(o.getQ()) && isAlong(o.getK()) && isAlong(o.getV()) && isAlong(o.getOuts()) &&
             (!o.getMask() || isAlong(o.getMask()) || (isFixed(o.getMask()) && cast<MemRefType>(o.getMask().getType()).getDimSize(0) == 1));
    if (isa<sq::KvAppendOp, sq::KvAttendOp>(op))
      return llvm::all_of(op->getOperands(), [&](Value v) {
        return isAlong(v) || (isFixed(v) && cast<MemRefType>(v.getType()).getRank() == 3 && cast<MemRefType>(v.getType()).getDimSize(0) == 1);
      }); // angles for all of the batch
    if (auto o = dyn_cast<sq::LookupOp>(op))
      return isAlong(o.getX()) && isAlong(o.getOuts()) && cast<MemRefType>(o.getX().getType()).getRank() > 1;
    if (auto o = dyn_cast<sq::IntAttentionOp>(op))
      return isAlong(o.getQ()) && isAlong(o.getK()) && isAlong(o.getV()) && isAlong(o.getOuts()) &&
             (!o.getKeep() || isAlong(o.getKeep()) || (isFixed(o.getKeep()) && cast<MemRefType>(o.getKeep().getType()).getDimSize(0) == 1));
    if (auto o = dyn_cast<linalg::LinalgOp>(op))
      return mayChunk(o);
    return false;
  }
};

/// Replaces the kernels of a run by a loop.
struct Chunker {
  Chunker(Batch &batch, ArrayRef<Operation *> run, int64_t rowsPerThread)
      : batch(batch), run(run), rowsPerThread(rowsPerThread) {}

  Batch &batch;
  ArrayRef<Operation *> run;
  /// Enough that a product's weights, which every part reads again, come faster
  /// than they are used; few enough that what layers leave stays in L2.
  int64_t rowsPerThread;
  sq::Accesses accesses;
  IRMapping chunk; // buffers and views to their part of the batch
  llvm::SetVector<Value> buffers; // along the batch
  Value whole, step, longest; // of the batch, a part, a part at most
  Value length; // of the part at hand

  bool usedInRunOnly(Value buffer) {
    if (!buffer.getDefiningOp<memref::AllocOp>())
      return false; // an input or an output
    SmallVector<Value> todo = {buffer};
    while (!todo.empty())
      for (Operation *user : todo.pop_back_val().getUsers()) {
        if (isa<ViewLikeOpInterface>(user))
          llvm::append_range(todo, user->getResults());
        else if (!isa<memref::DimOp>(user) && llvm::none_of(run, [&](Operation *op) { return op->isAncestor(user); }))
          return false;
      }
    return true;
  }

  Value chunkOf(ImplicitLocOpBuilder &b, Value v) {
    if (Value known = chunk.lookupOrNull(v))
      return known;
    Operation *view = v.getDefiningOp();
    Value source = chunkOf(b, view->getOperand(0)), result;
    auto type = cast<MemRefType>(v.getType());
    if (auto expand = dyn_cast<memref::ExpandShapeOp>(view)) {
      SmallVector<OpFoldResult> sizes = expand.getMixedOutputShape();
      sizes[0] = length;
      result = memref::ExpandShapeOp::create(b, type, source, expand.getReassociationIndices(), sizes);
    } else {
      auto collapse = cast<memref::CollapseShapeOp>(view);
      result = memref::CollapseShapeOp::create(b, type, source, collapse.getReassociationIndices());
    }
    chunk.map(v, result);
    return result;
  }

  /// Sets `whole`, `step` and `longest`, in front of all buffers, whose sizes they
  /// are. False when they depend on data.
  bool computeSizes() {
    for (Operation *op : run)
      accesses.add(op);
    for (Value v : llvm::concat<const Value>(accesses.read, accesses.written))
      if (batch.isAlong(v))
        buffers.insert(v);
    ImplicitLocOpBuilder b(run.front()->getLoc(), run.back());
    SmallVector<Value> extents = {sq::dimOf(b, buffers.front(), 0)};
    // Rows that one part of the batch has in products.
    Operation *product = *llvm::find_if(run, isProduct);
    Value x = product->getOperand(0);
    int64_t rank = isa<sq::AttentionOp, sq::KvAttendOp, sq::IntAttentionOp>(product) ? 3 : cast<MemRefType>(x.getType()).getRank();
    for (int64_t d = 1; d + 1 < rank; ++d)
      extents.push_back(sq::dimOf(b, x, d));

    auto allocs = run.back()->getBlock()->getOps<memref::AllocOp>();
    Operation *start = allocs.empty() || !(*allocs.begin())->isBeforeInBlock(run.back()) ? run.back() : *allocs.begin();
    IRRewriter rewriter(b.getContext());
    DominanceInfo dominance;
    if (failed(moveValueDefinitions(rewriter, extents, start, dominance)))
      return false;
    b.setInsertionPoint(start);
    whole = extents.front();
    Value one = sq::indexConstant(b, 1), perPart = sq::product(b, ValueRange(extents).drop_front());
    Value rows = arith::MulIOp::create(b, sq::ThreadsOp::create(b, b.getIndexType()), sq::indexConstant(b, rowsPerThread));
    Value parts = arith::DivUIOp::create(b, rows, arith::MaxUIOp::create(b, perPart, one));
    step = arith::MaxUIOp::create(b, parts, one);
    longest = arith::MinUIOp::create(b, step, whole);
    return true;
  }

  void replace() {
    ImplicitLocOpBuilder b(run.front()->getLoc(), run.back());
    Value zero = sq::indexConstant(b, 0);
    DenseMap<Value, Value> ownMemory;
    for (Value buffer : buffers)
      if (usedInRunOnly(buffer)) {
        auto alloc = buffer.getDefiningOp<memref::AllocOp>();
        SmallVector<Value> extents(alloc.getDynamicSizes());
        extents.front() = longest;
        auto own = memref::AllocOp::create(b, alloc.getType(), extents);
        own->setAttr("sq.chunk", b.getUnitAttr());
        ownMemory[buffer] = own;
      }
    scf::ForOp::create(b, zero, whole, step, ValueRange(), [&](OpBuilder &o, Location l, Value begin, ValueRange) {
      ImplicitLocOpBuilder ib(l, o);
      length = arith::MinUIOp::create(ib, step, arith::SubIOp::create(ib, whole, begin));
      for (Value buffer : buffers) {
        Value own = ownMemory.lookup(buffer);
        chunk.map(buffer, sq::PartOp::create(ib, own ? own : buffer, own ? zero : begin, length));
      }
      for (Operation *op : run) {
        IRMapping map;
        for (Value v : op->getOperands())
          if (isa<MemRefType>(v.getType()) && batch.isAlong(v))
            map.map(v, chunkOf(ib, v));
        // Work is that of the whole batch, whose formulas know the dims.
        DictionaryAttr work = sq::describeWork(op, batch.sizes);
        ib.clone(*op, map)->setAttr("sq.work", work);
      }
      scf::YieldOp::create(ib);
    });
    for (Operation *op : llvm::reverse(run))
      op->erase();
  }
};

struct ChunkBatchPass : sq::impl::ChunkBatchPassBase<ChunkBatchPass> {
  using ChunkBatchPassBase::ChunkBatchPassBase;

  /// Takes out of `run` what `op`, which follows, needs: cheap loops only. False,
  /// with nothing changed, when the rest of the run cannot move behind `op`.
  static bool leaveOut(Operation *op, SmallVector<Operation *> &run) {
    sq::Accesses needed; // by `op` and by what is left out
    needed.add(op);
    SmallVector<Operation *> kept;
    for (Operation *earlier : llvm::reverse(run)) {
      sq::Accesses own;
      own.add(earlier);
      if (needed.isIndependentOf(own)) {
        kept.push_back(earlier);
        continue;
      }
      if (!isa<linalg::LinalgOp>(earlier))
        return false;
      needed.add(earlier);
    }
    run.assign(kept.rbegin(), kept.rend());
    return true;
  }

  /// The longest runs of kernels that may be chunked, where it pays.
  static SmallVector<SmallVector<Operation *>> findRuns(Block &schedule, Batch &batch) {
    SmallVector<SmallVector<Operation *>> runs(1);
    auto finish = [&] {
      bool pays = runs.back().size() > 1 && llvm::any_of(runs.back(), isProduct);
      if (!pays)
        runs.pop_back();
      runs.emplace_back();
    };
    for (Operation &op : schedule) {
      if (sq::isKernel(&op) && batch.mayChunk(&op)) {
        runs.back().push_back(&op);
        continue;
      }
      bool isHarmless = isMemoryEffectFree(&op) || isa<memref::AllocOp, sq::OutputOp, cf::AssertOp>(op);
      if (isHarmless || runs.back().empty())
        continue;
      // The run moves behind what does not depend on it.
      if (!sq::isKernel(&op) || !leaveOut(&op, runs.back()))
        finish();
    }
    finish();
    runs.pop_back();
    return runs;
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || !func.getBody().hasOneBlock())
      return;
    sq::SymbolicSizes sizes;
    // A run without a product does not pay: only dims of products are worth a look at all kernels.
    llvm::StringSet<> left;
    for (Operation &op : func.getBody().front())
      if (isProduct(&op))
        left.insert(sizes.extent(op.getOperand(0), 0).text());
    for (BlockArgument arg : func.getArguments()) {
      auto type = dyn_cast<MemRefType>(arg.getType());
      if (!type || type.getRank() == 0 || !type.isDynamicDim(0))
        continue;
      Batch batch{sizes, sizes.extent(arg, 0)};
      if (!left.erase(batch.size.text()))
        continue;
      SmallVector<SmallVector<Operation *>> runs = findRuns(func.getBody().front(), batch);
      for (ArrayRef<Operation *> run : runs)
        if (Chunker chunker(batch, run, rows); chunker.computeSizes())
          chunker.replace();
      if (!runs.empty())
        return;
    }
  }
};

} // namespace
