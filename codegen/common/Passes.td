#ifndef SQ_CODEGEN_COMMON_PASSES
#define SQ_CODEGEN_COMMON_PASSES

include "mlir/Pass/PassBase.td"

def PlanArenaPass : Pass<"sq-plan-arena", "::mlir::func::FuncOp"> {
  let summary = "place all buffers in arenas";
  let description = [{
    Every `memref.alloc` becomes a view of an `sq.arena`: of the first one if its
    size follows from the shapes of the inputs, otherwise of one that is made where
    the data that it depends on are known. Buffers that are alive
    at the same time get disjoint ranges, the largest the lowest. Sizes may be
    symbolic: two ranges count as disjoint if that is certain for all dims of
    the inputs; otherwise a buffer begins at the largest end of those around it,
    which is computed at run time.

    Before: kernels are `sq.parallel` or `gpu.launch`, surrounded at most by
    control flow (`scf.for`, `scf.while`, `scf.if`) that passes no buffers on;
    those of the loops of `--sq-chunk-batch` share memory within a pass of the loop.
    After: no `memref.alloc` is left.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::sq::SqDialect"];
}

def LowerMathPass : Pass<"sq-lower-math"> {
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
    | GELU by erf or tanh with `fastmath<afn>` | 8e-5 max(1, x / 10) | | zeros may lose their sign |

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

    Vectors of 64-bit integers between 32-bit ones, as a product that is rounded to 32 bits needs them, are computed for even and odd
    lanes in turn (codegen/common/VectorIntegers.h), and `sq.parabola` is written out.
  }];
  let options = [
    Option<"bf16", "bf16", "bool", /*default=*/"true", "write out conversions to bf16, which x86-64 lacks">,
    Option<"libm", "libm", "bool", /*default=*/"true", "leave f64 functions and powf to libm; false: write them out">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif
