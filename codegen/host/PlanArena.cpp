//===-- PlanArena.cpp - one arena for all buffers ----------------------------===//
//
// A linear scan over the host schedule: a buffer takes a free slot (a memory
// range whose last user is past) or opens a new one. Sizes are symbolic, so a
// slot's size is the maximum of what it holds, evaluated at run time; which
// free slot fits best is judged with every unknown dim taken as kTypicalDim.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/RegionUtils.h"

#include "codegen/host/Passes.h"
#include "dialects/sq/IR/SqOps.h"

namespace sq {
#define GEN_PASS_DEF_PLANARENAPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

constexpr int64_t kAlignment = 64;  // bytes: a cache line, and a 512-bit vector
constexpr int64_t kTypicalDim = 128;

struct Buffer {
  memref::AllocOp op;
  int64_t first = 0, last = 0; // positions of ops in the schedule
  Value bytes;                 // size rounded up to kAlignment
  int64_t typical = 0;
  unsigned slot = 0;
};

struct Slot {
  int64_t busyUntil = -1;
  int64_t typical = 0;
  Value bytes, offset;
};

/// `v` with unknown dims taken as kTypicalDim; a guess that only steers the
/// choice of slots.
int64_t typicalValue(Value v, unsigned depth = 0) {
  Operation *op = v.getDefiningOp();
  if (!op || depth > 16)
    return kTypicalDim;
  if (auto c = dyn_cast<arith::ConstantIndexOp>(op))
    return c.value();
  auto arg = [&](unsigned i) { return typicalValue(op->getOperand(i), depth + 1); };
  if (isa<arith::MulIOp>(op))
    return arg(0) * arg(1);
  if (isa<arith::AddIOp>(op))
    return arg(0) + arg(1);
  if (isa<arith::AndIOp>(op)) // sizeOf's rounding
    return arg(0);
  if (isa<arith::SubIOp>(op))
    return std::max<int64_t>(arg(0) - arg(1), 0);
  if (isa<arith::MinUIOp, arith::MinSIOp>(op))
    return std::min(arg(0), arg(1));
  if (isa<arith::MaxUIOp, arith::MaxSIOp>(op))
    return std::max(arg(0), arg(1));
  if (isa<arith::DivUIOp, arith::DivSIOp>(op))
    return arg(0) / std::max<int64_t>(arg(1), 1);
  if (isa<sq::ThreadsOp>(op))
    return 2;
  return kTypicalDim;
}

struct PlanArenaPass : sq::impl::PlanArenaPassBase<PlanArenaPass> {
  Block *schedule = nullptr;
  DenseMap<Operation *, int64_t> position;

  int64_t lastUse(Value root) {
    int64_t last = -1;
    SmallVector<Value> todo = {root};
    while (!todo.empty()) {
      Value v = todo.pop_back_val();
      for (Operation *user : v.getUsers()) {
        last = std::max(last, position.lookup(schedule->findAncestorOpInBlock(*user)));
        for (Value result : user->getResults())
          if (isa<MemRefType>(result.getType()))
            todo.push_back(result);
      }
    }
    return last;
  }

  LogicalResult sizeOf(Buffer &buffer, ImplicitLocOpBuilder &b) {
    MemRefType type = buffer.op.getType();
    Type element = type.getElementType();
    if (!type.getLayout().isIdentity() || !(element.isIntOrIndexOrFloat()))
      return buffer.op.emitOpError("cannot be placed in the arena: ") << type;
    int64_t bytes = element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
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
    buffer.bytes = b.createOrFold<arith::AndIOp>(up, arith::ConstantIndexOp::create(b, -kAlignment));
    buffer.typical = typicalValue(buffer.bytes);
    return success();
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal() || !func.getBody().hasOneBlock())
      return;
    schedule = &func.getBody().front();
    SmallVector<Buffer> buffers;
    WalkResult nested = func.walk([&](memref::AllocOp op) {
      if (op->getBlock() == schedule) {
        buffers.push_back({op});
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
    Operation *start = buffers.front().op;
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
    for (auto [i, op] : llvm::enumerate(*schedule))
      position[&op] = i;

    ImplicitLocOpBuilder b(func.getLoc(), start);
    SmallVector<Slot> slots;
    for (Buffer &buffer : buffers) {
      if (failed(sizeOf(buffer, b)))
        return signalPassFailure();
      buffer.first = position[buffer.op];
      buffer.last = std::max(lastUse(buffer.op), buffer.first);
      unsigned best = slots.size();
      int64_t bestWaste = std::numeric_limits<int64_t>::max();
      for (auto [i, slot] : llvm::enumerate(slots)) {
        if (slot.busyUntil >= buffer.first)
          continue;
        // Growing a slot costs arena; leaving a large one half empty may cost
        // the next large buffer its place.
        int64_t waste = std::abs(slot.typical - buffer.typical);
        if (waste < bestWaste) {
          best = i;
          bestWaste = waste;
        }
      }
      if (best == slots.size())
        slots.push_back({});
      Slot &slot = slots[best];
      slot.busyUntil = buffer.last;
      slot.typical = std::max(slot.typical, buffer.typical);
      slot.bytes = !slot.bytes ? buffer.bytes
                   : slot.bytes == buffer.bytes
                       ? slot.bytes
                       : b.createOrFold<arith::MaxUIOp>(slot.bytes, buffer.bytes);
      buffer.slot = best;
    }
    Value total = arith::ConstantIndexOp::create(b, 0);
    for (Slot &slot : slots) {
      slot.offset = total;
      total = b.createOrFold<arith::AddIOp>(total, slot.bytes);
    }
    Value arena = sq::ArenaOp::create(
        b, MemRefType::get({ShapedType::kDynamic}, b.getI8Type()), total);
    for (Buffer &buffer : buffers) {
      ImplicitLocOpBuilder at(buffer.op.getLoc(), buffer.op);
      Value view = memref::ViewOp::create(at, buffer.op.getType(), arena,
                                          slots[buffer.slot].offset, buffer.op.getDynamicSizes());
      buffer.op.replaceAllUsesWith(view);
      buffer.op.erase();
    }
    position.clear();
  }
};

} // namespace
