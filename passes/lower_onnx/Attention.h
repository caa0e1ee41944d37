/// What the attention operators of ONNX and of onnxruntime share.
#ifndef SQ_PASSES_LOWER_ONNX_ATTENTION_H
#define SQ_PASSES_LOWER_ONNX_ATTENTION_H

#include "passes/lower_onnx/Generics.h"

#include <limits>
#include <vector>

namespace sq {

/// A tensor by value, with its dims: [batch, sequence, heads, size] unless said otherwise.
struct Heads {
  mlir::Value tensor;
  Dims dims;
  mlir::Type element;
};

/// Which keys a query sees, and what is added to the scores.
struct Masking {
  /// Floats that broadcast to [b, h, s, t].
  std::vector<Lowered> additive;
  /// Booleans or integers that broadcast to [b, h, s, t]: where 0, `fill` is added.
  std::optional<Lowered> keep;
  /// [b]: to keys from this number on, `fill` is added.
  Lowered *lengths = nullptr;
  double fill = -std::numeric_limits<double>::infinity();
  /// Query s sees keys t <= s + *past.
  std::optional<mlir::OpFoldResult> past;
};

/// Options beyond sq.attention; they cost a product, a softmax and a product.
struct AttentionExtras {
  double softcap = 0;
  /// Where the scores go: 0 scaled products, 1 capped, 2 masked, 3 after softmax. None: -1.
  int64_t scoresMode = -1;
  unsigned scoresResult = 3;
};

/// softmax(scale q k' + masks) v as [b, s, h, size of v]. Heads of k and v divide those of q.
mlir::FailureOr<Heads> attend(Lowering &l, mlir::Operation *op, Heads q, Heads k, Heads v,
                              Masking masking, double scale, AttentionExtras extras = {});

/// [b, s, heads * d] as [b, s, heads, d].
mlir::FailureOr<Heads> splitHeads(Lowering &l, mlir::Operation *op, mlir::Value tensor,
                                  const Dims &dims, mlir::Type element, int64_t heads,
                                  llvm::StringRef what);
/// [b, h, s, d] as [b, s, h, d], and back.
Heads swapHeads(Lowering &l, mlir::Location loc, Heads x);
/// [b, s, h, d] as [b, s, h * d].
Heads mergeHeads(Lowering &l, mlir::Location loc, Heads x);
/// Keys or values after those of `past` [b, g, p, d] (null: none): [b, p + s, g, d].
/// `present` gets the same as [b, g, p + s, d].
mlir::FailureOr<Heads> appendTo(Lowering &l, mlir::Operation *op, Heads x, Lowered *past,
                                Heads &present);
/// Defines result i, if there is one that is used.
void setHeads(Lowering &l, mlir::Operation *op, unsigned i, const Heads &x);
/// `value` with its dims at these places of four, the others 1.
Lowered atDims(Lowering &l, mlir::Location loc, Lowered *value, llvm::ArrayRef<unsigned> places);
/// Elements [offset, offset + size) of the last dim.
Heads sliceLast(Lowering &l, mlir::Location loc, const Heads &x, int64_t offset, int64_t size);

/// `x` at `offset` of dim `axis` of `into`.
mlir::Value insertAt(Lowering &l, mlir::Location loc, const Heads &x, mlir::Value into,
                     int64_t axis, mlir::OpFoldResult offset);

/// (In Rotary.cpp.) Rotary embedding by tables [rows, a] at positions [b or 1, s]; without positions the tables
/// are [b or 1, s, a]. 2 * a of the d elements turn.
mlir::FailureOr<Heads> rotate(Lowering &l, mlir::Operation *op, Heads x, Lowered *cos, Lowered *sin,
                              Lowered *positions, bool interleaved);

} // namespace sq

#endif
