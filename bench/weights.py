#!/usr/bin/env python3
"""What 3 and 4 bits a weight do to a language model's perplexity; the standard library is enough."""

import argparse
import json
import os
import re
import resource
import subprocess

from results import machine_text, replace_table

# What the table calls it, and the flags; {b} are bits. STATS is the file of sq-calibrate, FISHER that of sq-sensitivity.
WAYS = [
    ("RTN, groups of 128", "--weights=rtn{b} --activations=f32"),
    ("RTN, groups of 64", "--weights=rtn{b}-g64 --activations=f32"),
    ("symmetric, groups of 32 (Q{b}_0)", "--weights=sym{b} --activations=f32"),
    ("GPTQ, groups of 128", "--weights=gptq{b} --calib=STATS --activations=f32"),
    ("GPTQ, groups of 64", "--weights=gptq{b}-g64 --calib=STATS --activations=f32"),
    ("LUT, unweighted", "--weights=lut{b} --activations=f32"),
    ("LUT, by mean squares of the inputs", "--weights=lut{b} --rounding=nearest --calib=STATS --activations=f32"),
    ("LUT, Fisher", "--weights=lut{b} --sensitivity=FISHER --activations=f32"),
    ("LUT, Fisher, or what is better on rows held back",
     "--weights=lut{b} --sensitivity=FISHER --rounding=nearest --calib=STATS --activations=f32"),
    ("LUT + 0.45 % sparse", "--weights=lut{b} --outliers=0.45% --rounding=nearest --calib=STATS --activations=f32"),
    ("LUT, Fisher + 0.45 % sparse", "--weights=lut{b} --outliers=0.45% --sensitivity=FISHER --activations=f32"),
    ("LUT, refined", "--weights=lut{b} --calib=STATS --activations=f32"),
    ("LUT + 0.45 % sparse, refined", "--weights=lut{b} --outliers=0.45% --calib=STATS --activations=f32"),
    ("LUT, Fisher + 0.45 % sparse, refined",
     "--weights=lut{b} --outliers=0.45% --sensitivity=FISHER --calib=STATS --activations=f32"),
]


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def cpu_seconds():
    """Of all that ran and ended: times of a machine that others use, too, are comparable."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--model", required=True, help="folder with model.onnx, calibration, validation")
    parser.add_argument("--folder", required=True, help="for artifacts and statistics")
    parser.add_argument("--readme")
    parser.add_argument("--bits", default="3,4")
    parser.add_argument("--only", default="", help="ways whose flags have this text; no table is written")
    parser.add_argument("--dry-run", action="store_true", help="print the table only")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    tool = lambda name: os.path.join(options.tools, name)
    model, artifact, report = options.model + "/model.onnx", options.folder + "/weights.so", options.folder + "/weights.json"
    stats, fisher = options.folder + "/lm.stats", options.folder + "/lm.sensitivity"

    def perplexity(what):
        out = run(tool("sq-eval"), what, options.model + "/validation", "--metric=perplexity")
        return float(re.match(r"perplexity ([0-9.]+)", out).group(1))

    def measure_fisher():
        """With the labels of the data, and three times with labels that the model draws: four times as many samples."""
        parts = []
        for seed in range(1, 5):
            parts.append(options.folder + "/lm.%d.sensitivity" % seed)
            print(run(tool("sq-sensitivity"), model, options.model + "/calibration", "-o", parts[-1], "--seed=%d" % seed,
                      "--progress=none", *(["--sample-labels"] if seed > 1 else [])).splitlines()[0])
        run(tool("sq-sensitivity"), "--merge", *parts, "-o", fisher)

    print(run(tool("sq-calibrate"), model, options.model + "/calibration", "--moments=65536", "--hold-back=8", "-o", stats,
              "--progress=none"), end="")
    before = cpu_seconds()
    measure_fisher()
    print("%.0f s of CPU time for squared gradients" % (cpu_seconds() - before))
    reference = perplexity(model)
    rows = ["| weights | bits a weight | MB | perplexity | increase | share of RTN's, groups of 128 | layers that got something else | CPU time of the compile, s |",
            "|---|---|---|---|---|---|---|---|", "| float32 | 32 |  | %.3f |  |  |  |  |" % reference]
    for bits in options.bits.split(","):
        base = None
        for name, flags in WAYS:
            flags = flags.format(b=bits).replace("STATS", stats).replace("FISHER", fisher).split()
            if options.only and base and options.only not in " ".join(flags):
                continue
            before = cpu_seconds()
            run(tool("sq-compile"), model, "-o", artifact, "--report=" + report, "--target=host:native", "--progress=none", *flags)
            seconds = cpu_seconds() - before
            layers = json.load(open(report))["layers"]
            weights = sum(layer["k"] * layer["n"] for layer in layers)
            stored = sum(layer["compressed"]["bytes"] for layer in layers)
            others = sum(bool(layer.get("why")) for layer in layers)
            increase = perplexity(artifact) / reference - 1
            base = base or increase
            rows.append("| %s bits: %s | %.3f | %.2f | %.3f | %.2f %% | %.2f | %s | %.0f |" % (
                bits, name.format(b=bits), 8 * stored / weights, stored / 1e6, (1 + increase) * reference, 100 * increase,
                increase / base, others or "", seconds))
            print(rows[-1], flush=True)
    table = "\n".join(rows) + "\n\n%s. Command: `bench/weights.sh`." % machine_text()
    replace_table(None if options.dry_run or options.only else options.readme, "weights", table)


if __name__ == "__main__":
    main()
