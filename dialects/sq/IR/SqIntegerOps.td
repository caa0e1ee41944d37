// Integer-only arithmetic of quantized tensors. Bit for bit what lib/numerics computes.
#ifndef SQ_INTEGER_OPS
#define SQ_INTEGER_OPS

include "dialects/sq/IR/SqDialect.td"

def Sq_IntegerShaped : AnyTypeOf<[TensorOf<[I8, I16, I32]>, MemRefOf<[I8, I16, I32]>],
                                 "ranked tensor or memref of 8, 16 or 32-bit integers">;
def Sq_ByteShaped : AnyTypeOf<[TensorOf<[I8]>, MemRefOf<[I8]>], "ranked tensor or memref of i8">;
def Sq_RootShaped : AnyTypeOf<[TensorOf<[I8, I16, I32, I64]>, MemRefOf<[I8, I16, I32, I64]>],
                              "ranked tensor or memref of 8 to 64-bit integers">;
def Sq_MaskShaped : AnyTypeOf<[TensorOf<[I1]>, MemRefOf<[I1]>], "ranked tensor or memref of i1">;

defvar Sq_Rounding = DefaultValuedAttr<StrAttr, "\"half_even\"">;

// `bits` is checked by what all these ops share, under the label of each.
class Sq_IntegerOp<string mnemonic, list<Trait> traits = []> : Sq_DpsOp<mnemonic, traits>;

// One input, the constants in attributes.
class Sq_IntegerMapOp<string mnemonic, list<Trait> traits = []> : Sq_IntegerOp<mnemonic, traits> {
  let results = (outs Variadic<Sq_IntegerShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `:` type($x) `)` `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_RequantizeOp : Sq_IntegerMapOp<"requantize"> {
  let summary = "quantized integers in another scale";
  let description = [{
    `y = clamp(round((x - x_zero_point) * m / 2^e) + zero_point)`, `m` and `e` of
    the channel: the ratio of two scales as a dyadic number (Yao et al. 2021,
    HAWQ-V3, section 3.2). The product is exact, in 64 bits.

    `multipliers` (m) and `exponents` (e) have one entry, or one per channel of
    dimension `axis` (negative: from the end). `rounding` says where a half goes:
    `half_even`, `half_up` or `half_away` (from zero).

    Integers in this IR have no sign: `x_unsigned` and `is_unsigned` say how those of
    `x` and of the result are read. They have `x_bits` and `bits`, all of their
    storage by default: what `x` holds is known to be within its bits, the result
    is clamped to its own.

    Two of them in a row are not one: each rounds, and the first clamps.

    - (C1) `x` and `outs` have one shape.
    - (C2) `x_bits` and `bits` are 1 up to the storage's width.
    - (C3) `multipliers` and `exponents` have 1 entry each, or as many as dimension
      `axis`, which is then static.
    - (C4) exponents are 1 to 62; `Dyadic::encodable` of lib/numerics makes them so.
    - (C5) `rounding` is one of those above.
    - (C6) a zero point is a value of its tensor.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.requantize ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$x, Sq_IntegerShaped:$outs,
                       DenseI32ArrayAttr:$multipliers, DenseI32ArrayAttr:$exponents,
                       DefaultValuedAttr<I64Attr, "-1">:$axis, Sq_Rounding:$rounding,
                       UnitAttr:$x_unsigned, OptionalAttr<I64Attr>:$x_bits,
                       DefaultValuedAttr<I64Attr, "0">:$x_zero_point, UnitAttr:$is_unsigned,
                       OptionalAttr<I64Attr>:$bits, DefaultValuedAttr<I64Attr, "0">:$zero_point);
  let hasFolder = 1;
}

def Sq_RequantizedAddOp : Sq_IntegerOp<"requantized_add"> {
  let summary = "sum of two quantized tensors in the scale of a third";
  let description = [{
    `y = clamp(round(((a - a_zero_point) * A + (b - b_zero_point) * B) / 2^e) + zero_point)`:
    both operands in one common exponent, so that the sum is rounded once.
    (Requantizing each first, as HAWQ-V3 and I-BERT do, is not the correctly
    rounded sum for a quarter of all pairs of 8-bit integers.)

    `a_multipliers` (A), `b_multipliers` (B) and `exponents` (e) have one entry, or one
    per channel of dimension `axis`; a factor may have 62 bits, and that no sum
    leaves 64 bits is proved from the operands' bits by `--sq-lower-integer`.
    `DyadicSum` of lib/numerics makes them. The rest is as in `sq.requantize`.

    - (C1) dims of `a` and `b` are those of `outs`, aligned at the last, or statically 1.
    - (C2) `a_bits`, `b_bits` and `bits` are 1 up to the storage's width.
    - (C3) `a_multipliers`, `b_multipliers` and `exponents` have 1 entry each, or as many
      as dimension `axis`, which is then static.
    - (C4) exponents are 1 to 62.
    - (C5) `rounding` is `half_even`, `half_up` or `half_away`.
    - (C6) a zero point is a value of its tensor.

    Example:
    ```mlir
    func.func @example(%a: tensor<?x8xi32>, %b: tensor<?x8xi8>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
      %y = sq.requantized_add ins(%a, %b : tensor<?x8xi32>, tensor<?x8xi8>) outs(%init : tensor<?x8xi32>) {a_multipliers = array<i64: 1065151889>, b_multipliers = array<i64: 1628651599>, exponents = array<i32: 31>, a_bits = 24 : i64, bits = 22 : i64} -> tensor<?x8xi32>
      return %y : tensor<?x8xi32>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$a, Sq_IntegerShaped:$b, Sq_IntegerShaped:$outs,
                       DenseI64ArrayAttr:$a_multipliers, DenseI64ArrayAttr:$b_multipliers,
                       DenseI32ArrayAttr:$exponents, DefaultValuedAttr<I64Attr, "-1">:$axis,
                       Sq_Rounding:$rounding,
                       UnitAttr:$a_unsigned, OptionalAttr<I64Attr>:$a_bits,
                       DefaultValuedAttr<I64Attr, "0">:$a_zero_point,
                       UnitAttr:$b_unsigned, OptionalAttr<I64Attr>:$b_bits,
                       DefaultValuedAttr<I64Attr, "0">:$b_zero_point, UnitAttr:$is_unsigned,
                       OptionalAttr<I64Attr>:$bits, DefaultValuedAttr<I64Attr, "0">:$zero_point);
  let results = (outs Variadic<Sq_IntegerShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $a `,` $b `:` type($a) `,` type($b) `)` `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_IntGeluOp : Sq_IntegerMapOp<"int_gelu"> {
  let summary = "GELU of integers by a polynomial";
  let description = [{
    With the constants of the channel, all integers (Kim et al. 2021, I-BERT,
    equations 8 and 9; `IntegerGelu` of lib/numerics makes them from the scales):

        q = clamp(x, -limit, high)
        erf = round_half_up((one - (limit - min(|q|, limit))^2) / 2^shift)
        y = clamp(round(q * (round_half_up(one / 2^shift) + sgn(q) * erf) * m / 2^e))

    The error is at most 0.0182 and half a unit of the result. Each list has one
    entry, or one per channel of dimension `axis`. `x_bits`, `bits`, their signs and
    `rounding` are as in `sq.requantize`. That no step leaves 64 bits is proved by
    `--sq-lower-integer`, which computes 8-bit inputs by a table.

    - (C1) `x` and `outs` have one shape.
    - (C2) `x_bits` and `bits` are 1 up to the storage's width.
    - (C3) all lists have 1 entry each, or as many as dimension `axis`, which is then static.
    - (C4) exponents are 1 to 62, shifts 0 to 47.
    - (C5) `rounding` is `half_even`, `half_up` or `half_away`.
    - (C6) `limits` are positive, `highs` at least as large, and `ones` not less than their squares.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.int_gelu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {limits = array<i64: 25017>, highs = array<i64: 60474>, ones = array<i64: 692520776>, shifts = array<i32: 15>, multipliers = array<i32: 902109734>, exponents = array<i32: 54>} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$x, Sq_IntegerShaped:$outs, DenseI64ArrayAttr:$limits,
                       DenseI64ArrayAttr:$highs, DenseI64ArrayAttr:$ones, DenseI32ArrayAttr:$shifts,
                       DenseI32ArrayAttr:$multipliers, DenseI32ArrayAttr:$exponents,
                       DefaultValuedAttr<I64Attr, "-1">:$axis, Sq_Rounding:$rounding,
                       UnitAttr:$x_unsigned, OptionalAttr<I64Attr>:$x_bits, UnitAttr:$is_unsigned,
                       OptionalAttr<I64Attr>:$bits);
}

// Sigmoid and tanh, which differ in the last step only.
class Sq_IntSigmoidLikeOp<string mnemonic> : Sq_IntegerMapOp<mnemonic> {
  let arguments = (ins Sq_IntegerShaped:$x, Sq_IntegerShaped:$outs, I64Attr:$exp_shift, I64Attr:$ln2,
                       I64Attr:$exp_b, I64Attr:$exp_c, I32Attr:$multiplier, I32Attr:$exponent,
                       Sq_Rounding:$rounding, UnitAttr:$x_unsigned, OptionalAttr<I64Attr>:$x_bits,
                       UnitAttr:$is_unsigned, OptionalAttr<I64Attr>:$bits);
}

def Sq_IntSigmoidOp : Sq_IntSigmoidLikeOp<"int_sigmoid"> {
  let summary = "sigmoid of integers";
  let description = [{
    With the integer exponential of `sq.int_softmax`, `E = exp(-|x|)` and `one = exp(0)`:

        s = round_half_up(2^15 * one / (one + E)), for x < 0: 2^15 - s
        y = clamp(round(s * multiplier / 2^exponent))

    `IntegerSigmoid` of lib/numerics makes the constants; the error is at most
    0.0008 and half a unit of the result. `x_bits`, `bits`, their signs and
    `rounding` are as in `sq.requantize`.

    - (C1) `x` and `outs` have one shape.
    - (C2) `x_bits` and `bits` are 1 up to the storage's width.
    - (C3) the constants of the exponential are as `sq.int_softmax` has them.
    - (C4) `exponent` is 1 to 62.
    - (C5) `rounding` is `half_even`, `half_up` or `half_away`.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.int_sigmoid ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 2130706432 : i32, exponent = 39 : i32} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
}

def Sq_IntTanhOp : Sq_IntSigmoidLikeOp<"int_tanh"> {
  let summary = "hyperbolic tangent of integers";
  let description = [{
    With the integer exponential of `sq.int_softmax` for twice the scale of `x`,
    `E = exp(-2|x|)` and `one = exp(0)`:

        t = round_half_up(2^15 * (one - E) / (one + E)), for x < 0: -t
        y = clamp(round(t * multiplier / 2^exponent))

    `IntegerSigmoid` of lib/numerics makes the constants; the error is at most
    0.0016 and half a unit of the result. `x_bits`, `bits`, their signs and
    `rounding` are as in `sq.requantize`.

    - (C1) `x` and `outs` have one shape.
    - (C2) `x_bits` and `bits` are 1 up to the storage's width.
    - (C3) the constants of the exponential are as `sq.int_softmax` has them.
    - (C4) `exponent` is 1 to 62.
    - (C5) `rounding` is `half_even`, `half_up` or `half_away`.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.int_tanh ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 2130706432 : i32, exponent = 39 : i32} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
}

def Sq_IntSiluOp : Sq_IntegerMapOp<"int_silu"> {
  let summary = "x * sigmoid(x) of integers";
  let description = [{
    With `s` as in `sq.int_sigmoid`, of q in units of 2^-15:

        q = clamp(x, low, high)
        y = clamp(round(q * s(q) * multiplier / 2^exponent))

    Below `low` the result is 0, above `high` it is the limit. `IntegerSigmoid` of
    lib/numerics makes the constants. `x_bits`, `bits`, their signs and `rounding` are as
    in `sq.requantize`.

    - (C1) `x` and `outs` have one shape.
    - (C2) `x_bits` and `bits` are 1 up to the storage's width.
    - (C3) the constants of the exponential are as `sq.int_softmax` has them.
    - (C4) `exponent` is 1 to 62.
    - (C5) `rounding` is `half_even`, `half_up` or `half_away`.
    - (C6) `low` is at most 0, `high` at least 0.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.int_silu ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {low = -70400 : i64, high = 20961 : i64, exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 1342177280 : i32, exponent = 53 : i32} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$x, Sq_IntegerShaped:$outs, I64Attr:$low, I64Attr:$high,
                       I64Attr:$exp_shift, I64Attr:$ln2, I64Attr:$exp_b, I64Attr:$exp_c,
                       I32Attr:$multiplier, I32Attr:$exponent, Sq_Rounding:$rounding,
                       UnitAttr:$x_unsigned, OptionalAttr<I64Attr>:$x_bits, UnitAttr:$is_unsigned,
                       OptionalAttr<I64Attr>:$bits);
}

def Sq_LookupOp : Sq_IntegerMapOp<"lookup"> {
  let summary = "any function of 8-bit integers, by a table";
  let description = [{
    `y = table[x]`, `x` read as an unsigned number from its bits: entry 255 is
    that of -1 where `x` is signed. A table is exact for every function of one
    8-bit tensor (Jacob et al. 2018 use them likewise for tanh and sigmoid).

    - (C1) `x` and `outs` have one shape.
    - (C2) `table` has 256 entries.
    - (C3) each entry is a value of the result, signed or unsigned.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi8>, %init: tensor<?x8xi8>, %table: tensor<256xi8>) -> tensor<?x8xi8> {
      %y = sq.lookup ins(%x : tensor<?x8xi8>) outs(%init : tensor<?x8xi8>) {table = dense<7> : tensor<256xi32>} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
  let arguments = (ins Sq_ByteShaped:$x, Sq_IntegerShaped:$outs, I32ElementsAttr:$table);
  let hasFolder = 1;
  let hasCanonicalizeMethod = 1;
}

def Sq_IntPiecewiseOp : Sq_IntegerMapOp<"int_piecewise"> {
  let summary = "any function of integers, by a parabola in each of 32 segments";
  let description = [{
    With `x` read as an unsigned number of 13 bits, of which 5 say which segment it is in,

        i = x >> 8, r = (x & 255) - 128
        y = clamp((bases[i] + slopes[i] * r + curves[i] * r^2) >> shift)

    all in 32 bits; the zero point and the half that makes the shift round are in
    `bases`. `IntegerPiecewise` of lib/numerics makes the constants. Of GELU on -4 to 10
    the error is at most 0.001 and half a unit of the result, where `sq.int_gelu` has 0.018.
    `bits` and `is_unsigned` are as in `sq.requantize`.

    - (C1) `x` and `outs` have one shape.
    - (C2) `x` has 16 or 32 bits of storage, `bits` is 1 up to that of the result.
    - (C3) `bases`, `slopes` and `curves` have 32 entries each.
    - (C4) slopes and curves have 16 bits.
    - (C5) `shift` is 1 to 30.
    - (C6) no sum can leave 32 bits: |base| + 2^7 |slope| + 2^14 |curve| is below 2^31.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi16>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.int_piecewise ins(%x : tensor<?x8xi16>) outs(%init : tensor<?x8xi8>) {
        bases = array<i32: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31>,
        slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>,
        curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1>,
        shift = 4 : i64} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$x, Sq_IntegerShaped:$outs, DenseI32ArrayAttr:$bases, DenseI32ArrayAttr:$slopes,
                       DenseI32ArrayAttr:$curves, I64Attr:$shift, UnitAttr:$is_unsigned, OptionalAttr<I64Attr>:$bits);
  let extraClassDeclaration = dpsDeclaration # [{
    /// As lib/numerics has it.
    numerics::IntegerPiecewise function();
  }];
}

def Sq_ParabolaOp : Sq_Op<"parabola", [Pure, SameOperandsAndResultType, Elementwise, Scalarizable, Vectorizable, Tensorizable]> {
  let summary = "the sum of sq.int_piecewise, of one number";
  let description = [{
    `bases[i] + slopes[i] * r + curves[i] * r^2` with `i = (x >> 8) & 31` and `r = (x & 255) - 128`: what
    `--sq-lower-integer` makes loops and epilogues of products with. In vectors of 8 and 16 numbers the constants lie in registers.

    - (C1) `bases`, `slopes` and `curves` have 32 entries each.
    - (C2) slopes and curves have 16 bits, and no sum can leave 32 bits (`sq.int_piecewise`, C6).

    Example:
    ```mlir
    func.func @example(%x: i32) -> i32 {
      %y = sq.parabola %x {
        bases = array<i32: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31>,
        slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>,
        curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1>} : i32
      return %y : i32
    }
    ```
  }];
  let arguments = (ins SignlessIntegerLike:$x, DenseI32ArrayAttr:$bases, DenseI32ArrayAttr:$slopes, DenseI32ArrayAttr:$curves);
  let results = (outs SignlessIntegerLike:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def Sq_IntSqrtOp : Sq_IntegerOp<"int_sqrt"> {
  let summary = "integer square root";
  let description = [{
    `y = floor(sqrt(x))`, `x` read as an unsigned number: Newton's method from above
    (Kim et al. 2021, I-BERT, algorithm 4), with 5 steps for 32 bits and 6 for 64; the
    paper's four are too few for one of 30000 numbers, 16785408 the first.

    - (C1) `x` and `outs` have one type.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %init: tensor<?x8xi32>) -> tensor<?x8xi32> {
      %y = sq.int_sqrt ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi32>) -> tensor<?x8xi32>
      return %y : tensor<?x8xi32>
    }
    ```
  }];
  let arguments = (ins Sq_RootShaped:$x, Sq_RootShaped:$outs);
  let results = (outs Variadic<Sq_RootShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `:` type($x) `)` `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_IntSoftmaxOp : Sq_IntegerOp<"int_softmax"> {
  let summary = "softmax of integers over the last dimension";
  let description = [{
    The exponential of `d <= 0` is `2^-z` and a polynomial on (-ln 2, 0] (Kim et al.
    2021, I-BERT, equations 12 to 14), in units of `exp(0) = exp_b^2 + exp_c`:

        d = max(x) - x                           of what `keep` keeps
        d = exp_shift >= 0 ? d << exp_shift : round_half_up(d / 2^-exp_shift)
        z = d / ln2, r = z * ln2 - d
        E = z > 30 ? 0 : round_half_up(((r + exp_b)^2 + exp_c) / 2^z)

    and 0 where `keep` is false. `IntegerExp` of lib/numerics makes the constants
    from the scale of `x`. The result is unsigned, in 8 bits: with `T = sum E`, in
    units of 1/256,

        t = bit length of T, R = 2^(t + 23) / T
        y = min(255, (E * R + 2^(t + 14)) >> (t + 15))

    or with `deferred`, `(255 * E + exp(0) / 2) / exp(0)`: relative to the largest of
    its row, to be divided by their sum after the product with the values
    (`sq.int_context`), since a fixed 1/256 loses what long rows attend to.

    A row of which nothing is kept is 0, or with `fully_masked_uniform` what it
    would be without `keep` (a mask of -10000 means that in floating point).

    - (C1) `x` and `outs` have one shape and a rank of at least 1.
    - (C2) `x_bits` is 1 up to the storage's width.
    - (C3) `exp_shift` is -31 to 31, `ln2` 4096 to 8192, `exp_b` larger than that and below 2^14,
      and `exp(0)` 2^26 to 2^29.
    - (C4) `keep` has the rank of `x`; its dims are those of `x` or statically 1.
    - (C5) a row has at most 2^26 elements, where that is known.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x2x?x?xi32>, %keep: tensor<?x1x1x?xi1>, %init: tensor<?x2x?x?xi8>) -> tensor<?x2x?x?xi8> {
      %y = sq.int_softmax ins(%x : tensor<?x2x?x?xi32>) keep(%keep : tensor<?x1x1x?xi1>) outs(%init : tensor<?x2x?x?xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64} -> tensor<?x2x?x?xi8>
      return %y : tensor<?x2x?x?xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$x, Optional<Sq_MaskShaped>:$keep, Sq_ByteShaped:$outs,
                       I64Attr:$exp_shift, I64Attr:$ln2, I64Attr:$exp_b, I64Attr:$exp_c,
                       UnitAttr:$deferred, UnitAttr:$fully_masked_uniform, UnitAttr:$x_unsigned,
                       OptionalAttr<I64Attr>:$x_bits);
  let results = (outs Variadic<Sq_ByteShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `:` type($x) `)` (`keep` `(` $keep^ `:` type($keep) `)`)?
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_IntContextOp : Sq_IntegerOp<"int_context"> {
  let summary = "attention's result from deferred probabilities";
  let description = [{
    Divides the rows of `acc`, sums of values weighted with the probabilities of a
    deferred `sq.int_softmax`, by the sum of these, `s = sum_t p[.., t]`:

        l = bit length of s, R = 2^(l + 30) / s
        c = round_half_up(acc * R / 2^(l + 14))      0 where s is 0
        y = clamp(round(c * m / 2^e) + zero_point)

    `c` is in units of the values' scale / 65536, which `multiplier` (m) and
    `exponent` (e) take to that of the result. `bits`, its sign and `rounding` are
    as in `sq.requantize`. `acc` must be such a sum of signed 8-bit values: |acc| <= 128 s.

    - (C1) `acc` and `outs` have one shape of rank 1 at least.
    - (C2) `p` has the rank of `acc` and all of its dims but the last, of which it has at most 65793
      where that is known.
    - (C3) `bits` is 1 up to the storage's width.
    - (C4) `exponent` is 1 to 62.
    - (C5) `rounding` is `half_even`, `half_up` or `half_away`.
    - (C6) the zero point is a value of the result.

    Example:
    ```mlir
    func.func @example(%acc: tensor<?x2x?x32xi32>, %p: tensor<?x2x?x?xi8>, %init: tensor<?x2x?x32xi8>) -> tensor<?x2x?x32xi8> {
      %y = sq.int_context ins(%acc, %p : tensor<?x2x?x32xi32>, tensor<?x2x?x?xi8>) outs(%init : tensor<?x2x?x32xi8>) {multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<?x2x?x32xi8>
      return %y : tensor<?x2x?x32xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$acc, Sq_ByteShaped:$p, Sq_IntegerShaped:$outs,
                       I32Attr:$multiplier, I32Attr:$exponent, Sq_Rounding:$rounding,
                       UnitAttr:$is_unsigned, OptionalAttr<I64Attr>:$bits,
                       DefaultValuedAttr<I64Attr, "0">:$zero_point);
  let results = (outs Variadic<Sq_IntegerShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $acc `,` $p `:` type($acc) `,` type($p) `)` `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_IntAttentionOp : Sq_IntegerOp<"int_attention"> {
  let summary = "scaled dot-product attention of integers";
  let description = [{
    With the layout of `sq.attention`, the head axis third:

        x[b,h,s,t] = sum_d q[b,s,h,d] * k[b,t,h',d]
        p[b,h,s,t] = 255 exp(x - max_t(x)), of what `keep` keeps, otherwise 0
        acc[b,s,h,d] = sum_t p[b,h,s,t] * v[b,t,h',d]
        y[b,s,h,d] = clamp(round(acc[b,s,h,d] * multiplier / (2^exponent * sum_t p[b,h,s,t])) + zero_point)

    The exponential of d <= 0 is a table of an octave in 32 steps, shifted, all in 16 bits:

        d = min(exp_shift >= 0 ? -d >> exp_shift : min(-d, 32767) << -exp_shift, 32767)
        t = (d * exp_factor + 2^14) >> 15
        p = ((round(255 * 128 * 2^-((t mod 32) / 32)) >> (t / 32)) + 64) >> 7

    (`OctaveExp` of lib/numerics makes the constants from the scale of scores, with the 1 / sqrt(d) of attention). The
    quotient is one product with `(multiplier << (l - 1)) / s`, l the bits of the sum s, shifted by
    `exponent + l - 1` and rounded half up.

    q and v are signed bytes. k is signed, or with `k_unsigned` unsigned: a zero point of k moves all
    scores of a query alike, which softmax does not see. `keep` holds bytes, 0 for a key
    that a query does not see. `causal` is as in `sq.attention`, and joins `keep`. A query that sees no key gives
    `zero_point`, or with `fully_masked_uniform` what it would without `keep` (a mask of -10000 means that in floating
    point). The ratio of v's scale to that of the result is `multiplier / 2^exponent`.

    - (C1) q, k, v and outs have rank 4; batch and head size agree, k and v have
      one shape, and their number of heads divides that of q.
    - (C2) `keep` has rank 4; each dim may be statically 1.
    - (C3) `exp_shift` is -15 to 31 and `exp_factor` 0 to 2047.
    - (C4) `multiplier` is not negative and `exponent` 8 to 38.
    - (C5) the zero point is a value of the result.
    - (C6) the head size is static and at most 65793, so are keys where their number is known.

    Example:
    ```mlir
    func.func @example(%q: tensor<?x?x2x32xi8>, %k: tensor<?x?x2x32xi8>, %v: tensor<?x?x2x32xi8>, %keep: tensor<?x1x1x?xi8>, %init: tensor<?x?x2x32xi8>) -> tensor<?x?x2x32xi8> {
      %y = sq.int_attention ins(%q, %k, %v : tensor<?x?x2x32xi8>, tensor<?x?x2x32xi8>, tensor<?x?x2x32xi8>) keep(%keep : tensor<?x1x1x?xi8>) outs(%init : tensor<?x?x2x32xi8>) {exp_shift = 2 : i64, exp_factor = 1890 : i64, multiplier = 1610612736 : i32, exponent = 30 : i32} -> tensor<?x?x2x32xi8>
      return %y : tensor<?x?x2x32xi8>
    }
    ```
  }];
  let arguments = (ins Sq_ByteShaped:$q, Sq_ByteShaped:$k, Sq_ByteShaped:$v, Optional<Sq_ByteShaped>:$keep,
                       Sq_ByteShaped:$outs, I64Attr:$exp_shift, I64Attr:$exp_factor,
                       UnitAttr:$causal, UnitAttr:$fully_masked_uniform, UnitAttr:$k_unsigned,
                       I32Attr:$multiplier, I32Attr:$exponent, UnitAttr:$is_unsigned,
                       DefaultValuedAttr<I64Attr, "0">:$zero_point);
  let results = (outs Variadic<Sq_ByteShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $q `,` $k `,` $v `:` type($q) `,` type($k) `,` type($v) `)`
    (`keep` `(` $keep^ `:` type($keep) `)`)? `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_IntLayerNormOp : Sq_IntegerMapOp<"int_layer_norm"> {
  let summary = "layer normalization of integers over the last dimension";
  let description = [{
    With C channels, all in 64-bit integers (after Kim et al. 2021, I-BERT, section
    3.6; unlike there, the mean has `shift` fraction bits, epsilon is kept, and the
    reciprocal has 31 significant bits):

        mu = floor((2 * (sum(x) << shift) + C) / 2C), y_j = (x_j << shift) - mu
        V = sum y_j^2 + epsilon                      V = 0: n_j = 0
        k = max(0, (62 - bit length of V) / 2), s = isqrt(V << 2k), l = bit length of s
        R = 2^(l + 30) / s, n_j = round_half_up(y_j * R / 2^(l - k))
        result_j = clamp(round((n_j * m_j + b_j) / 2^exponent))

    `multipliers` (m) and `addends` (b) hold gamma and beta in the result's scale, one
    entry or one per channel. `IntegerNorm` and `IntegerAffine` of lib/numerics make
    the constants. `x_bits`, `bits`, their signs and `rounding` are as in `sq.requantize`.

    - (C1) `x` and `outs` have one shape and a last dim that is static and positive.
    - (C2) `x_bits` and `bits` are 1 up to the storage's width.
    - (C3) `multipliers` and `addends` have 1 entry each, or as many as the last dim.
    - (C4) `exponent` is 1 to 62.
    - (C5) `rounding` is `half_even`, `half_up` or `half_away`.
    - (C6) `shift` is 0 to 16, and `epsilon` 0 up to 2^61.
    - (C7) C squares of `x_bits - 1 + shift` bits are below 2^61.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.int_layer_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {shift = 8 : i64, epsilon = 2684355 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$x, Sq_IntegerShaped:$outs, I64Attr:$shift, I64Attr:$epsilon,
                       DenseI32ArrayAttr:$multipliers, DenseI64ArrayAttr:$addends, I32Attr:$exponent,
                       Sq_Rounding:$rounding, UnitAttr:$x_unsigned, OptionalAttr<I64Attr>:$x_bits,
                       UnitAttr:$is_unsigned, OptionalAttr<I64Attr>:$bits);
}

def Sq_IntRmsNormOp : Sq_IntegerMapOp<"int_rms_norm"> {
  let summary = "root mean square normalization of integers over the last dimension";
  let description = [{
    `sq.int_layer_norm` with `mu = 0` and `shift = 0`.

    - (C1) `x` and `outs` have one shape and a last dim that is static and positive.
    - (C2) `x_bits` and `bits` are 1 up to the storage's width.
    - (C3) `multipliers` and `addends` have 1 entry each, or as many as the last dim.
    - (C4) `exponent` is 1 to 62.
    - (C5) `rounding` is `half_even`, `half_up` or `half_away`.
    - (C6) `epsilon` is 0 up to 2^61.
    - (C7) C squares of `x_bits - 1` bits are below 2^61.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.int_rms_norm ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {epsilon = 41 : i64, multipliers = array<i32: 1518500250>, addends = array<i64: 0>, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$x, Sq_IntegerShaped:$outs, I64Attr:$epsilon,
                       DenseI32ArrayAttr:$multipliers, DenseI64ArrayAttr:$addends, I32Attr:$exponent,
                       Sq_Rounding:$rounding, UnitAttr:$x_unsigned, OptionalAttr<I64Attr>:$x_bits,
                       UnitAttr:$is_unsigned, OptionalAttr<I64Attr>:$bits);
}

def Sq_IntNormRowsOp : Sq_IntegerOp<"int_norm_rows"> {
  let summary = "sq.int_layer_norm or sq.int_rms_norm, as the host's kernel takes it";
  let description = [{
    The same numbers, rounded half up: of `sq.int_layer_norm` if `centred`, else of `sq.int_rms_norm`.
    `multipliers` and `addends` are memory, of one entry per channel, which vectors read without masks: of each 16 channels
    the addends are those of the even ones, then those of the odd ones. What is behind the last channel is 0.
    `--sq-lower-integer=keep-host` makes it.

    - (C1) `x` and `outs` have one shape and a last dim that is static and positive.
    - (C2) `x_bits` and `bits` are 1 up to the storage's width.
    - (C3) `addends` has the last dim's size, rounded up to a multiple of 16, `multipliers` 16 more.
    - (C4) `exponent` is 1 to 62.
    - (C5) `shift` is 0 to 16, and `epsilon` 0 up to 2^61.
    - (C6) C squares of `x_bits - 1 + shift` bits are below 2^61.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xi32>, %m: tensor<32xi32>, %b: tensor<16xi64>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
      %y = sq.int_norm_rows ins(%x, %m, %b : tensor<?x8xi32>, tensor<32xi32>, tensor<16xi64>) outs(%init : tensor<?x8xi8>) {centred, shift = 8 : i64, epsilon = 2684355 : i64, exponent = 55 : i32, x_bits = 22 : i64} -> tensor<?x8xi8>
      return %y : tensor<?x8xi8>
    }
    ```
  }];
  let arguments = (ins Sq_IntegerShaped:$x, Sq_IntegerShaped:$multipliers, Sq_IndexShaped:$addends, Sq_IntegerShaped:$outs, UnitAttr:$centred,
                       I64Attr:$shift, I64Attr:$epsilon, I32Attr:$exponent, UnitAttr:$x_unsigned, OptionalAttr<I64Attr>:$x_bits,
                       UnitAttr:$is_unsigned, OptionalAttr<I64Attr>:$bits);
  let extraClassDeclaration = dpsDeclaration # [{
    static constexpr int64_t kBlock = 16;
    static int64_t storedAddends(int64_t channels) { return (channels + kBlock - 1) / kBlock * kBlock; }
    static int64_t storedMultipliers(int64_t channels) { return storedAddends(channels) + kBlock; }
    /// Of channel `c`.
    static int64_t addendPlace(int64_t c) { return c / kBlock * kBlock + c % 2 * (kBlock / 2) + c % kBlock / 2; }
  }];
  let results = (outs Variadic<Sq_IntegerShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `,` $multipliers `,` $addends `:` type($x) `,` type($multipliers) `,` type($addends) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

#endif
