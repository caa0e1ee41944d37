#include "passes/differentiate/Tensors.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace sq;

Value ScalarMath::number(double x) {
  return arith::ConstantOp::create(b, b.getFloatAttr(type, x));
}
Value ScalarMath::add(Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}
Value ScalarMath::sub(Value x, Value y) {
  return arith::SubFOp::create(b, x, y);
}
Value ScalarMath::mul(Value x, Value y) {
  return arith::MulFOp::create(b, x, y);
}
Value ScalarMath::div(Value x, Value y) {
  return arith::DivFOp::create(b, x, y);
}
Value ScalarMath::neg(Value x) { return arith::NegFOp::create(b, x); }

SmallVector<OpFoldResult> Tensors::sizes(Value v) {
  return tensor::getMixedSizes(b, b.getLoc(), v);
}

Value Tensors::empty(Sizes sizes, Type element) {
  return tensor::EmptyOp::create(b, sizes, element);
}

Value Tensors::emptyLike(Value v) {
  return empty(sizes(v), typeOf(v).getElementType());
}

Value Tensors::filled(double x, Sizes sizes, Type element) {
  Value number = arith::ConstantOp::create(b, b.getFloatAttr(element, x));
  return linalg::FillOp::create(b, number, empty(sizes, element)).getResult(0);
}

Value Tensors::zerosLike(Value v) {
  return filled(0, sizes(v), typeOf(v).getElementType());
}

Value Tensors::castTo(Value v, Type type) {
  return v.getType() == type ? v
                             : tensor::CastOp::create(b, type, v).getResult();
}

/// How the dims of `v` lie in loops over `loops` dims, as Tensors::map says.
static AffineMap leading(Builder &b, Value v, int64_t loops) {
  SmallVector<AffineExpr> dims;
  for (int64_t d = 0; d < Tensors::rankOf(v); ++d)
    dims.push_back(b.getAffineDimExpr(d));
  return AffineMap::get(loops, 0, dims, b.getContext());
}

static SmallVector<Input> inputsOf(Builder &b, ArrayRef<Value> tensors,
                                   ArrayRef<Value> columns, int64_t loops) {
  SmallVector<Input> inputs;
  for (Value v : tensors)
    inputs.push_back({v, leading(b, v, loops)});
  for (Value v : columns)
    inputs.push_back(
        {v, AffineMap::get(loops, 0, b.getAffineDimExpr(loops - 1))});
  return inputs;
}

Value Tensors::map(ArrayRef<Value> tensors, ScalarBody body,
                   ArrayRef<Value> columns) {
  Type element = typeOf(tensors[0]).getElementType();
  return pointwise(b, inputsOf(b, tensors, columns, rankOf(tensors[0])),
                   emptyLike(tensors[0]),
                   [&](ImplicitLocOpBuilder &ib, ValueRange args) {
                     ScalarMath s{ib, element};
                     return body(s, args);
                   });
}

Value Tensors::add(Value x, Value y) {
  return map({x, y},
             [](ScalarMath &s, ValueRange v) { return s.add(v[0], v[1]); });
}

Value Tensors::sumRows(ArrayRef<Value> tensors, ScalarBody body,
                       ArrayRef<Value> columns) {
  Type element = typeOf(tensors[0]).getElementType();
  SmallVector<OpFoldResult> rowSizes = sizes(tensors[0]);
  rowSizes.pop_back();
  return reduceRows(b, inputsOf(b, tensors, columns, rankOf(tensors[0])),
                    filled(0, rowSizes, element),
                    [&](ImplicitLocOpBuilder &ib, ValueRange args) {
                      ScalarMath s{ib, element};
                      return s.add(args.back(), body(s, args.drop_back()));
                    });
}

/// A sum over the loops that `out` lacks.
static Value sum(ImplicitLocOpBuilder &b, ArrayRef<Input> inputs, Value out,
                 AffineMap outMap, Tensors::ScalarBody body) {
  SmallVector<Value> tensors;
  SmallVector<AffineMap> maps;
  for (const Input &input : inputs) {
    tensors.push_back(input.tensor);
    maps.push_back(input.map);
  }
  maps.push_back(outMap);
  SmallVector<utils::IteratorType> loops;
  for (unsigned d = 0; d < outMap.getNumDims(); ++d)
    loops.push_back(outMap.isFunctionOfDim(d) ? utils::IteratorType::parallel
                                              : utils::IteratorType::reduction);
  Type element = Tensors::typeOf(out).getElementType();
  return linalg::GenericOp::create(
             b, TypeRange(out.getType()), tensors, ValueRange(out), maps, loops,
             [&](OpBuilder &o, Location l, ValueRange args) {
               ImplicitLocOpBuilder ib(l, o);
               ScalarMath s{ib, element};
               linalg::YieldOp::create(
                   ib, s.add(args.back(), body(s, args.drop_back())));
             })
      .getResult(0);
}

Value Tensors::sumColumns(ArrayRef<Value> tensors, ScalarBody body) {
  int64_t rank = rankOf(tensors[0]);
  Value out = filled(0, {sizes(tensors[0]).back()},
                     typeOf(tensors[0]).getElementType());
  return sum(b, inputsOf(b, tensors, {}, rank), out,
             AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1)), body);
}

Value Tensors::sumTo(Value v, RankedTensorType type) {
  RankedTensorType from = typeOf(v);
  SmallVector<AffineExpr> kept;
  SmallVector<OpFoldResult> all = sizes(v), keptSizes, to;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    bool goes = type.getDimSize(d) == 1 && from.getDimSize(d) != 1;
    to.push_back(goes ? b.getIndexAttr(1) : all[d]);
    if (goes)
      continue;
    kept.push_back(b.getAffineDimExpr(d));
    keptSizes.push_back(all[d]);
  }
  if (int64_t(kept.size()) == type.getRank())
    return castTo(v, type);
  Value out = filled(0, keptSizes, from.getElementType());
  Value sums = sum(b, {{v, b.getMultiDimIdentityMap(from.getRank())}}, out,
                   AffineMap::get(from.getRank(), 0, kept, b.getContext()),
                   [](ScalarMath &, ValueRange args) { return args[0]; });
  // The dims of 1 join the kept one before them, or the first one behind.
  SmallVector<ReassociationIndices> groups(std::max<size_t>(kept.size(), 1));
  int64_t seen = 0;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    bool isKept = llvm::is_contained(kept, b.getAffineDimExpr(d));
    seen += isKept;
    groups[std::max<int64_t>(seen - 1, 0)].push_back(d);
  }
  if (kept.empty())
    groups.clear();
  return castTo(expand(sums, groups, to), type);
}

Value Tensors::extent(Value v, int64_t d) {
  RankedTensorType type = typeOf(v);
  Type element = type.getElementType();
  if (!type.isDynamicDim(d))
    return arith::ConstantOp::create(
        b, b.getFloatAttr(element, double(type.getDimSize(d))));
  Value size = tensor::DimOp::create(b, v, d);
  return arith::SIToFPOp::create(
      b, element, arith::IndexCastOp::create(b, b.getI64Type(), size));
}

Value Tensors::transpose(Value v, ArrayRef<int64_t> permutation) {
  SmallVector<OpFoldResult> from = sizes(v), to;
  for (int64_t d : permutation)
    to.push_back(from[d]);
  return linalg::TransposeOp::create(
             b, v, empty(to, typeOf(v).getElementType()), permutation)
      ->getResult(0);
}

Value Tensors::transposeLast(Value v) {
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, rankOf(v)));
  std::swap(permutation[permutation.size() - 1],
            permutation[permutation.size() - 2]);
  return transpose(v, permutation);
}

Value Tensors::matmul(Value x, Value y) {
  SmallVector<OpFoldResult> to = sizes(x);
  to.back() = sizes(y).back();
  Value init = empty(to, typeOf(x).getElementType());
  return MatmulOp::create(b, TypeRange(init.getType()), x, y, init)
      .getResult()[0];
}

Value Tensors::collapse(Value v, ArrayRef<ReassociationIndices> groups) {
  bool isSame = llvm::all_of(groups, [](const ReassociationIndices &group) {
    return group.size() == 1;
  });
  return isSame && int64_t(groups.size()) == rankOf(v)
             ? v
             : tensor::CollapseShapeOp::create(b, v, groups).getResult();
}

Value Tensors::expand(Value v, ArrayRef<ReassociationIndices> groups,
                      Sizes to) {
  if (int64_t(to.size()) == rankOf(v))
    return v;
  SmallVector<int64_t> shape;
  for (OpFoldResult size : to)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  auto type = RankedTensorType::get(shape, typeOf(v).getElementType());
  return tensor::ExpandShapeOp::create(b, type, v, groups, to);
}

Value Tensors::rows(Value v) {
  int64_t rank = rankOf(v);
  if (rank == 1)
    return expand(v, {{0, 1}}, {b.getIndexAttr(1), sizes(v)[0]});
  SmallVector<ReassociationIndices> groups = {dimRange(0, rank - 1),
                                              {rank - 1}};
  return collapse(v, groups);
}
