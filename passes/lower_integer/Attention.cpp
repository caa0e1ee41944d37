//===-- Attention.cpp - attention of integers as products and rows ------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "passes/lower_integer/Lowering.h"

using namespace mlir;
using namespace sq;

namespace {

struct Attention {
  ImplicitLocOpBuilder &b;
  IntAttentionOp op;
  OpFoldResult batch, queries, heads, keys, size;
  int64_t group; // heads that share keys and values

  Attention(ImplicitLocOpBuilder &b, IntAttentionOp op) : b(b), op(op) {
    SmallVector<OpFoldResult> q = tensor::getMixedSizes(b, b.getLoc(), op.getQ());
    batch = q[0], queries = q[1], heads = q[2], size = q[3];
    keys = tensor::getMixedSizes(b, b.getLoc(), op.getK())[1];
    auto headsOf = [](Value v) { return cast<RankedTensorType>(v.getType()).getDimSize(2); };
    group = headsOf(op.getQ()) / headsOf(op.getK());
  }

  AffineExpr d(unsigned i) { return b.getAffineDimExpr(i); }
  AffineMap map(ArrayRef<AffineExpr> results) { return AffineMap::get(5, 0, results, b.getContext()); }

  /// out[d0, d1, d2, d3] = sum over d4 of left * right, in i32.
  Value multiply(Input left, bool leftUnsigned, Input right, bool rightUnsigned, ArrayRef<OpFoldResult> sizes) {
    auto widen = [](ImplicitLocOpBuilder &ib, Value v, bool isUnsigned) -> Value {
      return isUnsigned ? Value(arith::ExtUIOp::create(ib, ib.getI32Type(), v)) : Value(arith::ExtSIOp::create(ib, ib.getI32Type(), v));
    };
    Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    Value init = linalg::FillOp::create(b, zero, ValueRange(tensor::EmptyOp::create(b, sizes, b.getI32Type()).getResult())).getResult(0);
    return reduceRows(b, {left, right}, init, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Value x = widen(ib, args[0], leftUnsigned), y = widen(ib, args[1], rightUnsigned);
      Value term = arith::MulIOp::create(ib, x, y);
      return arith::AddIOp::create(ib, args.back(), term).getResult();
    });
  }

  /// `keep` and causality as i1; null when every key is seen.
  Value kept() {
    Value keep = op.getKeep();
    if (!keep && !op.getCausal())
      return Value();
    SmallVector<OpFoldResult> sizes(4, b.getIndexAttr(1));
    SmallVector<Input> inputs;
    if (keep) {
      sizes = tensor::getMixedSizes(b, b.getLoc(), keep);
      SmallVector<AffineExpr> at;
      for (auto [i, extent] : llvm::enumerate(cast<RankedTensorType>(keep.getType()).getShape()))
        at.push_back(extent == 1 ? b.getAffineConstantExpr(0) : d(i));
      inputs.push_back({keep, AffineMap::get(4, 0, at, b.getContext())});
    }
    Value past;
    if (op.getCausal()) {
      sizes[2] = queries, sizes[3] = keys;
      auto value = [&](OpFoldResult v) { return getValueOrCreateConstantIndexOp(b, b.getLoc(), v); };
      past = arith::SubIOp::create(b, value(keys), value(queries));
    }
    Value init = tensor::EmptyOp::create(b, sizes, b.getI1Type());
    return pointwise(b, inputs, init, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Value result;
      if (keep)
        result = arith::CmpIOp::create(ib, arith::CmpIPredicate::ne, args[0], arith::ConstantOp::create(ib, ib.getI8IntegerAttr(0)));
      if (!past)
        return result;
      Value last = arith::AddIOp::create(ib, linalg::IndexOp::create(ib, 2), past);
      Value isSeen = arith::CmpIOp::create(ib, arith::CmpIPredicate::sle, linalg::IndexOp::create(ib, 3), last);
      return result ? Value(arith::AndIOp::create(ib, result, isSeen)) : isSeen;
    });
  }

  /// A tensor of [batch, heads, queries] that holds `value`.
  Value rowsOf(TypedAttr value) {
    Value scalar = arith::ConstantOp::create(b, value);
    Value init = tensor::EmptyOp::create(b, {batch, heads, queries}, value.getType());
    return linalg::FillOp::create(b, scalar, init).getResult(0);
  }
  Input perRow(Value v) { return {v, b.getMultiDimIdentityMap(4).dropResult(3)}; }

  /// 255 exp(x - largest) of what is kept.
  Value weights(Value scores, std::string &problem) {
    SmallVector<Input> inputs = {like(b, scores)};
    Value keep = kept();
    bool uniform = keep && op.getFullyMaskedUniform();
    if (keep) {
      SmallVector<AffineExpr> at;
      for (auto [i, extent] : llvm::enumerate(cast<RankedTensorType>(keep.getType()).getShape()))
        at.push_back(extent == 1 ? b.getAffineConstantExpr(0) : d(i));
      inputs.push_back({keep, AffineMap::get(4, 0, at, b.getContext())});
    }
    if (uniform)
      inputs.push_back(perRow(reduceRows(b, inputs, rowsOf(b.getBoolAttr(false)), [](ImplicitLocOpBuilder &ib, ValueRange args) {
        return arith::OrIOp::create(ib, args[1], args[2]).getResult();
      })));
    auto isKept = [&](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
      if (!uniform)
        return args[1];
      Value none = arith::XOrIOp::create(ib, args[2], arith::ConstantOp::create(ib, ib.getBoolAttr(true)));
      return arith::OrIOp::create(ib, args[1], none);
    };
    Value lowest = rowsOf(b.getI32IntegerAttr(INT32_MIN));
    inputs.push_back(perRow(reduceRows(b, inputs, lowest, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Value x = args[0];
      if (keep)
        x = arith::SelectOp::create(ib, isKept(ib, args), x, arith::ConstantOp::create(ib, ib.getI32IntegerAttr(INT32_MIN)));
      return arith::MaxSIOp::create(ib, args.back(), x).getResult();
    })));
    SmallVector<int32_t> octave;
    for (int i = 0; i < 32; ++i)
      octave.push_back(numerics::OctaveExp::entry(i));
    Value table = arith::ConstantOp::create(b, DenseIntElementsAttr::get(RankedTensorType::get(32, b.getI32Type()), octave));
    numerics::OctaveExp exp = octaveExpOf(op);
    Value init = tensor::EmptyOp::create(b, {batch, heads, queries, keys}, b.getI8Type());
    return pointwise(b, inputs, init, [&](ImplicitLocOpBuilder &ib, ValueRange args) -> Value {
      Arithmetic a(ib, problem);
      numerics::IntegerRange all = numerics::IntegerRange::of(32);
      // Of a row of which nothing is kept, the largest is below its elements.
      Ranged difference = a.maximum(a.sub(a.input(args[inputs.size() - 1], all, false), a.input(args[0], all, false)), a.constant(0));
      Ranged most = a.constant((1 << 15) - 1), five = a.constant(5);
      difference = exp.shift < 0 ? a.shiftLeft(a.minimum(difference, most), a.constant(-exp.shift))
                                 : a.shiftRight(difference, a.constant(exp.shift));
      Ranged product = a.mul(a.minimum(difference, most), a.constant(exp.factor));
      Ranged t = a.shiftRounded(product, a.constant(15), numerics::Rounding::HalfUp);
      Ranged octaves = a.shiftRight(t, five);
      Ranged step = a.assume(a.sub(t, a.shiftLeft(octaves, five)), {0, 31});
      Value place = arith::IndexCastUIOp::create(ib, ib.getIndexType(), a.as(step, ib.getI32Type()));
      Ranged entry = a.input(tensor::ExtractOp::create(ib, table, place), numerics::Interval{0, octave[0]}, false);
      Ranged e = a.shiftRounded(a.shiftRight(entry, a.minimum(octaves, a.constant(15))), a.constant(7), numerics::Rounding::HalfUp);
      Value p = a.as(e, ib.getI8Type());
      return keep ? Value(arith::SelectOp::create(ib, isKept(ib, args), p, arith::ConstantOp::create(ib, ib.getI8IntegerAttr(0)))) : p;
    });
  }

  Lowered lower() {
    std::string problem;
    // Loops: batch, head, query, key, element of a head.
    AffineExpr shared = group == 1 ? d(1) : d(1).floorDiv(group);
    SmallVector<OpFoldResult> rows = {batch, heads, queries, keys}, results = {batch, heads, queries, size};
    Value scores = multiply({op.getQ(), map({d(0), d(2), d(1), d(4)})}, false,
                            {op.getK(), map({d(0), d(3), shared, d(4)})}, op.getKUnsigned(), rows);
    Value p = weights(scores, problem);
    // Loops: batch, head, query, element of a head, key.
    Value acc = multiply({p, map({d(0), d(1), d(2), d(4)})}, true, {op.getV(), map({d(0), d(4), shared, d(3)})}, false, results);

    using numerics::Interval;
    Value sum = reduceRows(b, like(b, p), rowsOf(b.getI32IntegerAttr(0)), [](ImplicitLocOpBuilder &ib, ValueRange args) {
      return arith::AddIOp::create(ib, args[1], arith::ExtUIOp::create(ib, ib.getI32Type(), args[0])).getResult();
    });
    auto perSum = [&](function_ref<Ranged(Arithmetic &, Ranged)> body) {
      Value init = tensor::EmptyOp::create(b, {batch, heads, queries}, b.getI64Type());
      return perRow(pointwise(b, like(b, sum), init, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
        Arithmetic a(ib, problem);
        Ranged s = a.input(args[0], Interval{0, int64_t(65793) * 255}, true);
        return a.as(body(a, a.maximum(s, a.constant(1))), ib.getI64Type());
      }));
    };
    int64_t multiplier = static_cast<int32_t>(op.getMultiplier()), exponent = static_cast<int32_t>(op.getExponent());
    Input reciprocal = perSum([&](Arithmetic &a, Ranged s) {
      return a.divide(a.shiftLeft(a.constant(multiplier), a.sub(a.bitLength(s), a.constant(1))), s);
    });
    Input shift = perSum([&](Arithmetic &a, Ranged s) { return a.add(a.bitLength(s), a.constant(exponent - 1)); });
    numerics::IntegerRange range = rangeOf(op.getOuts(), std::nullopt, op.getIsUnsigned());
    Value context = tensor::EmptyOp::create(b, results, b.getI8Type());
    Value y = pointwise(b, {like(b, acc), reciprocal, shift}, context, [&](ImplicitLocOpBuilder &ib, ValueRange args) {
      Arithmetic a(ib, problem);
      Ranged factor = a.input(args[1], Interval{0, multiplier}, false), by = a.input(args[2], Interval{exponent, exponent + 23}, false);
      Ranged product = a.mul(a.input(args[0], numerics::IntegerRange::of(32), false), factor);
      return a.result(a.shiftRounded(product, by, numerics::Rounding::HalfUp), op.getZeroPoint(), range, ib.getI8Type());
    });
    return {linalg::TransposeOp::create(b, y, op.getOuts(), ArrayRef<int64_t>{0, 2, 1, 3}).getResult()[0], problem};
  }
};

} // namespace

Lowered sq::lowerInteger(ImplicitLocOpBuilder &b, IntAttentionOp op) { return Attention(b, op).lower(); }
