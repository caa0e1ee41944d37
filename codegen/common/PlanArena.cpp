//===-- PlanArena.cpp - buffers in arenas ------------------------------------===//
//
// The sizes of most buffers follow from the shapes of the inputs: they lie in
// one arena. What depends on data lies in further ones, each made where its
// first buffer is and holding all later ones whose sizes are known there.
// Buffers that are alive at the same time get disjoint ranges of their arena.
// Greedy by size (Pisarchyk and Lee 2020, "Efficient memory management for deep
// neural net inference", section 5.2): the largest buffer first, each at the
// lowest place that is free while it lives. Sizes are symbolic, so a place is
// free only if that is certain for all dims; where it is not, the buffer goes
// behind all others of its time. Which order is best is judged with every dim
// taken as kTypicalDim.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"
#include "mlir/Transforms/RegionUtils.h"

#include "codegen/common/Passes.h"
#include "dialects/sq/IR/SqOps.h"
#include "lib/support/SizeText.h"
#include "passes/analysis/SymbolicSize.h"

#include <map>

namespace sq {
#define GEN_PASS_DEF_PLANARENAPASS
#include "codegen/common/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

constexpr int64_t kAlignment = 64;  // bytes: a cache line, and a 512-bit vector
constexpr int64_t kTypicalDim = 128;

/// A number of bytes: the value in the program and its formula.
struct Bytes {
  Value value;
  sq::SymbolicSize size = 0;
};

struct Buffer {
  memref::AllocOp op;
  int64_t first = 0, last = 0; // positions of ops in the schedule
  Bytes bytes;                 // rounded up to kAlignment
  double typical = 0;
  std::vector<unsigned> overlapping; // buffers alive at the same time
};

/// A buffer begins at the largest end of these others; of none, at the start of
/// the arena.
struct Place {
  std::vector<unsigned> behind;
  sq::SymbolicSize offset = 0;
};

struct Plan {
  std::vector<unsigned> order;
  std::vector<Place> places; // by buffer
  Place end;                 // of the arena
  double typical = 0;        // size of the arena
};

/// Sizes of which it is not known which is larger.
class Maxima {
public:
  /// With every dim being kTypicalDim.
  double typical(const sq::SymbolicSize &size) const {
    double value = 0;
    sq::evaluateSize(
        size.text(),
        [&](const std::string &name, double &v) {
          auto maximum = typicals.find(name);
          v = maximum != typicals.end() ? maximum->second : name == "threads()" ? 2 : kTypicalDim;
          return true;
        },
        value);
    return value;
  }

  /// The larger of both; a symbol of its own where that is not known: a formula would
  /// double with each buffer that lies behind two others.
  sq::SymbolicSize larger(const sq::SymbolicSize &a, const sq::SymbolicSize &b) {
    if (a.atLeast(b))
      return a;
    if (b.atLeast(a))
      return b;
    std::string &name = names[{a.text(), b.text()}];
    if (name.empty()) {
      name = "larger_" + std::to_string(names.size());
      typicals[name] = std::max(typical(a), typical(b));
    }
    return sq::SymbolicSize::symbol(name);
  }

private:
  std::map<std::pair<std::string, std::string>, std::string> names;
  std::map<std::string, double> typicals;
};

/// Places the buffers in `order`.
Plan placeInOrder(ArrayRef<Buffer> buffers, std::vector<unsigned> order, Maxima &maxima) {
  Plan plan;
  plan.places.resize(buffers.size());
  std::vector<bool> placed(buffers.size());
  auto end = [&](unsigned i) { return plan.places[i].offset + buffers[i].bytes.size; };
  auto behindAll = [&](ArrayRef<unsigned> others) {
    Place place;
    for (unsigned other : others) {
      // One of several that are certainly equal or larger is enough.
      if (llvm::any_of(place.behind, [&](unsigned kept) { return end(kept).atLeast(end(other)); }))
        continue;
      llvm::erase_if(place.behind, [&](unsigned kept) { return end(other).atLeast(end(kept)); });
      place.behind.push_back(other);
    }
    for (unsigned other : place.behind)
      place.offset = maxima.larger(place.offset, end(other));
    return place;
  };
  for (unsigned i : order) {
    std::vector<unsigned> around;
    for (unsigned other : buffers[i].overlapping)
      if (placed[other])
        around.push_back(other);
    std::vector<std::pair<double, Place>> candidates = {{0, Place()}};
    for (unsigned other : around)
      candidates.push_back({maxima.typical(end(other)), {{other}, end(other)}});
    llvm::sort(candidates, [](auto &a, auto &b) {
      return std::pair(a.first, a.second.behind) < std::pair(b.first, b.second.behind);
    });
    auto free = llvm::find_if(candidates, [&](auto &candidate) {
      const sq::SymbolicSize &offset = candidate.second.offset;
      return llvm::all_of(around, [&](unsigned other) {
        return offset.atLeast(end(other)) ||
               plan.places[other].offset.atLeast(offset + buffers[i].bytes.size);
      });
    });
    plan.places[i] = free != candidates.end() ? free->second : behindAll(around);
    placed[i] = true;
  }
  // What another buffer lies behind does not reach the end.
  std::vector<unsigned> last = order;
  for (const Place &place : plan.places)
    for (unsigned below : place.behind)
      llvm::erase(last, below);
  plan.end = behindAll(last);
  plan.typical = maxima.typical(plan.end.offset);
  plan.order = std::move(order);
  return plan;
}

/// The best of a few orders.
Plan placeBuffers(ArrayRef<Buffer> buffers) {
  Maxima maxima;
  std::vector<unsigned> schedule(llvm::seq<unsigned>(0, buffers.size()).begin(),
                                 llvm::seq<unsigned>(0, buffers.size()).end());
  auto sorted = [&](auto key) {
    std::vector<unsigned> order = schedule;
    llvm::sort(order, [&](unsigned a, unsigned b) { return std::pair(key(a), a) < std::pair(key(b), b); });
    return placeInOrder(buffers, std::move(order), maxima);
  };
  Plan bySize = sorted([&](unsigned i) { return std::pair(-buffers[i].typical, 0); });
  // Of equal size those first that stand in the way of few: the others go
  // behind the larger of two whose sizes cannot be compared.
  Plan byConflicts =
      sorted([&](unsigned i) { return std::pair(-buffers[i].typical, static_cast<int>(buffers[i].overlapping.size())); });
  Plan inOrder = placeInOrder(buffers, schedule, maxima);
  Plan *best = &bySize;
  for (Plan *plan : {&byConflicts, &inOrder})
    if (plan->typical < best->typical)
      best = plan;
  return std::move(*best);
}

/// The buffers of one arena.
struct Stage {
  Operation *start; // the arena and all sizes come before it
  SmallVector<Buffer> buffers;
};

/// Control flow of the schedule; what is inside a kernel is none.
bool isControlFlow(Operation *op) { return isa<scf::ForOp, scf::WhileOp, scf::IfOp>(op); }

struct PlanArenaPass : sq::impl::PlanArenaPassBase<PlanArenaPass> {
  struct Span {
    int64_t first, last;
  };
  DenseMap<Operation *, Span> spans; // of ops of the schedule, with what they contain
  int64_t positions = 0;
  sq::SymbolicSizes sizes;
  DenseMap<Value, size_t> opaque; // sizes without a formula

  /// Numbers the ops of the schedule and of its control flow, in order.
  void number(Block &block) {
    for (Operation &op : block) {
      int64_t first = positions++;
      if (isControlFlow(&op))
        for (Region &region : op.getRegions())
          for (Block &inner : region)
            number(inner);
      spans[&op] = {first, positions - 1};
    }
  }

  /// What a use of the buffer in `user` keeps busy: all of a loop when the buffer
  /// was made outside of it, as the next iteration may read what this one wrote.
  Span spanOf(Operation *user, Operation *made) {
    while (!spans.contains(user))
      user = user->getParentOp();
    Span span = spans[user];
    for (Operation *at = user; at->getBlock() != made->getBlock(); at = at->getParentOp()) {
      Operation *around = at->getParentOp();
      if (around->isAncestor(made))
        break;
      // What every iteration writes anew before it reads lives within one.
      if (isa<LoopLikeOpInterface>(around) && !made->hasAttr("sq.chunk"))
        span = spans[around];
    }
    return span;
  }

  /// From the first to the last op that uses the memory; an address or an
  /// extent taken of it is no use.
  LogicalResult findLifetime(Buffer &buffer) {
    buffer.first = std::numeric_limits<int64_t>::max();
    buffer.last = -1;
    SmallVector<Value> todo = {buffer.op};
    while (!todo.empty()) {
      for (Operation *user : todo.pop_back_val().getUsers()) {
        if (isa<ViewLikeOpInterface>(user)) {
          llvm::append_range(todo, user->getResults());
        } else if (isControlFlow(user) || (user->hasTrait<OpTrait::IsTerminator>() && isControlFlow(user->getParentOp()))) {
          return user->emitOpError("passes a buffer on: it should have been written in place");
        } else if (!isa<memref::DimOp>(user)) {
          Span span = spanOf(user, buffer.op);
          buffer.first = std::min(buffer.first, span.first);
          buffer.last = std::max(buffer.last, span.last);
        }
      }
    }
    return success();
  }

  LogicalResult sizeOf(Buffer &buffer, ImplicitLocOpBuilder &b) {
    MemRefType type = buffer.op.getType();
    Type element = type.getElementType();
    if (!type.getLayout().isIdentity() || !(element.isIntOrIndexOrFloat()))
      return buffer.op.emitOpError("cannot be placed in the arena: ") << type;
    int64_t bytes = sq::bytesPerElement(element);
    Value size;
    unsigned dynamic = 0;
    for (int64_t d : type.getShape()) {
      if (!ShapedType::isDynamic(d)) {
        bytes *= d;
        continue;
      }
      Value extent = buffer.op.getDynamicSizes()[dynamic++];
      size = size ? b.createOrFold<arith::MulIOp>(size, extent) : extent;
    }
    Value count = arith::ConstantIndexOp::create(b, bytes);
    size = size ? b.createOrFold<arith::MulIOp>(size, count) : count;
    Value up = b.createOrFold<arith::AddIOp>(size, arith::ConstantIndexOp::create(b, kAlignment - 1));
    buffer.bytes.value = b.createOrFold<arith::AndIOp>(up, arith::ConstantIndexOp::create(b, -kAlignment));
    buffer.bytes.size = sizes.of(buffer.bytes.value);
    // A size without a formula is a symbol of its own, equal only to itself.
    if (!buffer.bytes.size.isKnown())
      buffer.bytes.size = sq::SymbolicSize::symbol("size_" + std::to_string(opaque.try_emplace(buffer.bytes.value, opaque.size()).first->second));
    buffer.typical = Maxima().typical(buffer.bytes.size);
    return success();
  }

  /// Computes the offsets and the size of the arena.
  std::vector<Value> materialise(const Plan &plan, ArrayRef<Buffer> buffers, Value &total, ImplicitLocOpBuilder &b) {
    std::vector<Value> offsets(buffers.size());
    auto begin = [&](const Place &place) {
      Value result;
      for (unsigned other : place.behind) {
        Value end = b.createOrFold<arith::AddIOp>(offsets[other], buffers[other].bytes.value);
        result = result ? b.createOrFold<arith::MaxUIOp>(result, end) : end;
      }
      return result ? result : Value(arith::ConstantIndexOp::create(b, 0));
    };
    for (unsigned i : plan.order)
      offsets[i] = begin(plan.places[i]);
    total = begin(plan.end);
    return offsets;
  }

  /// Puts each buffer into the first stage where its size is known, or makes one.
  SmallVector<Stage> formStages(ArrayRef<memref::AllocOp> allocs, DominanceInfo &dominance) {
    SmallVector<Stage> stages;
    IRRewriter rewriter(&getContext());
    for (memref::AllocOp alloc : allocs) {
      SmallVector<Value> extents(alloc.getDynamicSizes());
      auto stage = llvm::find_if(stages, [&](Stage &stage) {
        return dominance.dominates(stage.start, alloc) &&
               succeeded(moveValueDefinitions(rewriter, extents, stage.start, dominance));
      });
      if (stage == stages.end()) {
        // As far out of loops as its size is known.
        SmallVector<Operation *> places = {alloc};
        while (!isa<func::FuncOp>(places.back()->getParentOp()))
          places.push_back(places.back()->getParentOp());
        auto start = llvm::find_if(llvm::reverse(places), [&](Operation *place) {
          return succeeded(moveValueDefinitions(rewriter, extents, place, dominance));
        });
        stage = stages.insert(stages.end(), {*start, {}});
      }
      stage->buffers.emplace_back().op = alloc;
    }
    return stages;
  }

  LogicalResult plan(Stage &stage, int32_t index) {
    MutableArrayRef<Buffer> buffers = stage.buffers;
    ImplicitLocOpBuilder b(buffers.front().op.getLoc(), stage.start);
    if (index == 0)
      b.setLoc(getOperation().getLoc());
    for (Buffer &buffer : buffers)
      if (failed(sizeOf(buffer, b)) || failed(findLifetime(buffer)))
        return failure();
    for (auto [i, a] : llvm::enumerate(buffers))
      for (auto [j, other] : llvm::enumerate(buffers))
        if (i != j && a.first <= other.last && other.first <= a.last)
          a.overlapping.push_back(j);
    Plan plan = placeBuffers(buffers);
    Value total;
    std::vector<Value> offsets = materialise(plan, buffers, total, b);
    Value arena = sq::ArenaOp::create(b, MemRefType::get({ShapedType::kDynamic}, b.getI8Type()),
                                      total, index);
    for (auto [buffer, offset] : llvm::zip(buffers, offsets)) {
      ImplicitLocOpBuilder at(buffer.op.getLoc(), buffer.op);
      Value view = memref::ViewOp::create(at, buffer.op.getType(), arena, offset, buffer.op.getDynamicSizes());
      buffer.op.replaceAllUsesWith(view);
      // It may be where its arena begins.
      buffer.op->setOperands({});
    }
    return success();
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || !func.getBody().hasOneBlock())
      return;
    SmallVector<memref::AllocOp> allocs;
    WalkResult nested = func.walk<WalkOrder::PreOrder>([&](memref::AllocOp op) {
      for (Operation *around = op->getParentOp(); around != func; around = around->getParentOp())
        if (!isControlFlow(around)) {
          op.emitOpError("lies inside a kernel; scratch memory must be allocated outside");
          return WalkResult::interrupt();
        }
      allocs.push_back(op);
      return WalkResult::advance();
    });
    if (nested.wasInterrupted())
      return signalPassFailure();
    if (allocs.empty())
      return;

    func.walk([](LoopLikeOpInterface loop) { // inner ones first
      if (loop->getParentOfType<sq::ParallelOp>() || loop->getParentOfType<gpu::LaunchOp>())
        return;
      moveLoopInvariantCode(loop);
    });
    DominanceInfo dominance(func);
    SmallVector<Stage> stages = formStages(allocs, dominance);
    number(func.getBody().front());
    for (auto [index, stage] : llvm::enumerate(stages))
      if (failed(plan(stage, static_cast<int32_t>(index))))
        return signalPassFailure();
    for (memref::AllocOp alloc : allocs)
      alloc.erase();
    spans.clear();
    positions = 0;
    sizes = {};
    opaque.clear();
  }
};

} // namespace
