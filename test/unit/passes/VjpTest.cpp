// Operators of sq, scalar functions and loops.
#include "test/unit/passes/VjpTest.h"

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
