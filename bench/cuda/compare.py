#!/usr/bin/env python3
"""sq against PyTorch on one GPU: MiniLM's shape, and single products.

    bench/cuda/compare.py --minilm minilm.so [--products DIR] [--json OUT]

Runs with what a machine with a GPU has (CUDA, PyTorch); of sq it needs only
artifacts, compiled elsewhere:

    sq-compile minilm/model_opset17.onnx --target=cuda:sm_90 --precision=f16 -o minilm.so

PyTorch runs the same architecture with random weights, whose values do not
matter for time: eagerly, with torch.compile, and with torch.compile in CUDA
graphs (mode "max-autotune"). All take inputs and leave results on the device;
engines work in turn, and the ratio is of medians. sq is called through its C
API, with CUDA graphs, on PyTorch's stream.
"""

import argparse
import ctypes
import datetime
import json
import os
import statistics
import sys

import torch



class DLDevice(ctypes.Structure):
    _fields_ = [("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32)]


class DLDataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", DLDevice),
        ("ndim", ctypes.c_int32),
        ("dtype", DLDataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class SessionOptions(ctypes.Structure):
    """sq_session_options of include/sq/runtime.h."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("threads", ctypes.c_int),
        ("output_device", ctypes.c_int),
        ("cuda_graphs", ctypes.c_int),
    ]


DTYPES = {torch.int64: (0, 64), torch.float32: (2, 32), torch.float16: (2, 16)}


class Model:
    """An artifact through its own C API, with device tensors in place."""

    def __init__(self, path, graphs=8):
        self.library = ctypes.CDLL(os.path.abspath(path))
        self.library.sq_last_error.restype = ctypes.c_char_p
        self.module, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("sq_module_load", os.path.abspath(path).encode(), None, ctypes.byref(self.module))
        options = SessionOptions(ctypes.sizeof(SessionOptions), 0, 2, graphs)
        self.call("sq_session_create", self.module, ctypes.byref(options), ctypes.byref(self.session))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream or 1)
        self.call("sq_session_set_stream", self.session, stream)
        self.outputs = self.library.sq_module_num_outputs(self.module)

    def call(self, name, *args):
        if getattr(self.library, name)(*args):
            raise RuntimeError(f"{name}: {self.library.sq_last_error().decode()}")

    def prepare(self, tensors):
        """A function that queues a run with these inputs."""
        inputs = (DLTensor * len(tensors))()
        shapes = []
        for slot, tensor in zip(inputs, tensors):
            shapes.append((ctypes.c_int64 * tensor.dim())(*tensor.shape))
            code, bits = DTYPES[tensor.dtype]
            slot.data, slot.device = tensor.data_ptr(), DLDevice(2, tensor.device.index or 0)
            slot.ndim, slot.dtype, slot.shape = tensor.dim(), DLDataType(code, bits, 1), shapes[-1]
        outputs = (DLTensor * self.outputs)()

        def run():
            for slot in outputs:
                slot.data = None
            self.call("sq_session_run", self.session, inputs, len(tensors), outputs, self.outputs)

        run.keep = (tensors, shapes)
        return run

    def synchronize(self):
        self.call("sq_session_synchronize", self.session)


class Encoder(torch.nn.Module):
    """BERT as MiniLM-L6 is: 6 layers, 384 wide, 12 heads."""

    def __init__(self, layers=6, width=384, heads=12, inner=1536, words=30522, places=512):
        super().__init__()
        self.word = torch.nn.Embedding(words, width)
        self.place = torch.nn.Embedding(places, width)
        self.kind = torch.nn.Embedding(2, width)
        self.norm = torch.nn.LayerNorm(width, eps=1e-12)
        self.heads = heads
        self.layers = torch.nn.ModuleList()
        for _ in range(layers):
            self.layers.append(
                torch.nn.ModuleDict(
                    {
                        "qkv": torch.nn.Linear(width, 3 * width),
                        "out": torch.nn.Linear(width, width),
                        "norm1": torch.nn.LayerNorm(width, eps=1e-12),
                        "up": torch.nn.Linear(width, inner),
                        "down": torch.nn.Linear(inner, width),
                        "norm2": torch.nn.LayerNorm(width, eps=1e-12),
                    }
                )
            )

    def forward(self, ids, mask, kinds):
        batch, length = ids.shape
        x = self.word(ids) + self.place(torch.arange(length, device=ids.device)) + self.kind(kinds)
        x = self.norm(x)
        seen = mask[:, None, None, :].bool()
        for layer in self.layers:
            q, k, v = layer["qkv"](x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            a = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
            x = layer["norm1"](x + layer["out"](a.transpose(1, 2).reshape(batch, length, -1)))
            x = layer["norm2"](x + layer["down"](torch.nn.functional.gelu(layer["up"](x))))
        return x


def time_in_turn(runs, rounds=15, each=20):
    """Median microseconds of each of `runs` (name -> function), in turn."""
    times = {name: [] for name in runs}
    for run in runs.values():
        for _ in range(10):
            run()
    torch.cuda.synchronize()
    for _ in range(rounds):
        for name, run in runs.items():
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            for _ in range(each):
                run()
            end.record()
            torch.cuda.synchronize()
            times[name].append(begin.elapsed_time(end) * 1e3 / each)
    return {name: statistics.median(values) for name, values in times.items()}


def minilm(path, shapes):
    model = Model(path)
    eager = Encoder().cuda().half().eval()
    compiled = torch.compile(eager, dynamic=False)
    graphs = torch.compile(eager, dynamic=False, mode="max-autotune")
    for batch, length in shapes:
        ids = torch.randint(0, 30522, (batch, length), device="cuda")
        mask, kinds = torch.ones_like(ids), torch.zeros_like(ids)
        with torch.inference_mode():
            result = time_in_turn(
                {
                    "sq": model.prepare([ids, mask, kinds]),
                    "eager": lambda: eager(ids, mask, kinds),
                    "torch.compile": lambda: compiled(ids, mask, kinds),
                    "torch.compile, graphs": lambda: graphs(ids, mask, kinds),
                }
            )
        model.synchronize()
        yield {"what": f"minilm {batch}x{length}", **result}


def products(folder):
    """Artifacts named K_N.so with one input [m, K] and one product with a weight [K, N]."""
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".so"):
            continue
        k, n = (int(v) for v in name[:-3].split("_"))
        model = Model(os.path.join(folder, name))
        weight = torch.randn(k, n, device="cuda").half()
        for m in (1, 8, 128, 4096):
            x = torch.randn(m, k, device="cuda")
            half = x.half()
            result = time_in_turn({"sq": model.prepare([x]), "cublas": lambda: half @ weight})
            model.synchronize()
            yield {"what": f"{m}x{n}x{k}", **result, "sq_tflops": 2e-6 * m * n * k / result["sq"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", help="artifact of MiniLM")
    parser.add_argument("--products", help="folder of artifacts K_N.so")
    parser.add_argument("--json", help="also write the results there")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("compare.py: PyTorch finds no CUDA device")
    device = torch.cuda.get_device_properties(0)
    print(f"{datetime.date.today()}: {device.name}, CUDA {torch.version.cuda}, PyTorch {torch.__version__}")
    rows = []
    for results in (
        minilm(args.minilm, [(1, 16), (1, 128), (32, 128)]) if args.minilm else [],
        products(args.products) if args.products else [],
    ):
        for row in results:
            rows.append(row)
            best = min(v for key, v in row.items() if key not in ("what", "sq", "sq_tflops"))
            cells = ", ".join(f"{key} {v:.1f}" for key, v in row.items() if key != "what")
            print(f"{row['what']}: {cells} (us); best peer / sq {best / row['sq']:.2f}", flush=True)
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"device": device.name, "date": str(datetime.date.today()), "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
