"""Gives all linear layers of a model random codes: what is timed does not depend on their values, and takes a minute to make.

    sq-compile MODEL.onnx --emit=sq -o GRAPH.mlir
    bench/random_codes.py GRAPH.mlir BITS DENSITY OUT.mlir [GROUP]
    sq-compile OUT.mlir -o model.so [--activations=f32]

GRAPH.mlir has the whole model (attention, caches, norms), its weights elided; BITS are 2, 3 or 4, DENSITY is the share of sparse
entries (0.0045, or 0 for none). Each sq.linear becomes sq.lut_matmul or sq.dense_and_sparse_matmul, with tables of normal quantiles
so that activations stay as large as in bench/llama_shape.py; with GROUP, a size, sq.grouped_matmul with symmetric grids. Embeddings are Gaussian, norms one.
"""

import re
import statistics
import sys

import numpy as np

rng = np.random.default_rng(1)
SIZES = re.compile(r"tensor<([\dx]+)xf32>")


def hexadecimal(values):
    return 'dense<"0x%s">' % np.ascontiguousarray(values).tobytes().hex().upper()


def constant(name, values, kind):
    return "    %s = arith.constant %s : tensor<%s>\n" % (name, hexadecimal(values), kind)


def sparse(name, k, n, density):
    """A CSR matrix of `density` k n entries, columns ascending in each row."""
    total = int(n * k * density)  # the same for layers of one shape, which then share their kernel
    counts = rng.multinomial(total, np.full(n, 1 / n))  # as of weights without structure
    columns = np.concatenate([np.sort(rng.choice(k, count, replace=False)) for count in counts]).astype(np.uint16)
    rows = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32)
    values = (rng.standard_normal(len(columns)) * 3 / k**0.5).astype(np.float16)
    yield constant(name + "_rows", rows, "%dxi32" % len(rows))
    yield constant(name + "_columns", columns, "%dxi16" % len(columns))
    yield constant(name + "_values", values, "%dxf16" % len(values))
    yield "    %s_sparse = sq.csr %s_rows, %s_columns, %s_values : tensor<%dxi32>, tensor<%dxi16>, tensor<%dxf16> -> tensor<%dx%dxf16>\n" % (
        (name,) * 4 + (len(rows), len(columns), len(values), n, k))


def coded(name, k, n, bits, density, group):
    words, entries = (k + 31) // 32 * bits, 1 << bits
    yield constant(name + "_codes", rng.integers(0, 1 << 32, (n, words), dtype=np.uint32), "%dx%dxi32" % (n, words))
    if group:  # codes are uniform: a standard deviation of entries / sqrt(12)
        groups = -(-k // group)
        scales = (12**0.5 / entries) * (1 + 0.1 * rng.random((n, groups))) / k**0.5
        yield constant(name + "_scales", scales.astype(np.float16), "%dx%dxf16" % (n, groups))
        return
    quantiles = np.asarray([statistics.NormalDist().inv_cdf((i + 0.5) / entries) for i in range(entries)])
    tables = quantiles * (1 + 0.1 * rng.random((n, 1))) / k**0.5
    yield constant(name + "_tables", tables.astype(np.float16), "%dx%dxf16" % (n, entries))
    if density:
        yield from sparse(name, k, n, density)


def weight(line, linear, bits, density, group):
    """The constant of `line` as random numbers: codes where a linear layer reads it."""
    name, shape = re.match(r" *(%\S+) = ", line).group(1), [int(s) for s in SIZES.search(line).group(1).split("x")]
    if name in linear:
        yield from coded(name, *shape, bits, density, group)
    elif len(shape) == 1:
        yield "    %s = arith.constant dense<1.0> : tensor<%dxf32>\n" % (name, shape[0])
    else:
        yield constant(name, rng.standard_normal(shape, dtype=np.float32), "x".join(map(str, shape)) + "xf32")


def product(line, bits, density, group):
    """sq.linear as a product by codes."""
    k, n = map(int, re.search(r", tensor<(\d+)x(\d+)xf32>\) outs", line).groups())
    name = re.search(r"ins\(\S+, (%\S+) :", line).group(1)
    op, operands, types = "lut_matmul", "%s_codes, %s_tables" % (name, name), "tensor<%dx%dxi32>, tensor<%dx%dxf16>" % (
        n, (k + 31) // 32 * bits, n, 1 << bits)
    attributes = ""
    if group:
        op, operands = "grouped_matmul", "%s_codes, %s_scales" % (name, name)
        types = "tensor<%dx%dxi32>, tensor<%dx%dxf16>" % (n, (k + 31) // 32 * bits, n, -(-k // group))
        attributes = " {bits = %d : i64, group_size = %d : i64, zero_point = %d : i64}" % (bits, group, 1 << (bits - 1))
    elif density:
        op, operands, types = "dense_and_sparse_matmul", operands + ", %s_sparse" % name, types + ", tensor<%dx%dxf16>" % (n, k)
    line = line.replace("sq.linear", "sq." + op).replace(", %s :" % name, ", %s :" % operands)
    line = line.replace("tensor<%dx%dxf32>) outs" % (k, n), types + ") outs")
    return re.sub(r"( outs\([^)]*\))", lambda outs: outs.group(1) + attributes, line)


def main():
    path, bits, density, target = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    group = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    with open(path) as source:
        lines = source.readlines()
    linear = {re.search(r"ins\(\S+, (%[^ ,]+) :", line).group(1) for line in lines if "sq.linear" in line}
    with open(target, "w") as out:
        for line in lines:
            if "dense_resource<" in line:
                out.writelines(weight(line, linear, bits, density, group))
            elif "sq.linear" in line:
                out.write(product(line, bits, density, group))
            else:
                out.write(line)


if __name__ == "__main__":
    main()
