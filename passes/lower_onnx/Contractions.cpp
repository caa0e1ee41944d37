/// MatMul, Gemm, MatMulInteger, QLinearMatMul, Einsum; FusedMatMul of onnxruntime.

#include "passes/lower_onnx/Contractions.h"
#include "passes/lower_onnx/Generics.h"
#include "passes/lower_onnx/GroupedProducts.h"
#include "passes/lower_onnx/Quantization.h"
#include "passes/lower_onnx/QuantizedProducts.h"

#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Quant/IR/Quant.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace sq;

namespace {

std::optional<Weight> constantWeight(Lowering &l, Lowered &value, bool transposed) {
  if (value.rank() != 2 || !value.constant || !isSupportedFloat(value.element))
    return std::nullopt;
  Value tensor = l.tensor(&value);
  if (!tensor.getDefiningOp<arith::ConstantOp>())
    return std::nullopt;
  return Weight{tensor, value.dims[transposed], value.dims[!transposed], transposed};
}

std::optional<Weight> constantWeight(Lowering &l, Value source) {
  // The transposition of a weight is done by packing it, not here.
  bool transposed = false;
  if (Operation *op = source.getDefiningOp();
      op && op->getName().getStringRef() == "onnx.Transpose" && op->getNumOperands() == 1) {
    auto perm = op->getAttrOfType<DenseI64ArrayAttr>("perm");
    if (!perm || perm.asArrayRef() == ArrayRef<int64_t>{1, 0}) {
      transposed = true;
      source = op->getOperand(0);
    }
  }
  Lowered *value = l.lowered(source);
  if (!value)
    return std::nullopt;
  // A weight that is stored in integers for a product of floats.
  if (std::optional<Lowered> floats = value->constant ? std::nullopt : foldedDequantize(l, source))
    return constantWeight(l, *floats, transposed);
  return constantWeight(l, *value, transposed);
}

/// Both operands as the product of stacks of matrices sees them.
struct Stacks {
  Value a, b;
  Dims aDims, bDims; // of the result's rank, at least 2
  Dims matrixDims;   // of the product of stacks
  Dims dims;         // of the result: without the dims that vectors were given
};

FailureOr<Stacks> asStacks(Lowering &l, Operation *op, Lowered *a, Lowered *b) {
  if (a->rank() == 0 || b->rank() == 0)
    return l.fail(op, "an operand is a scalar; a matrix product needs ranks of at least 1");
  Stacks stacks;
  stacks.aDims = a->dims;
  stacks.bDims = b->dims;
  if (a->rank() == 1)
    stacks.aDims.insert(stacks.aDims.begin(), l.indexAttr(1));
  if (b->rank() == 1)
    stacks.bDims.push_back(l.indexAttr(1));
  OpFoldResult m = stacks.aDims[stacks.aDims.size() - 2], n = stacks.bDims.back();
  FailureOr<OpFoldResult> k =
      l.unify(op, stacks.aDims.back(), stacks.bDims[stacks.bDims.size() - 2],
              "the contraction dimension");
  if (failed(k))
    return failure();
  FailureOr<Dims> batch = l.broadcast(op, ArrayRef<OpFoldResult>(stacks.aDims).drop_back(2),
                                      ArrayRef<OpFoldResult>(stacks.bDims).drop_back(2));
  if (failed(batch))
    return failure();
  stacks.dims = stacks.matrixDims = *batch;
  stacks.matrixDims.append({m, n});
  if (a->rank() > 1)
    stacks.dims.push_back(m);
  if (b->rank() > 1)
    stacks.dims.push_back(n);
  while (stacks.aDims.size() < stacks.matrixDims.size())
    stacks.aDims.insert(stacks.aDims.begin(), l.indexAttr(1));
  while (stacks.bDims.size() < stacks.matrixDims.size())
    stacks.bDims.insert(stacks.bDims.begin(), l.indexAttr(1));
  stacks.a = l.reshape(op->getLoc(), l.tensor(a), a->dims, stacks.aDims);
  stacks.b = l.reshape(op->getLoc(), l.tensor(b), b->dims, stacks.bDims);
  return stacks;
}

/// An integer that is subtracted from each row of a or column of b, or none.
struct ZeroPoint {
  Lowered *value = nullptr;
  bool isPerRow = false;
};

/// The products summed in `element` (an integer type), as one generic.
FailureOr<Lowered> integerProduct(Lowering &l, Operation *op, Lowered *a, Lowered *b,
                                  Lowered *aZero, Lowered *bZero, Type element) {
  FailureOr<Stacks> stacks = asStacks(l, op, a, b);
  if (failed(stacks))
    return failure();
  Location loc = op->getLoc();
  int64_t rank = stacks->matrixDims.size(), k = rank;
  MLIRContext *context = l.builder.getContext();
  Type type = signless(element);

  auto operandMap = [&](ArrayRef<OpFoldResult> dims, int64_t row, int64_t column) {
    SmallVector<AffineExpr> exprs;
    for (int64_t i = 0; i < rank - 2; ++i)
      exprs.push_back(isOne(dims[i]) && !isOne(stacks->matrixDims[i])
                          ? l.builder.getAffineConstantExpr(0)
                          : l.builder.getAffineDimExpr(i));
    exprs.push_back(l.builder.getAffineDimExpr(row));
    exprs.push_back(l.builder.getAffineDimExpr(column));
    return AffineMap::get(rank + 1, 0, exprs, context);
  };
  SmallVector<Input> inputs = {{stacks->a, operandMap(stacks->aDims, rank - 2, k)},
                               {stacks->b, operandMap(stacks->bDims, k, rank - 1)}};
  int64_t aZeroInput = -1, bZeroInput = -1;
  for (auto [zero, loop, position] : {std::tuple(aZero, rank - 2, &aZeroInput),
                                      std::tuple(bZero, rank - 1, &bZeroInput)}) {
    if (!zero)
      continue;
    *position = inputs.size();
    if (zero->rank() > rank)
      return l.fail(op, "a zero point has a rank of " + Twine(zero->rank()) + ", the product of " +
                            Twine(rank));
    // A vector runs along the rows of a or the columns of b; one of more dims has one for
    // each dim of the product, of size 1 where it does not run.
    SmallVector<AffineExpr> exprs;
    for (int64_t i = 0; i < zero->rank(); ++i) {
      int64_t at = zero->rank() == 1 ? loop : rank - zero->rank() + i;
      bool stands = isOne(zero->dims[i]);
      if (!stands && failed(l.unify(op, zero->dims[i], stacks->matrixDims[at],
                                    "the zero point's dimension")))
        return failure();
      if (!stands && at >= rank - 2 && at != loop)
        return l.fail(op, "a zero point runs along the contraction");
      exprs.push_back(stands ? l.builder.getAffineConstantExpr(0)
                             : l.builder.getAffineDimExpr(at));
    }
    inputs.push_back({l.tensor(zero), AffineMap::get(rank + 1, 0, exprs, context)});
  }
  Value init = l.filledTensor(loc, stacks->matrixDims, l.scalars(loc).integer(type, 0));
  Value product = generic(
      l, loc, inputs, Input{init, mapWithout(l, rank + 1, {k})}, {k},
      [&](Scalars &s, ValueRange args) {
        Value x = convertInteger(s, args[0], type, a->isUnsigned());
        Value y = convertInteger(s, args[1], type, b->isUnsigned());
        if (aZeroInput >= 0)
          x = s.sub(x, convertInteger(s, args[aZeroInput], type, aZero->isUnsigned()));
        if (bZeroInput >= 0)
          y = s.sub(y, convertInteger(s, args[bZeroInput], type, bZero->isUnsigned()));
        return SmallVector<Value>{s.add(args.back(), s.mul(x, y))};
      })[0];
  product = l.reshape(loc, product, stacks->matrixDims, stacks->dims);
  return asLowered(product, stacks->dims, element);
}

FailureOr<Lowered> floatProduct(Lowering &l, Operation *op, Lowered *a, Lowered *b) {
  FailureOr<Stacks> stacks = asStacks(l, op, a, b);
  if (failed(stacks))
    return failure();
  Location loc = op->getLoc();
  Value init = l.emptyTensor(loc, stacks->matrixDims, a->element);
  Value product =
      MatmulOp::create(l.builder, loc, TypeRange(init.getType()), stacks->a, stacks->b, init)
          .getResult()[0];
  product = l.reshape(loc, product, stacks->matrixDims, stacks->dims);
  return asLowered(product, stacks->dims, a->element);
}

LogicalResult sameElement(Lowering &l, Operation *op, Lowered *a, Lowered *b) {
  if (a->element == b->element)
    return success();
  return l.fail(op, "operands have different element types; cast one of them");
}

FailureOr<Lowered> scaledProduct(Lowering &l, Operation *op, IntegerFactors &factors) {
  FailureOr<Lowered> sums = floatProduct(l, op, &factors.a, &factors.b);
  if (failed(sums))
    return failure();
  Type f32 = l.builder.getF32Type();
  return l.mapElements(op, {&*sums}, f32, [&](Scalars &s, ValueRange args) {
    return s.make<arith::MulFOp>(args[0], s.number(f32, factors.scale));
  });
}

LogicalResult lowerMatMul(Lowering &l, Operation *op) {
  Lowered *a = l.operand(op, 0), *b = l.operand(op, 1);
  if (failed(sameElement(l, op, a, b)))
    return failure();
  FailureOr<Lowered> product = failure();
  std::optional<GroupedConstants> codes;
  if (a->element.isF32() && a->rank() > 0)
    codes = groupedWeight(l, op, op->getOperand(1), /*transposed=*/false);
  std::optional<QuantizedProduct> quantized;
  if (!codes)
    quantized = quantizedProduct(l, op, op->getOperand(0), op->getOperand(1), false);
  std::optional<Weight> weight;
  if (!codes && !quantized && isSupportedFloat(a->element) && a->rank() > 0)
    weight = constantWeight(l, op->getOperand(1));
  if (codes)
    product = multiplyByCodes(l, op, a, *codes);
  else if (quantized)
    product = multiply(l, op, *quantized, quantized->x, Value());
  else if (weight)
    product = multiplyByConstant(l, op, a, *weight, Value());
  else if (std::optional<IntegerFactors> factors = integerFactors(l, op))
    product = scaledProduct(l, op, *factors);
  else if (isSupportedFloat(a->element))
    product = floatProduct(l, op, a, b);
  else if (a->isInteger())
    product = integerProduct(l, op, a, b, nullptr, nullptr, a->element);
  else
    return l.fail(op, "this element type cannot be multiplied");
  if (failed(product))
    return failure();
  l.set(op->getResult(0), *product);
  return success();
}

/// alpha A' B', where ' swaps the last two dims.
LogicalResult lowerFusedMatMul(Lowering &l, Operation *op) {
  Lowered *a = l.operand(op, 0), *b = l.operand(op, 1);
  if (failed(sameElement(l, op, a, b)))
    return failure();
  if (!isSupportedFloat(a->element))
    return l.fail(op, "operands are not floats");
  if (l.intAttr(op, "transBatchA", 0) || l.intAttr(op, "transBatchB", 0))
    return l.fail(op, "transBatchA and transBatchB are not supported; transpose the operands");
  double alpha = l.floatAttr(op, "alpha", 1);
  bool transA = l.intAttr(op, "transA", 0), transB = l.intAttr(op, "transB", 0);
  auto swapped = [&](Lowered *x) {
    int64_t rank = x->rank();
    if (rank < 2)
      return *x; // a vector has nothing to swap
    SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(rank));
    std::swap(perm[rank - 1], perm[rank - 2]);
    Dims dims = x->dims;
    std::swap(dims[rank - 1], dims[rank - 2]);
    return asLowered(l.transpose(op->getLoc(), l.tensor(x), x->dims, perm), dims, x->element);
  };
  Lowered left = transA ? swapped(a) : *a;
  FailureOr<Lowered> product = failure();
  std::optional<QuantizedProduct> quantized = quantizedProduct(l, op, op->getOperand(0), op->getOperand(1), transB);
  std::optional<Weight> weight;
  if (!quantized && a->rank() > 0)
    weight = constantWeight(l, op->getOperand(1));
  if (quantized) {
    Lowered x = transA ? swapped(quantized->x) : *quantized->x;
    product = multiply(l, op, *quantized, &x, Value());
  } else if (weight) {
    if (transB) {
      weight->transposed = !weight->transposed;
      std::swap(weight->k, weight->n);
    }
    product = multiplyByConstant(l, op, &left, *weight, Value());
  } else {
    Lowered right = transB ? swapped(b) : *b;
    product = floatProduct(l, op, &left, &right);
  }
  if (failed(product))
    return failure();
  if (alpha == 1) {
    l.set(op->getResult(0), *product);
    return success();
  }
  Type compute = accumulatorType(a->element);
  return l.elementwise(op, {&*product}, a->element, [&](Scalars &s, ValueRange args) {
    Value y = s.make<arith::MulFOp>(convertFloat(s, args[0], compute), s.number(compute, alpha));
    return convertFloat(s, y, a->element);
  });
}

/// alpha A' B' + beta C.
LogicalResult lowerGemm(Lowering &l, Operation *op) {
  Lowered *a = l.operand(op, 0), *b = l.operand(op, 1), *c = l.operand(op, 2);
  if (failed(sameElement(l, op, a, b)) || (c && failed(sameElement(l, op, a, c))))
    return failure();
  if (a->rank() != 2 || b->rank() != 2)
    return l.fail(op, "operands have ranks " + Twine(a->rank()) + " and " + Twine(b->rank()) +
                          "; it multiplies matrices");
  if (!isSupportedFloat(a->element))
    return l.fail(op, "operands are not floats; use MatMul for integers");
  double alpha = l.floatAttr(op, "alpha", 1), beta = l.floatAttr(op, "beta", 1);
  bool transA = l.intAttr(op, "transA", 0), transB = l.intAttr(op, "transB", 0);
  Location loc = op->getLoc();
  auto transposed = [&](Lowered *x) {
    Value tensor = l.transpose(loc, l.tensor(x), x->dims, {1, 0});
    return asLowered(tensor, {x->dims[1], x->dims[0]}, x->element);
  };
  Lowered left = transA ? transposed(a) : *a;

  FailureOr<Lowered> product = failure();
  bool biasDone = false;
  auto biasOf = [&](const Weight &weight) -> Value {
    biasDone = c && alpha == 1 && beta == 1 && c->rank() == 1 && c->dims[0] == weight.n;
    return biasDone ? l.tensor(c) : Value();
  };
  std::optional<GroupedConstants> codes;
  if (a->element.isF32())
    codes = groupedWeight(l, op, op->getOperand(1), transB);
  if (codes) {
    product = multiplyByCodes(l, op, &left, *codes);
  } else if (std::optional<QuantizedProduct> q = quantizedProduct(l, op, op->getOperand(0), op->getOperand(1), transB)) {
    Lowered x = transA ? transposed(q->x) : *q->x;
    product = multiply(l, op, *q, &x, q->scale ? Value() : biasOf(q->weight));
  } else if (std::optional<Weight> weight = constantWeight(l, op->getOperand(1))) {
    if (transB) {
      weight->transposed = !weight->transposed;
      std::swap(weight->k, weight->n);
    }
    Value bias = biasOf(*weight);
    product = multiplyByConstant(l, op, &left, *weight, bias);
  } else {
    Lowered right = transB ? transposed(b) : *b;
    product = floatProduct(l, op, &left, &right);
  }
  if (failed(product))
    return failure();
  bool addC = c && !biasDone && beta != 0;
  if (!addC && alpha == 1) {
    l.set(op->getResult(0), *product);
    return success();
  }

  SmallVector<Lowered *> operands = {&*product};
  if (addC) {
    // C broadcasts to the product, never the other way.
    FailureOr<Dims> dims = l.broadcast(op, {&*product, c});
    if (failed(dims))
      return failure();
    if (shapeOf(*dims) != shapeOf(product->dims))
      return l.fail(op, "C does not broadcast to the product; give it the shape [M, N], [1, N], "
                        "[M, 1], [N] or []");
    operands.push_back(c);
  }
  Type compute = accumulatorType(a->element);
  return l.elementwise(op, operands, a->element, [&](Scalars &s, ValueRange args) {
    Value y = convertFloat(s, args[0], compute);
    if (alpha != 1)
      y = s.make<arith::MulFOp>(y, s.number(compute, alpha));
    if (addC) {
      Value term = convertFloat(s, args[1], compute);
      if (beta != 1)
        term = s.make<arith::MulFOp>(term, s.number(compute, beta));
      y = s.make<arith::AddFOp>(y, term);
    }
    return convertFloat(s, y, a->element);
  });
}

bool isByte(Lowered *x) { return x->isInteger() && x->element.getIntOrFloatBitWidth() == 8; }

LogicalResult lowerMatMulInteger(Lowering &l, Operation *op) {
  Lowered *a = l.operand(op, 0), *b = l.operand(op, 1);
  if (!isByte(a) || !isByte(b))
    return l.fail(op, "operands are not 8-bit integers");
  std::optional<QuantizedProduct> byWeight = integerProductByWeight(l, op);
  FailureOr<Lowered> product = byWeight ? multiply(l, op, *byWeight, byWeight->x, Value())
                                        : integerProduct(l, op, a, b, l.operand(op, 2), l.operand(op, 3),
                                                         l.builder.getI32Type());
  if (failed(product))
    return failure();
  l.set(op->getResult(0), *product);
  return success();
}

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

/// The labels of one term: letters, and `first + i` for dim i of the ellipsis.
using Labels = SmallVector<int>;
constexpr int firstEllipsisLabel = 256;

/// The labels of `term`; the ellipsis stands for `ellipsisRank` dims.
std::optional<Labels> parseTerm(StringRef term, int64_t ellipsisRank) {
  Labels labels;
  bool sawEllipsis = false;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] == '.') {
      if (sawEllipsis || !term.substr(i).starts_with("..."))
        return std::nullopt;
      sawEllipsis = true;
      i += 2;
      for (int64_t d = 0; d < ellipsisRank; ++d)
        labels.push_back(firstEllipsisLabel + d);
    } else if (llvm::isAlpha(term[i])) {
      labels.push_back(term[i]);
    } else {
      return std::nullopt;
    }
  }
  return labels;
}

LogicalResult lowerEinsum(Lowering &l, Operation *op) {
  std::string equation = l.stringAttr(op, "equation", "");
  llvm::erase(equation, ' ');
  auto [inputSide, outputSide] = StringRef(equation).split("->");
  bool hasOutput = StringRef(equation).contains("->");
  SmallVector<StringRef> terms;
  inputSide.split(terms, ',');
  if (terms.size() != op->getNumOperands())
    return l.fail(op, "equation '" + equation + "' has " + Twine(terms.size()) +
                          " terms for " + Twine(op->getNumOperands()) + " operands");
  auto malformed = [&] { return l.fail(op, "cannot read the equation '" + equation + "'"); };

  // Ellipses of different lengths align at their end, as in broadcasting.
  SmallVector<Lowered *> operands;
  SmallVector<int64_t> ellipsisRanks;
  int64_t maxEllipsis = 0;
  for (auto [i, term] : llvm::enumerate(terms)) {
    Lowered *x = l.operand(op, i);
    if (!x || x->element != l.operand(op, 0)->element)
      return l.fail(op, "operands have different element types; cast them");
    operands.push_back(x);
    int64_t letters = llvm::count_if(term, llvm::isAlpha);
    int64_t rest = x->rank() - letters;
    if (rest < 0 || (rest > 0 && !term.contains("...")))
      return l.fail(op, "equation '" + equation + "' does not fit an operand of rank " +
                            Twine(x->rank()));
    ellipsisRanks.push_back(rest);
    maxEllipsis = std::max(maxEllipsis, rest);
  }

  llvm::MapVector<int, OpFoldResult> sizes;
  SmallVector<Labels> inputs;
  SmallVector<unsigned> uses(firstEllipsisLabel);
  for (auto [i, term] : llvm::enumerate(terms)) {
    std::optional<Labels> labels = parseTerm(term, ellipsisRanks[i]);
    if (!labels || static_cast<int64_t>(labels->size()) != operands[i]->rank())
      return malformed();
    for (int &label : *labels) {
      if (label >= firstEllipsisLabel)
        label += maxEllipsis - ellipsisRanks[i];
      else
        ++uses[label];
    }
    for (auto [label, dim] : llvm::zip(*labels, operands[i]->dims)) {
      auto [known, isNew] = sizes.insert({label, dim});
      if (isNew || isOne(dim))
        continue;
      if (isOne(known->second)) {
        known->second = dim;
        continue;
      }
      FailureOr<OpFoldResult> both =
          l.unify(op, known->second, dim, "a dimension of the equation");
      if (failed(both))
        return failure();
      sizes[label] = *both;
    }
    inputs.push_back(*labels);
  }

  std::optional<Labels> output;
  if (hasOutput) {
    output = parseTerm(outputSide, maxEllipsis);
  } else {
    // Classical mode: the ellipsis, then what occurs once, sorted.
    output = Labels();
    for (int64_t d = 0; d < maxEllipsis; ++d)
      output->push_back(firstEllipsisLabel + d);
    for (int letter = 0; letter < firstEllipsisLabel; ++letter)
      if (uses[letter] == 1)
        output->push_back(letter);
  }
  if (!output)
    return malformed();
  llvm::MapVector<int, int64_t> loops;
  Dims dims;
  for (int label : *output) {
    if (!sizes.count(label) || !loops.insert({label, loops.size()}).second)
      return malformed();
    dims.push_back(sizes[label]);
  }
  SmallVector<int64_t> reduced;
  for (auto &[label, size] : sizes)
    if (loops.insert({label, loops.size()}).second)
      reduced.push_back(loops.size() - 1);

  Type element = operands[0]->element;
  bool isFloat = isSupportedFloat(element);
  if (!isFloat && !operands[0]->isInteger())
    return l.fail(op, "this element type cannot be multiplied");
  Type type = accumulatorType(signless(element));
  Location loc = op->getLoc();
  SmallVector<Input> reads;
  for (auto [x, labels] : llvm::zip(operands, inputs)) {
    SmallVector<AffineExpr> exprs;
    for (auto [label, dim] : llvm::zip(labels, x->dims))
      exprs.push_back(isOne(dim) && !isOne(sizes[label])
                          ? l.builder.getAffineConstantExpr(0)
                          : l.builder.getAffineDimExpr(loops[label]));
    reads.push_back(
        {l.tensor(x), AffineMap::get(loops.size(), 0, exprs, l.builder.getContext())});
  }
  Scalars scalars = l.scalars(loc);
  Value zero = isFloat ? scalars.number(type, 0) : scalars.integer(type, 0);
  Value init = l.filledTensor(loc, dims, zero);
  Value sum = generic(
      l, loc, reads, Input{init, mapWithout(l, loops.size(), reduced)}, reduced,
      [&](Scalars &s, ValueRange args) {
        Value product;
        for (Value x : args.drop_back()) {
          if (isFloat)
            x = convertFloat(s, x, type);
          if (!product)
            product = x;
          else if (isFloat)
            product = s.make<arith::MulFOp>(product, x);
          else
            product = s.mul(product, x);
        }
        if (isFloat)
          return SmallVector<Value>{s.make<arith::AddFOp>(args.back(), product)};
        return SmallVector<Value>{s.add(args.back(), product)};
      })[0];
  if (type != signless(element))
    sum = pointwise(l, loc,
                    Input{sum, AffineMap::getMultiDimIdentityMap(dims.size(),
                                                                 l.builder.getContext())},
                    dims, element,
                    [&](Scalars &s, ValueRange args) { return convertFloat(s, args[0], element); });
  l.setTensor(op, 0, sum, dims, element);
  return success();
}

} // namespace

FailureOr<Lowered> sq::multiplyByConstant(Lowering &l, Operation *op, Lowered *x, const Weight &weight,
                                          Value bias) {
  Location loc = op->getLoc();
  if (failed(l.unify(op, x->dims.back(), weight.k, "the contraction dimension")))
    return failure();
  Dims rows(ArrayRef<OpFoldResult>(x->dims).drop_back());
  Dims dims = rows;
  dims.push_back(weight.n);
  Value tensor = l.tensor(x);
  Dims matrix = dims;
  if (x->rank() == 1) {
    tensor = l.reshape(loc, tensor, x->dims, {l.indexAttr(1), x->dims[0]});
    matrix = {l.indexAttr(1), weight.n};
  }
  if (weight.activation)
    tensor = quant::StorageCastOp::create(l.builder, loc, cast<RankedTensorType>(tensor.getType()).clone(weight.activation), tensor);
  Type element = weight.result ? weight.result : x->element;
  Value init = l.emptyTensor(loc, matrix, element);
  Value y = LinearOp::create(l.builder, loc, TypeRange(init.getType()), tensor, weight.tensor,
                             bias, init, weight.transposed)
                .getResult()[0];
  if (x->rank() == 1)
    y = l.reshape(loc, y, matrix, dims);
  return asLowered(y, dims, element);
}

FailureOr<Lowered> sq::multiplyByWeight(Lowering &l, Operation *op, Lowered *x, Value weight,
                                        Lowered *bias) {
  std::optional<Weight> constant = constantWeight(l, weight);
  Lowered *matrix = l.lowered(weight);
  if (!matrix || matrix->rank() != 2 || x->rank() < 1 || !isSupportedFloat(x->element) ||
      matrix->element != x->element)
    return l.fail(op, "its weight is not a matrix of the input's type");
  OpFoldResult rows = constant ? constant->n : matrix->dims[1];
  if (bias && (bias->rank() != 1 || bias->element != x->element ||
               failed(l.unify(op, bias->dims[0], rows, "the bias"))))
    return l.fail(op, "its bias is not a vector as long as the product's rows");
  if (constant)
    return multiplyByConstant(l, op, x, *constant, bias ? l.tensor(bias) : Value());
  FailureOr<Lowered> product = floatProduct(l, op, x, matrix);
  if (failed(product) || !bias)
    return product;
  Type compute = accumulatorType(x->element);
  return l.mapElements(op, {&*product, bias}, x->element, [&](Scalars &s, ValueRange args) {
    Value sum = s.make<arith::AddFOp>(convertFloat(s, args[0], compute),
                                      convertFloat(s, args[1], compute));
    return convertFloat(s, sum, x->element);
  });
}

FailureOr<Lowered> sq::multiplyByMatrix(Lowering &l, Operation *op, Lowered *x, Lowered *matrix,
                                        bool transposed) {
  if (std::optional<Weight> weight = constantWeight(l, *matrix, transposed))
    return multiplyByConstant(l, op, x, *weight, Value());
  if (!transposed)
    return floatProduct(l, op, x, matrix);
  Value swapped = l.transpose(op->getLoc(), l.tensor(matrix), matrix->dims, {1, 0});
  Lowered right = asLowered(swapped, {matrix->dims[1], matrix->dims[0]}, matrix->element);
  return floatProduct(l, op, x, &right);
}

void sq::registerContractions(LoweringTable &table) {
  table.add("MatMul", 2, lowerMatMul);
  table.add("Gemm", 2, lowerGemm);
  table.addMicrosoft("FusedMatMul", 2, lowerFusedMatMul);
  table.add("MatMulInteger", 2, lowerMatMulInteger);
  table.add("Einsum", 1, lowerEinsum);
}
