//===-- Composites.cpp - vector-Jacobian products of sq's composites
//----------===//
//
// dy is the cotangent of the result, dx that of an operand. What the backward
// pass needs of the forward pass beside operands and results (means, 1 / sigma)
// is computed again, row by row: that costs less than keeping it.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "dialects/sq/IR/SqInterfaces.h"
#include "passes/differentiate/Models.h"
#include "passes/differentiate/Tensors.h"

using namespace mlir;
using namespace sq;

namespace {

template <typename Model, typename Op>
using External = DifferentiableOpInterface::ExternalModel<Model, Op>;

bool isFloats(Value v) {
  return isa<FloatType>(getElementTypeOrSelf(v.getType()));
}

/// y = x w + bias: dx = dy w^T, dw = x^T dy, dbias = sum of dy over rows.
struct LinearVjp : External<LinearVjp, LinearOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<LinearOp>(o);
    if (!isFloats(op.getX()) || !isFloats(op.getWeight()) ||
        !isFloats(op.getOuts()))
      return op.emitOpError("of quantised elements has no derivative; "
                            "differentiate the float model");
    Tensors t{b};
    Value x = op.getX(), w = op.getWeight(), dy = cotangents[0];
    bool transposed = op.getTransposeWeight();
    if (gradients.needs(x)) {
      Value init = t.emptyLike(x);
      gradients.add(x, LinearOp::create(b, TypeRange(init.getType()), dy, w,
                                        Value(), init, !transposed)
                           .getResult()[0]);
    }
    if (gradients.needs(w)) {
      Value rows = t.rows(x), dRows = t.rows(dy);
      gradients.add(w, t.matmul(t.transposeLast(transposed ? dRows : rows),
                                transposed ? rows : dRows));
    }
    if (op.getBias() && gradients.needs(op.getBias()))
      gradients.add(
          op.getBias(),
          t.sumColumns({dy}, [](ScalarMath &, ValueRange v) { return v[0]; }));
    return success();
  }
};

/// c = a b: da = dc b^T, db = a^T dc, summed over what was broadcast.
struct MatmulVjp : External<MatmulVjp, MatmulOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<MatmulOp>(o);
    Tensors t{b};
    Value dc = cotangents[0];
    if (gradients.needs(op.getA()))
      gradients.add(op.getA(), t.sumTo(t.matmul(dc, t.transposeLast(op.getB())),
                                       Tensors::typeOf(op.getA())));
    if (gradients.needs(op.getB())) {
      // The product takes its leading dims from its first operand, which `a`
      // may lack.
      Value at = t.transposeLast(op.getA());
      SmallVector<OpFoldResult> to = t.sizes(dc);
      to[to.size() - 2] = t.sizes(at)[to.size() - 2];
      Value init = t.empty(to, Tensors::typeOf(dc).getElementType());
      Value db = MatmulOp::create(b, TypeRange(init.getType()), at, dc, init)
                     .getResult()[0];
      gradients.add(op.getB(), t.sumTo(db, Tensors::typeOf(op.getB())));
    }
    return success();
  }
};

/// dx = y (dy - sum_j y_j dy_j).
struct SoftmaxVjp : External<SoftmaxVjp, SoftmaxOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    Tensors t{b};
    Value y = o->getResult(0), dy = cotangents[0];
    Value dot = t.sumRows(
        {y, dy}, [](ScalarMath &s, ValueRange v) { return s.mul(v[0], v[1]); });
    gradients.add(cast<SoftmaxOp>(o).getX(),
                  t.map({y, dy, dot}, [](ScalarMath &s, ValueRange v) {
                    return s.mul(v[0], s.sub(v[1], v[2]));
                  }));
    return success();
  }
};

/// With n = (x - mean) r, r = 1 / sqrt(var + epsilon) and g = dy scale, means
/// over the row: dx = r (g - mean(g) - n mean(g n)); Ba et al. 2016
/// differentiated.
struct LayerNormVjp : External<LayerNormVjp, LayerNormOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<LayerNormOp>(o);
    Tensors t{b};
    Value x = op.getX(), scale = op.getScale(), dy = cotangents[0];
    Value size = t.extent(x, Tensors::rankOf(x) - 1);
    double epsilon = op.getEpsilon().convertToFloat();
    Value sum = t.sumRows({x}, [](ScalarMath &, ValueRange v) { return v[0]; });
    Value mean = t.map(
        {sum}, [&](ScalarMath &s, ValueRange v) { return s.div(v[0], size); });
    Value squares = t.sumRows({x, mean}, [](ScalarMath &s, ValueRange v) {
      Value d = s.sub(v[0], v[1]);
      return s.mul(d, d);
    });
    Value r = t.map({squares}, [&](ScalarMath &s, ValueRange v) {
      return s.div(s.number(1),
                   math::SqrtOp::create(
                       s.b, s.add(s.div(v[0], size), s.number(epsilon))));
    });
    Value n = t.map({x, mean, r}, [](ScalarMath &s, ValueRange v) {
      return s.mul(s.sub(v[0], v[1]), v[2]);
    });
    if (gradients.needs(scale))
      gradients.add(scale,
                    t.sumColumns({dy, n}, [](ScalarMath &s, ValueRange v) {
                      return s.mul(v[0], v[1]);
                    }));
    if (op.getBias() && gradients.needs(op.getBias()))
      gradients.add(
          op.getBias(),
          t.sumColumns({dy}, [](ScalarMath &, ValueRange v) { return v[0]; }));
    if (!gradients.needs(x))
      return success();
    Value g = t.sumRows(
        {dy}, [](ScalarMath &s, ValueRange v) { return s.mul(v[0], v[1]); },
        {scale});
    Value gn = t.sumRows({dy, n},
                         [](ScalarMath &s, ValueRange v) {
                           return s.mul(s.mul(v[0], v[2]), v[1]);
                         },
                         {scale});
    gradients.add(x, t.map({dy, n, r, g, gn},
                           [&](ScalarMath &s, ValueRange v) {
                             Value mean = s.div(v[3], size),
                                   along = s.mul(v[1], s.div(v[4], size));
                             return s.mul(
                                 v[2],
                                 s.sub(s.sub(s.mul(v[0], v[5]), mean), along));
                           },
                           {scale}));
    return success();
  }
};

/// With r = 1 / sqrt(mean(x^2) + epsilon) and g = dy scale: dx = r g - x r^3
/// mean(g x).
struct RmsNormVjp : External<RmsNormVjp, RmsNormOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<RmsNormOp>(o);
    Tensors t{b};
    Value x = op.getX(), scale = op.getScale(), dy = cotangents[0];
    Value size = t.extent(x, Tensors::rankOf(x) - 1);
    double epsilon = op.getEpsilon().convertToFloat();
    Value squares = t.sumRows(
        {x}, [](ScalarMath &s, ValueRange v) { return s.mul(v[0], v[0]); });
    Value r = t.map({squares}, [&](ScalarMath &s, ValueRange v) {
      return s.div(s.number(1),
                   math::SqrtOp::create(
                       s.b, s.add(s.div(v[0], size), s.number(epsilon))));
    });
    if (gradients.needs(scale)) {
      Value n = t.map({x, r}, [](ScalarMath &s, ValueRange v) {
        return s.mul(v[0], v[1]);
      });
      gradients.add(scale,
                    t.sumColumns({dy, n}, [](ScalarMath &s, ValueRange v) {
                      return s.mul(v[0], v[1]);
                    }));
    }
    if (!gradients.needs(x))
      return success();
    Value gx = t.sumRows({dy, x},
                         [](ScalarMath &s, ValueRange v) {
                           return s.mul(s.mul(v[0], v[2]), v[1]);
                         },
                         {scale});
    gradients.add(x, t.map({dy, x, r, gx},
                           [&](ScalarMath &s, ValueRange v) {
                             Value along =
                                 s.mul(s.mul(v[2], v[2]), s.div(v[3], size));
                             return s.mul(v[2], s.sub(s.mul(v[0], v[4]),
                                                      s.mul(v[1], along)));
                           },
                           {scale}));
    return success();
  }
};

struct GeluVjp : External<GeluVjp, GeluOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<GeluOp>(o);
    Tensors t{b};
    gradients.add(
        op.getX(),
        t.map({op.getX(), cotangents[0]}, [&](ScalarMath &s, ValueRange v) {
          Value x = v[0], square = s.mul(x, x), slope;
          if (op.getTanh()) {
            // y = x/2 (1 + T), T = tanh(u), u = c (x + a x^3): y' = (1 + T)/2 +
            // x/2 (1 - T^2) c (1 + 3 a x^2).
            constexpr double c = 0.79788456080286535588, a = 0.044715;
            Value inner = s.mul(s.mul(s.number(c), x),
                                s.add(s.number(1), s.mul(s.number(a), square)));
            Value tanh = math::TanhOp::create(s.b, inner);
            Value du =
                s.mul(s.number(c),
                      s.add(s.number(1), s.mul(s.number(3 * a), square)));
            Value dTanh = s.mul(s.sub(s.number(1), s.mul(tanh, tanh)), du);
            slope = s.mul(s.number(0.5),
                          s.add(s.add(s.number(1), tanh), s.mul(x, dTanh)));
          } else {
            // y = x P(x): y' = P(x) + x p(x), the distribution and the density
            // of N(0, 1).
            Value erf = math::ErfOp::create(
                s.b, s.mul(x, s.number(0.70710678118654752440)));
            Value density =
                s.mul(s.number(0.39894228040143267794),
                      math::ExpOp::create(s.b, s.mul(s.number(-0.5), square)));
            slope = s.add(s.mul(s.number(0.5), s.add(s.number(1), erf)),
                          s.mul(x, density));
          }
          return s.mul(v[1], slope);
        }));
    return success();
  }
};

/// y = x g up with g = 1 / (1 + exp(-alpha x)): dx = dy up g (1 + alpha x (1 -
/// g)), dup = dy x g.
struct SiluVjp : External<SiluVjp, SiluOp> {
  static Value gate(ScalarMath &s, Value x, double alpha) {
    Value e = math::ExpOp::create(s.b, s.mul(s.number(-alpha), x));
    return s.div(s.number(1), s.add(s.number(1), e));
  }

  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<SiluOp>(o);
    Tensors t{b};
    Value x = op.getX(), up = op.getUp(), dy = cotangents[0];
    double alpha = op.getAlpha().convertToFloat();
    if (gradients.needs(x)) {
      SmallVector<Value> inputs = {x, dy};
      if (up)
        inputs.push_back(up);
      gradients.add(x, t.map(inputs, [&](ScalarMath &s, ValueRange v) {
        Value g = gate(s, v[0], alpha),
              rest = s.mul(s.mul(s.number(alpha), v[0]), s.sub(s.number(1), g));
        Value slope = s.mul(g, s.add(s.number(1), rest));
        return s.mul(up ? s.mul(v[1], v[2]) : v[1], slope);
      }));
    }
    if (up && gradients.needs(up))
      gradients.add(up, t.map({x, dy}, [&](ScalarMath &s, ValueRange v) {
        return s.mul(v[1], s.mul(v[0], gate(s, v[0], alpha)));
      }));
    return success();
  }
};

/// A rotation by the opposite angle. Where each element has an angle of its
/// own, those of a pair change places: dx_i = dy_i cos_i + dy_j sin_j, dx_j =
/// dy_j cos_j - dy_i sin_i.
struct RotaryVjp : External<RotaryVjp, RotaryEmbeddingOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<RotaryEmbeddingOp>(o);
    if (gradients.needs(op.getCos()) || gradients.needs(op.getSin()))
      return op.emitOpError("has no derivative by its angles; only fixed "
                            "positions can be differentiated through");
    Tensors t{b};
    Value sin = t.map({op.getSin()},
                      [](ScalarMath &s, ValueRange v) { return s.neg(v[0]); });
    auto angles = Tensors::typeOf(sin);
    int64_t size = Tensors::typeOf(op.getX()).getDimSize(3);
    if (angles.getDimSize(2) == size) {
      SmallVector<OpFoldResult> sizes = t.sizes(sin),
                                offsets(3, b.getIndexAttr(0)),
                                strides(3, b.getIndexAttr(1));
      sizes[2] = b.getIndexAttr(size / 2);
      if (op.getInterleaved())
        strides[2] = b.getIndexAttr(2);
      Value swapped = t.emptyLike(sin);
      OpFoldResult second = b.getIndexAttr(op.getInterleaved() ? 1 : size / 2),
                   first = b.getIndexAttr(0);
      for (auto [from, to] :
           {std::pair(first, second), std::pair(second, first)}) {
        offsets[2] = from;
        Value half =
            tensor::ExtractSliceOp::create(b, sin, offsets, sizes, strides);
        offsets[2] = to;
        swapped = tensor::InsertSliceOp::create(b, half, swapped, offsets,
                                                sizes, strides);
      }
      sin = swapped;
    }
    Value init = t.emptyLike(op.getX());
    gradients.add(op.getX(), RotaryEmbeddingOp::create(
                                 b, TypeRange(init.getType()), cotangents[0],
                                 op.getCos(), sin, init, op.getInterleaved())
                                 .getResult()[0]);
    return success();
  }
};

/// A row of a table gets the sum of the cotangents of the places where it was
/// read.
struct EmbeddingVjp : External<EmbeddingVjp, EmbeddingOp> {
  LogicalResult buildVjp(Operation *o, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    auto op = cast<EmbeddingOp>(o);
    Tensors t{b};
    Value dy = cotangents[0], updates;
    for (auto [index, table] : llvm::zip(op.getIndices(), op.getTables())) {
      if (!gradients.needs(table))
        continue;
      if (!isFloats(table))
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
      Value sums = ScatterOp::create(b, TypeRange(zeros.getType()), indices,
                                     updates, zeros, "add", false)
                       .getResult()[0];
      gradients.add(table, t.collapse(sums, {{0, 1}, {2}}));
    }
    return success();
  }

  /// [r, q] as [1, r, q].
  static Value oneGroup(Tensors &t, Value v) {
    SmallVector<OpFoldResult> sizes = t.sizes(v);
    SmallVector<ReassociationIndices> groups = {{0, 1}, {2}};
    return t.expand(v, groups, {t.b.getIndexAttr(1), sizes[0], sizes[1]});
  }
};

} // namespace

void sq::registerCompositeVjps(MLIRContext &context) {
  LinearOp::attachInterface<LinearVjp>(context);
  MatmulOp::attachInterface<MatmulVjp>(context);
  SoftmaxOp::attachInterface<SoftmaxVjp>(context);
  LayerNormOp::attachInterface<LayerNormVjp>(context);
  RmsNormOp::attachInterface<RmsNormVjp>(context);
  GeluOp::attachInterface<GeluVjp>(context);
  SiluOp::attachInterface<SiluVjp>(context);
  RotaryEmbeddingOp::attachInterface<RotaryVjp>(context);
  EmbeddingOp::attachInterface<EmbeddingVjp>(context);
}
