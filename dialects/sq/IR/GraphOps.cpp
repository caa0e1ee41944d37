#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

#include "dialects/sq/IR/ShapeChecks.h"

using namespace mlir;
using namespace sq;

/// True unless both are static and `a` does not divide `b`.
static bool divides(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || (a > 0 && b % a == 0);
}

LogicalResult MatmulOp::verify() {
  ShapedType a = shaped(getA()), b = shaped(getB()), c = shaped(getOuts());
  int64_t rank = c.getRank();
  // matmul_c1
  if (rank < 2 || a.getRank() != rank || b.getRank() != rank)
    return emitOpError("needs three operands of one rank of at least 2, got ")
           << a << ", " << b << " and " << c;
  // matmul_c2
  for (int64_t i = 0; i < rank - 2; ++i)
    for (ShapedType t : {a, b})
      if (t.getDimSize(i) != 1 && !dimsAgree(t.getDimSize(i), c.getDimSize(i)))
        return emitOpError("leading dimension ")
               << i << " of " << t << " is neither 1 nor that of " << c;
  // matmul_c3
  if (!dimsAgree(a.getDimSize(rank - 2), c.getDimSize(rank - 2)) ||
      !dimsAgree(b.getDimSize(rank - 1), c.getDimSize(rank - 1)) ||
      !dimsAgree(a.getDimSize(rank - 1), b.getDimSize(rank - 2)))
    return emitOpError("cannot multiply ") << a << " by " << b << " into " << c;
  return success();
}

LogicalResult LinearOp::verify() {
  ShapedType x = shaped(getX()), w = shaped(getWeight()), y = shaped(getOuts());
  // linear_c3
  if (x.getRank() < 1 || x.getRank() != y.getRank() ||
      !llvm::all_of(llvm::zip(x.getShape().drop_back(), y.getShape().drop_back()),
                    [](auto p) { return dimsAgree(std::get<0>(p), std::get<1>(p)); }))
    return emitOpError("needs equal leading dimensions, got ") << x << " and " << y;
  // linear_c1
  bool transposed = getTransposeWeight();
  if (w.getRank() != 2 || !dimsAgree(w.getDimSize(transposed), x.getShape().back()) ||
      !dimsAgree(w.getDimSize(!transposed), y.getShape().back()))
    return emitOpError("cannot multiply ") << x << " by the weight " << w << " into " << y;
  // linear_c2
  if (getBias()) {
    ShapedType b = shaped(getBias());
    if (b.getRank() != 1 || !dimsAgree(b.getDimSize(0), y.getShape().back()))
      return emitOpError("needs a bias as long as the last dimension of ") << y << ", got " << b;
  }
  // linear_c4
  Type xElement = x.getElementType(), wElement = w.getElementType();
  auto perColumn = dyn_cast<quant::UniformQuantizedPerAxisType>(wElement);
  bool isQuantized = isa<quant::UniformQuantizedType>(xElement) &&
                     (isa<quant::UniformQuantizedType>(wElement) ||
                      (perColumn && perColumn.getQuantizedDimension() == !transposed));
  if (!isQuantized && (isa<quant::QuantizedType>(xElement) || isa<quant::QuantizedType>(wElement)))
    return emitOpError("needs x of one scale and a weight of one scale or one per column, got ")
           << xElement << " and " << wElement;
  // linear_c5
  auto isSum = [&](Value v) { return isQuantized && getElementTypeOrSelf(v.getType()).isInteger(32); };
  auto isFloat = [](Value v) { return isa<FloatType>(getElementTypeOrSelf(v.getType())); };
  if ((!isFloat(getOuts()) && !isSum(getOuts())) ||
      (getBias() && (isFloat(getBias()) != isFloat(getOuts()) || (!isFloat(getBias()) && !isSum(getBias())))))
    return emitOpError("needs floats, or with quantised operands i32, for the result and the bias alike, got ") << y;
  return success();
}

LogicalResult SoftmaxOp::verify() {
  // softmax_c1
  ShapedType x = shaped(getX()), y = shaped(getOuts());
  if (x.getRank() < 1 || !shapesAgree(x, y))
    return emitOpError("needs input and output of one shape, got ") << x << " and " << y;
  return success();
}

LogicalResult LayerNormOp::verify() {
  ShapedType x = shaped(getX()), y = shaped(getOuts());
  // layer_norm_c1
  if (x.getRank() < 1 || !shapesAgree(x, y))
    return emitOpError("needs input and output of one shape, got ") << x << " and " << y;
  // layer_norm_c2
  for (Value v : {getScale(), getBias()})
    if (v && (shaped(v).getRank() != 1 ||
              !dimsAgree(shaped(v).getDimSize(0), x.getShape().back())))
      return emitOpError("needs scale and bias as long as the last dimension of ")
             << x << ", got " << v.getType();
  return success();
}

LogicalResult RmsNormOp::verify() {
  ShapedType x = shaped(getX()), y = shaped(getOuts());
  // rms_norm_c1
  if (x.getRank() < 1 || !shapesAgree(x, y))
    return emitOpError("needs input and output of one shape, got ") << x << " and " << y;
  // rms_norm_c2
  ShapedType scale = shaped(getScale());
  if (scale.getRank() != 1 || !dimsAgree(scale.getDimSize(0), x.getShape().back()))
    return emitOpError("needs a scale as long as the last dimension of ") << x << ", got " << scale;
  return success();
}

LogicalResult ScatterOp::verify() {
  ShapedType indices = shaped(getIndices()), updates = shaped(getUpdates()), y = shaped(getOuts());
  // scatter_c1
  if (indices.getRank() != 2 || updates.getRank() != 3 || y.getRank() != 3 ||
      !dimsAgree(indices.getDimSize(0), updates.getDimSize(0)) ||
      !dimsAgree(indices.getDimSize(1), updates.getDimSize(1)) ||
      !dimsAgree(indices.getDimSize(0), y.getDimSize(0)) ||
      !dimsAgree(updates.getDimSize(2), y.getDimSize(2)))
    return emitOpError("needs indices [p, r], updates [p, r, q] and outs [p, n, q], got ")
           << indices << ", " << updates << " and " << y;
  // scatter_c2
  if (updates.getElementType() != y.getElementType())
    return emitOpError("needs updates and outs of one element type, got ") << updates << " and " << y;
  // scatter_c3
  if (!llvm::is_contained({"replace", "add", "mul", "max", "min"}, getReduction()))
    return emitOpError("needs a reduction of replace, add, mul, max or min, got '")
           << getReduction() << "'";
  return success();
}

LogicalResult GeluOp::verify() {
  // gelu_c1
  if (!shapesAgree(shaped(getX()), shaped(getOuts())))
    return emitOpError("needs input and output of one shape, got ")
           << getX().getType() << " and " << getOuts().getType();
  // gelu_c2
  if (getTolerance() && !(getTolerance()->convertToFloat() >= 0))
    return emitOpError("needs a tolerance of at least 0, got ") << getTolerance()->convertToFloat();
  return success();
}

LogicalResult SiluOp::verify() {
  // silu_c1
  for (Value v : {getX(), getUp()})
    if (v && !shapesAgree(shaped(v), shaped(getOuts())))
      return emitOpError("needs inputs and output of one shape, got ")
             << v.getType() << " and " << getOuts().getType();
  return success();
}

LogicalResult EmbeddingOp::verify() {
  ShapedType y = shaped(getOuts());
  auto isBytes = [](Value table) { return getElementTypeOrSelf(table.getType()).isInteger(8); };
  // embedding_c1
  if (getIndices().empty() || getIndices().size() != getTables().size())
    return emitOpError("needs as many tables as indices, at least one, got ")
           << getTables().size() << " and " << getIndices().size();
  // embedding_c2
  for (Value table : getTables())
    if (y.getRank() < 1 || shaped(table).getRank() != 2 || !dimsAgree(shaped(table).getDimSize(1), y.getShape().back()) ||
        (!isa<FloatType>(getElementTypeOrSelf(table.getType())) && !isBytes(table)))
      return emitOpError("needs tables of floats or i8 as wide as the last dimension of ")
             << y << ", got " << table.getType();
  // embedding_c3
  for (Value index : getIndices()) {
    ShapedType i = shaped(index);
    int64_t missing = y.getRank() - 1 - i.getRank();
    bool fits = missing >= 0;
    for (int64_t d = 0; fits && d < i.getRank(); ++d)
      fits = i.getDimSize(d) == 1 || dimsAgree(i.getDimSize(d), y.getDimSize(missing + d));
    if (!fits)
      return emitOpError("needs indices that broadcast to the leading dimensions of ")
             << y << ", got " << i;
  }
  // embedding_c4
  SmallVector<Value> bytes = llvm::filter_to_vector(getTables(), isBytes);
  bool areScaled = bytes.size() == getScales().size();
  for (auto [table, scales] : llvm::zip(bytes, getScales()))
    areScaled &= shaped(scales).getRank() == 1 && dimsAgree(shaped(scales).getDimSize(0), shaped(table).getDimSize(0));
  if (!areScaled)
    return emitOpError("needs a scale for each row of its tables of i8, in their order");
  return success();
}

LogicalResult RotaryEmbeddingOp::verify() {
  ShapedType x = shaped(getX()), y = shaped(getOuts()), cos = shaped(getCos()), sin = shaped(getSin());
  // rotary_embedding_c1
  if (x.getRank() != 4 || !shapesAgree(x, y))
    return emitOpError("needs input and output of one shape [b, s, h, d], got ") << x << " and " << y;
  // rotary_embedding_c2
  if (cos.getRank() != 3 || !shapesAgree(cos, sin) ||
      (cos.getDimSize(0) != 1 && !dimsAgree(cos.getDimSize(0), x.getDimSize(0))) ||
      !dimsAgree(cos.getDimSize(1), x.getDimSize(1)))
    return emitOpError("needs cos and sin [b or 1, s, a] for ") << x << ", got " << cos << " and " << sin;
  // rotary_embedding_c3
  int64_t size = x.getDimSize(3), angles = cos.getDimSize(2);
  if (x.isDynamicDim(3) || size % 2 || (angles != size && angles * 2 != size))
    return emitOpError("needs heads of an even static size, and as many angles or half as many; got ")
           << x << " and " << cos;
  return success();
}

LogicalResult AttentionOp::verify() {
  ShapedType q = shaped(getQ()), k = shaped(getK()), v = shaped(getV()), o = shaped(getOuts());
  // attention_c1
  if (q.getRank() != 4 || k.getRank() != 4 || !shapesAgree(q, o) || !shapesAgree(k, v) ||
      !dimsAgree(q.getDimSize(0), k.getDimSize(0)) ||
      !divides(k.getDimSize(2), q.getDimSize(2)) || !dimsAgree(q.getDimSize(3), k.getDimSize(3)))
    return emitOpError("needs q and outs [b, s, h, d], k and v [b, t, g, d] with g dividing h, got ")
           << q << ", " << o << ", " << k << " and " << v;
  // attention_c2
  if (getMask()) {
    ShapedType m = shaped(getMask());
    int64_t want[4] = {q.getDimSize(0), q.getDimSize(2), q.getDimSize(1), k.getDimSize(1)};
    for (int i = 0; i < 4; ++i)
      if (m.getRank() != 4 || (!dimsAgree(m.getDimSize(i), want[i]) &&
                               !(i < 3 && m.getDimSize(i) == 1)))
        return emitOpError("needs a mask [b, h, s, t] (each but t may be 1), got ") << m;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// What all composites share: effects on memrefs, result shapes from `outs`.
//===----------------------------------------------------------------------===//

static void
dpsEffects(DestinationStyleOpInterface op,
           SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand *in : op.getDpsInputOperands())
    if (isa<MemRefType>(in->get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), in);
  for (OpOperand &out : op.getDpsInitsMutable())
    if (isa<MemRefType>(out.get().getType())) {
      effects.emplace_back(MemoryEffects::Read::get(), &out);
      effects.emplace_back(MemoryEffects::Write::get(), &out);
    }
}

static LogicalResult dpsReify(OpBuilder &b, DestinationStyleOpInterface op,
                              ReifiedRankedShapedTypeDims &dims) {
  for (OpOperand &out : op.getDpsInitsMutable()) {
    auto type = dyn_cast<RankedTensorType>(out.get().getType());
    if (!type)
      return failure();
    SmallVector<OpFoldResult> shape;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i)) {
        shape.push_back(b.getIndexAttr(type.getDimSize(i)));
        continue;
      }
      Value index = arith::ConstantIndexOp::create(b, op.getLoc(), i);
      shape.push_back(b.createOrFold<tensor::DimOp>(op.getLoc(), out.get(), index));
    }
    dims.push_back(std::move(shape));
  }
  return success();
}

#define SQ_DPS(Op)                                                                               \
  void Op::getEffects(                                                                           \
      SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {            \
    dpsEffects(cast<DestinationStyleOpInterface>(getOperation()), effects);                      \
  }                                                                                              \
  LogicalResult Op::reifyResultShapes(OpBuilder &b, ReifiedRankedShapedTypeDims &dims) {         \
    return dpsReify(b, cast<DestinationStyleOpInterface>(getOperation()), dims);                 \
  }
SQ_DPS(MatmulOp)
SQ_DPS(LinearOp)
SQ_DPS(SoftmaxOp)
SQ_DPS(LayerNormOp)
SQ_DPS(RmsNormOp)
SQ_DPS(GeluOp)
SQ_DPS(SiluOp)
SQ_DPS(EmbeddingOp)
SQ_DPS(ScatterOp)
SQ_DPS(RotaryEmbeddingOp)
SQ_DPS(AttentionOp)
SQ_DPS(KvAppendOp)
SQ_DPS(KvAttendOp)
SQ_DPS(RequantizeOp)
SQ_DPS(RequantizedAddOp)
SQ_DPS(IntGeluOp)
SQ_DPS(IntSigmoidOp)
SQ_DPS(IntTanhOp)
SQ_DPS(IntSiluOp)
SQ_DPS(LookupOp)
SQ_DPS(IntPiecewiseOp)
SQ_DPS(IntSqrtOp)
SQ_DPS(IntSoftmaxOp)
SQ_DPS(IntContextOp)
SQ_DPS(IntAttentionOp)
SQ_DPS(IntLayerNormOp)
SQ_DPS(IntRmsNormOp)
SQ_DPS(IntNormRowsOp)
SQ_DPS(PackedMatmulOp)
SQ_DPS(LutMatmulOp)
SQ_DPS(GroupedMatmulOp)
SQ_DPS(CsrMatmulOp)
SQ_DPS(DenseAndSparseMatmulOp)
SQ_DPS(CrossEntropyOp)
SQ_DPS(KlDivergenceOp)
SQ_DPS(SquaredErrorOp)
