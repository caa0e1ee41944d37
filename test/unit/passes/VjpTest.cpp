// Every vector-Jacobian product against central differences, both in float64,
// on random shapes.
//
// With c the cotangent and x one of the elements, the derivative of f = sum(c *
// y) is (f(x + h) - f(x - h)) / 2h up to h^2/6 f''' and 2^-53 |f| / h. With h =
// 2^-17 and values around 1, both are below 1e-9; functions of large
// derivatives (1/x, log near 0.3) reach some hundred times that. So 1e-6 of the
// largest gradient is far above the error of the difference, and far below that
// of a wrong formula.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "codegen/host/HostTarget.h"
#include "lib/calibration/Samples.h"
#include "lib/driver/TemporaryArtifact.h"
#include "lib/run/Module.h"

using namespace sq;
using sq::calibration::Random;

namespace {

/// An input: floats uniform in [low, high], or integers in [low, high).
struct In {
  std::vector<int64_t> shape;
  double low = -2, high = 2;
  DType dtype = DType::f64;
};

struct Program {
  TemporaryArtifact artifact;
  Module module;
  Session session;

  std::string make(const std::string &file,
                   std::optional<GradientOptions> gradients) {
    CompileOptions options;
    options.levels = {runtimeHostLevel()};
    options.gradients = std::move(gradients);
    CompileResult result = artifact.compile(file, options);
    if (result.code != ExitCode::Done)
      return result.message;
    Status s = module.load(artifact.path().c_str());
    if (s.ok())
      s = session.create(module, 1);
    return s.message;
  }

  /// All outputs of one run.
  std::vector<Tensor> run(const std::vector<Tensor> &inputs) {
    session.bind(inputs);
    Status s = session.run();
    EXPECT_TRUE(s.ok()) << s.message;
    std::vector<Tensor> outputs(s.ok() ? module.outputs().size() : 0);
    for (size_t i = 0; i < outputs.size(); ++i)
      EXPECT_TRUE(session.output(i, outputs[i]).ok());
    return outputs;
  }
};

class Vjp : public testing::Test {
protected:
  Vjp()
      : file(testing::TempDir() + "sq_vjp_" + std::to_string(getpid()) +
             ".mlir") {}
  ~Vjp() override { std::filesystem::remove(file); }

  /// A dim of 1 to 5.
  int64_t dim(int64_t least = 1) { return least + random.below(5); }

  static std::string typeOf(const In &in) {
    std::string text = "tensor<";
    for (int64_t d : in.shape)
      text += std::to_string(d) + "x";
    return text + dtypeName(in.dtype) + ">";
  }

  /// `body` computes %y of %a, %b, ... (of static types $A, $B, ... in the
  /// text) and has the type `result`.
  std::string writeProgram(const std::vector<In> &ins, std::string body,
                           const In &result) {
    std::string arguments;
    for (size_t i = 0; i < ins.size(); ++i) {
      std::string name(1, char('a' + i)), type = typeOf(ins[i]), dims;
      for (size_t d = 0; d < ins[i].shape.size(); ++d)
        dims += d ? ", \"\"" : "\"\"";
      arguments += (i ? ", %" : "%") + name + ": " + type + " {sq.name = \"" +
                   name + "\", sq.dtype = \"" + dtypeName(ins[i].dtype) +
                   "\", sq.dims = [" + dims +
                   "], bufferization.writable = false}";
      replaceAll(body, "$" + std::string(1, char('A' + i)), type);
    }
    replaceAll(body, "$Y", typeOf(result));
    std::string dims;
    for (size_t d = 0; d < result.shape.size(); ++d)
      dims += d ? ", \"\"" : "\"\"";
    std::string text =
        "func.func @main(" + arguments + ") -> (" + typeOf(result) +
        " {sq.name = \"y\", sq.dtype = \"f64\", sq.dims = [" + dims +
        "]}) {\n" + body + "\n  return %y : " + typeOf(result) + "\n}\n";
    if (body.find("onnx.") != std::string::npos) {
      replaceAll(text, "sq.name", "onnx.name");
      replaceAll(text, "sq.dims", "onnx.dims");
    }
    std::ofstream(file) << text;
    return text;
  }

  void check(const std::string &what, std::vector<In> ins,
             const std::string &body, const In &result) {
    SCOPED_TRACE(what);
    SCOPED_TRACE(writeProgram(ins, body, result));
    Program forward, backward;
    ASSERT_EQ(forward.make(file, std::nullopt), "");
    GradientOptions gradients;
    gradients.loss = "given";
    gradients.by = "inputs";
    ASSERT_EQ(backward.make(file, gradients), "");

    std::vector<Tensor> inputs;
    for (In &in : ins)
      inputs.push_back(fill(in));
    std::vector<Tensor> y = forward.run(inputs);
    ASSERT_EQ(y.size(), 1u);
    In given = result;
    inputs.push_back(fill(given));
    std::vector<Tensor> computed = backward.run(inputs);
    Tensor cotangent = std::move(inputs.back());
    inputs.pop_back();

    auto value = [&] {
      std::vector<Tensor> out = forward.run(inputs);
      double sum = 0;
      for (int64_t i = 0; i < out[0].numElements(); ++i)
        sum += out[0].asDouble(i) * cotangent.asDouble(i);
      return sum;
    };
    size_t next = 0;
    constexpr double kStep = 1.0 / (1 << 17);
    for (Tensor &input : inputs) {
      if (!isFloat(input.dtype))
        continue;
      ASSERT_LT(next, computed.size());
      const Tensor &gradient = computed[next];
      EXPECT_EQ(backward.module.outputs()[next++].name,
                "gradient:" +
                    std::string(1, char('a' + (&input - inputs.data()))));
      ASSERT_EQ(gradient.shape, input.shape);
      double most = 0, wrong = 0;
      for (int64_t i = 0; i < input.numElements(); ++i) {
        double x = input.asDouble(i);
        input.setDouble(i, x + kStep);
        double above = value();
        input.setDouble(i, x - kStep);
        double below = value();
        input.setDouble(i, x);
        double expected = (above - below) / (2 * kStep);
        most = std::max(most, std::abs(expected));
        wrong = std::max(wrong, std::abs(expected - gradient.asDouble(i)));
        ASSERT_TRUE(std::isfinite(gradient.asDouble(i)));
      }
      EXPECT_LE(wrong, 1e-6 * std::max(most, 1e-3))
          << "input " << next << ", gradients up to " << most;
      EXPECT_GT(most, 0) << "nothing is tested";
    }
    EXPECT_EQ(next, computed.size());
    if (twice) {
      inputs.push_back(std::move(cotangent));
      checkProducts(backward, inputs);
    }
  }

  /// Products of the Hessian of sum(c * y), c being the last of `inputs`, with
  /// vectors for all of its floating-point operands at once, against central
  /// differences of the gradients along these.
  void checkProducts(Program &backward, std::vector<Tensor> &inputs) {
    Program products;
    GradientOptions options;
    options.loss = "given";
    options.by = "inputs";
    options.products = true;
    ASSERT_EQ(products.make(file, options), "");
    std::vector<size_t> by;
    for (size_t i = 0; i + 1 < inputs.size(); ++i)
      if (isFloat(inputs[i].dtype))
        by.push_back(i);
    size_t first = inputs.size(); // of the vectors
    for (size_t i : by) {
      inputs.push_back(fill({inputs[i].shape, -1, 1}));
      ASSERT_EQ(products.module.inputs()[inputs.size() - 1].name,
                "vector:" + std::string(1, char('a' + i)));
    }
    std::vector<Tensor> computed = products.run(inputs);
    ASSERT_EQ(computed.size(), by.size());
    std::vector<Tensor> vectors(std::make_move_iterator(inputs.begin() + first),
                                std::make_move_iterator(inputs.end()));
    inputs.resize(first);
    constexpr double kStep = 1.0 / (1 << 17);
    auto move = [&](double step) {
      for (size_t k = 0; k < by.size(); ++k)
        for (int64_t i = 0; i < vectors[k].numElements(); ++i)
          inputs[by[k]].setDouble(i, inputs[by[k]].asDouble(i) +
                                         step * vectors[k].asDouble(i));
    };
    move(kStep);
    std::vector<Tensor> above = backward.run(inputs);
    move(-2 * kStep);
    std::vector<Tensor> below = backward.run(inputs);
    double most = 0, wrong = 0;
    for (size_t k = 0; k < by.size(); ++k) {
      EXPECT_EQ(products.module.outputs()[k].name,
                "product:" + std::string(1, char('a' + by[k])));
      for (int64_t i = 0; i < computed[k].numElements(); ++i) {
        double expected =
            (above[k].asDouble(i) - below[k].asDouble(i)) / (2 * kStep);
        most = std::max(most, std::abs(expected));
        wrong = std::max(wrong, std::abs(expected - computed[k].asDouble(i)));
        ASSERT_TRUE(std::isfinite(computed[k].asDouble(i)));
      }
    }
    EXPECT_LE(wrong, 1e-6 * std::max(most, 1e-3)) << "products up to " << most;
    EXPECT_GT(most, 1e-3) << "nothing is tested";
  }

  static void replaceAll(std::string &text, const std::string &from,
                         const std::string &to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
         at += to.size())
      text.replace(at, from.size(), to);
  }

  Tensor fill(const In &in) {
    Tensor t;
    EXPECT_TRUE(t.allocate(in.dtype, in.shape).ok());
    for (int64_t i = 0; i < t.numElements(); ++i) {
      if (isFloat(in.dtype))
        t.setDouble(i, in.low + (in.high - in.low) * random.uniform());
      else
        t.setInt(i, in.low + random.below(in.high - in.low));
    }
    return t;
  }

  bool twice = false; // products of the Hessian, too
  const uint64_t seed = 20261122;
  Random random{seed};
  const std::string file;
};

/// `sq.op ins(%a.. : $A..) outs(%e : $Y) attributes`.
std::string composite(const std::string &op, const std::string &ins,
                      const std::string &attributes = "") {
  return "  %e = tensor.empty() : $Y\n  %y = sq." + op + " " + ins +
         " outs(%e : $Y) " + attributes + " -> $Y";
}

TEST_F(Vjp, Linear) {
  for (int rank = 1; rank <= 3; ++rank) {
    int64_t b = dim(), s = dim(), k = dim(2), n = dim(2);
    std::vector<int64_t> x = {k}, y = {n};
    if (rank > 1)
      x.insert(x.begin(), s), y.insert(y.begin(), s);
    if (rank > 2)
      x.insert(x.begin(), b), y.insert(y.begin(), b);
    check("bias", {{x}, {{k, n}}, {{n}}},
          composite("linear", "ins(%a, %b : $A, $B) bias(%c : $C)"), {y});
    check("transposed", {{x}, {{n, k}}},
          composite("linear", "ins(%a, %b : $A, $B)", "{transpose_weight}"),
          {y});
  }
}

TEST_F(Vjp, Matmul) {
  int64_t b = dim(2), h = dim(2), m = dim(), k = dim(), n = dim();
  check("batched", {{{b, h, m, k}}, {{b, h, k, n}}},
        composite("matmul", "ins(%a, %b : $A, $B)"), {{b, h, m, n}});
  check("left broadcast", {{{1, h, m, k}}, {{b, h, k, n}}},
        composite("matmul", "ins(%a, %b : $A, $B)"), {{b, h, m, n}});
  check("right broadcast", {{{b, h, m, k}}, {{1, 1, k, n}}},
        composite("matmul", "ins(%a, %b : $A, $B)"), {{b, h, m, n}});
}

TEST_F(Vjp, Rows) {
  int64_t b = dim(), s = dim(), n = dim(3);
  check("softmax", {{{b, s, n}}}, composite("softmax", "ins(%a : $A)"),
        {{b, s, n}});
  check("softmax of a vector", {{{n}}}, composite("softmax", "ins(%a : $A)"),
        {{n}});
  check("layer norm", {{{b, s, n}}, {{n}}, {{n}}},
        composite("layer_norm", "ins(%a, %b : $A, $B) bias(%c : $C)",
                  "{epsilon = 1.0e-2 : f32}"),
        {{b, s, n}});
  check(
      "layer norm without bias", {{{s, n}}, {{n}}},
      composite("layer_norm", "ins(%a, %b : $A, $B)", "{epsilon = 0.5 : f32}"),
      {{s, n}});
  check(
      "rms norm", {{{b, s, n}}, {{n}}},
      composite("rms_norm", "ins(%a, %b : $A, $B)", "{epsilon = 1.0e-2 : f32}"),
      {{b, s, n}});
}

TEST_F(Vjp, Activations) {
  std::vector<int64_t> x = {dim(), dim(), dim()};
  check("gelu", {{x}}, composite("gelu", "ins(%a : $A)"), {x});
  check("gelu by tanh", {{x}}, composite("gelu", "ins(%a : $A)", "{tanh}"),
        {x});
  check("silu", {{x}}, composite("silu", "ins(%a : $A)"), {x});
  check("swiglu", {{x}, {x}}, composite("silu", "ins(%a : $A) up(%b : $B)"),
        {x});
  check("sigmoid gelu", {{x}, {x}},
        composite("silu", "ins(%a : $A) up(%b : $B)", "{alpha = 1.702 : f32}"),
        {x});
}

// The angles are integers to the function's eyes: they are made of them, so
// that no gradient is asked for.
TEST_F(Vjp, RotaryEmbedding) {
  int64_t b = dim(), s = dim(), h = dim(), half = dim(1);
  for (int64_t angles : {half, 2 * half})
    for (const char *interleaved : {"", "{interleaved}"}) {
      In table = {{1, s, angles}, -3, 4, DType::i64};
      std::string body = R"(  %f = tensor.empty() : tensor<1xSxHxf64>
  %cos = linalg.generic {indexing_maps = [#m, #m], iterator_types = ["parallel", "parallel", "parallel"]} ins(%b : $B) outs(%f : tensor<1xSxHxf64>) {
  ^bb0(%in: i64, %out: f64):
    %0 = arith.sitofp %in : i64 to f64
    %1 = math.cos %0 : f64
    linalg.yield %1 : f64
  } -> tensor<1xSxHxf64>
  %sin = linalg.generic {indexing_maps = [#m, #m], iterator_types = ["parallel", "parallel", "parallel"]} ins(%c : $C) outs(%f : tensor<1xSxHxf64>) {
  ^bb0(%in: i64, %out: f64):
    %0 = arith.sitofp %in : i64 to f64
    %1 = math.sin %0 : f64
    linalg.yield %1 : f64
  } -> tensor<1xSxHxf64>
)";
      replaceAll(body, "#m", "affine_map<(d0, d1, d2) -> (d0, d1, d2)>");
      replaceAll(body, "SxH", std::to_string(s) + "x" + std::to_string(angles));
      std::string type = "tensor<1x" + std::to_string(s) + "x" +
                         std::to_string(angles) + "xf64>";
      // Two tables: halves of one need not be equal.
      check("rotary", {{{b, s, h, 2 * half}}, table, table},
            body + composite("rotary_embedding",
                             "ins(%a, %cos, %sin : $A, " + type + ", " + type +
                                 ")",
                             interleaved),
            {{b, s, h, 2 * half}});
    }
}

TEST_F(Vjp, Embedding) {
  int64_t b = dim(), s = dim(), n = dim();
  check(
      "two tables",
      {{{b, s}, 0, 7, DType::i64}, {{s}, 0, 3, DType::i64}, {{7, n}}, {{3, n}}},
      composite("embedding", "ins(%a, %b : $A, $B) tables(%c, %d : $C, $D)"),
      {{b, s, n}});
}

TEST_F(Vjp, Attention) {
  int64_t b = dim(), s = dim(), t = s + dim(), d = dim();
  std::string attention = "ins(%a, %b, %c : $A, $B, $C)";
  check("plain", {{{b, s, 3, d}}, {{b, t, 3, d}}, {{b, t, 3, d}}},
        composite("attention", attention, "{scale = 0.5 : f32}"),
        {{b, s, 3, d}});
  check("causal, with a past", {{{b, s, 2, d}}, {{b, t, 2, d}}, {{b, t, 2, d}}},
        composite("attention", attention, "{causal, scale = 0.7 : f32}"),
        {{b, s, 2, d}});
  check("causal, grouped", {{{b, t, 6, d}}, {{b, t, 2, d}}, {{b, t, 2, d}}},
        composite("attention", attention, "{causal, scale = 0.7 : f32}"),
        {{b, t, 6, d}});
  for (bool perHead : {false, true}) {
    std::vector<int64_t> mask = {perHead ? b : 1, perHead ? 4 : 1, s, t};
    check("a bias", {{{b, s, 4, d}}, {{b, t, 2, d}}, {{b, t, 2, d}}, {mask}},
          composite("attention", attention + " mask(%d : $D)",
                    "{causal, scale = 0.7 : f32}"),
          {{b, s, 4, d}});
  }
  // Masks of integers, which need no gradient.
  for (bool perHead : {false, true}) {
    int64_t heads = perHead ? 4 : 1, queries = perHead ? s : 1;
    std::string mask = "tensor<" + std::to_string(b) + "x" +
                       std::to_string(heads) + "x" + std::to_string(queries) +
                       "x" + std::to_string(t) + "xf64>";
    std::string body = "  %f = tensor.empty() : " + mask + R"(
  %mask = linalg.generic {indexing_maps = [#m, #m], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%d : $D) outs(%f : )" +
                       mask + R"() {
  ^bb0(%in: i64, %out: f64):
    %0 = arith.sitofp %in : i64 to f64
    linalg.yield %0 : f64
  } -> )" + mask + "\n";
    replaceAll(body, "#m", "affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>");
    check("mask",
          {{{b, s, 4, d}},
           {{b, t, 2, d}},
           {{b, t, 2, d}},
           {{b, heads, queries, t}, -2, 3, DType::i64}},
          body + composite("attention",
                           attention + " mask(%mask : " + mask + ")",
                           "{scale = 0.7 : f32}"),
          {{b, s, 4, d}});
  }
}

TEST_F(Vjp, Losses) {
  int64_t b = dim(2), s = dim(2), c = dim(3);
  check("classes", {{{b, c}}, {{b}, 0, double(c), DType::i64}},
        composite("cross_entropy", "ins(%a, %b : $A, $B)"), {{b}});
  // -1: some of the labels do not count.
  check("next tokens", {{{b, s, c}}, {{b, s}, -1, double(c), DType::i64}},
        composite("cross_entropy", "ins(%a, %b : $A, $B)"), {{b}});
  // The reference is of integers: it has no derivative.
  std::string body = R"(  %f = tensor.empty() : $A
  %r = linalg.generic {indexing_maps = [#m, #m], iterator_types = ["parallel", "parallel", "parallel"]} ins(%b : $B) outs(%f : $A) {
  ^bb0(%in: i64, %out: f64):
    %0 = arith.sitofp %in : i64 to f64
    linalg.yield %0 : f64
  } -> $A
)";
  replaceAll(body, "#m", "affine_map<(d0, d1, d2) -> (d0, d1, d2)>");
  for (const char *op : {"kl_divergence", "squared_error"})
    check(op, {{{b, s, c}}, {{b, s, c}, -3, 4, DType::i64}},
          body + composite(op, "ins(%a, %r : $A, $A)"), {{b}});
}

/// A loop of the body `text`, of %x and %z, over two tensors through `maps`.
std::string loop(const std::string &maps, const std::string &iterators,
                 const std::string &text, bool sums = false) {
  return std::string(
             "  %n = tensor.empty() : $Y\n  %zero = arith.constant 0.25 : "
             "f64\n  %e = linalg.fill ins(%zero : f64) outs(%n : $Y) -> $Y\n") +
         "  %y = linalg.generic {indexing_maps = [" + maps +
         "], iterator_types = [" + iterators +
         "]} ins(%a, %b : $A, $B) outs(%e : $Y) {\n" +
         "  ^bb0(%x: f64, %z: f64, %out: f64):\n" + text +
         (sums ? "    %sum = arith.addf %v, %out : f64\n    linalg.yield %sum "
                 ": f64\n"
               : "    linalg.yield %v : f64\n") +
         "  } -> $Y";
}

TEST_F(Vjp, ScalarFunctions) {
  int64_t n = dim(8);
  std::string map = "affine_map<(d0) -> (d0)>";
  std::string same = map + ", " + map + ", " + map;
  auto body = [](const std::string &op) {
    return "    %v = " + op + " : f64\n";
  };
  for (const char *op :
       {"arith.addf %x, %z", "arith.subf %x, %z", "arith.mulf %x, %z",
        "arith.divf %x, %z", "arith.maximumf %x, %z", "arith.minimumf %x, %z",
        "arith.maxnumf %x, %z", "arith.minnumf %x, %z", "math.powf %x, %z"})
    check(op, {{{n}, 0.3, 2}, {{n}, 0.3, 2}},
          loop(same, "\"parallel\"", body(op)), {{n}});
  for (const char *op :
       {"arith.negf", "math.absf", "math.exp",   "math.exp2",  "math.expm1",
        "math.log",   "math.log2", "math.log10", "math.log1p", "math.sqrt",
        "math.rsqrt", "math.sin",  "math.cos",   "math.tan",   "math.sinh",
        "math.cosh",  "math.tanh", "math.atan",  "math.erf",   "math.asinh"})
    check(op, {{{n}, 0.3, 1.2}, {{n}}},
          loop(same, "\"parallel\"",
               "    %u = " + std::string(op) + " %x : f64\n" +
                   body("arith.addf %u, %z")),
          {{n}});
  check("math.acosh", {{{n}, 1.2, 3}, {{n}}},
        loop(same, "\"parallel\"",
             "    %u = math.acosh %x : f64\n" + body("arith.addf %u, %z")),
        {{n}});
  check("arith.remf", {{{n}, -5, 5}, {{n}, 0.7, 2}},
        loop(same, "\"parallel\"", body("arith.remf %x, %z")), {{n}});
  for (const char *op : {"math.asin", "math.acos", "math.atanh"})
    check(op, {{{n}, -0.9, 0.9}, {{n}}},
          loop(same, "\"parallel\"",
               "    %u = " + std::string(op) + " %x : f64\n" +
                   body("arith.addf %u, %z")),
          {{n}});
  check("copysign", {{{n}}, {{n}}},
        loop(same, "\"parallel\"",
             "    %u = math.copysign %x, %z : f64\n    %w = math.fma %u, %z, "
             "%x : f64\n" +
                 body("arith.addf %w, %z")),
        {{n}});
  check("select", {{{n}}, {{n}}},
        loop(same, "\"parallel\"",
             "    %c = arith.cmpf ogt, %x, %zero : f64\n    %w = arith.mulf "
             "%x, %z : f64\n    %v = arith.select %c, %w, %z : f64\n"),
        {{n}});
  check("a chain with a floor", {{{n}}, {{n}}},
        loop(same, "\"parallel\"",
             "    %u = math.floor %x : f64\n    %w = arith.subf %x, %u : f64\n "
             "   %t = arith.mulf %w, %w : f64\n" +
                 body("arith.mulf %t, %z")),
        {{n}});
  check(
      "what was there before", {{{n}}, {{n}}},
      loop(same, "\"parallel\"",
           "    %u = arith.mulf %x, %out : f64\n" + body("arith.addf %u, %z")),
      {{n}});
}

TEST_F(Vjp, Loops) {
  int64_t m = dim(2), n = dim(2), k = dim(2);
  std::string product = "    %v = arith.mulf %x, %z : f64\n",
              p2 = "\"parallel\", \"parallel\"";
  check("broadcast", {{{m, n}}, {{n}}},
        loop("affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, "
             "affine_map<(i, j) -> (i, j)>",
             p2, product),
        {{m, n}});
  check("dims of 1, and a transposed operand", {{{m, 1}}, {{n, m}}},
        loop("affine_map<(i, j) -> (i, 0)>, affine_map<(i, j) -> (j, i)>, "
             "affine_map<(i, j) -> (i, j)>",
             p2, product),
        {{m, n}});
  check("a number for all", {{{}}, {{n, m}}},
        loop("affine_map<(i, j) -> ()>, affine_map<(i, j) -> (j, i)>, "
             "affine_map<(i, j) -> (i, j)>",
             p2, product),
        {{m, n}});
  check("sum", {{{m, n}}, {{n}}},
        loop("affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, "
             "affine_map<(i, j) -> (i)>",
             "\"parallel\", \"reduction\"", product, true),
        {{m}});
  check("sum in front", {{{m, n}}, {{m}}},
        loop("affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, "
             "affine_map<(i, j) -> (j)>",
             "\"reduction\", \"parallel\"", product, true),
        {{n}});
  check("contraction", {{{m, k}}, {{k, n}}},
        loop("affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, "
             "j)>, affine_map<(i, j, k) -> (i, j)>",
             "\"parallel\", \"parallel\", \"reduction\"", product, true),
        {{m, n}});
  check("linalg.matmul", {{{m, k}}, {{k, n}}, {{m, n}}},
        "  %y = linalg.matmul ins(%a, %b : $A, $B) outs(%c : $C) -> $Y",
        {{m, n}});
  check("linalg.transpose", {{{m, k, n}}},
        "  %e = tensor.empty() : $Y\n  %y = linalg.transpose ins(%a : $A) "
        "outs(%e : $Y) permutation = [2, 0, 1]",
        {{n, m, k}});
}

/// An op of ONNX with attributes.
std::string node(const std::string &name, const std::string &operands,
                 const std::string &types, const std::string &attributes = "") {
  return "  %y = onnx." + name + "(" + operands + ") {" + attributes + "} : (" +
         types + ") -> $Y";
}

// What is chosen of several, and products.
TEST_F(Vjp, Reductions) {
  int64_t b = dim(2), m = dim(2), n = dim(2);
  for (const char *op : {"ReduceMax", "ReduceMin", "ReduceProd",
                         "ReduceLogSumExp", "ReduceL1", "ReduceMean"}) {
    check(op, {{{b, m, n}}},
          node(op, "%a", "$A", "axes = array<i64: 1>, keepdims = 0 : i64"),
          {{b, n}});
    check(op, {{{b, m, n}}}, node(op, "%a", "$A"), {{1, 1, 1}});
  }
  check("LogSoftmax", {{{b, m, n}}},
        node("LogSoftmax", "%a", "$A", "axis = 1 : i64"), {{b, m, n}});
  for (const char *largest : {"1", "0"})
    check("TopK", {{{b, m + 2}}},
          "  %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> "
          "tensor<1xi64>\n  %y, %i = onnx.TopK(%a, %k) {largest = " +
              std::string(largest) +
              " : i64} : ($A, tensor<1xi64>) -> ($Y, tensor<" +
              std::to_string(b) + "x2xi64>)",
          {{b, 2}});
  check("SoftmaxCrossEntropyLoss", {{{b, 4}}, {{b}, 0, 4, DType::i64}},
        node("SoftmaxCrossEntropyLoss", "%a, %b", "$A, $B"), {{}});
  // What a maximum starts from, too; and of two results one that is chosen.
  std::string body =
      R"(  %y, %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]} ins(%a : $A) outs(%b, %b : $B, $B) {
  ^bb0(%in: f64, %most: f64, %sum: f64):
    %v = math.sin %in : f64
    %0 = arith.OP %v, %most : f64
    %1 = arith.addf %sum, %in : f64
    linalg.yield %0, %1 : f64, f64
  } -> ($B, $B))";
  for (const char *op : {"maximumf", "minnumf"}) {
    std::string text = body;
    replaceAll(text, "OP", op);
    double side = op[1] == 'a' ? 0.75 : -0.75;
    check(op, {{{m + 4, n}, -1, 1}, {{m + 4}, side - 0.3, side + 0.3}}, text,
          {{m + 4}});
  }
}

// Of equal ones the first, as PyTorch has it for pools and `max` along a dim;
// with scatter_reduce all, evenly. Of a product with one zero its own factor,
// with two none.
TEST_F(Vjp, Ties) {
  auto gradients = [&](std::vector<In> ins, const std::string &body,
                       const In &result,
                       std::vector<std::vector<double>> values) {
    writeProgram(ins, body, result);
    Program program;
    GradientOptions options;
    options.loss = "given";
    options.by = "inputs";
    std::vector<std::vector<double>> found;
    EXPECT_EQ(program.make(file, options), "");
    std::vector<Tensor> inputs;
    ins.push_back(result);
    for (size_t i = 0; i < ins.size(); ++i) {
      Tensor &t = inputs.emplace_back();
      EXPECT_TRUE(t.allocate(ins[i].dtype, ins[i].shape).ok());
      for (int64_t k = 0; k < t.numElements(); ++k)
        if (isFloat(t.dtype))
          t.setDouble(k, values[i][k]);
        else
          t.setInt(k, values[i][k]);
    }
    for (const Tensor &t : program.run(inputs))
      for (found.emplace_back();
           int64_t(found.back().size()) < t.numElements();)
        found.back().push_back(t.asDouble(found.back().size()));
    return found;
  };
  using Values = std::vector<std::vector<double>>;
  EXPECT_EQ(gradients({{{1, 1, 2, 4}}},
                      node("MaxPool", "%a", "$A",
                           "kernel_shape = array<i64: 2, 2>, strides = "
                           "array<i64: 2, 2>"),
                      {{1, 1, 1, 2}}, {{0, 0, 1, 2, 0, 0, 2, 2}, {3, 5}}),
            (Values{{3, 0, 0, 5, 0, 0, 0, 0}}));
  for (const char *op : {"ReduceMax", "ReduceMin"})
    EXPECT_EQ(gradients({{{2, 3}}},
                        node(op, "%a", "$A", "axes = array<i64: 1>"), {{2, 1}},
                        {{1, 1, 1, 4, 4, 4}, {3, 5}}),
              (Values{{3, 0, 0, 5, 0, 0}}));
  EXPECT_EQ(gradients({{{2, 3}}},
                      node("ReduceProd", "%a", "$A", "axes = array<i64: 1>"),
                      {{2, 1}}, {{2, 0, 3, 0, 4, 0}, {1, 1}}),
            (Values{{0, 6, 0, 0, 0, 0}}));
  auto scatter = [&](const char *reduction, std::vector<double> updates) {
    return gradients({{{3}}, {{3}, 0, 3, DType::i64}, {{3}}},
                     node("ScatterElements", "%a, %b, %c", "$A, $B, $C",
                          "reduction = \"" + std::string(reduction) + "\""),
                     {{3}}, {{2, 0, 1}, {0, 0, 1}, updates, {6, 4, 1}});
  };
  for (const char *reduction : {"max", "min"})
    EXPECT_EQ(scatter(reduction, {2, 2, 0}), (Values{{2, 2, 1}, {2, 2, 2}}));
  EXPECT_EQ(scatter("mul", {0, 3, 0}), (Values{{0, 0, 1}, {36, 0, 0}}));
}

TEST_F(Vjp, Gathers) {
  int64_t b = dim(2), s = dim(3), n = dim(2), r = dim(2);
  // Rows: of each sample one, as a pooled model takes its first token.
  std::string rows = R"(  %e = tensor.empty() : $Y
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%b : $B) outs(%e : $Y) {
  ^bb0(%at: i64, %out: f64):
    %i = linalg.index 0 : index
    %k = arith.index_cast %at : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %a[%i, %k, %j] : $A
    %w = arith.mulf %v, %v : f64
    linalg.yield %w : f64
  } -> $Y)";
  check("rows", {{{b, s, n}}, {{b}, 0, double(s), DType::i64}}, rows, {{b, n}});
  // Elements, some of them often: the cotangents are added up.
  std::string elements = R"(  %e = tensor.empty() : $Y
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%b : $B) outs(%e : $Y) {
  ^bb0(%at: i64, %out: f64):
    %k = arith.index_cast %at : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %a[%k, %j] : $A
    linalg.yield %v : f64
  } -> $Y)";
  check("elements", {{{s, r}}, {{b, r}, 0, double(s), DType::i64}}, elements,
        {{b, r}});
}

// As ONNX has them; the importer makes loops that read at computed positions.
TEST_F(Vjp, Convolutions) {
  auto number = [](int64_t x) { return std::to_string(x); };
  int64_t b = dim(), c = dim(), m = dim(2), h = dim(5), w = dim(5);
  auto conv = [&](int64_t group, const std::string &bias,
                  const std::string &attributes) {
    return "  %y = onnx.Conv(%a, %b" + bias + ") {group = " + number(group) +
           " : i64, " + attributes + "} : ($A, $B" +
           (bias.empty() ? "" : ", $C") + ") -> $Y";
  };
  check("strides and padding", {{{b, c, h, w}}, {{m, c, 3, 3}}, {{m}}},
        conv(1, ", %c",
             "strides = array<i64: 2, 1>, pads = array<i64: 1, 1, 1, 0>"),
        {{b, m, (h - 1) / 2 + 1, w - 1}});
  check("groups, dilations", {{{b, 2 * c, h, w}}, {{2 * m, c, 2, 2}}},
        conv(2, "", "dilations = array<i64: 2, 1>"),
        {{b, 2 * m, h - 2, w - 1}});
  check("patches", {{{b, c, 4, 6}}, {{m, c, 2, 3}}},
        conv(1, "", "strides = array<i64: 2, 3>"), {{b, m, 2, 2}});
  check("one dimension", {{{b, c, h}}, {{m, c, 3}}},
        conv(1, "", "pads = array<i64: 1, 1>"), {{b, m, h}});
  check("transposed", {{{b, c, h, w}}, {{c, m, 2, 3}}, {{m}}},
        "  %y = onnx.ConvTranspose(%a, %b, %c) {strides = array<i64: 2, 1>} : "
        "($A, $B, $C) -> $Y",
        {{b, m, 2 * h, w + 2}});
  check("averages", {{{b, c, h, w}}},
        "  %y = onnx.AveragePool(%a) {kernel_shape = array<i64: 2, 3>, pads = "
        "array<i64: 1, 0, 0, 1>} : ($A) -> $Y",
        {{b, c, h, w - 1}});
  check("norms", {{{b, c, h, w}}},
        "  %y = onnx.LpPool(%a) {kernel_shape = array<i64: 2, 3>, p = 3 : i64} "
        ": ($A) -> $Y",
        {{b, c, h - 1, w - 2}});
}

TEST_F(Vjp, MaxPools) {
  auto number = [](int64_t x) { return std::to_string(x); };
  int64_t b = dim(), c = dim(), h = dim(5), w = dim(5);
  In x{{b, c, h, w}};
  auto pool = [&](const std::string &attributes) {
    return node("MaxPool", "%a", "$A", attributes);
  };
  check("apart", {{{b, c, 4, 6}}},
        pool("kernel_shape = array<i64: 2, 3>, strides = array<i64: 2, 3>"),
        {{b, c, 2, 2}});
  check("overlapping, with padding", {x},
        pool("kernel_shape = array<i64: 3, 2>, pads = array<i64: 1, 0, 1, 1>"),
        {{b, c, h, w}});
  check("dilated", {x},
        pool("kernel_shape = array<i64: 2, 3>, dilations = array<i64: 2, 1>"),
        {{b, c, h - 2, w - 2}});
  check("ceil_mode", {{{b, c, 5, 6}}},
        pool("kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 4>, "
             "ceil_mode = 1 : i64"),
        {{b, c, 3, 2}});
  check("SAME_UPPER", {x},
        pool("kernel_shape = array<i64: 3, 3>, strides = array<i64: 2, 2>, "
             "auto_pad = \"SAME_UPPER\""),
        {{b, c, (h + 1) / 2, (w + 1) / 2}});
  check("one dimension", {{{b, c, h}}}, pool("kernel_shape = array<i64: 3>"),
        {{b, c, h - 2}});
  check("of all", {x}, node("GlobalMaxPool", "%a", "$A"), {{b, c, 1, 1}});
  // With indices, which put what was chosen back where it was.
  std::string pooled = "tensor<" + number(b) + "x" + number(c) + "x2x3x";
  check("with indices", {{{b, c, 4, 6}}},
        "  %0, %1 = onnx.MaxPool(%a) {kernel_shape = array<i64: 2, 2>, strides "
        "= array<i64: 2, 2>} : ($A) -> (" +
            pooled + "f64>, " + pooled +
            "i64>)\n  %y = onnx.MaxUnpool(%0, %1) {kernel_shape = array<i64: "
            "2, 2>, strides = array<i64: 2, 2>} : (" +
            pooled + "f64>, " + pooled + "i64>) -> $Y",
        {{b, c, 4, 6}});
}

TEST_F(Vjp, Sampling) {
  int64_t b = dim(), c = dim();
  for (const char *mode : {"bilinear", "nearest", "bicubic"}) {
    // Positions of the nearest have no derivative.
    bool isNearest = mode == std::string("nearest");
    In places{{b, 3, 2, 2}, -0.9, 0.9};
    if (isNearest)
      places = {{b, 3, 2, 2}, -1, 2, DType::i64};
    std::string cast = "tensor<" + std::to_string(b) + "x3x2x2xf64>";
    check(mode, {{{b, c, 5, 4}}, places},
          (isNearest
               ? "  %g = onnx.Cast(%b) {to = 11 : i64} : ($B) -> " + cast + "\n"
               : std::string()) +
              node("GridSample", isNearest ? "%a, %g" : "%a, %b",
                   isNearest ? "$A, " + cast : "$A, $B",
                   "mode = \"" + std::string(mode) + "\""),
          {{b, c, 3, 2}});
  }
  check("AffineGrid", {{{b, 2, 3}}},
        "  %s = onnx.Constant() {value = dense<[" + std::to_string(b) +
            ", 1, 3, 4]> : tensor<4xi64>} : () -> tensor<4xi64>\n" +
            node("AffineGrid", "%a, %s", "$A, tensor<4xi64>"),
        {{b, 3, 4, 2}});
}

// Operators of which no other test has the loops.
TEST_F(Vjp, OperatorsOfOnnx) {
  auto constant = [](const std::string &name, const std::string &value,
                     const std::string &type) {
    return "  %" + name + " = onnx.Constant() {value = dense<" + value +
           "> : " + type + "} : () -> " + type + "\n";
  };
  std::string two = "tensor<2xi64>", four = "tensor<4xi64>";
  int64_t m = dim(2), n = dim(3);
  for (const char *op :
       {"Sigmoid", "Elu", "Selu", "LeakyRelu", "HardSigmoid", "HardSwish",
        "Softplus", "Softsign", "ThresholdedRelu", "Mish", "Shrink", "Relu",
        "LpNormalization", "Reciprocal", "Trilu", "Softmax", "Swish"})
    check(op, {{{m + 3, n}}}, node(op, "%a", "$A"), {{m + 3, n}});
  for (const char *op : {"Max", "Min", "Mean", "PRelu", "Div"})
    check(op, {{{m, n}}, {{m, n}, 0.5, 1.5}}, node(op, "%a, %b", "$A, $B"),
          {{m, n}});
  check("Mod", {{{m, n}, -5, 5}, {{m, n}, 0.7, 2}},
        node("Mod", "%a, %b", "$A, $B", "fmod = 1 : i64"), {{m, n}});
  In image{{2, 3, 4, 3}}, channels{{3}, 0.5, 1.5};
  for (const char *op : {"InstanceNormalization", "GroupNormalization"})
    check(op, {image, channels, channels},
          node(op, "%a, %b, %c", "$A, $B, $C",
               op[0] == 'G' ? "num_groups = 3 : i64" : ""),
          image);
  check("BatchNormalization", {image, channels, channels, channels, channels},
        node("BatchNormalization", "%a, %b, %c, %d, %e", "$A, $B, $C, $D, $E"),
        image);
  for (const char *op : {"MeanVarianceNormalization", "LRN"})
    check(op, {image},
          node(op, "%a", "$A", op[0] == 'L' ? "size = 3 : i64" : ""), image);
  for (const char *op : {"GlobalAveragePool", "GlobalLpPool"})
    check(op, {image}, node(op, "%a", "$A"), {{2, 3, 1, 1}});
  for (const char *mode : {"nearest", "linear", "cubic"})
    check(mode, {image},
          constant("k", "[1.0, 1.0, 1.5, 2.0]", "tensor<4xf32>") +
              "  %none = onnx.NoValue\n" +
              node("Resize", "%a, %none, %k", "$A, none, tensor<4xf32>",
                   "mode = \"" + std::string(mode) + "\""),
          {{2, 3, 6, 6}});
  for (const char *mode : {"constant", "reflect", "edge", "wrap"})
    check(mode, {{{m, n}}},
          constant("k", "1", four) +
              node("Pad", "%a, %k", "$A, " + four,
                   "mode = \"" + std::string(mode) + "\""),
          {{m + 2, n + 2}});
  check("Tile", {{{m, n}}},
        constant("k", "[2, 1]", two) + node("Tile", "%a, %k", "$A, " + two),
        {{2 * m, n}});
  check("DepthToSpace", {{{m, 4, 2, n}}},
        node("DepthToSpace", "%a", "$A", "blocksize = 2 : i64"),
        {{m, 1, 4, 2 * n}});
  check("SpaceToDepth", {{{m, 1, 4, 6}}},
        node("SpaceToDepth", "%a", "$A", "blocksize = 2 : i64"),
        {{m, 4, 2, 3}});
  check("ReverseSequence", {{{m, 3}}, {{3}, 1, double(m), DType::i64}},
        node("ReverseSequence", "%a, %b", "$A, $B"), {{m, 3}});
  check("Einsum", {{{m, n}}, {{n, 4}}},
        node("Einsum", "%a, %b", "$A, $B", "equation = \"ij,jk->ki\""),
        {{4, m}});
  check("Det", {{{m, 3, 3}}}, node("Det", "%a", "$A"), {{m}});
  check("DFT", {{{1, n, 1}}}, node("DFT", "%a", "$A"), {{1, n, 2}});
  check("Col2Im", {{{1, 5, 12}}},
        constant("k", "[4, 7]", two) + constant("l", "[1, 5]", two) +
            node("Col2Im", "%a, %k, %l", "$A, " + two + ", " + two),
        {{1, 1, 4, 7}});
  check("TensorScatter", {{{2, 1, 4, 3}}, {{2, 1, 2, 3}}},
        constant("k", "[0, 1]", two) + node("TensorScatter", "%a, %b, %k",
                                            "$A, $B, " + two, "axis = 2 : i64"),
        {{2, 1, 4, 3}});
  check("DeformConv",
        {{{1, 2, 4, 4}}, {{2, 2, 2, 2}}, {{1, 8, 3, 3}, 0.1, 0.9}},
        node("DeformConv", "%a, %b, %c", "$A, $B, $C"), {{1, 2, 3, 3}});
}

TEST_F(Vjp, IndexingOfOnnx) {
  int64_t m = dim(3), n = dim(3);
  auto op = [](const std::string &name, const std::string &operands,
               const std::string &types, const std::string &attributes) {
    return "  %y = onnx." + name + "(" + operands + ") {" + attributes +
           "} : (" + types + ") -> $Y";
  };
  In rows = {{m, 2}, 0, double(n), DType::i64};
  check("Gather", {{{m, n, 3}}, {{2, 4}, 0, double(n), DType::i64}},
        op("Gather", "%a, %b", "$A, $B", "axis = 1 : i64"), {{m, 2, 4, 3}});
  check("GatherElements", {{{m, n}}, rows},
        op("GatherElements", "%a, %b", "$A, $B", "axis = 1 : i64"), {{m, 2}});
  check("GatherND", {{{n, m, 2}}, {{3, 1}, 0, double(n), DType::i64}},
        op("GatherND", "%a, %b", "$A, $B", ""), {{3, m, 2}});
  // Some places are written twice: the last one counts, or all do, or the
  // greatest. Others are not written.
  for (const char *reduction : {"none", "add", "mul", "max", "min"}) {
    auto scatter = [&](const std::string &name, const std::string &attributes) {
      return "  %0 = onnx.Neg(%a) : ($A) -> $A\n" +
             op(name, "%0, %b, %c", "$A, $B, $C",
                attributes + "reduction = \"" + reduction + "\"");
    };
    check("ScatterElements", {{{m, n + 3}}, rows, {{m, 2}}},
          scatter("ScatterElements", "axis = 1 : i64, "), {{m, n + 3}});
    check("ScatterND",
          {{{n + 3, m}}, {{4, 1}, 0, double(n), DType::i64}, {{4, m}}},
          scatter("ScatterND", ""), {{n + 3, m}});
  }
}

TEST_F(Vjp, Movement) {
  auto number = [](int64_t x) { return std::to_string(x); };
  int64_t m = dim(2), n = dim(3);
  check("a slice", {{{m, 2 * n}}},
        "  %y = tensor.extract_slice %a[1, 1] [" + number(m - 1) + ", " +
            number(n) + "] [1, 2] : $A to $Y",
        {{m - 1, n}});
  check("a slice of less rank", {{{m, n}}},
        "  %y = tensor.extract_slice %a[1, 0] [1, " + number(n) +
            "] [1, 1] : $A to $Y",
        {{n}});
  check("an inserted slice", {{{m, n}}, {{m + 1, n + 2}}},
        "  %y = tensor.insert_slice %a into %b[1, 1] [" + number(m) + ", " +
            number(n) + "] [1, 1] : $A into $B",
        {{m + 1, n + 2}});
  check("reshapes", {{{m, 2 * n}}},
        "  %0 = tensor.expand_shape %a [[0], [1, 2]] output_shape [" +
            number(m) + ", 2, " + number(n) + "] : $A into tensor<" +
            number(m) + "x2x" + number(n) +
            "xf64>\n  %y = tensor.collapse_shape %0 [[0, 1], [2]] : tensor<" +
            number(m) + "x2x" + number(n) + "xf64> into $Y",
        {{2 * m, n}});
  check("concatenation", {{{m, n}}, {{m, 2}}},
        "  %y = tensor.concat dim(1) %a, %b : ($A, $B) -> $Y", {{m, n + 2}});
  check("a cast", {{{m, n}}},
        "  %0 = tensor.cast %a : $A to tensor<?x?xf64>\n  %y = tensor.cast %0 "
        ": tensor<?x?xf64> to $Y",
        {{m, n}});
  check("twice the same", {{{m, n}}},
        "  %e = tensor.empty() : $Y\n  %0 = sq.gelu ins(%a : $A) outs(%e : $Y) "
        "-> $Y\n  %1 = sq.softmax ins(%a : $A) outs(%e : $Y) -> $Y\n"
        "  %y = sq.silu ins(%0 : $Y) up(%1 : $Y) outs(%e : $Y) -> $Y",
        {{m, n}});
}

TEST_F(Vjp, ProductsOfTheHessian) {
  twice = true;
  int64_t b = dim(), c = dim(), s = dim(2), n = dim(3), k = dim(2);
  check("linear", {{{s, k}}, {{k, n}}, {{n}}},
        composite("linear", "ins(%a, %b : $A, $B) bias(%c : $C)"), {{s, n}});
  check("matmul", {{{1, s, k}}, {{b, k, n}}},
        composite("matmul", "ins(%a, %b : $A, $B)"), {{b, s, n}});
  check("softmax", {{{b, s, n}}}, composite("softmax", "ins(%a : $A)"),
        {{b, s, n}});
  check("layer norm", {{{s, n}}, {{n}}, {{n}}},
        composite("layer_norm", "ins(%a, %b : $A, $B) bias(%c : $C)",
                  "{epsilon = 1.0e-1 : f32}"),
        {{s, n}});
  check(
      "rms norm", {{{s, n}}, {{n}}},
      composite("rms_norm", "ins(%a, %b : $A, $B)", "{epsilon = 1.0e-1 : f32}"),
      {{s, n}});
  check("gelu", {{{s, n}}}, composite("gelu", "ins(%a : $A)"), {{s, n}});
  check("gelu by tanh", {{{s, n}}}, composite("gelu", "ins(%a : $A)", "{tanh}"),
        {{s, n}});
  check("swiglu", {{{s, n}}, {{s, n}}},
        composite("silu", "ins(%a : $A) up(%b : $B)"), {{s, n}});
  check("attention",
        {{{b, s, 4, k}}, {{b, s, 2, k}}, {{b, s, 2, k}}, {{1, 4, s, s}}},
        composite("attention", "ins(%a, %b, %c : $A, $B, $C) mask(%d : $D)",
                  "{causal, scale = 0.7 : f32}"),
        {{b, s, 4, k}});
  check("cross-entropy", {{{b, s, n}}, {{b, s}, -1, double(n), DType::i64}},
        composite("cross_entropy", "ins(%a, %b : $A, $B)"), {{b}});
  // The gradient of a gather is a scatter.
  std::string rows = R"(  %e = tensor.empty() : $Y
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%b : $B) outs(%e : $Y) {
  ^bb0(%at: i64, %out: f64):
    %k = arith.index_cast %at : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %a[%k, %j] : $A
    %w = math.exp %v : f64
    linalg.yield %w : f64
  } -> $Y)";
  check("rows", {{{s, n}}, {{b + 2}, 0, double(s), DType::i64}}, rows,
        {{b + 2, n}});
  // Which is chosen does not depend on the cotangent, what it is made of does.
  std::string square = "  %0 = onnx.Mul(%a, %a) : ($A, $A) -> $A\n";
  check("maxima", {{{b, c, 4, 4}}},
        square + node("MaxPool", "%0", "$A", "kernel_shape = array<i64: 2, 2>"),
        {{b, c, 3, 3}});
  for (const char *op : {"ReduceMax", "ReduceProd"})
    check(op, {{{s, n}}}, square + node(op, "%0", "$A", "axes = array<i64: 1>"),
          {{s, 1}});
  for (const char *reduction : {"mul", "max"})
    check(reduction, {{{s, n}}, {{2, n}, 0, double(s), DType::i64}, {{2, n}}},
          square + node("ScatterElements", "%0, %b, %c", "$A, $B, $C",
                        "reduction = \"" + std::string(reduction) + "\""),
          {{s, n}});
}

} // namespace
