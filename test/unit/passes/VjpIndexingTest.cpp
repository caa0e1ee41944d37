// Reductions, elements read at computed places, movement, and operators of ONNX.
#include "test/unit/passes/VjpTest.h"

namespace {
class VjpIndexing : public Vjp {};
} // namespace

// What is chosen of several, and products.
TEST_F(VjpIndexing, Reductions) {
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
TEST_F(VjpIndexing, Ties) {
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

TEST_F(VjpIndexing, Gathers) {
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
TEST_F(VjpIndexing, Convolutions) {
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

TEST_F(VjpIndexing, MaxPools) {
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

TEST_F(VjpIndexing, Sampling) {
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
TEST_F(VjpIndexing, OperatorsOfOnnx) {
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

TEST_F(VjpIndexing, IndexingOfOnnx) {
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

TEST_F(VjpIndexing, Movement) {
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
