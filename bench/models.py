"""Models with random weights, as an exporter would write them.

    models.py bert FILE              BERT-base: 12 layers, 768 wide, 12 heads
    models.py linear FILE N K COUNT  COUNT products of [rows, K] with [K, N]
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS, HIDDEN, HEADS, INNER, VOCABULARY, POSITIONS = 12, 768, 12, 3072, 30522, 512


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []
        self.rng = np.random.default_rng(1)

    def weight(self, name, *shape, scale=0.02):
        values = self.rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
        return self.constant(name, values)

    def constant(self, name, values):
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, op, name, *inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def linear(self, name, x, outputs, inputs):
        product = self.add("MatMul", name + "/MatMul", x, self.weight(name + ".w", inputs, outputs))
        return self.add("Add", name + "/Add", self.weight(name + ".b", outputs), product)

    def norm(self, name, x):
        scale = self.constant(name + ".scale", np.ones(HIDDEN, np.float32))
        bias = self.constant(name + ".bias", np.zeros(HIDDEN, np.float32))
        return self.add("LayerNormalization", name, x, scale, bias, axis=-1, epsilon=1e-12)

    def save(self, path, inputs, outputs):
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, path)


def bert(path):
    g = Graph()
    scalar = lambda name, value: g.constant(name, np.float32(value))
    integers = lambda name, values: g.constant(name, np.asarray(values, np.int64))
    length = g.add("Gather", "length", g.add("Shape", "shape", "input_ids"), integers("one", [1]))
    positions = g.add("Slice", "positions", g.weight("position.w", POSITIONS, HIDDEN),
                      integers("zero", [0]), length, integers("axis", [0]))
    words = g.add("Gather", "words", g.weight("word.w", VOCABULARY, HIDDEN), "input_ids")
    types = g.add("Gather", "types", g.weight("type.w", 2, HIDDEN), "token_type_ids")
    x = g.norm("norm", g.add("Add", "sum2", g.add("Add", "sum", words, types), positions))
    mask = g.add("Unsqueeze", "mask2", "attention_mask", integers("axes", [1, 2]))
    mask = g.add("Cast", "mask3", mask, to=TensorProto.FLOAT)
    mask = g.add("Sub", "mask4", scalar("unmasked", 1), mask)
    mask = g.add("Mul", "mask5", mask, scalar("masked", np.finfo(np.float32).min))
    split = integers("split", [0, 0, HEADS, HIDDEN // HEADS])
    join = integers("join", [0, 0, HIDDEN])
    root, two = scalar("root", (HIDDEN // HEADS) ** 0.5), scalar("root2", 2**0.5)
    half, unit = scalar("half", 0.5), scalar("unit", 1)
    for i in range(LAYERS):
        p = "layer%d/" % i

        def heads(name, order):
            y = g.add("Reshape", p + name + "/split", g.linear(p + name, x, HIDDEN, HIDDEN), split)
            return g.add("Transpose", p + name + "/heads", y, perm=order)

        q, k, v = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
        scores = g.add("Div", p + "scaled", g.add("MatMul", p + "scores", q, k), root)
        scores = g.add("Softmax", p + "softmax", g.add("Add", p + "masked", scores, mask), axis=-1)
        y = g.add("Transpose", p + "back", g.add("MatMul", p + "context", scores, v), perm=[0, 2, 1, 3])
        y = g.linear(p + "output", g.add("Reshape", p + "join", y, join), HIDDEN, HIDDEN)
        x = g.norm(p + "norm1", g.add("Add", p + "residual1", y, x))
        y = g.linear(p + "up", x, INNER, HIDDEN)
        erf = g.add("Add", p + "erf1", g.add("Erf", p + "erf", g.add("Div", p + "erf0", y, two)), unit)
        y = g.add("Mul", p + "gelu", g.add("Mul", p + "gelu0", y, erf), half)
        x = g.norm(p + "norm2", g.add("Add", p + "residual2", g.linear(p + "down", y, HIDDEN, INNER), x))
    g.add("Identity", "last_hidden_state", x)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    g.save(
        path,
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"]) for n in names],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", HIDDEN])],
    )


def linear(path, n, k, count):
    g = Graph()
    products = [g.add("MatMul", "y%d" % i, "x", g.weight("w%d" % i, k, n)) for i in range(count)]
    # Of each only the largest of a row is kept, so that they have one memory in turn, as in the layers of a model.
    largest = [g.add("ReduceMax", "m%d" % i, product, axes=[1]) for i, product in enumerate(products)]
    y = g.add("Concat", "y", *largest, axis=1)
    g.save(
        path,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", k])],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, ["rows", count])],
    )


if __name__ == "__main__":
    kind, path, *sizes = sys.argv[1:]
    {"bert": bert, "linear": linear}[kind](path, *map(int, sizes))
