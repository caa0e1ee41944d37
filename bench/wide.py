#!/usr/bin/env python3
"""CPU seconds of sq-compile on models that are wide or long, as the rows of a table.

    bench/wide.py [--tools=build/bin] [KIND:N ...]

The models are ONNX text; only Python's standard library is used. Time and peak memory are the
child's own (getrusage), so that other load counts little.
"""
import os, re, subprocess, sys, tempfile


def graph(inputs, outputs, body):
    names = ", ".join(f"float[N,8] {name}" for name in inputs)
    results = ", ".join(f"float[N,M] {name}" for name in outputs)
    return f'<ir_version: 9, opset_import: ["" : 20]>\ng ({names}) => ({results}) {{\n{body}}}\n'


def products(n, source):
    return "".join(f" c{i} = Constant<value_float={i}.0>()\n a{i} = Mul({source}, c{i})\n" for i in range(n))


def names(letter, n):
    return [f"{letter}{i}" for i in range(n)]


def joined(letter, n):
    return ", ".join(names(letter, n))


KINDS = {
    "concat": ("Concat of {} inputs", lambda n: graph(names("x", n), ["y"], f" y = Concat<axis=1>({joined('x', n)})\n")),
    "concat-products": ("Concat of {} products of one input",
                        lambda n: graph(["x"], ["y"], products(n, "x") + f" y = Concat<axis=1>({joined('a', n)})\n")),
    "split": ("Split in {}", lambda n: graph(["x"], names("y", n), f" s = Concat<axis=1>({', '.join(['x'] * n)})\n"
              f" {joined('y', n)} = Split<axis=1, num_outputs={n}>(s)\n")),
    "products": ("{} products of one input with different numbers, all results",
                 lambda n: graph(["x"], names("a", n), products(n, "x"))),
    "fan": ("sum of {} products of one node",
            lambda n: graph(["x"], ["y"], " h = Relu(x)\n" + products(n, "h") + f" y = Sum({joined('a', n)})\n")),
    "softmax": ("{} Softmax of inputs of their own", lambda n: graph(names("x", n), names("y", n), "".join(
        f" y{i} = Softmax(x{i})\n" for i in range(n)))),
    "ifs": ("{} Ifs in a row", lambda n: graph(["h0"], [f"h{n}"], " zero = Constant<value_int=0>()\n"
            " size = Size(h0)\n c = Greater(size, zero)\n" + "".join(
        f" h{i + 1} = If(c) <then_branch = t{i} () => (float[N,8] a{i}) {{ a{i} = Relu(h{i}) }}, "
        f"else_branch = e{i} () => (float[N,8] b{i}) {{ b{i} = Neg(h{i}) }}>\n" for i in range(n)))),
    "layers": ("{} layers of MatMul and Relu", lambda n: graph(["h0"], [f"h{n}"], "".join(
        f" w{i} = Constant<value = float[8,8] {{{','.join(str((i * 7 + j * 3) % 11 / 10 - .5) for j in range(64))}}}>()\n"
        f" m{i} = MatMul(h{i}, w{i})\n h{i + 1} = Relu(m{i})\n" for i in range(n)))),
    "chain": ("chain of {} Add and Relu", lambda n: graph(["h0", "b"], [f"h{n}"], "".join(
        f" h{i + 1} = " + (f"Add(h{i}, b)" if i % 2 else f"Relu(h{i})") + "\n" for i in range(n)))),
}
DEFAULT = ["concat:300", "concat:1000", "concat-products:1000", "split:1000", "products:1000", "products:10000",
           "fan:1000", "fan:2000", "fan:10000", "softmax:2000", "softmax:5000", "ifs:1000", "ifs:2000", "layers:1000",
           "layers:2000", "chain:10000"]


def main():
    arguments = sys.argv[1:]
    tools = next((a.split("=", 1)[1] for a in arguments if a.startswith("--tools=")), "build/bin")
    wanted = [a for a in arguments if not a.startswith("--")] or DEFAULT
    print("| model | CPU, s | peak, MiB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "m.onnxtxt")
        for entry in wanted:
            kind, _, count = entry.partition(":")
            if kind not in KINDS or not re.fullmatch("[0-9]+", count):
                sys.exit(f"wide.py: '{entry}' is no KIND:N; kinds are {', '.join(KINDS)}")
            text, make = KINDS[kind]
            with open(model, "w") as f:
                f.write(make(int(count)))
            child = subprocess.Popen([os.path.join(tools, "sq-compile"), model, "-o", os.path.join(folder, "o.so"),
                                      "--progress=none"])
            _, status, usage = os.wait4(child.pid, 0)
            if status:
                sys.exit(f"wide.py: sq-compile failed on {entry}")
            print(f"| {text.format(f'{int(count):,}')} | {usage.ru_utime + usage.ru_stime:.1f} | {usage.ru_maxrss / 1024:.0f} |",
                  flush=True)


main()
