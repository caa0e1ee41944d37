/// Control flow, shapes and axes that only the run knows, in models written as ONNX
/// text, against a few lines of C++ each.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>
#include <set>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

/// A model in ONNX's text syntax, compiled.
class TextModel {
public:
  explicit TextModel(const std::string &graph, int opset = 18)
      : path(write(graph, opset)), model(path), program(model.open(2)) {}
  std::vector<Tensor> run(const std::vector<Tensor> &inputs) {
    llvm::Expected<std::vector<Tensor>> outputs = program.run(inputs);
    if (!outputs) {
      failure = llvm::toString(outputs.takeError());
      return {};
    }
    return *outputs;
  }
  std::string failure;

private:
  std::string write(const std::string &graph, int opset) {
    std::string file = directory.file("model.onnxtxt");
    std::ofstream(file) << "<ir_version: 8, opset_import: [\"\" : " << opset << "]>\n" << graph;
    return file;
  }
  TemporaryDirectory directory;
  std::string path;
  CompiledModel model;
  Program program;
};

std::mt19937_64 &rng() {
  static std::mt19937_64 engine(20261121);
  return engine;
}
int64_t uniform(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(rng());
}
Tensor randomFloats(numerics::Shape shape) {
  Tensor t = Tensor::zeros(DType::F32, shape);
  for (double &x : t.reals)
    x = float(std::normal_distribution<double>()(rng()));
  return t;
}
Tensor integers(DType type, numerics::Shape shape, std::vector<int64_t> values) {
  return Tensor::ofIntegers(type, std::move(shape), std::move(values));
}
Tensor scalar(DType type, int64_t value) { return integers(type, {}, {value}); }

/// Chosen positions and what stands there: none, all, some, and of nothing at all.
TEST(DataDependent, ChoosesWhatIsNotZero) {
  TextModel model("g (float[a, b] x, bool[n] keep) => (int64[two, count] at, float[taken, b] rows) {\n"
                  "  at = NonZero(x)\n"
                  "  rows = Compress<axis = 0>(x, keep)\n"
                  "}\n");
  for (auto [a, b] : {std::pair<int64_t, int64_t>{5, 7}, {1, 1}, {40, 33}, {0, 4}, {3, 0}})
    for (double share : {0.0, 0.3, 1.0}) {
      Tensor x = randomFloats({a, b}), keep = Tensor::zeros(DType::Bool, {a});
      std::vector<int64_t> rows, columns;
      std::vector<double> taken;
      for (int64_t i = 0; i < a; ++i) {
        keep.integers[i] = std::bernoulli_distribution(share)(rng());
        for (int64_t j = 0; j < b; ++j) {
          double &value = x.reals[i * b + j];
          value = std::bernoulli_distribution(share)(rng()) ? value : 0;
          if (value != 0) {
            rows.push_back(i);
            columns.push_back(j);
          }
        }
        if (keep.integers[i])
          taken.insert(taken.end(), x.reals.begin() + i * b, x.reals.begin() + (i + 1) * b);
      }
      int64_t count = rows.size(), kept = std::count(keep.integers.begin(), keep.integers.end(), 1);
      rows.insert(rows.end(), columns.begin(), columns.end());
      std::vector<Tensor> y = model.run({x, keep});
      ASSERT_EQ(model.failure, "");
      EXPECT_EQ(mismatch(y[0], integers(DType::I64, {2, count}, rows), 0, 0), "");
      EXPECT_EQ(mismatch(y[1], Tensor::ofReals(DType::F32, {kept, b}, taken), 0, 0), "");
    }
}

/// An input, a constant and a value that others read too stay as they are; what is not scattered to is theirs.
TEST(DataDependent, ScatterCopiesItsData) {
  TextModel model("g (float[n, 2] x, int64[2, 1] i, float[2, 2] u) => (float[n, 2] a, float[3, 2] b, float[n, 2] c, float[n, 2] d) <\n"
                  "  float[3, 2] w = {10, 20, 30, 40, 50, 60}\n"
                  "> {\n"
                  "  a = ScatterND<reduction = \"add\">(x, i, u)\n"
                  "  b = ScatterND(w, i, u)\n"
                  "  h = Neg(x)\n"
                  "  j = Concat<axis = 1>(i, i)\n"
                  "  c = ScatterElements<axis = 0, reduction = \"add\">(h, j, u)\n"
                  "  d = Sub(h, x)\n"
                  "}\n");
  Tensor x = randomFloats({4, 2}), u = randomFloats({2, 2});
  const int64_t rows[] = {2, 0};
  for (int run = 0; run < 2; ++run) { // the second sees what the first did to the constant
    Tensor a = x, b = Tensor::ofReals(DType::F32, {3, 2}, {10, 20, 30, 40, 50, 60}), c = x, d = x;
    for (double &value : c.reals)
      value = -value;
    for (size_t e = 0; e < d.reals.size(); ++e)
      d.reals[e] = -2 * x.reals[e];
    for (int64_t r = 0; r < 2; ++r)
      for (int64_t column = 0; column < 2; ++column) {
        double update = u.reals[2 * r + column];
        a.reals[2 * rows[r] + column] = float(a.reals[2 * rows[r] + column] + update);
        b.reals[2 * rows[r] + column] = update;
        c.reals[2 * rows[r] + column] = float(c.reals[2 * rows[r] + column] + update);
      }
    std::vector<Tensor> y = model.run({x, integers(DType::I64, {2, 1}, {rows[0], rows[1]}), u});
    ASSERT_EQ(model.failure, "");
    for (auto [actual, wanted] : {std::pair(0, a), {1, b}, {2, c}, {3, d}})
      EXPECT_EQ(mismatch(y[actual], wanted, 0, 0), "") << "result " << actual;
  }
}

TEST(DataDependent, UniqueSortsAndCounts) {
  TextModel model("g (int64[n] x) => (int64[u] y, int64[u] first, int64[n] inverse, int64[u] counts) {\n"
                  "  y, first, inverse, counts = Unique(x)\n"
                  "}\n");
  for (int64_t n : {1, 2, 17, 300}) {
    Tensor x = Tensor::zeros(DType::I64, {n});
    for (int64_t &value : x.integers)
      value = uniform(-6, 6);
    std::set<int64_t> values(x.integers.begin(), x.integers.end());
    int64_t u = values.size();
    std::vector<int64_t> sorted(values.begin(), values.end()), first, inverse, counts;
    for (int64_t value : sorted) {
      first.push_back(std::find(x.integers.begin(), x.integers.end(), value) - x.integers.begin());
      counts.push_back(std::count(x.integers.begin(), x.integers.end(), value));
    }
    for (int64_t value : x.integers)
      inverse.push_back(std::find(sorted.begin(), sorted.end(), value) - sorted.begin());
    std::vector<Tensor> y = model.run({x});
    ASSERT_EQ(model.failure, "");
    EXPECT_EQ(mismatch(y[0], integers(DType::I64, {u}, sorted), 0, 0), "");
    EXPECT_EQ(mismatch(y[1], integers(DType::I64, {u}, first), 0, 0), "");
    EXPECT_EQ(mismatch(y[2], integers(DType::I64, {n}, inverse), 0, 0), "");
    EXPECT_EQ(mismatch(y[3], integers(DType::I64, {u}, counts), 0, 0), "");
  }
}

/// While x > limit: x = x / 2, and what x was; the counter is a scalar, x a tensor.
TEST(DataDependent, LoopEndsWhenTheDataSay) {
  TextModel model(
      "g (float[n] x, float limit, int64 most) => (float[n] last, int64 steps, float[k, n] all)\n"
      "<float two = {2.0}, int64 zero = {0}, int64 one = {1}, int64[1] axis = {0}> {\n"
      "  high = ReduceMax<keepdims = 0>(x, axis)\n"
      "  goes = Greater(high, limit)\n"
      "  last, steps, all = Loop<body = b (int64 i, bool c, float[n] v, int64 s)\n"
      "      => (bool again, float[n] half, int64 next, float[n] was) {\n"
      "    half = Div(v, two)\n"
      "    most_now = ReduceMax<keepdims = 0>(half, axis)\n"
      "    again = Greater(most_now, limit)\n"
      "    next = Add(s, one)\n"
      "    was = Identity(v)\n"
      "  }>(most, goes, x, zero)\n"
      "}\n");
  for (int64_t most : {0, 1, 3, 50})
    for (double limit : {0.1, 0.7, 100.0}) {
      Tensor x = randomFloats({6});
      std::vector<double> now = x.reals, all;
      int64_t steps = 0;
      auto high = [&] { return *std::max_element(now.begin(), now.end()); };
      for (; steps < most && high() > float(limit); ++steps) {
        all.insert(all.end(), now.begin(), now.end());
        for (double &value : now)
          value /= 2;
      }
      std::vector<Tensor> y =
          model.run({x, Tensor::ofReals(DType::F32, {}, {float(limit)}), scalar(DType::I64, most)});
      ASSERT_EQ(model.failure, "");
      EXPECT_EQ(mismatch(y[0], Tensor::ofReals(DType::F32, {6}, now), 0, 0), "");
      EXPECT_EQ(y[1].integers, std::vector<int64_t>{steps});
      EXPECT_EQ(mismatch(y[2], Tensor::ofReals(DType::F32, {steps, 6}, all), 0, 0), "");
    }
}

/// Two carried tensors that change places: neither may be overwritten too early.
TEST(DataDependent, LoopSwapsItsValues) {
  TextModel model("g (float[n] a0, float[n] b0, int64 count) => (float[n] a, float[n] b)\n"
                  "<bool yes = {1}> {\n"
                  "  a, b = Loop<body = f (int64 i, bool c, float[n] x, float[n] y)\n"
                  "      => (bool d, float[n] p, float[n] q) {\n"
                  "    d = Identity(c)\n"
                  "    p = Identity(y)\n"
                  "    q = Add(x, y)\n"
                  "  }>(count, yes, a0, b0)\n"
                  "}\n");
  for (int64_t count : {0, 1, 2, 9}) {
    Tensor a = randomFloats({5}), b = randomFloats({5});
    std::vector<Tensor> y = model.run({a, b, scalar(DType::I64, count)});
    ASSERT_EQ(model.failure, "");
    for (int64_t i = 0; i < count; ++i)
      for (size_t k = 0; k < a.reals.size(); ++k) {
        double sum = float(a.reals[k] + b.reals[k]);
        a.reals[k] = b.reals[k];
        b.reals[k] = sum;
      }
    EXPECT_EQ(mismatch(y[0], a, 1e-6, 0), "");
    EXPECT_EQ(mismatch(y[1], b, 1e-6, 0), "");
  }
}

/// An If in a Loop; its branches have different sizes, of which one is chosen.
TEST(DataDependent, BranchesOfDifferentSizes) {
  TextModel model("g (float[n] x, bool[k] way, int64 count) => (float[n] y, float[m] part)\n"
                  "<bool yes = {1}, int64 zero = {0}, int64[1] z = {0}, int64[1] two = {2},\n"
                  " float small = {0.5}, float three = {3.0}> {\n"
                  "  y = Loop<body = f (int64 i, bool c, float[n] v) => (bool d, float[n] w) {\n"
                  "    d = Identity(c)\n"
                  "    now = Gather(way, i)\n"
                  "    w = If<then_branch = t () => (float[n] p) { p = Mul(v, small) },\n"
                  "           else_branch = e () => (float[n] q) { q = Add(v, three) }>(now)\n"
                  "  }>(count, yes, x)\n"
                  "  first = Gather(way, zero)\n"
                  "  part = If<then_branch = t () => (float[r] p) { p = Identity(y) },\n"
                  "            else_branch = e () => (float[r] q) { q = Slice(y, z, two) }>(first)\n"
                  "}\n");
  for (int trial = 0; trial < 8; ++trial) {
    int64_t n = uniform(2, 9), k = uniform(1, 6);
    Tensor x = randomFloats({n}), way = Tensor::zeros(DType::Bool, {k}), y = x;
    for (int64_t &w : way.integers)
      w = uniform(0, 1);
    for (int64_t w : way.integers)
      for (double &value : y.reals)
        value = float(w ? value * 0.5 : value + 3);
    Tensor part = y;
    if (!way.integers[0]) {
      part.shape = {2};
      part.reals.resize(2);
    }
    std::vector<Tensor> result = model.run({x, way, scalar(DType::I64, k)});
    ASSERT_EQ(model.failure, "");
    EXPECT_EQ(mismatch(result[0], y, 1e-6, 0), "");
    EXPECT_EQ(mismatch(result[1], part, 1e-6, 0), "");
  }
}

TEST(DataDependent, ScanFromTheEnd) {
  TextModel model("g (float[b, s, d] x, float[b, d] init) => (float[b, d] last, float[b, s, d] all) {\n"
                  "  last, all = Scan<num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],\n"
                  "      scan_input_directions = [1], scan_output_directions = [1],\n"
                  "      body = f (float[b, d] h, float[b, d] v) => (float[b, d] g, float[b, d] out) {\n"
                  "    half = Mul(h, h)\n"
                  "    g = Sub(v, half)\n"
                  "    out = Identity(g)\n"
                  "  }>(init, x)\n"
                  "}\n");
  for (int64_t s : {0, 1, 6}) {
    int64_t b = 2, d = 3;
    Tensor x = randomFloats({b, s, d}), init = randomFloats({b, d}), h = init, all = x;
    for (double &value : x.reals)
      value *= 0.3;
    for (int64_t t = s; t-- > 0;)
      for (int64_t i = 0; i < b; ++i)
        for (int64_t j = 0; j < d; ++j) {
          double &state = h.reals[i * d + j];
          state = x.reals[(i * s + t) * d + j] - state * state;
          all.reals[(i * s + t) * d + j] = state;
        }
    for (double &value : x.reals)
      value = float(value);
    std::vector<Tensor> y = model.run({x, init});
    ASSERT_EQ(model.failure, "");
    EXPECT_EQ(mismatch(y[0], h, 1e-4, 1e-5), "");
    EXPECT_EQ(mismatch(y[1], all, 1e-4, 1e-5), "");
  }
}

/// Opset 8: rows of a batch, each of a length of its own, forwards and backwards.
TEST(DataDependent, BatchedScanWithLengths) {
  TextModel model("g (int64[b] lengths, float[b, d] init, float[b, s, d] x, float[b, s, d] y) =>\n"
                  "  (float[b, d] last, float[b, s, d] all) {\n"
                  "  last, all = Scan<num_scan_inputs = 2, directions = [0, 1],\n"
                  "      body = f (float[d] h, float[d] v, float[d] w) => (float[d] g, float[d] out) {\n"
                  "    half = Mul(h, v)\n"
                  "    g = Add(half, w)\n"
                  "    out = Identity(g)\n"
                  "  }>(lengths, init, x, y)\n"
                  "}\n",
                  8);
  int64_t b = 3, s = 5, d = 2;
  for (int trial = 0; trial < 6; ++trial) {
    Tensor x = randomFloats({b, s, d}), y = randomFloats({b, s, d}), last = randomFloats({b, d}), init = last;
    Tensor all = Tensor::zeros(DType::F32, {b, s, d}), lengths = Tensor::zeros(DType::I64, {b});
    for (int64_t row = 0; row < b; ++row) {
      int64_t length = lengths.integers[row] = uniform(0, s);
      for (int64_t t = 0; t < length; ++t)
        for (int64_t j = 0; j < d; ++j) {
          double &h = last.reals[row * d + j];
          h = h * x.reals[(row * s + t) * d + j] + y.reals[(row * s + length - 1 - t) * d + j];
          all.reals[(row * s + t) * d + j] = h;
        }
    }
    std::vector<Tensor> result = model.run({lengths, init, x, y});
    ASSERT_EQ(model.failure, "");
    EXPECT_EQ(mismatch(result[0], last, 1e-4, 1e-5), "");
    EXPECT_EQ(mismatch(result[1], all, 1e-4, 1e-5), "");
  }
  Tensor x = randomFloats({b, s, d}), init = randomFloats({b, d});
  model.run({integers(DType::I64, {b}, {2, 6, 1}), init, x, x});
  EXPECT_NE(model.failure.find("sequence_lens has an element outside of 0 to"), std::string::npos) << model.failure;
}

/// Axes, bounds, sizes and counts as inputs of the model.
TEST(DataDependent, OperandsOfTheRun) {
  TextModel model(
      "g (float[a, b, c] x, int64[1] axis, int64[1] start, int64[1] stop, int64[1] step, int64[2] shape,\n"
      "   int64[1] k, int64[6] pads) =>\n"
      "  (float[r, s, t] total, float[u, v] gone, float[e, f, h] cut, float[i, j] flat,\n"
      "   float[l, m, o] best, float[p, q, w] padded, float[a, b, c] sums) {\n"
      "  total = ReduceSum(x, axis)\n"
      "  gone = ReduceMax<keepdims = 0>(x, axis)\n"
      "  cut = Slice(x, start, stop, axis, step)\n"
      "  flat = Reshape(x, shape)\n"
      "  best, where = TopK<axis = 2>(x, k)\n"
      "  padded = Pad(x, pads)\n"
      "  line = Squeeze(axis)\n"
      "  sums = CumSum(x, line)\n"
      "}\n");
  for (int trial = 0; trial < 12; ++trial) {
    int64_t dims[3] = {uniform(1, 4), uniform(1, 5), uniform(1, 6)}, axis = uniform(-3, 2);
    int64_t at = axis < 0 ? axis + 3 : axis, size = dims[at], k = uniform(0, dims[2]);
    Tensor x = randomFloats({dims[0], dims[1], dims[2]});
    auto element = [&](int64_t i, int64_t j, int64_t l) {
      return x.reals[(i * dims[1] + j) * dims[2] + l];
    };
    // numpy's slice: bounds may be anything, the step too.
    int64_t start = uniform(-8, 8), stop = uniform(-8, 8), step = uniform(1, 3) * (uniform(0, 1) ? 1 : -1);
    auto clamp = [&](int64_t bound) {
      bound += bound < 0 ? size : 0;
      return step > 0 ? std::clamp<int64_t>(bound, 0, size) : std::clamp<int64_t>(bound, -1, size - 1);
    };
    std::vector<int64_t> taken;
    for (int64_t i = clamp(start), end = clamp(stop); step > 0 ? i < end : i > end; i += step)
      taken.push_back(i);

    Tensor total = Tensor::zeros(DType::F32, x.shape), gone, cut = total, sums = x;
    total.shape[at] = 1;
    cut.shape[at] = taken.size();
    std::vector<int64_t> pads;
    for (int i = 0; i < 6; ++i)
      pads.push_back(uniform(0, 2));
    Tensor padded = Tensor::zeros(DType::F32, {dims[0] + pads[0] + pads[3], dims[1] + pads[1] + pads[4],
                                               dims[2] + pads[2] + pads[5]});
    auto count = [](const Tensor &t) {
      int64_t n = 1;
      for (int64_t d : t.shape)
        n *= d;
      return n;
    };
    total.reals.assign(count(total), 0);
    cut.reals.assign(count(cut), 0);
    gone = total;
    std::fill(gone.reals.begin(), gone.reals.end(), -INFINITY);
    auto flatIn = [](const Tensor &t, const int64_t *p) {
      return (p[0] * t.shape[1] + p[1]) * t.shape[2] + p[2];
    };
    for (int64_t i = 0; i < dims[0]; ++i)
      for (int64_t j = 0; j < dims[1]; ++j)
        for (int64_t l = 0; l < dims[2]; ++l) {
          int64_t p[3] = {i, j, l}, kept[3] = {i, j, l}, shifted[3] = {i + pads[0], j + pads[1], l + pads[2]};
          kept[at] = 0;
          total.reals[flatIn(total, kept)] += element(i, j, l);
          double &high = gone.reals[flatIn(gone, kept)];
          high = std::max(high, element(i, j, l));
          padded.reals[flatIn(padded, shifted)] = element(i, j, l);
          if (p[at] > 0) {
            int64_t before[3] = {i, j, l};
            --before[at];
            sums.reals[flatIn(sums, p)] = sums.reals[flatIn(sums, before)] + element(i, j, l);
          }
          for (size_t n = 0; n < taken.size(); ++n)
            if (taken[n] == p[at]) {
              int64_t to[3] = {i, j, l};
              to[at] = n;
              cut.reals[flatIn(cut, to)] = element(i, j, l);
            }
        }
    gone.shape.erase(gone.shape.begin() + at);
    Tensor best = Tensor::zeros(DType::F32, {dims[0], dims[1], k});
    best.reals.clear();
    for (int64_t row = 0; row < dims[0] * dims[1]; ++row) {
      std::vector<double> line(x.reals.begin() + row * dims[2], x.reals.begin() + (row + 1) * dims[2]);
      std::sort(line.rbegin(), line.rend());
      best.reals.insert(best.reals.end(), line.begin(), line.begin() + k);
    }
    Tensor flat = x;
    flat.shape = {dims[0], dims[1] * dims[2]};
    auto one = [](int64_t value) { return integers(DType::I64, {1}, {value}); };
    std::vector<Tensor> y = model.run({x, one(axis), one(start), one(stop), one(step),
                                       integers(DType::I64, {2}, {0, -1}), one(k),
                                       integers(DType::I64, {6}, pads)});
    ASSERT_EQ(model.failure, "");
    const Tensor expected[] = {total, gone, cut, flat, best, padded, sums};
    for (size_t i = 0; i < y.size(); ++i)
      EXPECT_EQ(mismatch(y[i], expected[i], 1e-5, 1e-6), "") << "output " << i;
  }
}

/// What the run finds wrong is said, with the node's name.
TEST(DataDependent, SaysWhatTheRunFindsWrong) {
  TextModel model("g (float[n] x, int64[2] shape, int64[1] axis) => (float[a, b] y, float[1] z) {\n"
                  "  y = Reshape(x, shape)\n"
                  "  z = ReduceSum(x, axis)\n"
                  "}\n");
  auto run = [&](std::vector<int64_t> shape, int64_t axis) {
    model.failure.clear();
    model.run({randomFloats({6}), integers(DType::I64, {2}, shape), integers(DType::I64, {1}, {axis})});
    return model.failure;
  };
  EXPECT_EQ(run({2, 3}, 0), "");
  EXPECT_NE(run({2, 4}, 0).find("another number of elements"), std::string::npos) << model.failure;
  EXPECT_NE(run({-1, -1}, 0).find("-1 twice"), std::string::npos) << model.failure;
  EXPECT_NE(run({-2, -3}, 0).find("is negative"), std::string::npos) << model.failure;
  EXPECT_NE(run({2, 3}, 1).find("outside the rank 1"), std::string::npos) << model.failure;
}

} // namespace
