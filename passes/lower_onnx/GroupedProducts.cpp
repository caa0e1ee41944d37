#include "passes/lower_onnx/GroupedProducts.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"

#include "dialects/sq/IR/SqOps.h"
#include "lib/numerics/Codes.h"
#include "passes/GroupedWeights.h"
#include "passes/lower_onnx/Constants.h"
#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/Quantization.h"
#include "passes/lower_onnx/QuantizedProducts.h"

#include <cmath>

using namespace mlir;
using namespace sq;

FailureOr<Lowered> sq::multiplyByCodes(Lowering &l, Operation *op, Lowered *x,
                                       const GroupedConstants &constants) {
  if (failed(l.unify(op, x->dims.back(), l.indexAttr(constants.k),
                     "the contraction dimension")))
    return failure();
  Location loc = op->getLoc();
  Dims dims(ArrayRef<OpFoldResult>(x->dims).drop_back());
  dims.push_back(l.indexAttr(constants.n));
  Value tensor = l.tensor(x);
  Dims given = x->dims, matrix = dims;
  given.back() = l.indexAttr(constants.k);
  if (x->rank() == 1) {
    given.insert(given.begin(), l.indexAttr(1));
    tensor = l.reshape(loc, tensor, x->dims, given);
    matrix.insert(matrix.begin(), l.indexAttr(1));
  } else if (RankedTensorType type = tensorType(given, x->element);
             tensor.getType() != type) {
    tensor = tensor::CastOp::create(l.builder, loc, type, tensor);
  }
  Value init = l.emptyTensor(loc, matrix, x->element);
  Value y = GroupedMatmulOp::create(l.builder, loc, TypeRange(init.getType()),
                                    tensor, constants.codes, constants.scales,
                                    constants.offsets, init, constants.bits,
                                    constants.size, constants.zeroPoint,
                                    /*float_input=*/!constants.mayRound)
                ->getResult(0);
  if (x->rank() == 1)
    y = l.reshape(loc, y, matrix, dims);
  return asLowered(y, dims, x->element);
}

std::optional<GroupedConstants>
sq::groupedWeight(Lowering &l, Operation *op, Value weight, bool transposed) {
  Operation *dequantize = dequantizeOf(skipTransposes(weight, transposed));
  if (!dequantize)
    return std::nullopt;
  Lowered *stored = l.operand(dequantize, 0), *scale = l.operand(dequantize, 1),
          *zero = l.operand(dequantize, 2);
  auto element = dyn_cast<IntegerType>(stored->element);
  int64_t size = l.intAttr(dequantize, "block_size", 0);
  if (!element || element.getWidth() < 2 || element.getWidth() > 4 ||
      stored->rank() != 2 || !stored->constant)
    return std::nullopt;
  auto refuse = [&](const Twine &reason) -> std::optional<GroupedConstants> {
    remark::missed(
        op->getLoc(),
        remark::RemarkOpts::name("unpacked").category("sq-lower-onnx"))
        << remark::reason("a weight of floats instead of codes: {0}",
                          reason.str());
    return std::nullopt;
  };
  // Of [n, k] dim 1 is contracted, of [k, n] dim 0.
  int64_t contracted = transposed, axis = l.intAttr(dequantize, "axis", 1);
  axis += axis < 0 ? 2 : 0;
  if (size == 0) { // a scale for each row, or one for all
    bool isOne = staticCount(scale->dims) == 1;
    if (!isOne && axis == contracted)
      return refuse("its scales do not lie along its columns");
    if (dequantizeOf(op->getOperand(0)))
      return std::nullopt; // a product of integers
  } else if (axis != contracted) {
    return refuse("its blocks do not lie along the contracted dimension");
  } else if (size < 16 || !llvm::isPowerOf2_64(size)) {
    return refuse("blocks of " + Twine(size) +
                  " elements; there are kernels for powers of 2 from 16 on");
  }
  if (!l.lowered(dequantize->getResult(0))->element.isF32())
    return refuse("it is not dequantised to f32");
  std::optional<int64_t> k = staticDim(stored->dims[contracted]),
                         n = staticDim(stored->dims[1 - contracted]);
  std::optional<std::vector<int64_t>> integers = integersOf(l, stored), zeros;
  std::optional<std::vector<float>> scales = floatsOf(l, scale);
  if (zero && !(zeros = integersOf(l, zero)))
    return refuse("its zero points are not constant");
  if (!k || !n || *k < 1 || *n < 1 || !integers || !scales)
    return refuse("its weight or scales are not constant");
  if (size == 0) {
    size = *k;
    if (scales->size() == 1)
      scales->assign(*n, scales->front());
    if (zeros && zeros->size() == 1)
      zeros->assign(*n, zeros->front());
  }
  int64_t count = llvm::divideCeil(*k, size);
  if (int64_t(scales->size()) != *n * count ||
      (zeros && zeros->size() != scales->size()))
    return std::nullopt; // which DequantizeLinear itself refuses
  for (float each : *scales)
    if (!std::isfinite(each))
      return refuse("scales are not all finite");

  // Codes are unsigned, and rows of n.
  GroupedConstants result;
  result.n = *n, result.k = *k, result.bits = element.getWidth(),
  result.size = size;
  int64_t lowest =
              element.isUnsigned() ? 0 : -(INT64_C(1) << (result.bits - 1)),
          words = numerics::rowWords(*k, result.bits);
  auto at = [&](int64_t row, int64_t column, int64_t columns) {
    return contracted ? row * columns + column : column * *n + row;
  };
  std::vector<uint32_t> codes(*n * words);
  std::vector<float> scaleRows(*n * count);
  std::vector<uint8_t> offsets(zeros ? *n * count : 0);
  for (int64_t row = 0; row < *n; ++row) {
    for (int64_t c = 0; c < *k; ++c)
      numerics::putCode(codes.data() + row * words, int(result.bits), c,
                        unsigned((*integers)[at(row, c, *k)] - lowest));
    for (int64_t g = 0; g < count; ++g) {
      scaleRows[row * count + g] = (*scales)[at(row, g, count)];
      if (zeros)
        offsets[row * count + g] =
            uint8_t((*zeros)[at(row, g, count)] - lowest);
    }
  }
  OpBuilder &b = l.builder;
  Location loc = op->getLoc();
  result.codes = largeConstant<uint32_t>(b, loc, {*n, words}, b.getI32Type(),
                                         codes, "codes");
  result.scales = largeConstant<float>(b, loc, {*n, count}, b.getF32Type(),
                                       scaleRows, "scales");
  if (zeros)
    result.offsets = largeConstant<uint8_t>(b, loc, {*n, count}, b.getI8Type(),
                                            offsets, "zero_points");
  else
    result.zeroPoint = -lowest;
  return result;
}
