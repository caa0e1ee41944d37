//===-- PlanArena.cpp - one arena for all buffers ----------------------------===//
//
// Buffers that are alive at the same time get disjoint ranges of the arena.
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
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"
#include "mlir/Transforms/RegionUtils.h"

#include "codegen/common/Passes.h"
#include "dialects/sq/IR/SqOps.h"
#include "lib/support/SizeText.h"
#include "passes/analysis/SymbolicSize.h"

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

double typicalSize(const sq::SymbolicSize &size) {
  double value = 0;
  sq::evaluateSize(
      size.text(),
      [](const std::string &name, double &v) {
        v = name == "threads()" ? 2 : kTypicalDim;
        return true;
      },
      value);
  return value;
}

/// Places the buffers in `order`.
Plan placeInOrder(ArrayRef<Buffer> buffers, std::vector<unsigned> order) {
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
      place.offset = sq::SymbolicSize::max(place.offset, end(other));
    return place;
  };
  for (unsigned i : order) {
    std::vector<unsigned> around;
    for (unsigned other : buffers[i].overlapping)
      if (placed[other])
        around.push_back(other);
    std::vector<std::pair<double, Place>> candidates = {{0, Place()}};
    for (unsigned other : around)
      candidates.push_back({typicalSize(end(other)), {{other}, end(other)}});
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
  plan.typical = typicalSize(plan.end.offset);
  plan.order = std::move(order);
  return plan;
}

/// The best of a few orders.
Plan placeBuffers(ArrayRef<Buffer> buffers) {
  std::vector<unsigned> schedule(llvm::seq<unsigned>(0, buffers.size()).begin(),
                                 llvm::seq<unsigned>(0, buffers.size()).end());
  auto sorted = [&](auto key) {
    std::vector<unsigned> order = schedule;
    llvm::sort(order, [&](unsigned a, unsigned b) { return std::pair(key(a), a) < std::pair(key(b), b); });
    return placeInOrder(buffers, std::move(order));
  };
  Plan bySize = sorted([&](unsigned i) { return std::pair(-buffers[i].typical, 0); });
  // Of equal size those first that stand in the way of few: the others go
  // behind the larger of two whose sizes cannot be compared.
  Plan byConflicts =
      sorted([&](unsigned i) { return std::pair(-buffers[i].typical, static_cast<int>(buffers[i].overlapping.size())); });
  Plan inOrder = placeInOrder(buffers, schedule);
  Plan *best = &bySize;
  for (Plan *plan : {&byConflicts, &inOrder})
    if (plan->typical < best->typical)
      best = plan;
  return std::move(*best);
}

struct PlanArenaPass : sq::impl::PlanArenaPassBase<PlanArenaPass> {
  Block *schedule = nullptr;
  DenseMap<Operation *, int64_t> position;
  sq::SymbolicSizes sizes;
  DenseMap<Value, size_t> opaque; // sizes without a formula

  /// From the first to the last op that uses the memory; an address or an
  /// extent taken of it is no use.
  void findLifetime(Buffer &buffer) {
    buffer.first = std::numeric_limits<int64_t>::max();
    buffer.last = -1;
    SmallVector<Value> todo = {buffer.op};
    while (!todo.empty()) {
      for (Operation *user : todo.pop_back_val().getUsers()) {
        if (isa<ViewLikeOpInterface>(user)) {
          llvm::append_range(todo, user->getResults());
        } else if (!isa<memref::DimOp>(user)) {
          while (!position.contains(user))
            user = user->getParentOp();
          int64_t first = position[user], last = first;
          // What a loop does not write anew in every pass lives through all of them.
          if (auto loop = dyn_cast<scf::ForOp>(user->getParentOp());
              loop && buffer.op->getParentOp() != loop && !buffer.op->hasAttr("sq.chunk")) {
            first = position[loop];
            last = position[loop.getBody()->getTerminator()];
          }
          buffer.first = std::min(buffer.first, first);
          buffer.last = std::max(buffer.last, last);
        }
      }
    }
  }

  /// The ops of the schedule and of its loops, in order.
  void numberSchedule() {
    for (Operation &op : *schedule) {
      position[&op] = position.size();
      if (auto loop = dyn_cast<scf::ForOp>(op))
        for (Operation &inner : *loop.getBody())
          position[&inner] = position.size();
    }
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
    buffer.typical = typicalSize(buffer.bytes.size);
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

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || !func.getBody().hasOneBlock())
      return;
    schedule = &func.getBody().front();
    SmallVector<Buffer> buffers;
    WalkResult nested = func.walk([&](memref::AllocOp op) {
      auto loop = dyn_cast<scf::ForOp>(op->getParentOp());
      if (op->getBlock() == schedule || (loop && loop->getBlock() == schedule)) {
        buffers.emplace_back().op = op;
        return WalkResult::advance();
      }
      op.emitOpError("lies inside a kernel; scratch memory must be allocated outside");
      return WalkResult::interrupt();
    });
    if (nested.wasInterrupted())
      return signalPassFailure();
    if (buffers.empty())
      return;

    // All sizes are computed before the first buffer.
    for (auto loop : schedule->getOps<scf::ForOp>())
      moveLoopInvariantCode(loop);
    // The first one may lie in the loop of a batch in parts.
    Operation *start = schedule->findAncestorOpInBlock(*buffers.front().op);
    DominanceInfo dominance(func);
    IRRewriter rewriter(&getContext());
    for (Buffer &buffer : buffers) {
      SmallVector<Value> sizes(buffer.op.getDynamicSizes());
      if (failed(moveValueDefinitions(rewriter, sizes, start, dominance))) {
        emitError(buffer.op.getLoc()) << "the size of a tensor depends on run-time data; only "
                                         "sizes that follow from the dims of the inputs are supported";
        // The model's doing, not a defect: sq-compile's exit code tells them apart.
        func->setAttr("sq.refused", rewriter.getUnitAttr());
        return signalPassFailure();
      }
    }
    numberSchedule();

    ImplicitLocOpBuilder b(func.getLoc(), start);
    for (Buffer &buffer : buffers) {
      if (failed(sizeOf(buffer, b)))
        return signalPassFailure();
      findLifetime(buffer);
    }
    for (auto [i, a] : llvm::enumerate(buffers))
      for (auto [j, other] : llvm::enumerate(buffers))
        if (i != j && a.first <= other.last && other.first <= a.last)
          a.overlapping.push_back(j);
    Plan plan = placeBuffers(buffers);
    Value total;
    std::vector<Value> offsets = materialise(plan, buffers, total, b);
    Value arena = sq::ArenaOp::create(
        b, MemRefType::get({ShapedType::kDynamic}, b.getI8Type()), total);
    for (auto [buffer, offset] : llvm::zip(buffers, offsets)) {
      ImplicitLocOpBuilder at(buffer.op.getLoc(), buffer.op);
      Value view = memref::ViewOp::create(at, buffer.op.getType(), arena, offset, buffer.op.getDynamicSizes());
      buffer.op.replaceAllUsesWith(view);
      buffer.op.erase();
    }
    position.clear();
    sizes = {};
    opaque.clear();
  }
};

} // namespace
