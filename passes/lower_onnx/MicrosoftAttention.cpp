/// Attention, MultiHeadAttention, GroupQueryAttention and RotaryEmbedding of
/// onnxruntime (domain com.microsoft).
///
/// Source: ContribOperators.md of onnxruntime 1.23. What is not supported is
/// refused: packed and shared buffers, windows, and quantised caches.

#include "passes/lower_onnx/Attention.h"
#include "passes/lower_onnx/Contractions.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace mlir;
using namespace sq;

/// Refuses attributes whose other values would change the meaning.
static LogicalResult requireDefaults(Lowering &l, Operation *op,
                                     ArrayRef<std::pair<StringRef, int64_t>> values) {
  for (auto [name, value] : values)
    if (l.intAttr(op, name, value) != value)
      return l.fail(op, "attribute " + name + " = " + Twine(l.intAttr(op, name, value)) +
                            " is not supported, only " + Twine(value));
  return success();
}

static LogicalResult requireAbsent(Lowering &l, Operation *op,
                                   ArrayRef<std::pair<unsigned, StringRef>> operands) {
  for (auto [i, name] : operands)
    if (l.operand(op, i))
      return l.fail(op, "its input " + name + " is not supported");
  return success();
}

static double scaleOf(Lowering &l, Operation *op, const Heads &q) {
  double given = l.floatAttr(op, "scale", 0);
  return given != 0 ? given : 1 / std::sqrt(static_cast<double>(*staticDim(q.dims[3])));
}

/// A mask of ones and zeros: [b, t], [b, s, t], or the number of keys [b].
static LogicalResult addPaddingMask(Lowering &l, Operation *op, Lowered *mask, OpFoldResult batch,
                                    Masking &masking) {
  if (!mask)
    return success();
  masking.fill = l.floatAttr(op, "mask_filter_value", -10000);
  if (!mask->isInteger())
    return l.fail(op, "its mask is not of integers");
  switch (mask->rank()) {
  case 1:
    // Start and end positions are told apart by their number, 2b or 3b + 2.
    if (failed(l.unify(op, mask->dims[0], batch, "the mask of one number per row")))
      return failure();
    masking.lengths = mask;
    return success();
  case 2:
    masking.keep = atDims(l, op->getLoc(), mask, {0, 3});
    return success();
  case 3:
    masking.keep = atDims(l, op->getLoc(), mask, {0, 2, 3});
    return success();
  default:
    return l.fail(op, "its mask has rank " + Twine(mask->rank()) + "; it can be 1 to 3");
  }
}

static LogicalResult addBias(Lowering &l, Operation *op, Lowered *bias, const Heads &q,
                             Masking &masking) {
  if (!bias)
    return success();
  if (bias->element != q.element || bias->rank() != 4)
    return l.fail(op, "its attention bias is not [batch, heads, sequence, keys] of the queries' type");
  masking.additive.push_back(*bias);
  return success();
}

/// past[i] of [2, b, h, p, d].
static Lowered halfOf(Lowering &l, Location loc, Lowered *past, int64_t i) {
  Dims offsets(5, l.indexAttr(0)), strides(5, l.indexAttr(1)), dims = past->dims;
  offsets[0] = l.indexAttr(i);
  dims[0] = l.indexAttr(1);
  Value slice = sliceOf(l, loc, l.tensor(past), offsets, dims, strides, dims, past->element);
  Lowered half;
  half.element = past->element;
  half.dims.assign(dims.begin() + 1, dims.end());
  half.stored = half.dims;
  half.tensor = l.reshape(loc, slice, dims, half.dims);
  return half;
}

/// input, weights, bias, mask_index, past, attention_bias, past_sequence_length
/// -> output, present.
static LogicalResult lowerAttention(Lowering &l, Operation *op) {
  Location loc = op->getLoc();
  Lowered *x = l.operand(op, 0);
  int64_t count = l.intAttr(op, "num_heads", 0);
  if (failed(requireDefaults(l, op, {{"do_rotary", 0}, {"past_present_share_buffer", 0}})) ||
      failed(requireAbsent(l, op, {{6, "past_sequence_length"}})))
    return failure();
  if (x->rank() != 3)
    return l.fail(op, "its input has rank " + Twine(x->rank()) + "; it must be 3");
  FailureOr<Lowered> qkv = multiplyByWeight(l, op, x, op->getOperand(1), l.operand(op, 2));
  if (failed(qkv))
    return failure();
  std::optional<int64_t> width = staticDim(qkv->dims[2]);
  SmallVector<int64_t> sizes;
  if (auto given = l.intsAttr(op, "qkv_hidden_sizes"))
    sizes = *given;
  else if (width)
    sizes.assign(3, *width / 3);
  bool areSizes = width && llvm::all_of(sizes, [&](int64_t size) { return size >= 0 && size <= *width; });
  if (!areSizes || sizes.size() != 3 || sizes[0] > *width - sizes[1] || *width - sizes[0] - sizes[1] != sizes[2])
    return l.fail(op, "the sizes of q, k and v do not add up to the width of the weight");
  Heads all{l.tensor(&*qkv), qkv->dims, x->element};
  SmallVector<Heads, 3> parts;
  int64_t offset = 0;
  for (int64_t size : sizes) {
    Heads part = sliceLast(l, loc, all, offset, size);
    FailureOr<Heads> heads =
        splitHeads(l, op, part.tensor, part.dims, x->element, count, "q, k or v");
    if (failed(heads))
      return failure();
    parts.push_back(*heads);
    offset += size;
  }
  Heads q = parts[0], k = parts[1], v = parts[2], presentKey, presentValue;
  Masking masking;
  if (l.intAttr(op, "unidirectional", 0))
    masking.past = l.indexAttr(0);
  Lowered *past = l.operand(op, 4);
  if (past) {
    if (past->rank() != 5)
      return l.fail(op, "its past is not [2, batch, heads, sequence, size]");
    if (failed(l.unify(op, past->dims[0], l.indexAttr(2), "dimension 0 of the past")))
      return failure();
    if (masking.past)
      masking.past = past->dims[3];
  }
  Lowered pastKey, pastValue;
  if (past) {
    pastKey = halfOf(l, loc, past, 0);
    pastValue = halfOf(l, loc, past, 1);
  }
  FailureOr<Heads> allKeys = appendTo(l, op, k, past ? &pastKey : nullptr, presentKey);
  FailureOr<Heads> allValues =
      failed(allKeys) ? allKeys : appendTo(l, op, v, past ? &pastValue : nullptr, presentValue);
  if (failed(allValues) || failed(addPaddingMask(l, op, l.operand(op, 3), q.dims[0], masking)) ||
      failed(addBias(l, op, l.operand(op, 5), q, masking)))
    return failure();
  FailureOr<Heads> y = attend(l, op, q, *allKeys, *allValues, masking, scaleOf(l, op, q));
  if (failed(y))
    return failure();
  setHeads(l, op, 0, mergeHeads(l, loc, *y));
  if (op->getNumResults() > 1 && !op->getResult(1).use_empty()) {
    Dims dims = presentKey.dims;
    dims.insert(dims.begin(), l.indexAttr(2));
    Value present = l.emptyTensor(loc, dims, x->element);
    Heads halves[] = {presentKey, presentValue};
    for (auto [i, half] : llvm::enumerate(halves)) {
      Dims offsets(5, l.indexAttr(0)), strides(5, l.indexAttr(1)), sizes = dims;
      offsets[0] = l.indexAttr(i);
      sizes[0] = l.indexAttr(1);
      present = tensor::InsertSliceOp::create(l.builder, loc, half.tensor, present, offsets, sizes, strides);
    }
    l.setTensor(op, 1, present, dims, x->element);
  }
  return success();
}

/// Operand i as heads: [b, s, h * d] plus its part of the bias, or [b, h, s, d].
static FailureOr<Heads> headsOf(Lowering &l, Operation *op, unsigned i, int64_t count, Lowered *bias,
                                int64_t &biasOffset, StringRef what) {
  Location loc = op->getLoc();
  Lowered *x = l.operand(op, i);
  if (x->rank() == 4) {
    if (bias)
      return l.fail(op, "a bias for keys that are split into heads is not supported");
    return swapHeads(l, loc, {l.tensor(x), x->dims, x->element});
  }
  if (x->rank() != 3)
    return l.fail(op, what + " has rank " + Twine(x->rank()) + "; packed tensors are not supported");
  Heads flat{l.tensor(x), x->dims, x->element};
  if (bias) {
    std::optional<int64_t> width = staticDim(x->dims[2]), whole = staticDim(bias->dims[0]);
    if (!width || !whole || bias->rank() != 1 || biasOffset + *width > *whole)
      return l.fail(op, "its bias is not as long as q, k and v together");
    Heads own = sliceLast(l, loc, {l.tensor(bias), bias->dims, bias->element}, biasOffset, *width);
    biasOffset += *width;
    AffineMap all = l.builder.getMultiDimIdentityMap(3);
    AffineMap last = AffineMap::get(3, 0, l.builder.getAffineDimExpr(2));
    flat.tensor = pointwise(l, loc, {{flat.tensor, all}, {own.tensor, last}}, x->dims, x->element,
                            [](Scalars &s, ValueRange args) {
                              return s.make<arith::AddFOp>(args[0], args[1]);
                            });
  }
  return splitHeads(l, op, flat.tensor, flat.dims, flat.element, count, what);
}

/// query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value
/// -> output, present_key, present_value.
static LogicalResult lowerMultiHeadAttention(Lowering &l, Operation *op) {
  Location loc = op->getLoc();
  int64_t count = l.intAttr(op, "num_heads", 0), biasOffset = 0;
  if (failed(requireAbsent(l, op, {{8, "past_sequence_length"}, {9, "cache_indirection"}})))
    return failure();
  if (!l.operand(op, 1) || !l.operand(op, 2))
    return l.fail(op, "key or value is missing; packed tensors are not supported");
  Lowered *bias = l.operand(op, 3);
  SmallVector<Heads, 3> parts;
  const char *names[] = {"query", "key", "value"};
  for (auto [i, what] : llvm::enumerate(names)) {
    FailureOr<Heads> heads = headsOf(l, op, i, count, bias, biasOffset, what);
    if (failed(heads))
      return failure();
    parts.push_back(*heads);
  }
  Heads q = parts[0], presentKey, presentValue;
  if (!staticDim(q.dims[3]))
    return l.fail(op, "the size of a head is not static");
  Lowered *pastKey = l.operand(op, 6), *pastValue = l.operand(op, 7);
  if (!pastKey != !pastValue)
    return l.fail(op, "past_key and past_value must be given together");
  FailureOr<Heads> k = appendTo(l, op, parts[1], pastKey, presentKey);
  FailureOr<Heads> v = failed(k) ? k : appendTo(l, op, parts[2], pastValue, presentValue);
  Masking masking;
  if (l.intAttr(op, "unidirectional", 0))
    masking.past = pastKey ? pastKey->dims[2] : l.indexAttr(0);
  if (failed(v) || failed(addPaddingMask(l, op, l.operand(op, 4), q.dims[0], masking)) ||
      failed(addBias(l, op, l.operand(op, 5), q, masking)))
    return failure();
  FailureOr<Heads> y = attend(l, op, q, *k, *v, masking, scaleOf(l, op, q));
  if (failed(y))
    return failure();
  setHeads(l, op, 0, mergeHeads(l, loc, *y));
  setHeads(l, op, 1, presentKey);
  setHeads(l, op, 2, presentValue);
  return success();
}

/// [b, s] with `first` + s, or per row where `first` is a tensor.
static Lowered positionsFrom(Lowering &l, Location loc, OpFoldResult batch, OpFoldResult sequence,
                             function_ref<Value(Scalars &, ValueRange)> first,
                             ArrayRef<Input> inputs) {
  Dims dims = {batch, sequence};
  Lowered positions;
  positions.element = l.builder.getI64Type();
  positions.dims = positions.stored = dims;
  positions.tensor = pointwise(l, loc, inputs, dims, positions.element, [&](Scalars &s, ValueRange args) {
    return s.add(first(s, args), s.toI64(loopIndex(s, 1)));
  });
  return positions;
}

/// query, key, value, past_key, past_value, seqlens_k, total_sequence_length,
/// cos_cache, sin_cache, position_ids, attention_bias, head_sink
/// -> output, present_key, present_value.
static LogicalResult lowerGroupQueryAttention(Lowering &l, Operation *op) {
  Location loc = op->getLoc();
  int64_t count = l.intAttr(op, "num_heads", 0), own = l.intAttr(op, "kv_num_heads", 0);
  if (failed(requireDefaults(l, op, {{"local_window_size", -1}, {"smooth_softmax", 0},
                                     {"qk_output", 0}})) ||
      failed(requireAbsent(l, op, {{9, "position_ids"}, {11, "head_sink"}})))
    return failure();
  Lowered *query = l.operand(op, 0), *key = l.operand(op, 1), *value = l.operand(op, 2);
  Lowered *pastKey = l.operand(op, 3), *pastValue = l.operand(op, 4), *lengths = l.operand(op, 5);
  if (!key != !value || !pastKey != !pastValue)
    return l.fail(op, "of key and value, or their pasts, only one is given");
  if (query->rank() != 3)
    return l.fail(op, "query has rank " + Twine(query->rank()) + "; it must be 3");
  SmallVector<Heads, 3> parts;
  auto add = [&](const Heads &flat, int64_t heads, StringRef what) -> LogicalResult {
    FailureOr<Heads> split = splitHeads(l, op, flat.tensor, flat.dims, flat.element, heads, what);
    if (succeeded(split))
      parts.push_back(*split);
    return success(succeeded(split));
  };
  Heads all{l.tensor(query), query->dims, query->element};
  if (key) {
    if (failed(add(all, count, "query")) ||
        failed(add({l.tensor(key), key->dims, key->element}, own, "key")) ||
        failed(add({l.tensor(value), value->dims, value->element}, own, "value")))
      return failure();
  } else {
    std::optional<int64_t> width = staticDim(query->dims[2]);
    if (!width || count < 1 || own < 1 || own > *width / 2 || count > *width - 2 * own || *width % (count + 2 * own))
      return l.fail(op, "the packed query is not as wide as the heads of q, k and v together");
    int64_t size = *width / (count + 2 * own);
    if (failed(add(sliceLast(l, loc, all, 0, count * size), count, "query")) ||
        failed(add(sliceLast(l, loc, all, count * size, own * size), own, "key")) ||
        failed(add(sliceLast(l, loc, all, (count + own) * size, own * size), own, "value")))
      return failure();
  }
  Heads q = parts[0], presentKey, presentValue;
  if (!lengths || lengths->rank() != 1 || !lengths->isInteger())
    return l.fail(op, "seqlens_k is not one integer per row");
  if (pastKey && pastKey->rank() != 4)
    return l.fail(op, "past_key has rank " + Twine(pastKey->rank()) + "; it must be 4");
  OpFoldResult past = pastKey ? pastKey->dims[2] : l.indexAttr(0);

  // Rows may differ in length only in a prompt, where what lies behind a row's
  // end is hidden from it by causality. With a past every row must fill it.
  Value pastSize = l.i64Value(past), queries = l.i64Value(q.dims[1]);
  std::string message = nodeName(op) + ": seqlens_k must be the past's length plus the new keys' less 1";
  AffineMap row = AffineMap::get(2, 0, l.builder.getAffineDimExpr(0));
  Lowered positions = positionsFrom(
      l, loc, q.dims[0], q.dims[1],
      [&](Scalars &s, ValueRange args) {
        Type i64 = s.builder.getI64Type();
        Value total = s.add(convertInteger(s, args[0], i64, false), s.integer(i64, 1));
        Value fills = s.compare(arith::CmpIPredicate::eq, total, s.add(pastSize, queries));
        Value isPrompt = s.compare(arith::CmpIPredicate::eq, pastSize, s.integer(i64, 0));
        cf::AssertOp::create(s.builder, s.loc, s.make<arith::OrIOp>(fills, isPrompt), message);
        return pastSize;
      },
      Input{l.tensor(lengths), row});
  if (l.intAttr(op, "do_rotary", 0)) {
    Lowered *cos = l.operand(op, 7), *sin = l.operand(op, 8);
    if (!cos || !sin)
      return l.fail(op, "cos_cache or sin_cache is missing");
    bool interleaved = l.intAttr(op, "rotary_interleaved", 0);
    for (unsigned i : {0u, 1u}) {
      FailureOr<Heads> turned = rotate(l, op, parts[i], cos, sin, &positions, interleaved);
      if (failed(turned))
        return failure();
      parts[i] = *turned;
    }
    q = parts[0];
  }
  FailureOr<Heads> k = appendTo(l, op, parts[1], pastKey, presentKey);
  FailureOr<Heads> v = failed(k) ? k : appendTo(l, op, parts[2], pastValue, presentValue);
  Masking masking;
  masking.past = past;
  if (failed(v) || failed(addBias(l, op, l.operand(op, 10), q, masking)))
    return failure();
  AttentionExtras extras;
  extras.softcap = l.floatAttr(op, "softcap", 0);
  FailureOr<Heads> y = attend(l, op, q, *k, *v, masking, scaleOf(l, op, q), extras);
  if (failed(y))
    return failure();
  setHeads(l, op, 0, mergeHeads(l, loc, *y));
  setHeads(l, op, 1, presentKey);
  setHeads(l, op, 2, presentValue);
  return success();
}

/// input [b, s, h * d] or [b, h, s, d], position_ids [b, s] or the first [1], cos_cache, sin_cache.
static LogicalResult lowerRotaryEmbedding(Lowering &l, Operation *op) {
  Location loc = op->getLoc();
  Lowered *x = l.operand(op, 0), *given = l.operand(op, 1), *cos = l.operand(op, 2);
  if (failed(requireDefaults(l, op, {{"is_packed_batching", 0}})))
    return failure();
  if (l.floatAttr(op, "scale", 1) != 1)
    return l.fail(op, "a scale is not supported");
  if (cos->rank() != 2 || !given->isInteger())
    return l.fail(op, "cos_cache is no matrix, or position_ids are not integers");
  bool isFlat = x->rank() == 3;
  int64_t count = l.intAttr(op, "num_heads", 0);
  std::optional<int64_t> angles = staticDim(cos->dims[1]);
  std::optional<int64_t> width = staticDim(x->dims.back());
  if (isFlat && count == 0 && angles && width && *angles > 0)
    count = *width / 2 / *angles;
  FailureOr<Heads> heads = failure();
  if (isFlat)
    heads = splitHeads(l, op, l.tensor(x), x->dims, x->element, count, "the input");
  else if (x->rank() == 4)
    heads = swapHeads(l, loc, {l.tensor(x), x->dims, x->element});
  else
    return l.fail(op, "its input has rank " + Twine(x->rank()) + "; it can be 3 or 4");
  if (failed(heads))
    return failure();
  Lowered positions = *given;
  if (given->rank() == 1) {
    Value first = readScalar(l, loc, given);
    bool isUnsigned = given->isUnsigned();
    Value wide;
    {
      Scalars s = l.scalars(loc);
      wide = convertInteger(s, first, l.builder.getI64Type(), isUnsigned);
    }
    positions = positionsFrom(l, loc, l.indexAttr(1), heads->dims[1],
                              [&](Scalars &, ValueRange) { return wide; }, {});
  } else if (given->rank() != 2) {
    return l.fail(op, "position_ids have rank " + Twine(given->rank()) + "; it can be 1 or 2");
  }
  FailureOr<Heads> y = rotate(l, op, *heads, cos, l.operand(op, 3), &positions,
                              l.intAttr(op, "interleaved", 0));
  if (failed(y))
    return failure();
  setHeads(l, op, 0, isFlat ? mergeHeads(l, loc, *y) : swapHeads(l, loc, *y));
  return success();
}

void sq::registerMicrosoft(LoweringTable &table) {
  table.addMicrosoft("Attention", 2, lowerAttention);
  table.addMicrosoft("MultiHeadAttention", 1, lowerMultiHeadAttention);
  table.addMicrosoft("GroupQueryAttention", 1, lowerGroupQueryAttention);
  table.addMicrosoft("RotaryEmbedding", 4, lowerRotaryEmbedding);
}
