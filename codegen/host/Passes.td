#ifndef SQ_CODEGEN_HOST_PASSES
#define SQ_CODEGEN_HOST_PASSES

include "mlir/Pass/PassBase.td"

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
           "CPU level: x86-64-v3 (default) or avx512">
  ];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
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

def PlanArenaPass : Pass<"sq-plan-arena", "::mlir::func::FuncOp"> {
  let summary = "place all buffers in one arena";
  let description = [{
    Every `memref.alloc` becomes a view of one `sq.arena`. Buffers that are alive
    at the same time get disjoint ranges, the largest the lowest. Sizes may be
    symbolic: two ranges count as disjoint if that is certain for all dims of
    the inputs; otherwise a buffer begins at the largest end of those around it,
    which is computed at run time. A buffer whose size depends on data is
    refused.

    Before: kernels are `sq.parallel`, no other control flow surrounds buffers.
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
    Upstream's f32 approximations of exp, log, erf, tanh, sin, cos and their
    kin, on scalars and vectors, and upstream's expansions of what LLVM has no
    instruction for. f64 keeps libm.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect"];
}

#endif
