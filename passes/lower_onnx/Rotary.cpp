/// RotaryEmbedding of ONNX (opset 23), and what onnxruntime's shares with it.

#include "passes/lower_onnx/Attention.h"

#include "dialects/sq/IR/SqOps.h"

using namespace mlir;
using namespace sq;

FailureOr<Heads> sq::rotate(Lowering &l, Operation *op, Heads x, Lowered *cos, Lowered *sin,
                            Lowered *positions, bool interleaved) {
  Location loc = op->getLoc();
  std::optional<int64_t> size = staticDim(l.resolve(x.dims[3]));
  std::optional<int64_t> angles = staticDim(l.resolve(cos->dims.back()));
  if (!size || !angles || *angles <= 0 || 2 * *angles > *size || cos->element != x.element ||
      sin->element != x.element || cos->rank() != (positions ? 2 : 3) ||
      sin->rank() != cos->rank() || staticDim(l.resolve(sin->dims.back())) != angles)
    return l.fail(op, "the tables of cosines and sines are not of the input's type, or not half "
                      "as wide as what is rotated");
  if (positions && (positions->rank() != 2 || !positions->isInteger()))
    return l.fail(op, "the positions are not integers [batch, sequence]");
  if (!positions && isOne(l.resolve(cos->dims[0])) != isOne(l.resolve(sin->dims[0])))
    return l.fail(op, "only one of the tables of cosines and sines has a row for each of the batch; expand the "
                      "other");
  SmallVector<Heads, 2> tables;
  for (Lowered *table : {cos, sin}) {
    Dims dims = table->dims;
    Value tensor = l.tensor(table);
    if (positions) {
      OpFoldResult rows = table->dims[0];
      dims = {positions->dims[0], positions->dims[1], table->dims[1]};
      assertNotEmpty(l, op, rows, dims);
      Value checked = checkedIndices(l, op, positions, rows), source = tensor;
      AffineMap places = AffineMap::get(
          3, 0, {l.builder.getAffineDimExpr(0), l.builder.getAffineDimExpr(1)}, l.builder.getContext());
      tensor = pointwise(l, loc, Input{checked, places}, dims, x.element,
                         [&](Scalars &s, ValueRange args) {
                           return extract(s, source, {s.toIndex(args[0]), loopIndex(s, 2)});
                         });
    }
    FailureOr<OpFoldResult> sequence = l.unify(op, dims[1], x.dims[1], "the sequence");
    if (failed(sequence) || (!isOne(dims[0]) && failed(l.unify(op, dims[0], x.dims[0], "the batch"))))
      return failure();
    tables.push_back({tensor, dims, x.element});
  }
  Heads part = 2 * *angles == *size ? x : sliceLast(l, loc, x, 0, 2 * *angles);
  Value init = l.emptyTensor(loc, part.dims, x.element);
  part.tensor = RotaryEmbeddingOp::create(l.builder, loc, TypeRange(init.getType()), part.tensor,
                                          tables[0].tensor, tables[1].tensor, init, interleaved)
                    .getResult()[0];
  if (2 * *angles == *size)
    return part;
  x.tensor = insertAt(l, loc, part, x.tensor, 3, l.indexAttr(0));
  return x;
}

/// X, cos_cache, sin_cache, position_ids; X of rank 3 [b, s, h * d] or 4 [b, h, s, d].
static LogicalResult lowerRotaryEmbedding(Lowering &l, Operation *op) {
  Location loc = op->getLoc();
  Lowered *x = l.operand(op, 0);
  bool isFlat = x->rank() == 3;
  FailureOr<Heads> heads = failure();
  if (isFlat)
    heads = splitHeads(l, op, l.tensor(x), x->dims, x->element, l.intAttr(op, "num_heads", 0), "X");
  else if (x->rank() == 4)
    heads = swapHeads(l, loc, {l.tensor(x), x->dims, x->element});
  else
    return l.fail(op, "X has rank " + Twine(x->rank()) + "; it can be 3 or 4");
  if (failed(heads))
    return failure();
  FailureOr<Heads> y = rotate(l, op, *heads, l.operand(op, 1), l.operand(op, 2), l.operand(op, 3),
                              l.intAttr(op, "interleaved", 0));
  if (failed(y))
    return failure();
  setHeads(l, op, 0, isFlat ? mergeHeads(l, loc, *y) : swapHeads(l, loc, *y));
  return success();
}

void sq::registerRotary(LoweringTable &table) {
  table.add("RotaryEmbedding", 3, lowerRotaryEmbedding);
}
