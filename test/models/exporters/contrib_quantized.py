"""As contrib.py: quantised and fused operators. Run after it by make.sh."""

import ml_dtypes
import numpy as np
from onnx import TensorProto

from contrib import case, ints

random = np.random.default_rng(12)
B, S, D = 2, 5, 8


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def scalar(value, dtype=np.float32):
    return np.array(value, dtype)


def of(dtype, *shape):
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max + 1, shape).astype(dtype)


def main():
    u8, i8 = TensorProto.UINT8, TensorProto.INT8
    for dtype, onnx_type, zero in ((np.uint8, u8, 120), (np.int8, i8, -3)):
        name = dtype.__name__
        x = lambda *shape: [of(dtype, *shape), scalar(0.02), scalar(zero, dtype)]
        to = [scalar(0.03), scalar(zero + 1, dtype)]
        case(f"qlinear_add_{name}", "QLinearAdd", x(B, S, D) + x(D) + to, types=[onnx_type])
        case(f"qlinear_mul_{name}", "QLinearMul", x(B, S, D) + x(B, S, D) + to, types=[onnx_type])
        case(f"qlinear_sigmoid_{name}", "QLinearSigmoid", x(B, S) + [scalar(1 / 256), scalar(0 if zero > 0 else -128, dtype)],
             constants=(1, 2, 3, 4), types=[onnx_type])
        case(f"qlinear_leaky_relu_{name}", "QLinearLeakyRelu", x(B, S) + to, constants=(1, 2, 3, 4), types=[onnx_type], alpha=0.3)
        case(f"qlinear_global_average_pool_{name}", "QLinearGlobalAveragePool", x(1, 3, 4, 5) + to, types=[onnx_type])
        case(f"qlinear_concat_{name}", "QLinearConcat", to + x(B, S) + x(B, 3), constants=(0, 1, 3, 4, 6, 7), types=[onnx_type], axis=1)
        case(f"qlinear_softmax_{name}", "QLinearSoftmax", x(B, S) + [scalar(1 / 256), scalar(0 if zero > 0 else -128, dtype)],
             constants=(1, 2, 3, 4), types=[onnx_type], axis=-1, opset=13)
    case("qlinear_where", "QLinearWhere",
         [random.integers(0, 2, (B, S)).astype(bool), of(np.uint8, B, S), scalar(0.02), scalar(7, np.uint8),
          of(np.uint8, B, S), scalar(0.03), scalar(9, np.uint8), scalar(0.04), scalar(8, np.uint8)],
         constants=(2, 3, 5, 6, 7, 8), types=[u8])
    case("matmul_integer_to_float", "MatMulIntegerToFloat",
         [of(np.uint8, B, S, D), of(np.int8, D, 6), scalar(0.1), np.abs(floats(6)), scalar(3, np.uint8),
          of(np.int8, 6), floats(6)])
    case("dynamic_quantize_matmul", "DynamicQuantizeMatMul",
         [floats(B, S, D), of(np.int8, D, 6), scalar(0.1), scalar(4, np.int8), floats(6)], constants=(1, 2, 3, 4))
    case("qgemm", "QGemm",
         [of(np.uint8, S, D), scalar(0.1), scalar(3, np.uint8), of(np.uint8, 6, D), scalar(0.05),
          scalar(4, np.uint8), random.integers(-900, 900, 6).astype(np.int32), scalar(1.5), scalar(100, np.uint8)],
         types=[u8], transB=1)
    case("qgemm_float", "QGemm",
         [of(np.uint8, S, D), scalar(0.1), scalar(3, np.uint8), of(np.uint8, D, 6), scalar(0.05), scalar(4, np.uint8)])
    case("qattention", "QAttention",
         [of(np.uint8, B, S, D), of(np.int8, D, 3 * D), floats(3 * D), scalar(0.01), scalar(0.01),
          ints([1] * S, [1, 1, 1, 0, 0]), scalar(128, np.uint8), scalar(0, np.int8)],
         constants=(1, 2, 3, 4, 6, 7), num_heads=2)
    for zero in (None, 4, np.float32):
        for bits in (4, 8):
            if bits == 8 and zero == np.float32:
                continue
            blocks, n = 4, 7
            zeros = None if zero is None else floats(n * blocks) * 3 if zero == np.float32 else of(
                np.uint8, n * (blocks // 2 if bits == 4 else blocks))
            name = f"matmul_{bits}bits" + ("" if zero is None else "_float_zeros" if zero == np.float32 else "_zeros")
            operands = [floats(B, S, 50), of(np.uint8, n, blocks, 16 * bits // 8), floats(n * blocks), zeros]
            case(name, "MatMulNBits", operands, constants=(1, 2) + (() if zeros is None else (3,)), K=50, N=n, bits=bits,
                 block_size=16)
            if zero == 4:
                case(name + "_at_run_time", "MatMulNBits", operands, K=50, N=n, bits=bits, block_size=16)

    case("matmul_4bits_float16", "MatMulNBits",
         [floats(B, S, 50).astype(np.float16), of(np.uint8, 7, 4, 8), (0.1 * floats(28)).astype(np.float16)],
         constants=(1, 2), types=[TensorProto.FLOAT16], K=50, N=7, bits=4, block_size=16)

    x, w = floats(1, 4, 6, 6), floats(4, 4, 3, 3)
    for activation, parameters in (("Relu", {}), ("LeakyRelu", {"activation_params": [0.3]}),
                                   ("Clip", {"activation_params": [-0.5, 0.7]}),
                                   ("HardSigmoid", {"activation_params": [0.3, 0.4]})):
        case("fused_conv_" + activation.lower(), "FusedConv", [x, w, floats(4)], constants=(1, 2), pads=[1, 1, 1, 1],
             activation=activation, **parameters)
    case("fused_conv_sum", "FusedConv", [x, w, floats(4), floats(1, 4, 6, 6)], constants=(1, 2), pads=[1, 1, 1, 1],
         activation="Relu")
    case("fused_gemm", "FusedGemm", [floats(S, D), floats(6, D), floats(6)], constants=(1, 2), transB=1, alpha=0.5,
         activation="LeakyRelu", activation_alpha=0.3)
    for dtype in (ml_dtypes.int4, ml_dtypes.uint4):
        low, high = int(ml_dtypes.iinfo(dtype).min), int(ml_dtypes.iinfo(dtype).max)
        small = lambda *shape: random.integers(low, high + 1, shape).astype(dtype)
        operands = [small(7, 32), np.array([[1, 6, 0], [2, 2, -1]], np.int64), np.abs(floats(7, 2)), small(7, 2)]
        name = f"gather_block_quantized_{np.dtype(dtype).name}"
        case(name, "GatherBlockQuantized", operands, constants=(0, 2, 3), gather_axis=0, quantize_axis=1, block_size=16)
        case(name + "_symmetric", "GatherBlockQuantized", operands[:3], constants=(0, 2), gather_axis=0, quantize_axis=1,
             block_size=16)
    case("cdist", "CDist", [floats(S, D), floats(3, D)], metric="euclidean")
    case("cdist_squares", "CDist", [floats(S, D), floats(3, D)], metric="sqeuclidean")
    case("expand_dims", "ExpandDims", [floats(S, D), scalar(-1, np.int32)], constants=(1,))
    case("trilu", "Trilu", [floats(S, D), scalar(1, np.int64)], constants=(1,), upper=0)
    case("quantize_linear_int16", "QuantizeLinear", [floats(S, D), scalar(0.01), scalar(5, np.int16)],
         types=[TensorProto.INT16])
    case("dequantize_linear_axis", "DequantizeLinear", [of(np.uint16, S, D), np.abs(floats(D)), of(np.uint16, D)], axis=1)


def blocks():
    """Blocks of numbers whose scale a column chooses, or that lie in bytes."""
    random = np.random.default_rng(13)
    bytes_of = lambda *shape: random.integers(0, 256, shape).astype(np.uint8)
    floats = lambda *shape: random.standard_normal(shape).astype(np.float32)
    n, k, size = 7, 64, 16
    order = random.permutation(np.repeat(np.arange(k // size), size)).astype(np.int32)
    # (Beside g_idx onnxruntime 1.31 takes all zero points for 8: test/e2e/QuantizedImportTest.cpp has those.)
    operands = [floats(2, 5, k), bytes_of(n, k // size, size // 2), floats(n * k // size), None, order]
    case("matmul_4bits_g_idx", "MatMulNBits", operands, constants=(1, 2, 4), K=k, N=n, bits=4, block_size=size)
    case("matmul_4bits_g_idx_at_run_time", "MatMulNBits", operands, constants=(4,), K=k, N=n, bits=4, block_size=size)
    for bits in (2, 4, 8):
        per = 8 // bits
        operands = [bytes_of(7, 48 // per), np.array([[1, 6, 0], [2, 2, 1]], np.int64), np.abs(floats(7, 3)),
                    bytes_of(7, -(-3 // per))]
        for suffix, some in (("", operands), ("_symmetric", operands[:3])):
            case(f"gather_block_quantized_packed_{bits}bits{suffix}", "GatherBlockQuantized", some,
                 constants=(0, 2, 3)[:len(some) - 1], gather_axis=0, quantize_axis=1, block_size=16, bits=bits)


if __name__ == "__main__":
    main()
    blocks()
