//===-- MergeKernels.cpp - independent products in one launch ------------------===//
//
// Queries, keys and values are three products of one operand, as are the two
// halves of a gated layer. Threads meet once instead of three times. A part of the
// one range is the same part of each product: who has some rows of the queries has
// those of keys and values, which the next kernel finds in its own core's cache.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringExtras.h"

#include "codegen/host/Kernels.h"
#include "codegen/host/Passes.h"
#include "codegen/common/Schedule.h"

namespace sq {
#define GEN_PASS_DEF_MERGEKERNELSPASS
#include "codegen/host/Passes.h.inc"
} // namespace sq

using namespace mlir;

namespace {

bool isSharedProduct(sq::ParallelOp op) {
  DictionaryAttr work = op.getWork().value_or(nullptr);
  auto kind = work ? work.getAs<StringAttr>("kind") : nullptr;
  return kind && kind.getValue() == "matmul" && isa<func::CallOp>(op.getBody().front().front());
}

/// The work of all: sums of formulas, lists one after the other.
DictionaryAttr addWork(MutableArrayRef<sq::ParallelOp> kernels) {
  Builder b(kernels.front().getContext());
  SmallVector<NamedAttribute> sum;
  DictionaryAttr firstWork = *kernels.front().getWork();
  for (NamedAttribute entry : firstWork) {
    if (isa<ArrayAttr>(entry.getValue())) {
      llvm::SetVector<Attribute> all;
      for (sq::ParallelOp op : kernels)
        all.insert_range(op.getWork()->getAs<ArrayAttr>(entry.getName()));
      sum.push_back(b.getNamedAttr(entry.getName(), b.getArrayAttr(all.getArrayRef())));
    } else if (entry.getName() == "kind") {
      sum.push_back(entry);
    } else {
      // n of the same: "n*(formula)".
      StringRef first = cast<StringAttr>(entry.getValue()).getValue();
      bool isAlike = llvm::all_of(kernels, [&](sq::ParallelOp op) {
        return op.getWork()->getAs<StringAttr>(entry.getName()).getValue() == first;
      });
      std::string text = std::to_string(kernels.size()) + "*" + (first.contains(' ') ? "(" + first.str() + ")" : first.str());
      if (!isAlike)
        text = llvm::join(llvm::map_range(kernels, [&](sq::ParallelOp op) {
                            return op.getWork()->getAs<StringAttr>(entry.getName()).getValue();
                          }), " + ");
      sum.push_back(b.getNamedAttr(entry.getName(), b.getStringAttr(StringRef(text).contains('?') ? "?" : text)));
    }
  }
  return b.getDictionaryAttr(sum);
}

/// Replaces `kernels`, in their order, by one at the last.
void merge(MutableArrayRef<sq::ParallelOp> kernels) {
  ImplicitLocOpBuilder b(kernels.front().getLoc(), kernels.back());
  Value total, grain;
  for (sq::ParallelOp op : kernels) {
    total = total ? b.createOrFold<arith::AddIOp>(total, op.getCount()) : op.getCount();
    grain = grain ? b.createOrFold<arith::AddIOp>(grain, op.getGrain()) : op.getGrain();
  }
  auto merged = sq::ParallelOp::create(
      b, kernels.front().getName(), total, grain, [&](OpBuilder &o, Location l, ValueRange range) {
        ImplicitLocOpBuilder ib(l, o);
        auto shareOf = [&](Value at, Value count) -> Value {
          return sq::ceilDiv(ib, arith::MulIOp::create(ib, at, count), total);
        };
        for (sq::ParallelOp op : kernels) {
          Value from = shareOf(range[0], op.getCount()), to = shareOf(range[1], op.getCount());
          Value some = arith::CmpIOp::create(ib, arith::CmpIPredicate::slt, from, to);
          scf::IfOp::create(ib, some, [&](OpBuilder &nested, Location) {
            IRMapping map;
            Value part[] = {from, to, range[2]};
            for (auto [argument, value] : llvm::zip(op.getBody().getArguments(), part))
              map.map(argument, value);
            for (Operation &inner : op.getBody().front().without_terminator())
              nested.clone(inner, map);
            scf::YieldOp::create(nested, l);
          });
        }
      });
  merged.setWorkAttr(addWork(kernels));
  for (sq::ParallelOp op : kernels)
    op.erase();
}

struct MergeKernelsPass : sq::impl::MergeKernelsPassBase<MergeKernelsPass> {
  void runOnBlock(Block &block) {
    SmallVector<SmallVector<sq::ParallelOp>> groups(1);
    sq::Accesses ofGroup;
    auto nextGroup = [&] {
      groups.emplace_back();
      ofGroup = {};
    };
    for (Operation &op : block) {
      if (auto kernel = dyn_cast<sq::ParallelOp>(op)) {
        sq::Accesses own;
        own.add(kernel);
        if (!isSharedProduct(kernel) || !own.isIndependentOf(ofGroup))
          nextGroup();
        if (isSharedProduct(kernel)) {
          groups.back().push_back(kernel);
          ofGroup.add(kernel);
        }
      } else if (!isMemoryEffectFree(&op) && !isa<memref::AllocOp>(op)) {
        nextGroup();
      }
    }
    for (MutableArrayRef<sq::ParallelOp> group : groups)
      if (group.size() > 1)
        merge(group);
  }

  void runOnOperation() override {
    // On the module, as it looks into functions beside @main.
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    for (Block &block : main.getBody()) {
      for (auto loop : block.getOps<scf::ForOp>())
        runOnBlock(*loop.getBody());
      runOnBlock(block);
    }
  }
};

} // namespace
