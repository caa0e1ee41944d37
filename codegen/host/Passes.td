#ifndef SQ_CODEGEN_HOST_PASSES
#define SQ_CODEGEN_HOST_PASSES

include "mlir/Pass/PassBase.td"

def ChunkBatchPass : Pass<"sq-chunk-batch", "::mlir::func::FuncOp"> {
  let summary = "run layers for a part of the batch at a time";
  let description = [{
    A run of kernels along the first, symbolic dim of the inputs becomes a loop
    over parts of it, so that what one layer writes is still in the caches when
    the next reads it, and buffers are as large as a part. A part has about 128
    rows per thread (`rows`). Results do not change by a bit: no kernel adds across the
    batch. What cannot be proven to compute each part from that part alone stays
    as it is, before or behind the loop.

    Before: bufferized, kernels are ops on memrefs. After: the same, some in an
    `scf.for` of the schedule, with `sq.work` describing the work of the whole loop.

    ```mlir
    sq.packed_matmul ins(%x, %w) outs(%h : memref<?x64xf32>)
    sq.packed_matmul ins(%h, %v) outs(%y : memref<?x32xf32>)
    ==>
    scf.for %i = %c0 to %batch step %step {
      sq.packed_matmul ins(%x_part, %w) outs(%h_part : memref<?x64xf32>)
      sq.packed_matmul ins(%h_part, %v) outs(%y_part : memref<?x32xf32>)
    }
    ```
  }];
  let options = [
    Option<"rows", "rows", "int64_t", /*default=*/"128", "rows of a part for each thread">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::sq::SqDialect"];
}

def LowerKernelsPass : Pass<"sq-lower-kernels", "::mlir::func::FuncOp"> {
  let summary = "turn composites and linalg on memrefs into parallel host kernels";
  let description = [{
    Each `sq` composite, linalg op and memref copy becomes one `sq.parallel`
    whose body is in the scf and vector dialects, for one CPU level: matrix
    products through the packed contraction tile, softmax, layer norm and
    attention by rows of vectors, everything else as loops.

    Before: the program is bufferized. After: no op on whole tensors is left.
  }];
  let options = [
    Option<"level", "level", "std::string", /*default=*/"\"x86-64-v3\"",
           "CPU level: x86-64-v3 (default), avx512 or amx">,
    Option<"tile", "tile", "std::string", /*default=*/"",
           "sizes of tiles instead of the cost model's: rows=8,vectors=3,block=64,keys=64">
  ];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::sq::SqDialect"];
}

def ShareKernelsPass : Pass<"sq-share-kernels", "::mlir::ModuleOp"> {
  let summary = "make equal kernels one function";
  let description = [{
    The body of each `sq.parallel` of @main moves into a private function whose
    arguments are the range, the thread, and what the body captured; equal
    functions are kept once. Bodies with a `cf.assert` stay: they need the
    context of the run.

    Before: `--sq-lower-kernels` ran. After: a body is one call, or has a check.

    ```mlir
    sq.parallel "matmul:a" %n, %g : index {
    ^bb0(%begin: index, %end: index, %thread: index):
      scf.for ... { ... %x, %w, %y ... }
    }
    ==>
    sq.parallel "matmul:a" %n, %g : index {
    ^bb0(%begin: index, %end: index, %thread: index):
      call @sq_shared_0(%begin, %end, %thread, %x, %w, %y)
    }
    ```
  }];
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

def MergeKernelsPass : Pass<"sq-merge-kernels", "::mlir::ModuleOp"> {
  let summary = "launch independent products together";
  let description = [{
    Matrix products of @main that follow each other, such as those of queries, keys and
    values, become one kernel whose range is their ranges in a row, unless one
    writes what another reads or writes.

    Before: `--sq-share-kernels` ran. After: the same, with fewer launches.

    ```mlir
    sq.parallel "matmul:q" %n, %g { call @sq_shared_0(%begin, %end, %thread, %x, %wq, %q) }
    sq.parallel "matmul:k" %m, %h { call @sq_shared_0(%begin, %end, %thread, %x, %wk, %k) }
    ==>
    sq.parallel "matmul:q" %n_plus_m, %max_g_h {
      // [begin, end) below n
      scf.if ... { call @sq_shared_0(..., %x, %wq, %q) }
      // what lies in [n, n + m), less n
      scf.if ... { call @sq_shared_0(..., %x, %wk, %k) }
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
}

def PlanArenaPass : Pass<"sq-plan-arena", "::mlir::func::FuncOp"> {
  let summary = "place all buffers in one arena";
  let description = [{
    Every `memref.alloc` becomes a view of one `sq.arena`. Buffers that are alive
    at the same time get disjoint ranges, the largest the lowest. Sizes may be
    symbolic: two ranges count as disjoint if that is certain for all dims of
    the inputs; otherwise a buffer begins at the largest end of those around it,
    which is computed at run time. A buffer whose size depends on data is
    refused.

    Before: kernels are `sq.parallel`, surrounded at most by the loops of
    `--sq-chunk-batch`, whose own buffers share memory within a pass of the loop.
    After: no `memref.alloc` is left.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::sq::SqDialect"];
}

def ConvertToLLVMPass : Pass<"sq-convert-to-llvm", "::mlir::ModuleOp"> {
  let summary = "lower the host schedule and its kernels to the LLVM dialect";
  let description = [{
    `@main` gets the run's context as its first argument and a status as its
    result; `entry` is the `sq_entry_fn` of include/sq/kernel_abi.h that unpacks
    the inputs and calls it. Arena, outputs and failed checks become callbacks.
    `sq.parallel` stays, with its region in the LLVM dialect, until
    `--sq-outline-kernels`.
  }];
  let options = [
    Option<"entry", "entry", "std::string", /*default=*/"\"sq_entry\"",
           "name of the entry function (default sq_entry)">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::cf::ControlFlowDialect"];
}

def OutlineKernelsPass : Pass<"sq-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "make a function of every parallel region";
  let description = [{
    Each `sq.parallel` becomes a `sq_kernel_fn` and a call of the run's
    `parallel` with what the region captured. Equal kernels are kept once; the
    names of the launches, in order, are left as `sq.kernels` on the module.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def LowerMathPass : Pass<"sq-lower-math", "::mlir::func::FuncOp"> {
  let summary = "write out math functions as polynomials";
  let description = [{
    f32 functions, on scalars and vectors, become arithmetic that LLVM
    vectorises: exp, exp2, log, tanh, erf and the activations GELU and SiLU by
    sq's own (codegen/common/VectorMath.cpp), sin, cos, atan and their kin by
    MLIR's approximations, rsqrt as 1 / sqrt. f64 keeps libm.

    sq's are branch-free, and give the same bits for the same element on every
    level, in a vector as in a loop's remainder.

    | f32 | largest error | at | exceptions |
    |---|---|---|---|
    | exp | 0.85 ULP | -15.6 | results below 2^-125.5 = 1.7e-38 (x < -86.99) are 0 |
    | exp2 | 0.78 ULP | -0.497 | the same, x < -125.5 |
    | log | 0.90 ULP | 0.667 | none; denormals too |
    | tanh | 4.6 ULP (2.8e-7) | 7.07 | |
    | erf | 5.7 ULP (3.4e-7) | -3.73 | |
    | rsqrt | 1.5 ULP | | |
    | sigmoid: 1 / (1 + exp(-x)) | 2.3 ULP | -16.7 | results below 2^-126 may be 0 |
    | SiLU: x sigmoid(x) | 2.3 ULP | -16.7 | 0 for x < -88.7 |
    | GELU by erf | 8.6e-8 max(1, abs x) | 1.18 | |
    | GELU by tanh | 1.2e-7 max(1, abs x) | 4.05 | |

    NaN gives NaN, infinities and zeros what IEEE 754 says; GELU by tanh and
    SiLU of -inf are NaN, as the formulas are. Measured against float64 at every
    97th of all floats and every one around bounds and special values
    (test/unit/codegen/VectorMathTest.cpp).

    Nanoseconds per element, data in L1, elementwise loops vectorised by LLVM
    (AMD EPYC, Zen 5; `sq-bench-math`; glibc 2.36, up to 4 ULP):

    | | x86-64-v3: sq | MLIR | glibc | avx512: sq | MLIR | glibc |
    |---|---|---|---|---|---|---|
    | exp | 0.19 | 0.28 | 0.29 | 0.12 | 0.16 | 0.27 |
    | exp2 | 0.17 | 2.24 | 0.39 | 0.07 | 1.37 | 0.19 |
    | log | 0.41 | 0.39 | 0.30 | 0.21 | 0.19 | 0.22 |
    | tanh | 0.21 | 0.25 | 0.67 | 0.12 | 0.13 | 0.30 |
    | erf | 0.26 | 0.60 | 0.60 | 0.14 | 0.25 | 0.49 |
    | rsqrt | 0.23 | 0.23 | | 0.12 | 0.12 | |
    | sigmoid | 0.30 | 0.41 | | 0.15 | 0.21 | |
    | SiLU | 0.27 | 0.41 | | 0.14 | 0.20 | |
    | GELU by erf | 0.34 | 0.60 | | 0.18 | 0.28 | |
    | GELU by tanh | 0.35 | 0.46 | | 0.19 | 0.24 | |

    Of MLIR's, measured the same way in normal results: atan 41 ULP, asin 6.3,
    acos 1.1, log1p 2.3, expm1 2.4; sin and cos are wrong for large arguments.
    MLIR's log takes denormals for 2^-126.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"];
}

#endif
