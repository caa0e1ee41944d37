/// Reading a tensor between its elements: what Resize, GridSample, DeformConv
/// and RoiAlign share. All of it is scalar code of `linalg` bodies.
#ifndef SQ_PASSES_LOWER_ONNX_INTERPOLATION_H
#define SQ_PASSES_LOWER_ONNX_INTERPOLATION_H

#include "passes/lower_onnx/Generics.h"

namespace sq {

/// The 0 of a signless type.
mlir::Value zeroScalar(Scalars &s, mlir::Type type);
/// The type that elements are interpolated in: f32, or f64 for f64 and wide
/// integers.
mlir::Type interpolationType(Lowering &l, mlir::Type element);
/// Back to the (onnx) element type; integers are rounded to the nearest and
/// saturate.
mlir::Value fromInterpolation(Scalars &s, mlir::Value value, mlir::Type element);
/// A float limited to [low, high]; NaN gives `low`.
mlir::Value clampFloat(Scalars &s, mlir::Value x, mlir::Value low, mlir::Value high);
/// The piecewise cubic of Keys (Cubic Convolution Interpolation for Digital
/// Image Processing, 1981, equation 4) at a distance of at least 0; f32 or f64.
mlir::Value cubicKernel(Scalars &s, mlir::Value distance, double a);

/// What lies outside of a tensor.
enum class Border { Zeros, Clamp, Reflect };

/// A neighbour along one dim.
struct Tap {
  mlir::Value index;  // in the tensor, whatever the position was
  mlir::Value inside; // null: always
  mlir::Value weight; // null: 1
};
/// The neighbour at `position` (i64) of a dim of `size` (i64). `aroundCenters`:
/// Reflect mirrors at the centers of the first and last element, not at their
/// outer edges.
Tap tapAt(Scalars &s, mlir::Value position, mlir::Value size, Border border, bool aroundCenters);
/// The two neighbours of `x` (a float near the dim) with their weights.
llvm::SmallVector<Tap> linearTaps(Scalars &s, mlir::Value x, mlir::Value size, Border border,
                                  bool aroundCenters);

/// The weighted sum, in `type`, of the elements of `tensor` at all combinations
/// of taps of its last dims; `at` are the indices before them.
mlir::Value weightedSum(Scalars &s, mlir::Value tensor, llvm::SmallVector<mlir::Value> at,
                        llvm::ArrayRef<llvm::SmallVector<Tap>> taps, mlir::Type type,
                        bool isUnsigned);

} // namespace sq

#endif
