/// RandomUniform, RandomNormal (and Like), Bernoulli, Multinomial, Dropout.
///
/// Numbers come from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
/// 1, 2, 3", SC 2011): each element is a function of its row-major index (the counter)
/// and of the seed (the key), so that neither threads nor fusion change it, on any target.
/// With the attribute `seed` the key is that number (its f32 bits for a float seed), so
/// nodes of one seed give one sequence; without, it is a hash of the node's name, which
/// differs from node to node. Every run of a program gives the same numbers.
#include "passes/lower_onnx/Generics.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/xxhash.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

uint64_t keyOf(Lowering &l, Operation *op) {
  auto attrs = op->getAttrOfType<DictionaryAttr>("attributes");
  Attribute seed = attrs ? attrs.get("seed") : op->getAttr("seed");
  if (auto integer = dyn_cast_if_present<IntegerAttr>(seed))
    return integer.getValue().getZExtValue();
  if (auto real = dyn_cast_if_present<FloatAttr>(seed))
    return llvm::bit_cast<uint32_t>(static_cast<float>(real.getValueAsDouble()));
  return llvm::xxh3_64bits(nodeName(op));
}

/// The four words (as i64 below 2^32) of the block `counter` (i64).
struct Philox {
  Value words[4];

  Philox(Scalars &s, Value counter, uint64_t key) {
    Type i64 = s.builder.getI64Type();
    auto number = [&](uint64_t value) { return s.integer(i64, static_cast<int64_t>(value)); };
    Value mask = number(0xffffffff), half = number(32);
    auto low = [&](Value x) { return s.make<arith::AndIOp>(x, mask); };
    auto high = [&](Value x) { return s.make<arith::ShRUIOp>(x, half); };
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    words[0] = low(counter);
    words[1] = high(counter);
    words[2] = words[3] = number(0);
    for (int round = 0; round < 10; ++round, k0 += 0x9e3779b9, k1 += 0xbb67ae85) {
      Value a = s.mul(words[0], number(0xd2511f53)), b = s.mul(words[2], number(0xcd9e8d57));
      Value first = s.make<arith::XOrIOp>(high(b), words[1]);
      Value third = s.make<arith::XOrIOp>(high(a), words[3]);
      words[0] = s.make<arith::XOrIOp>(first, number(k0));
      words[1] = low(b);
      words[2] = s.make<arith::XOrIOp>(third, number(k1));
      words[3] = low(a);
    }
  }

  /// `bits` random bits of words 2 `pair` and 2 `pair` + 1, as an integer.
  Value integer(Scalars &s, int pair, int bits) const {
    Type i64 = s.builder.getI64Type();
    Value first = words[2 * pair], second = words[2 * pair + 1];
    if (bits <= 32)
      return s.make<arith::ShRUIOp>(first, s.integer(i64, 32 - bits));
    Value wide = s.make<arith::ShLIOp>(first, s.integer(i64, bits - 32));
    return s.make<arith::OrIOp>(wide,
                                s.make<arith::ShRUIOp>(second, s.integer(i64, 64 - bits)));
  }

  /// Uniform in [0, 1), or (0, 1] when `isPositive`: a multiple of 2^-bits.
  Value unit(Scalars &s, int pair, int bits, Type type, bool isPositive = false) const {
    Value x = integer(s, pair, bits);
    if (isPositive)
      x = s.add(x, s.integer(x.getType(), 1));
    return s.make<arith::MulFOp>(s.make<arith::SIToFPOp>(type, x),
                                 s.number(type, std::ldexp(1, -bits)));
  }
};

/// The row-major index (i64) of the point of the loops over `dims`; made before the body.
struct Counter {
  SmallVector<Value> sizes;

  Counter(Lowering &l, ArrayRef<OpFoldResult> dims) {
    for (OpFoldResult dim : dims)
      sizes.push_back(l.i64Value(dim));
  }
  Value here(Scalars &s) const {
    Value index = s.integer(s.builder.getI64Type(), 0);
    for (auto [d, size] : llvm::enumerate(sizes))
      index = s.add(s.mul(index, s.bring(size)), s.toI64(loopIndex(s, d)));
    return index;
  }
};

/// Bits of a uniform number that its type holds exactly.
int unitBits(Type element) {
  return cast<FloatType>(element).getFPMantissaWidth();
}

/// What the attribute `dtype` names, `absent` without it.
FailureOr<Type> floatType(Lowering &l, Operation *op, Type absent) {
  Type element = absent;
  if (int64_t code = l.intAttr(op, "dtype", 0))
    element = elementTypeOf(op->getContext(), code);
  if (!element || !isSupportedFloat(element))
    return l.fail(op, "its dtype is not float, double, float16 or bfloat16");
  return element;
}

/// The dims and element type of the result: of an operand, or of the attributes.
LogicalResult resultOf(Lowering &l, Operation *op, bool isLike, Dims &dims, Type &element) {
  Type absent = l.builder.getF32Type();
  if (isLike) {
    dims = l.operand(op, 0)->dims;
    absent = l.operand(op, 0)->element;
  } else {
    std::optional<SmallVector<int64_t>> shape = l.intsAttr(op, "shape");
    if (!shape || llvm::any_of(*shape, [](int64_t size) { return size < 0; }))
      return l.fail(op, "its attribute `shape` is missing or has a negative size");
    for (int64_t size : *shape)
      dims.push_back(l.indexAttr(size));
  }
  FailureOr<Type> type = floatType(l, op, absent);
  if (failed(type))
    return failure();
  element = *type;
  return success();
}

/// A result whose elements `draw` makes of the random numbers that are theirs, in `type`.
LogicalResult drawEach(Lowering &l, Operation *op, bool isLike,
                       function_ref<Value(Scalars &s, Philox &random, Type type, Type element)> draw) {
  Dims dims;
  Type element;
  if (failed(resultOf(l, op, isLike, dims, element)))
    return failure();
  uint64_t key = keyOf(l, op);
  Counter counter(l, dims);
  Type type = accumulatorType(element);
  Value y = pointwise(l, op->getLoc(), {}, dims, element, [&](Scalars &s, ValueRange) {
    Philox random(s, counter.here(s), key);
    return convertFloat(s, draw(s, random, type, element), element);
  });
  l.setTensor(op, 0, y, dims, element);
  return success();
}

LogicalResult lowerUniform(Lowering &l, Operation *op, bool isLike) {
  double low = l.floatAttr(op, "low", 0), high = l.floatAttr(op, "high", 1);
  return drawEach(l, op, isLike, [&](Scalars &s, Philox &random, Type type, Type element) {
    Value u = random.unit(s, 0, unitBits(element), type);
    if (low == 0 && high == 1)
      return u;
    u = s.make<arith::MulFOp>(u, s.number(type, high - low));
    return Value(s.make<arith::AddFOp>(u, s.number(type, low)));
  });
}

/// By Box and Muller (1958): sqrt(-2 ln u) cos(2 pi v).
LogicalResult lowerNormal(Lowering &l, Operation *op, bool isLike) {
  double mean = l.floatAttr(op, "mean", 0), scale = l.floatAttr(op, "scale", 1);
  return drawEach(l, op, isLike, [&](Scalars &s, Philox &random, Type type, Type) {
    // More bits than f32 holds: the small u are the tails.
    int bits = type.isF64() ? 53 : 32;
    Value log = s.make<math::LogOp>(random.unit(s, 0, bits, type, /*isPositive=*/true));
    Value radius = s.make<math::SqrtOp>(s.make<arith::MulFOp>(log, s.number(type, -2)));
    Value angle = s.make<arith::MulFOp>(random.unit(s, 1, unitBits(type), type),
                                        s.number(type, 2 * M_PI));
    Value x = s.make<arith::MulFOp>(radius, s.make<math::CosOp>(angle));
    x = s.make<arith::MulFOp>(x, s.number(type, scale));
    return Value(s.make<arith::AddFOp>(x, s.number(type, mean)));
  });
}

/// The greatest of log p + g, g from Gumbel's distribution, is at class i with probability
/// p_i / sum p (Gumbel 1954): no sum and no order are needed.
LogicalResult lowerMultinomial(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  if (!isSupportedFloat(x->element) || x->rank() != 2)
    return l.fail(op, "the input is not a matrix of floats");
  int64_t samples = l.intAttr(op, "sample_size", 1), code = l.intAttr(op, "dtype", 6);
  Type element = elementTypeOf(op->getContext(), code);
  if (code != 6 && code != 7)
    return l.fail(op, "its dtype is neither int32 nor int64");
  if (samples < 1)
    return l.fail(op, "sample_size is " + Twine(samples) + "; it must be at least 1");
  Location loc = op->getLoc();
  Type type = accumulatorType(x->element);
  uint64_t key = keyOf(l, op);
  Dims dims = {x->dims[0], l.indexAttr(samples)}, loops = {dims[0], dims[1], x->dims[1]};
  assertNotEmpty(l, op, {x->dims[1]}, dims);
  Counter counter(l, loops);
  Scalars scalars = l.scalars(loc);
  Value best = l.filledTensor(loc, dims, scalars.number(type, -INFINITY));
  Value where = l.filledTensor(loc, dims, scalars.integer(element, 0));
  MLIRContext *context = l.builder.getContext();
  AffineMap input = AffineMap::get(
      3, 0, {l.builder.getAffineDimExpr(0), l.builder.getAffineDimExpr(2)}, context);
  AffineMap output = mapWithout(l, 3, 2);
  Value y = generic(l, loc, Input{l.tensor(x), input}, {{best, output}, {where, output}}, {2},
                    [&](Scalars &s, ValueRange args) {
                      Philox random(s, counter.here(s), key);
                      Value u = random.unit(s, 0, type.isF64() ? 53 : 32, type, true);
                      // Rounded to 1, u would give infinity whatever p is.
                      u = s.make<arith::MinimumFOp>(
                          u, s.number(type, 1 - std::ldexp(1, -unitBits(type))));
                      Value inner = s.make<arith::NegFOp>(s.make<math::LogOp>(u));
                      Value score = s.make<arith::SubFOp>(convertFloat(s, args[0], type),
                                                          s.make<math::LogOp>(inner));
                      Value better = s.compare(arith::CmpFPredicate::OGT, score, args[1]);
                      Value index = convertInteger(s, loopIndex(s, 2), element, false);
                      return SmallVector<Value>{s.select(better, score, args[1]),
                                                s.select(better, index, args[2])};
                    })[1];
  l.setTensor(op, 0, y, dims, element);
  return success();
}

/// 1 with the probability that the input gives. (The function body in ONNX's definition
/// compares the wrong way round and gives 0 with it.)
LogicalResult lowerBernoulli(Lowering &l, Operation *op) {
  Lowered *p = l.operand(op, 0);
  if (!isSupportedFloat(p->element))
    return l.fail(op, "the input is not float, double, float16 or bfloat16");
  Type element = p->element;
  if (int64_t code = l.intAttr(op, "dtype", 0))
    element = elementTypeOf(op->getContext(), code);
  if (!element || isStorageOnly(element))
    return l.fail(op, "its dtype is no type that is computed with");
  uint64_t key = keyOf(l, op);
  Counter counter(l, p->dims);
  Type type = accumulatorType(p->element), boolean = l.builder.getI1Type();
  AffineMap identity = AffineMap::getMultiDimIdentityMap(p->rank(), op->getContext());
  Value y = pointwise(l, op->getLoc(), Input{l.tensor(p), identity}, p->dims, signless(element),
                      [&](Scalars &s, ValueRange args) {
                        Value u = Philox(s, counter.here(s), key).unit(s, 0, unitBits(type), type);
                        Value isOne = s.compare(arith::CmpFPredicate::OLT, u,
                                                convertFloat(s, args[0], type));
                        return castScalar(s, isOne, boolean, element);
                      });
  l.setTensor(op, 0, y, p->dims, element);
  return success();
}

/// Result 0 is x, result 1 all true: nothing is dropped.
LogicalResult dropNothing(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0);
  l.alias(op->getResult(0), x);
  if (op->getNumResults() > 1 && !op->getResult(1).use_empty()) {
    Scalars s = l.scalars(op->getLoc());
    l.setSplat(op, 1, s.boolean(true), x->dims, l.builder.getI1Type());
  }
  return success();
}

/// y = x mask / (1 - ratio) where training, the mask being true with probability
/// 1 - ratio; else y = x.
LogicalResult lowerDropout(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *ratio = l.operand(op, 1), *training = l.operand(op, 2);
  if (!training)
    return dropNothing(l, op);
  if (!training->isBool() || staticCount(training->dims) != 1)
    return l.fail(op, "training_mode is not one boolean");
  if (auto value = dyn_cast_or_null<IntegerAttr>(l.constantScalar(training));
      value && value.getValue().isZero())
    return dropNothing(l, op);
  if (!isSupportedFloat(x->element))
    return l.fail(op, "the input is not float, double, float16 or bfloat16");
  if (ratio && (!isSupportedFloat(ratio->element) || staticCount(ratio->dims) != 1))
    return l.fail(op, "the ratio is not one float");
  Location loc = op->getLoc();
  Type f32 = l.builder.getF32Type(), boolean = l.builder.getI1Type();
  uint64_t key = keyOf(l, op);
  Counter counter(l, x->dims);
  Value isTraining = readScalar(l, loc, training), dropped;
  {
    Scalars s = l.scalars(loc);
    dropped = ratio ? convertFloat(s, readScalar(l, loc, ratio), f32) : s.number(f32, 0.5);
    dropped = s.select(isTraining, dropped, s.number(f32, 0));
  }
  Value mask = pointwise(l, loc, {}, x->dims, boolean, [&](Scalars &s, ValueRange) {
    Value u = Philox(s, counter.here(s), key).unit(s, 0, unitBits(f32), f32);
    return s.compare(arith::CmpFPredicate::OGE, u, s.bring(dropped));
  });
  AffineMap identity = AffineMap::getMultiDimIdentityMap(x->rank(), op->getContext());
  Type type = accumulatorType(x->element);
  Value y = pointwise(
      l, loc, {{l.tensor(x), identity}, {mask, identity}}, x->dims, x->element,
      [&](Scalars &s, ValueRange args) {
        Value kept = s.make<arith::SubFOp>(s.number(type, 1), convertFloat(s, s.bring(dropped), type));
        Value scaled = s.make<arith::DivFOp>(convertFloat(s, args[0], type), kept);
        return convertFloat(s, s.select(args[1], scaled, s.number(type, 0)), x->element);
      });
  l.setTensor(op, 0, y, x->dims, x->element);
  if (op->getNumResults() > 1)
    l.setTensor(op, 1, mask, x->dims, boolean);
  return success();
}

} // namespace

void sq::registerRandom(LoweringTable &table) {
  for (bool isLike : {false, true}) {
    std::string like = isLike ? "Like" : "";
    unsigned operands = isLike ? 1 : 0;
    table.add("RandomUniform" + like, operands, [isLike](Lowering &l, Operation *op) {
      return lowerUniform(l, op, isLike);
    });
    table.add("RandomNormal" + like, operands, [isLike](Lowering &l, Operation *op) {
      return lowerNormal(l, op, isLike);
    });
  }
  table.add("Bernoulli", 1, lowerBernoulli);
  table.add("Multinomial", 1, lowerMultinomial);
  table.add("Dropout", 1, lowerDropout);
}
