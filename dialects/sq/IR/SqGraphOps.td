#ifndef SQ_GRAPH_OPS
#define SQ_GRAPH_OPS

include "dialects/sq/IR/SqDialect.td"

def Sq_MatmulOp : Sq_DpsOp<"matmul"> {
  let summary = "batched matrix product of two run-time tensors";
  let description = [{
    `c[.., m, n] = sum_k a[.., m, k] * b[.., k, n]`, accumulated in the element
    type of `c` (f32 for f32 operands).

    - (C1) the three operands have one rank, at least 2.
    - (C2) leading dims of `a` and `b` equal those of `c`, or are statically 1 (broadcast).
    - (C3) static m, k and n agree.

    Example:
    ```mlir
    func.func @example(%a: tensor<?x2x8x4xf32>, %b: tensor<?x2x4x8xf32>, %init: tensor<?x2x8x8xf32>) -> tensor<?x2x8x8xf32> {
      %c = sq.matmul ins(%a, %b : tensor<?x2x8x4xf32>, tensor<?x2x4x8xf32>) outs(%init : tensor<?x2x8x8xf32>) -> tensor<?x2x8x8xf32>
      return %c : tensor<?x2x8x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$a, Sq_F32Shaped:$b, Sq_F32Shaped:$outs);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $a `,` $b `:` type($a) `,` type($b) `)` `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_LinearOp : Sq_DpsOp<"linear"> {
  let summary = "matrix product with a constant weight";
  let description = [{
    `y[.., n] = sum_k x[.., k] * w[k, n] + bias[n]`; with `transpose_weight`,
    `w` is `[n, k]`. All leading dims of `x` are rows. Quantised elements stand for the floats that
    they express; their products are summed exactly, as integers. With `outs` of i32 the sums stay as
    they are, `sum_k (x - zero_x)(w - zero_w[n]) + bias[n]` modulo 2^32, and `bias` is i32, too: for
    scales that only the run knows, and for what stays in integers.

    - (C1) `w` is a matrix whose k equals the last dim of `x` and whose n that of `outs`.
    - (C2) `bias`, when given, is `[n]`.
    - (C3) `x` and `outs` have one rank, and equal leading dims.
    - (C4) both `x` and `w` are quantised or none; `x` then with one scale, `w` with one or one per n.
    - (C5) `outs` is of floats, or of i32 when `x` is quantised; `bias` is of floats or of i32 likewise.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) bias(%b : tensor<8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_FloatOrQuantizedShaped:$x, Sq_FloatOrQuantizedShaped:$weight,
                       Optional<Sq_NumberShaped>:$bias, Sq_NumberShaped:$outs, UnitAttr:$transpose_weight);
  let results = (outs Variadic<Sq_NumberShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `,` $weight `:` type($x) `,` type($weight) `)`
    (`bias` `(` $bias^ `:` type($bias) `)`)? `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_SoftmaxOp : Sq_DpsOp<"softmax"> {
  let summary = "softmax over the last dimension";
  let description = [{
    `y[.., i] = exp(x[.., i] - max_j x[.., j]) / sum_j exp(x[.., j] - max)`,
    sums in f32. A row of -inf gives NaN, as IEEE arithmetic has it.

    - (C1) `x` and `outs` have one shape and a rank of at least 1.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.softmax ins(%x : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_F32Shaped:$outs);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `:` type($x) `)` `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_LayerNormOp : Sq_DpsOp<"layer_norm"> {
  let summary = "layer normalization over the last dimension";
  let description = [{
    `y = (x - mean) / sqrt(var + epsilon) * scale + bias`, `mean` and the biased
    `var` over the last dimension (Ba et al. 2016, equations 3 and 4), both in
    two passes in f32.

    - (C1) `x` and `outs` have one shape and a rank of at least 1.
    - (C2) `scale` and, when given, `bias` are vectors as long as the last dim.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.layer_norm ins(%x, %s : tensor<?x8xf32>, tensor<8xf32>) bias(%b : tensor<8xf32>) outs(%init : tensor<?x8xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_F32Shaped:$scale, Optional<Sq_F32Shaped>:$bias,
                       Sq_F32Shaped:$outs, F32Attr:$epsilon);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `,` $scale `:` type($x) `,` type($scale) `)`
    (`bias` `(` $bias^ `:` type($bias) `)`)? `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_RmsNormOp : Sq_DpsOp<"rms_norm"> {
  let summary = "root mean square normalization over the last dimension";
  let description = [{
    `y = x / sqrt(mean(x^2) + epsilon) * scale`, the mean over the last
    dimension (Zhang and Sennrich 2019, equation 4), in f32.

    - (C1) `x` and `outs` have one shape and a rank of at least 1.
    - (C2) `scale` is a vector as long as the last dim.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.rms_norm ins(%x, %s : tensor<?x8xf32>, tensor<8xf32>) outs(%init : tensor<?x8xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_F32Shaped:$scale, Sq_F32Shaped:$outs, F32Attr:$epsilon);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `,` $scale `:` type($x) `,` type($scale) `)` `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_GeluOp : Sq_DpsOp<"gelu"> {
  let summary = "Gaussian error linear unit";
  let description = [{
    `y = x/2 (1 + erf(x / sqrt 2))`; with `tanh`, its approximation
    `x/2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))` (Hendrycks and Gimpel
    2016, section 2). f16 and bf16 are computed in f32 and rounded once. Where
    what follows rounds coarser, `tolerance` says how wrong an element may be
    (of an `x` beyond 10 times so much as |x| is more): a shorter polynomial may do.

    - (C1) `x` and `outs` have one shape.
    - (C2) `tolerance` is a number of at least 0.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.gelu ins(%x : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) {tanh, tolerance = 1.0e-3 : f32} -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_F32Shaped:$outs, UnitAttr:$tanh, OptionalAttr<F32Attr>:$tolerance);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `:` type($x) `)` `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

def Sq_SiluOp : Sq_DpsOp<"silu"> {
  let summary = "sigmoid linear unit, alone or as the gate of SwiGLU";
  let description = [{
    `y = x / (1 + exp(-alpha x)) * up`; without `up` there is no such factor.
    `alpha` = 1 is SiLU (Elfwing et al. 2017) and, with `up`, SwiGLU (Shazeer
    2020, equation 6); 1.702 is the sigmoid approximation of GELU.
    f16 and bf16 are computed in f32 and rounded once.

    - (C1) `x`, `outs` and, when given, `up` have one shape.

    Example:
    ```mlir
    func.func @example(%gate: tensor<?x8xf32>, %up: tensor<?x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.silu ins(%gate : tensor<?x8xf32>) up(%up : tensor<?x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Optional<Sq_F32Shaped>:$up, Sq_F32Shaped:$outs,
                       DefaultValuedAttr<F32Attr, "1.0f">:$alpha);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `:` type($x) `)` (`up` `(` $up^ `:` type($up) `)`)?
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_EmbeddingOp : Sq_DpsOp<"embedding", [AttrSizedOperandSegments]> {
  let summary = "sum of rows of tables";
  let description = [{
    `y[i.., :] = sum_n tables[n][indices[n][i..], :]`: words, or words, positions
    and types. Indices align with the leading dims of `y` at their last; where
    they have no dim, or one of 1, they are the same for all. An index outside
    its table is undefined: what makes the op checks and clamps them.
    f16 and bf16 are added in f32 and rounded once. A table may be of signed bytes: each row
    is then multiplied by a number of its own, of the next of `scales`.

    - (C1) there are as many tables as indices, at least one.
    - (C2) a table is a matrix of floats or i8, as wide as the last dim of `outs`.
    - (C3) dims of indices are those of `outs` or statically 1.
    - (C4) there are as many scales as tables of i8, each a number per row of its table.

    Example:
    ```mlir
    func.func @example(%ids: tensor<?x?xi64>, %places: tensor<?xi64>, %words: tensor<99x8xf32>, %positions: tensor<16x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
      %y = sq.embedding ins(%ids, %places : tensor<?x?xi64>, tensor<?xi64>) tables(%words, %positions : tensor<99x8xf32>, tensor<16x8xf32>) outs(%init : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
      return %y : tensor<?x?x8xf32>
    }
    func.func @bytes(%ids: tensor<?x?xi64>, %words: tensor<99x8xi8>, %scales: tensor<99xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
      %y = sq.embedding ins(%ids : tensor<?x?xi64>) tables(%words : tensor<99x8xi8>) scales(%scales : tensor<99xf32>) outs(%init : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
      return %y : tensor<?x?x8xf32>
    }
    ```
  }];
  let arguments = (ins Variadic<Sq_IndexShaped>:$indices, Variadic<Sq_NumberShaped>:$tables,
                       Variadic<Sq_F32Shaped>:$scales, Sq_F32Shaped:$outs);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $indices `:` type($indices) `)` `tables` `(` $tables `:` type($tables) `)`
    (`scales` `(` $scales^ `:` type($scales) `)`)? `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_ScatterOp : Sq_DpsOp<"scatter"> {
  let summary = "rows written to computed places";
  let description = [{
    For every `p` and `q`, and every `r` in order:
    `y[p, indices[p, r], q] = combine(y[p, indices[p, r], q], updates[p, r, q])`.
    An index outside the second dim of `y` writes nothing: -1 leaves an update
    out. `reduction` is `replace`, `add`, `mul`, `max` or `min`; `is_unsigned` says
    how integers are ordered. f16 and bf16 are combined in f32 and rounded each time.

    - (C1) `indices` is `[p, r]`, `updates` `[p, r, q]` and `outs` `[p, n, q]`.
    - (C2) `updates` and `outs` have one element type.
    - (C3) `reduction` is one of those above.

    Example:
    ```mlir
    func.func @example(%i: tensor<1x?xi64>, %u: tensor<1x?x8xf32>, %y: tensor<1x99x8xf32>) -> tensor<1x99x8xf32> {
      %0 = sq.scatter "add" ins(%i, %u : tensor<1x?xi64>, tensor<1x?x8xf32>) outs(%y : tensor<1x99x8xf32>) -> tensor<1x99x8xf32>
      return %0 : tensor<1x99x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_IndexShaped:$indices, Sq_NumberShaped:$updates, Sq_NumberShaped:$outs,
                       StrAttr:$reduction, UnitAttr:$is_unsigned);
  let results = (outs Variadic<Sq_NumberShaped>:$result);
  let assemblyFormat = [{
    $reduction `ins` `(` $indices `,` $updates `:` type($indices) `,` type($updates) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_RotaryEmbeddingOp : Sq_DpsOp<"rotary_embedding"> {
  let summary = "rotary position embedding of queries or keys";
  let description = [{
    Turns pairs of elements of each head by the angle of its position (Su et al.
    2021, equation 34). The pairs `(i, j)` are `(i, i + d/2)` for i < d/2, or
    with `interleaved`, `(2n, 2n + 1)`:

        y[b,s,h,i] = x[b,s,h,i] * cos[b,s,i'] - x[b,s,h,j] * sin[b,s,i']
        y[b,s,h,j] = x[b,s,h,j] * cos[b,s,j'] + x[b,s,h,i] * sin[b,s,j']

    With as many angles as elements, `i' = i` and `j' = j`; with half as many,
    both are the number of the pair. A head that is turned in part is sliced
    before and put together afterwards. f16 and bf16 are computed in f32 and
    rounded once.

    - (C1) `x` and `outs` have one shape [b, s, h, d].
    - (C2) `cos` and `sin` have one shape [b, s, a], or [1, s, a] for all batches.
    - (C3) d is static and even; a is d or d/2.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x?x2x32xf32>, %c: tensor<1x?x16xf32>, %s: tensor<1x?x16xf32>, %init: tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32> {
      %y = sq.rotary_embedding ins(%x, %c, %s : tensor<?x?x2x32xf32>, tensor<1x?x16xf32>, tensor<1x?x16xf32>) outs(%init : tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32>
      return %y : tensor<?x?x2x32xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_F32Shaped:$cos, Sq_F32Shaped:$sin, Sq_F32Shaped:$outs,
                       UnitAttr:$interleaved);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `,` $cos `,` $sin `:` type($x) `,` type($cos) `,` type($sin) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_AttentionOp : Sq_DpsOp<"attention"> {
  let summary = "scaled dot-product attention";
  let description = [{
    `o[b,s,h,:] = sum_t softmax_t(scale * q[b,s,h,:] . k[b,t,h',:] + mask[b,h,s,t]) v[b,t,h',:]`
    (Vaswani et al. 2017, equation 1). The head axis comes third, as a linear
    layer leaves it, so that no transposition is needed around it.

    k and v may have fewer heads (Ainslie et al. 2023, grouped-query attention):
    `h' = h / (H / H')` for H heads of q and H' of k and v.

    With `causal`, query s sees the keys `t <= s + (T - S)` only, S and T being
    the numbers of queries and keys: the queries are the last S of T places, so
    that a past of keys lies before them. A query that sees no key (S > T, or
    all of its mask -inf) gives NaN.

    With `bf16`, a target may round the scaled q, k, v and the probabilities to bf16;
    sums, maxima and the division stay in f32.

    - (C1) q, k, v and outs have rank 4; batch and head size agree, k and v have
      one shape, and their number of heads divides that of q.
    - (C2) the optional additive `mask` has rank 4; each dim but the last may be statically 1.

    Example:
    ```mlir
    func.func @example(%q: tensor<?x?x2x32xf32>, %k: tensor<?x?x2x32xf32>, %v: tensor<?x?x2x32xf32>, %m: tensor<?x1x1x?xf32>, %init: tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32> {
      %o = sq.attention ins(%q, %k, %v : tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>) mask(%m : tensor<?x1x1x?xf32>) outs(%init : tensor<?x?x2x32xf32>) {scale = 0.25 : f32} -> tensor<?x?x2x32xf32>
      return %o : tensor<?x?x2x32xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$q, Sq_F32Shaped:$k, Sq_F32Shaped:$v,
                       Optional<Sq_F32Shaped>:$mask, Sq_F32Shaped:$outs, F32Attr:$scale,
                       UnitAttr:$causal, UnitAttr:$bf16);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $q `,` $k `,` $v `:` type($q) `,` type($k) `,` type($v) `)`
    (`mask` `(` $mask^ `:` type($mask) `)`)? `outs` `(` $outs `:` type($outs) `)`
    attr-dict (`->` type($result)^)?
  }];
}

#endif
