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

#include "passes/differentiate/Models.h"
#include "passes/differentiate/VjpModel.h"

using namespace mlir;
using namespace sq;

namespace {

Value itself(ScalarMath &, ValueRange v) { return v[0]; }
Value product(ScalarMath &s, ValueRange v) { return s.mul(v[0], v[1]); }
/// Of two tensors and a column.
Value scaledProduct(ScalarMath &s, ValueRange v) {
  return s.mul(s.mul(v[0], v[2]), v[1]);
}

/// 1 / sqrt(mean + epsilon) of each row, of sums of `size` squares.
Value inverseRoot(Tensors &t, Value squares, Value size,
                  const APFloat &epsilon) {
  return t.map({squares}, [&](ScalarMath &s, ValueRange v) {
    Value mean = s.add(s.div(v[0], size), s.number(epsilon.convertToFloat()));
    return s.div(s.number(1), math::SqrtOp::create(s.b, mean));
  });
}

/// A bias is added to every row.
void addBias(Tensors &t, Value bias, Value dy, Gradients &gradients) {
  if (bias && gradients.needs(bias))
    gradients.add(bias, t.sumColumns({dy}, itself));
}

/// y = x w + bias: dx = dy w^T, dw = x^T dy, dbias = sum of dy over rows.
LogicalResult buildLinear(LinearOp op, Tensors &t, ValueRange cotangents,
                          Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  if (!Tensors::isFloat(op.getX()) || !Tensors::isFloat(op.getWeight()) ||
      !Tensors::isFloat(op.getOuts()))
    return op.emitOpError("of quantised elements has no derivative; "
                          "differentiate the float model");
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
  addBias(t, op.getBias(), dy, gradients);
  return success();
}

/// c = a b: da = dc b^T, db = a^T dc, summed over what was broadcast.
LogicalResult buildMatmul(MatmulOp op, Tensors &t, ValueRange cotangents,
                          Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
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

/// dx = y (dy - sum_j y_j dy_j).
LogicalResult buildSoftmax(SoftmaxOp op, Tensors &t, ValueRange cotangents,
                           Gradients &gradients) {
  Value y = op->getResult(0), dy = cotangents[0];
  Value dot = t.sumRows({y, dy}, product);
  gradients.add(op.getX(), t.map({y, dy, dot}, [](ScalarMath &s, ValueRange v) {
    return s.mul(v[0], s.sub(v[1], v[2]));
  }));
  return success();
}

/// With n = (x - mean) r, r = 1 / sqrt(var + epsilon) and g = dy scale, means
/// over the row: dx = r (g - mean(g) - n mean(g n)); Ba et al. 2016
/// differentiated.
LogicalResult buildLayerNorm(LayerNormOp op, Tensors &t, ValueRange cotangents,
                             Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  Value x = op.getX(), scale = op.getScale(), dy = cotangents[0];
  Value size = t.extent(x, Tensors::rankOf(x) - 1);
  Value sum = t.sumRows({x}, itself);
  Value mean = t.map(
      {sum}, [&](ScalarMath &s, ValueRange v) { return s.div(v[0], size); });
  Value squares = t.sumRows({x, mean}, [](ScalarMath &s, ValueRange v) {
    Value d = s.sub(v[0], v[1]);
    return s.mul(d, d);
  });
  Value r = inverseRoot(t, squares, size, op.getEpsilon());
  Value n = t.map({x, mean, r}, [](ScalarMath &s, ValueRange v) {
    return s.mul(s.sub(v[0], v[1]), v[2]);
  });
  if (gradients.needs(scale))
    gradients.add(scale, t.sumColumns({dy, n}, product));
  addBias(t, op.getBias(), dy, gradients);
  if (!gradients.needs(x))
    return success();
  Value g = t.sumRows({dy}, product, {scale});
  Value gn = t.sumRows({dy, n}, scaledProduct, {scale});
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

/// With r = 1 / sqrt(mean(x^2) + epsilon) and g = dy scale: dx = r g - x r^3
/// mean(g x).
LogicalResult buildRmsNorm(RmsNormOp op, Tensors &t, ValueRange cotangents,
                           Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  Value x = op.getX(), scale = op.getScale(), dy = cotangents[0];
  Value size = t.extent(x, Tensors::rankOf(x) - 1);
  Value squares = t.sumRows(
      {x}, [](ScalarMath &s, ValueRange v) { return s.mul(v[0], v[0]); });
  Value r = inverseRoot(t, squares, size, op.getEpsilon());
  if (gradients.needs(scale)) {
    Value n = t.map({x, r}, product);
    gradients.add(scale, t.sumColumns({dy, n}, product));
  }
  if (!gradients.needs(x))
    return success();
  Value gx = t.sumRows({dy, x}, scaledProduct, {scale});
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

LogicalResult buildGelu(GeluOp op, Tensors &t, ValueRange cotangents,
                        Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  gradients.add(op.getX(), t.map({op.getX(), cotangents[0]}, [&](ScalarMath &s,
                                                                 ValueRange v) {
    Value x = v[0], square = s.mul(x, x), slope;
    if (op.getTanh()) {
      // y = x/2 (1 + T), T = tanh(u), u = c (x + a x^3): y' = (1 + T)/2 +
      // x/2 (1 - T^2) c (1 + 3 a x^2).
      constexpr double c = 0.79788456080286535588, a = 0.044715;
      Value inner = s.mul(s.mul(s.number(c), x),
                          s.add(s.number(1), s.mul(s.number(a), square)));
      Value tanh = math::TanhOp::create(s.b, inner);
      Value du = s.mul(s.number(c),
                       s.add(s.number(1), s.mul(s.number(3 * a), square)));
      Value dTanh = s.mul(s.sub(s.number(1), s.mul(tanh, tanh)), du);
      slope = s.mul(s.number(0.5),
                    s.add(s.add(s.number(1), tanh), s.mul(x, dTanh)));
    } else {
      // y = x P(x): y' = P(x) + x p(x), the distribution and the density
      // of N(0, 1).
      Value erf =
          math::ErfOp::create(s.b, s.mul(x, s.number(0.70710678118654752440)));
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

static Value gate(ScalarMath &s, Value x, double alpha) {
  Value e = math::ExpOp::create(s.b, s.mul(s.number(-alpha), x));
  return s.div(s.number(1), s.add(s.number(1), e));
}

/// y = x g up with g = 1 / (1 + exp(-alpha x)): dx = dy up g (1 + alpha x (1 -
/// g)), dup = dy x g.
LogicalResult buildSilu(SiluOp op, Tensors &t, ValueRange cotangents,
                        Gradients &gradients) {
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

/// A rotation by the opposite angle. Where each element has an angle of its
/// own, those of a pair change places: dx_i = dy_i cos_i + dy_j sin_j, dx_j =
/// dy_j cos_j - dy_i sin_i.
LogicalResult buildRotary(RotaryEmbeddingOp op, Tensors &t,
                          ValueRange cotangents, Gradients &gradients) {
  ImplicitLocOpBuilder &b = t.b;
  if (gradients.needs(op.getCos()) || gradients.needs(op.getSin()))
    return op.emitOpError("has no derivative by its angles; only fixed "
                          "positions can be differentiated through");
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
      swapped = tensor::InsertSliceOp::create(b, half, swapped, offsets, sizes,
                                              strides);
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

} // namespace

void sq::registerCompositeVjps(MLIRContext &context) {
  attachVjp<LinearOp, buildLinear>(context);
  attachVjp<MatmulOp, buildMatmul>(context);
  attachVjp<SoftmaxOp, buildSoftmax>(context);
  attachVjp<LayerNormOp, buildLayerNorm>(context);
  attachVjp<RmsNormOp, buildRmsNorm>(context);
  attachVjp<GeluOp, buildGelu>(context);
  attachVjp<SiluOp, buildSilu>(context);
  attachVjp<RotaryEmbeddingOp, buildRotary>(context);
}
