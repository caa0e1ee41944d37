"""Single operators of onnxruntime (domain com.microsoft) with random inputs and
onnxruntime's own outputs, in the layout of the ONNX node tests (../contrib).

Run by make.sh.
"""

import os
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "contrib")
B, S, P, N, KV, H = 3, 5, 6, 2, 1, 16  # all different, as dims become symbols by their size
D = N * H
random = np.random.default_rng(11)


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def ints(*rows):
    return np.array(rows, np.int32)


def case(name, op, inputs, outputs=1, constants=(), types=None, **attributes):
    """`inputs`: arrays, or None where one is left out; `constants`: which of them are weights."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], domain="com.microsoft", **attributes)
    given = [(n, x) for i, (n, x) in enumerate(zip(names, inputs)) if x is not None and i not in constants]
    # Dims that inputs share are symbols, as exporters have them.
    symbols = {B: "batch", S: "sequence", P: "past"}

    def info(n, x):
        shape = [symbols.get(d, d) if i in (0, 1, 2) and d in symbols else d for i, d in enumerate(x.shape)]
        return helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), shape)

    graph = helper.make_graph(
        [node], name, [info(n, x) for n, x in given],
        [helper.make_tensor_value_info(o, t, None)
         for o, t in zip(node.output, types or [TensorProto.FLOAT] * outputs)],
        [numpy_helper.from_array(inputs[i], names[i]) for i in constants])
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    model = helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results = session.run(None, dict(given))
    folder = os.path.join(FOLDER, name)
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for kind, arrays in (("input", [x for _, x in given]), ("output", results)):
        for i, array in enumerate(arrays):
            tensor = numpy_helper.from_array(np.asarray(array))
            with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as file:
                file.write(tensor.SerializeToString())
    print(name, [r.shape for r in results])


def angles(rows, pairs):
    a = np.outer(np.arange(rows), 1.0 / 100 ** (np.arange(pairs) / pairs)).astype(np.float32)
    return np.cos(a), np.sin(a)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    padding = ints([1] * S, [1] * 3 + [0] * 2, [1] * 4 + [0])
    w, b = floats(D, 3 * D) * 0.2, floats(3 * D) * 0.1

    attention = lambda name, *rest, **more: case(
        name, "Attention", [floats(B, S, D), w, b, *rest], constants=(1, 2), num_heads=N, **more)
    attention("attention")
    attention("attention_mask", padding)
    attention("attention_lengths", np.array([S, 3, 2], np.int32))
    attention("attention_mask_per_query", np.tril(np.ones((B, S, S), np.int32)))
    attention("attention_unidirectional", padding, unidirectional=1, mask_filter_value=-50.0)
    attention("attention_bias", None, None, floats(B, N, S, S), scale=0.5)
    attention("attention_past", None, floats(2, B, N, P, H), outputs=2, unidirectional=1)
    case("attention_sizes", "Attention", [floats(B, S, D), floats(D, 2 * D + 16) * 0.2, floats(2 * D + 16)],
         constants=(1, 2), num_heads=N, qkv_hidden_sizes=[D, D, 16])

    mha = lambda name, *rest, **more: case(
        name, "MultiHeadAttention", [floats(B, S, D), floats(B, S, D), floats(B, S, D), *rest], num_heads=N, **more)
    mha("multi_head_attention")
    mha("multi_head_attention_bias", floats(3 * D), padding)
    mha("multi_head_attention_bias_of_scores", None, None, floats(1, N, S, S))
    mha("multi_head_attention_unidirectional", unidirectional=1)
    mha("multi_head_attention_past", None, None, None, floats(B, N, P, H), floats(B, N, P, H), outputs=3)
    case("multi_head_attention_cross", "MultiHeadAttention", [floats(B, S, D), floats(B, N, 6, H), floats(B, N, 6, H)],
         num_heads=N)

    cos, sin = angles(16, H // 2)
    lengths = lambda n: np.full((B,), n - 1, np.int32)
    gqa = lambda name, q, k, v, past, total, *rest, **more: case(
        name, "GroupQueryAttention",
        [q, k, v, *(past or (None, None)), lengths(total), np.array(total, np.int32), *rest],
        outputs=3, num_heads=N, kv_num_heads=KV, **more)
    q, k, v = floats(B, S, D), floats(B, S, KV * H), floats(B, S, KV * H)
    past = floats(B, KV, P, H), floats(B, KV, P, H)
    empty = floats(B, KV, 0, H), floats(B, KV, 0, H)
    gqa("group_query_attention", q, k, v, empty, S)
    gqa("group_query_attention_rotary", q, k, v, empty, S, cos, sin, do_rotary=1)
    gqa("group_query_attention_interleaved", q, k, v, empty, S, cos, sin, do_rotary=1, rotary_interleaved=1)
    gqa("group_query_attention_packed", np.concatenate([q, k, v], 2), None, None, empty, S, cos, sin, do_rotary=1)
    gqa("group_query_attention_past", q[:, :1], k[:, :1], v[:, :1], past, P + 1, cos, sin, do_rotary=1, scale=0.25)
    gqa("group_query_attention_softcap", q, k, v, empty, S, softcap=2.0)

    positions = np.tile(np.arange(S, dtype=np.int64), (B, 1)) + np.array([[0], [4], [2]])
    case("rotary_embedding", "RotaryEmbedding", [floats(B, S, D), positions, cos, sin])
    case("rotary_embedding_offset", "RotaryEmbedding", [floats(B, N, S, H), np.array([2], np.int64), cos, sin], interleaved=1)
    half_cos, half_sin = angles(16, H // 4)
    case("rotary_embedding_part", "RotaryEmbedding", [floats(B, S, D), positions, half_cos, half_sin],
         num_heads=N, rotary_embedding_dim=H // 2)

    x, skip, gamma, beta = floats(B, S, D), floats(B, S, D), floats(D), floats(D)
    case("skip_layer_normalization", "SkipLayerNormalization", [x, skip, gamma, beta, floats(D)], constants=(2, 3, 4))
    case("skip_layer_normalization_sum", "SkipLayerNormalization", [x, skip[:1], gamma], constants=(2,), epsilon=0.1)
    case("skip_simplified_layer_normalization", "SkipSimplifiedLayerNormalization", [x, skip, gamma, floats(D)],
         constants=(2, 3), epsilon=0.1)
    case("embed_layer_normalization", "EmbedLayerNormalization",
         [ints([1, 2, 3, 4, 0], [5, 6, 0, 1, 2], [0] * 5), ints([0, 0, 1, 1, 1], [1, 0, 1, 0, 1], [1] * 5),
          floats(7, D), floats(9, D), floats(2, D), gamma, beta, padding], constants=(2, 3, 4, 5, 6),
         outputs=2, types=(TensorProto.FLOAT, TensorProto.INT32))
    case("bias_gelu", "BiasGelu", [x, floats(D)], constants=(1,))
    # (1 + tanh cancels at -3 and below, in onnxruntime as in sq.)
    case("fast_gelu", "FastGelu", [0.4 * x, 0.4 * floats(D)], constants=(1,))
    case("gelu", "Gelu", [x])
    case("quick_gelu", "QuickGelu", [x], alpha=1.5)
    case("fused_matmul", "FusedMatMul", [floats(B, S, D), floats(B, S, D)], transB=1, alpha=0.3)
    case("fused_matmul_weight", "FusedMatMul", [floats(B, S, D), floats(7, D)], constants=(1,), transB=1, alpha=2.0)


if __name__ == "__main__":
    main()
