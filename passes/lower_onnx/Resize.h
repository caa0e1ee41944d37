/// What a Resize or Upsample asks for.
#ifndef SQ_PASSES_LOWER_ONNX_RESIZE_H
#define SQ_PASSES_LOWER_ONNX_RESIZE_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

enum class Coordinates {
  HalfPixel,
  HalfPixelSymmetric,
  PytorchHalfPixel,
  AlignCorners,
  Asymmetric,
  CropAndResize
};
enum class ResizeMode { Nearest, Linear, Cubic };
enum class NearestMode { PreferFloor, PreferCeil, Floor, Ceil, CeilWhenSmaller };

struct ResizeOptions {
  ResizeMode mode = ResizeMode::Nearest;
  Coordinates coordinates = Coordinates::HalfPixel;
  NearestMode nearest = NearestMode::PreferFloor;
  double cubicA = -0.75;
  bool excludesOutside = false, antialias = false;
  double extrapolation = 0;
};

/// One dim that changes. Scalars are f64.
struct ResizedDim {
  int64_t dim;
  mlir::OpFoldResult in, out;
  mlir::Value inSize, outSize;
  /// What the scale makes of `inSize`, before it is rounded down to `outSize`.
  mlir::Value exactSize;
  /// A step in the result is numerator / denominator steps in the input.
  mlir::Value numerator, denominator;
  /// The part of the input to show, for CropAndResize; 0 and 1 are all.
  mlir::Value start, end;
};

mlir::FailureOr<ResizeOptions> resizeOptions(Lowering &l, mlir::Operation *op, bool isUpsample);
/// The dims that change and what to; `dims` are those of the result.
mlir::FailureOr<llvm::SmallVector<ResizedDim>> resizedDims(Lowering &l, mlir::Operation *op,
                                                           Lowered *x, const ResizeOptions &options,
                                                           bool isUpsample, Dims &dims);

} // namespace sq

#endif
