// Every vector-Jacobian product against central differences, both in float64,
// on random shapes.
//
// With c the cotangent and x one of the elements, the derivative of f = sum(c *
// y) is (f(x + h) - f(x - h)) / 2h up to h^2/6 f''' and 2^-53 |f| / h. With h =
// 2^-17 and values around 1, both are below 1e-9; functions of large
// derivatives (1/x, log near 0.3) reach some hundred times that. So 1e-6 of the
// largest gradient is far above the error of the difference, and far below that
// of a wrong formula.
#ifndef SQ_TEST_UNIT_PASSES_VJPTEST_H
#define SQ_TEST_UNIT_PASSES_VJPTEST_H

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
inline std::string composite(const std::string &op, const std::string &ins,
                      const std::string &attributes = "") {
  return "  %e = tensor.empty() : $Y\n  %y = sq." + op + " " + ins +
         " outs(%e : $Y) " + attributes + " -> $Y";
}

/// An op of ONNX with attributes.
inline std::string node(const std::string &name, const std::string &operands,
                 const std::string &types, const std::string &attributes = "") {
  return "  %y = onnx." + name + "(" + operands + ") {" + attributes + "} : (" +
         types + ") -> $Y";
}

} // namespace

#endif
