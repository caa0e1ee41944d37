/// Det: the determinants of the matrices in the last two dims.

#include "passes/lower_onnx/Generics.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace sq;

namespace {

/// Each step of the elimination is a few kernels; more rows would be a program
/// of thousands.
constexpr int64_t maxRows = 64;

/// Gaussian elimination with partial pivoting, all matrices at once. `a` is
/// `[B, n, n]`; returns `[B]`. Step k works on the remaining `[B, n - k, n -
/// k]`, of which row 0 and the pivot's row are exchanged while they are read.
Value determinant(Lowering &l, Location loc, Value a, OpFoldResult batch, int64_t n, Type type) {
  Scalars scalars = l.scalars(loc);
  Type index = l.builder.getIndexType(), i64 = l.builder.getI64Type();
  MLIRContext *context = l.builder.getContext();
  auto d = [&](unsigned i) { return l.builder.getAffineDimExpr(i); };
  AffineMap vector = AffineMap::get(1, 0, d(0));
  AffineMap firstColumn =
      AffineMap::get(2, 0, {d(0), d(1), l.builder.getAffineConstantExpr(0)}, context);
  Value det = l.filledTensor(loc, batch, scalars.number(type, 1));
  for (int64_t k = 0; k < n; ++k) {
    int64_t rest = n - k;
    // The row of the greatest element in the first column.
    Value best = l.filledTensor(loc, batch, scalars.number(type, -1));
    Value where = l.filledTensor(loc, batch, scalars.integer(i64, 0));
    AffineMap outMap = mapWithout(l, 2, 1);
    Value pivot =
        generic(l, loc, Input{a, firstColumn}, {{best, outMap}, {where, outMap}}, 1,
                [&](Scalars &s, ValueRange args) {
                  Value size = s.make<math::AbsFOp>(args[0]);
                  Value isGreater = s.compare(arith::CmpFPredicate::OGT, size, args[1]);
                  return SmallVector<Value>{s.select(isGreater, size, args[1]),
                                            s.select(isGreater, s.toI64(loopIndex(s, 1)), args[2])};
                })[1];
    auto pivotAt = [&](Scalars &s, Value n, Value row, Value column) {
      return extract(s, a, {n, row, column});
    };
    det = pointwise(l, loc, {{det, vector}, {pivot, vector}}, batch, type,
                    [&](Scalars &s, ValueRange args) {
                      Value zero = s.integer(index, 0), row = s.toIndex(args[1]);
                      Value value = pivotAt(s, loopIndex(s, 0), row, zero);
                      Value isInPlace = s.compare(arith::CmpIPredicate::eq, row, zero);
                      // An exchange of rows changes the sign.
                      Value factor = s.select(isInPlace, value, s.make<arith::NegFOp>(value));
                      return s.make<arith::MulFOp>(args[0], factor);
                    });
    if (rest == 1)
      break;
    Dims dims = {batch, l.indexAttr(rest - 1), l.indexAttr(rest - 1)};
    AffineMap batchMap = AffineMap::get(3, 0, d(0));
    a = pointwise(l, loc, Input{pivot, batchMap}, dims, type, [&](Scalars &s, ValueRange args) {
      Value zero = s.integer(index, 0), one = s.integer(index, 1);
      Value n = loopIndex(s, 0), best = s.toIndex(args[0]);
      Value row = s.add(loopIndex(s, 1), one), column = s.add(loopIndex(s, 2), one);
      // Where the pivot was lies row 0 now.
      row = s.select(s.compare(arith::CmpIPredicate::eq, row, best), zero, row);
      Value greatest = pivotAt(s, n, best, zero);
      // A column of zeros: the determinant is 0 already.
      Value isZero = s.compare(arith::CmpFPredicate::OEQ, greatest, s.number(type, 0));
      Value divisor = s.select(isZero, s.number(type, 1), greatest);
      Value factor = s.make<arith::DivFOp>(pivotAt(s, n, row, zero), divisor);
      return s.make<arith::SubFOp>(pivotAt(s, n, row, column),
                                   s.make<arith::MulFOp>(factor, pivotAt(s, n, best, column)));
    });
  }
  return det;
}

LogicalResult lowerDet(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "the input is not a float");
  int64_t rank = x->rank();
  if (rank < 2)
    return l.fail(op, "the input has rank " + Twine(rank) + "; it needs at least 2");
  FailureOr<OpFoldResult> size =
      l.unify(op, x->dims[rank - 2], x->dims[rank - 1], "the size of a matrix");
  if (failed(size))
    return failure();
  std::optional<int64_t> n = staticDim(*size);
  if (!n)
    return l.fail(op, "the size of the matrices is not static");
  if (*n > maxRows)
    return l.fail(op, "the matrices have " + Twine(*n) + " rows; at most " + Twine(maxRows) +
                          " are supported");
  Location loc = op->getLoc();
  Type element = x->element, type = accumulatorType(element);
  Dims dims(ArrayRef<OpFoldResult>(x->dims).drop_back(2));
  OpFoldResult batch = l.product(dims);
  Dims matrices = {batch, *size, *size};
  Value source = l.reshape(loc, l.tensor(x), x->dims, matrices);
  AffineMap all = mapWithout(l, 3, {}), flat = mapWithout(l, 1, {});
  if (type != element)
    source = pointwise(l, loc, Input{source, all}, matrices, type,
                       [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], type); });
  Value det = determinant(l, loc, source, batch, *n, type);
  if (type != element)
    det = pointwise(l, loc, Input{det, flat}, batch, element,
                    [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], element); });
  l.setTensor(op, 0, l.reshape(loc, det, batch, dims), dims, element);
  return success();
}

} // namespace

void sq::registerMatrices(LoweringTable &table) { table.add("Det", 1, lowerDet); }
