/// Resize and Upsample.
///
/// Where an element of the result lies in the input depends on one dim at a
/// time: short tables, one per resized dim, hold it (in f64, by the formulas of
/// ONNX). Nearest and linear interpolation are then one generic that gathers;
/// cubic and antialiased ones have more neighbours and go dim by dim, a sum of
/// taps each.

#include "passes/lower_onnx/Resize.h"
#include "passes/lower_onnx/Interpolation.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace sq;

namespace {

Value addF(Scalars &s, Value a, Value b) { return s.make<arith::AddFOp>(a, b); }
Value subF(Scalars &s, Value a, Value b) { return s.make<arith::SubFOp>(a, b); }
Value mulF(Scalars &s, Value a, Value b) { return s.make<arith::MulFOp>(a, b); }
Value divF(Scalars &s, Value a, Value b) { return s.make<arith::DivFOp>(a, b); }
Value f64(Scalars &s, double value) { return s.number(s.builder.getF64Type(), value); }

/// A f64 limited to [0, last]; NaN gives 0.
Value clampToDim(Scalars &s, Value x, Value last) { return clampFloat(s, x, f64(s, 0), last); }

//===----------------------------------------------------------------------===//
// Tables, one per dim
//===----------------------------------------------------------------------===//

/// Where element `i` (index) of the result lies in the input, in f64.
Value sourcePosition(Scalars &s, Coordinates coordinates, const ResizedDim &dim, Value i) {
  Value one = f64(s, 1), half = f64(s, 0.5);
  Value in = s.bring(dim.inSize), exact = s.bring(dim.exactSize);
  Value numerator = s.bring(dim.numerator), denominator = s.bring(dim.denominator);
  Value x = s.make<arith::SIToFPOp>(s.builder.getF64Type(), s.toI64(i));
  auto scaled = [&](Value at) { return divF(s, mulF(s, at, numerator), denominator); };
  Value isSingle = s.compare(arith::CmpFPredicate::OEQ, exact, one);
  switch (coordinates) {
  case Coordinates::Asymmetric:
    return scaled(x);
  case Coordinates::AlignCorners: {
    Value spread = divF(s, mulF(s, x, subF(s, in, one)), subF(s, exact, one));
    return s.select(isSingle, f64(s, 0), spread);
  }
  case Coordinates::CropAndResize: {
    Value start = s.bring(dim.start), end = s.bring(dim.end), last = subF(s, in, one);
    Value spread = divF(s, mulF(s, mulF(s, x, subF(s, end, start)), last), subF(s, exact, one));
    Value middle = mulF(s, mulF(s, half, addF(s, start, end)), last);
    return s.select(isSingle, middle, addF(s, mulF(s, start, last), spread));
  }
  case Coordinates::HalfPixel:
  case Coordinates::PytorchHalfPixel:
  case Coordinates::HalfPixelSymmetric:
    break;
  }
  Value position = subF(s, scaled(addF(s, x, half)), half);
  if (coordinates == Coordinates::PytorchHalfPixel)
    return s.select(isSingle, f64(s, 0), position);
  if (coordinates == Coordinates::HalfPixelSymmetric) {
    Value adjustment = divF(s, s.bring(dim.outSize), exact);
    Value offset = mulF(s, mulF(s, in, half), subF(s, one, adjustment));
    return addF(s, offset, position);
  }
  return position;
}

/// A table of `fn(position in the input)` for the elements along one dim of the
/// result.
template <typename Fn>
Value table(Lowering &l, Location loc, const ResizeOptions &options, const ResizedDim &dim,
            Type element, Fn fn) {
  return pointwise(l, loc, {}, dim.out, element, [&](Scalars &s, ValueRange) {
    return fn(s, sourcePosition(s, options.coordinates, dim, loopIndex(s, 0)));
  });
}

Value lastPosition(Scalars &s, const ResizedDim &dim) {
  return subF(s, s.bring(dim.inSize), f64(s, 1));
}

/// For CropAndResize: which elements lie outside of the input.
Value outsideTable(Lowering &l, Location loc, const ResizeOptions &options, const ResizedDim &dim) {
  return table(l, loc, options, dim, l.builder.getI1Type(), [&](Scalars &s, Value x) {
    Value before = s.compare(arith::CmpFPredicate::OLT, x, f64(s, 0));
    Value after = s.compare(arith::CmpFPredicate::OGT, x, lastPosition(s, dim));
    return s.make<arith::OrIOp>(before, after);
  });
}

Value nearestTable(Lowering &l, Location loc, const ResizeOptions &options, const ResizedDim &dim) {
  Type i64 = l.builder.getI64Type();
  return table(l, loc, options, dim, i64, [&](Scalars &s, Value x) {
    Value rounded;
    switch (options.nearest) {
    case NearestMode::PreferFloor:
      rounded = s.make<math::CeilOp>(subF(s, x, f64(s, 0.5)));
      break;
    case NearestMode::PreferCeil:
      rounded = s.make<math::FloorOp>(addF(s, x, f64(s, 0.5)));
      break;
    case NearestMode::Floor:
      rounded = s.make<math::FloorOp>(x);
      break;
    case NearestMode::Ceil:
      rounded = s.make<math::CeilOp>(x);
      break;
    case NearestMode::CeilWhenSmaller: {
      Value isSmaller =
          s.compare(arith::CmpFPredicate::OLT, s.bring(dim.denominator), s.bring(dim.numerator));
      rounded = s.select(isSmaller, s.make<math::CeilOp>(x), s.make<math::FloorOp>(x));
      break;
    }
    }
    return s.make<arith::FPToSIOp>(i64, clampToDim(s, rounded, lastPosition(s, dim)));
  });
}

//===----------------------------------------------------------------------===//
// Nearest and linear
//===----------------------------------------------------------------------===//

Value extrapolationValue(Scalars &s, const ResizeOptions &options, Type element) {
  Type f64Type = s.builder.getF64Type();
  return castScalar(s, f64(s, options.extrapolation), f64Type, element);
}

AffineMap mapToDim(Lowering &l, int64_t rank, int64_t dim) {
  return AffineMap::get(rank, 0, l.builder.getAffineDimExpr(dim));
}

/// Adds the tables that say which elements are outside, if there are any.
void addOutsideTables(Lowering &l, Location loc, const ResizeOptions &options,
                      ArrayRef<ResizedDim> resized, int64_t rank, SmallVector<Input> &inputs) {
  if (options.coordinates != Coordinates::CropAndResize)
    return;
  for (const ResizedDim &dim : resized)
    inputs.push_back({outsideTable(l, loc, options, dim), mapToDim(l, rank, dim.dim)});
}

Value unlessOutside(Scalars &s, const ResizeOptions &options, ValueRange outside, Value value,
                    Type element) {
  if (outside.empty())
    return value;
  Value any = outside[0];
  for (Value other : outside.drop_front())
    any = s.make<arith::OrIOp>(any, other);
  return s.select(any, extrapolationValue(s, options, element), value);
}

Value resizeNearest(Lowering &l, Location loc, Lowered *x, const ResizeOptions &options,
                    ArrayRef<ResizedDim> resized, const Dims &dims) {
  SmallVector<Input> inputs;
  for (const ResizedDim &dim : resized)
    inputs.push_back({nearestTable(l, loc, options, dim), mapToDim(l, dims.size(), dim.dim)});
  addOutsideTables(l, loc, options, resized, dims.size(), inputs);
  Value source = l.tensor(x);
  return pointwise(l, loc, inputs, dims, signless(x->element), [&](Scalars &s, ValueRange args) {
    SmallVector<Value> at;
    for (size_t d = 0; d < dims.size(); ++d)
      at.push_back(loopIndex(s, d));
    for (auto [i, dim] : llvm::enumerate(resized))
      at[dim.dim] = s.toIndex(args[i]);
    return unlessOutside(s, options, args.drop_front(resized.size()), extract(s, source, at),
                         x->element);
  });
}

/// The 2^n neighbours of each element, for few dims.
Value resizeLinear(Lowering &l, Location loc, Lowered *x, const ResizeOptions &options,
                   ArrayRef<ResizedDim> resized, const Dims &dims) {
  Type i64 = l.builder.getI64Type(), type = interpolationType(l, x->element);
  SmallVector<Input> inputs;
  for (const ResizedDim &dim : resized) {
    // A position outside has the value of the border, as if it lay there.
    auto lower = [&](Scalars &s, Value at) { return s.make<math::FloorOp>(at); };
    Value neighbour = table(l, loc, options, dim, i64, [&](Scalars &s, Value at) {
      at = clampToDim(s, at, lastPosition(s, dim));
      return s.make<arith::FPToSIOp>(i64, lower(s, at));
    });
    Value weight = table(l, loc, options, dim, type, [&](Scalars &s, Value at) {
      at = clampToDim(s, at, lastPosition(s, dim));
      return convertFloat(s, subF(s, at, lower(s, at)), type);
    });
    AffineMap map = mapToDim(l, dims.size(), dim.dim);
    inputs.append({{neighbour, map}, {weight, map}});
  }
  addOutsideTables(l, loc, options, resized, dims.size(), inputs);
  SmallVector<Value> last;
  Scalars scalars = l.scalars(loc);
  for (const ResizedDim &dim : resized)
    last.push_back(scalars.sub(l.i64Value(dim.in), scalars.integer(i64, 1)));
  Value source = l.tensor(x);
  return pointwise(l, loc, inputs, dims, signless(x->element), [&](Scalars &s, ValueRange args) {
    SmallVector<Value> at;
    for (size_t d = 0; d < dims.size(); ++d)
      at.push_back(loopIndex(s, d));
    std::function<Value(size_t)> blend = [&](size_t i) -> Value {
      if (i == resized.size())
        return toFloat(s, extract(s, source, at), type, x->isUnsigned());
      Value lower = args[2 * i], weight = args[2 * i + 1];
      at[resized[i].dim] = s.toIndex(lower);
      Value a = blend(i + 1);
      at[resized[i].dim] = s.toIndex(s.min(s.add(lower, s.integer(i64, 1)), s.bring(last[i])));
      Value b = blend(i + 1);
      return addF(s, a, mulF(s, subF(s, b, a), weight));
    };
    Value value = fromInterpolation(s, blend(0), x->element);
    return unlessOutside(s, options, args.drop_front(2 * resized.size()), value, x->element);
  });
}

//===----------------------------------------------------------------------===//
// Any number of taps
//===----------------------------------------------------------------------===//

/// The interpolation kernel at `x` (f64): a triangle or a cubic.
Value kernelAt(Scalars &s, const ResizeOptions &options, Value x) {
  Value distance = s.make<math::AbsFOp>(x), one = f64(s, 1);
  if (options.mode == ResizeMode::Cubic)
    return cubicKernel(s, distance, options.cubicA);
  Value isNear = s.compare(arith::CmpFPredicate::OLT, distance, one);
  return s.select(isNear, subF(s, one, distance), f64(s, 0));
}

struct Taps {
  Value first;   // [out], i64: position of the first tap, may be outside
  Value weights; // [out, taps]
};

Taps tapsOf(Lowering &l, Location loc, const ResizeOptions &options, const ResizedDim &dim,
            Type type) {
  Scalars s = l.scalars(loc);
  Type i64 = l.builder.getI64Type(), f64Type = l.builder.getF64Type();
  // Antialiasing widens the kernel by what the image shrinks.
  Value scale = f64(s, 1);
  if (options.antialias) {
    Value given = divF(s, dim.denominator, dim.numerator);
    scale = s.select(s.compare(arith::CmpFPredicate::OLT, given, scale), given, scale);
  }
  double radius = options.mode == ResizeMode::Linear ? 1 : 2;
  // The first tap lies `reach` - 1 positions before the one at or left of the
  // center.
  Value reach = s.make<math::CeilOp>(divF(s, f64(s, radius), scale));
  Value offset = s.sub(s.integer(i64, 1), s.make<arith::FPToSIOp>(i64, reach));
  OpFoldResult count = l.toDim(
      s.max(s.mul(s.make<arith::FPToSIOp>(i64, reach), s.integer(i64, 2)), s.integer(i64, 1)));

  Taps taps;
  taps.first = table(l, loc, options, dim, i64, [&](Scalars &s, Value x) {
    return s.add(s.make<arith::FPToSIOp>(i64, s.make<math::FloorOp>(x)), s.bring(offset));
  });
  // Rounded here already unless the sum is to become 1.
  bool normalizes = options.antialias || options.excludesOutside;
  Value size = l.i64Value(dim.in);
  taps.weights = pointwise(
      l, loc, {}, {dim.out, count}, normalizes ? f64Type : type, [&](Scalars &s, ValueRange) {
        Value x = sourcePosition(s, options.coordinates, dim, loopIndex(s, 0));
        Value left = s.make<math::FloorOp>(x);
        Value step = s.add(s.toI64(loopIndex(s, 1)), s.bring(offset));
        Value distance = subF(s, s.make<arith::SIToFPOp>(f64Type, step), subF(s, x, left));
        Value weight = kernelAt(s, options, mulF(s, distance, s.bring(scale)));
        if (options.excludesOutside) {
          Value position = s.add(s.make<arith::FPToSIOp>(i64, left), step);
          Value inside = s.compare(arith::CmpIPredicate::ult, position, s.bring(size));
          weight = s.select(inside, weight, f64(s, 0));
        }
        return normalizes ? weight : convertFloat(s, weight, type);
      });
  if (!normalizes)
    return taps;
  Value sums = reduceAxes(l, loc, taps.weights, {dim.out, count}, 1, f64(s, 0),
                          [&](Scalars &s, ValueRange args) { return addF(s, args[1], args[0]); });
  taps.weights = pointwise(
      l, loc, {{taps.weights, mapWithout(l, 2, {})}, {sums, mapWithout(l, 2, 1)}}, {dim.out, count},
      type, [&](Scalars &s, ValueRange args) {
        Value isNone = s.compare(arith::CmpFPredicate::OEQ, args[1], f64(s, 0));
        return convertFloat(s, divF(s, args[0], s.select(isNone, f64(s, 1), args[1])), type);
      });
  return taps;
}

Value resizeByTaps(Lowering &l, Location loc, Lowered *x, const ResizeOptions &options,
                   ArrayRef<ResizedDim> resized, const Dims &dims) {
  int64_t rank = x->rank();
  Type i64 = l.builder.getI64Type(), type = interpolationType(l, x->element);
  Value current = l.tensor(x);
  Dims done = x->dims;
  bool isUnsigned = x->isUnsigned();
  Scalars scalars = l.scalars(loc);
  for (const ResizedDim &dim : resized) {
    Taps taps = tapsOf(l, loc, options, dim, type);
    done[dim.dim] = dim.out;
    Value last = scalars.sub(l.i64Value(dim.in), scalars.integer(i64, 1));
    Value init = l.filledTensor(loc, done, scalars.number(type, 0));
    // Loops: the dims of the result, then the taps.
    AffineMap weightMap = AffineMap::get(
        rank + 1, 0, {l.builder.getAffineDimExpr(dim.dim), l.builder.getAffineDimExpr(rank)},
        l.builder.getContext());
    current =
        generic(l, loc, {{taps.weights, weightMap}, {taps.first, mapToDim(l, rank + 1, dim.dim)}},
                Input{init, mapWithout(l, rank + 1, rank)}, rank, [&](Scalars &s, ValueRange args) {
                  SmallVector<Value> at;
                  for (int64_t d = 0; d < rank; ++d)
                    at.push_back(loopIndex(s, d));
                  Value position = s.add(args[1], s.toI64(loopIndex(s, rank)));
                  position = s.max(s.min(position, s.bring(last)), s.integer(i64, 0));
                  at[dim.dim] = s.toIndex(position);
                  Value value = toFloat(s, extract(s, current, at), type, isUnsigned);
                  return SmallVector<Value>{addF(s, args[2], mulF(s, value, args[0]))};
                })[0];
  }
  SmallVector<Input> inputs = {{current, mapWithout(l, rank, {})}};
  addOutsideTables(l, loc, options, resized, rank, inputs);
  if (inputs.size() == 1 && type == x->element)
    return current;
  return pointwise(l, loc, inputs, dims, signless(x->element), [&](Scalars &s, ValueRange args) {
    Value value = fromInterpolation(s, args[0], x->element);
    return unlessOutside(s, options, args.drop_front(), value, x->element);
  });
}

LogicalResult lowerResize(Lowering &l, Operation *op, bool isUpsample) {
  Lowered *x = l.operand(op, 0);
  FailureOr<ResizeOptions> options = resizeOptions(l, op, isUpsample);
  if (failed(options))
    return failure();
  if (options->mode != ResizeMode::Nearest && !isSupportedFloat(x->element) && !x->isInteger())
    return l.fail(op, "elements of this type cannot be interpolated; use mode nearest");
  Dims dims;
  FailureOr<SmallVector<ResizedDim>> resized = resizedDims(l, op, x, *options, isUpsample, dims);
  if (failed(resized))
    return failure();
  if (resized->empty()) {
    l.alias(op->getResult(0), x);
    return success();
  }
  SmallVector<OpFoldResult> read;
  for (const ResizedDim &dim : *resized)
    read.push_back(dim.in);
  assertNotEmpty(l, op, read, dims);
  Location loc = op->getLoc();
  // More dims would need more than 8 neighbours at once.
  bool gathers = options->mode == ResizeMode::Linear && !options->antialias && resized->size() <= 3;
  Value y = options->mode == ResizeMode::Nearest
                ? resizeNearest(l, loc, x, *options, *resized, dims)
            : gathers ? resizeLinear(l, loc, x, *options, *resized, dims)
                      : resizeByTaps(l, loc, x, *options, *resized, dims);
  l.setTensor(op, 0, y, dims, x->element);
  return success();
}

} // namespace

void sq::registerResize(LoweringTable &table) {
  table.add("Resize", 1, [](Lowering &l, Operation *op) { return lowerResize(l, op, false); });
  table.add("Upsample", 1, [](Lowering &l, Operation *op) { return lowerResize(l, op, true); });
}
