#include "codegen/host/Schedule.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace sq;

int ScheduledBuffer::first() const {
  int first = INT_MAX;
  for (const std::vector<int> *users : {&readers, &writers})
    if (!users->empty())
      first = std::min(first, users->front());
  return first;
}

int ScheduledBuffer::last() const {
  int last = -1;
  for (const std::vector<int> *users : {&readers, &writers})
    if (!users->empty())
      last = std::max(last, users->back());
  return last;
}

namespace {

/// The buffer that `v` is a view of.
static Value rootOf(Value v) {
  while (auto view = v.getDefiningOp<ViewLikeOpInterface>()) {
    if (isa<memref::ViewOp>(view)) // of the arena
      break;
    v = view.getViewSource();
  }
  return v;
}

} // namespace

void sq::forEachAccess(Region &region, function_ref<void(Value root, bool written)> access) {
  region.walk([&](Operation *inner) {
    if (auto call = dyn_cast<func::CallOp>(inner)) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
      if (!callee || callee.isExternal())
        return;
      forEachAccess(callee.getBody(), [&](Value root, bool written) {
        auto arg = dyn_cast<BlockArgument>(root);
        if (arg && arg.getOwner() == &callee.getBody().front())
          access(rootOf(call.getOperand(arg.getArgNumber())), written);
      });
      return;
    }
    auto effects = dyn_cast<MemoryEffectOpInterface>(inner);
    if (!effects)
      return;
    SmallVector<MemoryEffects::EffectInstance> instances;
    effects.getEffects(instances);
    for (auto &effect : instances) {
      Value v = effect.getValue();
      if (!v || !isa<MemRefType>(v.getType()))
        continue;
      Value root = rootOf(v);
      bool inside = root.getDefiningOp() && region.isAncestor(root.getParentRegion());
      if (inside)
        continue;
      if (isa<MemoryEffects::Read>(effect.getEffect()))
        access(root, false);
      else if (isa<MemoryEffects::Write>(effect.getEffect()))
        access(root, true);
    }
  });
}

namespace {

struct Reader {
  Schedule schedule;
  SymbolicSizes sizes;
  DenseMap<Value, int> known;

  int bufferOf(Value memref) {
    Value root = rootOf(memref);
    auto [it, fresh] = known.try_emplace(root, static_cast<int>(schedule.buffers.size()));
    if (fresh)
      schedule.buffers.push_back(describe(root));
    return it->second;
  }

  ScheduledBuffer describe(Value root) {
    ScheduledBuffer buffer{ScheduledBuffer::Arena, "", "", sizes.bytes(root), 0, {}, {}};
    auto type = cast<MemRefType>(root.getType());
    llvm::raw_string_ostream os(buffer.type);
    os << type.getElementType() << "[";
    for (int64_t d = 0; d < type.getRank(); ++d)
      os << (d ? ", " : "") << sizes.extent(root, d).text();
    os << "]";
    Operation *op = root.getDefiningOp();
    if (!op) {
      auto arg = cast<BlockArgument>(root);
      buffer.kind = ScheduledBuffer::Input;
      auto func = cast<func::FuncOp>(arg.getOwner()->getParentOp());
      if (auto name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "sq.name"))
        buffer.name = name.getValue().str();
    } else if (auto weight = dyn_cast<WeightOp>(op)) {
      buffer.kind = ScheduledBuffer::Weight;
      buffer.offset = weight.getOffset().value_or(0);
      if (auto resource = dyn_cast<DenseResourceElementsAttr>(weight.getValue()))
        buffer.name = resource.getRawHandle().getKey().str();
    } else if (auto output = dyn_cast<OutputOp>(op)) {
      buffer.kind = ScheduledBuffer::Output;
      auto results = op->getParentOfType<func::FuncOp>()->getAttrOfType<ArrayAttr>("sq.results");
      if (results && output.getIndex() < results.size())
        if (auto name = cast<DictionaryAttr>(results[output.getIndex()]).getAs<StringAttr>("sq.name"))
          buffer.name = name.getValue().str();
    } else if (auto view = dyn_cast<memref::ViewOp>(op)) {
      buffer.offset = sizes.of(view.getByteShift());
    }
    return buffer;
  }

  void addUse(std::vector<int> &list, int user) {
    if (list.empty() || list.back() != user)
      list.push_back(user);
  }

  void add(ParallelOp op) {
    int index = static_cast<int>(schedule.kernels.size());
    ScheduledKernel kernel;
    kernel.name = op.getName().str();
    if (DictionaryAttr work = op.getWork().value_or(nullptr)) {
      auto text = [&](StringRef key) {
        auto attr = work.getAs<StringAttr>(key);
        return attr ? attr.getValue().str() : "?";
      };
      auto list = [&](StringRef key, std::vector<std::string> &out) {
        if (auto names = work.getAs<ArrayAttr>(key))
          for (auto name : names.getAsRange<StringAttr>())
            out.push_back(name.getValue().str());
      };
      kernel.kind = text("kind");
      kernel.flops = text("flops");
      kernel.reads = text("reads");
      kernel.writes = text("writes");
      list("parts", kernel.parts);
      list("nodes", kernel.nodes);
    } else {
      kernel.kind = kernel.flops = kernel.reads = kernel.writes = "?";
    }
    llvm::SetVector<int> in, out;
    forEachAccess(op.getBody(), [&](Value root, bool written) {
      (written ? out : in).insert(bufferOf(root));
    });
    kernel.inputs.assign(in.begin(), in.end());
    kernel.outputs.assign(out.begin(), out.end());
    for (int buffer : kernel.inputs)
      addUse(schedule.buffers[buffer].readers, index);
    for (int buffer : kernel.outputs)
      addUse(schedule.buffers[buffer].writers, index);
    schedule.kernels.push_back(std::move(kernel));
  }
};

} // namespace

Schedule sq::readSchedule(func::FuncOp func) {
  Reader reader;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto kernel = dyn_cast<ParallelOp>(op)) {
      reader.add(kernel);
      return WalkResult::skip();
    }
    if (auto arena = dyn_cast<ArenaOp>(op))
      reader.schedule.arenaBytes = reader.sizes.of(arena.getBytes());
    return WalkResult::advance();
  });
  return std::move(reader.schedule);
}
