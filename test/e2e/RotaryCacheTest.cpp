/// Keys that are turned on their way into a cache, and queries as attention reads them (--sq-fuse-rotary), compiled and
/// against float64.
#include "test/e2e/Models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

using namespace sq;
using namespace sq::test;
using numerics::DType;
using numerics::Tensor;

namespace {

struct Case {
  int64_t heads, group, size; // heads of keys, queries to each, of a head
  bool perElement;            // as many angles as elements, not half as many
  bool perRow;                // angles of each row of the batch
  bool interleaved;           // which is not fused
};

struct Cache {
  Case c;
  int64_t batch, places, capacity;
  std::vector<int64_t> lengths;
  Tensor q, k, v, cos, sin, keys, values;

  Cache(const Case &c, int64_t batch, int64_t places, unsigned seed)
      : c(c), batch(batch), places(places), capacity(places + 9), random(seed) {
    for (int64_t b = 0; b < batch; ++b)
      lengths.push_back(random() % (capacity - places + 1));
    q = tensor({batch, places, c.heads * c.group, c.size});
    for (Tensor *t : {&k, &v})
      *t = tensor({batch, places, c.heads, c.size});
    for (Tensor *t : {&keys, &values})
      *t = tensor({batch, capacity, c.heads, c.size});
    for (Tensor *t : {&cos, &sin}) // of any numbers: what is asked is which are multiplied
      *t = tensor({c.perRow ? batch : 1, places, c.perElement ? c.size : c.size / 2});
  }

  std::string text() const {
    auto typeOf = [](const std::string &first, const std::string &second, int64_t heads, int64_t size) {
      std::ostringstream s;
      s << "tensor<" << first << "x" << second << "x" << heads << "x" << size << "xf32>";
      return s.str();
    };
    std::string query = typeOf("?", "?", c.heads * c.group, c.size), rows = typeOf("?", "?", c.heads, c.size);
    std::string angles = "tensor<" + std::string(c.perRow ? "?" : "1") + "x?x" + std::to_string(cos.shape[2]) + "xf32>";
    std::string attribute = c.interleaved ? " {interleaved}" : "";
    auto argument = [](const char *name, const std::string &type, const char *element, const char *dims) {
      return std::string("%") + name + ": " + type + " {sq.name = \"" + name + "\", sq.dtype = \"" + element + "\", sq.dims = [" +
             dims + "]}";
    };
    const char *places = "\"b\", \"s\", \"\", \"\"", *all = "\"b\", \"t\", \"\", \"\"",
               *turns = c.perRow ? "\"b\", \"s\", \"\"" : "\"\", \"s\", \"\"";
    std::ostringstream s;
    s << "func.func @main(" << argument("q", query, "f32", places) << ", " << argument("k", rows, "f32", places) << ", "
      << argument("v", rows, "f32", places) << ", " << argument("n", "tensor<?xi64>", "i64", "\"b\"") << ", "
      << argument("c", angles, "f32", turns) << ", " << argument("s", angles, "f32", turns) << ", "
      << argument("keys", rows, "f32", all) << ", " << argument("values", rows, "f32", all) << ") -> ("
      << query << " {sq.name = \"y\", sq.dtype = \"f32\", sq.dims = [" << places << "]}, " << rows
      << " {sq.name = \"all\", sq.dtype = \"f32\", sq.dims = [" << all << "]}) {\n";
    for (auto [name, type] : {std::pair("q", query), std::pair("k", rows)})
      s << "  %" << name << "r = sq.rotary_embedding ins(%" << name << ", %c, %s : " << type << ", " << angles << ", " << angles
        << ") outs(%" << name << " : " << type << ")" << attribute << " -> " << type << "\n";
    for (auto [name, row, cache] : {std::tuple("ka", "kr", "keys"), std::tuple("va", "v", "values")})
      s << "  %" << name << " = sq.kv_append ins(%" << row << ", %n : " << rows << ", tensor<?xi64>) outs(%" << cache << " : "
        << rows << ") -> " << rows << "\n";
    s << "  %y = sq.kv_attend ins(%qr, %ka, %va, %n : " << query << ", " << rows << ", " << rows << ", tensor<?xi64>) outs(%q : "
      << query << ") {scale = 0.25 : f32} -> " << query << "\n  return %y, %ka : " << query << ", " << rows << "\n}\n";
    return s.str();
  }

  std::vector<Tensor> inputs() const {
    return {q, k, v, Tensor::ofIntegers(DType::I64, {batch}, lengths), cos, sin, keys, values};
  }

  double turned(const Tensor &x, int64_t b, int64_t s, int64_t h, int64_t i) const {
    const int64_t half = c.size / 2, heads = x.shape[2];
    const bool isSecond = c.interleaved ? i % 2 : i >= half;
    const int64_t other = c.interleaved ? i ^ 1 : isSecond ? i - half : i + half;
    const int64_t angle = c.perElement ? i : c.interleaved ? i / 2 : i % half;
    auto at = [&](int64_t d) { return x.reals[((b * places + s) * heads + h) * c.size + d]; };
    const int64_t place = ((c.perRow ? b : 0) * places + s) * cos.shape[2] + angle;
    return at(i) * cos.reals[place] + (isSecond ? 1 : -1) * at(other) * sin.reals[place];
  }

  /// What attention gives, and the cache of keys.
  std::pair<std::vector<double>, std::vector<double>> expected() const {
    std::vector<double> allKeys(keys.reals.begin(), keys.reals.end()), allValues(values.reals.begin(), values.reals.end()), y;
    auto slot = [&](int64_t b, int64_t t, int64_t h, int64_t i) { return ((b * capacity + t) * c.heads + h) * c.size + i; };
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t s = 0; s < places; ++s)
        for (int64_t h = 0; h < c.heads; ++h)
          for (int64_t i = 0; i < c.size; ++i) {
            allKeys[slot(b, lengths[b] + s, h, i)] = turned(k, b, s, h, i);
            allValues[slot(b, lengths[b] + s, h, i)] = v.reals[((b * places + s) * c.heads + h) * c.size + i];
          }
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t s = 0; s < places; ++s)
        for (int64_t h = 0; h < c.heads * c.group; ++h) {
          std::vector<double> weights, sums(c.size);
          double total = 0;
          for (int64_t t = 0; t <= lengths[b] + s; ++t) {
            double score = 0;
            for (int64_t i = 0; i < c.size; ++i)
              score += turned(q, b, s, h, i) * allKeys[slot(b, t, h / c.group, i)];
            weights.push_back(std::exp(0.25 * score));
            total += weights.back();
          }
          for (size_t t = 0; t < weights.size(); ++t)
            for (int64_t i = 0; i < c.size; ++i)
              sums[i] += weights[t] / total * allValues[slot(b, t, h / c.group, i)];
          y.insert(y.end(), sums.begin(), sums.end());
        }
    return {y, allKeys};
  }

private:
  Tensor tensor(std::vector<int64_t> shape) {
    Tensor t = Tensor::zeros(DType::F32, shape);
    std::normal_distribution<float> normal(0, 0.6f);
    for (double &x : t.reals)
      x = normal(random);
    return t;
  }
  std::mt19937 random;
};

/// Halves of heads that are whole vectors, and that are not.
const Case cases[] = {{2, 1, 64, true, false, false}, {1, 8, 32, false, true, false}, {3, 2, 20, false, false, false},
                      {2, 3, 6, true, true, false},   {1, 1, 2, false, false, false}, {2, 2, 34, true, false, false},
                      {2, 2, 16, false, true, false}, {2, 2, 32, true, false, true}};

TEST(RotaryCache, TurnsOnTheWay) {
  unsigned seed = 0;
  for (const Case &c : cases) {
    Cache first(c, 1, 1, ++seed);
    TemporaryDirectory directory;
    std::string path = directory.file("cache.mlir");
    std::ofstream(path) << first.text();
    CompiledModel model(path);
    ASSERT_TRUE(model.ok());
    for (auto [batch, places] : {std::pair(1, 1), std::pair(2, 1), std::pair(1, 5), std::pair(3, 37)}) {
      Cache cache(c, batch, places, ++seed);
      auto [y, keys] = cache.expected();
      for (const char *level : {"x86-64-v3", "avx512"}) {
        SCOPED_TRACE(std::string(level) + " seed " + std::to_string(seed) + " size " + std::to_string(c.size));
        auto got = model.open(2, level).run(cache.inputs());
        ASSERT_TRUE(bool(got)) << llvm::toString(got.takeError());
        ASSERT_EQ((*got)[0].reals.size(), y.size());
        for (size_t i = 0; i < y.size(); ++i)
          ASSERT_NEAR((*got)[0].reals[i], y[i], 2e-5) << "of attention, " << i;
        for (size_t i = 0; i < keys.size(); ++i)
          ASSERT_NEAR((*got)[1].reals[i], keys[i], 2e-6) << "of the keys, " << i;
      }
    }
  }
}

} // namespace
