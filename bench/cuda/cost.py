#!/usr/bin/env python3
"""What each CUDA kernel of a model must cost at least: a static table.

    bench/cuda/cost.py MODEL --dims batch=1,sequence=128 --precision f16 [--arch sm_90]

Floating-point operations and bytes are the compile report's (every operand
once), registers, shared memory and occupancy ptxas', instructions those of the
PTX. The bound is the larger of bytes over bandwidth and operations over peak,
for two devices; launches (2-3 us each without CUDA graphs) come on top. A first
run on a device has something to disagree with. Needs ptxas, not a GPU.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# NVIDIA's data sheets, dense: bytes/s, and operations/s of f32 without and of
# each type with tensor cores. H200 SXM; A100 SXM 80 GB.
DEVICES = {
    "H200": {"bandwidth": 4.8e12, "f32": 67e12, "tf32": 494.7e12, "f16": 989.4e12, "bf16": 989.4e12},
    "A100": {"bandwidth": 2.039e12, "f32": 19.5e12, "tf32": 156e12, "f16": 312e12, "bf16": 312e12},
}


def compile_model(model, arch, precision, dims, folder):
    """The report and the PTX for these dims."""
    tool = os.path.join(ROOT, "build", "bin", "sq-compile")
    common = [tool, model, f"--target=cuda:{arch}", f"--precision={precision}", f"--shape={dims}"]
    report = os.path.join(folder, "report.json")
    ptx = os.path.join(folder, "kernels.ptx")
    subprocess.run([*common, f"--report={report}"], check=True)
    subprocess.run([*common, "--emit=ptx", "-o", ptx], check=True)
    with open(report) as f, open(ptx) as g:
        return json.load(f), g.read()


def instructions(ptx):
    """Instructions of each function: lines of its body that end in a semicolon, without declarations."""
    counts = {}
    for name, body in re.findall(r"\.entry (\w+)\(.*?\n\{(.*?)\n\}", ptx, re.S):
        counts[name] = sum(
            line.strip().endswith(";") and not line.strip().startswith((".", "//")) for line in body.splitlines()
        )
    return counts


def bound(kernel, device, precision):
    """Microseconds, and what sets them."""
    flops = kernel["flops"]["typical"] or 0
    moved = (kernel["bytes_read"]["typical"] or 0) + (kernel["bytes_written"]["typical"] or 0)
    # Attention multiplies on tensor cores where keys and values are short.
    function = kernel["resources"]["function"]
    tensors = function.startswith("matmul") or (precision in ("f16", "bf16") and function.startswith("attention"))
    peak = device[precision if tensors else "f32"]
    memory, compute = moved / device["bandwidth"], flops / peak
    return max(memory, compute) * 1e6, "memory" if memory >= compute else "compute"


def table(report, ptx, precision):
    counts = instructions(ptx)
    groups = collections.OrderedDict()
    for kernel in report["kernels"]:
        if not kernel["alternative"]:
            groups.setdefault(kernel["resources"]["function"], []).append(kernel)
    yield "| kernel | launches | Mflop | kB | PTX | registers | shared | occupancy | H200 us | A100 us | bound |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    totals = {name: 0.0 for name in DEVICES}
    for function, kernels in groups.items():
        first = kernels[0]
        r = first["resources"]
        moved = (first["bytes_read"]["typical"] or 0) + (first["bytes_written"]["typical"] or 0)
        cells = []
        for name, device in DEVICES.items():
            time, kind = bound(first, device, precision)
            totals[name] += time * len(kernels)
            cells.append(f"{time:.2f}")
        yield (
            f"| {function} ({', '.join(first['parts'])}) | {len(kernels)} | {(first['flops']['typical'] or 0) / 1e6:.2f} "
            f"| {moved / 1e3:.1f} | {counts.get(function, 0)} | {r['registers']} | {r['shared_bytes']} "
            f"| {r['occupancy']:.0%} | {cells[0]} | {cells[1]} | {kind} |"
        )
    yield f"| all | {sum(map(len, groups.values()))} | | | | | | | {totals['H200']:.1f} | {totals['A100']:.1f} | |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--dims", default="batch=1,sequence=128")
    parser.add_argument("--precision", default="f16", choices=["f32", "tf32", "bf16", "f16"])
    parser.add_argument("--arch", default="sm_90")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report, ptx = compile_model(args.model, args.arch, args.precision, args.dims, folder)
    print(f"`bench/cuda/cost.py {' '.join(sys.argv[1:])}`\n")
    print("\n".join(table(report, ptx, args.precision)))


if __name__ == "__main__":
    main()
