"""Writes the models of this folder: what real exporters make of models.py.

Run by make.sh. Each family has inputs and the output of the torch model in
float64; every file was checked to give that output in onnxruntime.
"""

import copy
import os
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.transformers import optimizer

import models

FOLDER = os.path.dirname(os.path.abspath(__file__))
BATCH, SEQUENCE = {0: "batch", 1: "sequence"}, None


def inputs_of(family):
    generator = np.random.default_rng(7)
    ids = generator.integers(0, models.VOCABULARY, (2, 7))
    positions = np.tile(np.arange(7), (2, 1))
    if family == "encoder":
        mask = np.ones((2, 7), np.int64)
        mask[1, 5:] = 0
        types = (np.arange(7) >= 4).astype(np.int64) + np.zeros((2, 1), np.int64)
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    if family == "llama":
        positions[1] += 3
        return {"input_ids": ids, "position_ids": positions}
    return {"input_ids": ids}


def export(model, inputs, path, opset, dynamo):
    arguments = tuple(torch.from_numpy(x) for x in inputs.values())
    options = dict(input_names=list(inputs), output_names=["output"], opset_version=opset)
    if dynamo:
        # (The guards of a trace exclude 1; the graph it writes does not.)
        batch, sequence = torch.export.Dim("batch", min=2), torch.export.Dim("sequence", min=2, max=models.POSITIONS)
        shapes = tuple({0: batch, 1: sequence} for _ in inputs)
        torch.onnx.export(model, arguments, path, dynamo=True, dynamic_shapes=shapes,
                          external_data=False, optimize=True, verbose=False, **options)
    else:
        axes = {name: {0: "batch", 1: "sequence"} for name in [*inputs, "output"]}
        torch.onnx.export(model, arguments, path, dynamo=False, dynamic_axes=axes, **options)
    strip(path)


def strip(path):
    """Drops what names this machine: stack traces and the like."""
    model = onnx.load(path)
    del model.metadata_props[:]
    for graph in [model.graph, *model.functions]:
        del graph.metadata_props[:]
        if isinstance(graph, onnx.GraphProto):
            graph.doc_string = ""
            for value in [*graph.value_info, *graph.input, *graph.output, *graph.initializer]:
                del value.metadata_props[:]
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
    onnx.save(model, path)


def session_options(level, path=None):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    if path:
        options.optimized_model_filepath = path
    return options


def check(path, inputs, expected):
    off = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, session_options(off), providers=["CPUExecutionProvider"])
    got = session.run(None, inputs)
    for g, e in zip(got, expected):
        difference = float(np.abs(g - e).max())
        assert difference < 2e-5, (path, difference)
    ops = {}
    for node in onnx.load(path).graph.node:
        name = node.op_type if not node.domain else node.domain + "." + node.op_type
        ops[name] = ops.get(name, 0) + 1
    print(os.path.relpath(path, FOLDER), os.path.getsize(path), difference, ops)


def fused(source, target, model_type):
    """By onnxruntime's offline optimizer, or (no type) by a session with extended optimizations."""
    if model_type:
        model = optimizer.optimize_model(source, model_type=model_type, num_heads=models.HEADS,
                                         hidden_size=models.HIDDEN, opt_level=0)
        model.save_model_to_file(target)
    else:
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        onnxruntime.InferenceSession(source, session_options(level, target),
                                     providers=["CPUExecutionProvider"])
    strip(target)


def main():
    families = {
        "encoder": (models.Encoder, "bert"),
        "gpt2": (models.Gpt2, "gpt2"),
        "llama": (models.Llama, None),
    }
    for family, (make, model_type) in families.items():
        folder = os.path.join(FOLDER, family)
        os.makedirs(folder, exist_ok=True)
        torch.manual_seed(3)
        manual = make().eval()
        # Weights of 1 and biases of 0, as norms begin, would be folded by exporters.
        for name, parameter in manual.named_parameters():
            if "norm" in name or "ln_" in name:
                parameter.data += 0.2 * torch.randn(parameter.shape)
        sdpa = make(sdpa=True).eval()
        sdpa.load_state_dict(manual.state_dict())
        inputs = inputs_of(family)
        with torch.no_grad():
            exact = copy.deepcopy(manual).double()(*(torch.from_numpy(x) for x in inputs.values()))
        expected = exact.numpy().astype(np.float32)
        for name, array in [*inputs.items(), ("output", expected)]:
            np.save(os.path.join(folder, name + ".npy"), array)
        at = lambda name: os.path.join(folder, name + ".onnx")
        export(manual, inputs, at("torchscript14"), 14, dynamo=False)
        export(sdpa, inputs, at("torchscript17-sdpa"), 17, dynamo=False)
        export(manual, inputs, at("dynamo18"), 18, dynamo=True)
        export(sdpa, inputs, at("dynamo20-sdpa"), 20, dynamo=True)
        fused(at("torchscript14"), at("ort"), model_type)
        if model_type:
            fused(at("dynamo18"), at("ort-session"), None)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".onnx"):
                check(os.path.join(folder, name), inputs, [expected])


if __name__ == "__main__":
    sys.exit(main())
