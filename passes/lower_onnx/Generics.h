/// Short ways to write `linalg.generic`, for the op families.
///
/// Bodies get `Scalars` without facts; whatever they capture from the function
/// (sizes of dims, say) must be computed before the generic is built.
#ifndef SQ_PASSES_LOWER_ONNX_GENERICS_H
#define SQ_PASSES_LOWER_ONNX_GENERICS_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

/// A whole tensor of these dims; `element` is ONNX's.
Lowered asLowered(mlir::Value tensor, Dims dims, mlir::Type element);

/// A tensor read by a generic at `map(loop indices)`.
struct Input {
  mlir::Value tensor;
  mlir::AffineMap map;
};

/// The elements to store from the elements of the inputs, then of the outputs.
using BodyFn =
    llvm::function_ref<llvm::SmallVector<mlir::Value>(Scalars &, mlir::ValueRange)>;
using ScalarFn = llvm::function_ref<mlir::Value(Scalars &, mlir::ValueRange)>;

/// A generic whose loops at the positions `reduced` are reductions.
llvm::SmallVector<mlir::Value> generic(Lowering &l, mlir::Location loc,
                                       llvm::ArrayRef<Input> inputs,
                                       llvm::ArrayRef<Input> outputs,
                                       llvm::ArrayRef<int64_t> reduced, BodyFn body);

/// All loops parallel, one result of `dims`; `fn` sees the elements of the inputs.
mlir::Value pointwise(Lowering &l, mlir::Location loc, llvm::ArrayRef<Input> inputs,
                      llvm::ArrayRef<mlir::OpFoldResult> dims, mlir::Type element, ScalarFn fn);

/// Folds the dims `axes` of `x` away, starting from the scalar `identity`;
/// `fn(x, accumulator)` may use `linalg.index` of any dim of `x`.
mlir::Value reduceAxes(Lowering &l, mlir::Location loc, mlir::Value x,
                       llvm::ArrayRef<mlir::OpFoldResult> dims, llvm::ArrayRef<int64_t> axes,
                       mlir::Value identity, ScalarFn fn);

/// (d0, .., dn) -> those of them that are not in `dropped`.
mlir::AffineMap mapWithout(Lowering &l, int64_t rank, llvm::ArrayRef<int64_t> dropped);
/// How a tensor of `dims` is read by loops over `target`, aligned at the last dim:
/// dims that are 1 where the target's are not stand still.
mlir::AffineMap broadcastMap(Lowering &l, llvm::ArrayRef<mlir::OpFoldResult> dims,
                             llvm::ArrayRef<mlir::OpFoldResult> target);
/// The dims that are not in `dropped`.
Dims dimsWithout(llvm::ArrayRef<mlir::OpFoldResult> dims, llvm::ArrayRef<int64_t> dropped);
/// `dims` with those of `axes` set to 1.
Dims dimsKept(Lowering &l, llvm::ArrayRef<mlir::OpFoldResult> dims,
              llvm::ArrayRef<int64_t> axes);

/// A dim is 0, whatever the dynamic ones are.
bool isStaticallyEmpty(llvm::ArrayRef<mlir::OpFoldResult> dims);
/// `tensor.extract_slice`, as a tensor of `dims` (`sizes`, some dims of 1 dropped). It refuses to
/// take nothing from behind the end of a static dim, or anything from an empty tensor, where code
/// that never runs may look: that is an empty tensor here.
mlir::Value sliceOf(Lowering &l, mlir::Location loc, mlir::Value source, const Dims &offsets,
                    const Dims &sizes, const Dims &strides, const Dims &dims, mlir::Type element);
/// `value` as a tensor of exactly `dims`, to which it must broadcast.
mlir::Value broadcastTo(Lowering &l, mlir::Location loc, Lowered *value,
                        llvm::ArrayRef<mlir::OpFoldResult> dims);
/// The dims of result `i`, of which those that follow from run-time data become the
/// static ones that the model declares there (asserted at run time).
mlir::FailureOr<Dims> withDeclaredDims(Lowering &l, mlir::Operation *op, unsigned i, Dims dims);
/// A size read at run time or known: fails, at run time if need be, when negative.
mlir::FailureOr<mlir::OpFoldResult> sizeFrom(Lowering &l, mlir::Operation *op, mlir::Value size,
                                             const llvm::Twine &what);
/// The only element of a one-element tensor, as a scalar of the function.
mlir::Value readScalar(Lowering &l, mlir::Location loc, Lowered *value);

/// The type that sums of `element` are kept in: f32 for the small floats.
mlir::Type accumulatorType(mlir::Type element);
bool isSupportedFloat(mlir::Type element);
/// Between floats of any width.
mlir::Value convertFloat(Scalars &s, mlir::Value value, mlir::Type to);
/// Between signless integers; `isUnsigned` says how to widen.
mlir::Value convertInteger(Scalars &s, mlir::Value value, mlir::Type to, bool isUnsigned);
/// Any number to a float; integers by their sign.
mlir::Value toFloat(Scalars &s, mlir::Value value, mlir::Type to, bool isUnsigned);
/// `linalg.index` as index, and as i64.
mlir::Value loopIndex(Scalars &s, int64_t dim);
/// Element of a tensor at indices of type index.
mlir::Value extract(Scalars &s, mlir::Value tensor, mlir::ValueRange indices);

/// x - max - log(sum exp(x - max)) along `axis` (in Normalizations.cpp).
mlir::Value logSoftmax(Lowering &l, mlir::Location loc, mlir::Value x,
                       llvm::ArrayRef<mlir::OpFoldResult> dims, int64_t axis,
                       mlir::Type element);

/// Softmax over the last dim of a float tensor of any width (in Normalizations.cpp).
mlir::Value softmax(Lowering &l, mlir::Location loc, mlir::Value x,
                    llvm::ArrayRef<mlir::OpFoldResult> dims, mlir::Type element);

/// The parts one after the other along `axis` (in Movement.cpp), and along a new dim.
mlir::FailureOr<Lowered> concatenate(Lowering &l, mlir::Operation *op,
                                     llvm::ArrayRef<Lowered *> parts, int64_t axis);
mlir::FailureOr<Lowered> stack(Lowering &l, mlir::Operation *op, llvm::ArrayRef<Lowered *> parts,
                               int64_t axis);

/// [offset, offset + size) of `x` along `axis` (in Rearrangement.cpp).
Lowered sliceAlong(Lowering &l, mlir::Location loc, Lowered *x, int64_t axis,
                   mlir::OpFoldResult offset, mlir::OpFoldResult size);

/// Index tensors from data, made safe to use: negative ones have the size added,
/// each is asserted to be in [0, size) (message "<node>: index out of range") and
/// clamped to it, so that nothing outside is read even where the assertion failed.
/// The result has elements of type i64. For `sizes` of more than one element, the
/// last dim of `indices` runs over them.
mlir::Value checkedIndices(Lowering &l, mlir::Operation *op, Lowered *indices,
                           llvm::ArrayRef<mlir::OpFoldResult> sizes);
/// Fails at run time when a dim of `sizes` is 0, where it is not statically positive
/// (a clamped index would still read outside), unless `count` is 0 as well.
void assertNotEmpty(Lowering &l, mlir::Operation *op, llvm::ArrayRef<mlir::OpFoldResult> sizes,
                    llvm::ArrayRef<mlir::OpFoldResult> count);

} // namespace sq

#endif
