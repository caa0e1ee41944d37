#include "codegen/common/KernelWork.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"

#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr size_t kMaxNodes = 32; // names kept for a kernel

struct Work {
  SymbolicSizes &sizes;
  StringRef kind;
  llvm::SetVector<StringRef> parts;
  SymbolicSize flops = 0, reads = 0, writes = 0;

  explicit Work(SymbolicSizes &sizes) : sizes(sizes) {}

  SymbolicSize last(Value memref) {
    return sizes.extent(memref, cast<MemRefType>(memref.getType()).getRank() - 1);
  }

  void addMemory(ValueRange in, ValueRange out) {
    llvm::SmallPtrSet<Value, 8> seen;
    for (Value v : in)
      if (isa<MemRefType>(v.getType()) && seen.insert(v).second)
        reads += sizes.bytes(v);
    for (Value v : out)
      if (isa<MemRefType>(v.getType()))
        writes += sizes.bytes(v);
  }

  static bool isFloatOp(Operation &op) {
    return op.getNumResults() == 1 && op.getResult(0).getType().isFloat() &&
           isa<arith::ArithDialect, math::MathDialect>(op.getDialect()) &&
           !isa<arith::ConstantOp, arith::SelectOp>(op);
  }

  /// Floating-point operations of one execution of `block`, whose ops also name the parts;
  /// `special` names those that it knows better.
  int64_t addBody(Block &block, function_ref<StringRef(Operation &)> special) {
    bool hasErf = llvm::any_of(block, [](Operation &op) { return isa<math::ErfOp>(op); });
    int64_t count = 0;
    for (Operation &op : block.without_terminator()) {
      if (isa<cf::AssertOp>(op))
        parts.insert("check");
      else if (isa<memref::LoadOp>(op))
        parts.insert("gather");
      if (!isFloatOp(op))
        continue;
      count += isa<math::FmaOp>(op) ? 2 : 1;
      StringRef name = special(op);
      if (name.empty())
        name = hasErf && isOfGelu(op) ? "gelu" : partName(op);
      parts.insert(name);
    }
    return count;
  }

  /// 0.5 x (1 + erf(x / sqrt 2)), as exporters write it: erf, what constants
  /// take part in, and the products of those.
  static bool isOfGelu(Operation &op) {
    return isa<math::ErfOp>(op) || llvm::any_of(op.getOperands(), [](Value v) {
             return matchPattern(v, m_Constant());
           }) || llvm::none_of(op.getOperands(), [](Value v) { return isa<BlockArgument>(v); });
  }

  static StringRef partName(Operation &op) {
    if (isa<CastOpInterface>(op))
      return "cast";
    // arith.addf, arith.addi: the type is told elsewhere.
    StringRef name = op.getName().stripDialect();
    bool typed = isa<arith::ArithDialect>(op.getDialect()) && (name.ends_with("f") || name.ends_with("i"));
    return typed ? name.drop_back() : name;
  }

  void packedMatmul(PackedMatmulOp op) {
    kind = "matmul";
    parts.insert("product");
    SymbolicSize results = sizes.elements(op.getOuts());
    Block &body = op.getEpilogue().front();
    // An addition of an operand that runs over columns is a bias, of one like
    // the result a residual connection.
    int64_t epilogue = addBody(body, [&](Operation &inner) -> StringRef {
      if (!isa<arith::AddFOp>(inner))
        return "";
      for (Value v : inner.getOperands())
        if (auto arg = dyn_cast<BlockArgument>(v); arg && arg.getOwner() == &body && arg.getArgNumber() > 0) {
          Value extra = op.getExtras()[arg.getArgNumber() - 1];
          return cast<MemRefType>(extra.getType()).getRank() <= 1 ? "bias" : "residual";
        }
      return "";
    });
    flops = results * last(op.getX()) * 2 + results * epilogue;
  }

  template <typename OpTy> void attention(OpTy op, Value mask) {
    kind = "attention";
    parts.insert("scores");
    if (mask)
      parts.insert("mask");
    parts.insert("softmax");
    parts.insert("values");
    // Scores [b, h, s, t]: a product, the mask, softmax, a product; queries are
    // scaled before, results divided by the sums after.
    SymbolicSize results = sizes.elements(op.getOuts()), keys = sizes.extent(op.getK(), 1);
    SymbolicSize scores = sizes.extent(op.getQ(), 0) * sizes.extent(op.getQ(), 1) *
                          sizes.extent(op.getQ(), 2) * keys;
    flops = results * keys * 4 + scores * (mask ? 5 : 4) + results * 2;
  }

  void linalgOp(linalg::LinalgOp op) {
    SmallVector<Value> in, out;
    for (OpOperand *operand : op.getDpsInputOperands())
      in.push_back(operand->get());
    for (Value init : op.getDpsInits()) {
      out.push_back(init);
      if (op.getNumReductionLoops())
        in.push_back(init);
    }
    addMemory(in, out);
    // Points of the iteration space: the extents, found through the operands.
    SymbolicSize points = 1;
    SmallVector<SymbolicSize> extents(op.getNumLoops(), SymbolicSize::unknown());
    for (OpOperand &operand : op->getOpOperands())
      if (isa<MemRefType>(operand.get().getType()))
        for (auto [i, e] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
          if (auto dim = dyn_cast<AffineDimExpr>(e))
            extents[dim.getPosition()] = sizes.extent(operand.get(), i);
    for (const SymbolicSize &extent : extents)
      points *= extent;
    flops = points * addBody(*op.getBlock(), [](Operation &) { return StringRef(); });
    for (Operation &inner : *op.getBlock())
      if (auto load = dyn_cast<memref::LoadOp>(inner))
        reads += points * bytesPerElement(load.getType());
    kind = op.getNumReductionLoops() ? "reduction" : parts.contains("gather") ? "gather" : "elementwise";
    if (!parts.empty())
      return;
    for (Operation &inner : op.getBlock()->without_terminator())
      if (isa<arith::ArithDialect>(inner.getDialect()) && !isa<arith::ConstantOp>(inner))
        parts.insert(partName(inner));
    if (parts.empty()) {
      kind = "copy";
      parts.insert(in.empty() || !isa<MemRefType>(in.front().getType()) ? "fill" : "copy");
    }
  }

  void describe(Operation *op) {
    // The emitter refuses these.
    if (llvm::any_of(op->getOperandTypes(), [](Type t) { return isa<TensorType, UnrankedMemRefType>(t); }))
      return;
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      kind = "copy";
      parts.insert("copy");
      return addMemory(copy.getSource(), copy.getTarget());
    }
    if (auto o = dyn_cast<linalg::LinalgOp>(op))
      return linalgOp(o);
    auto dps = cast<DestinationStyleOpInterface>(op);
    SmallVector<Value> in, out;
    for (OpOperand *operand : dps.getDpsInputOperands())
      in.push_back(operand->get());
    llvm::append_range(out, dps.getDpsInits());
    addMemory(in, out);
    if (auto o = dyn_cast<PackedMatmulOp>(op))
      return packedMatmul(o);
    if (auto o = dyn_cast<AttentionOp>(op))
      return attention(o, o.getMask());
    if (auto o = dyn_cast<KvAttendOp>(op)) {
      attention(o, Value());
      if (!o.getRotary().empty()) {
        parts.insert("rotary");
        flops = flops + sizes.elements(o.getQ()) * 3;
      }
      return;
    }
    if (auto o = dyn_cast<IntAttentionOp>(op))
      return attention(o, o.getKeep());
    if (auto o = dyn_cast<KvAppendOp>(op)) {
      // Not the whole cache, which `outs` is.
      kind = "copy";
      parts.insert("append");
      reads = writes = sizes.bytes(o.getRows());
      for (Value angle : o.getRotary())
        reads = reads + sizes.bytes(angle);
      if (!o.getRotary().empty()) {
        parts.insert("rotary");
        flops = sizes.elements(o.getRows()) * 3;
      }
      return;
    }
    kind = op->getName().stripDialect();
    parts.insert(kind);
    if (auto o = dyn_cast<MatmulOp>(op)) {
      kind = "matmul";
      flops = sizes.elements(o.getOuts()) * last(o.getA()) * 2;
    } else if (auto o = dyn_cast<SoftmaxOp>(op)) {
      flops = sizes.elements(o.getOuts()) * 5; // max, subtract, exp, add, scale
    } else if (auto o = dyn_cast<LayerNormOp>(op)) {
      // Two sums (1 + 3), then subtract, normalise, scale, shift.
      flops = sizes.elements(o.getOuts()) * (o.getBias() ? 8 : 7);
    } else if (isa<IntNormRowsOp>(op)) {
      flops = 0; // of floats
    } else if (auto o = dyn_cast<RmsNormOp>(op)) {
      flops = sizes.elements(o.getOuts()) * 4; // a sum of squares (2), normalise, scale
    } else if (auto o = dyn_cast<ScatterOp>(op)) {
      flops = sizes.elements(o.getUpdates());
    } else {
      flops = SymbolicSize::unknown();
    }
  }
};

void addNodes(Location loc, llvm::SetVector<StringRef> &nodes, size_t most) {
  loc->walk([&](Location inner) {
    if (auto name = dyn_cast<NameLoc>(inner); name && nodes.size() < most)
      nodes.insert(name.getName());
    return WalkResult::advance();
  });
}

} // namespace

OpWork sq::workOf(Operation *op, SymbolicSizes &sizes) {
  Work work(sizes);
  work.describe(op);
  // In the order of the model: a composite, what follows in its region, the
  // rest of what it was made of.
  llvm::SetVector<StringRef> nodes;
  if (!isa<linalg::LinalgOp>(op))
    addNodes(op->getLoc(), nodes, 1);
  op->walk([&](Operation *inner) { addNodes(inner->getLoc(), nodes, kMaxNodes); });
  auto strings = [](const llvm::SetVector<StringRef> &set) { return std::vector<std::string>(set.begin(), set.end()); };
  return {work.kind.str(), strings(work.parts), strings(nodes), work.flops, work.reads, work.writes};
}

DictionaryAttr sq::describeWork(Operation *op, SymbolicSizes &sizes) { return describeWork(op->getContext(), workOf(op, sizes)); }

DictionaryAttr sq::describeWork(MLIRContext *context, const OpWork &work) {
  Builder b(context);
  auto strings = [&](const std::vector<std::string> &list) {
    return b.getStrArrayAttr(SmallVector<StringRef>(list.begin(), list.end()));
  };
  return b.getDictionaryAttr({b.getNamedAttr("kind", b.getStringAttr(work.kind)),
                              b.getNamedAttr("parts", strings(work.parts)),
                              b.getNamedAttr("nodes", strings(work.nodes)),
                              b.getNamedAttr("flops", b.getStringAttr(work.flops.text())),
                              b.getNamedAttr("reads", b.getStringAttr(work.reads.text())),
                              b.getNamedAttr("writes", b.getStringAttr(work.writes.text()))});
}
