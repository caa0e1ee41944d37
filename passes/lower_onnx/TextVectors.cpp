/// TfIdfVectorizer of integers: how often each n-gram of a pool occurs in a row.
#include "passes/lower_onnx/Generics.h"

using namespace mlir;
using namespace sq;

namespace {

/// The n-gram that an output counts.
struct Gram {
  SmallVector<int64_t> numbers;
  float weight = 1;
};

/// What the attributes say: the n-gram of each output, empty where there is none.
struct Pool {
  SmallVector<Gram> grams;
  int64_t longest = 0, mostSkipped = 0;
  std::string mode;
};

ArrayRef<int64_t> integers(Attribute attr) {
  auto array = dyn_cast_if_present<DenseI64ArrayAttr>(attr);
  return array ? array.asArrayRef() : ArrayRef<int64_t>();
}

FailureOr<Pool> readPool(Lowering &l, Operation *op) {
  auto attrs = op->getAttrOfType<DictionaryAttr>("attributes");
  if (!attrs || attrs.contains("pool_strings"))
    return l.fail(op, "n-grams of strings are not supported");
  Pool pool;
  pool.mode = l.stringAttr(op, "mode", "");
  pool.mostSkipped = l.intAttr(op, "max_skip_count", 0);
  int64_t shortest = l.intAttr(op, "min_gram_length", 1), longest = l.intAttr(op, "max_gram_length", 1);
  ArrayRef<int64_t> starts = integers(attrs.get("ngram_counts"));
  ArrayRef<int64_t> places = integers(attrs.get("ngram_indexes"));
  ArrayRef<int64_t> numbers = integers(attrs.get("pool_int64s"));
  auto weights = dyn_cast_if_present<DenseF32ArrayAttr>(attrs.get("weights"));
  if (pool.mode != "TF" && pool.mode != "IDF" && pool.mode != "TFIDF")
    return l.fail(op, "mode is '" + pool.mode + "'; it can be TF, IDF or TFIDF");
  constexpr int64_t most = 64; // the body is written out for each
  if (shortest < 1 || longest < shortest || longest > most || pool.mostSkipped < 0 ||
      pool.mostSkipped > most)
    return l.fail(op, "lengths or max_skip_count are outside of 1 (0) to " + Twine(most));
  if (weights && weights.size() != static_cast<int64_t>(places.size()))
    return l.fail(op, "there are " + Twine(weights.size()) + " weights for " + Twine(places.size()) +
                          " n-grams");
  // Part i of the pool holds the n-grams of i + 1 numbers, one after the other.
  size_t next = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    int64_t end = i + 1 < starts.size() ? starts[i + 1] : numbers.size(), size = i + 1;
    if (starts[i] < 0 || end < starts[i] || end > static_cast<int64_t>(numbers.size()) ||
        (end - starts[i]) % size)
      return l.fail(op, "ngram_counts do not divide the pool into n-grams");
    for (int64_t at = starts[i]; at < end; at += size, ++next) {
      constexpr int64_t mostOutputs = 1 << 24;
      if (next >= places.size() || places[next] < 0 || places[next] >= mostOutputs)
        return l.fail(op, "ngram_indexes are too few, negative or too large");
      if (static_cast<int64_t>(pool.grams.size()) <= places[next])
        pool.grams.resize(places[next] + 1);
      Gram &gram = pool.grams[places[next]];
      if (!gram.numbers.empty())
        return l.fail(op, "output " + Twine(places[next]) + " counts two n-grams");
      if (size < shortest || size > longest)
        continue;
      gram.numbers.assign(numbers.begin() + at, numbers.begin() + at + size);
      gram.weight = weights ? weights[next] : 1;
      pool.longest = std::max(pool.longest, size);
    }
  }
  if (next != places.size() || pool.grams.empty())
    return l.fail(op, "ngram_indexes are not as many as the pool's n-grams");
  return pool;
}

Value constantTensor(Lowering &l, Location loc, Type element, ArrayRef<int64_t> shape,
                     ArrayRef<Attribute> values) {
  return arith::ConstantOp::create(
      l.builder, loc, DenseElementsAttr::get(RankedTensorType::get(shape, element), values));
}

/// x [c] or [n, c] -> counts [outputs] or [n, outputs]. An n-gram starts anywhere and takes
/// every (s + 1)-th number, s up to max_skip_count.
LogicalResult lowerTfIdfVectorizer(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!x->isInteger() || (x->rank() != 1 && x->rank() != 2))
    return l.fail(op, "the input is not a vector or matrix of integers");
  FailureOr<Pool> pool = readPool(l, op);
  if (failed(pool))
    return failure();
  Location loc = op->getLoc();
  Builder &b = l.builder;
  Type i64 = b.getI64Type(), i32 = b.getI32Type(), f32 = b.getF32Type();
  int64_t outputs = pool->grams.size(), longest = std::max<int64_t>(pool->longest, 1);
  SmallVector<Attribute> sizes, weights, numbers;
  for (const Gram &gram : pool->grams) {
    sizes.push_back(b.getI64IntegerAttr(gram.numbers.size()));
    weights.push_back(b.getF32FloatAttr(gram.weight));
    for (int64_t k = 0; k < longest; ++k)
      numbers.push_back(b.getI64IntegerAttr(
          k < static_cast<int64_t>(gram.numbers.size()) ? gram.numbers[k] : 0));
  }
  Value sizeTable = constantTensor(l, loc, i64, outputs, sizes);
  Value weightTable = constantTensor(l, loc, f32, outputs, weights);
  Value numberTable = constantTensor(l, loc, i64, {outputs, longest}, numbers);

  bool hasRows = x->rank() == 2;
  Dims dims(ArrayRef<OpFoldResult>(x->dims).drop_back());
  dims.push_back(l.indexAttr(outputs));
  // Loops: (row,) output, position.
  int64_t output = hasRows, position = output + 1, loops = position + 1;
  MLIRContext *context = op->getContext();
  SmallVector<AffineExpr> at;
  if (hasRows)
    at.push_back(b.getAffineDimExpr(0));
  at.push_back(b.getAffineDimExpr(position));
  Value source = l.tensor(x), length = l.i64Value(x->dims.back());
  Value zeros = l.filledTensor(loc, dims, l.scalars(loc).integer(i32, 0));
  SmallVector<Input> inputs = {
      {source, AffineMap::get(loops, 0, at, context)},
      {sizeTable, AffineMap::get(loops, 0, b.getAffineDimExpr(output))}};
  Value counts = generic(
      l, loc, inputs, Input{zeros, mapWithout(l, loops, position)}, {position},
      [&](Scalars &s, ValueRange args) {
        using P = arith::CmpIPredicate;
        Value size = args[1], total = args[2], start = s.toI64(loopIndex(s, position));
        Value last = s.sub(s.bring(length), s.integer(i64, 1));
        for (int64_t skipped = 0; skipped <= pool->mostSkipped; ++skipped) {
          Value step = s.integer(i64, skipped + 1), matches;
          // There are numbers at all, and one alone skips none.
          matches = s.compare(skipped ? P::sgt : P::sge, size, s.integer(i64, 1));
          for (int64_t k = 0; k < longest; ++k) {
            Value place = s.add(start, s.mul(step, s.integer(i64, k)));
            SmallVector<Value> indices;
            if (hasRows)
              indices.push_back(loopIndex(s, 0));
            indices.push_back(s.toIndex(s.min(place, last)));
            Value given = convertInteger(s, extract(s, source, indices), i64, x->isUnsigned());
            Value wanted = extract(s, numberTable,
                                   {loopIndex(s, output), s.integer(b.getIndexType(), k)});
            Value here = s.make<arith::AndIOp>(s.compare(P::eq, given, wanted),
                                               s.compare(P::sle, place, last));
            Value isBeyond = s.compare(P::sle, size, s.integer(i64, k));
            matches = s.make<arith::AndIOp>(matches, s.make<arith::OrIOp>(isBeyond, here));
          }
          total = s.add(total, s.make<arith::ExtUIOp>(i32, matches));
        }
        return SmallVector<Value>{total};
      })[0];
  AffineMap all = AffineMap::getMultiDimIdentityMap(dims.size(), context);
  AffineMap ofOutput = AffineMap::get(dims.size(), 0, b.getAffineDimExpr(output));
  Value y = pointwise(l, loc, {{counts, all}, {weightTable, ofOutput}}, dims, f32,
                      [&](Scalars &s, ValueRange args) {
                        Value count = s.make<arith::SIToFPOp>(f32, args[0]);
                        if (pool->mode == "TF")
                          return count;
                        if (pool->mode == "TFIDF")
                          return s.make<arith::MulFOp>(count, args[1]);
                        Value occurs = s.compare(arith::CmpIPredicate::ne, args[0], s.integer(i32, 0));
                        return s.select(occurs, args[1], s.number(f32, 0));
                      });
  l.setTensor(op, 0, y, dims, f32);
  return success();
}

} // namespace

void sq::registerTextVectors(LoweringTable &table) {
  table["ai.onnx.TfIdfVectorizer"] = {lowerTfIdfVectorizer, 1};
}
