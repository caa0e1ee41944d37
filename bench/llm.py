"""Tokens per second of a 1.1 B LLaMA shape with weights in 3 and 4 bits, sq against llama.cpp; bench/llm.sh makes what it reads.

Engines are processes of their own that work in turn: a decode of --tokens tokens behind a prompt of 16, and prompts of 64 and 512 tokens into
an empty cache, all to the largest logit. Figures are kept in FOLDER/figures.json (--kinds and --threads measure a part), printed are medians over
rounds. In each round the bandwidth of reading memory is measured too; the
share of it is that of the weights that a token reads (codes, tables, sparse entries) times tokens per second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from results import machine_text, replace_table

KINDS = ("decode", "prompt 64", "prompt 512")
LLAMA = {"llama.cpp F16": ("vnni", "f16"), "llama.cpp Q4_K_M": ("vnni", "q4"), "llama.cpp Q4_K_M, AMX": ("amx", "q4"),
         "llama.cpp Q3_K_M": ("vnni", "q3"), "llama.cpp Q3_K_M, AMX": ("amx", "q3")}
SQ = {"sq 4 bits": ("codes4.so", "auto"), "sq 4 bits, mapped": ("codes4.so", "mapped"), "sq 4 bits, copied": ("codes4.so", "copied"),
      "sq 4 bits, f32 activations": ("codes4-f32.so", "auto"),
      "sq 3 bits + 0.45 %": ("codes3.so", "auto"), "sq 3 bits + 0.45 %, mapped": ("codes3.so", "mapped"),
      "sq 3 bits + 0.45 %, copied": ("codes3.so", "copied"), "sq 3 bits + 0.45 %, f32 activations": ("codes3-f32.so", "auto")}
PEERS = {"sq 4 bits": "Q4_K_M", "sq 3 bits": "Q3_K_M"}
EMBEDDING = 32000 * 2048 * 4  # bytes of an artifact's weights of which a token reads one row


def serve(path, threads):
    """Answers lines as llama-peer does (bench/llama_peer.cpp)."""
    import time

    from sq_runtime import LanguageModel

    model = LanguageModel(path, threads)
    row = [(i * 7919 + 13) % 32000 for i in range(512)]
    for line in sys.stdin:
        kind, count = line.split()[0], int(line.split()[1])
        model.reset()
        last = model.append(row[:16]) if kind == "decode" else None
        begin = time.perf_counter()
        if kind == "decode":
            for _ in range(count):
                last = model.append([last])
        else:
            model.append(row[:count])
        print("%.4f" % (count / (time.perf_counter() - begin)), flush=True)


class Engine:
    def __init__(self, name, command, **environment):
        self.name, self.figures = name, {}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, **environment))

    def ask(self, kind, line, keep):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("%s gave up at '%s'" % (self.name, line))
        if keep:
            self.figures.setdefault(kind, []).append(float(answer))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(arguments, threads):
    """Engines in turn; the first round is warming up. Figures by engine and kind."""
    wanted = lambda name: not arguments.only or any(word in name for word in arguments.only.split(","))
    engines = [Engine("bandwidth", [arguments.bandwidth, str(threads)])]
    for name, (kind, model) in LLAMA.items():
        if wanted(name):
            command = [os.path.join(arguments.llama, "llama-peer-" + kind), "serve", os.path.join(arguments.folder, model + ".gguf"), str(threads)]
            engines.append(Engine(name, command))
    for name, (artifact, weights) in SQ.items():
        if wanted(name):
            command = [sys.executable, __file__, "--serve", os.path.join(arguments.folder, artifact), str(threads)]
            engines.append(Engine(name, command, SQ_WEIGHTS=weights))
    for kind in arguments.kinds.split(","):
        for round in range((arguments.long if kind == "prompt 512" else arguments.rounds) + 1):
            for engine in engines:
                if engine.name != "bandwidth" or kind == "decode":
                    engine.ask(kind, "decode %d" % arguments.tokens if kind == "decode" else kind, keep=round > 0)
    for engine in engines:
        engine.close()
    return {engine.name: engine.figures for engine in engines}


def bytes_of(arguments, name):
    return os.path.getsize(os.path.join(arguments.folder, SQ[name][0])) - EMBEDDING


def rows(arguments, threads, figures):
    median = lambda name, kind: statistics.median(figures[name][kind])
    bandwidth = median("bandwidth", "decode")
    for name in (*LLAMA, *SQ):
        if name not in figures:
            continue
        cells = [""] * 8
        for at, kind in zip((0, 4, 6), KINDS):
            if kind not in figures[name]:
                continue
            own = median(name, kind)
            cells[at] = "%.1f" % own if kind == "decode" else "%.0f" % own
            if name not in SQ:
                continue
            if kind == "decode":
                rate = bytes_of(arguments, name) * own / 1e9
                cells[1:3] = ["%.1f" % rate, "%.0f %%" % (100 * rate / bandwidth)]
            peers = [median(peer, kind) for peer in LLAMA if PEERS[name[:9]] in peer and kind in figures.get(peer, {})]
            if peers:
                cells[3 if kind == "decode" else at + 1] = "%.2f" % (own / max(peers))
        yield "| %s | %s | %s |" % (name, threads, " | ".join(cells))
    yield "| reading memory | %s |  | %.1f | 100 %% |  |  |  |  |  |" % (threads, bandwidth)


def main():
    parser = argparse.ArgumentParser(description="sq against llama.cpp at 3 and 4 bits")
    parser.add_argument("--folder", default="build/llama", help="GGUF files and artifacts")
    parser.add_argument("--llama", default=".deps/llama", help="where llama-peer-vnni and llama-peer-amx are")
    parser.add_argument("--bandwidth", default="build/bin/sq-bench-bandwidth")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", type=int, default=3, help="rounds of the long prompt")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--only", help="engines whose name has one of these words")
    parser.add_argument("--readme", help="where the table goes")
    parser.add_argument("--dry-run", action="store_true", help="print the table only")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve[0], int(arguments.serve[1]))
    table = ["| engine | threads | decode, tokens/s | weights, GB/s | of bandwidth | / faster llama.cpp | prompt of 64, tokens/s | / faster llama.cpp "
             "| of 512 | / faster llama.cpp |", "|" + "---|" * 10]
    path = os.path.join(arguments.folder, "figures.json")
    kept = json.load(open(path)) if os.path.exists(path) else {}
    for threads in arguments.threads.split(","):
        for name, figures in measure(arguments, int(threads)).items():
            kept.setdefault(threads, {}).setdefault(name, {}).update(figures)
        with open(path, "w") as out:
            json.dump(kept, out, indent=1)
    for threads, figures in sorted(kept.items()):
        if "decode" in figures.get("bandwidth", {}):
            table += rows(arguments, threads, figures)
    table += ["", "llama.cpp of llama-cpp-python 0.3.36 on %s; medians over %d rounds in turn (%d of the long prompt). Command: `bench/llm.sh`."
              % (machine_text(), arguments.rounds, arguments.long)]
    replace_table(None if arguments.dry_run else arguments.readme, "llm", "\n".join(table))


if __name__ == "__main__":
    main()
