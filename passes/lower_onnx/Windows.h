/// Windows that slide over the spatial dims of `[N, C, D1, ...]`: what
/// convolutions and pools share.
#ifndef SQ_PASSES_LOWER_ONNX_WINDOWS_H
#define SQ_PASSES_LOWER_ONNX_WINDOWS_H

#include "passes/lower_onnx/Generics.h"

namespace sq {

/// (d0, .., dn) -> (d0, .., dn)
mlir::AffineMap identityMap(Lowering &l, int64_t rank);

/// How the window moves along one spatial dim.
struct WindowAxis {
  mlir::OpFoldResult kernel;
  int64_t stride = 1, dilation = 1;
  mlir::OpFoldResult out;
  mlir::Value before; // padding, i64
  mlir::Value size;   // of the input, i64
};

/// An attribute with `count` values in [min, 2^31), or the default for all.
mlir::FailureOr<llvm::SmallVector<int64_t>> perAxis(Lowering &l, mlir::Operation *op,
                                                    llvm::StringRef name, size_t count, int64_t min,
                                                    int64_t absent);

enum class AutoPad { None, Valid, SameUpper, SameLower };
mlir::FailureOr<AutoPad> autoPad(Lowering &l, mlir::Operation *op);

/// Strides, dilations, paddings and result sizes of a convolution or pooling.
mlir::FailureOr<llvm::SmallVector<WindowAxis>>
slidingAxes(Lowering &l, mlir::Operation *op, Lowered *x,
            llvm::ArrayRef<mlir::OpFoldResult> kernel);

/// The position in the input of window element `k` of result `o` (index),
/// clamped to the input; what says whether it lies inside is and-ed to
/// `inside`.
mlir::Value inputPosition(Scalars &s, const WindowAxis &axis, mlir::Value o, mlir::Value k,
                          mlir::Value &inside);

/// The other way round: the window (of `axis.size`, i64, clamped to them) that
/// has its element `k` at position `i` (both index), if there is one.
mlir::Value windowAt(Scalars &s, const WindowAxis &axis, mlir::Value i, mlir::Value k,
                     mlir::Value &inside);

/// The input must be `[N, C, D1, ...]`.
mlir::LogicalResult requireSpatial(Lowering &l, mlir::Operation *op, Lowered *x);
/// Nothing may be read of an input with an empty dim, unless `dims` are empty
/// too.
void assertReadable(Lowering &l, mlir::Operation *op, Lowered *x,
                    llvm::ArrayRef<mlir::OpFoldResult> dims);
/// Kernel dims of w `[M, C / group, ...]`, checked against x and
/// `kernel_shape`.
mlir::FailureOr<llvm::SmallVector<mlir::OpFoldResult>> kernelOf(Lowering &l, mlir::Operation *op,
                                                                Lowered *x, Lowered *w);
/// `group`, which divides dim 0 of the weight.
mlir::FailureOr<int64_t> groupsOf(Lowering &l, mlir::Operation *op, Lowered *w);
/// The same, and that x has the channels of all groups together.
mlir::FailureOr<int64_t> groupsOf(Lowering &l, mlir::Operation *op, Lowered *x, Lowered *w);
/// Result 0 of `op`: a value in the accumulator's type, rounded to `element`.
void setRounded(Lowering &l, mlir::Operation *op, mlir::Value value, const Dims &dims,
                mlir::Type element);

} // namespace sq

#endif
