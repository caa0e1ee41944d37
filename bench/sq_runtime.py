"""The C API of include/sq/runtime.h from Python."""

import ctypes
import sys

import numpy as np


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


class Sampling(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("temperature", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("top_p", ctypes.c_double),
        ("seed", ctypes.c_uint64),
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
        self.inputs = [
            self.api.sq_module_input(self.module, i).contents.name.decode()
            for i in range(self.api.sq_module_num_inputs(self.module))
        ]
        level = self.api.sq_module_cpu_level(self.module).decode()
        self.name = "sq %s (%s)" % (self.api.sq_runtime_version().decode(), level)

    def call(self, function, *arguments):
        if getattr(self.api, function)(*arguments) != 0:
            sys.exit("%s: %s" % (function, self.api.sq_last_error().decode()))

    def prepare(self, feeds):
        tensors = (DLTensor * len(self.inputs))()
        keep = []
        for tensor, name in zip(tensors, self.inputs):
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


class LanguageModel:
    """One sequence of an artifact compiled with --kv-cache=state, continued greedily."""

    def __init__(self, path, threads, capacity=1024):
        self.sq = Sq(path, threads)
        self.greedy = Sampling(ctypes.sizeof(Sampling))
        self.state, self.token, self.logits = ctypes.c_void_p(), ctypes.c_int64(), DLTensor()
        self.sq.call(
            "sq_lm_state_create", self.sq.module, ctypes.c_int64(1), ctypes.c_int64(capacity), ctypes.byref(self.state)
        )

    def reset(self):
        self.sq.call("sq_lm_state_truncate", self.state, ctypes.c_int64(-1), ctypes.c_int64(0))

    def append(self, ids):
        """The token of the largest logit behind `ids`."""
        array = (ctypes.c_int64 * len(ids))(*ids)
        self.logits.data = None
        self.sq.call(
            "sq_lm_append", self.sq.session, self.state, array, ctypes.c_int64(len(ids)), None, 0, ctypes.byref(self.logits)
        )
        floats = ctypes.cast(self.logits.data, ctypes.POINTER(ctypes.c_float))
        classes, zero = ctypes.c_int64(self.logits.shape[2]), ctypes.c_uint64(0)
        self.sq.call(
            "sq_lm_sample", self.sq.session, floats, classes, ctypes.byref(self.greedy), zero, zero, ctypes.byref(self.token)
        )
        return self.token.value
