"""One engine in a process of its own: reads requests (a JSON object a line) on
stdin, answers each with one line. compare.py starts several of these and lets
them work in turn, so that no idle threads disturb another.

    engines.py sq|sq-bf16|onnxruntime|openvino|openvino-static|openvino-bf16|openvino-bf16-static FILE THREADS
    {"batch": 1, "sequence": 128, "vocabulary": 1000, "seconds": 1.0}
        -> {"times": [...], "output": "file.npy", "peak_mib": 123.4}
"""

import json
import re
import sys
import tempfile
import time

import numpy as np

import sq_runtime


def inputs(names, batch, sequence, vocabulary):
    """What a tokenizer gives for full rows: equal for every engine and run."""
    rng = np.random.default_rng(1)
    ids = rng.integers(1, vocabulary, (batch, sequence), dtype=np.int64)
    return {n: np.ones_like(ids) if "mask" in n else np.zeros_like(ids) if "type" in n else ids for n in names}


class OnnxRuntime:
    def __init__(self, path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.name = "onnxruntime " + onnxruntime.__version__

    def prepare(self, feeds):
        return lambda: self.session.run(None, feeds)[0]


class OpenVino:
    """The shapes as the model has them; `static`: reshaped and compiled for
    each shape that is asked for, which a program with varying lengths cannot
    do, but which is the engine's best."""

    def __init__(self, path, threads, static=False, precision="f32"):
        import openvino

        self.core, self.path, self.static = openvino.Core(), path, static
        self.config = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        }
        model = self.core.read_model(path)
        self.inputs = [i.any_name for i in model.inputs]
        self.compiled = None if static else self.core.compile_model(model, "CPU", self.config)
        self.name = "OpenVINO " + openvino.__version__.split("-")[0]

    def prepare(self, feeds):
        compiled = self.compiled
        if self.static:
            model = self.core.read_model(self.path)
            model.reshape({name: array.shape for name, array in feeds.items()})
            compiled = self.core.compile_model(model, "CPU", self.config)
        request = compiled.create_infer_request()
        return lambda: request.infer(feeds, share_inputs=True, share_outputs=True)[0]


ENGINES = {
    "sq": sq_runtime.Sq,
    "sq-bf16": sq_runtime.Sq,  # of an artifact compiled so
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "openvino-static": lambda path, threads: OpenVino(path, threads, static=True),
    "openvino-bf16": lambda path, threads: OpenVino(path, threads, precision="bf16"),
    "openvino-bf16-static": lambda path, threads: OpenVino(path, threads, static=True, precision="bf16"),
}


def peak_mib():
    with open("/proc/self/status") as f:
        return int(re.search(r"^VmHWM:\s*(\d+)", f.read(), re.M).group(1)) / 1024


def main():
    kind, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    start = time.perf_counter()
    engine = ENGINES[kind](path, threads)
    print(json.dumps({"name": engine.name, "load_seconds": time.perf_counter() - start}), flush=True)
    prepared = {}
    for line in sys.stdin:
        request = json.loads(line)
        shape = (request["batch"], request["sequence"], request["vocabulary"])
        if shape not in prepared:
            prepared[shape] = engine.prepare(inputs(engine.inputs, *shape))
        run = prepared[shape]
        for _ in range(3):  # wakes the threads, fills the caches and arenas
            output = run()
        times = []
        until = time.perf_counter() + request["seconds"]
        while len(times) < 5 or time.perf_counter() < until:
            start = time.perf_counter()
            output = run()
            times.append(time.perf_counter() - start)
        with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as file:
            np.save(file, output)
        print(json.dumps({"times": times, "output": file.name, "peak_mib": peak_mib()}), flush=True)


if __name__ == "__main__":
    main()
