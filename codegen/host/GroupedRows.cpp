//===-- GroupedRows.cpp - rows of codes in groups by a few rows of x -----===//
//
// As CodedRows.cpp, with a scale for each group of inputs. Codes that lie in
// one group are added up first: bytes as integers, exactly, from 0, floats as
// levels. Such a sum is then converted and multiplied by its scale into sums
// of floats. Where a vector of codes has several groups, lanes have scales of
// their own, which a shuffle brings there.
//
// What a zero point or a least value adds is one number for each group, times
// the sum of x in the group. Sums of x are made once for all rows of the
// weight, so that a row has a multiply-add for each vector of groups.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

#include "codegen/common/Schedule.h"
#include "codegen/host/Bytes.h"
#include "codegen/host/CodedMatmul.h"
#include "codegen/host/Kernels.h"
#include "lib/numerics/Codes.h"

using namespace mlir;
using namespace sq;

//===-- Scales and offsets
//----------------------------------------------------===//

int64_t CodedRows::groupsOfBlock() const {
  int64_t inBlock = numerics::blockCodes(bits);
  return groups.size < std::min(inBlock, depth) ? inBlock / groups.size : 1;
}

Value CodedRows::firstGroup(ImplicitLocOpBuilder &b, Value block) {
  int64_t inBlock = numerics::blockCodes(bits);
  if (groups.size >= depth)
    return indexConstant(b, 0);
  if (groups.size <= inBlock)
    return arith::MulIOp::create(b, block,
                                 indexConstant(b, inBlock / groups.size));
  return arith::DivUIOp::create(b, block,
                                indexConstant(b, groups.size / inBlock));
}

/// Elements [group, group + count) of a row as they are, one as a number.
static Value loadGroups(ImplicitLocOpBuilder &b, Value memory, Value n,
                        Value group, int64_t count) {
  Type element = getElementTypeOrSelf(memory.getType());
  if (count == 1)
    return memref::LoadOp::create(b, memory, ValueRange{n, group});
  return vector::LoadOp::create(b, VectorType::get({count}, element), memory,
                                ValueRange{n, group});
}

static Type withElement(Type like, Type element) {
  auto vector = dyn_cast<VectorType>(like);
  return vector ? Type(vector.clone(element)) : element;
}

static Value extended(ImplicitLocOpBuilder &b, Value v) {
  Type type = withElement(v.getType(), b.getF32Type());
  return v.getType() == type ? v : Value(arith::ExtFOp::create(b, type, v));
}

/// A float of the type of `like`, a vector or a number.
static Value number(ImplicitLocOpBuilder &b, Value like, float value) {
  if (auto vector = dyn_cast<VectorType>(like.getType()))
    return arith::ConstantOp::create(b, DenseElementsAttr::get(vector, value));
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

Value CodedRows::scalesAt(ImplicitLocOpBuilder &b, Value n, Value group,
                          int64_t count) {
  return extended(b, loadGroups(b, groups.scales, n, group, count));
}

Value CodedRows::offsetsAt(ImplicitLocOpBuilder &b, Value n, Value group,
                           Value scale) {
  float level = levelOfZero();
  if (!groups.offsets)
    return bytes && groups.zeroPoint
               ? arith::MulFOp::create(
                     b, scale, number(b, scale, -float(groups.zeroPoint)))
                     .getResult()
               : Value();
  auto vector = dyn_cast<VectorType>(scale.getType());
  Value own = loadGroups(b, groups.offsets, n, group,
                         vector ? vector.getDimSize(0) : 1);
  if (isa<FloatType>(getElementTypeOrSelf(own.getType()))) {
    own = extended(b, own);
    if (level == 0)
      return own;
    return arith::AddFOp::create(
        b, own, arith::MulFOp::create(b, scale, number(b, scale, level)));
  }
  Value wide = arith::ExtUIOp::create(
      b, withElement(own.getType(), b.getI32Type()), own);
  Value zero = arith::SIToFPOp::create(b, scale.getType(), wide);
  return arith::MulFOp::create(
      b, scale, arith::SubFOp::create(b, number(b, scale, level), zero));
}

//===-- The loop over blocks
//----------------------------------------------------===//

namespace {

struct GroupedBlocks {
  CodedRows &of;
  Value n;
  TableLookup lookup;
  VectorType codeType, sumType, floatType;
  int64_t step; // codes of a lookup in the order of the block

  GroupedBlocks(ImplicitLocOpBuilder &b, CodedRows &of, Value n)
      : of(of), n(n), lookup(b, of), codeType(of.codeType(b)),
        sumType(of.sumType(b)),
        floatType(VectorType::get({of.target.lanes}, b.getF32Type())),
        step(of.bytes ? 64 : 16) {}

  /// x of the codes [at, at + a vector), of which `valid` exist.
  Value input(ImplicitLocOpBuilder &b, Value row, Value at, int64_t valid) {
    if (of.bytes)
      return vector::LoadOp::create(b, codeType, of.rounded,
                                    ValueRange{row, at});
    if (valid == floatType.getNumElements())
      return vector::LoadOp::create(b, floatType, of.x, ValueRange{row, at});
    Value mask = vector::CreateMaskOp::create(
        b, VectorType::get(floatType.getShape(), b.getI1Type()),
        ValueRange(indexConstant(b, valid)));
    return vector::MaskedLoadOp::create(
        b, floatType, of.x, ValueRange{row, at}, mask,
        arith::ConstantOp::create(b, b.getZeroAttr(floatType)));
  }

  /// The scale of each lane of a sum of the codes [from, from + a vector) of
  /// the block, whose scales are `scales`.
  Value scaleOfLanes(ImplicitLocOpBuilder &b, Value scales, int64_t from) {
    if (!isa<VectorType>(scales.getType()))
      return vector::BroadcastOp::create(b, floatType, scales);
    SmallVector<int64_t> lanes;
    for (int64_t lane = 0; lane < of.target.lanes; ++lane)
      lanes.push_back((from + lane * (of.bytes ? 4 : 1)) / of.groups.size);
    return vector::ShuffleOp::create(b, scales, scales, lanes);
  }

  /// Adds the scaled products of the first `left` codes of a block to `sums`,
  /// for all rows of x.
  void add(ImplicitLocOpBuilder &b, Value block, int64_t left,
           ArrayRef<Value> rows, SmallVectorImpl<Value> &sums) {
    int64_t inBlock = numerics::blockCodes(of.bits),
            perVector = codeType.getNumElements(),
            perRow = sums.size() / rows.size(), next = 0;
    Value first = arith::MulIOp::create(b, block, indexConstant(b, inBlock));
    Value scales =
        of.scalesAt(b, n, of.firstGroup(b, block), of.groupsOfBlock());
    int64_t stretch = inBlock / of.groupsOfBlock(); // of one scale
    SmallVector<SmallVector<Value>> words;
    for (int64_t half = 0; half < step; half += perVector)
      words.push_back(half < left ? of.words(b, n, block, half)
                                  : SmallVector<Value>());
    SmallVector<Value> partial(rows.size());
    for (int64_t from = 0; from < left; from += perVector) {
      Value weights =
          lookup.weights(b, words[from % step / perVector], from / step);
      Value at = plus(b, first, from);
      bool isFirst = from % stretch == 0 || stretch <= perVector,
           isLast = (from + perVector) % stretch == 0 || stretch <= perVector ||
                    from + perVector >= left;
      Value scale = isLast ? scaleOfLanes(b, scales, from) : Value();
      for (auto [i, row] : llvm::enumerate(rows)) {
        Value q = input(b, row, at, std::min(perVector, left - from));
        if (of.bytes)
          partial[i] = multiplyBytes(
              b, of.target, weights, q,
              isFirst ? arith::ConstantOp::create(b, b.getZeroAttr(sumType))
                      : partial[i]);
        else if (isFirst)
          partial[i] = arith::MulFOp::create(b, weights, q);
        else
          partial[i] = vector::FMAOp::create(b, weights, q, partial[i]);
        if (!isLast)
          continue;
        Value sum =
            of.bytes
                ? arith::SIToFPOp::create(b, floatType, partial[i]).getResult()
                : partial[i];
        Value &total = sums[i * perRow + next % perRow];
        total = vector::FMAOp::create(b, sum, scale, total);
      }
      next += isLast;
    }
  }

  /// What offsets add, for each row of x.
  SmallVector<Value> addOffsets(ImplicitLocOpBuilder &b, ArrayRef<Value> rows,
                                ArrayRef<Value> sums) {
    int64_t width = std::min(of.target.lanes, of.groups.stored);
    auto type = VectorType::get({width}, b.getF32Type());
    SmallVector<Value> init(rows.size(),
                            arith::ConstantOp::create(b, b.getZeroAttr(type)));
    auto loop = scf::ForOp::create(
        b, indexConstant(b, 0), indexConstant(b, of.groups.stored),
        indexConstant(b, width), init,
        [&](OpBuilder &o, Location l, Value group, ValueRange before) {
          ImplicitLocOpBuilder ib(l, o);
          Value offset =
              of.offsetsAt(ib, n, group, of.scalesAt(ib, n, group, width));
          if (!isa<VectorType>(offset.getType()))
            offset = vector::BroadcastOp::create(ib, type, offset);
          SmallVector<Value> next;
          for (auto [row, sum] : llvm::zip(rows, before))
            next.push_back(vector::FMAOp::create(
                ib, offset,
                vector::LoadOp::create(ib, type, of.groups.sums,
                                       ValueRange{row, group}),
                sum));
          scf::YieldOp::create(ib, next);
        });
    SmallVector<Value> result;
    SmallVector<int64_t> lanes; // those past `width` are 0
    for (int64_t lane = 0; lane < of.target.lanes; ++lane)
      lanes.push_back(std::min(lane, width));
    Value none = arith::ConstantOp::create(b, b.getZeroAttr(type));
    for (auto [sum, offset] : llvm::zip(sums, loop.getResults())) {
      Value wide = offset;
      if (width < of.target.lanes)
        wide = vector::ShuffleOp::create(b, offset, none, lanes);
      result.push_back(arith::AddFOp::create(b, sum, wide));
    }
    return result;
  }

  /// All of row n; one vector for each row of x.
  SmallVector<Value> run(ImplicitLocOpBuilder &b, ArrayRef<Value> rows) {
    SmallVector<Value> sums =
        of.overBlocks(b, n, rows, floatType,
                      [&](ImplicitLocOpBuilder &ib, Value block, int64_t left,
                          SmallVectorImpl<Value> &sums) {
                        add(ib, block, left, rows, sums);
                      });
    return of.groups.sums ? addOffsets(b, rows, sums) : sums;
  }
};

} // namespace

SmallVector<Value> CodedRows::groupedSums(ImplicitLocOpBuilder &b, Value n,
                                          ArrayRef<Value> rows) {
  SmallVector<Value> result;
  for (auto [row, vector] :
       llvm::zip(rows, GroupedBlocks(b, *this, n).run(b, rows))) {
    Value sum = sumOfLanes(b, vector);
    if (bytes)
      sum = arith::MulFOp::create(
          b, sum,
          memref::LoadOp::create(b, roundedScale,
                                 ValueRange{row, indexConstant(b, 0)}));
    result.push_back(sum);
  }
  return result;
}

//===-- Sums of groups of x
//----------------------------------------------------===//

/// Of a row of x, or of its bytes, to a row of `to`.
void CodedRows::sumGroups(ImplicitLocOpBuilder &b, Value row, GroupShape shape,
                          Value to) {
  int64_t size = shape.first, stored = shape.second;
  int64_t count = llvm::divideCeil(depth, size);
  // Behind k there are zeros of bytes to the end of a block, which is a
  // multiple of all groups that are shorter.
  int64_t end =
      bytes ? cast<MemRefType>(rounded.getType()).getDimSize(1) : depth;
  int64_t width = bytes ? 16 : target.lanes;
  auto type = VectorType::get({width}, bytes ? Type(b.getI32Type())
                                             : Type(b.getF32Type()));
  loop(
      b, indexConstant(b, 0), indexConstant(b, count), 1,
      [&](ImplicitLocOpBuilder &gb, Value group) {
        Value first = arith::MulIOp::create(gb, group, indexConstant(gb, size));
        Value last = arith::MinUIOp::create(gb, plus(gb, first, size),
                                            indexConstant(gb, end));
        auto sums = scf::ForOp::create(
            gb, first, last, indexConstant(gb, width),
            ValueRange(arith::ConstantOp::create(gb, gb.getZeroAttr(type))
                           .getResult()),
            [&](OpBuilder &o, Location l, Value at, ValueRange before) {
              ImplicitLocOpBuilder ib(l, o);
              Value sum;
              if (bytes) {
                Value q = vector::LoadOp::create(
                    ib, VectorType::get({width}, ib.getI8Type()), rounded,
                    ValueRange{row, at});
                sum = arith::AddIOp::create(
                    ib, before[0], arith::ExtSIOp::create(ib, type, q));
              } else {
                Value mask = vector::CreateMaskOp::create(
                    ib, VectorType::get({width}, ib.getI1Type()),
                    ValueRange(
                        arith::SubIOp::create(ib, last, at).getResult()));
                Value v = vector::MaskedLoadOp::create(
                    ib, type, x, ValueRange{row, at}, mask,
                    arith::ConstantOp::create(ib, ib.getZeroAttr(type)));
                sum = arith::AddFOp::create(ib, before[0], v);
              }
              scf::YieldOp::create(ib, sum);
            });
        Value sum = sums.getResult(0);
        if (bytes)
          sum = arith::SIToFPOp::create(
              gb, gb.getF32Type(),
              vector::ReductionOp::create(gb, vector::CombiningKind::ADD, sum));
        else
          sum = sumOfLanes(gb, sum);
        memref::StoreOp::create(gb, sum, to, ValueRange{row, group});
      });
  if (count == stored)
    return;
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  loop(b, indexConstant(b, count), indexConstant(b, stored), 1,
       [&](ImplicitLocOpBuilder &ib, Value group) {
         memref::StoreOp::create(ib, zero, to, ValueRange{row, group});
       });
}

void CodedRows::sumInput(ImplicitLocOpBuilder &b, StringRef name) {
  Value count = dimOf(b, x, 0);
  groups.sums = memref::AllocOp::create(
      b, MemRefType::get({ShapedType::kDynamic, groups.stored}, b.getF32Type()),
      ValueRange(count));
  constexpr int64_t kElementsPerThread = 1 << 15;
  ParallelOp::create(b, name, count,
                     grainFor(b, indexConstant(b, depth), kElementsPerThread),
                     [&](OpBuilder &o, Location l, ValueRange range) {
                       ImplicitLocOpBuilder pb(l, o);
                       loop(pb, range[0], range[1], 1,
                            [&](ImplicitLocOpBuilder &ib, Value row) {
                              sumGroups(ib, row, groupShape(), groups.sums);
                            });
                     });
}
