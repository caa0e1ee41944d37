"""What sq exports as QONNX, in qonnx's own executor.

    qonnx_check.py --tools=build/bin [--folder=build/qonnx]

Compiles models with a plan of mixed precisions (weights of 2 to 8 bits), exports the same plan (--emit=qonnx), and runs
the exported model on rows that calibration has not seen: in qonnx's executor (numpy for Quant, onnxruntime for the
rest), in sq, and beside them sq's artifact of the plan. Prints the SQNR of each pair, 10 log10(sum ref^2 / sum (x - ref)^2),
and fails below the bounds that are given beside them.
"""

import argparse
import os
import subprocess
import sys

import numpy as np
import onnx
import qonnx.custom_op.general  # registers its operators
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.infer_shapes import InferShapes

# The exported model in sq and in qonnx differ by the rounding of sums, which moves few activations by a step; one step in
# 8 bits of an activation is some 50 dB below it. sq's own program rounds at ties of odd zero points the other way, and has
# its own functions (erf), which the float error of 4 bits (about 20 dB) exceeds by far.
LEAST_EXPORTED, LEAST_PLAN = 45, 40


def sqnr(reference, x):
    reference, x = reference.astype(np.float64), x.astype(np.float64)
    noise = np.sum((x - reference) ** 2)
    return np.inf if noise == 0 else 10 * np.log10(np.sum(reference**2) / noise)


def jet_tagger(path, samples):
    """The MLP of HAWQ's codesign flow, 16-64-32-32-5, with random weights, and rows for it."""
    random = np.random.default_rng(1)
    widths, nodes, tensors = [16, 64, 32, 32, 5], [], []
    for i, (k, n) in enumerate(zip(widths, widths[1:])):
        tensors += [
            numpy_helper.from_array((random.standard_normal((k, n)) / np.sqrt(k)).astype(np.float32), f"w{i}"),
            numpy_helper.from_array((random.standard_normal(n) / 4).astype(np.float32), f"b{i}"),
        ]
        x, y = (f"y{i - 1}" if i else "x"), (f"y{i}" if n != 5 else "y")
        nodes += [helper.make_node("MatMul", [x, f"w{i}"], [f"p{i}"], name=f"layer{i}")]
        nodes += [helper.make_node("Add", [f"p{i}", f"b{i}"], [f"s{i}" if n != 5 else "y"], name=f"bias{i}")]
        if n != 5:
            nodes += [helper.make_node("Relu", [f"s{i}"], [y], name=f"relu{i}")]
    graph = helper.make_graph(
        nodes,
        "jet_tagger",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        tensors,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    rows = random.standard_normal((samples, 16)).astype(np.float32)
    rows[:, 3] *= 20  # a channel that is smoothed
    return {"x": rows}


class Checker:
    def __init__(self, tools, folder):
        self.tools, self.folder, self.failed = tools, folder, False
        os.makedirs(folder, exist_ok=True)

    def tool(self, name, *arguments):
        subprocess.run([os.path.join(self.tools, name), *arguments], check=True)

    def file(self, name):
        return os.path.join(self.folder, name)

    def sq(self, artifact, feeds, output):
        inputs = []
        for name, value in feeds.items():
            np.save(self.file("input." + name + ".npy"), value)
            inputs.append("--input=%s=@%s" % (name, self.file("input." + name + ".npy")))
        result = self.file("output.npy")
        self.tool("sq-run", artifact, *inputs, "--output=%s=@%s" % (output, result))
        return np.load(result)

    def check(self, name, model, calibration, feeds, shape, plan):
        """`feeds` have the sizes that `shape` gives; `plan` is text."""
        plan_file, stats = self.file(name + ".plan"), self.file(name + ".stats")
        with open(plan_file, "w") as file:
            file.write(plan)
        self.tool("sq-calibrate", model, calibration, "-o", stats, "--progress=none")
        common = [model, "--quant=int8", "--attention=float", "--calib=" + stats, "--plan=" + plan_file, "--shape=" + shape]
        exported = self.file(name + ".onnx")
        self.tool("sq-compile", *common, "--emit=qonnx", "-o", exported)
        self.tool("sq-compile", *common, "-o", self.file(name + ".so"))
        self.tool("sq-compile", exported, "-o", self.file(name + ".exported.so"))
        self.tool("sq-compile", model, "-o", self.file(name + ".float.so"), "--shape=" + shape)
        wrapped = ModelWrapper(exported)
        widths = sorted(
            {
                (int(wrapped.get_initializer(node.input[3])), wrapped.get_initializer(node.input[0]) is not None)
                for node in wrapped.graph.node
                if node.op_type == "Quant"
            }
        )
        # Its executor needs the shape of everything, which constants decide.
        wrapped = wrapped.transform(InferShapes()).transform(FoldConstants(exclude_op_types=["Quant"])).transform(InferShapes())
        output = wrapped.graph.output[0].name
        theirs = execute_onnx(wrapped, feeds)[output]
        plan_result = self.sq(self.file(name + ".so"), feeds, output)
        again = self.sq(self.file(name + ".exported.so"), feeds, output)
        floats = self.sq(self.file(name + ".float.so"), feeds, output)
        print("%s: Quant nodes %s" % (name, ", ".join("%s of %d bits" % ("weights" if w else "activations", b) for b, w in widths)))
        self.compare("  qonnx against sq of the exported model", sqnr(theirs, again), LEAST_EXPORTED)
        self.compare("  qonnx against sq's artifact of the plan", sqnr(theirs, plan_result), LEAST_PLAN)
        print("  qonnx against the float model: %.1f dB" % sqnr(floats, theirs))

    def compare(self, what, found, least):
        good = found >= least
        self.failed |= not good
        print("%s: %.1f dB (at least %d)%s" % (what, found, least, "" if good else " FAILED"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--folder", default="build/qonnx")
    arguments = parser.parse_args()
    checker = Checker(arguments.tools, arguments.folder)

    path = checker.file("jet.model.onnx")
    rows = jet_tagger(path, 512 + 64)["x"]
    folder = checker.file("jet.calibration")
    os.makedirs(folder, exist_ok=True)
    np.save(os.path.join(folder, "x.npy"), rows[:512])
    plan = "layer0 = int8\nlayer1 = int6\nlayer2 = int4\nlayer3 = int5\n"
    checker.check("jet", path, folder, {"x": rows[512:]}, "batch=64", plan)

    tiny = "test/models/tiny/classifier"
    feeds = {}
    for name in ("input_ids", "attention_mask"):
        feeds[name] = np.load(os.path.join(tiny, "test", name + ".npy"))[:4].astype(np.int64)
    shape = "batch=4,sequence=%d" % feeds["input_ids"].shape[1]
    plan = "* = int8\n*up* = int4\n*down* = int3\n*out* = int6\n"
    checker.check("classifier", tiny + "/model.onnx", tiny + "/calibration", feeds, shape, plan)
    if checker.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
