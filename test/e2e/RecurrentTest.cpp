/// RNN, GRU and LSTM with random attributes and inputs against the oracle, each at
/// several lengths and batches.
#include "test/e2e/Models.h"
#include "test/support/Compare.h"
#include "test/support/Random.h"

#include "llvm/ADT/StringExtras.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace sq;
using namespace sq::test;
using numerics::Shape;
using numerics::Tensor;

namespace {

/// A model of one node, whose outputs are one vector.
struct RecurrentModel {
  std::string text;
  int64_t directions, hidden, width;
  bool layout, hasLengths, hasState, hasCell;

  Feed feed(Random &random, int64_t batch, int64_t steps) const {
    Shape state = layout ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
    Feed result = {{"x", random.reals(layout ? Shape{batch, steps, width} : Shape{steps, batch, width})}};
    if (hasLengths)
      result["lengths"] = random.integers({batch}, 0, steps);
    if (hasState)
      result["h"] = random.reals(state);
    if (hasCell)
      result["c"] = random.reals(state);
    for (auto &[name, tensor] : result)
      for (double &value : tensor.reals)
        value = numerics::roundToF32(value);
    return result;
  }
};

std::string initializer(Random &random, Shape shape, const std::string &name) {
  std::vector<std::string> dims, numbers;
  for (int64_t dim : shape)
    dims.push_back(std::to_string(dim));
  // Weights this small keep the recurrence from enlarging what is rounded.
  for (double value : random.reals(shape).reals)
    numbers.push_back(std::to_string(value * 0.3));
  return "  float[" + llvm::join(dims, ",") + "] " + name + " = {" + llvm::join(numbers, ",") + "}";
}

RecurrentModel randomModel(unsigned seed) {
  Random random(seed);
  auto coin = [&] { return random.integer(0, 1) == 1; };
  RecurrentModel m;
  int64_t gates = std::vector<int64_t>{1, 3, 4}[seed % 3];
  std::string type = gates == 1 ? "RNN" : gates == 3 ? "GRU" : "LSTM";
  int64_t direction = random.integer(0, 2);
  m.directions = direction == 2 ? 2 : 1;
  m.hidden = std::vector<int64_t>{1, 3, 8, 19}[random.integer(0, 3)];
  m.width = random.integer(1, 9);
  m.layout = coin(), m.hasLengths = coin(), m.hasState = coin();
  m.hasCell = gates == 4 && coin();
  bool hasBias = coin(), hasPeepholes = gates == 4 && coin();

  std::string attributes = "hidden_size = " + std::to_string(m.hidden) + ", layout = " +
                           std::to_string(m.layout) + ", direction = \"" +
                           std::vector<std::string>{"forward", "reverse", "bidirectional"}[direction] + "\"";
  if (random.integer(0, 2) == 0)
    attributes += ", clip = 0.75";
  if (gates == 3)
    attributes += ", linear_before_reset = " + std::to_string(coin());
  if (gates == 4)
    attributes += ", input_forget = " + std::to_string(coin());
  if (coin()) {
    const char *names[] = {"Tanh",     "Relu",       "Sigmoid",     "Affine", "LeakyRelu", "ThresholdedRelu",
                           "Softsign", "ScaledTanh", "HardSigmoid", "Elu",    "Softplus"};
    std::vector<std::string> functions, parameters;
    for (int64_t i = 0; i < m.directions * (gates == 4 ? 3 : gates == 3 ? 2 : 1); ++i) {
      functions.push_back("\"" + std::string(names[random.integer(0, 10)]) + "\"");
      parameters.push_back("0." + std::to_string(random.integer(1, 9)));
    }
    attributes += ", activations = [" + llvm::join(functions, ", ") + "], activation_alpha = [" +
                  llvm::join(parameters, ", ") + "], activation_beta = [" +
                  llvm::join(llvm::reverse(parameters), ", ") + "]";
  }

  std::string hidden = std::to_string(m.hidden), directions = std::to_string(m.directions);
  std::string state = m.layout ? "float[batch, " + directions + ", " + hidden + "]"
                               : "float[" + directions + ", batch, " + hidden + "]";
  std::string first = m.layout ? "batch, steps" : "steps, batch";
  m.text = "<ir_version: 8, opset_import: [\"\" : 14]>\ng (float[" + first + ", " +
           std::to_string(m.width) + "] x";
  if (m.hasLengths)
    m.text += ", int32[batch] lengths";
  if (m.hasState)
    m.text += ", " + state + " h";
  if (m.hasCell)
    m.text += ", " + state + " c";
  m.text += ") => (float[n] y)\n<\n";
  std::vector<std::string> weights = {
      "  int64[1] all = {-1}", initializer(random, {m.directions, gates * m.hidden, m.width}, "w"),
      initializer(random, {m.directions, gates * m.hidden, m.hidden}, "r")};
  if (hasBias)
    weights.push_back(initializer(random, {m.directions, 2 * gates * m.hidden}, "b"));
  if (hasPeepholes)
    weights.push_back(initializer(random, {m.directions, 3 * m.hidden}, "p"));
  m.text += llvm::join(weights, ",\n") + "\n>\n{\n";
  std::string operands = std::string("x, w, r, ") + (hasBias ? "b" : "") + ", " +
                         (m.hasLengths ? "lengths" : "") + ", " + (m.hasState ? "h" : "");
  if (gates == 4)
    operands += std::string(", ") + (m.hasCell ? "c" : "") + ", " + (hasPeepholes ? "p" : "");
  std::string last = gates == 4 ? ", y_c" : "", lastFlat = gates == 4 ? ", f_c" : "";
  m.text += "  y_all, y_h" + last + " = " + type + " <" + attributes + "> (" + operands + ")\n" +
            "  f = Reshape (y_all, all)\n  f_h = Reshape (y_h, all)\n";
  if (gates == 4)
    m.text += "  f_c = Reshape (y_c, all)\n";
  m.text += "  y = Concat <axis = 0> (f, f_h" + lastFlat + ")\n}\n";
  return m;
}

void checkSeeds(unsigned from, unsigned to) {
  for (unsigned seed = from; seed < to; ++seed) {
    RecurrentModel m = randomModel(seed);
    TemporaryDirectory directory;
    std::string path = directory.file("recurrent.onnxtxt");
    std::ofstream(path) << m.text;
    CompileOptions options;
    options.levels = {"x86-64-v3"};
    options.threads = 1;
    CompiledModel model(path, options);
    ASSERT_TRUE(model.ok()) << "seed " << seed << "\n" << m.text;
    Random random(seed);
    Program program = model.open(random.integer(1, 3));
    for (auto [batch, steps] : {std::pair(1, 1), std::pair(3, 6), std::pair(1, 9), std::pair(2, 4)}) {
      Feed feed = m.feed(random, batch, steps);
      Tensor actual = runFirst(program, feed), expected = referenceFirst(path, feed);
      // Nine steps, each of which may enlarge the error of float32 a little.
      EXPECT_EQ(mismatch(actual, expected, 1e-3, 1e-4), "")
          << "seed " << seed << ", batch " << batch << ", " << steps << " steps\n" << m.text;
      if (testing::Test::HasFailure())
        return; // one model is enough to look at
    }
  }
}

// In parts, so that they run side by side.
TEST(Recurrent, Seeds0To14) { checkSeeds(0, 15); }
TEST(Recurrent, Seeds15To29) { checkSeeds(15, 30); }

} // namespace
