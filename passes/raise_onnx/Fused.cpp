/// Operators that onnxruntime's optimizer makes of several of ONNX's, and older names of
/// ONNX's own.
///
/// Source: ContribOperators.md of onnxruntime.
#include "passes/raise_onnx/Expansion.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace sq;

namespace {

/// The attribute `activation`, with its parameters in the order of its definition.
struct Activation {
  std::string name;
  SmallVector<double> parameters;

  bool isKnown() const {
    return llvm::is_contained({"", "Relu", "Tanh", "Sigmoid", "LeakyRelu", "HardSigmoid"},
                              StringRef(name)) ||
           (name == "Clip" && parameters.size() == 2);
  }
  Value apply(Expansion &e, Value x) const {
    auto parameter = [&](unsigned i, double absent) {
      return i < parameters.size() ? parameters[i] : absent;
    };
    if (name.empty())
      return x;
    if (name == "LeakyRelu")
      return e.make(name, x, x, e.attribute("alpha", parameter(0, 0.01)));
    if (name == "HardSigmoid")
      return e.make(name, x, x,
                    {e.attribute("alpha", parameter(0, 0.2)), e.attribute("beta", parameter(1, 0.5))});
    if (name == "Clip")
      return e.make(name, {x, e.scalar(parameters[0]), e.scalar(parameters[1])}, x);
    return e.make(name, x, x);
  }
};

/// FusedConv(X, W, B, Z): activation(Conv + Z)
LogicalResult fusedConv(Expansion &e) {
  Value x = e.operand(0);
  Activation activation{e.text("activation"), {}};
  if (auto given = dyn_cast_if_present<DenseF32ArrayAttr>(e.given("activation_params")))
    activation.parameters.assign(given.asArrayRef().begin(), given.asArrayRef().end());
  if (!activation.isKnown())
    return e.refuse("an activation that sq does not know");
  SmallVector<Value> operands = {x, e.operand(1)};
  if (Value bias = e.operand(2))
    operands.push_back(bias);
  Type element = getElementTypeOrSelf(x.getType());
  Value y = e.makeOf("Conv", operands, element,
                     e.copied({"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"}));
  return e.replace(activation.apply(e, e.add(y, e.operand(3))));
}

/// FusedGemm(A, B, C): activation(Gemm)
LogicalResult fusedGemm(Expansion &e) {
  Activation activation{e.text("activation"), {}};
  for (StringRef name : {"activation_alpha", "activation_beta"})
    if (e.given(name))
      activation.parameters.push_back(e.number(name, 0));
  if (!activation.isKnown())
    return e.refuse("an activation that sq does not know");
  SmallVector<Value> operands = {e.operand(0), e.operand(1)};
  if (Value c = e.operand(2))
    operands.push_back(c);
  Value y = e.makeOf("Gemm", operands, getElementTypeOrSelf(e.operand(0).getType()),
                     e.copied({"alpha", "beta", "transA", "transB"}));
  return e.replace(activation.apply(e, y));
}

/// GemmFastGelu(X, W, bias): Gelu by tanh of X W + bias.
LogicalResult gemmFastGelu(Expansion &e) {
  Value y = e.makeOf("MatMul", {e.operand(0), e.operand(1)}, getElementTypeOrSelf(e.operand(0).getType()));
  y = e.add(y, e.operand(2));
  return e.replace(e.make("Gelu", y, y, e.attribute("approximate", StringRef("tanh"))));
}

/// BiasSplitGelu(X, bias): with X + bias halved along the last dim, left gelu(right).
LogicalResult biasSplitGelu(Expansion &e) {
  Value sum = e.add(e.operand(0), e.operand(1));
  Type half = e.typeOf(getElementTypeOrSelf(sum.getType()));
  Operation *halves = createOnnx(e.rewriter, e.op->getLoc(), "onnx.Split", sum, {half, half},
                                 e.attribute("axis", int64_t(-1)));
  Value right = halves->getResult(1);
  right = e.make("Gelu", right, right, e.attribute("approximate", StringRef("none")));
  return e.replace(e.make("Mul", {halves->getResult(0), right}, right));
}

/// BiasAdd(X, bias, skip): their sum.
LogicalResult biasAdd(Expansion &e) {
  return e.replace(e.add(e.add(e.operand(0), e.operand(1)), e.operand(2)));
}

/// BiasSoftmax(data, bias): onnxruntime fuses where the bias broadcasts as ONNX's Add does.
LogicalResult biasSoftmax(Expansion &e) {
  auto type = dyn_cast<RankedTensorType>(e.operand(0).getType());
  int64_t axis = e.integer("axis", 1);
  // All dims from the axis on count as one.
  if (axis != -1 && (!type || axis != type.getRank() - 1))
    return e.refuse("a softmax over several axes");
  Value sum = e.makeOf("Add", {e.operand(0), e.operand(1)}, getElementTypeOrSelf(e.operand(0).getType()));
  return e.replace(e.make("Softmax", sum, sum, e.attribute("axis", int64_t(-1))));
}

/// BiasDropout(data, bias, residual, ratio, training_mode)
LogicalResult biasDropout(Expansion &e) {
  Value sum = e.add(e.operand(0), e.operand(1));
  SmallVector<Value> operands = {sum, e.orNone(e.operand(3)), e.orNone(e.operand(4))};
  Type mask = e.typeOf(e.rewriter.getI1Type());
  Operation *dropout = createOnnx(e.rewriter, e.op->getLoc(), "onnx.Dropout", operands,
                                  {sum.getType(), mask}, e.copied({"seed"}));
  return e.replace({e.add(dropout->getResult(0), e.operand(2)), dropout->getResult(1)});
}

/// CDist(A [m, k], B [n, k]): distances [m, n] between their rows.
LogicalResult cDist(Expansion &e) {
  std::string metric = e.text("metric");
  if (!metric.empty() && metric != "sqeuclidean" && metric != "euclidean")
    return e.refuse("a metric that sq does not know");
  Type element = getElementTypeOrSelf(e.operand(0).getType());
  Value a = e.makeOf("Unsqueeze", {e.operand(0), e.constant(1)}, element);
  Value b = e.makeOf("Unsqueeze", {e.operand(1), e.constant(0)}, element);
  Value difference = e.makeOf("Sub", {a, b}, element);
  StringRef name = metric == "euclidean" ? "ReduceL2" : "ReduceSumSquare";
  Value axes = e.constant(-1);
  return e.replace(e.makeOf(name, {difference, axes}, element, e.attribute("keepdims", int64_t(0))));
}

/// ExpandDims(X, axis)
LogicalResult expandDims(Expansion &e) {
  Value axes = e.makeOf("Reshape", {e.operand(1), e.constant(1)}, e.rewriter.getI32Type());
  axes = e.cast(axes, /*int64=*/7, e.rewriter.getI64Type());
  return e.replace(e.makeOf("Unsqueeze", {e.operand(0), axes}, getElementTypeOrSelf(e.operand(0).getType())));
}

/// Older names, with the attributes of ONNX's.
LogicalResult renamed(Expansion &e) {
  SmallVector<Value> operands;
  for (unsigned i = 0; i < e.op->getNumOperands(); ++i)
    operands.push_back(e.orNone(e.operand(i)));
  return e.replace(e.makeOf(e.type, operands, getElementTypeOrSelf(e.operand(0).getType()),
                            e.copied({"batch_dims", "mode", "upper"})));
}

/// MatMulNBits(A, B, scales, zero_points, g_idx, bias): A by the transposed [N, K] that the
/// blocks of B hold, which is `sq.MatMulBlocks` (passes/lower_onnx/PackedBlocks.cpp). In
/// f32 throughout, also where A and the scales are of 16 bits: rounded once.
LogicalResult matMulNBits(Expansion &e) {
  Value a = e.operand(0);
  Type f32 = e.rewriter.getF32Type();
  Attribute dictionary =
      DictionaryAttr::get(e.op->getContext(), e.copied({"K", "N", "accuracy_level", "bits", "block_size"}));
  constexpr int64_t kFloat = 1; // TensorProto.DataType
  SmallVector<Value> operands = {e.cast(a, kFloat, f32), e.operand(1), e.operand(2), e.orNone(e.operand(3)), e.orNone(e.operand(4))};
  Value y = createOnnx(e.rewriter, e.op->getLoc(), "onnx.Custom", operands, e.typeOf(f32),
                       {e.attribute("domain", StringRef("sq")),
                        e.attribute("op_type", StringRef("MatMulBlocks")),
                        e.attribute("opset", int64_t(1)),
                        e.rewriter.getNamedAttr("attributes", dictionary)})
                ->getResult(0);
  if (Value bias = e.operand(5))
    y = e.add(y, e.cast(bias, kFloat, f32));
  return e.replace(e.makeOf("CastLike", {y, a}, getElementTypeOrSelf(a.getType())));
}

/// Numbers of `bits` bits that lie in the bytes of x, the lowest bits first, as bytes: the last dim
/// grows. (A dim of x that the type does not know may be any: all others are copied.)
Value unpacked(Expansion &e, Value x, int64_t bits) {
  if (bits == 8)
    return x;
  Type u8 = e.rewriter.getIntegerType(8, /*isSigned=*/false);
  auto byte = [&](int64_t value) { return e.cast(e.constant(value), /*uint8=*/2, u8); };
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  SmallVector<Value> parts;
  for (int64_t shift = 0; shift < 8; shift += bits) {
    Value part = e.makeOf("BitShift", {x, byte(shift)}, u8, e.attribute("direction", StringRef("RIGHT")));
    part = e.makeOf("BitwiseAnd", {part, byte((1 << bits) - 1)}, u8);
    parts.push_back(e.makeOf("Unsqueeze", {part, e.constant(rank)}, u8));
  }
  SmallVector<int64_t> shape(rank - 1, 0);
  shape.push_back(-1);
  return e.makeOf("Reshape", {e.makeOf("Concat", parts, u8, e.attribute("axis", rank)), e.constant(shape)}, u8);
}

/// GatherBlockQuantized(data, indices, scales, zero_points): DequantizeLinear of what is
/// gathered. Bytes hold numbers of 2, 4 or 8 bits along the last dim, without zero points
/// around half their range.
LogicalResult gatherBlockQuantized(Expansion &e) {
  auto data = dyn_cast<RankedTensorType>(e.operand(0).getType());
  auto indices = dyn_cast<RankedTensorType>(e.operand(1).getType());
  if (!data || !indices)
    return e.refuse("the ranks of data or indices are not known");
  int64_t rank = data.getRank(), gather = e.integer("gather_axis", 0), axis = e.integer("quantize_axis", 1);
  for (int64_t *which : {&gather, &axis}) {
    if (*which < -rank || *which >= rank)
      return e.refuse("gather_axis or quantize_axis is outside the rank of data");
    *which += *which < 0 ? rank : 0;
  }
  bool isByte = data.getElementType().isInteger(8);
  int64_t bits = isByte ? e.integer("bits", 4) : 8;
  if (gather == axis)
    return e.refuse("blocks along the gathered axis");
  if (bits != 2 && bits != 4 && bits != 8)
    return e.refuse("bytes of numbers of " + std::to_string(bits) + " bits; 2, 4 or 8 are");
  if (bits != 8 && (axis != rank - 1 || gather == rank - 1))
    return e.refuse("numbers packed into bytes, but not with quantize_axis as the last and another as the gathered one");
  Value zero = e.operand(3);
  Type scaleType = getElementTypeOrSelf(e.operand(2).getType());
  auto gathered = [&](Value x) {
    return e.makeOf("Gather", {x, e.operand(1)}, getElementTypeOrSelf(x.getType()),
                    e.attribute("axis", gather));
  };
  int64_t moved = axis > gather ? axis + indices.getRank() - 1 : axis, newRank = rank + indices.getRank() - 1;
  auto ranked = [&](Value x) {
    x.setType(RankedTensorType::get(SmallVector<int64_t>(newRank, ShapedType::kDynamic), getElementTypeOrSelf(x.getType())));
    return x;
  };
  Value scale = gathered(e.operand(2));
  SmallVector<Value> operands = {unpacked(e, ranked(gathered(e.operand(0))), bits), scale};
  if (zero) {
    operands.push_back(unpacked(e, ranked(gathered(zero)), bits));
    if (bits != 8) { // what fills the last byte of a row goes
      Value blocks = e.makeOf("Shape", scale, e.rewriter.getI64Type());
      Value last = e.makeOf("Gather", {blocks, e.constant(moved)}, e.rewriter.getI64Type(), e.attribute("axis", int64_t(0)));
      operands.back() = e.makeOf("Slice", {operands.back(), e.constant(0), last, e.constant(moved)},
                                 getElementTypeOrSelf(operands.back().getType()));
    }
  } else if (isByte) {
    Value middle = e.cast(e.constant(int64_t(1) << (bits - 1)), /*uint8=*/2, data.getElementType());
    Value shape = e.makeOf("Shape", scale, e.rewriter.getI64Type());
    operands.push_back(e.makeOf("Expand", {middle, shape}, data.getElementType()));
  }
  return e.replace(e.makeOf("DequantizeLinear", operands, scaleType,
                            {e.attribute("axis", moved),
                             e.attribute("block_size", e.integer("block_size", 128))}));
}

} // namespace

void sq::addFusedRules(ExpansionRules &rules) {
  rules["com.microsoft.FusedConv"] = {fusedConv};
  rules["com.microsoft.FusedGemm"] = {fusedGemm};
  rules["com.microsoft.GemmFastGelu"] = {gemmFastGelu};
  rules["com.microsoft.BiasSplitGelu"] = {biasSplitGelu};
  rules["com.microsoft.BiasAdd"] = {biasAdd};
  rules["com.microsoft.BiasSoftmax"] = {biasSoftmax};
  rules["com.microsoft.BiasDropout"] = {biasDropout, {0, 1}};
  rules["com.microsoft.CDist"] = {cDist};
  rules["com.microsoft.ExpandDims"] = {expandDims};
  for (StringRef name : {"GatherND", "Pad", "Trilu"})
    rules[("com.microsoft." + name).str()] = {renamed};
  rules["com.microsoft.MatMulNBits"] = {matMulNBits};
  rules["com.microsoft.GatherBlockQuantized"] = {gatherBlockQuantized};
}
