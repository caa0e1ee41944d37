#include "codegen/common/KernelHelpers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include "passes/analysis/BufferDims.h"

using namespace mlir;

Value sq::indexConstant(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

bool sq::isKernel(Operation *op) { return isa<memref::CopyOp, DestinationStyleOpInterface>(op); }

void sq::loop(ImplicitLocOpBuilder &b, Value begin, Value end, int64_t step,
              function_ref<void(ImplicitLocOpBuilder &, Value)> body) {
  scf::ForOp::create(b, begin, end, indexConstant(b, step), ValueRange(),
                     [&](OpBuilder &o, Location l, Value i, ValueRange) {
                       ImplicitLocOpBuilder ib(l, o);
                       body(ib, i);
                       scf::YieldOp::create(ib);
                     });
}

Value sq::plus(ImplicitLocOpBuilder &b, Value index, int64_t offset) {
  return b.createOrFold<arith::AddIOp>(index, indexConstant(b, offset));
}

Value sq::dimOf(ImplicitLocOpBuilder &b, Value memref, int64_t dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(dim))
    return indexConstant(b, type.getDimSize(dim));
  FailureOr<Value> known = dimWithoutBuffer(b, memref, dim);
  return succeeded(known) ? *known : b.createOrFold<memref::DimOp>(memref, indexConstant(b, dim));
}

Value sq::product(ImplicitLocOpBuilder &b, ValueRange values) {
  Value result;
  for (Value v : values)
    result = result ? b.createOrFold<arith::MulIOp>(result, v) : v;
  return result ? result : indexConstant(b, 1);
}

Value sq::ceilDiv(ImplicitLocOpBuilder &b, Value a, Value c) {
  // Operands are extents: never negative, so the unsigned form is exact.
  Value up = b.createOrFold<arith::AddIOp>(
      a, b.createOrFold<arith::SubIOp>(c, indexConstant(b, 1)));
  return b.createOrFold<arith::DivUIOp>(up, c);
}

Value sq::grainFor(ImplicitLocOpBuilder &b, Value cost, int64_t target) {
  Value one = indexConstant(b, 1);
  Value positive = b.createOrFold<arith::MaxUIOp>(cost, one);
  return b.createOrFold<arith::MaxUIOp>(
      b.createOrFold<arith::DivUIOp>(indexConstant(b, target), positive), one);
}

Value sq::denseMemref(ImplicitLocOpBuilder &b, Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  if (type.getLayout().isIdentity())
    return memref;
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      sizes.push_back(dimOf(b, memref, i));
  Value copy = memref::AllocOp::create(
      b, MemRefType::get(type.getShape(), type.getElementType()), sizes);
  memref::CopyOp::create(b, memref, copy);
  return copy;
}

/// Bytes between threads' parts: caches fetch up to 20 lines ahead.
static constexpr int64_t kApart = 2048;

Value sq::allocPerThread(ImplicitLocOpBuilder &b, ArrayRef<OpFoldResult> sizes, Type element) {
  SmallVector<int64_t> shape = {ShapedType::kDynamic};
  SmallVector<Value> dynamic = {ThreadsOp::create(b, b.getIndexType())};
  int64_t rowBytes = llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  for (OpFoldResult size : sizes.drop_front())
    rowBytes *= getConstantIntValue(size).value_or(16); // of what is not known, at least
  for (auto [i, size] : llvm::enumerate(sizes)) {
    int64_t more = i == 0 ? llvm::divideCeil(kApart, rowBytes) : 0;
    std::optional<int64_t> known = getConstantIntValue(size);
    shape.push_back(known ? *known + more : ShapedType::kDynamic);
    if (!known)
      dynamic.push_back(more ? plus(b, cast<Value>(size), more) : cast<Value>(size));
  }
  return memref::AllocOp::create(b, MemRefType::get(shape, element), dynamic);
}

Value sq::asRows(ImplicitLocOpBuilder &b, Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  int64_t rank = type.getRank();
  if (rank == 2)
    return memref;
  SmallVector<ReassociationIndices> groups;
  if (rank == 1) {
    // [n] -> [1, n]
    groups.push_back({0, 1});
    SmallVector<OpFoldResult> shape = {b.getIndexAttr(1)};
    shape.push_back(type.isDynamicDim(0) ? OpFoldResult(dimOf(b, memref, 0))
                                         : OpFoldResult(b.getIndexAttr(type.getDimSize(0))));
    return memref::ExpandShapeOp::create(
        b, MemRefType::get({1, type.getDimSize(0)}, type.getElementType()), memref, groups, shape);
  }
  groups.emplace_back(llvm::to_vector(llvm::seq<int64_t>(0, rank - 1)));
  groups.push_back({rank - 1});
  return memref::CollapseShapeOp::create(b, memref, groups);
}

SmallVector<Value> sq::delinearize(ImplicitLocOpBuilder &b, Value flat, ValueRange sizes) {
  SmallVector<Value> result(sizes.size());
  for (int64_t i = sizes.size() - 1; i > 0; --i) {
    result[i] = b.createOrFold<arith::RemUIOp>(flat, sizes[i]);
    flat = b.createOrFold<arith::DivUIOp>(flat, sizes[i]);
  }
  if (!sizes.empty())
    result[0] = flat;
  return result;
}

void sq::flattenExpansion(RewriterBase &rewriter, memref::ExpandShapeOp op) {
  if (!op.getSrcType().getLayout().isIdentity() || !op.getResultType().getLayout().isIdentity())
    return;
  rewriter.setInsertionPoint(op);
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  rewriter.replaceOp(op, denseView(b, op.getSrc(), op.getResultType(), op.getMixedOutputShape()));
}

std::string sq::kernelName(StringRef kind, Location loc) {
  std::string node;
  loc->walk([&](Location inner) {
    if (auto name = dyn_cast<NameLoc>(inner)) {
      node = name.getName().str();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return node.empty() ? kind.str() : (kind + ":" + node).str();
}
