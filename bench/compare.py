"""sq against onnxruntime and OpenVINO, in float32. The engines' processes take
turns over several rounds; a figure is the median of all runs of an engine, the
ratio that against the faster peer."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

import gemm
from results import machine_text, replace_table

HERE = os.path.dirname(os.path.abspath(__file__))
# name: shapes (batch, sequence), token ids below
CASES = {
    "minilm": ([(1, 16), (1, 128), (1, 384), (8, 128)], 30000),
    "classifier": ([(1, 64)], 1000),
    "bert-base": ([(1, 128)], 30000),
}
THREADS = [1, 2]
PEERS = ["onnxruntime", "openvino", "openvino-static"]
BF16 = ["sq-bf16", "openvino-bf16", "openvino-bf16-static"]


class Engine:
    def __init__(self, kind, path, threads):
        self.kind = kind
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "engines.py"), kind, path, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.times, self.output = [], None
        hello = self.answer()
        self.name, self.load_seconds = hello["name"], hello["load_seconds"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("%s ended early, exit code %s" % (self.kind, self.process.wait()))
        return json.loads(line)

    def measure(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        self.times += answer["times"]
        self.output, self.peak_mib = np.load(answer["output"]), answer["peak_mib"]
        os.unlink(answer["output"])
        time.sleep(0.05)  # its threads go to sleep before the next one's turn

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure_case(engines, shape, vocabulary, rounds, seconds):
    """Medians in ms by engine, and by how much outputs differ from sq's, at most: of f32, of sq in bf16."""
    for engine in engines:
        engine.times = []
    request = {"batch": shape[0], "sequence": shape[1], "vocabulary": vocabulary, "seconds": seconds}
    for turn in range(rounds):
        # Who begins changes, so that nobody always follows the same one.
        for i in range(len(engines)):
            engines[(i + turn) % len(engines)].measure(request)
    medians = {engine.kind: 1e3 * statistics.median(engine.times) for engine in engines}
    reference = engines[0].output
    differences = {e.kind: float(np.abs(reference - e.output).max()) for e in engines[1:]}
    return medians, max(d for k, d in differences.items() if "bf16" not in k), differences.get("sq-bf16")


def file_mb(path):
    folder = os.path.dirname(path)
    weights = os.path.join(folder, "model.safetensors")
    return 1e-6 * (os.path.getsize(path) + (os.path.getsize(weights) if os.path.exists(weights) else 0))


def measure_model(name, path, args, speeds, costs):
    artifact = os.path.join(args.folder, name + ".so")
    start = time.perf_counter()
    subprocess.run([os.path.join(args.tools, "sq-compile"), path, "-o", artifact], check=True)
    compile_seconds = time.perf_counter() - start
    artifacts = {"sq": artifact, "sq-bf16": os.path.join(args.folder, name + "-bf16.so")}
    if args.bf16:
        subprocess.run([os.path.join(args.tools, "sq-compile"), path, "--precision=bf16", "-o", artifacts["sq-bf16"]], check=True)
    shapes, vocabulary = CASES[name]
    kinds = ["sq"] + PEERS + (BF16 if args.bf16 else [])
    names = []
    for threads in args.threads:
        engines = [Engine(k, os.path.abspath(artifacts.get(k, path)), threads) for k in kinds]
        for shape in shapes:
            speeds[name, shape, threads] = measure_case(engines, shape, vocabulary, args.rounds, args.seconds)
            medians = speeds[name, shape, threads][0]
            print("%s %dx%d, %d threads: %s" % (name, *shape, threads, ", ".join(
                "%s %.2f" % item for item in medians.items())), flush=True)
        names = [engine.name for engine in engines]
        if threads == args.threads[0]:
            costs[name] = (compile_seconds, {e.kind: e.load_seconds for e in engines},
                           {e.kind: e.peak_mib for e in engines}, 1e-6 * os.path.getsize(artifact), file_mb(path))
        for engine in engines:
            engine.close()
    return names


def speed_table(speeds):
    head = ["model", "batch x sequence", "threads", "sq, ms", "onnxruntime, ms", "OpenVINO, ms",
            "OpenVINO static, ms", "sq / faster peer", "largest difference"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for (name, shape, threads), (medians, difference, _) in speeds.items():
        cells = [name, "%dx%d" % shape, "%d" % threads] + ["%.2f" % medians[k] for k in ["sq"] + PEERS]
        cells += ["%.2f" % (medians["sq"] / min(medians[k] for k in PEERS)), "%.1e" % difference]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def bf16_table(speeds):
    head = ["in bf16", "batch x sequence", "threads", "sq, ms", "OpenVINO, ms", "OpenVINO static, ms",
            "faster OpenVINO / sq", "sq: largest difference from f32"]
    lines = ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for (name, shape, threads), (medians, _, difference) in speeds.items():
        cells = [name, "%dx%d" % shape, "%d" % threads] + ["%.2f" % medians[k] for k in BF16]
        cells += ["%.2f" % (min(medians[k] for k in BF16[1:]) / medians["sq-bf16"]), "%.1e" % difference]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def scaling_table(speeds, threads):
    if len(threads) < 2:
        return []
    few, many = threads[0], threads[-1]
    lines = ["", "Speed-up from %d to %d threads:" % (few, many), "",
             "| model | batch x sequence | sq | onnxruntime | OpenVINO | OpenVINO static |", "|---" * 6 + "|"]
    for (name, shape, t), (medians, _, _) in speeds.items():
        if t == few:
            cells = ["%.2f" % (medians[k] / speeds[name, shape, many][0][k]) for k in ["sq"] + PEERS]
            lines.append("| " + " | ".join([name, "%dx%d" % shape] + cells) + " |")
    return lines


def cost_table(costs):
    lines = ["", "Once: sq compiles to a file, its peers do when they load the model (OpenVINO static again for "
             "every shape). Peak memory is of the whole process, Python and mapped weights included, after the "
             "runs with the fewest threads.", "",
             "| model | sq-compile, s | load, s: sq | onnxruntime | OpenVINO | peak, MiB: sq | onnxruntime | "
             "OpenVINO | artifact, MB | ONNX with weights, MB |", "|---" * 10 + "|"]
    for name, (seconds, load, peak, size, onnx) in costs.items():
        cells = ["%.2f" % seconds] + ["%.3f" % load[k] for k in ["sq"] + PEERS[:2]]
        cells += ["%.0f" % peak[k] for k in ["sq"] + PEERS[:2]] + ["%.1f" % size, "%.1f" % onnx]
        lines.append("| " + " | ".join([name] + cells) + " |")
    return lines


def prepare(name, folder):
    """The path of a model, or None with the reason printed."""
    if name == "minilm":
        return os.path.join(".deps", "minilm", "model_opset17.onnx")
    if name == "classifier":
        models = os.environ.get("SQ_MODELS", os.path.join("..", "shared", "models"))
        path = os.path.join(models, "classifier", "model.onnx")
        if not os.path.exists(path):
            print("skipped: %s, there is no %s; set SQ_MODELS" % (name, path))
            return None
        return path
    path = os.path.join(folder, "bert-base.onnx")
    if not os.path.exists(path):
        subprocess.run([sys.executable, os.path.join(HERE, "models.py"), "bert", path], check=True)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(list(CASES) + ["gemm"]), help="of %(default)s")
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: 2 rounds of 0.2 s")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="per engine and round")
    parser.add_argument("--bf16", action="store_true", default="amx_bf16" in open("/proc/cpuinfo").read(),
                        help="also sq and OpenVINO in bf16 (default: where there is AMX)")
    parser.add_argument("--dry-run", action="store_true", help="print the tables, do not write them")
    parser.add_argument("--tools", required=True, help="folder of sq-compile and sq-bench")
    parser.add_argument("--folder", required=True, help="for models and artifacts")
    parser.add_argument("--readme", required=True, help="file with the tables")
    args = parser.parse_args()
    args.rounds = args.rounds or (2 if args.quick else 7)
    args.seconds = args.seconds or (0.2 if args.quick else 1.0)
    args.threads = [t for t in THREADS if t <= len(os.sched_getaffinity(0))]
    only = args.only.split(",")
    if unknown := set(only) - set(CASES) - {"gemm"}:
        parser.error("--only=%s: unknown; there are %s, gemm" % (",".join(sorted(unknown)), ", ".join(CASES)))
    # Only a whole, slow run may change the README.
    whole = not args.quick and set(only) == set(CASES) | {"gemm"}
    readme = None if args.dry_run else args.readme

    speeds, costs, names = {}, {}, []
    for name in CASES:
        path = prepare(name, args.folder) if name in only else None
        if path:
            names = measure_model(name, path, args, speeds, costs)
    if speeds:
        lines = speed_table(speeds) + (bf16_table(speeds) if args.bf16 else []) + scaling_table(speeds, args.threads) + cost_table(costs)
        lines += ["", "%s on %s; medians over %d rounds of %g s in turn. Command: `make bench`." % (
            ", ".join(dict.fromkeys(names)), machine_text(), args.rounds, args.seconds)]
        replace_table(readme if whole else None, "results", "\n".join(lines))
    if "gemm" in only:
        gemm.run(args.tools, args.folder, 2 * args.seconds, readme if not args.quick else None)


if __name__ == "__main__":
    main()
