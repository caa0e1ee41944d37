"""Writes a LLaMA shape with random weights as ONNX with past_key_values and present, its weights beside it.

    bench/llama_shape.py MODEL.onnx [--layers=22] [--hidden=2048] ... [--storage=f32|f16]

Sizes are those of TinyLlama (1.1 B parameters): 22 layers, 2048 wide, 5632 inside, 32 heads over 4 of keys and values, 32000 words,
rotary embedding in halves, RMS norm, SwiGLU, an LM head of its own. Weights are Gaussian, 1 / sqrt(K) for K inputs, so that a layer's
output is as large as its input; those that add to the residual stream are smaller by sqrt(2 layers), so that it does not grow with
depth. The head is larger, so that probabilities are not flat. MODEL.onnx.data has one weight after the other, [inputs, outputs] as
exporters write MatMul; f32 (4.4 GB) is mapped by sq-compile and never copied, f16 is half of it, but is widened by a Cast in
the graph. One weight at a time is in memory.
"""

import argparse
import os

import numpy as np
import onnx
from onnx import TensorProto, helper

PAGE = 4096  # weights begin where pages do, as exporters have it, so that they can be mapped


class Graph:
    def __init__(self, path, storage):
        self.nodes, self.initializers, self.storage = [], [], np.dtype({"f32": np.float32, "f16": np.float16}[storage])
        self.location, self.data = os.path.basename(path) + ".data", open(path + ".data", "wb")
        self.rng = np.random.default_rng(1)

    def constant(self, name, values):
        self.initializers.append(onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, name, shape, scale):
        """Writes values in parts, as memory is for other things."""
        offset = -(-self.data.tell() // PAGE) * PAGE
        self.data.seek(offset)
        for begin in range(0, shape[0], 1024):
            rows = min(1024, shape[0] - begin)
            values = self.rng.standard_normal((rows, *shape[1:]), dtype=np.float32) * np.float32(scale)
            values.astype(self.storage).tofile(self.data)
        tensor = onnx.TensorProto(name=name, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(self.storage)
        for key, value in ("location", self.location), ("offset", offset), ("length", self.data.tell() - offset):
            tensor.external_data.add(key=key, value=str(value))
        self.initializers.append(tensor)
        return name if self.storage == np.float32 else self.add("Cast", name + "/f32", name, to=TensorProto.FLOAT)

    def add(self, op, name, *inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def linear(self, name, x, inputs, outputs, scale=1.0):
        return self.add("MatMul", name, x, self.weight(name + ".weight", (inputs, outputs), scale / inputs**0.5))

    def norm(self, name, x, hidden):
        squares = self.add("ReduceMean", name + "/mean", self.add("Pow", name + "/squares", x, "two"), axes=[-1], keepdims=1)
        root = self.add("Sqrt", name + "/root", self.add("Add", name + "/epsilon", squares, "epsilon"))
        scale = self.constant(name + ".weight", np.ones(hidden, np.float32))
        return self.add("Mul", name, self.add("Div", name + "/normal", x, root), scale)


def prologue(g, size):
    """Constants, the angles of positions and the causal mask over the past."""
    integers = lambda name, values: g.constant(name, np.asarray(values, np.int64))
    scalar = lambda name, value: g.constant(name, np.float32(value))
    scalar("two", 2), scalar("epsilon", 1e-5), scalar("root", size**0.5), scalar("shown", 0), scalar("hidden", -1e9)
    for name, values in (("0", 0), ("1", 1), ("[0]", [0]), ("[1]", [1]), ("[2]", [2]), ("[-1]", [-1])):
        integers(name, values)
    integers("half", [size // 2]), integers("end", [size])
    frequencies = g.constant("frequencies", (10000.0 ** (-np.arange(0, size, 2) / size)).astype(np.float32))
    positions = g.add("Cast", "positions", g.add("Unsqueeze", "positions/column", "position_ids", "[2]"), to=TensorProto.FLOAT)
    angles = g.add("Mul", "angles", positions, frequencies)
    for function in "Cos", "Sin":
        g.add("Unsqueeze", function.lower(), g.add(function, function, angles), "[1]")
    g.add("Gather", "past", g.add("Shape", "past/shape", "past_key_values.0.key"), integers("axis", 2))
    g.add("Gather", "new", g.add("Shape", "new/shape", "input_ids"), "1")
    keys = g.add("Range", "keys", "0", g.add("Add", "total", "past", "new"), "1")
    queries = g.add("Add", "queries", g.add("Range", "queries/new", "0", "new", "1"), "past")
    seen = g.add("LessOrEqual", "seen", g.add("Unsqueeze", "keys/row", keys, "[0]"), g.add("Unsqueeze", "queries/column", queries, "[1]"))
    g.add("Where", "mask", seen, "shown", "hidden")


def rotate(g, name, x):
    """x is [batch, heads, sequence, size]; element i is paired with i + size / 2."""
    low, high = g.add("Slice", name + "/low", x, "[0]", "half", "[-1]"), g.add("Slice", name + "/high", x, "half", "end", "[-1]")
    times = lambda part, angle: g.add("Mul", part + "/" + angle, part, angle)
    first = g.add("Sub", name + "/first", times(low, "cos"), times(high, "sin"))
    second = g.add("Add", name + "/second", times(high, "cos"), times(low, "sin"))
    return g.add("Concat", name + "/rotated", first, second, axis=-1)


def layer(g, i, x, sizes):
    p, small = "model.layers.%d." % i, (2 * sizes.layers) ** -0.5
    size, shared = sizes.hidden // sizes.heads, sizes.heads // sizes.kv_heads
    y = g.norm(p + "input_layernorm", x, sizes.hidden)

    def heads(name, count):
        product = g.linear(p + "self_attn." + name, y, sizes.hidden, count * size)
        split = g.constant(p + name + "/sizes", np.asarray([0, 0, count, size], np.int64))
        return g.add("Transpose", p + name + "/heads", g.add("Reshape", p + name + "/split", product, split), perm=[0, 2, 1, 3])

    def remembered(name, new):
        """Keys or values with their past, each for `shared` heads of queries."""
        all = g.add("Concat", "present.%d.%s" % (i, name), "past_key_values.%d.%s" % (i, name), new, axis=2)
        repeats = g.constant(p + name + "/repeats", np.asarray([1, 1, shared, 1, 1], np.int64))
        wide = g.add("Expand", p + name + "/expanded", g.add("Unsqueeze", p + name + "/wide", all, "[2]"), repeats)
        join = g.constant(p + name + "/join", np.asarray([0, sizes.heads, -1, size], np.int64))
        return g.add("Reshape", p + name + "/repeated", wide, join)

    q = rotate(g, p + "q", heads("q_proj", sizes.heads))
    k = remembered("key", rotate(g, p + "k", heads("k_proj", sizes.kv_heads)))
    v = remembered("value", heads("v_proj", sizes.kv_heads))
    scores = g.add("MatMul", p + "scores", q, g.add("Transpose", p + "key/columns", k, perm=[0, 1, 3, 2]))
    scores = g.add("Add", p + "masked", g.add("Div", p + "scaled", scores, "root"), "mask")
    y = g.add("MatMul", p + "context", g.add("Softmax", p + "softmax", scores, axis=-1), v)
    y = g.add("Reshape", p + "joined", g.add("Transpose", p + "back", y, perm=[0, 2, 1, 3]), "flat")
    x = g.add("Add", p + "residual", x, g.linear(p + "self_attn.o_proj", y, sizes.hidden, sizes.hidden, small))
    y = g.norm(p + "post_attention_layernorm", x, sizes.hidden)
    gate = g.linear(p + "mlp.gate_proj", y, sizes.hidden, sizes.inner)
    gate = g.add("Mul", p + "silu", gate, g.add("Sigmoid", p + "sigmoid", gate))
    y = g.add("Mul", p + "gated", gate, g.linear(p + "mlp.up_proj", y, sizes.hidden, sizes.inner))
    return g.add("Add", p + "residual2", x, g.linear(p + "mlp.down_proj", y, sizes.inner, sizes.hidden, small))


def main():
    parser = argparse.ArgumentParser(description="Writes a LLaMA shape with random weights as ONNX.")
    parser.add_argument("path")
    for name, value in dict(layers=22, hidden=2048, inner=5632, heads=32, kv_heads=4, words=32000).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--storage", choices=["f32", "f16"], default="f32")
    sizes = parser.parse_args()
    size = sizes.hidden // sizes.heads
    if sizes.hidden % sizes.heads or sizes.heads % sizes.kv_heads or size % 2:
        parser.error("heads must divide hidden into even sizes, and kv-heads must divide heads")
    g = Graph(sizes.path, sizes.storage)
    prologue(g, size)
    g.constant("flat", np.asarray([0, 0, sizes.hidden], np.int64))
    x = g.add("Gather", "embedded", g.weight("model.embed_tokens.weight", (sizes.words, sizes.hidden), 1.0), "input_ids")
    for i in range(sizes.layers):
        x = layer(g, i, x, sizes)
    # The name of a product is that of its result.
    head = g.weight("lm_head.weight", (sizes.hidden, sizes.words), 2 / sizes.hidden**0.5)
    g.add("MatMul", "logits", g.norm("model.norm", x, sizes.hidden), head)
    float_value = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
    ids = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "sequence"]) for n in ("input_ids", "position_ids")]
    kept = [(i, kind) for i in range(sizes.layers) for kind in ("key", "value")]
    cache = lambda past, length: [float_value("%s.%d.%s" % (past, i, kind), ["batch", sizes.kv_heads, length, size]) for i, kind in kept]
    outputs = [float_value("logits", ["batch", "sequence", sizes.words])] + cache("present", "total_sequence")
    graph = helper.make_graph(g.nodes, "llama", ids + cache("past_key_values", "past_sequence"), outputs, g.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, sizes.path)


if __name__ == "__main__":
    main()
