"""MiniLM in float32: sq against onnxruntime. Two processes take turns over
several rounds; the figure is the ratio of the medians of all their runs."""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time

import numpy as np

SHAPES = [(1, 128), (8, 128)]
THREADS = [1, 2]
BEGIN, END = "<!-- results: written by compare.py -->", "<!-- end of results -->"


class Engine:
    def __init__(self, kind, path, threads):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "engines.py")
        self.process = subprocess.Popen(
            [sys.executable, script, kind, path, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.name = self.answer()["name"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("an engine ended early, exit code %s" % self.process.wait())
        return json.loads(line)

    def measure(self, shape, seconds):
        request = {"batch": shape[0], "sequence": shape[1], "seconds": seconds}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        output = np.load(answer["output"])
        os.unlink(answer["output"])
        time.sleep(0.05)  # its threads go to sleep before the other's turn
        return answer["times"], output

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cpu_model():
    with open("/proc/cpuinfo") as f:
        return re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M).group(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifact", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--readme", help="file whose table between the markers is replaced")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="per engine and round")
    parser.add_argument("--dry-run", action="store_true", help="print, do not write")
    args = parser.parse_args()

    rows, names = [], None
    for threads in THREADS:
        if threads > len(os.sched_getaffinity(0)):
            print("skipped: %d threads, fewer cores allowed" % threads)
            continue
        engines = [
            Engine("sq", os.path.abspath(args.artifact), threads),
            Engine("onnxruntime", args.model, threads),
        ]
        names = [engine.name for engine in engines]
        for shape in SHAPES:
            times = [[], []]
            for round_number in range(args.rounds):
                outputs = [None, None]
                # Who begins changes, so that neither always follows the other.
                for i in (0, 1) if round_number % 2 == 0 else (1, 0):
                    part, outputs[i] = engines[i].measure(shape, args.seconds)
                    times[i] += part
            medians = [statistics.median(t) * 1e3 for t in times]
            difference = float(np.abs(outputs[0] - outputs[1]).max())
            rows.append(
                "| %dx%d | %d | %.2f | %.2f | %.2f | %.1e |"
                % (*shape, threads, *medians, medians[0] / medians[1], difference)
            )
            print(rows[-1], flush=True)
        for engine in engines:
            engine.close()

    table = "\n".join(
        [
            "| batch x sequence | threads | sq, ms | onnxruntime, ms | sq / onnxruntime | largest difference |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "%s and %s on %s, %s, %d cores; Linux %s, %s; medians over %d rounds of %g s in turn."
            % (*names, cpu_model(), platform.machine(), os.cpu_count(), platform.release(),
               datetime.date.today().isoformat(), args.rounds, args.seconds),
            "Command: `make bench`.",
        ]
    )
    print("\n" + table)
    if args.readme and not args.dry_run:
        with open(args.readme) as f:
            text = f.read()
        if BEGIN not in text or END not in text:
            sys.exit("%s: the markers of the table are missing" % args.readme)
        head, tail = text.split(BEGIN)[0], text.split(END)[1]
        with open(args.readme, "w") as f:
            f.write(head + BEGIN + "\n" + table + "\n" + END + tail)


main()
