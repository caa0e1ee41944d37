"""Models that others quantised, in sq and in onnxruntime.

    quantized.py make FOLDER                  MiniLM, quantised by onnxruntime and NNCF
    quantized.py measure FOLDER [--readme=..] compiles them, counts products of integers, compares outputs, times
    quantized.py tests FOLDER                 the small ones of test/models/quantized, with onnxruntime's outputs

Outputs are compared as SQNR, 10 log10(sum ref^2 / sum (x - ref)^2), over samples that calibration has not
seen. onnxruntime runs each model twice: with its default optimisations, which replace pairs of QuantizeLinear
and DequantizeLinear by operators on integers, and without any, which is the model to the letter. How far these
two are apart is how far a rounding the other way in the first layer carries.
"""

import argparse
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import sq_runtime
from results import machine_text, replace_table

U8, S8 = QuantType.QUInt8, QuantType.QInt8
# name: what it says in the table, and how it is made
WEIGHTS = {"op_types_to_quantize": ["MatMul", "Gemm"]}
STATIC = {
    "u8s8": ("static QDQ, u8 s8, all operators", U8, S8, {}),
    "s8s8": ("static QDQ, s8 s8, all operators", S8, S8, {}),
    "u8s8-columns": ("static QDQ, u8 s8 per column, all operators", U8, S8, {"per_channel": True}),
    "u8u8": ("static QDQ, u8 u8, all operators", U8, U8, {}),
    "u8s8-matmul": ("static QDQ, u8 s8 per column, MatMul", U8, S8, {"per_channel": True, **WEIGHTS}),
    "s8s8-matmul": ("static QDQ, s8 s8 per column, MatMul", S8, S8, {"per_channel": True, **WEIGHTS}),
    "operators": ("static QOperator, u8 s8", U8, S8, {"quant_format": QuantFormat.QOperator}),
}
DYNAMIC = {
    "dynamic-s8": ("dynamic, s8", {"weight_type": S8}),
    "dynamic-u8-columns": ("dynamic, u8 per column", {"weight_type": U8, "per_channel": True}),
}
NNCF = {"nncf": ("NNCF, transformer preset",)}
SQ = {"sq": ("sq --quant=int8 --emit=qdq-onnx",)}
TITLES = {**STATIC, **DYNAMIC, **NNCF, **SQ}
CALIBRATED, COMPARED = 64, 8  # samples; those that are compared follow the others


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def quantize(source, folder, feeds, names):
    """`source` in each of the ways, as folder/<name>.onnx."""
    for name in names:
        path = os.path.join(folder, name + ".onnx")
        if name in STATIC:
            _, activations, weights, options = STATIC[name]
            options = {"quant_format": QuantFormat.QDQ, **options}
            quantize_static(source, path, Reader(feeds), activation_type=activations, weight_type=weights, **options)
        elif name in DYNAMIC:
            quantize_dynamic(source, path, **DYNAMIC[name][1])
        else:
            import nncf

            model = onnx.load(source)
            made = nncf.quantize(model, nncf.Dataset(feeds), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(feeds))
            onnx.save(made, path)
        print("made", path, flush=True)


def prepared(source, folder):
    """As onnxruntime wants models before it quantises them: one file, shapes known, constants folded."""
    whole, path = os.path.join(folder, "float-whole.onnx"), os.path.join(folder, "float.onnx")
    onnx.save(onnx.load(source), whole)
    quant_pre_process(whole, path, skip_symbolic_shape=True)
    os.unlink(whole)
    # quantize_dynamic transposes weights of Gemm and leaves what the file says of their shape.
    model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    values = [value for value in model.graph.value_info if value.name not in weights]
    del model.graph.value_info[:]
    model.graph.value_info.extend(values)
    onnx.save(model, path)
    return path


def samples(data, names, first, count):
    arrays = {n: np.load(os.path.join(data, n + ".npy")).astype(np.int64) for n in names}
    return [{n: a[i : i + 1] for n, a in arrays.items()} for i in range(first, first + count)]


def session(path, optimised=True):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def outputs(run, feeds):
    return [np.array(run(feed)) for feed in feeds]


def sqnr(reference, others):
    signal = sum(np.sum(a.astype(np.float64) ** 2) for a in reference)
    noise = sum(np.sum((a.astype(np.float64) - b) ** 2) for a, b in zip(reference, others))
    return 10 * np.log10(signal / noise) if noise else np.inf


def input_names(path):
    return [i.name for i in onnx.load(path, load_external_data=False).graph.input]


def quantize_by_sq(args, feeds):
    data = os.path.join(args.folder, "calibration")
    os.makedirs(data, exist_ok=True)
    for name in feeds[0]:
        np.save(os.path.join(data, name + ".npy"), np.concatenate([feed[name] for feed in feeds]))
    path = os.path.join(args.folder, "sq.onnx")
    subprocess.run([os.path.join(args.tools, "sq-compile"), args.model, "--quant=int8", "--calib=" + data,
                    "--emit=qdq-onnx", "-o", path], check=True)
    print("made", path, flush=True)


def make(args):
    source = prepared(args.model, args.folder)
    feeds = samples(args.data, input_names(source), 0, args.count)
    names = args.only or TITLES
    quantize(source, args.folder, feeds, [name for name in names if name not in SQ])
    if "sq" in names:
        quantize_by_sq(args, feeds)


def compile_model(args, name):
    """The artifact, the products of integers, and what stays in float."""
    tool, path = os.path.join(args.tools, "sq-compile"), os.path.join(args.folder, name + ".onnx")
    artifact = os.path.join(args.folder, name + ".so")
    done = subprocess.run([tool, path, "-o", artifact], check=True, stderr=subprocess.PIPE, text=True)
    graph = subprocess.run([tool, path, "--emit=sq"], check=True, capture_output=True, text=True).stdout
    products = sum("sq.linear" in line and "!quant.uniform" in line for line in graph.splitlines())
    floats = [line.split("warning: ")[1] for line in done.stderr.splitlines() if "stays in float" in line]
    return artifact, products, floats


def measure(args):
    from compare import Engine, measure_case

    feeds = samples(args.data, input_names(args.model), CALIBRATED, COMPARED)
    run = session(os.path.join(args.folder, "float.onnx"))
    reference = outputs(lambda feed: run.run(None, feed)[0], feeds)
    head = ["model", "products of integers", "onnxruntime / float, dB", "sq / float", "sq / onnxruntime",
            "sq / onnxruntime unoptimised", "onnxruntime / itself unoptimised"]
    head += ["1x128, %d threads: sq, ms | onnxruntime, ms" % t for t in args.threads]
    lines, reasons = ["| " + " | ".join(head) + " |"], set()
    lines.append("|---" * (len(head) + len(args.threads)) + "|")
    for name in args.only or TITLES:
        path = os.path.join(args.folder, name + ".onnx")
        artifact, products, floats = compile_model(args, name)
        reasons.update(floats)
        engine = sq_runtime.Sq(os.path.abspath(artifact), 1)
        mine = outputs(lambda feed: engine.prepare(feed)(), feeds)
        theirs, plain = (outputs(lambda feed: s.run(None, feed)[0], feeds) for s in (session(path), session(path, False)))
        cells = [TITLES[name][0], "%d" % products] + ["%.1f" % sqnr(a, b) for a, b in (
            (reference, theirs), (reference, mine), (theirs, mine), (plain, mine), (plain, theirs))]
        for threads in args.threads:
            engines = [Engine("sq", os.path.abspath(artifact), threads), Engine("onnxruntime", path, threads)]
            medians, _, _ = measure_case(engines, (1, 128), 30000, args.rounds, args.seconds)
            cells.append("%.2f | %.2f" % (medians["sq"], medians["onnxruntime"]))
            names = [e.name for e in engines]
            for e in engines:
                e.close()
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n\n%s; %s. Command: `bench/quantized.sh`." % (", ".join(names), machine_text())
    for reason in sorted(reasons):
        print(reason)
    if args.readme:
        replace_table(args.readme, "quantised", text)


def tests(args):
    """Small models of random weights, in the layout of the ONNX node tests."""
    source = prepared(args.model, args.folder)
    names = input_names(source)
    rng = np.random.default_rng(1)

    def sample(batch, length):
        ids = rng.integers(1, 48, (batch, length), dtype=np.int64)
        kinds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return {n: kinds[n] for n in names}

    quantize(source, args.folder, [sample(2, 6) for _ in range(CALIBRATED)], args.only)
    for name in args.only:
        case = os.path.join(args.folder, name)
        data = os.path.join(case, "test_data_set_0")
        os.makedirs(data, exist_ok=True)
        path = os.path.join(case, "model.onnx")
        os.replace(case + ".onnx", path)
        run, feed = session(path, optimised=False), sample(2, 6)
        results = zip([o.name for o in run.get_outputs()], run.run(None, feed))
        for kind, tensors in (("input", feed.items()), ("output", results)):
            for i, (tensor, array) in enumerate(tensors):
                with open(os.path.join(data, "%s_%d.pb" % (kind, i)), "wb") as file:
                    file.write(numpy_helper.from_array(array, tensor).SerializeToString())
    os.unlink(source)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "measure", "tests"])
    parser.add_argument("folder", help="of the models")
    parser.add_argument("--model", help="in float", required=True)
    parser.add_argument("--data", help="folder with calibration samples")
    parser.add_argument("--tools", default="build/bin")
    parser.add_argument("--count", type=int, default=CALIBRATED, help="samples to calibrate with, for make (default: %(default)s)")
    parser.add_argument("--only", type=lambda s: s.split(","), help="names of models")
    parser.add_argument("--threads", type=lambda s: [int(t) for t in s.split(",")], default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--readme", help="file whose table is replaced")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    {"make": make, "measure": measure, "tests": tests}[args.what](args)


if __name__ == "__main__":
    main()
