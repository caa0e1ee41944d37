/// Attention of ONNX (opset 23), and what onnxruntime's operators share with it.

#include "passes/lower_onnx/Attention.h"

#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace mlir;
using namespace sq;

static Lowered loweredHeads(const Heads &x) {
  Lowered result;
  result.element = x.element;
  result.dims = result.stored = x.dims;
  result.tensor = x.tensor;
  return result;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<Heads> sq::splitHeads(Lowering &l, Operation *op, Value tensor, const Dims &dims,
                                Type element, int64_t heads, StringRef what) {
  std::optional<int64_t> width = dims.size() == 3 ? staticDim(l.resolve(dims[2])) : std::nullopt;
  if (!width || heads <= 0 || *width % heads)
    return l.fail(op, what + " is not [batch, sequence, " + Twine(heads) +
                          " heads * a static size]");
  Dims split = {dims[0], dims[1], l.indexAttr(heads), l.indexAttr(*width / heads)};
  return Heads{l.reshape(op->getLoc(), tensor, dims, split), split, element};
}

Heads sq::swapHeads(Lowering &l, Location loc, Heads x) {
  x.tensor = l.transpose(loc, x.tensor, x.dims, {0, 2, 1, 3});
  std::swap(x.dims[1], x.dims[2]);
  return x;
}

Heads sq::mergeHeads(Lowering &l, Location loc, Heads x) {
  Dims merged = {x.dims[0], x.dims[1], l.multiply(x.dims[2], x.dims[3])};
  return {l.reshape(loc, x.tensor, x.dims, merged), merged, x.element};
}

void sq::setHeads(Lowering &l, Operation *op, unsigned i, const Heads &x) {
  if (i < op->getNumResults() && !op->getResult(i).use_empty())
    l.setTensor(op, i, x.tensor, x.dims, x.element);
}

Lowered sq::atDims(Lowering &l, Location loc, Lowered *value, ArrayRef<unsigned> places) {
  Dims dims(4, l.indexAttr(1));
  for (auto [dim, place] : llvm::zip(value->dims, places))
    dims[place] = dim;
  return loweredHeads({l.reshape(loc, l.tensor(value), value->dims, dims), dims, value->element});
}

Heads sq::sliceLast(Lowering &l, Location loc, const Heads &x, int64_t offset, int64_t size) {
  Dims offsets(x.dims.size(), l.indexAttr(0)), strides(x.dims.size(), l.indexAttr(1));
  offsets.back() = l.indexAttr(offset);
  Dims dims = x.dims;
  dims.back() = l.indexAttr(size);
  return {sliceOf(l, loc, x.tensor, offsets, dims, strides, dims, x.element), dims, x.element};
}

/// The tensor with the static sizes that its dims have got by `unify`.
static Heads refine(Lowering &l, Location loc, Heads x) {
  for (OpFoldResult &dim : x.dims)
    dim = l.resolve(dim);
  RankedTensorType type = tensorType(x.dims, signless(x.element));
  if (x.tensor.getType() != type)
    x.tensor = tensor::CastOp::create(l.builder, loc, type, x.tensor);
  return x;
}

Value sq::insertAt(Lowering &l, Location loc, const Heads &part, Value into, int64_t axis,
                   OpFoldResult offset) {
  Heads x = refine(l, loc, part);
  Dims offsets(x.dims.size(), l.indexAttr(0)), strides(x.dims.size(), l.indexAttr(1));
  offsets[axis] = offset;
  return tensor::InsertSliceOp::create(l.builder, loc, x.tensor, into, offsets, x.dims, strides);
}

FailureOr<Heads> sq::appendTo(Lowering &l, Operation *op, Heads x, Lowered *past, Heads &present) {
  Location loc = op->getLoc();
  Heads swapped = swapHeads(l, loc, x);
  if (!past) {
    present = swapped;
    return x;
  }
  if (past->rank() != 4 || past->element != x.element)
    return l.fail(op, "a past is not [batch, heads, sequence, size] of the keys' element type");
  Dims dims = swapped.dims;
  for (unsigned i : {0u, 1u, 3u}) {
    FailureOr<OpFoldResult> dim =
        l.unify(op, dims[i], past->dims[i], "dimension " + Twine(i) + " of the past");
    if (failed(dim))
      return failure();
    dims[i] = swapped.dims[i] = *dim;
  }
  dims[2] = l.add(past->dims[2], swapped.dims[2]);
  Heads before{l.tensor(past), dims, past->element};
  before.dims[2] = past->dims[2];
  before = refine(l, loc, before);
  swapped = refine(l, loc, swapped);
  Value all = l.emptyTensor(loc, dims, x.element);
  all = insertAt(l, loc, before, all, 2, l.indexAttr(0));
  all = insertAt(l, loc, swapped, all, 2, past->dims[2]);
  present = {all, dims, x.element};
  return swapHeads(l, loc, present);
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// All masks as one additive tensor of rank 4, null when nothing is masked.
static FailureOr<Value> additiveMask(Lowering &l, Operation *op, const Masking &masking,
                                     const Dims &scores, Type element, bool withCausal) {
  Location loc = op->getLoc();
  std::optional<Lowered> sum;
  auto addTo = [&](Lowered part) -> LogicalResult {
    FailureOr<Dims> dims = l.broadcast(op, part.dims, scores);
    if (failed(dims))
      return failure();
    bool fits = dims->size() == 4;
    for (int i = 0; fits && i < 4; ++i)
      fits = !isOne(scores[i]) || isOne((*dims)[i]);
    if (!fits)
      return l.fail(op, "a mask does not broadcast to [batch, heads, sequence, keys]");
    if (!sum) {
      sum = part;
      return success();
    }
    FailureOr<Lowered> both =
        l.mapElements(op, {&*sum, &part}, element, [](Scalars &s, ValueRange args) {
          return s.make<arith::AddFOp>(args[0], args[1]);
        });
    if (succeeded(both))
      sum = *both;
    return success(succeeded(both));
  };
  for (const Lowered &part : masking.additive)
    if (failed(addTo(part)))
      return failure();
  if (masking.keep) {
    Lowered keep = *masking.keep;
    FailureOr<Lowered> part = l.mapElements(op, {&keep}, element, [&](Scalars &s, ValueRange args) {
      Value kept = args[0];
      if (!kept.getType().isInteger(1))
        kept = s.compare(arith::CmpIPredicate::ne, kept, s.integer(kept.getType(), 0));
      return s.select(kept, s.number(element, 0), s.number(element, masking.fill));
    });
    if (failed(part) || failed(addTo(*part)))
      return failure();
  }
  Dims keys = {l.indexAttr(1), l.indexAttr(1), l.indexAttr(1), scores[3]};
  if (masking.lengths) {
    Dims dims = keys;
    dims[0] = masking.lengths->dims[0];
    AffineMap batch = AffineMap::get(4, 0, l.builder.getAffineDimExpr(0));
    Type index = l.builder.getI64Type();
    Value part = pointwise(l, loc, Input{l.tensor(masking.lengths), batch}, dims, element,
                           [&](Scalars &s, ValueRange args) {
                             Value length = convertInteger(s, args[0], index, false);
                             Value seen = s.compare(arith::CmpIPredicate::slt,
                                                    s.toI64(loopIndex(s, 3)), length);
                             return s.select(seen, s.number(element, 0),
                                             s.number(element, masking.fill));
                           });
    if (failed(addTo(loweredHeads({part, dims, element}))))
      return failure();
  }
  if (masking.past && withCausal) {
    Dims dims = keys;
    dims[2] = scores[2];
    Value past = l.i64Value(*masking.past);
    Value part = pointwise(l, loc, {}, dims, element, [&](Scalars &s, ValueRange) {
      Value last = s.add(s.toI64(loopIndex(s, 2)), past);
      Value seen = s.compare(arith::CmpIPredicate::sle, s.toI64(loopIndex(s, 3)), last);
      return s.select(seen, s.number(element, 0),
                      s.number(element, -std::numeric_limits<double>::infinity()));
    });
    if (failed(addTo(loweredHeads({part, dims, element}))))
      return failure();
  }
  if (!sum)
    return Value();
  // sq.attention wants rank 4 and a mask that runs over the keys.
  Dims dims(4 - sum->dims.size(), l.indexAttr(1));
  Dims stored = sum->tensor ? sum->stored : sum->dims;
  dims.assign(4, l.indexAttr(1));
  for (auto [i, dim] : llvm::enumerate(stored))
    dims[4 - stored.size() + i] = dim;
  if (isOne(dims[3]) && !isOne(scores[3])) {
    dims[3] = scores[3];
    return broadcastTo(l, loc, &*sum, dims);
  }
  return l.reshape(loc, sum->tensor ? l.storedTensor(&*sum) : l.tensor(&*sum), stored, dims);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// [b, g, t, d] with each head h / g times; h and g are the same or static.
static Heads repeatHeads(Lowering &l, Location loc, Heads x, OpFoldResult heads) {
  if (l.resolve(x.dims[1]) == l.resolve(heads))
    return x;
  Dims five = x.dims;
  five.insert(five.begin() + 2, l.indexAttr(*staticDim(heads) / *staticDim(x.dims[1])));
  SmallVector<AffineExpr> from;
  for (unsigned i : {0, 1, 3, 4})
    from.push_back(l.builder.getAffineDimExpr(i));
  Value repeated =
      pointwise(l, loc, Input{x.tensor, AffineMap::get(5, 0, from, l.builder.getContext())}, five,
                x.element, [](Scalars &, ValueRange args) { return args[0]; });
  x.dims[1] = heads;
  x.tensor = l.reshape(loc, repeated, five, x.dims);
  return x;
}

/// The same with every step a tensor, for what sq.attention does not say.
static FailureOr<Heads> attendInSteps(Lowering &l, Operation *op, Heads q, Heads k, Heads v,
                                      Value mask, double scale, const AttentionExtras &extras) {
  Location loc = op->getLoc();
  OpFoldResult heads = q.dims[2];
  q = swapHeads(l, loc, q);
  k = repeatHeads(l, loc, swapHeads(l, loc, k), heads);
  v = repeatHeads(l, loc, swapHeads(l, loc, v), heads);
  k.tensor = l.transpose(loc, k.tensor, k.dims, {0, 1, 3, 2});
  std::swap(k.dims[2], k.dims[3]);
  auto multiply = [&](const Heads &a, const Heads &b) {
    Dims dims = {a.dims[0], a.dims[1], a.dims[2], b.dims[3]};
    Value init = l.emptyTensor(loc, dims, a.element);
    Value c = MatmulOp::create(l.builder, loc, TypeRange(init.getType()), a.tensor, b.tensor, init)
                  .getResult()[0];
    return Heads{c, dims, a.element};
  };
  Type type = accumulatorType(q.element);
  auto map = [&](Heads x, ScalarFn fn) {
    AffineMap identity = l.builder.getMultiDimIdentityMap(4);
    x.tensor = pointwise(l, loc, Input{x.tensor, identity}, x.dims, x.element,
                         [&](Scalars &s, ValueRange args) {
                           return convertFloat(s, fn(s, convertFloat(s, args[0], type)), x.element);
                         });
    return x;
  };
  auto keep = [&](int64_t mode, const Heads &scores) {
    if (extras.scoresMode == mode)
      setHeads(l, op, extras.scoresResult, scores);
  };
  Heads scores = map(multiply(q, k), [&](Scalars &s, ValueRange args) {
    return s.make<arith::MulFOp>(args[0], s.number(type, scale));
  });
  keep(0, scores);
  if (extras.softcap > 0)
    scores = map(scores, [&](Scalars &s, ValueRange args) {
      Value x = s.make<math::TanhOp>(s.make<arith::DivFOp>(args[0], s.number(type, extras.softcap)));
      return s.make<arith::MulFOp>(x, s.number(type, extras.softcap));
    });
  keep(1, scores);
  if (mask) {
    Lowered a = loweredHeads(scores);
    Dims dims;
    for (auto [size, whole] : llvm::zip(cast<RankedTensorType>(mask.getType()).getShape(), scores.dims))
      dims.push_back(size == 1 ? l.indexAttr(1) : whole);
    Lowered b = loweredHeads({mask, dims, q.element});
    FailureOr<Lowered> sum = l.mapElements(op, {&a, &b}, q.element, [](Scalars &s, ValueRange args) {
      return s.make<arith::AddFOp>(args[0], args[1]);
    });
    if (failed(sum))
      return failure();
    scores.tensor = l.tensor(&*sum);
  }
  keep(2, scores);
  scores.tensor = softmax(l, loc, scores.tensor, scores.dims, scores.element);
  keep(3, scores);
  return swapHeads(l, loc, multiply(scores, v));
}

FailureOr<Heads> sq::attend(Lowering &l, Operation *op, Heads q, Heads k, Heads v, Masking masking,
                            double scale, AttentionExtras extras) {
  if (!isSupportedFloat(q.element) || k.element != q.element || v.element != q.element)
    return l.fail(op, "queries, keys and values are not floats of one type; cast them");
  auto unify = [&](Heads &a, Heads &b, unsigned i, StringRef what) {
    FailureOr<OpFoldResult> dim = l.unify(op, a.dims[i], b.dims[i], what);
    if (succeeded(dim))
      a.dims[i] = b.dims[i] = *dim;
    return succeeded(dim);
  };
  if (!unify(q, k, 0, "the batch") || !unify(k, v, 0, "the batch") || !unify(q, k, 3, "the size of a head") ||
      !unify(k, v, 1, "the number of keys") || !unify(k, v, 2, "the number of heads of keys and values"))
    return failure();
  q.dims[0] = k.dims[0];
  q = refine(l, op->getLoc(), q);
  k = refine(l, op->getLoc(), k);
  v = refine(l, op->getLoc(), v);
  std::optional<int64_t> heads = staticDim(q.dims[2]), own = staticDim(k.dims[2]);
  bool areGrouped = l.resolve(q.dims[2]) != l.resolve(k.dims[2]);
  if (areGrouped && (!heads || !own || *own == 0 || *heads == 0 || *heads % *own))
    return l.fail(op, "the number of heads of keys and values must be that of queries, or both be static and "
                      "the one divide the other");
  Location loc = op->getLoc();
  Dims scores = {q.dims[0], q.dims[2], q.dims[1], k.dims[1]};
  bool isComposite = k.dims[3] == v.dims[3] && staticDim(q.dims[3]) && extras.softcap <= 0 &&
                     extras.scoresMode < 0 && q.element.isF32();
  // The queries are the last of the keys.
  bool isCausal = isComposite && masking.past &&
                  l.resolve(l.add(*masking.past, q.dims[1])) == l.resolve(k.dims[1]);
  FailureOr<Value> mask = additiveMask(l, op, masking, scores, q.element, !isCausal);
  if (failed(mask))
    return failure();
  if (!isComposite)
    return attendInSteps(l, op, q, k, v, *mask, scale, extras);
  Value init = l.emptyTensor(loc, q.dims, q.element);
  Value y = AttentionOp::create(l.builder, loc, TypeRange(init.getType()), q.tensor, k.tensor,
                                v.tensor, *mask, init,
                                l.builder.getF32FloatAttr(static_cast<float>(scale)),
                                isCausal ? l.builder.getUnitAttr() : UnitAttr())
                .getResult()[0];
  return Heads{y, q.dims, q.element};
}

/// A mask whose last dim is shorter than the number of keys, which are then hidden.
static Lowered padMask(Lowering &l, Location loc, Lowered *mask, OpFoldResult keys) {
  std::optional<int64_t> size = staticDim(mask->dims.back()), whole = staticDim(keys);
  if (!size || !whole || *size >= *whole || *size == 1)
    return *mask;
  Scalars s = l.scalars(loc);
  Dims dims = mask->dims;
  dims.back() = keys;
  Value fill = mask->isBool() ? s.boolean(false)
                              : s.number(mask->element, -std::numeric_limits<double>::infinity());
  Value all = l.filledTensor(loc, dims, fill);
  Heads part{l.tensor(mask), mask->dims, mask->element};
  return loweredHeads({insertAt(l, loc, part, all, dims.size() - 1, l.indexAttr(0)), dims, mask->element});
}

/// Q, K, V, attn_mask, past_key, past_value, nonpad_kv_seqlen -> Y, present_key,
/// present_value, qk_matmul_output. Of rank 3 [b, s, h * d], or 4 [b, h, s, d].
static LogicalResult lowerAttention(Lowering &l, Operation *op) {
  Location loc = op->getLoc();
  SmallVector<Heads, 3> qkv;
  int64_t queryHeads = l.intAttr(op, "q_num_heads", 0), keyHeads = l.intAttr(op, "kv_num_heads", 0);
  for (unsigned i : {0u, 1u, 2u}) {
    Lowered *x = l.operand(op, i);
    StringRef what = i == 0 ? "Q" : i == 1 ? "K" : "V";
    if (x->rank() == 4) {
      qkv.push_back(swapHeads(l, loc, {l.tensor(x), x->dims, x->element}));
      continue;
    }
    FailureOr<Heads> heads = splitHeads(l, op, l.tensor(x), x->dims, x->element,
                                        i == 0 ? queryHeads : keyHeads, what);
    if (failed(heads))
      return failure();
    qkv.push_back(*heads);
  }
  Lowered *mask = l.operand(op, 3), *pastKey = l.operand(op, 4), *pastValue = l.operand(op, 5);
  if (!pastKey != !pastValue)
    return l.fail(op, "past_key and past_value must be given together");
  Heads presentKey, presentValue;
  FailureOr<Heads> k = appendTo(l, op, qkv[1], pastKey, presentKey);
  FailureOr<Heads> v = failed(k) ? k : appendTo(l, op, qkv[2], pastValue, presentValue);
  if (failed(v))
    return failure();

  Masking masking;
  if (mask) {
    if (mask->rank() < 1 || mask->rank() > 4)
      return l.fail(op, "attn_mask has rank " + Twine(mask->rank()) + "; it can be up to 4");
    if (!mask->isBool() && (!mask->isFloat() || mask->element != qkv[0].element))
      return l.fail(op, "attn_mask is neither boolean nor of the queries' type; cast it");
    Lowered padded = padMask(l, loc, mask, k->dims[1]);
    if (mask->isBool())
      masking.keep = padded;
    else
      masking.additive.push_back(padded);
  }
  masking.lengths = l.operand(op, 6);
  if (masking.lengths && masking.lengths->rank() != 1)
    return l.fail(op, "nonpad_kv_seqlen has rank " + Twine(masking.lengths->rank()) + "; it must be 1");
  if (l.intAttr(op, "is_causal", 0))
    masking.past = pastKey ? pastKey->dims[2] : l.indexAttr(0);
  AttentionExtras extras;
  extras.softcap = l.floatAttr(op, "softcap", 0);
  if (op->getNumResults() > 3 && !op->getResult(3).use_empty())
    extras.scoresMode = l.intAttr(op, "qk_matmul_output_mode", 0);
  std::optional<int64_t> size = staticDim(l.resolve(qkv[0].dims[3]));
  if (!size && !op->hasAttr("scale"))
    return l.fail(op, "the size of a head is not static; give the attribute scale");
  double scale = l.floatAttr(op, "scale", size ? 1 / std::sqrt(static_cast<double>(*size)) : 1);
  FailureOr<Heads> y = attend(l, op, qkv[0], *k, *v, masking, scale, extras);
  if (failed(y))
    return failure();
  bool isFlat = l.operand(op, 0)->rank() == 3;
  setHeads(l, op, 0, isFlat ? mergeHeads(l, loc, *y) : swapHeads(l, loc, *y));
  setHeads(l, op, 1, presentKey);
  setHeads(l, op, 2, presentValue);
  return success();
}

void sq::registerAttention(LoweringTable &table) {
  table.add("Attention", 3, lowerAttention);
}
