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
    `[n, k]`. A result of bf16 `[ceil(n / N)][16 ceil(k / 32)][N][2]` is the
    layout of AMX tiles: f32 rounded to nearest even, element (k, n) at panel
    n / N, pair k / 2, column n mod N, position k mod 2; what is past k or n is zero.
    A result of i8 `[ceil(n / 16)][16 ceil(k / 64)][64]` (`pack = 16`) is the layout that
    VNNI and AMX tiles of bytes share: element (k, n) at group n / 16, row k / 4, byte
    4 (n mod 16) + k mod 4, the rest zero.
    `codes = b` makes the rows of `value`, i32 `[n, b ceil(k / 32)]` (`sq.lut_matmul`), blocks of one or, for 3 bits,
    three rows: i32 `[n, blocks, 1 or 3, 16]`, where lane j holds the codes j, j + 16, ... of a block as a bitstream
    of its own, or i8 `[n, blocks, 1 or 3, 64]`, where byte j holds the codes j, j + 64, ... (lib/numerics/Codes.h).
    Of bf16, CPU levels without AMX read an f32 copy instead, which the loader makes:
    `wide_offset` is its place in that memory (64-byte aligned), and with
    `widened` the result is that copy, in panels of f32.
    `bits = b` of i8, 2 to 7, says that all elements fit into b bits, of two's complement, and are stored so: a bitstream in the
    order of the layout, least significant bits first. The result is the bytes that the loader makes of it, at `wide_offset`.

    Example:
    ```mlir
    func.func @example() -> tensor<1x4x16xf32> {
      %w = sq.weight dense<1.0> : tensor<4x8xf32> {pack = 16 : i64} -> tensor<1x4x16xf32>
      return %w : tensor<1x4x16xf32>
    }
    ```
  }];
  let arguments = (ins ElementsAttr:$value, DefaultValuedAttr<I64Attr, "0">:$pack,
                       UnitAttr:$transpose, OptionalAttr<I64Attr>:$offset,
                       OptionalAttr<I64Attr>:$wide_offset, UnitAttr:$widened, DefaultValuedAttr<I64Attr, "0">:$codes,
                       DefaultValuedAttr<I64Attr, "0">:$bits);
  let results = (outs AnyTypeOf<[AnyRankedTensor, AnyMemRef]>:$result);
  let extraClassDeclaration = [{
    /// Depth and columns (k, n) of the matrix `value`.
    std::pair<int64_t, int64_t> matrixSize();
    /// The type of the f32 copy that levels without AMX read; none for other weights.
    std::optional<::mlir::MemRefType> widenedType();
    /// Bytes in the weight section.
    int64_t storedBytes();
  }];
  let assemblyFormat = "$value attr-dict `->` type($result)";
  let hasVerifier = 1;
}

def Sq_PackedMatmulOp : Sq_DpsOp<"packed_matmul", [
    AttrSizedOperandSegments, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "the packed contraction tile with its epilogue";
  let description = [{
    `y[r, n] = epilogue(sum_k x[r, k] * w[n / N, k, n mod N], extras...)`, where r
    runs over all leading dims of `x` flattened. The region is the epilogue: it
    takes the accumulator and one element of each extra operand, and yields the
    element of `outs`. An extra of rank 1 is indexed by n, one of the rank of
    `outs` by r and n, or by r alone where its last dim is 1; one of rank 0 is one number.

    Sums are f32. Of bytes they are i32 and exact: `x` is i8 read as unsigned, `w` i8 read as
    signed (what vpdpbusd and tdpbusd multiply), and zero points are the epilogue's.

    With `lut`, `w` is codes (`sq.weight` with `codes`), and element (k, n) of the weight `table[n, code]`, f16
    `[n, 2^b]`. A table of i8, read as unsigned, has with it f32 `[n, 2]`, a scale and the least entry: the
    entry stands for `scale[n, 0] * table[n, code] + scale[n, 1]`, and each row of `x` is rounded to a scale of its own
    and i8 (`codedByteProduct` of lib/numerics/Codes.h). Two more operands are a sparse matrix that is added to the
    weight: `row_ptr`, and for each entry the bits of an f16 above those of its column in half of its bits, i32 or i64.

    With a `group_size`, `lut` are not tables but the scales and perhaps the offsets of `sq.grouped_matmul`, whose `bits` and
    `zero_point` there are, too. Their rows are as long as `storedGroups` of lib/numerics/Groups.h says, which kernels read
    without masks; what is behind the last group is 0.

    - (C1) `w` is `[panels, k, N]` with k the last dim of `x` and `panels = ceil(n / N)`,
      or bf16 `[panels, 16 ceil(k / 32), N, 2]` (`sq.weight`): `x` is then rounded to bf16
      or not, as the target likes; or i8 `[ceil(n / 16), 16 ceil(k / 64), 64]`, and `x` i8 with
      a k that is a multiple of 4.
    - (C2) an extra is `[]`, `[n]`, shaped like `outs`, or so with a last dim of 1.
    - (C3) the region takes a sum and an element of each extra, and yields an element of `outs`.
    - (C4) with `lut` and no `group_size`, `w` is i32 `[n, blocks, r, 16]` and `lut` a table f16 `[n, 2^b]`, or i8 `[n, blocks, r, 64]` and a table
      i8 `[n, 2^b]` and f32 `[n, 2]`; r is 3 for b = 3, else 1, and there are as many blocks as k needs. What may
      follow are i32 `[n + 1]` and i32 or i64 `[entries]`.
    - (C5) with `group_size`, a power of 2 from 16 on or at least k, `w` is as in C4 for b = `bits`, and `lut` are `[n, stored groups]` of f16 or f32,
      which may be followed by as many of f16, f32 or i8. Without it `bits` and `zero_point` are 0.

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
    func.func @coded(%x: tensor<?x40xf32>, %w: tensor<8x1x3x16xi32>, %table: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x3x16xi32>) lut(%table : tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) {
      ^bb0(%acc: f32):
        sq.yield %acc : f32
      } -> tensor<?x8xf32>
      return %y : tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins Sq_NumberShaped:$x, Sq_NumberShaped:$weight, Variadic<Sq_NumberShaped>:$lut,
                       Variadic<Sq_NumberShaped>:$extras, Sq_NumberShaped:$outs, DefaultValuedAttr<I64Attr, "0">:$bits,
                       DefaultValuedAttr<I64Attr, "0">:$group_size, DefaultValuedAttr<I64Attr, "0">:$zero_point);
  let results = (outs Variadic<Sq_NumberShaped>:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let extraClassDeclaration = dpsDeclaration # [{
    /// A product of bytes, whose sums are i32.
    bool isOfBytes();
    /// A weight of codes, into tables or on the grids of groups.
    bool isCoded() { return !getLut().empty(); }
    bool isGrouped() { return getGroupSize() != 0; }
    /// Codes, and so products, of bytes: x is rounded to them.
    bool hasByteCodes();
    /// Needs products of bytes, in the IR or in its kernel.
    bool usesByteProducts() { return isOfBytes() || hasByteCodes(); }
  }];
  let assemblyFormat = [{
    `ins` `(` $x `,` $weight `:` type($x) `,` type($weight) `)`
    (`lut` `(` $lut^ `:` type($lut) `)`)? (`extras` `(` $extras^ `:` type($extras) `)`)? `outs` `(` $outs `:` type($outs) `)`
    attr-dict-with-keyword $epilogue (`->` type($result)^)?
  }];
}

def Sq_YieldOp : Sq_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "ends a region of sq";
  let description = [{
    Gives the values of the region to its op.

    Example:
    ```mlir
    func.func @example(%n: index) {
      sq.parallel "nothing" %n, %n : index {
      ^bb0(%begin: index, %end: index, %thread: index):
        sq.yield
      }
      return
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let builders = [OpBuilder<(ins), [{ /* no values */ }]>];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def Sq_ParallelOp : Sq_Op<"parallel", [RecursiveMemoryEffects,
    AllTypesMatch<["count", "grain"]>]> {
  let summary = "a range shared among the threads of a session";
  let description = [{
    Runs the region for disjoint ranges `[begin, end)` that cover `[0, count)`,
    on up to `count / grain` threads; `thread` is below `sq.threads`. The last
    phase of code generation outlines it to a kernel function.

    `work` says what the kernel does, for profiles and reports: `kind`
    (`"matmul"`, `"elementwise"`, ...), `parts` (what was fused into it), `nodes`
    (the ONNX nodes it came from), and `flops`, `reads` and `writes` (operations
    and bytes, as formulas of the symbolic dims, lib/support/SizeText.h).

    - (C1) the region takes three `index` (i64 once lowered): begin, end, thread.

    Example:
    ```mlir
    func.func @example(%n: index) {
      sq.parallel "copy" %n, %n : index {
      ^bb0(%begin: index, %end: index, %thread: index):
        sq.yield
      }
      return
    }
    ```
  }];
  let arguments = (ins StrAttr:$name, AnySignlessIntegerOrIndex:$count,
                       AnySignlessIntegerOrIndex:$grain, OptionalAttr<DictionaryAttr>:$work);
  let regions = (region MinSizedRegion<1>:$body);
  let assemblyFormat = "$name $count `,` $grain `:` type($count) attr-dict-with-keyword $body";
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::Value":$count,
      "::mlir::Value":$grain,
      "::llvm::function_ref<void(::mlir::OpBuilder &, ::mlir::Location, ::mlir::ValueRange)>":$body)>];
  let hasVerifier = 1;
}

def Sq_ThreadsOp : Sq_Op<"threads", [Pure]> {
  let summary = "the number of threads of the running session";
  let description = [{
    At least 1. Sizes scratch memory that every thread has for itself.

    Example:
    ```mlir
    func.func @example() -> index {
      %n = sq.threads : index
      return %n : index
    }
    ```
  }];
  let results = (outs Index:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Sq_FaultOp : Sq_Op<"fault", [MemoryEffects<[MemAlloc]>]> {
  let summary = "where CUDA kernels note a failed check";
  let description = [{
    `fault` of the run's context (include/sq/kernel_abi.h): device memory that
    holds 0, or the largest number of a message whose check failed.

    Example:
    ```mlir
    func.func @example() -> memref<1xi32> {
      %f = sq.fault : memref<1xi32>
      return %f : memref<1xi32>
    }
    ```
  }];
  let results = (outs MemRefRankOf<[I32], [1]>:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Sq_ArenaOp : Sq_Op<"arena", [MemoryEffects<[MemAlloc]>]> {
  let summary = "the session's memory for intermediate tensors";
  let description = [{
    `bytes` bytes, 64-byte aligned, contents undefined. Once in a program for each
    `index`: 0 is what follows from the shapes of the inputs, the others hold what
    depends on data. One in a loop is asked for in every iteration, and may then
    be the same memory.

    Example:
    ```mlir
    func.func @example(%bytes: index) -> memref<?xi8> {
      %a = sq.arena %bytes : memref<?xi8>
      return %a : memref<?xi8>
    }
    ```
  }];
  let arguments = (ins Index:$bytes, DefaultValuedAttr<I32Attr, "0">:$index);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$bytes attr-dict `:` type($result)";
}

def Sq_OutputOp : Sq_Op<"output", [MemoryEffects<[MemAlloc]>]> {
  let summary = "the memory of one output of the model";
  let description = [{
    Output `index` of the signature, dense, with the given dynamic dims.

    - (C1) one size per dynamic dim of the result.

    Example:
    ```mlir
    func.func @example(%n: index) -> memref<?x4xf32> {
      %o = sq.output 0(%n) : memref<?x4xf32>
      return %o : memref<?x4xf32>
    }
    ```
  }];
  let arguments = (ins I64Attr:$index, Variadic<Index>:$sizes);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$index `(` $sizes `)` attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Sq_PartOp : Sq_Op<"part", [Pure, AllTypesMatch<["source", "result"]>,
    DeclareOpInterfaceMethods<ViewLikeOpInterface>]> {
  let summary = "a part of a dense buffer along its first dim";
  let description = [{
    `[begin, begin + length)` of the first dim of `source`. Unlike
    `memref.subview`, the result is known to be dense: its address is moved
    instead of its offset.

    - (C1) `source` is dense (identity layout), of rank 1 or more, with an unknown first dim.

    Example:
    ```mlir
    func.func @example(%x: memref<?x4xf32>, %i: index, %n: index) -> memref<?x4xf32> {
      %p = sq.part %x[%i, %n] : memref<?x4xf32>
      return %p : memref<?x4xf32>
    }
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Index:$begin, Index:$length);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "$source `[` $begin `,` $length `]` attr-dict `:` type($source)";
  let hasVerifier = 1;
}

#endif
