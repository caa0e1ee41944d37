//===-- CodedSparse.cpp - the sparse part of products by codes
//---------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

#include "codegen/host/CodedMatmul.h"
#include "codegen/host/Kernels.h"

using namespace mlir;
using namespace sq;

/// How far ahead entries are fetched.
constexpr int64_t kEntriesAhead = 128;

Value sq::sumOfLanes(ImplicitLocOpBuilder &b, Value sum) {
  for (int64_t lanes = cast<VectorType>(sum.getType()).getDimSize(0); lanes > 1;
       lanes /= 2) {
    auto half = [&](int64_t first) {
      return vector::ShuffleOp::create(
          b, sum, sum,
          llvm::to_vector(llvm::seq<int64_t>(first, first + lanes / 2)));
    };
    Value low = half(0), high = half(lanes / 2);
    sum = arith::AddFOp::create(b, low, high);
  }
  return vector::ExtractOp::create(b, sum, 0);
}

/// Column and value of `entry`, or of a vector of them.
static std::pair<Value, Value> splitEntry(ImplicitLocOpBuilder &b,
                                          Value entry) {
  Type type = entry.getType(), element = getElementTypeOrSelf(type);
  auto like = [&](Type of) -> Type {
    auto vector = dyn_cast<VectorType>(type);
    return vector ? Type(vector.clone(of)) : of;
  };
  int64_t half = element.getIntOrFloatBitWidth() / 2;
  auto constant = [&](int64_t v) -> Value {
    TypedAttr one = b.getIntegerAttr(element, v);
    auto vector = dyn_cast<VectorType>(type);
    return arith::ConstantOp::create(
        b, vector ? TypedAttr(DenseElementsAttr::get(vector, one)) : one);
  };
  Value column =
      arith::AndIOp::create(b, entry, constant((int64_t(1) << half) - 1));
  Value upper =
      arith::TruncIOp::create(b, like(b.getI16Type()),
                              arith::ShRUIOp::create(b, entry, constant(half)));
  Value bits16 = arith::BitcastOp::create(b, like(b.getF16Type()), upper);
  return {column, arith::ExtFOp::create(b, like(b.getF32Type()), bits16)};
}

std::pair<Value, Value> CodedRows::entryAt(ImplicitLocOpBuilder &b, Value e) {
  auto [column, value] =
      splitEntry(b, memref::LoadOp::create(b, entries, e).getResult());
  return {arith::IndexCastUIOp::create(b, b.getIndexType(), column), value};
}

/// The same of as many entries as there are lanes, from `e` on.
std::pair<Value, Value> CodedRows::entriesAt(ImplicitLocOpBuilder &b, Value e,
                                             Value mask) {
  auto type = VectorType::get({target.lanes},
                              getElementTypeOrSelf(entries.getType()));
  Value none = arith::ConstantOp::create(b, b.getZeroAttr(type));
  return splitEntry(b, vector::MaskedLoadOp::create(b, type, entries,
                                                    ValueRange(e), mask, none));
}

std::pair<Value, Value> CodedRows::entriesOf(ImplicitLocOpBuilder &b, Value n) {
  auto bound = [&](Value at) {
    return arith::IndexCastUIOp::create(b, b.getIndexType(),
                                        memref::LoadOp::create(b, rowPtr, at))
        .getResult();
  };
  Value begin = bound(n);
  return {begin, bound(plus(b, n, 1))};
}

void CodedRows::addSparse(ImplicitLocOpBuilder &b, Value n,
                          ArrayRef<Value> rows, SmallVectorImpl<Value> &sums) {
  Value begin, end;
  std::tie(begin, end) = entriesOf(b, n);
  memref::PrefetchOp::create(
      b, entries, ValueRange(plus(b, end, kEntriesAhead)), /*isWrite=*/false,
      /*localityHint=*/3, /*isDataCache=*/true);
  if (target.lanes < 16) { // gathers of 8 lanes are no faster than loads
    auto loop = scf::ForOp::create(
        b, begin, end, indexConstant(b, 1), sums,
        [&](OpBuilder &o, Location l, Value e, ValueRange before) {
          ImplicitLocOpBuilder ib(l, o);
          auto [column, value] = entryAt(ib, e);
          SmallVector<Value> next;
          for (auto [row, sum] : llvm::zip(rows, before))
            next.push_back(math::FmaOp::create(
                ib, value,
                memref::LoadOp::create(ib, x, ValueRange{row, column}), sum));
          scf::YieldOp::create(ib, next);
        });
    sums.assign(loop.getResults().begin(), loop.getResults().end());
    return;
  }
  // Sixteen at a time, in sums of their own: one after the other they would
  // wait for each other's addition, and most rows end at another count, which
  // no branch predictor knows.
  auto type = VectorType::get({target.lanes}, b.getF32Type());
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(type));
  auto loop = scf::ForOp::create(
      b, begin, end, indexConstant(b, target.lanes),
      SmallVector<Value>(rows.size(), zeros),
      [&](OpBuilder &o, Location l, Value e, ValueRange before) {
        ImplicitLocOpBuilder ib(l, o);
        Value mask = vector::CreateMaskOp::create(
            ib, VectorType::get({target.lanes}, ib.getI1Type()),
            ValueRange(arith::SubIOp::create(ib, end, e).getResult()));
        auto [columns, values] = entriesAt(ib, e, mask);
        SmallVector<Value> next;
        for (auto [row, sum] : llvm::zip(rows, before)) {
          Value factors = vector::GatherOp::create(
              ib, type, x, ValueRange{row, indexConstant(ib, 0)}, columns, mask,
              zeros);
          next.push_back(vector::FMAOp::create(ib, values, factors, sum));
        }
        scf::YieldOp::create(ib, next);
      });
  for (auto [sum, vector] : llvm::zip(sums, loop.getResults()))
    sum = arith::AddFOp::create(b, sum, sumOfLanes(b, vector));
}
