#include "test/e2e/RandomGraph.h"

#include "test/support/Random.h"

#include <cmath>
#include <cstdio>

using namespace sq;

namespace {

class Builder {
public:
  explicit Builder(unsigned seed) : random(seed) {}

  test::RandomGraph build() {
    width = random.integer(1, 40);
    test::RandomGraph graph;
    graph.inputWidth = width;
    for (int64_t blocks = random.integer(1, 10); blocks > 0; --blocks)
      addBlock();
    std::string type = "float[batch, sequence, ";
    graph.text = "<ir_version: 8, opset_import: [\"\" : 17]>\nrandom (" + type +
                 std::to_string(graph.inputWidth) + "] x) => (" + type + std::to_string(width) +
                 "] " + current + ")\n<" + initializers + ">\n{\n" + nodes + "}\n";
    return graph;
  }

private:
  /// Appends a node and makes its output the current value.
  std::string node(const std::string &op, const std::string &operands,
                   const std::string &attributes = "") {
    std::string result = "v" + std::to_string(count++);
    nodes += "  " + result + " = " + op + (attributes.empty() ? " " : " <" + attributes + "> ") +
             "(" + operands + ")\n";
    return result;
  }

  std::string initializer(const std::string &type, const std::string &values) {
    std::string name = "c" + std::to_string(count++);
    initializers += (initializers.empty() ? "" : ",\n ") + type + " " + name + " = {" + values + "}";
    return name;
  }

  /// Normally distributed around `mean`.
  std::string weights(const std::string &dims, int64_t size, double deviation, double mean = 0) {
    std::string values;
    for (int64_t i = 0; i < size; ++i) {
      char value[32];
      std::snprintf(value, sizeof value, "%.9g", float(mean + deviation * random.real()));
      values += (i ? ", " : "") + std::string(value);
    }
    return initializer("float[" + dims + "]", values);
  }
  std::string vector(double deviation, double mean = 0) {
    return weights(std::to_string(width), width, deviation, mean);
  }
  std::string scalar(double value) { return initializer("float", std::to_string(value)); }
  std::string shape(const std::string &values, int64_t rank) {
    return initializer("int64[" + std::to_string(rank) + "]", values);
  }

  std::string linear(const std::string &x, int64_t from, int64_t to) {
    std::string dims = std::to_string(from) + ", " + std::to_string(to);
    // Scaled so that values keep their size through the layers.
    return node("MatMul", x + ", " + weights(dims, from * to, 1 / std::sqrt(double(from))));
  }

  /// softmax(a b^T / sqrt(k)) c on [.., sequence, k] operands whose last two
  /// dims `swap` exchanges.
  std::string attention(const std::string &a, const std::string &b, const std::string &c,
                        const std::string &swap, int64_t k) {
    std::string scores = node("MatMul", a + ", " + node("Transpose", b, "perm = " + swap));
    scores = node("Div", scores + ", " + scalar(std::sqrt(double(k))));
    return node("MatMul", node("Softmax", scores, "axis = -1") + ", " + c);
  }

  std::string multiHeadAttention() {
    int64_t heads = random.integer(1, 3), size = random.integer(1, 9), inner = heads * size;
    std::string split = shape("0, 0, " + std::to_string(heads) + ", " + std::to_string(size), 4);
    std::string parts[3];
    for (std::string &part : parts)
      part = node("Transpose", node("Reshape", linear(current, width, inner) + ", " + split),
                  "perm = [0, 2, 1, 3]");
    std::string mixed = attention(parts[0], parts[1], parts[2], "[0, 1, 3, 2]", size);
    mixed = node("Reshape", node("Transpose", mixed, "perm = [0, 2, 1, 3]") + ", " +
                                shape("0, 0, " + std::to_string(inner), 3));
    return linear(mixed, inner, width);
  }

  std::string gelu(const std::string &x) {
    std::string erf = node("Erf", node("Div", x + ", " + scalar(1.41421354)));
    std::string product = node("Mul", x + ", " + node("Add", erf + ", " + scalar(1)));
    return node("Mul", product + ", " + scalar(0.5));
  }

  void addBlock() {
    switch (random.integer(0, 11)) {
    case 0:
    case 1: { // a linear layer, twice as likely
      int64_t to = random.integer(1, 70);
      current = linear(current, width, to);
      width = to;
      if (random.integer(0, 3))
        current = node("Add", random.integer(0, 1) ? current + ", " + vector(0.3)
                                                   : vector(0.3) + ", " + current);
      if (random.integer(0, 1))
        current = gelu(current);
      break;
    }
    case 2: {
      static const char *const names[] = {"Relu", "Tanh", "Sigmoid", "Neg", "Abs"};
      current = node(names[random.integer(0, 4)], current);
      break;
    }
    case 3:
      current = gelu(current);
      break;
    case 4:
      current = node("Softmax", current, "axis = -1");
      break;
    case 5:
      current = node("LayerNormalization", current + ", " + vector(0.2, 1) + ", " + vector(0.2),
                     "axis = -1, epsilon = 0.001");
      break;
    case 6:
      current = node("Add", current + ", " + multiHeadAttention());
      break;
    case 7:
      current = attention(current, current, current, "[0, 2, 1]", width);
      break;
    case 8: { // there and back in another layout
      std::string swapped = node("Transpose", current, "perm = [2, 1, 0]");
      current = node("Transpose", node("Mul", swapped + ", " + scalar(0.75)), "perm = [2, 1, 0]");
      break;
    }
    case 9: { // rows as one dim
      std::string flat = node("Reshape", current + ", " + shape("-1, " + std::to_string(width), 2));
      flat = node("Add", flat + ", " + vector(0.5));
      // 0 copies a dim of `flat`, so the way back takes the input's shape.
      std::string dims = node("Concat",
                              node("Slice", node("Shape", current) + ", " + shape("0", 1) + ", " +
                                                shape("2", 1)) +
                                  ", " + shape(std::to_string(width), 1),
                              "axis = 0");
      current = node("Reshape", flat + ", " + dims);
      break;
    }
    case 10: { // a half and the whole, side by side
      int64_t to = random.integer(1, width);
      std::string part = node("Slice", current + ", " + shape("0", 1) + ", " +
                                           shape(std::to_string(to), 1) + ", " + shape("2", 1));
      current = node("Concat", part + ", " + current, "axis = -1");
      width += to;
      break;
    }
    default: { // centered
      std::string mean = node("ReduceMean", current, "axes = [-1], keepdims = 1");
      current = node("Sub", current + ", " + mean);
      break;
    }
    }
  }

  test::Random random;
  std::string nodes, initializers, current = "x";
  int64_t width = 0, count = 0;
};

} // namespace

test::RandomGraph test::randomGraph(unsigned seed) { return Builder(seed).build(); }
