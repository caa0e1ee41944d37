"""One engine in a process of its own: reads requests (a JSON object a line) on
stdin, answers each with one line. compare.py starts two of these and lets them
work in turn, so that neither's idle threads disturb the other.

    engines.py sq|onnxruntime FILE THREADS
    {"batch": 1, "sequence": 128, "seconds": 1.0} -> {"times": [...], "output": "file.npy"}
"""

import ctypes
import json
import sys
import tempfile
import time

import numpy as np


def inputs(batch, sequence):
    """What a tokenizer gives for full rows: equal for every engine and run."""
    rng = np.random.default_rng(1)
    ids = rng.integers(1000, 30000, (batch, sequence), dtype=np.int64)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


class OnnxRuntime:
    def __init__(self, path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.name = "onnxruntime " + onnxruntime.__version__

    def prepare(self, feeds):
        return lambda: self.session.run(None, feeds)[0]


class DLDataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("dtype", DLDataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class TensorInfo(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", DLDataType),
        ("rank", ctypes.c_int32),
        ("dims", ctypes.c_void_p),
    ]


class SessionOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("threads", ctypes.c_int)]


DL_CPU = 1
DL_INT, DL_FLOAT = 0, 2


class Sq:
    """The C API of include/sq/runtime.h, which an artifact carries itself."""

    def __init__(self, path, threads):
        self.api = ctypes.CDLL(path)
        self.api.sq_last_error.restype = ctypes.c_char_p
        self.api.sq_runtime_version.restype = ctypes.c_char_p
        self.api.sq_module_cpu_level.restype = ctypes.c_char_p
        self.api.sq_module_input.restype = ctypes.POINTER(TensorInfo)
        self.module, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("sq_module_load", path.encode(), None, ctypes.byref(self.module))
        options = SessionOptions(ctypes.sizeof(SessionOptions), threads)
        self.call(
            "sq_session_create", self.module, ctypes.byref(options), ctypes.byref(self.session)
        )
        self.order = [
            self.api.sq_module_input(self.module, i).contents.name.decode()
            for i in range(self.api.sq_module_num_inputs(self.module))
        ]
        level = self.api.sq_module_cpu_level(self.module).decode()
        self.name = "sq %s (%s)" % (self.api.sq_runtime_version().decode(), level)

    def call(self, function, *arguments):
        if getattr(self.api, function)(*arguments) != 0:
            sys.exit("%s: %s" % (function, self.api.sq_last_error().decode()))

    def prepare(self, feeds):
        tensors = (DLTensor * len(self.order))()
        keep = []
        for tensor, name in zip(tensors, self.order):
            array = np.ascontiguousarray(feeds[name])
            shape = (ctypes.c_int64 * array.ndim)(*array.shape)
            keep += [array, shape]
            tensor.data, tensor.device_type, tensor.ndim = array.ctypes.data, DL_CPU, array.ndim
            tensor.dtype = DLDataType(DL_INT, 64, 1)
            tensor.shape = ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64))

        def run():
            keep  # the arrays live as long as the closure
            output = DLTensor()  # data NULL: the session's own memory
            self.call("sq_session_run", self.session, tensors, len(tensors), ctypes.byref(output), 1)
            if (output.dtype.code, output.dtype.bits) != (DL_FLOAT, 32):
                sys.exit("sq: the output is not float32")
            shape = tuple(output.shape[i] for i in range(output.ndim))
            floats = ctypes.cast(output.data, ctypes.POINTER(ctypes.c_float))
            return np.ctypeslib.as_array(floats, shape)

        return run


def main():
    kind, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    engine = {"sq": Sq, "onnxruntime": OnnxRuntime}[kind](path, threads)
    print(json.dumps({"name": engine.name}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        run = engine.prepare(inputs(request["batch"], request["sequence"]))
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
        print(json.dumps({"times": times, "output": file.name}), flush=True)


main()
