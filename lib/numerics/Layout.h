/// Operators that move elements and compute nothing.
#ifndef SQ_NUMERICS_LAYOUT_H
#define SQ_NUMERICS_LAYOUT_H

#include "lib/numerics/Tensor.h"

namespace sq::numerics {

/// Of `shape`, element i is x's element source[i], or zero where that is -1.
/// Every operator below but concat is such a choice.
Tensor pick(const Tensor &x, Shape shape, const std::vector<int64_t> &source);

/// Same elements, another shape of equal size (all dims given).
Tensor reshape(const Tensor &x, const Shape &shape);
/// ONNX Reshape's shape: -1 is what is left (at most one), 0 copies x's dim
/// unless `allowZero`.
Shape resolveShape(const Shape &x, const std::vector<int64_t> &wanted, bool allowZero);
/// Dim d of the result is dim order[d] of x.
Tensor transpose(const Tensor &x, const std::vector<int64_t> &order);
/// ONNX Expand: broadcasts both ways.
Tensor expand(const Tensor &x, const Shape &shape);
/// ONNX Slice: bounds clamped, negative ones counted from the end, steps not 0.
Tensor slice(const Tensor &x, const std::vector<int64_t> &starts, const std::vector<int64_t> &ends,
             const std::vector<int64_t> &axes, const std::vector<int64_t> &steps);
/// At least one operand; equal dims but at `axis`.
Tensor concat(const std::vector<Tensor> &xs, int64_t axis);
/// Parts of the given sizes along `axis`, whose sum is the dim.
std::vector<Tensor> split(const Tensor &x, const std::vector<int64_t> &sizes, int64_t axis);
/// x with dim `axis` replaced by the dims of `indices`. A negative index counts
/// from the end; outside: Error.
Tensor gather(const Tensor &x, const Tensor &indices, int64_t axis);
/// result[.., i, ..] = x[.., indices[.., i, ..], ..] along `axis`.
Tensor gatherElements(const Tensor &x, const Tensor &indices, int64_t axis);
/// x repeated repeats[d] times along each dim.
Tensor tile(const Tensor &x, const std::vector<int64_t> &repeats);
/// `begin[d]` and `end[d]` elements of `value` (one element, x's type) around
/// x; negative counts cut.
Tensor pad(const Tensor &x, const std::vector<int64_t> &begin, const std::vector<int64_t> &end,
           const Tensor &value);
/// ONNX Trilu on the last two dims: what is on or above (below) diagonal k
/// stays, the rest is zero.
Tensor triangle(const Tensor &x, bool upper, int64_t k);
/// start, start + step, ... below (above) limit; scalars of one type.
Tensor range(const Tensor &start, const Tensor &limit, const Tensor &step);
/// `value` (one element) everywhere.
Tensor fill(const Tensor &value, const Shape &shape);

} // namespace sq::numerics

#endif
