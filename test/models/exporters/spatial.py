"""Operators on images, volumes and signals with dynamic dims and random inputs, in the
layout of the ONNX node tests (../spatial), whose own cases are static.

The outputs are onnxruntime's, or those of onnx's reference evaluator where
onnxruntime lacks the operator or departs from its text. Run by make.sh.
"""

import os
import shutil

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "spatial")
random = np.random.default_rng(23)


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def scales(*values):
    return np.array(values, np.float32)


def case(name, op, inputs, opset, constants=(), dynamic=(0,), by_onnx=False, **attributes):
    """`inputs`: arrays, or None where one is left out; `constants`: which of them are weights;
    `dynamic`: which dims of the others are symbols."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    node = helper.make_node(op, names, ["y"], **attributes)
    given = [(n, x) for i, (n, x) in enumerate(zip(names, inputs)) if x is not None and i not in constants]

    def info(n, x):
        shape = [f"{n}_{d}" if d in dynamic else size for d, size in enumerate(x.shape)]
        return helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), shape)

    graph = helper.make_graph(
        [node], name, [info(n, x) for n, x in given], [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(inputs[i], names[i]) for i in constants])
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", opset)])
    if by_onnx:
        result = ReferenceEvaluator(model).run(None, dict(given))[0]
    else:
        typed = onnx.shape_inference.infer_shapes(model).SerializeToString()
        session = onnxruntime.InferenceSession(typed, providers=["CPUExecutionProvider"])
        result = session.run(None, dict(given))[0]
    output = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(result.dtype), None)
    output.type.tensor_type.ClearField("shape")
    graph.output[0].CopyFrom(output)
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", opset)])
    folder = os.path.join(FOLDER, name)
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for kind, arrays in (("input", [x for _, x in given]), ("output", [result])):
        for i, array in enumerate(arrays):
            with open(os.path.join(data, f"{kind}_{i}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(np.asarray(array)).SerializeToString())
    print(name, result.shape)


def resize():
    x = floats(2, 3, 5, 7)
    space = dict(axes=[2, 3], by_onnx=True)

    def scaled(name, h, w, dynamic=(0, 2, 3), **more):
        case("resize_" + name, "Resize", [x, None, scales(h, w)], 19, (2,), dynamic, **space, **more)

    def sized(name, h, w, **more):
        case("resize_" + name, "Resize", [x, None, None, ints(h, w)], 19, (3,), (0, 2, 3), **space, **more)

    for mode in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        sized("nearest_" + mode, 9, 4, nearest_mode=mode)
    for mode in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"):
        scaled("linear_" + mode, 1.7, 0.6, mode="linear", coordinate_transformation_mode=mode)
    scaled("cubic", 2, 0.7, mode="cubic")
    scaled("cubic_exclude_outside", 1.3, 2, mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5)
    scaled("linear_antialias", 0.5, 0.3, mode="linear", antialias=1)
    scaled("cubic_antialias", 0.4, 1.5, mode="cubic", antialias=1, exclude_outside=1)
    sized("not_larger", 8, 8, mode="linear", keep_aspect_ratio_policy="not_larger")
    sized("not_smaller", 8, 8, keep_aspect_ratio_policy="not_smaller")
    case("resize_crop", "Resize", [x, scales(-0.1, 0.2, 0.9, 1.2), None, ints(4, 6)], 19, (1, 3), (0, 2, 3), True,
         axes=[2, 3], mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=0.5)
    case("resize_four_dims", "Resize", [floats(2, 3, 4, 3), None, scales(1.5, 2, 0.5, 3)], 13, (2,), (0, 2), True,
         mode="linear")
    case("resize_f64", "Resize", [x.astype(np.float64), None, None, ints(2, 3, 10, 3)], 13, (3,), (1,), True, mode="cubic")
    case("resize_opset10", "Resize", [x, scales(1, 1, 0.6, 1.7)], 10, (1,), (2, 3))
    case("resize_opset10_linear", "Resize", [x, scales(1, 1, 0.6, 1.7)], 10, (1,), (2, 3), mode="linear")
    case("upsample_opset7", "Upsample", [x], 7, (), (2, 3), scales=[1.0, 1.0, 2.0, 3.0])
    case("upsample_linear", "Upsample", [x, scales(1, 1, 2, 3)], 9, (1,), (2, 3), mode="linear")


def sampling():
    x, volume = floats(2, 3, 5, 6), floats(2, 2, 4, 3, 5)
    grid = random.uniform(-1.6, 1.6, (2, 4, 3, 2)).astype(np.float32)
    grid3 = random.uniform(-1.6, 1.6, (2, 3, 2, 4, 3)).astype(np.float32)
    for mode in ("nearest", "linear", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            for corners in (0, 1):
                case(f"grid_sample_{mode}_{padding}_{corners}", "GridSample", [x, grid], 20, (), (0, 1, 2),
                     mode=mode, padding_mode=padding, align_corners=corners)
    case("grid_sample_volume", "GridSample", [volume, grid3], 20, (), (0, 1, 2), mode="linear", padding_mode="reflection")
    case("affine_grid", "AffineGrid", [floats(2, 2, 3), ints(2, 3, 5, 4)], 20, (1,))
    case("affine_grid_volume", "AffineGrid", [floats(2, 3, 4), ints(2, 3, 5, 4, 3)], 20, (1,), align_corners=1)
    corners = random.uniform(-2, 12, (5, 2, 2))
    rois = np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)
    image, batches = floats(2, 3, 9, 11), ints(0, 1, 1, 0, 1)
    shape = dict(output_height=3, output_width=2, spatial_scale=0.5)
    case("roi_align", "RoiAlign", [image, rois, batches], 16, (), (0, 2, 3), **shape)
    case("roi_align_opset10", "RoiAlign", [image, rois, batches], 10, (), (0, 2, 3), sampling_ratio=2, **shape)
    case("roi_align_max", "RoiAlign", [image, rois, batches], 16, (), (0, 2, 3), mode="max",
         coordinate_transformation_mode="output_half_pixel", **shape)
    offsets, masks = 1.5 * floats(2, 2 * 6 * 2, 4, 3), floats(2, 2 * 6, 4, 3)
    case("deform_conv", "DeformConv", [x[:, :2], floats(4, 1, 3, 2), offsets, floats(4), masks], 19, (1, 3), (0, 2, 3),
         group=2, offset_group=2, pads=[1, 0, 0, 1], strides=[1, 2])


def windows():
    x = floats(2, 3, 9, 8)
    shape = dict(kernel_shape=[3, 2], strides=[2, 3])
    for op in ("MaxPool", "AveragePool", "LpPool"):
        name = {"MaxPool": "max_pool", "AveragePool": "average_pool", "LpPool": "lp_pool"}[op]
        case(name + "_ceil", op, [x], 19, (), (0, 2, 3), ceil_mode=1, dilations=[2, 1], pads=[1, 0, 1, 1], **shape)
        case(name + "_same", op, [x], 19, (), (0, 2, 3), auto_pad="SAME_LOWER", kernel_shape=[3, 4], strides=[2, 3])
    case("lp_pool_cubes", "LpPool", [x], 19, (), (0, 2, 3), p=3, **shape)
    case("global_lp_pool", "GlobalLpPool", [x], 19, (), (0, 2, 3), p=3)
    case("col2im", "Col2Im", [floats(2, 18, 20), ints(6, 7), ints(2, 3)], 18, (1, 2), (0, 1), dilations=[2, 1])
    case("center_crop_pad", "CenterCropPad", [x, ints(4, 11)], 18, (1,), (1, 2, 3), True, axes=[-1, 1])
    case("reverse_sequence", "ReverseSequence", [floats(4, 5, 3), ints(1, 2, 3, 4, 4)], 19, (), (0, 1, 2))
    case("det", "Det", [floats(2, 3, 5, 5)], 11, (), (0, 1), True)
    case("cum_prod", "CumProd", [floats(3, 4, 5), ints(-2)[0]], 26, (1,), (0, 1, 2), True, exclusive=1, reverse=1)


def signals():
    x, z = floats(2, 9, 3, 1), floats(2, 9, 3, 2)
    case("dft", "DFT", [z], 17, (), (0, 1, 2), True)
    case("dft_inverse", "DFT", [z, ints(7)[0]], 17, (1,), (0, 1, 2), True, inverse=1)
    case("dft_onesided", "DFT", [x, ints(12)[0]], 17, (1,), (0, 1, 2), True, onesided=1)
    case("dft_half_spectrum", "DFT", [z, None, ints(-3)[0]], 20, (2,), (0, 1, 2), True, onesided=1, inverse=1)
    case("stft", "STFT", [floats(2, 100, 1), ints(7)[0], floats(16)], 17, (1,), (0, 1), True)
    case("stft_complex", "STFT", [floats(2, 50, 2), ints(7)[0], None, ints(15)[0]], 17, (1, 3), (0, 1), True, onesided=0)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    resize()
    sampling()
    windows()
    signals()


if __name__ == "__main__":
    main()
