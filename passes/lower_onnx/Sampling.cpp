/// GridSample, AffineGrid, RoiAlign: images read at positions that are data.

#include "passes/lower_onnx/Interpolation.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

/// Element `index` of the last dim of `tensor`, whose other dims are the loops
/// `dims`.
Input componentOf(Lowering &l, Value tensor, int64_t loops, ArrayRef<int64_t> dims, int64_t index) {
  SmallVector<AffineExpr> exprs;
  for (int64_t d : dims)
    exprs.push_back(l.builder.getAffineDimExpr(d));
  exprs.push_back(l.builder.getAffineConstantExpr(index));
  return {tensor, AffineMap::get(loops, 0, exprs, l.builder.getContext())};
}

//===----------------------------------------------------------------------===//
// GridSample
//===----------------------------------------------------------------------===//

enum class GridMode { Nearest, Linear, Cubic };

struct GridOptions {
  GridMode mode;
  Border border;
  bool alignsCorners;
};

FailureOr<GridOptions> gridOptions(Lowering &l, Operation *op) {
  std::string mode = l.stringAttr(op, "mode", "linear");
  auto foundMode = llvm::StringSwitch<std::optional<GridMode>>(mode)
                       .Case("nearest", GridMode::Nearest)
                       .Cases({"linear", "bilinear"}, GridMode::Linear)
                       .Cases({"cubic", "bicubic"}, GridMode::Cubic)
                       .Default(std::nullopt);
  if (!foundMode)
    return l.fail(op, "mode '" + mode + "' is not known; use nearest, linear or cubic");
  std::string padding = l.stringAttr(op, "padding_mode", "zeros");
  auto foundBorder = llvm::StringSwitch<std::optional<Border>>(padding)
                         .Case("zeros", Border::Zeros)
                         .Case("border", Border::Clamp)
                         .Case("reflection", Border::Reflect)
                         .Default(std::nullopt);
  if (!foundBorder)
    return l.fail(op,
                  "padding_mode '" + padding + "' is not known; use zeros, border or reflection");
  return GridOptions{*foundMode, *foundBorder, l.intAttr(op, "align_corners", 0) != 0};
}

/// The neighbours along one dim of `size` of the position that the grid has as
/// `x`, a float of which [-1, 1] is the image.
SmallVector<Tap> gridTaps(Scalars &s, const GridOptions &options, Value x, Value size) {
  Type type = x.getType(), i64 = s.builder.getI64Type();
  auto add = [&](Value a, Value b) { return s.make<arith::AddFOp>(a, b); };
  auto sub = [&](Value a, Value b) { return s.make<arith::SubFOp>(a, b); };
  auto mul = [&](Value a, Value b) { return s.make<arith::MulFOp>(a, b); };
  auto number = [&](double value) { return s.number(type, value); };
  Value length = s.make<arith::SIToFPOp>(type, size), last = sub(length, number(1));
  Value fromStart = add(x, number(1));
  if (options.alignsCorners)
    x = mul(mul(fromStart, number(0.5)), last);
  else
    x = mul(sub(mul(fromStart, length), number(1)), number(0.5));
  if (options.mode == GridMode::Nearest)
    x = s.make<math::RoundEvenOp>(x);

  Value low = options.alignsCorners ? number(0) : number(-0.5);
  Value high = options.alignsCorners ? last : sub(length, number(0.5));
  Value isBefore = s.compare(arith::CmpFPredicate::OLT, x, low);
  Value isAfter = s.compare(arith::CmpFPredicate::OGT, x, high);
  Value isOutside = s.make<arith::OrIOp>(isBefore, isAfter);
  if (options.border == Border::Clamp && options.mode != GridMode::Cubic) {
    // (Not for cubics: onnxruntime and PyTorch move their neighbours only, ONNX's
    // reference implementation moves the position too; the text leaves it open.)
    x = s.select(isOutside, clampFloat(s, x, number(0), last), x);
  } else if (options.border == Border::Reflect) {
    // How far from the lower bound, folded back at each bound.
    Value range = sub(high, low), distance = s.make<math::AbsFOp>(sub(x, low));
    Value times = s.make<math::FloorOp>(s.make<arith::DivFOp>(distance, range));
    Value rest = sub(distance, mul(times, range));
    Value half = mul(times, number(0.5));
    Value isEven = s.compare(arith::CmpFPredicate::OEQ, s.make<math::FloorOp>(half), half);
    Value folded = s.select(isEven, add(low, rest), sub(high, rest));
    x = s.select(isOutside, folded, x);
  }
  // No integer can overflow below, whatever the grid holds.
  x = clampFloat(s, x, number(-4), add(length, number(4)));

  auto tap = [&](Value position) {
    return tapAt(s, position, size, options.border, options.alignsCorners);
  };
  if (options.mode == GridMode::Nearest)
    return {tap(s.make<arith::FPToSIOp>(i64, x))};
  if (options.mode == GridMode::Linear)
    return linearTaps(s, x, size, options.border, options.alignsCorners);
  Value floor = s.make<math::FloorOp>(x);
  Value left = s.make<arith::FPToSIOp>(i64, floor), fraction = sub(x, floor);
  SmallVector<Tap> taps;
  for (int64_t i = -1; i <= 2; ++i) {
    taps.push_back(tap(s.add(left, s.integer(i64, i))));
    Value distance = s.make<math::AbsFOp>(sub(fraction, number(i)));
    taps.back().weight = cubicKernel(s, distance, -0.75);
  }
  return taps;
}

LogicalResult lowerGridSample(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *grid = l.operand(op, 1);
  FailureOr<GridOptions> options = gridOptions(l, op);
  if (failed(options))
    return failure();
  int64_t rank = x->rank(), spatial = rank - 2;
  if (rank < 3 || grid->rank() != rank)
    return l.fail(op, "the input has rank " + Twine(rank) + " and the grid " + Twine(grid->rank()) +
                          "; it needs [N, C, D1, ...] and [N, O1, ..., r]");
  if (!isSupportedFloat(grid->element))
    return l.fail(op, "the grid is not of floats");
  if (options->mode != GridMode::Nearest && !isSupportedFloat(x->element) && !x->isInteger())
    return l.fail(op, "elements of this type cannot be interpolated; use mode nearest");
  if (options->mode == GridMode::Cubic && spatial > 3)
    return l.fail(op, "mode cubic is supported for up to 3 spatial dimensions");
  FailureOr<OpFoldResult> batch = l.unify(op, x->dims[0], grid->dims[0], "the batch");
  if (failed(batch) || failed(l.unify(op, grid->dims.back(), l.indexAttr(spatial),
                                      "the number of coordinates in the grid")))
    return failure();
  Dims dims = {*batch, x->dims[1]};
  dims.append(grid->dims.begin() + 1, grid->dims.end() - 1);
  ArrayRef<OpFoldResult> image = ArrayRef<OpFoldResult>(x->dims).drop_front(2);
  assertNotEmpty(l, op, image, dims);

  Location loc = op->getLoc();
  Type coordinate = accumulatorType(grid->element), type = interpolationType(l, x->element);
  SmallVector<int64_t> gridLoops = {0};
  SmallVector<Value> sizes;
  for (int64_t d = 0; d < spatial; ++d) {
    gridLoops.push_back(2 + d);
    sizes.push_back(l.i64Value(image[d]));
  }
  // Coordinates are x, y, ..: the last dim first.
  SmallVector<Input> inputs;
  Value gridTensor = l.tensor(grid), source = l.tensor(x);
  for (int64_t d = 0; d < spatial; ++d)
    inputs.push_back(componentOf(l, gridTensor, rank, gridLoops, spatial - 1 - d));
  Value y = pointwise(l, loc, inputs, dims, signless(x->element), [&](Scalars &s, ValueRange args) {
    SmallVector<SmallVector<Tap>> taps;
    for (int64_t d = 0; d < spatial; ++d)
      taps.push_back(
          gridTaps(s, *options, convertFloat(s, args[d], coordinate), s.bring(sizes[d])));
    SmallVector<Value> at = {loopIndex(s, 0), loopIndex(s, 1)};
    if (options->mode != GridMode::Nearest)
      return fromInterpolation(s, weightedSum(s, source, at, taps, type, x->isUnsigned()),
                               x->element);
    Value inside = s.boolean(true);
    for (ArrayRef<Tap> tap : taps) {
      at.push_back(tap[0].index);
      if (tap[0].inside)
        inside = s.make<arith::AndIOp>(inside, tap[0].inside);
    }
    Value value = extract(s, source, at);
    return s.select(inside, value, zeroScalar(s, value.getType()));
  });
  l.setTensor(op, 0, y, dims, x->element);
  return success();
}

//===----------------------------------------------------------------------===//
// AffineGrid
//===----------------------------------------------------------------------===//

/// grid[n, o.., j] = sum_k theta[n, j, k] p_k(o) + theta[n, j, r], where p(o)
/// is the position of element o of an image, (-1, .., -1) to (1, .., 1), its
/// last dim first.
LogicalResult lowerAffineGrid(Lowering &l, Operation *op) {
  Lowered *theta = l.operand(op, 0);
  if (!isSupportedFloat(theta->element) || theta->rank() != 3)
    return l.fail(op, "theta is not [N, r, r + 1] of floats");
  FailureOr<SmallVector<Value>> size = l.knownElements(op, 1, "size");
  if (failed(size))
    return failure();
  int64_t spatial = static_cast<int64_t>(size->size()) - 2;
  if (spatial != 2 && spatial != 3)
    return l.fail(op, "size has " + Twine(size->size()) +
                          " elements; expected 4 for images or 5 for volumes");
  Dims dims;
  for (auto [i, value] : llvm::enumerate(*size)) {
    FailureOr<OpFoldResult> dim = sizeFrom(l, op, value, "size " + Twine(i));
    if (failed(dim))
      return failure();
    if (i != 1) // the channels
      dims.push_back(*dim);
  }
  dims.push_back(l.indexAttr(spatial));
  FailureOr<Dims> declared = withDeclaredDims(l, op, 0, dims);
  if (failed(declared))
    return failure();
  dims = *declared;
  FailureOr<OpFoldResult> batch = l.unify(op, theta->dims[0], dims[0], "the batch");
  if (failed(batch) ||
      failed(l.unify(op, theta->dims[1], l.indexAttr(spatial), "the rows of theta")) ||
      failed(l.unify(op, theta->dims[2], l.indexAttr(spatial + 1), "the columns of theta")))
    return failure();
  dims[0] = *batch;

  bool alignsCorners = l.intAttr(op, "align_corners", 0);
  Location loc = op->getLoc();
  Type element = theta->element, type = accumulatorType(element);
  SmallVector<Value> sizes;
  for (int64_t d = 0; d < spatial; ++d)
    sizes.push_back(l.i64Value(dims[1 + d]));
  int64_t loops = spatial + 2;
  Value source = l.tensor(theta);
  SmallVector<Input> inputs;
  for (int64_t k = 0; k <= spatial; ++k)
    inputs.push_back(componentOf(l, source, loops, {0, loops - 1}, k));
  Value grid = pointwise(l, loc, inputs, dims, element, [&](Scalars &s, ValueRange args) {
    auto mul = [&](Value a, Value b) { return s.make<arith::MulFOp>(a, b); };
    Value sum = convertFloat(s, args[spatial], type), one = s.number(type, 1);
    for (int64_t k = 0; k < spatial; ++k) {
      int64_t d = spatial - 1 - k;
      Value i = s.make<arith::SIToFPOp>(type, s.toI64(loopIndex(s, 1 + d)));
      Value count = s.bring(sizes[d]);
      Value position;
      if (alignsCorners) {
        // A single element lies at -1.
        Value steps = s.max(s.sub(count, s.integer(s.builder.getI64Type(), 1)),
                            s.integer(s.builder.getI64Type(), 1));
        position =
            s.make<arith::DivFOp>(mul(i, s.number(type, 2)), s.make<arith::SIToFPOp>(type, steps));
      } else {
        Value twice = s.make<arith::AddFOp>(mul(i, s.number(type, 2)), one);
        position = s.make<arith::DivFOp>(twice, s.make<arith::SIToFPOp>(type, count));
      }
      position = s.make<arith::SubFOp>(position, one);
      sum = s.make<arith::AddFOp>(sum, mul(convertFloat(s, args[k], type), position));
    }
    return convertFloat(s, sum, element);
  });
  l.setTensor(op, 0, grid, dims, element);
  return success();
}

//===----------------------------------------------------------------------===//
// RoiAlign
//===----------------------------------------------------------------------===//

/// One dim of a region: `start` and the size of a bin, in elements, and how
/// many samples a bin has.
struct RegionDim {
  Value start, bin;
  Value samples; // index
};

RegionDim regionDim(Scalars &s, Value from, Value to, double scale, bool halfPixel, int64_t bins,
                    int64_t ratio) {
  Type type = from.getType(), i64 = s.builder.getI64Type();
  auto position = [&](Value x) {
    x = s.make<arith::MulFOp>(x, s.number(type, scale));
    return halfPixel ? s.make<arith::SubFOp>(x, s.number(type, 0.5)) : x;
  };
  RegionDim dim;
  dim.start = position(from);
  Value size = s.make<arith::SubFOp>(position(to), dim.start);
  if (!halfPixel) {
    // What has no size becomes one element.
    Value isSmall = s.compare(arith::CmpFPredicate::OLT, size, s.number(type, 1));
    size = s.select(isSmall, s.number(type, 1), size);
  }
  dim.bin = s.make<arith::DivFOp>(size, s.number(type, bins));
  if (ratio > 0) {
    dim.samples = s.integer(s.builder.getIndexType(), ratio);
  } else {
    // One per element. (No image is so large that the limit matters; without it
    // a damaged region would be sampled for ever.)
    Value count =
        clampFloat(s, s.make<math::CeilOp>(dim.bin), s.number(type, 0), s.number(type, 65536));
    dim.samples = s.toIndex(s.make<arith::FPToSIOp>(i64, count));
  }
  return dim;
}

/// Both neighbours of `x` in a dim of `size` (i64); `inside`: whether it counts
/// at all.
SmallVector<Tap> regionTaps(Scalars &s, Value x, Value size, Value &inside) {
  Type type = x.getType();
  Value length = s.make<arith::SIToFPOp>(type, size);
  Value isAfter = s.compare(arith::CmpFPredicate::OGE, x, s.number(type, -1));
  Value isBefore = s.compare(arith::CmpFPredicate::OLE, x, length);
  Value here = s.make<arith::AndIOp>(isAfter, isBefore);
  inside = inside ? s.make<arith::AndIOp>(inside, here) : here;
  Value last = s.make<arith::SubFOp>(length, s.number(type, 1));
  x = clampFloat(s, x, s.number(type, 0), last);
  return linearTaps(s, x, size, Border::Clamp, false);
}

LogicalResult lowerRoiAlign(Lowering &l, Operation *op) {
  Lowered *x = l.operand(op, 0), *rois = l.operand(op, 1), *batches = l.operand(op, 2);
  if (!isSupportedFloat(x->element) || rois->element != x->element || x->rank() != 4)
    return l.fail(op, "input and regions are not floats of one type, the input [N, C, H, W]");
  if (rois->rank() != 2 || batches->rank() != 1 || !batches->isInteger())
    return l.fail(op, "regions and their batch indices are not [R, 4] and [R]");
  FailureOr<OpFoldResult> count = l.unify(op, rois->dims[0], batches->dims[0], "the regions");
  if (failed(count) ||
      failed(l.unify(op, rois->dims[1], l.indexAttr(4), "the corners of a region")))
    return failure();
  std::string mode = l.stringAttr(op, "mode", "avg");
  if (mode != "avg" && mode != "max")
    return l.fail(op, "mode '" + mode + "' is not known; use avg or max");
  bool isMax = mode == "max";
  std::string coordinates = l.stringAttr(op, "coordinate_transformation_mode",
                                         l.opset() < 16 ? "output_half_pixel" : "half_pixel");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel")
    return l.fail(op, "coordinate_transformation_mode '" + coordinates + "' is not known");
  bool halfPixel = coordinates == "half_pixel";
  int64_t height = l.intAttr(op, "output_height", 1), width = l.intAttr(op, "output_width", 1);
  int64_t ratio = l.intAttr(op, "sampling_ratio", 0);
  if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX)
    return l.fail(op, "the output has size " + Twine(height) + " by " + Twine(width));
  if (ratio < 0 || ratio > INT32_MAX)
    return l.fail(op, "sampling_ratio is " + Twine(ratio));
  double scale = l.floatAttr(op, "spatial_scale", 1);

  Location loc = op->getLoc();
  Dims dims = {*count, x->dims[1], l.indexAttr(height), l.indexAttr(width)};
  assertNotEmpty(l, op, x->dims, dims);
  Value checked = checkedIndices(l, op, batches, x->dims[0]);
  Value source = l.tensor(x), regions = l.tensor(rois);
  Value imageHeight = l.i64Value(x->dims[2]), imageWidth = l.i64Value(x->dims[3]);
  Type element = x->element, type = accumulatorType(element);
  SmallVector<Input> inputs = {{checked, AffineMap::get(4, 0, l.builder.getAffineDimExpr(0))}};
  for (int64_t i = 0; i < 4; ++i)
    inputs.push_back(componentOf(l, regions, 4, 0, i));
  Value y = pointwise(l, loc, inputs, dims, element, [&](Scalars &s, ValueRange args) {
    SmallVector<Value> corner; // x1, y1, x2, y2
    for (Value arg : args.drop_front())
      corner.push_back(convertFloat(s, arg, type));
    RegionDim h = regionDim(s, corner[1], corner[3], scale, halfPixel, height, ratio);
    RegionDim w = regionDim(s, corner[0], corner[2], scale, halfPixel, width, ratio);
    SmallVector<Value> at = {s.toIndex(args[0]), loopIndex(s, 1)};
    Value bins[] = {loopIndex(s, 2), loopIndex(s, 3)};
    auto number = [](Scalars &s, Type type, Value index) {
      return s.make<arith::SIToFPOp>(type, s.toI64(index));
    };
    // start + (bin + (i + 0.5) / samples) * size of a bin
    auto sample = [&](Scalars &s, const RegionDim &dim, Value bin, Value i) {
      Value middle = s.make<arith::AddFOp>(number(s, type, i), s.number(type, 0.5));
      Value inBin = s.make<arith::DivFOp>(middle, number(s, type, dim.samples));
      Value offset = s.make<arith::AddFOp>(number(s, type, bin), inBin);
      return s.make<arith::AddFOp>(dim.start, s.make<arith::MulFOp>(offset, dim.bin));
    };
    Value zero = s.integer(s.builder.getIndexType(), 0),
          one = s.integer(s.builder.getIndexType(), 1);
    // How many samples there are depends on the region: loops inside the
    // body.
    auto inner = [&](OpBuilder &b, Location at_, Value iy, Value ix, Value total) {
      Scalars s(b, at_, nullptr);
      Value inside;
      SmallVector<Tap> rows =
          regionTaps(s, sample(s, h, bins[0], iy), s.bring(imageHeight), inside);
      SmallVector<Tap> columns =
          regionTaps(s, sample(s, w, bins[1], ix), s.bring(imageWidth), inside);
      if (!isMax) {
        Value value = weightedSum(s, source, at, {rows, columns}, type, false);
        return s.make<arith::AddFOp>(total, s.select(inside, value, s.number(type, 0)));
      }
      // The greatest of the weighted neighbours (not of their sums).
      Value best;
      for (const Tap &row : rows)
        for (const Tap &column : columns) {
          SmallVector<Value> position = at;
          position.append({row.index, column.index});
          Value weight = s.make<arith::MulFOp>(row.weight, column.weight);
          Value value =
              s.make<arith::MulFOp>(weight, convertFloat(s, extract(s, source, position), type));
          best = best ? s.make<arith::MaximumFOp>(best, value) : value;
        }
      best = s.select(inside, best, s.number(type, 0));
      return s.make<arith::MaximumFOp>(total, best);
    };
    Value start = s.number(type, isMax ? -INFINITY : 0);
    Value total =
        scf::ForOp::create(
            s.builder, s.loc, zero, h.samples, one, start,
            [&](OpBuilder &b, Location rowLoc, Value iy, ValueRange carried) {
              Value row = scf::ForOp::create(
                              b, rowLoc, zero, w.samples, one, carried,
                              [&](OpBuilder &b, Location columnLoc, Value ix, ValueRange carried) {
                                Value sum = inner(b, columnLoc, iy, ix, carried[0]);
                                scf::YieldOp::create(b, columnLoc, sum);
                              })
                              .getResult(0);
              scf::YieldOp::create(b, rowLoc, row);
            })
            .getResult(0);
    Value samples = s.mul(h.samples, w.samples);
    if (isMax) {
      Value isNone = s.compare(arith::CmpIPredicate::eq, samples, zero);
      total = s.select(isNone, s.number(type, 0), total);
    } else {
      total = s.make<arith::DivFOp>(total, number(s, type, s.max(samples, one)));
    }
    return convertFloat(s, total, element);
  });
  l.setTensor(op, 0, y, dims, element);
  return success();
}

} // namespace

void sq::registerSampling(LoweringTable &table) {
  table.add("GridSample", 2, lowerGridSample);
  table.add("AffineGrid", 2, lowerAffineGrid);
  table.add("RoiAlign", 3, lowerRoiAlign);
}
