"""Tokens per second of a language model with its keys and values, sq against onnxruntime.

  .deps/bench-venv/bin/python bench/decode.py --tools=build/bin --models=../shared/models

Both continue the stored prompt (24 tokens) of the data set `lm` greedily, must give the stored tokens, and then go on; both
work token by token, sq through sq_lm_append and sq_lm_sample, onnxruntime by handing present back as past. Engines are processes
of their own that work in turn, with the same threads. Printed are medians over rounds: of a prompt (the first 24, and 192, tokens
of a row) and of the decode.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

TOKENS = 128


def sq_engine(path, threads):
    from sq_runtime import LanguageModel

    model = LanguageModel(path, threads)
    return model.reset, model.append


def ort_engine(path, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    shapes = [i.shape for i in session.get_inputs()]
    outputs = [o.name for o in session.get_outputs()]
    kept = {}

    def reset():
        kept["past"] = [np.zeros((1, s[1], 0, s[3]), np.float32) for s in shapes[2:]]
        kept["length"] = 0

    def append(ids):
        positions = np.arange(kept["length"], kept["length"] + len(ids))[None]
        result = session.run(outputs, dict(zip(names, [np.array([ids]), positions] + kept["past"])))
        kept["past"], kept["length"] = result[1:], kept["length"] + len(ids)
        return int(result[0][0, -1].argmax())

    return reset, append


def serve(engine, path, threads, folder):
    reset, append = {"sq": sq_engine, "onnxruntime": ort_engine}[engine](path, threads)
    stored = np.load(folder + "/greedy.npy").astype(np.int64)
    row = np.load(folder + "/validation/tokens.npy")[2, :192].astype(np.int64)
    for line in sys.stdin:
        reset()
        begin = time.perf_counter()
        append(row.tolist())
        long = 192 / (time.perf_counter() - begin)
        reset()
        begin = time.perf_counter()
        tokens = [append(stored[:24].tolist())]
        prompt = 24 / (time.perf_counter() - begin)
        begin = time.perf_counter()
        while len(tokens) < TOKENS:
            tokens.append(append([tokens[-1]]))
        decode = (TOKENS - 1) / (time.perf_counter() - begin)
        if tokens[:64] != stored[24:].tolist():
            sys.exit("%s: other tokens than those stored" % engine)
        print(json.dumps([prompt, long, decode]), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", default="build/bin")
    parser.add_argument("--models", default=os.environ.get("SQ_MODELS", "../shared/models"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", nargs=3)
    arguments = parser.parse_args()
    folder = arguments.models + "/lm"
    if arguments.serve:
        engine, path, threads = arguments.serve
        return serve(engine, path, int(threads), folder)
    with tempfile.TemporaryDirectory() as scratch:
        artifact, model = scratch + "/lm.so", folder + "/model_with_past.onnx"
        subprocess.run([arguments.tools + "/sq-compile", model, "-o", artifact, "--kv-cache=state"], check=True)
        for threads in (1, 2):
            engines = {}
            for engine, path in (("sq", artifact), ("onnxruntime", model)):
                command = [sys.executable, __file__, "--models=" + arguments.models, "--serve", engine, path, str(threads)]
                engines[engine] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            figures = {engine: [] for engine in engines}
            for round in range(arguments.rounds + 1):
                for engine, process in engines.items():
                    process.stdin.write("\n")
                    process.stdin.flush()
                    line = process.stdout.readline()
                    if not line:
                        sys.exit("%s gave up" % engine)
                    if round:  # the first one is warming up
                        figures[engine].append(json.loads(line))
            for engine, process in engines.items():
                process.stdin.close()
                process.wait()
                prompt, long, decode = (statistics.median(column) for column in zip(*figures[engine]))
                print("%d threads, %-11s: prompt of 24 %7.0f, of 192 %7.0f, decode %6.1f tokens/s" % (threads, engine, prompt, long, decode))


if __name__ == "__main__":
    main()
