#!/usr/bin/env python3
"""Does the integer program find better plans than chance? The standard library is enough."""

import argparse
import datetime
import json
import os
import re
import statistics
import struct
import subprocess
from multiprocessing.pool import ThreadPool

from results import machine_text, replace_table


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def cut(source, target, count):
    """The first `count` samples of a data set: an .npy file is a header and rows one after the other."""
    os.makedirs(target, exist_ok=True)
    for name in sorted(os.listdir(source)):
        path = os.path.join(source, name)
        if os.path.isdir(path):
            cut(path, os.path.join(target, name), count)
        if not name.endswith(".npy"):
            continue
        with open(path, "rb") as f:
            magic = f.read(8)
            wide = magic[6] > 1
            size = struct.unpack("<I" if wide else "<H", f.read(4 if wide else 2))[0]
            header = f.read(size).decode("latin1")
            shape = [int(n) for n in re.search(r"'shape': \(([^)]*)\)", header).group(1).split(",") if n.strip()]
            body = f.read()
        rows = min(count, shape[0])
        body = body[:len(body) // shape[0] * rows]
        text = "(%s)" % ", ".join(str(n) for n in [rows] + shape[1:]) if len(shape) > 1 else "(%d,)" % rows
        header = re.sub(r"'shape': \([^)]*\)", "'shape': " + text, header).rstrip() + " "
        header += " " * (-(10 + len(header) + 1) % 64) + "\n"
        with open(os.path.join(target, name), "wb") as f:
            f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1") + body)


class Model:
    """A model, its data, and how far an artifact's output is from float."""

    def __init__(self, options, name, path, calibration, data, samples, metric, shown):
        self.tool = lambda tool: os.path.join(options.tools, tool)
        self.name, self.path, self.metric, self.shown, self.samples = name, path, metric, shown, samples
        self.folder = os.path.join(options.folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.flags = options.flags.split()
        self.calibration = calibration
        self.data = self.file("data%d" % samples)
        cut(data, self.data, samples)
        self.measured = {}

    def file(self, name):
        return os.path.join(self.folder, name)

    def compile(self, *flags):
        return run(self.tool("sq-compile"), self.path, "--target=host:native", "--progress=none", *flags)

    def prepare(self, again):
        if again or not os.path.exists(self.file("float.so")):
            self.compile("-o", self.file("float.so"))
        if again or not os.path.exists(self.file("stats")):
            run(self.tool("sq-calibrate"), self.path, self.calibration, "--moments=65536", "--hold-back=8", "-o", self.file("stats"), "--progress=none")
        if again or not os.path.exists(self.file("losses")):
            # The budget does not matter: losses are of all choices.
            self.compile("--calib=" + self.file("stats"), "--target-data=" + self.calibration, "--target-bpw=32", "--emit-losses=" + self.file("losses"), "--emit-plan=" + self.file("all.plan"), *self.flags)

    def plan(self, budget, name, *flags):
        """Controls are not measured: they are to be what they are."""
        path = self.file(name + ".plan")
        if not flags:
            flags = ("--target-data=" + self.calibration,)
        self.compile("--calib=" + self.file("stats"), "--losses=" + self.file("losses"), "--target-bpw=%.12g" % (budget * (1 + 1e-9)), "--emit-plan=" + path, *flags, *self.flags)
        return path

    def uniform(self, format):
        path = self.file("uniform-%s.plan" % format)
        with open(path, "w") as f:
            f.write("* = %s\n" % format)
        return path

    def measure(self, plan):
        """Bits a weight, and the distance from float; of equal plans once."""
        with open(plan) as f:
            text = "\n".join(line.split("#")[0].strip() for line in f if "=" in line.split("#")[0])
        if text not in self.measured:
            self.measured[text] = self.distance(plan)
        return self.measured[text]

    def distance(self, plan):
        artifact, report = plan + ".so", plan + ".json"
        self.compile("--calib=" + self.file("stats"), "--plan=" + plan, "-o", artifact, "--report=" + report, *self.flags)
        bits = {"f32": 32, "bf16": 16, "int8": 8, "int6": 6}
        stored = weights = 0
        for layer in json.load(open(report))["layers"]:
            count = layer["k"] * layer["n"]
            weights += count
            precision = layer["precision"]
            scales = 32 * layer["n"] if precision in ("int8", "int6") else 0
            stored += 8 * layer["compressed"]["bytes"] if layer.get("compressed") else bits[precision] * count + scales
        out = run(self.tool("sq-eval"), artifact, self.data, "--metric=" + self.metric, "--reference=" + self.file("float.so"))
        os.remove(artifact)
        if self.metric == "retrieval":
            cosines = [float(c) for c in re.findall(r"cosine[^0-9]*([0-9.]+)", out)]
            return stored / weights, 1 - sum(cosines) / len(cosines)
        return stored / weights, float(re.match(r"kl ([-0-9.e+]+)", out).group(1))


def merged(path, rows, known):
    """The rows of the table in `path` with `rows` in place of those of the same model and budget, in the order of `known`."""
    key = lambda row: (row.split(",")[0].strip("| "), re.search(r"\((\w+) everywhere\)", row).group(1))
    with open(path) as f:
        old = [line.rstrip() for line in f if re.match(r"\| \w+, .*\(\w+ everywhere\)", line)]
    all = {key(row): row for row in old + rows}
    return [all[place] for place in ((name, format) for name in known for _, format in BUDGETS) if place in all]


BUDGETS = [("3", "lut3"), ("4", "lut4"), ("6", "int6")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--models", required=True, help="folder of classifier, lm, minilm")
    parser.add_argument("--minilm", required=True, help="the folder of MiniLM's graph and weights")
    parser.add_argument("--folder", required=True, help="for artifacts and statistics")
    parser.add_argument("--readme")
    parser.add_argument("--only", default="", help="of classifier, lm, minilm, the others' rows stay in the table; or tiny-classifier, tiny-lm, which are in test/models and not of the table")
    parser.add_argument("--random", type=int, default=20, help="plans with shuffled sensitivities")
    parser.add_argument("--samples", default="2000,24,100", help="of the three models, to measure plans by")
    parser.add_argument("--flags", default="", help="more flags of sq-compile")
    parser.add_argument("--budgets", default="3,4,6")
    parser.add_argument("--again", action="store_true", help="measure losses again")
    parser.add_argument("--dry-run", action="store_true", help="print the table only")
    options = parser.parse_args()
    counts = [int(n) for n in options.samples.split(",")]
    folder = lambda *parts: os.path.join(options.models, *parts)
    known = [
        ("classifier", folder("classifier", "model.onnx"), folder("classifier", "calibration"), folder("classifier", "test"), counts[0],
         "kl", "KL, nats a sample"),
        ("lm", folder("lm", "model.onnx"), folder("lm", "calibration"), folder("lm", "validation"), counts[1], "kl", "KL, nats a token"),
        ("minilm", os.path.join(options.minilm, "model_opset17.onnx"), folder("minilm", "calibration"), folder("minilm", "retrieval"), counts[2],
         "retrieval", "1 - cosine of embeddings"),
    ]
    # Small enough to be tried in a minute; not of the table.
    tiny = lambda *parts: os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "models", "tiny", *parts)
    small = [
        ("tiny-classifier", tiny("classifier", "model.onnx"), tiny("classifier", "calibration"), tiny("classifier", "test"), 400, "kl", "KL, nats a sample"),
        ("tiny-lm", tiny("lm", "model.onnx"), tiny("lm", "calibration"), tiny("lm", "validation"), 8, "kl", "KL, nats a token"),
    ]
    wanted = options.only.split(",") if options.only else [entry[0] for entry in known]
    today = datetime.date.today().isoformat()
    rows = []
    for entry in known + small:
        if entry[0] not in wanted:
            continue
        model = Model(options, *entry)
        model.prepare(options.again)
        for bits, format in BUDGETS:
            if bits not in options.budgets.split(","):
                continue
            budget, uniform = model.measure(model.uniform(format))
            of = lambda name, *flags: model.measure(model.plan(budget, name, *flags))
            taken, plan = of("plan")
            assert taken <= budget * (1 + 1e-6), "the plan takes %f bits, the budget is %f" % (taken, budget)
            random = lambda seed: of("shuffled%d" % seed, "--target-control=shuffled:%d" % seed)[1]
            with ThreadPool(2) as pool:  # compiling is half of it, and done by one thread
                shuffled = sorted(pool.map(random, range(1, options.random + 1)))
            worst = of("reversed", "--target-control=reversed")[1]
            rows.append("| %s, %s | %.3f (%s everywhere) | %.3g | %.3g | %.3g (%.3g to %.3g) | %.3g | %s |" % (
                model.name, model.shown, budget, format, plan, uniform, statistics.median(shuffled), shuffled[0], shuffled[-1], worst, today))
            print(rows[-1], flush=True)
    names = [entry[0] for entry in known]
    if set(wanted) <= set(names) and options.readme:
        rows = merged(options.readme, rows, names)
    else:
        options.dry_run = True
    rows = ["| model, measure | budget, bits a weight | the plan | uniform | %d random plans: median (least to most) | reversed | measured |" % options.random,
            "|---|---|---|---|---|---|---|"] + rows
    table = "\n".join(rows) + "\n\nMeasured on %d, %d and %d samples%s. %s. Command: `bench/plans.sh`." % (
        *counts, ", flags " + options.flags if options.flags else "", machine_text())
    replace_table(None if options.dry_run else options.readme, "plans", table)


if __name__ == "__main__":
    main()
