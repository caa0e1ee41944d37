"""Writes one product by random codes as graph IR: in groups with scales, or with a table for each output channel.

    bench/groups.py K N BITS GROUP OUT.mlir [zeros|minima]
    sq-compile OUT.mlir -o product.so [--activations=f32]
    SQ_WEIGHTS=copied sq-bench product.so --dim=N=1 --threads=1

GROUP is a size, or "lut" for tables. Scales are f16. The script prints the bytes that a product of one row reads: codes, and tables,
scales or offsets as they are for x in 8 bits.
"""

import os
import random
import struct
import sys


def constant(out, name, data, kind):
    out.write('  %%%s = arith.constant dense<"0x%s"> : tensor<%s>\n' % (name, data.hex().upper(), kind))


def halves(count, low, high):
    return struct.pack("<%de" % count, *(random.uniform(low, high) for _ in range(count)))


def main():
    k, n, bits, group, path = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
    offsets = sys.argv[6] if len(sys.argv) > 6 else ""
    random.seed(1)
    words, entries = (k + 31) // 32 * bits, 1 << bits
    read = 4 * words * n
    with open(path, "w") as out:
        x, y = "tensor<?x%dxf32>" % k, "tensor<?x%dxf32>" % n
        port = '{sq.name = "%s", sq.dims = ["N", "%d"], sq.dtype = "f32"}'
        out.write("func.func @main(%%x: %s %s) -> (%s %s) {\n" % (x, port % ("x", k), y, port % ("y", n)))
        out.write("  %%zero = arith.constant 0 : index\n  %%rows = tensor.dim %%x, %%zero : %s\n" % x)
        out.write("  %%init = tensor.empty(%%rows) : %s\n" % y)
        constant(out, "c", os.urandom(4 * n * words), "%dx%dxi32" % (n, words))
        codes = "tensor<%dx%dxi32>" % (n, words)
        if group == "lut":
            tables = b"".join(
                struct.pack("<%de" % entries, *sorted(random.gauss(0, 0.02) for _ in range(entries))) for _ in range(n)
            )
            constant(out, "t", tables, "%dx%dxf16" % (n, entries))
            read += n * (entries + 8)
            op, operands, types, attributes = "lut_matmul", "%c, %t", codes + ", tensor<%dx%dxf16>" % (n, entries), ""
        else:
            groups = -(-k // int(group))
            kind = "%dx%dx" % (n, groups)
            constant(out, "s", halves(n * groups, 0.001, 0.01), kind + "f16")
            read += 2 * n * groups
            op, operands, types = "grouped_matmul", "%c, %s", codes + ", tensor<%sf16>" % kind
            attributes = " {bits = %d : i64, group_size = %s : i64%s}" % (
                bits, group, "" if offsets else ", zero_point = %d : i64" % (entries // 2))
            if offsets == "zeros":
                constant(out, "o", bytes(random.randrange(entries) for _ in range(n * groups)), kind + "i8")
                read += n * groups
            elif offsets:
                constant(out, "o", halves(n * groups, -0.08, 0), kind + "f16")
                read += 2 * n * groups
            if offsets:
                operands, types = operands + ", %o", types + ", tensor<%s%s>" % (kind, "i8" if offsets == "zeros" else "f16")
        out.write("  %%y = sq.%s ins(%%x, %s : %s, %s) outs(%%init : %s)%s -> %s\n" % (op, operands, x, types, y, attributes, y))
        out.write("  return %%y : %s\n}\n" % y)
    print(read)


if __name__ == "__main__":
    main()
