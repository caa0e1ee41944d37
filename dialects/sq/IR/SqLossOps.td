// What a model is judged by: losses of samples, to be differentiated.
#ifndef SQ_LOSS_OPS
#define SQ_LOSS_OPS

include "dialects/sq/IR/SqDialect.td"

// What is differentiated is at least of f32: the gradients of f16 underflow.
def Sq_WideFloatShaped : AnyTypeOf<[TensorOf<[F32, F64]>, MemRefOf<[F32, F64]>], "ranked tensor or memref of f32 or f64">;

def Sq_CrossEntropyOp : Sq_DpsOp<"cross_entropy"> {
  let summary = "cross-entropy of logits against labels, a number per sample";
  let description = [{
    `y[b] = mean over i with labels[b, i..] >= 0 of (log sum_c exp(x[b, i.., c]) - x[b, i.., labels[b, i..]])`,
    in nats, sums in the type of `x`, the greatest logit subtracted first. Logits `[b, c]` and
    labels `[b]` are a classifier's; logits `[b, t, c]` and the next tokens `[b, t]` a language model's, whose loss is
    then the mean over the sequence (spec dense-and-sparse.md section 2). A negative label does not count
    (padding); a sample without labels has loss 0. A label of `c` or more gives NaN.

    - (C1) `logits` has rank 2 at least, `labels` has its leading dims.
    - (C2) `outs` is `[b]` and of the element type of `logits`.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x16x99xf32>, %l: tensor<?x16xi64>, %init: tensor<?xf32>) -> tensor<?xf32> {
      %y = sq.cross_entropy ins(%x, %l : tensor<?x16x99xf32>, tensor<?x16xi64>) outs(%init : tensor<?xf32>) -> tensor<?xf32>
      return %y : tensor<?xf32>
    }
    ```
  }];
  let arguments = (ins Sq_WideFloatShaped:$logits, Sq_IndexShaped:$labels, Sq_WideFloatShaped:$outs);
  let results = (outs Variadic<Sq_WideFloatShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $logits `,` $labels `:` type($logits) `,` type($labels) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_KlDivergenceOp : Sq_DpsOp<"kl_divergence"> {
  let summary = "Kullback-Leibler divergence from given logits, a number per sample";
  let description = [{
    `y[b] = mean over i of sum_c p[b, i.., c] (log p[b, i.., c] - log q[b, i.., c])` with `p = softmax(reference)` and
    `q = softmax(x)`, in nats: how much is lost where `x` stands for `reference`, the float model's
    own output (spec mixed-precision.md section 2). 0 at `x = reference`, where its Hessian is the Fisher information.

    - (C1) `logits` and `reference` have one shape, of rank 2 at least.
    - (C2) `outs` is `[b]` and of the element type of `logits`.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x99xf32>, %r: tensor<?x99xf32>, %init: tensor<?xf32>) -> tensor<?xf32> {
      %y = sq.kl_divergence ins(%x, %r : tensor<?x99xf32>, tensor<?x99xf32>) outs(%init : tensor<?xf32>) -> tensor<?xf32>
      return %y : tensor<?xf32>
    }
    ```
  }];
  let arguments = (ins Sq_WideFloatShaped:$logits, Sq_WideFloatShaped:$reference, Sq_WideFloatShaped:$outs);
  let results = (outs Variadic<Sq_WideFloatShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $logits `,` $reference `:` type($logits) `,` type($reference) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_SquaredErrorOp : Sq_DpsOp<"squared_error"> {
  let summary = "mean squared error against a reference, a number per sample";
  let description = [{
    `y[b] = mean over i of (x[b, i..] - reference[b, i..])^2`, for models whose output is no distribution
    (embeddings, regressions).

    - (C1) `x` and `reference` have one shape, of rank 2 at least.
    - (C2) `outs` is `[b]` and of the element type of `x`.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x99xf32>, %r: tensor<?x99xf32>, %init: tensor<?xf32>) -> tensor<?xf32> {
      %y = sq.squared_error ins(%x, %r : tensor<?x99xf32>, tensor<?x99xf32>) outs(%init : tensor<?xf32>) -> tensor<?xf32>
      return %y : tensor<?xf32>
    }
    ```
  }];
  let arguments = (ins Sq_WideFloatShaped:$x, Sq_WideFloatShaped:$reference, Sq_WideFloatShaped:$outs);
  let results = (outs Variadic<Sq_WideFloatShaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `,` $reference `:` type($x) `,` type($reference) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_RecomputeOp : Sq_Op<"recompute", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "a value as it is, for what is computed of it a second time";
  let description = [{
    The tensor itself. What reads it is not found equal to what reads `value`, so that a gradient program can compute
    a normalisation or an activation again where the backward pass needs it, instead of keeping it since the forward
    pass (checkpointing: Griewank and Walther 2000). Bufferization leaves nothing of it.

    - (C1) result and `value` have one type.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.recompute %x : tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

#endif
