#include "codegen/common/Schedule.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
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

Value sq::rootOf(Value memref) {
  while (auto view = memref.getDefiningOp<ViewLikeOpInterface>()) {
    if (isa<memref::ViewOp>(view)) // of the arena
      break;
    memref = view.getViewSource();
  }
  return memref;
}

void Accesses::add(Operation *op) {
  op->walk([&](Operation *inner) {
    if (auto call = dyn_cast<func::CallOp>(inner)) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
      if (!callee || callee.isExternal())
        return;
      Accesses own;
      own.add(callee);
      auto passOn = [&](const llvm::SetVector<Value> &from, llvm::SetVector<Value> &to) {
        for (Value root : from)
          if (auto arg = dyn_cast<BlockArgument>(root); arg && arg.getOwner() == &callee.getBody().front())
            to.insert(rootOf(call.getOperand(arg.getArgNumber())));
      };
      passOn(own.read, read);
      passOn(own.written, written);
      return;
    }
    auto addTo = [&](llvm::SetVector<Value> &set, Value v) {
      Value root = rootOf(v);
      if (Operation *made = root.getDefiningOp(); made && (op->isProperAncestor(made) || isa<FaultOp>(made)))
        return;
      if (isa<gpu::LaunchOp>(root.getParentBlock()->getParentOp()))
        return; // shared memory
      set.insert(root);
    };
    // Tiles are loaded through pointers. (What a kernel stores through one is scratch memory of its own.)
    if (auto pointer = dyn_cast<memref::ExtractAlignedPointerAsIndexOp>(inner))
      return addTo(read, pointer.getSource());
    auto effects = dyn_cast<MemoryEffectOpInterface>(inner);
    if (!effects)
      return;
    SmallVector<MemoryEffects::EffectInstance> instances;
    effects.getEffects(instances);
    for (auto &effect : instances) {
      Value v = effect.getValue();
      if (!v || !isa<MemRefType>(v.getType()))
        continue;
      if (isa<MemoryEffects::Read>(effect.getEffect()))
        addTo(read, v);
      else if (isa<MemoryEffects::Write>(effect.getEffect()))
        addTo(written, v);
    }
  });
}

bool Accesses::isIndependentOf(const Accesses &other) const {
  auto meet = [](const llvm::SetVector<Value> &a, const llvm::SetVector<Value> &b) {
    return llvm::any_of(a, [&](Value v) { return b.contains(v); });
  };
  return !meet(read, other.written) && !meet(written, other.written) && !meet(written, other.read);
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

  void add(Operation *op, StringRef name, DictionaryAttr work) {
    int index = static_cast<int>(schedule.kernels.size());
    ScheduledKernel kernel;
    kernel.name = name.str();
    kernel.isAlternative = op->hasAttr("sq.alternative");
    if (work) {
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
    Accesses accesses;
    accesses.add(op);
    llvm::SetVector<int> in, out;
    for (Value root : accesses.read)
      in.insert(bufferOf(root));
    for (Value root : accesses.written)
      out.insert(bufferOf(root));
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
      reader.add(kernel, kernel.getName(), kernel.getWork().value_or(nullptr));
      return WalkResult::skip();
    }
    if (isa<gpu::LaunchOp>(op)) {
      auto name = op->getAttrOfType<StringAttr>("sq.name");
      reader.add(op, name ? name.getValue() : "kernel", op->getAttrOfType<DictionaryAttr>("sq.work"));
      return WalkResult::skip();
    }
    if (auto arena = dyn_cast<ArenaOp>(op)) {
      if (reader.sizes.of(arena.getBytes()).isKnown())
        reader.schedule.arenaBytes += reader.sizes.of(arena.getBytes());
      else
        ++reader.schedule.dataArenas;
    }
    return WalkResult::advance();
  });
  return std::move(reader.schedule);
}
