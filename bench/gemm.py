"""sq's contraction kernel as a share of the machine's multiply-adds, f32, one
thread: hot, one weight run again and again, and cold, 24 weights in turn that
read the same rows and write to the same memory, as the layers of a model do."""

import json
import os
import subprocess
import sys

from results import machine_text, replace_table

ROWS = 128
SIZES = [(384, 384), (1536, 384), (384, 1536), (1536, 1536)]
COPIES = {"hot": 1, "cold": 24}


def measure(tools, folder, n, k, copies, seconds):
    model = os.path.join(folder, "linear-%dx%dx%d.onnx" % (n, k, copies))
    artifact = model[:-5] + ".so"
    if not os.path.exists(model):
        models = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models.py")
        subprocess.run([sys.executable, models, "linear", model, str(n), str(k), str(copies)], check=True)
    subprocess.run([os.path.join(tools, "sq-compile"), model, "-o", artifact], check=True)
    line = subprocess.run(
        [os.path.join(tools, "sq-bench"), artifact, "--dim=rows=%d" % ROWS, "--threads=1",
         "--min-time=%gs" % seconds, "--warmup=5", "--per-kernel", "--json"],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout
    os.unlink(artifact)
    result = json.loads(line)
    kernels = [kernel for kernel in result["kernels"] if kernel["name"].startswith("matmul")]
    flops = sum(kernel["flops"] * kernel["calls"] for kernel in kernels)
    rate = 1e-6 * flops / sum(kernel["ms"] for kernel in kernels)
    return rate, result["machine"]["gflop/s"], result["machine"]["level"]


def run(tools, folder, seconds, readme):
    rows = []
    for n, k in SIZES:
        cells = ["%dx%dx%d" % (ROWS, n, k)]
        for name, copies in COPIES.items():
            rate, peak, level = measure(tools, folder, n, k, copies, seconds)
            cells += ["%.1f" % rate, "%.0f %%" % (100 * rate / peak)]
        rows.append("| " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    table = "\n".join(
        [
            "| M x N x K | hot, Gflop/s | of peak | cold, Gflop/s | of peak |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "%s, one thread on %s. Command: `make bench` or `bench/run.sh gemm`." % (level, machine_text()),
        ]
    )
    replace_table(readme, "gemm", table)
