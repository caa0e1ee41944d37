#!/usr/bin/env python3
"""Time and anonymous memory of each step that compresses a large model; the standard library is enough."""

import argparse
import array
import os
import random
import resource
import subprocess
import time

from results import machine_text, replace_table

# What the table calls it, and the command; STATS, SENSITIVITY and OUT are files, DATA a folder of tokens.npy.
STEPS = [
    ("second moments", "sq-calibrate MODEL DATA -o STATS --moments={tokens}"),
    ("sensitivities", "sq-sensitivity MODEL DATA -o SENSITIVITY"),
    ("tables of 16 and 0.45 % sparse", "sq-compile MODEL -o OUT --weights=lut4 --outliers=0.45% --calib=STATS --sensitivity=SENSITIVITY"),
    ("tables of 8 and 0.45 % sparse", "sq-compile MODEL -o OUT --weights=lut3 --outliers=0.45% --calib=STATS --sensitivity=SENSITIVITY"),
]


def write_tokens(folder, sequences, tokens, words):
    """tokens.npy [sequences, tokens + 1]: ids that mean nothing, as the weights do."""
    os.makedirs(folder, exist_ok=True)
    source = random.Random(1)
    ids = array.array("i", (source.randrange(words) for _ in range(sequences * (tokens + 1))))
    header = "{'descr': '<i4', 'fortran_order': False, 'shape': (%d, %d), }" % (sequences, tokens + 1)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(folder + "/tokens.npy", "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + ids.tobytes())


def family(pid):
    """The process and those that it started (the linker)."""
    yield pid
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/children" % (pid, task)) as f:
            for child in f.read().split():
                yield from family(int(child))


def memory(pid):
    """Bytes of anonymous and of mapped pages."""
    anonymous = mapped = 0
    try:
        for member in family(pid):
            with open("/proc/%d/status" % member) as f:
                for line in f:
                    key, value = line.split(":", 1)
                    anonymous += int(value.split()[0]) * 1024 if key in ("RssAnon", "RssShmem") else 0
                    mapped += int(value.split()[0]) * 1024 if key == "RssFile" else 0
    except OSError:  # it ended
        return 0, 0
    return anonymous, mapped


def measure(command, log):
    """Seconds, CPU seconds, peaks of anonymous and mapped bytes; memory is looked at 50 times a second."""
    before, start, peaks = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), [0, 0]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    while process.poll() is None:
        peaks = [max(pair) for pair in zip(peaks, memory(process.pid))]
        time.sleep(0.02)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit("%s: exit code %d; see %s" % (" ".join(command), process.returncode, log.name))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, cpu, *peaks


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--folder", required=True, help="for what the steps write")
    parser.add_argument("--model", required=True)
    parser.add_argument("--layers", type=int, default=22, help="of the model, for the table")
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=256, help="of a sequence")
    parser.add_argument("--words", type=int, default=32000, help="that the model has an embedding for")
    parser.add_argument("--only", default="", help="steps whose command has this text; no table is written")
    parser.add_argument("--readme")
    parser.add_argument("--dry-run", action="store_true", help="print the table only")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    files = {name: os.path.join(options.folder, file) for name, file in dict(
        DATA="data", STATS="large.stats", SENSITIVITY="large.sensitivity", OUT="large.so").items()}
    files["MODEL"] = options.model
    write_tokens(files["DATA"], options.sequences, options.tokens, options.words)
    rows = ["| step | command | s | CPU time, s | anonymous memory, GB | mapped, GB | written, GB |", "|---|---|---|---|---|---|---|"]
    with open(options.folder + "/large.log", "w") as log:
        for name, command in STEPS:
            if options.only not in command:
                continue
            words = command.format(tokens=options.tokens).split()
            seconds, cpu, anonymous, mapped = measure([os.path.join(options.tools, words[0])] + [files.get(w, w) if "=" not in w else
                "=".join(files.get(part, part) for part in w.split("=")) for w in words[1:]], log)
            written = os.path.getsize(files[words[words.index("-o") + 1]])
            rows.append("| %s | `%s` | %.0f | %.0f | %.2f | %.2f | %.2f |" % (
                name, " ".join(words), seconds, cpu, anonymous / 1e9, mapped / 1e9, written / 1e9))
            print(rows[-1], flush=True)
    table = "\n".join(rows) + "\n\n%d layers, %d sequences of %d tokens; load of the machine at the end %.1f. %s. Command: `bench/large.sh`." % (
        options.layers, options.sequences, options.tokens, os.getloadavg()[0], machine_text())
    replace_table(None if options.dry_run or options.only else options.readme, "large", table)


if __name__ == "__main__":
    main()
