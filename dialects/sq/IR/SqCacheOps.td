#ifndef SQ_CACHE_OPS
#define SQ_CACHE_OPS

include "dialects/sq/IR/SqDialect.td"

// Keys or values of what a batch of sequences has seen: [batch, capacity, heads, size], of which
// row b holds places 0 .. lengths[b] - 1. A cache value is linear: an append takes it and gives the
// next version in the same memory.

def Sq_KvAppendOp : Sq_DpsOp<"kv_append"> {
  let summary = "rows added to a cache of keys or values";
  let description = [{
    `y[b, lengths[b] + t, :, :] = rows[b, t, :, :]`; all other places of `outs` keep what they
    hold. `lengths` are the places in use before. What would lie past the capacity is left out: the
    caller has made room for the rows that count, those after them are padding. The cache is
    `[batch, capacity, heads, size]`, heads third as `sq.attention` has them, so that a token is
    one run of memory.

    `outs` is linear: it is written in place, which needs that nothing else reads it. So an append
    costs what the new rows cost, whatever the length.

    With `rotary`, a cosine and a sine, rows are turned by the angles of their places on the way:
    `sq.rotary_embedding` of `rows` (not interleaved) is what is appended.

    - (C1) `rows` and `outs` have rank 4 and agree but in their second dim.
    - (C2) `lengths` is a vector as long as the batch.
    - (C3) `rows` and `outs` have one element type.
    - (C4) `rotary` is empty or two of one shape [b, t, a] or [1, t, a], of that element type; d is
      static and even, a is d or d/2.

    Example:
    ```mlir
    func.func @turned(%k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %c: tensor<1x?x32xf32>, %s: tensor<1x?x32xf32>, %cache: tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32> {
      %0 = sq.kv_append ins(%k, %n : tensor<?x?x2x64xf32>, tensor<?xi64>) rotary(%c, %s : tensor<1x?x32xf32>, tensor<1x?x32xf32>) outs(%cache : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
      return %0 : tensor<?x?x2x64xf32>
    }
    func.func @example(%k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %cache: tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32> {
      %0 = sq.kv_append ins(%k, %n : tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%cache : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
      return %0 : tensor<?x?x2x64xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$rows, Sq_IndexShaped:$lengths, Variadic<Sq_F32Shaped>:$rotary, Sq_F32Shaped:$outs);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $rows `,` $lengths `:` type($rows) `,` type($lengths) `)`
    (`rotary` `(` $rotary^ `:` type($rotary) `)`)? `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_KvAttendOp : Sq_DpsOp<"kv_attend"> {
  let summary = "causal attention to a cache";
  let description = [{
    `sq.attention` with the caches `k` and `v`, after the keys and values of these queries were
    appended: query t of row b is at place `lengths[b] + t`, and sees the keys at places
    `0 .. lengths[b] + t` (within the capacity):

        o[b,s,h,:] = sum_{t <= lengths[b] + s} softmax_t(scale * q[b,s,h,:] . k[b,t,h',:]) v[b,t,h',:]

    `lengths` are the same as those of the append. Time and what is read follow the length, not
    the capacity. Fewer heads of k and v are shared as there; results do not depend on the capacity.

    With `rotary`, a cosine and a sine, `sq.rotary_embedding` of `q` (not interleaved) asks.

    - (C1) q, k, v and outs have rank 4; batch and head size agree, k and v have
      one shape, and their number of heads divides that of q.
    - (C2) `lengths` is a vector as long as the batch.
    - (C3) `rotary` is empty or two of one shape [b, s, a] or [1, s, a], of the element type of q;
      d is static and even, a is d or d/2.

    Example:
    ```mlir
    func.func @example(%q: tensor<?x?x6x64xf32>, %k: tensor<?x?x2x64xf32>, %v: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %init: tensor<?x?x6x64xf32>) -> tensor<?x?x6x64xf32> {
      %o = sq.kv_attend ins(%q, %k, %v, %n : tensor<?x?x6x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%init : tensor<?x?x6x64xf32>) {scale = 0.125 : f32} -> tensor<?x?x6x64xf32>
      return %o : tensor<?x?x6x64xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$q, Sq_F32Shaped:$k, Sq_F32Shaped:$v, Sq_IndexShaped:$lengths,
                       Variadic<Sq_F32Shaped>:$rotary, Sq_F32Shaped:$outs, F32Attr:$scale);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $q `,` $k `,` $v `,` $lengths `:` type($q) `,` type($k) `,` type($v) `,` type($lengths) `)`
    (`rotary` `(` $rotary^ `:` type($rotary) `)`)? `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

#endif
