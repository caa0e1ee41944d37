"""sq --quant=int8 and --quant=int-only against the int8 models of OpenVINO (made by NNCF) and onnxruntime
(dynamic), all from the same 256 calibration samples: accuracy on the same data, and speed, engines in turn."""

import argparse
import os
import subprocess
import time

import numpy as np

import engines
from compare import Engine, measure_case
from results import machine_text, replace_table

SHAPES = [(1, 16), (1, 128), (8, 128)]
WAYS = {
    "sq int8": ("sq", "int8.so"),
    "sq int-only": ("sq", "int-only.so"),
    "OpenVINO, NNCF int8": ("openvino", "nncf.onnx"),
    "OpenVINO static, NNCF int8": ("openvino-static", "nncf.onnx"),
    "onnxruntime, dynamic int8": ("onnxruntime", "dynamic-s8.onnx"),
}
ACCURATE = [way for way in WAYS if "static" not in way]


def sqnr(reference, x):
    return 10 * np.log10(np.sum(reference**2) / np.sum((x - reference) ** 2))


def run(engine, folder, batch=8):
    """The first output for all samples of a folder, and their mask."""
    feeds = {n: np.load(os.path.join(folder, n + ".npy")).astype(np.int64) for n in engine.inputs}
    count = len(next(iter(feeds.values())))
    outputs = [np.array(engine.prepare({n: a[i : i + batch] for n, a in feeds.items()})()) for i in range(0, count, batch)]
    return np.concatenate(outputs).astype(np.float64), feeds["attention_mask"]


def embeddings(engine, folder):
    hidden, mask = run(engine, folder)
    pooled = (hidden * mask[..., None]).sum(axis=1)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def classifier_cells(engine, data):
    logits, _ = run(engine, data)
    reference, labels = (np.load(os.path.join(data, n + ".npy")) for n in ("logits", "labels"))
    best = logits.argmax(axis=1)
    return ["%.4f" % (best == labels).mean(), "%.2f %%" % (100 * (best == reference.argmax(axis=1)).mean()),
            "%.1f" % sqnr(reference, logits)]


def minilm_cells(engine, data, reference):
    found = {which: embeddings(engine, os.path.join(data, which)) for which in ("query", "document")}
    nearest = (found["query"] @ found["document"].T).argmax(axis=1)
    return ["%.3f" % (nearest == np.arange(len(nearest))).mean()] + [
        "%.4f" % (found[which] * reference[which]).sum(axis=1).mean() for which in found]


def accuracy_table(args):
    retrieval, test = os.path.join(args.models, "minilm", "retrieval"), os.path.join(args.models, "classifier", "test")
    float32 = engines.OnnxRuntime(args.minilm, 2)
    reference = {which: embeddings(float32, os.path.join(retrieval, which)) for which in ("query", "document")}
    lines = ["| | classifier: accuracy | same class as float | logits, dB | MiniLM: retrieval | cosine to float: queries | documents |",
             "|---" * 7 + "|"]
    float32_cells = classifier_cells(engines.OnnxRuntime(os.path.join(args.models, "classifier", "model.onnx"), 2), test)
    lines.append("| float32 | " + " | ".join([float32_cells[0], "", ""] + minilm_cells(float32, retrieval, reference)[:1] + ["", ""]) + " |")
    for way in ACCURATE:
        kind, file = WAYS[way]
        make = engines.ENGINES[kind]
        cells = classifier_cells(make(os.path.join(args.folder, "classifier", file), 2), test)
        cells += minilm_cells(make(os.path.join(args.folder, "minilm", file), 2), retrieval, reference)
        lines.append("| " + " | ".join([way] + cells) + " |")
        print(lines[-1], flush=True)
    return lines


def speed_table(args):
    lines = ["| MiniLM, batch x sequence | threads | " + " | ".join(way + ", ms" for way in WAYS) +
             " | fastest peer / sq int8 | int-only / int8 |", "|---" * (len(WAYS) + 4) + "|"]
    names = []
    for threads in (1, 2):
        started = []
        for way, (kind, file) in WAYS.items():
            started.append(Engine(kind, os.path.abspath(os.path.join(args.folder, "minilm", file)), threads))
            started[-1].kind = way
        for shape in SHAPES:
            started.sort(key=lambda e: list(WAYS).index(e.kind))
            medians, _, _ = measure_case(started, shape, 30000, args.rounds, args.seconds)
            peer = min(medians[way] for way in WAYS if not way.startswith("sq"))
            cells = ["%dx%d" % shape, "%d" % threads] + ["%.2f" % medians[way] for way in WAYS]
            cells += ["%.2f" % (peer / medians["sq int8"]), "%.2f" % (medians["sq int-only"] / medians["sq int8"])]
            lines.append("| " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
        names = [e.name for e in started]
        for e in started:
            e.close()
    return lines, names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tools", "models", "folder", "minilm"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--readme", help="file whose table is replaced")
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: 2 rounds of 0.2 s; no accuracy")
    parser.add_argument("--dry-run", action="store_true", help="print the tables, do not write them")
    parser.add_argument("--cpu", help="use no more than this CPU level, sq and OpenVINO alike: vnni or avx2")
    args = parser.parse_args()
    args.rounds, args.seconds = (2, 0.2) if args.quick else (7, 1.0)
    if args.cpu:
        os.environ["SQ_CPU"] = {"vnni": "vnni", "avx2": "x86-64-v3"}[args.cpu]
        os.environ["ONEDNN_MAX_CPU_ISA"] = {"vnni": "AVX512_CORE_VNNI", "avx2": "AVX2"}[args.cpu]
    lines = []
    for name, model in (("minilm", args.minilm), ("classifier", os.path.join(args.models, "classifier", "model.onnx"))):
        for way in ("int8", "int-only"):
            artifact, stats = (os.path.join(args.folder, name, file) for file in (way + ".so", "sq.stats"))
            start = time.perf_counter()
            # The first 256 samples, as bench/quantized.py takes them.
            subprocess.run([os.path.join(args.tools, "sq-calibrate"), model, os.path.join(args.models, name, "calibration"),
                            "--samples=256", "--seed=0", "-o", stats], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([os.path.join(args.tools, "sq-compile"), model, "--quant=" + way, "-o", artifact,
                            "--calib=" + stats], check=True, stderr=subprocess.DEVNULL)
            print("%s %s: %.1f s with calibration, %.1f MB" % (
                name, way, time.perf_counter() - start, 1e-6 * os.path.getsize(artifact)), flush=True)
    if not args.quick:
        lines += accuracy_table(args) + [""]
    speeds, names = speed_table(args)
    lines += speeds + ["", "%s on %s. Command: `bench/int8.sh%s`." % (
        ", ".join(dict.fromkeys(names)), machine_text(), " --cpu=" + args.cpu if args.cpu else "")]
    replace_table(None if args.quick or args.dry_run else args.readme, "int8" + ("-" + args.cpu if args.cpu else ""), "\n".join(lines))


if __name__ == "__main__":
    main()
