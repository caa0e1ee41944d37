//===-- PlanArena.cpp - buffers in arenas ------------------------------------===//
//
// The sizes of most buffers follow from the shapes of the inputs: they lie in
// one arena. What depends on data lies in further ones, each made where its
// first buffer is and holding all later ones whose sizes are known there.
// Where in its arena a buffer lies, PlaceBuffers.cpp decides.
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
#include "codegen/common/PlaceBuffers.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {
#define GEN_PASS_DEF_PLANARENAPASS
#include "codegen/common/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

constexpr int64_t kAlignment = 64;  // bytes: a cache line, and a 512-bit vector

/// The buffers of one arena.
struct Stage {
  Operation *start; // the arena and all sizes come before it
  SmallVector<sq::ArenaBuffer> buffers;
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
  LogicalResult findLifetime(sq::ArenaBuffer &buffer) {
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

  LogicalResult sizeOf(sq::ArenaBuffer &buffer, ImplicitLocOpBuilder &b) {
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
    return success();
  }

  /// Computes the offsets and the size of the arena.
  std::vector<Value> materialise(const sq::ArenaPlan &plan, ArrayRef<sq::ArenaBuffer> buffers, Value &total, ImplicitLocOpBuilder &b) {
    std::vector<Value> offsets(buffers.size());
    auto begin = [&](const sq::ArenaPlace &place) {
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
    MutableArrayRef<sq::ArenaBuffer> buffers = stage.buffers;
    ImplicitLocOpBuilder b(buffers.front().op.getLoc(), stage.start);
    if (index == 0)
      b.setLoc(getOperation().getLoc());
    for (sq::ArenaBuffer &buffer : buffers)
      if (failed(sizeOf(buffer, b)) || failed(findLifetime(buffer)))
        return failure();
    sq::ArenaPlan plan = sq::placeBuffers(buffers);
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
