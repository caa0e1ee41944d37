"""Writes a model of bench/llama_shape.py as GGUF in F16, for llama.cpp.

    bench/llama_gguf.py MODEL.onnx OUT.gguf

The same numbers, rounded to 16 bits. llama.cpp pairs neighbours in its rotary embedding where the ONNX model pairs halves, so rows of
q_proj and k_proj change places within each head. The format is read by llama.cpp alone, and its parts that are needed here are few: it is
written as https://github.com/ggml-org/ggml/blob/master/docs/gguf.md defines version 3. One weight at a time is in memory.
"""

import os
import re
import struct
import sys

import numpy as np
import onnx

U32, F32, STRING = 4, 6, 8  # types of metadata
TYPE_F32, TYPE_F16 = 0, 1  # of tensors
ALIGNMENT = 32
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
         "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
OUTER = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def metadata(key, value):
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    return text(key) + (struct.pack("<If", F32, value) if isinstance(value, float) else struct.pack("<II", U32, value))


def name_of(onnx_name):
    layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", onnx_name)
    return "blk.%s.%s.weight" % (layer.group(1), NAMES[layer.group(2)]) if layer else OUTER.get(onnx_name)


def values(tensor, folder, size):
    """As llama.cpp stores them: [outputs, inputs], norms as they are."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return onnx.numpy_helper.to_array(tensor)
    place = {entry.key: entry.value for entry in tensor.external_data}
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    array = np.memmap(os.path.join(folder, place["location"]), kind, "r", int(place["offset"]), tuple(tensor.dims))
    if tensor.name == "model.embed_tokens.weight":
        return array
    array = array.T
    if ".q_proj." in tensor.name or ".k_proj." in tensor.name:
        array = array.reshape(-1, 2, size // 2, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
    return array


def main():
    source, target = sys.argv[1:]
    model = onnx.load(source, load_external_data=False).graph
    tensors = [t for t in model.initializer if name_of(t.name)]
    shapes = {t.name: list(t.dims) for t in tensors}
    words, hidden = shapes["model.embed_tokens.weight"]
    cache = [d.dim_value for d in model.input[2].type.tensor_type.shape.dim]  # batch, heads, past, size
    kv_heads, size = cache[1], cache[3]
    entries = {
        "general.architecture": "llama", "llama.block_count": sum(".q_proj." in name for name in shapes), "llama.context_length": 2048,
        "llama.embedding_length": hidden, "llama.feed_forward_length": shapes["model.layers.0.mlp.gate_proj.weight"][1],
        "llama.attention.head_count": hidden // size, "llama.attention.head_count_kv": kv_heads, "llama.rope.dimension_count": size,
        "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.freq_base": 10000.0, "llama.vocab_size": words,
        "tokenizer.ggml.model": "no_vocab", "general.file_type": 1}
    with open(target, "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)))
        for key, value in entries.items():
            out.write(metadata(key, value))
        offset = 0
        for t in tensors:
            dims = t.dims if len(t.dims) == 1 or t.name.endswith("embed_tokens.weight") else list(t.dims)[::-1]
            kind, width = (TYPE_F32, 4) if len(dims) == 1 else (TYPE_F16, 2)
            out.write(text(name_of(t.name)) + struct.pack("<I", len(dims)))
            out.write(struct.pack("<%dQ" % len(dims), *reversed(dims)))  # the one that lies together first
            out.write(struct.pack("<IQ", kind, offset))
            offset += -(-width * int(np.prod(dims)) // ALIGNMENT) * ALIGNMENT
        for t in tensors:
            out.write(b"\0" * (-out.tell() % ALIGNMENT))
            array = values(t, os.path.dirname(source), size)
            np.ascontiguousarray(array, np.float32 if array.ndim == 1 else np.float16).tofile(out)
        out.write(b"\0" * (-out.tell() % ALIGNMENT))


if __name__ == "__main__":
    main()
