#ifndef SQ_SPARSE_OPS
#define SQ_SPARSE_OPS

include "dialects/sq/IR/SqDialect.td"

// Weights as codes into a table per output channel, with what does not fit the tables in a sparse matrix
// (SqueezeLLM, arXiv 2306.07629; specs/dense-and-sparse.md), or on an even grid per group of inputs. codegen/host reads them as
// they are.

def Sq_CodesShaped : AnyTypeOf<[TensorOf<[I32]>, MemRefOf<[I32]>], "ranked tensor or memref of i32">;
def Sq_TableShaped : AnyTypeOf<[TensorOf<[F16]>, MemRefOf<[F16]>], "ranked tensor or memref of f16">;

def Sq_LutMatmulOp : Sq_DpsOp<"lut_matmul"> {
  let summary = "matrix product with a weight of codes into a table per output channel";
  let description = [{
    `y[.., n] = sum_k x[.., k] * table[n, c[n, k]]`, accumulated in f32, or as the target is told to
    (`--activations=int8` rounds x and tables to 8 bits).

    A code has b = 2, 3 or 4 bits. `codes[n]` is row n as a bitstream in little-endian 32-bit words, the
    least significant bit first: code k occupies the bits [b k, b k + b), and the row ends with zeros at a
    multiple of 32 codes. A table is sorted, the order being what makes one set of entries one table.

    - (C1) `codes` is `[n, b ceil(k / 32)]` and `table` `[n, 2^b]`, with k and n the last dims of `x` and `outs`.
    - (C2) `x` and `outs` have one rank, and equal leading dims.
    - (C3) a constant table has finite entries that do not decrease.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x40xf32>, %codes: tensor<8x6xi32>, %table: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.lut_matmul ins(%x, %codes, %table : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_CodesShaped:$codes, Sq_TableShaped:$table, Sq_F32Shaped:$outs);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let extraClassDeclaration = dpsDeclaration # [{
    /// Bits of a code.
    int64_t getBits();
  }];
  let assemblyFormat = [{
    `ins` `(` $x `,` $codes `,` $table `:` type($x) `,` type($codes) `,` type($table) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_GroupScalesShaped : AnyTypeOf<[TensorOf<[F16, F32]>, MemRefOf<[F16, F32]>], "ranked tensor or memref of f16 or f32">;
def Sq_GroupOffsetsShaped : AnyTypeOf<[TensorOf<[F16, F32, I8]>, MemRefOf<[F16, F32, I8]>],
                                      "ranked tensor or memref of f16, f32 or i8">;

def Sq_GroupedMatmulOp : Sq_DpsOp<"grouped_matmul"> {
  let summary = "matrix product with a weight of codes on an even grid per group of inputs";
  let description = [{
    `y[.., n] = sum_k x[.., k] * w[n, k]`, accumulated in f32, or as the target is told to (`--activations=int8` rounds x to 8 bits,
    each row with a scale of its own). With g the `group_size`, c a code and j = k / g, `w[n, k]` is
    - `scales[n, j] * (c[n, k] - zero_point)` without `offsets`,
    - `scales[n, j] * (c[n, k] - offsets[n, j])` where these are i8, zero points that are read as unsigned,
    - `scales[n, j] * c[n, k] + offsets[n, j]` where they are floats, the least value of a group.

    That is what com.microsoft.MatMulNBits has (onnxruntime, ContribOperators.md) and what RTN and GPTQ with groups make.
    A code has `bits` = 2, 3 or 4 bits, and `codes` are as in `sq.lut_matmul`. The last group of a row may be shorter. `float_input`:
    x is not to be rounded, unless the user says so (MatMulNBits with another `accuracy_level` than 4).

    - (C1) `bits` is 2, 3 or 4, `group_size` is positive, and `zero_point` a code; it is 0 where there are `offsets`.
    - (C2) `codes` is `[n, bits ceil(k / 32)]`, `scales` and `offsets` are `[n, ceil(k / g)]`, with k and n the last dims of `x` and `outs`.
    - (C3) `x` and `outs` have one rank, and equal leading dims.
    - (C4) constant scales and least values are finite.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x40xf32>, %codes: tensor<8x8xi32>, %scales: tensor<8x3xf16>, %minima: tensor<8x3xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.grouped_matmul ins(%x, %codes, %scales, %minima : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>, tensor<8x3xf16>) outs(%init : tensor<?x8xf32>) {bits = 4 : i64, group_size = 16 : i64} -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_CodesShaped:$codes, Sq_GroupScalesShaped:$scales,
                       Optional<Sq_GroupOffsetsShaped>:$offsets, Sq_F32Shaped:$outs, I64Attr:$bits, I64Attr:$group_size,
                       DefaultValuedAttr<I64Attr, "0">:$zero_point, UnitAttr:$float_input);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `,` $codes `,` $scales (`,` $offsets^)? `:` type($x) `,` type($codes) `,` type($scales) (`,` type($offsets)^)? `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_CsrOp : Sq_Op<"csr", [Pure]> {
  let summary = "a sparse matrix from its rows";
  let description = [{
    `w[n, columns[e]] = values[e]` for `row_ptr[n] <= e < row_ptr[n + 1]`, zero elsewhere (compressed sparse
    rows). Columns are unsigned, of 16 bits or 32.

    - (C1) `row_ptr` is `[n + 1]`, `columns` and `values` are equally long, for a result `[n, k]`.
    - (C2) a constant `row_ptr` starts with 0, does not decrease, and ends with the length of `columns`.
    - (C3) constant columns of a row ascend and are below k.
    - (C4) constant values are finite.

    Example:
    ```mlir
    func.func @example() -> tensor<2x40xf16> {
      %rows = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
      %columns = arith.constant dense<[7, 0, 39]> : tensor<3xi16>
      %values = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
      %w = sq.csr %rows, %columns, %values : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
      return %w : tensor<2x40xf16>
    }
    ```
  }];
  let arguments = (ins 1DTensorOf<[I32]>:$row_ptr, 1DTensorOf<[I16, I32]>:$columns, 1DTensorOf<[F16]>:$values);
  let results = (outs StaticShapeTensorOf<[F16]>:$result);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $row_ptr `,` $columns `,` $values attr-dict `:` type($row_ptr) `,` type($columns) `,` type($values) `->` type($result)
  }];
}

def Sq_CsrMatmulOp : Sq_DpsOp<"csr_matmul"> {
  let summary = "matrix product with a sparse weight";
  let description = [{
    `y[.., n] = sum_k x[.., k] * w[n, k]`, accumulated in f32 over the entries that `w`, made by `sq.csr`, has.

    - (C1) `w` is `[n, k]`, with k and n the last dims of `x` and `outs`.
    - (C2) `x` and `outs` have one rank, and equal leading dims.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x40xf32>, %w: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.csr_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_TableShaped:$weight, Sq_F32Shaped:$outs);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let assemblyFormat = [{
    `ins` `(` $x `,` $weight `:` type($x) `,` type($weight) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

def Sq_DenseAndSparseMatmulOp : Sq_DpsOp<"dense_and_sparse_matmul"> {
  let summary = "matrix product with a weight of codes and a sparse rest";
  let description = [{
    `y[.., n] = sum_k x[.., k] * (table[n, c[n, k]] + sparse[n, k])`: `sq.lut_matmul` and `sq.csr_matmul` in
    one pass over the rows of the weight. Where `sparse` has an entry, it is what the table's misses.

    - (C1) `codes` and `table` are as in `sq.lut_matmul`.
    - (C2) `x` and `outs` have one rank, and equal leading dims.
    - (C3) a constant table has finite entries that do not decrease.
    - (C4) `sparse` is `[n, k]`.

    Example:
    ```mlir
    func.func @example(%x: tensor<?x40xf32>, %codes: tensor<8x8xi32>, %table: tensor<8x16xf16>, %sparse: tensor<8x40xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.dense_and_sparse_matmul ins(%x, %codes, %table, %sparse : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x16xf16>, tensor<8x40xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_F32Shaped:$x, Sq_CodesShaped:$codes, Sq_TableShaped:$table, Sq_TableShaped:$sparse,
                       Sq_F32Shaped:$outs);
  let results = (outs Variadic<Sq_F32Shaped>:$result);
  let extraClassDeclaration = dpsDeclaration # [{
    /// Bits of a code.
    int64_t getBits();
  }];
  let assemblyFormat = [{
    `ins` `(` $x `,` $codes `,` $table `,` $sparse `:` type($x) `,` type($codes) `,` type($table) `,` type($sparse) `)`
    `outs` `(` $outs `:` type($outs) `)` attr-dict (`->` type($result)^)?
  }];
}

#endif
