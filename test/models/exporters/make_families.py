"""Writes test/models/families: each of families.py by both of torch's exporters.

    make_families.py [NAME ...]

Each folder has model.onnx and two data sets in the layout of the ONNX node
tests, the first of the shape that was traced. Outputs are those of the torch
model in float64. onnxruntime must agree with them.
"""

import os
import shutil
import sys
import traceback
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch.overrides import TorchFunctionMode

import families
from make import session_options, strip

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "families")
EXPORTERS = {"torchscript": "eager", "dynamo": "sdpa"}
MAX_BYTES = 200_000


class InDouble(TorchFunctionMode):
    """Models of transformers cast to float32 here and there; in float64 they must not."""

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        double = lambda x: torch.float64 if x is torch.float32 else x
        if function is torch.Tensor.float:
            return arguments[0].double()
        keywords = {k: double(v) for k, v in (keywords or {}).items()}
        return function(*(double(a) for a in arguments), **keywords)


def randomise(model):
    """Weights of which each matters: as they begin, norms do nothing and biases are 0."""
    generator = torch.Generator().manual_seed(5)
    noise = lambda t: torch.randn(t.shape, generator=generator)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() < 2:
                parameter += 0.2 * noise(parameter)
            elif "parametrizations.weight.original0" in name:  # the norm of a weight
                parameter.fill_(2.0)
            else:
                parameter.copy_(noise(parameter) / parameter[0].numel() ** 0.5)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.3 * noise(buffer))
            elif name.endswith("running_var"):
                buffer.copy_(1 + 0.5 * torch.rand(buffer.shape, generator=generator))


def in_double(model, inputs):
    tensors = [torch.from_numpy(x) for x in inputs.values()]
    with torch.no_grad(), InDouble():
        results = model.double()(*(t.double() if t.is_floating_point() else t for t in tensors))
    return [r.numpy().astype(np.float32) for r in (results if isinstance(results, tuple) else [results])]


def export(family, model, inputs, path, exporter):
    arguments = tuple(torch.from_numpy(x) for x in inputs.values())
    names = dict(input_names=list(inputs), output_names=list(family.outputs))
    if exporter == "dynamo":
        shapes = tuple(i.dynamic() for i in family.inputs.values())
        # Wrapped and WithPast take their inputs as *arguments.
        star = not isinstance(model, families.squeezeformer.Squeezeformer)
        if isinstance(model, families.WithPast):
            shapes = (*shapes[:3], shapes[3:])
        elif star:
            shapes = (shapes,)
        torch.onnx.export(model, arguments, path, dynamo=True, dynamic_shapes=shapes, external_data=False,
                          verbose=False, **names)
    else:
        axes = {name: i.dynamic() for name, i in family.inputs.items()}
        for name, dims in family.outputs.items():
            axes[name] = dims if isinstance(dims, dict) else dict(enumerate(dims))
        torch.onnx.export(model, arguments, path, dynamo=False, opset_version=17, dynamic_axes=axes, **names)
    strip(path)


def write(folder, index, inputs, outputs):
    folder = os.path.join(folder, f"test_data_set_{index}")
    os.makedirs(folder)
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for i, (name, array) in enumerate(arrays.items()):
            with open(os.path.join(folder, f"{kind}_{i}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(np.ascontiguousarray(array), name).SerializeToString())


def make(name, exporter):
    family = families.FAMILIES[name]
    torch.manual_seed(3)
    model = family.build(family.attention.get(exporter, EXPORTERS[exporter])).eval()
    randomise(model)
    generator = np.random.default_rng(7)
    feeds = [{k: i.draw(sizes, generator) for k, i in family.inputs.items()} for sizes in family.shapes]
    folder = os.path.join(ROOT, f"{name}-{exporter}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    path = os.path.join(folder, "model.onnx")
    try:
        with torch.no_grad():
            export(family, model, feeds[0], path, exporter)
        size = os.path.getsize(path)
        assert size < MAX_BYTES, f"{size} bytes"
        session = onnxruntime.InferenceSession(
            path, session_options(onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL),
            providers=["CPUExecutionProvider"])
        taken = [i.name for i in session.get_inputs()]  # an exporter drops what is not used
        differences = []
        for index, feed in enumerate(feeds):
            expected = in_double(model, feed)
            got = session.run(None, {k: feed[k] for k in taken})
            differences += [float(np.abs(g - e).max()) if g.shape == e.shape else f"{g.shape} for {e.shape}"
                            for g, e in zip(got, expected)]
            write(folder, index, {k: feed[k] for k in taken}, dict(zip(family.outputs, expected)))
        assert all(isinstance(d, float) and d < 5e-5 for d in differences), differences
        largest = max(float(np.abs(e).max()) for e in expected)
        print(f"{name}-{exporter}: {size} bytes, differs by {max(differences):.1e} of {largest:.2g}", flush=True)
    except Exception:
        shutil.rmtree(folder)
        raise


def main():
    warnings.filterwarnings("ignore")
    failed = []
    for name in sys.argv[1:] or families.FAMILIES:
        for exporter in EXPORTERS:
            if exporter in families.FAMILIES[name].impossible:
                continue
            try:
                make(name, exporter)
            except Exception as error:
                failed.append(f"{name}-{exporter}")
                print(f"{name}-{exporter}: FAILED: {type(error).__name__}: {str(error)[:1500]}", flush=True)
                if os.environ.get("TRACEBACK"):
                    traceback.print_exc()
    if failed:
        sys.exit("failed: " + " ".join(failed))


if __name__ == "__main__":
    main()
