// Vector-Jacobian products of what reads and writes at computed places.

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include "passes/differentiate/Models.h"
#include "passes/differentiate/VjpModel.h"

using namespace mlir;
using namespace sq;

namespace {

/// [r, q] as [1, r, q].
Value oneGroup(Tensors &t, Value v) {
  SmallVector<OpFoldResult> sizes = t.sizes(v);
  SmallVector<ReassociationIndices> groups = {{0, 1}, {2}};
  return t.expand(v, groups, {t.b.getIndexAttr(1), sizes[0], sizes[1]});
}

Value scattered(Tensors &t, Value indices, Value updates, Value onto,
                StringRef reduction) {
  return ScatterOp::create(t.b, TypeRange(onto.getType()), indices, updates,
                           onto, reduction, false)
      .getResult()[0];
}

/// A row of a table gets the sum of the cotangents of the places where it was
/// read.
LogicalResult buildEmbedding(EmbeddingOp op, Tensors &t, ValueRange cotangents,
                             Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  Value dy = cotangents[0], updates;
  for (auto [index, table] : llvm::zip(op.getIndices(), op.getTables())) {
    if (!gradients.needs(table))
      continue;
    if (!Tensors::isFloat(table))
      return op.emitOpError("of a table of bytes has no derivative; "
                            "differentiate the float model");
    SmallVector<OpFoldResult> sizes = t.sizes(dy);
    int64_t leading = sizes.size() - 1, from = Tensors::rankOf(index);
    SmallVector<AffineExpr> at;
    for (int64_t d = 0; d < from; ++d)
      at.push_back(Tensors::typeOf(index).getDimSize(d) == 1
                       ? b.getAffineConstantExpr(0)
                       : b.getAffineDimExpr(leading - from + d));
    Value all = t.empty(ArrayRef(sizes).drop_back(), b.getI64Type());
    all = pointwise(
        b, {{index, AffineMap::get(leading, 0, at, b.getContext())}}, all,
        [](ImplicitLocOpBuilder &, ValueRange v) { return v[0]; });
    if (!updates)
      updates = oneGroup(t, t.rows(dy));
    Value rows = leading ? t.collapse(all, {dimRange(0, leading)})
                         : t.expand(all, {}, {b.getIndexAttr(1)});
    SmallVector<ReassociationIndices> groups = {{0, 1}};
    Value indices =
        t.expand(rows, groups, {b.getIndexAttr(1), t.sizes(rows)[0]});
    Value zeros = oneGroup(t, t.zerosLike(table));
    Value sums = scattered(t, indices, updates, zeros, "add");
    gradients.add(table, t.collapse(sums, {{0, 1}, {2}}));
  }
  return success();
}

/// Row indices[p, r] of `from` [p, n, q], of the type of `like` [p, r, q],
/// where `from` has such a row and `keeps` (p, r) says so; 0 elsewhere.
Value gathered(
    Tensors &t, Value indices, Value from, Value like,
    llvm::function_ref<Value(ImplicitLocOpBuilder &, Value row)> keeps) {
  ImplicitLocOpBuilder &b = t.b;
  Value extent = tensor::DimOp::create(b, from, 1);
  AffineMap rows = b.getMultiDimIdentityMap(3).getMajorSubMap(2);
  Type element = Tensors::typeOf(from).getElementType();
  return pointwise(
      b, {{indices, rows}}, t.emptyLike(like),
      [&](ImplicitLocOpBuilder &ib, ValueRange v) -> Value {
        Value row = arith::IndexCastOp::create(ib, ib.getIndexType(), v[0]);
        Value zero = arith::ConstantIndexOp::create(ib, 0);
        // As unsigned numbers, what is below 0 is above all.
        Value isThere =
            arith::CmpIOp::create(ib, arith::CmpIPredicate::ult, row, extent);
        if (Value kept = keeps(ib, row))
          isThere = arith::AndIOp::create(ib, isThere, kept);
        row = arith::SelectOp::create(ib, isThere, row, zero);
        Value value = tensor::ExtractOp::create(
            ib, from,
            ValueRange{linalg::IndexOp::create(ib, 0), row,
                       linalg::IndexOp::create(ib, 2)});
        return arith::SelectOp::create(ib, isThere, value,
                                       ScalarMath{ib, element}.number(0));
      });
}

Value everywhere(ImplicitLocOpBuilder &, Value) { return Value(); }

Value select(ScalarMath &s, Value condition, Value yes, Value no) {
  return arith::SelectOp::create(s.b, condition, yes, no);
}
Value equal(ScalarMath &s, Value x, Value y) {
  return arith::CmpFOp::create(s.b, arith::CmpFPredicate::OEQ, x, y);
}

/// "max", "min": the cotangent is shared evenly between all that are equal to
/// the result, what was there among them, as PyTorch's scatter_reduce has it.
void buildExtreme(ScatterOp op, Tensors &t, Value dy, Gradients &gradients) {
  Value y = op->getResult(0), indices = op.getIndices(),
        updates = op.getUpdates(), outs = op.getOuts();
  auto isResult = [&](Value v, Value result) {
    return t.map({v, result}, [](ScalarMath &s, ValueRange v) {
      return select(s, equal(s, v[0], v[1]), s.number(1), s.number(0));
    });
  };
  Value hits = isResult(updates, gathered(t, indices, y, updates, everywhere)),
        kept = isResult(outs, y);
  Value share =
      t.map({dy, scattered(t, indices, hits, kept, "add")},
            [](ScalarMath &s, ValueRange v) { return s.div(v[0], v[1]); });
  auto part = [&](Value hit, Value share) {
    return t.map({hit, share}, [](ScalarMath &s, ValueRange v) {
      return select(s, equal(s, v[0], s.number(1)), v[1], s.number(0));
    });
  };
  if (gradients.needs(updates))
    gradients.add(updates,
                  part(hits, gathered(t, indices, share, updates, everywhere)));
  if (gradients.needs(outs))
    gradients.add(outs, part(kept, share));
}

/// "mul": the product of all other factors. Zeros are counted instead of
/// multiplied (Reductions.cpp).
void buildProduct(ScatterOp op, Tensors &t, Value dy, Gradients &gradients) {
  Value indices = op.getIndices(), updates = op.getUpdates(),
        outs = op.getOuts();
  auto factors = [&](Value v) {
    return t.map({v}, [](ScalarMath &s, ValueRange v) {
      return select(s, equal(s, v[0], s.number(0)), s.number(1), v[0]);
    });
  };
  auto count = [&](Value v) {
    return t.map({v}, [](ScalarMath &s, ValueRange v) {
      return select(s, equal(s, v[0], s.number(0)), s.number(1), s.number(0));
    });
  };
  Value product = scattered(t, indices, factors(updates), factors(outs), "mul");
  Value zeros = scattered(t, indices, count(updates), count(outs), "add");
  auto others = [&](Value v, Value dy, Value product, Value zeros) {
    return t.map({v, dy, product, zeros}, [](ScalarMath &s, ValueRange v) {
      Value zero = s.number(0), one = s.number(1),
            isZero = equal(s, v[0], zero);
      Value rest = s.sub(v[3], select(s, isZero, one, zero));
      Value whole = s.div(v[2], select(s, isZero, one, v[0]));
      return s.mul(v[1], select(s, equal(s, rest, zero), whole, zero));
    });
  };
  auto at = [&](Value v) {
    return gathered(t, indices, v, updates, everywhere);
  };
  if (gradients.needs(updates))
    gradients.add(updates, others(updates, at(dy), at(product), at(zeros)));
  if (gradients.needs(outs))
    gradients.add(outs, others(outs, dy, product, zeros));
}

/// "add": the updates get the rows that they were added to, what was there
/// everything. "replace": the last update of a row gets it, what was there only
/// rows that none wrote.
LogicalResult buildScatter(ScatterOp op, Tensors &t, ValueRange cotangents,
                           Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  Value dy = cotangents[0], indices = op.getIndices();
  if (op.getReduction() == "add") {
    if (gradients.needs(op.getUpdates()))
      gradients.add(op.getUpdates(),
                    gathered(t, indices, dy, op.getUpdates(), everywhere));
    if (gradients.needs(op.getOuts()))
      gradients.add(op.getOuts(), dy);
    return success();
  }
  if (op.getReduction() == "mul")
    return buildProduct(op, t, dy, gradients), success();
  if (op.getReduction() != "replace") // max, min
    return buildExtreme(op, t, dy, gradients), success();
  // Which update each row is of; -1: none.
  SmallVector<OpFoldResult> sizes = t.sizes(dy), updateSizes = t.sizes(indices);
  sizes.back() = b.getIndexAttr(1);
  updateSizes.push_back(b.getIndexAttr(1));
  Type i64 = b.getI64Type();
  Value none = arith::ConstantOp::create(b, b.getI64IntegerAttr(-1));
  none = linalg::FillOp::create(b, none, t.empty(sizes, i64)).getResult(0);
  Value numbers = pointwise(b, {}, t.empty(updateSizes, i64),
                            [&](ImplicitLocOpBuilder &ib, ValueRange) -> Value {
                              return arith::IndexCastOp::create(
                                  ib, i64, linalg::IndexOp::create(ib, 1));
                            });
  Value writers = scattered(t, indices, numbers, none, "replace");
  if (gradients.needs(op.getUpdates())) {
    Value extent = tensor::DimOp::create(b, dy, 1);
    gradients.add(
        op.getUpdates(),
        gathered(t, indices, dy, op.getUpdates(),
                 [&](ImplicitLocOpBuilder &ib, Value row) -> Value {
                   Value zero = arith::ConstantIndexOp::create(ib, 0);
                   Value isThere = arith::CmpIOp::create(
                       ib, arith::CmpIPredicate::ult, row, extent);
                   row = arith::SelectOp::create(ib, isThere, row, zero);
                   Value writer = tensor::ExtractOp::create(
                       ib, writers,
                       ValueRange{linalg::IndexOp::create(ib, 0), row, zero});
                   Value number = arith::IndexCastOp::create(
                       ib, i64, linalg::IndexOp::create(ib, 1));
                   return arith::CmpIOp::create(ib, arith::CmpIPredicate::eq,
                                                writer, number);
                 }));
  }
  if (gradients.needs(op.getOuts())) {
    AffineMap row =
        AffineMap::get(3, 0,
                       {b.getAffineDimExpr(0), b.getAffineDimExpr(1),
                        b.getAffineConstantExpr(0)},
                       b.getContext());
    Type element = Tensors::typeOf(dy).getElementType();
    gradients.add(
        op.getOuts(),
        pointwise(b, {like(b, dy), {writers, row}}, t.emptyLike(dy),
                  [&](ImplicitLocOpBuilder &ib, ValueRange v) -> Value {
                    Value zero =
                        arith::ConstantOp::create(ib, ib.getI64IntegerAttr(0));
                    Value isWritten = arith::CmpIOp::create(
                        ib, arith::CmpIPredicate::sge, v[1], zero);
                    return arith::SelectOp::create(
                        ib, isWritten, ScalarMath{ib, element}.number(0), v[0]);
                  }));
  }
  return success();
}

} // namespace

void sq::registerIndexingVjps(MLIRContext &context) {
  attachVjp<EmbeddingOp, buildEmbedding>(context);
  attachVjp<ScatterOp, buildScatter>(context);
}
