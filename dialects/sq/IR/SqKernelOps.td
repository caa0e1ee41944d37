#ifndef SQ_KERNEL_OPS
#define SQ_KERNEL_OPS

include "dialects/sq/IR/SqDialect.td"

def Sq_WeightOp : Sq_Op<"weight", [Pure]> {
  let summary = "a constant that lies in the artifact's weight section";
  let description = [{
    The bytes of `value`, in the layout `pack` asks for, at byte `offset` of the
    weight section (64-byte aligned; assigned by `--sq-place-weights`). They are
    written straight into the artifact and never become LLVM constants.

    `pack = N` (0: as it is) stores a matrix `[k, n]` as panels of N columns,
    `[ceil(n / N)][k][N]`, columns past n zero; `transpose` says that `value` is
    `[n, k]`.

    Example:
    ```mlir
    func.func @example() -> tensor<1x4x16xf32> {
      %w = sq.weight dense<1.0> : tensor<4x8xf32> {pack = 16 : i64} -> tensor<1x4x16xf32>
      return %w : tensor<1x4x16xf32>
    }
    ```
  }];
  let arguments = (ins ElementsAttr:$value, DefaultValuedAttr<I64Attr, "0">:$pack,
                       UnitAttr:$transpose, OptionalAttr<I64Attr>:$offset);
  let results = (outs AnyTypeOf<[AnyRankedTensor, AnyMemRef]>:$result);
  let assemblyFormat = "$value attr-dict `->` type($result)";
}

def Sq_PackedMatmulOp : Sq_DpsOp<"packed_matmul", [
    SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "the packed contraction tile with its epilogue";
  let description = [{
    `y[r, n] = epilogue(sum_k x[r, k] * w[n / N, k, n mod N], extras...)`, where r
    runs over all leading dims of `x` flattened. The region is the epilogue: it
    takes the accumulator and one element of each extra operand, and yields the
    element of `outs`. An extra of rank 1 is indexed by n, one of the rank of
    `outs` by r and n.

    - (C1) `w` is `[panels, k, N]` with k the last dim of `x` and `panels = ceil(n / N)`.
    - (C2) an extra is `[n]`, or shaped like `outs`.
    - (C3) the region takes 1 + |extras| scalars and yields one.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x4xf32>, %w: tensor<1x4x16xf32>, %b: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x16xf32>) extras(%b : tensor<8xf32>) outs(%init : tensor<?x8xf32>) {
      ^bb0(%acc: f32, %e: f32):
        %s = arith.addf %acc, %e : f32
        sq.yield %s : f32
      } -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_F32Shaped:$weight, Variadic<Sq_F32Shaped>:$extras,
                       Sq_F32Shaped:$outs);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    `ins` `(` $x `,` $weight `:` type($x) `,` type($weight) `)`
    (`extras` `(` $extras^ `:` type($extras) `)`)? `outs` `(` $outs `:` type($outs) `)`
    attr-dict-with-keyword $epilogue (`->` type($result)^)?
  }];
}

def Sq_YieldOp : Sq_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "ends a region of sq";
  let arguments = (ins Variadic<AnyType>:$values);
  let builders = [OpBuilder<(ins), [{ /* no values */ }]>];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def Sq_ParallelOp : Sq_Op<"parallel", [SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "a range shared among the threads of a session";
  let description = [{
    Runs the region for disjoint ranges `[begin, end)` that cover `[0, count)`,
    on up to as many threads as `count / grain`. The last phase of code
    generation outlines it to a kernel function.

    Example:
    ```mlir
    func.func @example(%n: index) {
      sq.parallel %n grain 4 {
      ^bb0(%begin: index, %end: index):
        sq.yield
      }
      return
    }
    ```
  }];
  let arguments = (ins Index:$count, I64Attr:$grain, OptionalAttr<StrAttr>:$name);
  let regions = (region AnyRegion:$body);
  let assemblyFormat = "$count `grain` $grain attr-dict-with-keyword $body";
}

#endif
