//===-- ContextVectors.cpp - division by sums of exponentials -------------===//

#include "codegen/host/ContextVectors.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sq;

namespace {

constexpr int64_t kLanes = 16;

VectorType narrowType(ImplicitLocOpBuilder &b) {
  return VectorType::get({kLanes}, b.getI32Type());
}
VectorType wideType(ImplicitLocOpBuilder &b) {
  return VectorType::get({kLanes / 2}, b.getI64Type());
}

Value narrow(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(narrowType(b), static_cast<int32_t>(value)));
}
Value wide(ImplicitLocOpBuilder &b, int64_t value) {
  return arith::ConstantOp::create(b,
                                   DenseElementsAttr::get(wideType(b), value));
}

/// 2^62 / S for S = sum 2^z in [2^31, 2^32), to 1/64: by the five bits behind
/// the first, in the middle of what shares them.
Value firstReciprocal(ImplicitLocOpBuilder &b, Value normal) {
  Value table[2];
  for (int64_t half = 0; half < 2; ++half) {
    SmallVector<int32_t> entries;
    for (int64_t i = 0; i < kLanes; ++i)
      entries.push_back(static_cast<int32_t>(
          (int64_t(1) << 37) / (2 * (32 + half * kLanes + i) + 1)));
    table[half] = arith::ConstantOp::create(
        b, DenseElementsAttr::get(narrowType(b), ArrayRef(entries)));
  }
  Value index = arith::ShRUIOp::create(b, normal, narrow(b, 26));
  return LLVM::CallIntrinsicOp::create(
             b, narrowType(b),
             b.getStringAttr("llvm.x86.avx512.vpermi2var.d.512"),
             ValueRange{table[0], index, table[1]})
      .getResult(0);
}

/// floor(m 2^31 / S), at first as m R 2^-31 for R = 2^62 / S, which three steps
/// of Newton's method make of `first`. That is wrong by one at most (tried:
/// seven m with all sums below 2^24, 2 10^8 random pairs), which the remainder
/// shows.
Value quotient(ImplicitLocOpBuilder &b, int64_t m, Value s, Value first) {
  Value low = wide(b, UINT32_MAX), by31 = wide(b, 31);
  // Of numbers below 2^32, which LLVM is to know.
  auto product = [&](Value x, Value y) -> Value {
    return arith::MulIOp::create(b, arith::AndIOp::create(b, x, low),
                                 arith::AndIOp::create(b, y, low));
  };
  auto shifted = [&](Value x) -> Value {
    return arith::ShRUIOp::create(b, x, by31);
  };
  Value r = first, two = wide(b, int64_t(1) << 32), one = wide(b, 1);
  for (int64_t round = 0; round < 3; ++round)
    r = shifted(
        product(r, arith::SubIOp::create(b, two, shifted(product(s, r)))));
  Value y = shifted(product(r, wide(b, m)));
  Value rest = arith::SubIOp::create(b, wide(b, m << 31), product(y, s));
  Value isLess = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, rest,
                                       wide(b, 0)),
        isMore = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, rest, s);
  y = arith::SelectOp::create(b, isLess, arith::SubIOp::create(b, y, one), y);
  return arith::SelectOp::create(b, isMore, arith::AddIOp::create(b, y, one),
                                 y);
}

} // namespace

ContextVectors ContextVectors::of(ImplicitLocOpBuilder &b, Value sum,
                                  int64_t multiplier, int64_t exponent) {
  sum = arith::MaxUIOp::create(b, sum, narrow(b, 1));
  Value zeros = math::CountLeadingZerosOp::create(b, sum);
  Value normal = arith::ShLIOp::create(b, sum, zeros),
        first = firstReciprocal(b, normal), by32 = wide(b, 32), part[2];
  for (int64_t odd = 0; odd < 2; ++odd) {
    auto lanesOf = [&](Value x) -> Value {
      x = vector::BitCastOp::create(b, wideType(b), x);
      return odd ? Value(arith::ShRUIOp::create(b, x, by32))
                 : Value(arith::AndIOp::create(b, x, wide(b, UINT32_MAX)));
    };
    part[odd] = quotient(b, multiplier, lanesOf(normal), lanesOf(first));
  }
  Value both =
      arith::OrIOp::create(b, part[0], arith::ShLIOp::create(b, part[1], by32));
  return {vector::BitCastOp::create(b, narrowType(b), both),
          arith::SubIOp::create(b, narrow(b, 31 + exponent), zeros)};
}

ContextFactors::ContextFactors(ImplicitLocOpBuilder &b,
                               const ContextVectors &factors) {
  Value by32 = wide(b, 32), one = wide(b, 1);
  for (int64_t odd = 0; odd < 2; ++odd) {
    auto lanesOf = [&](Value x) -> Value {
      x = vector::BitCastOp::create(b, wideType(b), x);
      if (!odd)
        x = arith::ShLIOp::create(b, x, by32);
      return arith::ShRSIOp::create(b, x, by32);
    };
    reciprocal[odd] = lanesOf(factors.reciprocal);
    shift[odd] = lanesOf(factors.shift);
    half[odd] = arith::ShLIOp::create(
        b, one, arith::SubIOp::create(b, shift[odd], one));
  }
}

Value ContextFactors::apply(ImplicitLocOpBuilder &b, Value acc) const {
  Value by32 = wide(b, 32), part[2];
  for (int64_t odd = 0; odd < 2; ++odd) {
    SmallVector<int64_t> own; // a shift would be one more on a busy port
    for (int64_t i = 0; i < kLanes; ++i)
      own.push_back(i / 2 * 2 + odd);
    Value x = odd ? Value(vector::ShuffleOp::create(b, acc, acc, own)) : acc;
    x = vector::BitCastOp::create(b, wideType(b), x);
    x = arith::ShRSIOp::create(b, arith::ShLIOp::create(b, x, by32), by32);
    x = arith::MulIOp::create(b, x, reciprocal[odd]);
    x = arith::ShRSIOp::create(b, arith::AddIOp::create(b, x, half[odd]),
                               shift[odd]);
    part[odd] = vector::BitCastOp::create(b, narrowType(b), x);
  }
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < kLanes; ++i)
    order.push_back(i % 2 * kLanes + i / 2 * 2);
  return vector::ShuffleOp::create(b, part[0], part[1], order);
}
