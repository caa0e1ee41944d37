"""Writes the models in Inputs/ that ONNX's text syntax cannot say. Needs the onnx package:

    python3 make_inputs.py        (in this folder; the result is committed)
"""

import onnx
from onnx import AttributeProto, TensorProto, helper


def model(nodes, inputs, outputs, initializers=(), sparse=(), opset=17, name="g"):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    graph.sparse_initializer.extend(sparse)
    return helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)], producer_name="test"
    )


def value(name, dims=(4,), dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, list(dims))


def save(name, content):
    if not isinstance(content, bytes):
        content = content.SerializeToString(deterministic=True)
    with open("Inputs/" + name, "wb") as f:
        f.write(content)


relu = model([helper.make_node("Relu", ["x"], ["y"], name="r")], [value("x")], [value("y")])
save("relu.onnx", relu)
save("truncated.onnx", relu.SerializeToString(deterministic=True)[:-20])
save("empty.onnx", b"")
save("not-protobuf.onnx", b"This is a letter, not a model.\n")
save("no-graph.onnx", b"\x08\x08")
save("no-ir-version.onnx", relu.SerializeToString(deterministic=True)[2:])

# Names that attack the printer, a terminal or C strings.
evil = 'a"\\\n\x00\x1b[31m%s'
w = helper.make_tensor(evil + "w", TensorProto.FLOAT, [300], [1.0] + [0.0] * 299)
save(
    "hostile-names.onnx",
    model(
        [helper.make_node("Add", [evil, evil + "w"], [evil + "y"], name=evil)],
        [value(evil, [300])],
        [value(evil + "y", [300])],
        [w],
        name=evil,
    ),
)
save(
    "hostile-names-bad.onnx",
    model([helper.make_node("Relu", [evil], ["y"], name=evil * 50)], [value("x")], [value("y")]),
)

raw = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 3], raw_data=b"\0" * 23)
add = [helper.make_node("Relu", ["w"], ["y"])]
save("raw-size.onnx", model(add, [], [value("y", [2, 3])], [raw]))
huge = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40, 1 << 40], raw_data=b"")
save("huge-shape.onnx", model(add, [], [value("y", [1, 1])], [huge]))
negative = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-2, -3], raw_data=b"\0" * 24)
save("negative-dim.onnx", model(add, [], [value("y", [2, 3])], [negative]))
both = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], raw_data=b"\0" * 4)
both.float_data.append(1)
save("two-fields.onnx", model(add, [], [value("y", [1])], [both]))
boolean = TensorProto(name="w", data_type=TensorProto.BOOL, dims=[2], raw_data=b"\1\7")
save("bool-bytes.onnx", model(add, [], [value("y", [2])], [boolean]))
dtype = TensorProto(name="w", data_type=99, dims=[2], raw_data=b"\1\7")
save("unknown-dtype.onnx", model(add, [], [value("y", [2])], [dtype]))

# Raw data of every width, small (copied) and large (referenced).
tensors = [
    TensorProto(name="i4", data_type=TensorProto.INT4, dims=[3], raw_data=b"\xf1\x07"),
    TensorProto(name="u4", data_type=TensorProto.UINT4, dims=[3], raw_data=b"\xf1\x07"),
    TensorProto(name="f4", data_type=TensorProto.FLOAT4E2M1, dims=[2], raw_data=b"\x42"),
    TensorProto(name="f8", data_type=TensorProto.FLOAT8E4M3FN, dims=[2], raw_data=b"\x38\xb8"),
    TensorProto(name="bf", data_type=TensorProto.BFLOAT16, dims=[2], raw_data=b"\x80\x3f\x00\x40"),
    TensorProto(name="b", data_type=TensorProto.BOOL, dims=[3], raw_data=b"\1\0\1"),
    TensorProto(name="e", data_type=TensorProto.INT64, dims=[0, 3], raw_data=b""),
    TensorProto(name="big", data_type=TensorProto.UINT8, dims=[1025], raw_data=b"\7" * 1025),
]
save("raw-data.onnx", model(add[:0], [], [helper.make_empty_tensor_value_info(t.name) for t in tensors], tensors, opset=23))

values = helper.make_tensor("s", TensorProto.FLOAT, [2], [5.0, 6.0])
linear = helper.make_tensor("", TensorProto.INT64, [2], [1, 5])
pairs = helper.make_tensor("", TensorProto.INT64, [2, 2], [0, 1, 1, 2])
sparse = helper.make_sparse_tensor(values, linear, [2, 3])
coordinates = helper.make_sparse_tensor(values, pairs, [2, 3])
save(
    "sparse.onnx",
    model(
        [
            helper.make_node("Constant", [], ["c"], name="k", sparse_value=coordinates),
            helper.make_node("Add", ["s", "c"], ["y"]),
        ],
        [],
        [value("y", [2, 3])],
        sparse=[sparse],
    ),
)
outside = helper.make_sparse_tensor(
    values, helper.make_tensor("", TensorProto.INT64, [2], [1, 6]), [2, 3]
)
save(
    "sparse-index.onnx",
    model([helper.make_node("Relu", ["s"], ["y"])], [], [value("y", [2, 3])], sparse=[outside]),
)

mixed = helper.make_node("Relu", ["x"], ["y"], name="r")
mixed.attribute.append(AttributeProto(name="a", type=AttributeProto.INT, i=1))
mixed.attribute[0].g.CopyFrom(relu.graph)
save("attribute-mismatch.onnx", model([mixed], [value("x")], [value("y")]))


def nested(depth):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["v0"])], "g0", [], [value("v0")]
    )
    for level in range(1, depth):
        node = helper.make_node("Wrap", [], [f"v{level}"], domain="d", body=graph)
        graph = helper.make_graph([node], f"g{level}", [], [value(f"v{level}")])
    graph.input.append(value("x"))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    return helper.make_model(graph, ir_version=8, opset_imports=imports)


def message(field, content):
    """A length-delimited protobuf field: Python's own limit stops deeper messages."""
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + content


save("nested-16.onnx", nested(16))
save("nested-17.onnx", nested(17))
deep = b""
for _ in range(300):  # graph > node > attribute > graph
    deep = message(1, message(5, message(6, deep)))
save("nested-300.onnx", b"\x08\x08" + message(7, deep) + message(8, b"\x10\x11"))
