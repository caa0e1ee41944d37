#include "lib/numerics/Layout.h"

#include "lib/numerics/Elementwise.h"

#include <algorithm>
#include <cmath>

using namespace sq::numerics;

namespace {

/// For each element of `shape` in row-major order, calls visit(its position).
template <typename F> void forEachPosition(const Shape &shape, F visit) {
  std::vector<int64_t> position(shape.size(), 0);
  for (int64_t i = 0, n = numElements(shape); i < n; ++i) {
    visit(position);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++position[d] < shape[d])
        break;
      position[d] = 0;
    }
  }
}

void requireOneElement(const Tensor &x, const char *what) {
  if (x.size() != 1)
    throw Error(std::string(what) + " has shape " + format(x.shape) + "; expected one element");
}

} // namespace

Tensor sq::numerics::pick(const Tensor &x, Shape shape, const std::vector<int64_t> &source) {
  Tensor y = Tensor::zeros(x.dtype, std::move(shape));
  for (int64_t i = 0, n = y.size(); i < n; ++i) {
    if (source[i] < 0)
      continue;
    if (y.isFloat())
      y.reals[i] = x.reals[source[i]];
    else
      y.integers[i] = x.integers[source[i]];
  }
  return y;
}

Tensor sq::numerics::reshape(const Tensor &x, const Shape &shape) {
  if (numElements(shape) != x.size())
    throw Error("shape " + format(x.shape) + " does not reshape to " + format(shape));
  Tensor y = x;
  y.shape = shape;
  return y;
}

Shape sq::numerics::resolveShape(const Shape &x, const std::vector<int64_t> &wanted,
                                 bool allowZero) {
  Shape shape = wanted;
  int64_t open = -1, known = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && !allowZero) {
      if (d >= x.size())
        throw Error("dim " + std::to_string(d) + " to copy is outside of shape " + format(x));
      shape[d] = x[d];
    }
    if (shape[d] == -1 && open >= 0)
      throw Error("two dims of shape " + format(wanted) + " are -1; at most one can be inferred");
    if (shape[d] == -1)
      open = d;
    else if (shape[d] < 0)
      throw Error("negative dim in shape " + format(wanted));
    else
      known *= shape[d];
  }
  if (open >= 0) {
    if (known == 0 || numElements(x) % known)
      throw Error("shape " + format(x) + " does not reshape to " + format(wanted));
    shape[open] = numElements(x) / known;
  }
  return shape;
}

Tensor sq::numerics::transpose(const Tensor &x, const std::vector<int64_t> &order) {
  std::vector<bool> seen(x.rank(), false);
  if (int64_t(order.size()) != x.rank())
    throw Error("permutation of " + std::to_string(order.size()) + " dims for shape " +
                format(x.shape));
  Shape shape(x.rank());
  std::vector<int64_t> own = stridesOf(x.shape), strides(x.rank());
  for (int64_t d = 0; d < x.rank(); ++d) {
    int64_t from = normalizeAxis(order[d], x.rank());
    if (seen[from])
      throw Error("dim " + std::to_string(from) + " occurs twice in the permutation");
    seen[from] = true;
    shape[d] = x.shape[from];
    strides[d] = own[from];
  }
  std::vector<int64_t> source;
  source.reserve(x.size());
  forEachPosition(shape, [&](const std::vector<int64_t> &position) {
    int64_t at = 0;
    for (size_t d = 0; d < position.size(); ++d)
      at += position[d] * strides[d];
    source.push_back(at);
  });
  return pick(x, shape, source);
}

Tensor sq::numerics::expand(const Tensor &x, const Shape &shape) {
  Shape to = broadcastShapes(x.shape, shape);
  return to == x.shape ? x : pick(x, to, broadcastIndex(x.shape, to));
}

Tensor sq::numerics::slice(const Tensor &x, const std::vector<int64_t> &starts,
                           const std::vector<int64_t> &ends, const std::vector<int64_t> &axes,
                           const std::vector<int64_t> &steps) {
  size_t count = starts.size();
  if (ends.size() != count || axes.size() != count || steps.size() != count)
    throw Error("starts, ends, axes and steps differ in length");
  Shape shape = x.shape;
  std::vector<int64_t> first(x.rank(), 0), step(x.rank(), 1), own = stridesOf(x.shape);
  for (size_t i = 0; i < count; ++i) {
    int64_t axis = normalizeAxis(axes[i], x.rank()), dim = x.shape[axis];
    if (steps[i] == 0)
      throw Error("step 0");
    if (dim == 0)
      continue;
    // ONNX clamps starts to an element that exists, ends to one past it.
    bool forward = steps[i] > 0;
    auto clamped = [&](int64_t at, int64_t low, int64_t high) {
      return std::clamp(at < 0 ? at + dim : at, low, high);
    };
    int64_t from = clamped(starts[i], 0, forward ? dim : dim - 1);
    int64_t to = clamped(ends[i], forward ? 0 : -1, forward ? dim : dim - 1);
    if (forward)
      shape[axis] = to > from ? (to - from - 1) / steps[i] + 1 : 0;
    else
      shape[axis] = from > to ? (to - from + 1) / steps[i] + 1 : 0;
    first[axis] = from;
    step[axis] = steps[i];
  }
  std::vector<int64_t> source;
  forEachPosition(shape, [&](const std::vector<int64_t> &position) {
    int64_t at = 0;
    for (size_t d = 0; d < position.size(); ++d)
      at += (first[d] + position[d] * step[d]) * own[d];
    source.push_back(at);
  });
  return pick(x, shape, source);
}

Tensor sq::numerics::concat(const std::vector<Tensor> &xs, int64_t axis) {
  if (xs.empty())
    throw Error("concat of nothing");
  Shape shape = xs[0].shape;
  axis = normalizeAxis(axis, shape.size());
  shape[axis] = 0;
  for (const Tensor &x : xs) {
    Shape same = x.shape;
    if (same.size() == shape.size())
      same[axis] = shape[axis];
    if (same != shape || x.dtype != xs[0].dtype)
      throw Error(std::string("concat of ") + name(xs[0].dtype) + format(xs[0].shape) + " and " +
                  name(x.dtype) + format(x.shape) + " along dim " + std::to_string(axis));
    shape[axis] += x.shape[axis];
  }
  Tensor y = Tensor::zeros(xs[0].dtype, shape);
  int64_t inner = 1; // elements of one index of `axis`
  for (size_t d = axis + 1; d < shape.size(); ++d)
    inner *= shape[d];
  int64_t row = inner * shape[axis], at = 0;
  for (const Tensor &x : xs) {
    int64_t part = inner * x.shape[axis];
    for (int64_t i = 0; part && i < x.size(); ++i) {
      int64_t to = i / part * row + at + i % part;
      if (y.isFloat())
        y.reals[to] = x.reals[i];
      else
        y.integers[to] = x.integers[i];
    }
    at += part;
  }
  return y;
}

std::vector<Tensor> sq::numerics::split(const Tensor &x, const std::vector<int64_t> &sizes,
                                        int64_t axis) {
  axis = normalizeAxis(axis, x.rank());
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (int64_t size : sizes) {
    if (size < 0 || size > x.shape[axis] - at)
      break;
    parts.push_back(slice(x, {at}, {at + size}, {axis}, {1}));
    at += size;
  }
  if (parts.size() != sizes.size() || at != x.shape[axis])
    throw Error("sizes " + format(sizes) + " do not add up to dim " + std::to_string(axis) +
                " of shape " + format(x.shape));
  return parts;
}

namespace {

int64_t checkedIndex(int64_t index, int64_t dim) {
  if (index < -dim || index >= dim)
    throw Error("index " + std::to_string(index) + " is outside of a dim of " +
                std::to_string(dim));
  return index < 0 ? index + dim : index;
}

} // namespace

Tensor sq::numerics::gather(const Tensor &x, const Tensor &indices, int64_t axis) {
  axis = normalizeAxis(axis, x.rank());
  if (indices.isFloat())
    throw Error(std::string("indices of type ") + name(indices.dtype));
  Shape shape(x.shape.begin(), x.shape.begin() + axis);
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), x.shape.begin() + axis + 1, x.shape.end());
  int64_t inner = stridesOf(x.shape)[axis], dim = x.shape[axis], count = indices.size();
  std::vector<int64_t> source(numElements(shape));
  for (int64_t i = 0, n = source.size(); i < n; ++i) {
    int64_t outer = i / inner / count;
    int64_t index = checkedIndex(indices.integers[i / inner % count], dim);
    source[i] = (outer * dim + index) * inner + i % inner;
  }
  return pick(x, shape, source);
}

Tensor sq::numerics::gatherElements(const Tensor &x, const Tensor &indices, int64_t axis) {
  axis = normalizeAxis(axis, x.rank());
  if (indices.isFloat() || indices.rank() != x.rank())
    throw Error(std::string("indices ") + name(indices.dtype) + format(indices.shape) +
                " for shape " + format(x.shape) + "; expected integers of equal rank");
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d != axis && indices.shape[d] > x.shape[d])
      throw Error("indices of shape " + format(indices.shape) + " for shape " + format(x.shape));
  std::vector<int64_t> source, own = stridesOf(x.shape);
  forEachPosition(indices.shape, [&](const std::vector<int64_t> &position) {
    int64_t at = 0;
    for (int64_t d = 0; d < x.rank(); ++d)
      at += own[d] * (d == axis ? checkedIndex(indices.integers[source.size()], x.shape[d])
                                : position[d]);
    source.push_back(at);
  });
  return pick(x, indices.shape, source);
}

Tensor sq::numerics::tile(const Tensor &x, const std::vector<int64_t> &repeats) {
  if (int64_t(repeats.size()) != x.rank())
    throw Error(std::to_string(repeats.size()) + " repeats for shape " + format(x.shape));
  Shape shape = x.shape;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (__builtin_mul_overflow(shape[d], repeats[d], &shape[d]))
      throw Error("repeats " + format(repeats) + " are too large");
  std::vector<int64_t> source, own = stridesOf(x.shape);
  forEachPosition(shape, [&](const std::vector<int64_t> &position) {
    int64_t at = 0;
    for (int64_t d = 0; d < x.rank(); ++d)
      at += position[d] % x.shape[d] * own[d];
    source.push_back(at);
  });
  return pick(x, shape, source);
}

Tensor sq::numerics::pad(const Tensor &x, const std::vector<int64_t> &begin,
                         const std::vector<int64_t> &end, const Tensor &value) {
  requireOneElement(value, "the padding value");
  if (int64_t(begin.size()) != x.rank() || int64_t(end.size()) != x.rank() ||
      value.dtype != x.dtype)
    throw Error("padding that does not fit shape " + format(x.shape));
  Shape shape = x.shape;
  for (int64_t d = 0; d < x.rank(); ++d)
    shape[d] += begin[d] + end[d];
  std::vector<int64_t> source, own = stridesOf(x.shape);
  forEachPosition(shape, [&](const std::vector<int64_t> &position) {
    int64_t at = 0;
    for (int64_t d = 0; d < x.rank() && at >= 0; ++d) {
      int64_t from = position[d] - begin[d];
      at = from < 0 || from >= x.shape[d] ? -1 : at + from * own[d];
    }
    source.push_back(at);
  });
  Tensor y = pick(x, shape, source);
  for (int64_t i = 0, n = y.size(); i < n; ++i) {
    if (source[i] >= 0)
      continue;
    if (y.isFloat())
      y.reals[i] = value.reals[0];
    else
      y.integers[i] = value.integers[0];
  }
  return y;
}

Tensor sq::numerics::triangle(const Tensor &x, bool upper, int64_t k) {
  if (x.rank() < 2)
    throw Error("a triangle of shape " + format(x.shape) + "; expected a matrix");
  std::vector<int64_t> source;
  size_t row = x.rank() - 2, column = x.rank() - 1;
  forEachPosition(x.shape, [&](const std::vector<int64_t> &position) {
    int64_t diagonal = position[column] - position[row];
    bool keep = upper ? diagonal >= k : diagonal <= k;
    source.push_back(keep ? int64_t(source.size()) : -1);
  });
  return pick(x, x.shape, source);
}

Tensor sq::numerics::range(const Tensor &start, const Tensor &limit, const Tensor &step) {
  requireOneElement(start, "start");
  requireOneElement(limit, "limit");
  requireOneElement(step, "step");
  if (start.dtype != limit.dtype || start.dtype != step.dtype)
    throw Error("a range of operands of several types");
  if (step.real(0) == 0)
    throw Error("a range with step 0");
  double length = std::ceil((limit.real(0) - start.real(0)) / step.real(0));
  if (!(length < std::ldexp(1.0, 40)))
    throw Error("a range that is too long");
  Tensor y = Tensor::zeros(start.dtype, {std::max<int64_t>(0, static_cast<int64_t>(length))});
  for (int64_t i = 0, n = y.size(); i < n; ++i) {
    if (y.isFloat())
      y.reals[i] = start.reals[0] + double(i) * step.reals[0];
    else
      y.integers[i] = start.integers[0] + i * step.integers[0];
  }
  return y;
}

Tensor sq::numerics::fill(const Tensor &value, const Shape &shape) {
  requireOneElement(value, "the value");
  return pick(value, shape, std::vector<int64_t>(numElements(shape), 0));
}
