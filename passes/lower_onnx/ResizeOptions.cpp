/// What a Resize or Upsample asks for: its modes, and the dims of its result.
#include "passes/lower_onnx/Resize.h"

#include "passes/lower_onnx/Generics.h"

#include <cmath>

using namespace mlir;
using namespace sq;

FailureOr<ResizeOptions> sq::resizeOptions(Lowering &l, Operation *op, bool isUpsample) {
  ResizeOptions options;
  std::string mode = l.stringAttr(op, "mode", "nearest");
  auto foundMode = llvm::StringSwitch<std::optional<ResizeMode>>(mode)
                       .Case("nearest", ResizeMode::Nearest)
                       .Cases({"linear", "bilinear"}, ResizeMode::Linear)
                       .Case("cubic", ResizeMode::Cubic)
                       .Default(std::nullopt);
  if (!foundMode)
    return l.fail(op, "mode '" + mode + "' is not known; use nearest, linear or cubic");
  options.mode = *foundMode;
  if (isUpsample || l.opset() < 11) {
    // Before opset 11 there was one way, of which the text says nothing and the
    // data do.
    options.coordinates = Coordinates::Asymmetric;
    options.nearest = isUpsample ? NearestMode::Floor : NearestMode::CeilWhenSmaller;
    return options;
  }
  std::string coordinates = l.stringAttr(op, "coordinate_transformation_mode", "half_pixel");
  auto foundCoordinates = llvm::StringSwitch<std::optional<Coordinates>>(coordinates)
                              .Case("half_pixel", Coordinates::HalfPixel)
                              .Case("half_pixel_symmetric", Coordinates::HalfPixelSymmetric)
                              .Case("pytorch_half_pixel", Coordinates::PytorchHalfPixel)
                              .Case("align_corners", Coordinates::AlignCorners)
                              .Case("asymmetric", Coordinates::Asymmetric)
                              .Case("tf_crop_and_resize", Coordinates::CropAndResize)
                              .Default(std::nullopt);
  if (!foundCoordinates)
    return l.fail(op, "coordinate_transformation_mode '" + coordinates + "' is not supported");
  options.coordinates = *foundCoordinates;
  std::string nearest = l.stringAttr(op, "nearest_mode", "round_prefer_floor");
  auto foundNearest = llvm::StringSwitch<std::optional<NearestMode>>(nearest)
                          .Case("round_prefer_floor", NearestMode::PreferFloor)
                          .Case("round_prefer_ceil", NearestMode::PreferCeil)
                          .Case("floor", NearestMode::Floor)
                          .Case("ceil", NearestMode::Ceil)
                          .Default(std::nullopt);
  if (!foundNearest)
    return l.fail(op, "nearest_mode '" + nearest + "' is not known");
  options.nearest = *foundNearest;
  options.cubicA = l.floatAttr(op, "cubic_coeff_a", -0.75);
  options.excludesOutside = l.intAttr(op, "exclude_outside", 0);
  options.antialias = l.intAttr(op, "antialias", 0);
  options.extrapolation = l.floatAttr(op, "extrapolation_value", 0);
  if (options.antialias && options.mode == ResizeMode::Nearest)
    return l.fail(op, "antialias has no meaning for mode nearest; use linear or cubic");
  return options;
}

/// floor(size * scale) in f32, as ONNX infers shapes. Where the scale is a
/// small fraction this is done in integers, which leaves a sum of sizes
/// recognisable.
static FailureOr<OpFoldResult> scaledSize(Lowering &l, Operation *op, OpFoldResult in, Value scale,
                                          int64_t dim) {
  Scalars s = l.scalars(op->getLoc());
  Type i64 = l.builder.getI64Type(), f32 = l.builder.getF32Type();
  Value size = l.i64Value(in);
  if (auto constant = dyn_cast_or_null<FloatAttr>(constantOf(scale))) {
    double value = constant.getValueAsDouble();
    if (!(value > 0) || value > INT32_MAX)
      return l.fail(op, "the scale of dimension " + Twine(dim) + " is " +
                            Twine(std::to_string(value)) + "; it must be positive");
    for (int64_t divisor : {1, 2, 4, 8, 16})
      if (value * divisor == std::floor(value * divisor)) {
        Value times = s.mul(size, s.integer(i64, static_cast<int64_t>(value * divisor)));
        return l.toDim(s.divide(times, s.integer(i64, divisor)));
      }
  }
  Value scaled = s.make<arith::MulFOp>(s.make<arith::SIToFPOp>(f32, size), scale);
  auto isBelow = [&](Value a, Value b) { return s.compare(arith::CmpFPredicate::OLT, a, b); };
  Value isSize = s.make<arith::AndIOp>(isBelow(s.number(f32, 0), scale),
                                       isBelow(scaled, s.number(f32, INT32_MAX)));
  l.assertTrue(op, isSize,
               "the scale of dimension " + Twine(dim) + " is not positive or too large");
  return l.toDim(s.max(s.make<arith::FPToSIOp>(i64, scaled), s.integer(i64, 0)));
}

/// Elements of an optional operand as f64; none when it is absent or empty.
static FailureOr<SmallVector<Value>> optionalNumbers(Lowering &l, Operation *op, unsigned i,
                                                     StringRef what, size_t count) {
  Lowered *value = l.operand(op, i);
  if (!value || staticCount(value->dims) == 0)
    return SmallVector<Value>();
  FailureOr<SmallVector<Value>> elements = l.knownElements(op, i, what);
  if (failed(elements))
    return failure();
  if (elements->size() != count)
    return l.fail(op,
                  what + " has " + Twine(elements->size()) + " elements; expected " + Twine(count));
  return *elements;
}

FailureOr<SmallVector<ResizedDim>> sq::resizedDims(Lowering &l, Operation *op, Lowered *x,
                                                   const ResizeOptions &options, bool isUpsample,
                                                   Dims &dims) {
  int64_t rank = x->rank();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(rank));
  if (std::optional<SmallVector<int64_t>> given = l.intsAttr(op, "axes")) {
    FailureOr<SmallVector<int64_t>> normalized = l.normalizeAxes(op, *given, rank);
    if (failed(normalized))
      return failure();
    axes = *normalized;
  }
  Location loc = op->getLoc();
  Scalars s = l.scalars(loc);
  Type type = l.builder.getF64Type(), f32 = l.builder.getF32Type();
  auto toF64 = [&](OpFoldResult dim) { return s.make<arith::SIToFPOp>(type, l.i64Value(dim)); };

  SmallVector<Value> scales, sizes, roi;
  auto read = [&](unsigned i, StringRef what, size_t count, SmallVector<Value> &values) {
    FailureOr<SmallVector<Value>> found = optionalNumbers(l, op, i, what, count);
    if (succeeded(found))
      values = *found;
    return LogicalResult(found);
  };
  bool hasSizes = !isUpsample && l.opset() >= 11;
  if (auto attr = op->getAttrOfType<DenseF32ArrayAttr>("scales")) {
    for (float scale : attr.asArrayRef())
      scales.push_back(s.number(f32, scale));
    if (scales.size() != axes.size())
      return l.fail(op, "scales has " + Twine(scales.size()) + " elements; expected " +
                            Twine(axes.size()));
  } else if (failed(read(hasSizes ? 2 : 1, "scales", axes.size(), scales))) {
    return failure();
  }
  if (hasSizes && failed(read(3, "sizes", axes.size(), sizes)))
    return failure();
  if (scales.empty() == sizes.empty() && !axes.empty())
    return l.fail(op, scales.empty() ? "neither scales nor sizes are given"
                                     : "scales and sizes are given; give one of them");
  bool crops = options.coordinates == Coordinates::CropAndResize;
  if (crops && failed(read(1, "roi", 2 * axes.size(), roi)))
    return failure();
  if (crops && roi.empty())
    return l.fail(op, "roi is missing; tf_crop_and_resize needs it");

  // The one scale of all dims, when the aspect ratio is to be kept.
  std::string policy = l.stringAttr(op, "keep_aspect_ratio_policy", "stretch");
  Value common;
  if (!sizes.empty() && policy != "stretch") {
    if (policy != "not_larger" && policy != "not_smaller")
      return l.fail(op, "keep_aspect_ratio_policy '" + policy + "' is not known");
    auto predicate = policy == "not_larger" ? arith::CmpFPredicate::OLT : arith::CmpFPredicate::OGT;
    for (auto [size, axis] : llvm::zip(sizes, axes)) {
      Value scale =
          s.make<arith::DivFOp>(s.make<arith::SIToFPOp>(type, size), toF64(x->dims[axis]));
      common = common ? s.select(s.compare(predicate, scale, common), scale, common) : scale;
    }
  }

  dims = x->dims;
  SmallVector<ResizedDim> resized;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    ResizedDim dim;
    dim.dim = axis;
    dim.in = l.resolve(x->dims[axis]);
    FailureOr<OpFoldResult> out = dim.in;
    if (common) {
      Value exact = s.make<arith::MulFOp>(common, toF64(dim.in));
      Value rounded = s.make<arith::FPToSIOp>(l.builder.getI64Type(),
                                              s.make<arith::AddFOp>(exact, s.number(type, 0.5)));
      out = sizeFrom(l, op, rounded, "the size of dimension " + Twine(axis));
    } else if (!sizes.empty()) {
      out = sizeFrom(l, op, sizes[i], "the size of dimension " + Twine(axis));
    } else {
      if (!scales[i].getType().isF32())
        return l.fail(op, "scales are not of f32");
      out = scaledSize(l, op, dim.in, scales[i], axis);
    }
    if (failed(out))
      return failure();
    dims[axis] = *out;
    resized.push_back(dim);
  }
  FailureOr<Dims> declared = withDeclaredDims(l, op, 0, dims);
  if (failed(declared))
    return failure();
  dims = *declared;

  SmallVector<ResizedDim> changed;
  for (auto [i, dim] : llvm::enumerate(resized)) {
    dim.out = l.resolve(dims[dim.dim]);
    dim.inSize = toF64(dim.in);
    dim.outSize = dim.exactSize = toF64(dim.out);
    dim.numerator = dim.inSize;
    dim.denominator = dim.outSize;
    Value scale = common ? common : scales.empty() ? Value() : convertFloat(s, scales[i], type);
    if (scale) {
      dim.numerator = s.number(type, 1);
      dim.denominator = scale;
      dim.exactSize = s.make<arith::MulFOp>(scale, dim.inSize);
    }
    auto isConstant = [](Value value, double wanted) {
      auto attr = dyn_cast_or_null<FloatAttr>(constantOf(value));
      return attr && attr.getValueAsDouble() == wanted;
    };
    bool isWhole = true;
    if (crops) {
      dim.start = convertFloat(s, roi[i], type);
      dim.end = convertFloat(s, roi[axes.size() + i], type);
      isWhole = isConstant(dim.start, 0) && isConstant(dim.end, 1);
    }
    if (isWhole && dim.in == dim.out && (!scale || isConstant(scale, 1)))
      continue;
    changed.push_back(dim);
  }
  return changed;
}
