"""Writes the linear layers of a 1.1 B-parameter LLaMA shape with random codes as graph IR.

    bench/codes.py BITS DENSITY OUT.mlir [LAYERS]
    sq-compile OUT.mlir -o layers.so [--activations=f32]
    SQ_WEIGHTS=copied sq-bench layers.so --dim=N=1,64 --threads=1,2

BITS are 2, 3 or 4; DENSITY is the share of sparse entries (0.0045, or 0 for none). Layers follow each other as in the
model (q, k, v; o; gate, up; down; the head), without attention and norms: what is timed is reading weights and products.
"""

import os
import random
import struct
import sys


def constant(out, name, data, kind):
    out.write('  %%%s = arith.constant dense<"0x%s"> : tensor<%s>\n' % (name, data.hex().upper(), kind))


class Writer:
    def __init__(self, out, bits, density):
        self.out, self.bits, self.density, self.count = out, bits, density, 0

    def linear(self, x, k, n):
        i, self.count = self.count, self.count + 1
        words, entries = (k + 31) // 32 * self.bits, 1 << self.bits
        tables = b"".join(
            struct.pack("<%de" % entries, *sorted(random.gauss(0, 0.02) for _ in range(entries))) for _ in range(n)
        )
        constant(self.out, "c%d" % i, os.urandom(4 * n * words), "%dx%dxi32" % (n, words))
        constant(self.out, "t%d" % i, tables, "%dx%dxf16" % (n, entries))
        self.out.write("  %%i%d = tensor.empty(%%rows) : tensor<?x%dxf32>\n" % (i, n))
        op, operands, types = "lut_matmul", "", ""
        if self.density:
            op, operands, types = "dense_and_sparse_matmul", ", %%s%d" % i, ", tensor<%dx%dxf16>" % (n, k)
            self.sparse(i, k, n)
        self.out.write(
            "  %%y%d = sq.%s ins(%s, %%c%d, %%t%d%s : tensor<?x%dxf32>, tensor<%dx%dxi32>, tensor<%dx%dxf16>%s) "
            "outs(%%i%d : tensor<?x%dxf32>) -> tensor<?x%dxf32>\n"
            % (i, op, x, i, i, operands, k, n, words, n, entries, types, i, n, n)
        )
        return "%%y%d" % i

    def sparse(self, i, k, n):
        rows, columns = [0], []
        for _ in range(n):
            columns += sorted(random.sample(range(k), int(k * self.density + random.random())))
            rows.append(len(columns))
        count = len(columns)
        constant(self.out, "p%d" % i, struct.pack("<%dI" % len(rows), *rows), "%dxi32" % (n + 1))
        constant(self.out, "l%d" % i, struct.pack("<%dH" % count, *columns), "%dxi16" % count)
        values = struct.pack("<%de" % count, *(random.gauss(0, 0.1) for _ in columns))
        constant(self.out, "v%d" % i, values, "%dxf16" % count)
        self.out.write(
            "  %%s%d = sq.csr %%p%d, %%l%d, %%v%d : tensor<%dxi32>, tensor<%dxi16>, tensor<%dxf16> -> tensor<%dx%dxf16>\n"
            % (i, i, i, i, n + 1, count, count, n, k)
        )


def main():
    bits, density, path = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    layers = int(sys.argv[4]) if len(sys.argv) > 4 else 22
    hidden, inner, kv, words = 2048, 5632, 256, 32000
    random.seed(1)
    ports = [("k%d" % i, kv) for i in range(2 * layers)] + [("u%d" % i, inner) for i in range(layers)] + [("y", words)]
    port = '{sq.name = "%s", sq.dims = ["N", "%d"], sq.dtype = "f32"}'
    with open(path, "w") as out:
        results = ", ".join("tensor<?x%dxf32> %s" % (size, port % (name, size)) for name, size in ports)
        out.write("func.func @main(%%x: tensor<?x%dxf32> %s) -> (%s) {\n" % (hidden, port % ("x", hidden), results))
        out.write("  %%zero = arith.constant 0 : index\n  %%rows = tensor.dim %%x, %%zero : tensor<?x%dxf32>\n" % hidden)
        writer, x, kept, ups = Writer(out, bits, density), "%x", [], []
        for _ in range(layers):
            q = writer.linear(x, hidden, hidden)
            kept += [writer.linear(x, hidden, kv), writer.linear(x, hidden, kv)]
            o = writer.linear(q, hidden, hidden)
            gate = writer.linear(o, hidden, inner)
            ups.append(writer.linear(o, hidden, inner))
            x = writer.linear(gate, inner, hidden)
        y = writer.linear(x, hidden, words)
        types = ", ".join("tensor<?x%dxf32>" % size for _, size in ports)
        out.write("  return %s : %s\n}\n" % (", ".join(kept + ups + [y]), types))


if __name__ == "__main__":
    main()
