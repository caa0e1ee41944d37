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

    At level amx, products with weights of bf16 or bytes run on tiles, attention that is marked `bf16` too. A product has a second
    kernel before it, which brings its operand into tiles, unless those are there: products of one operand share them,
    and what one product alone reads of another comes as tiles.

    Before: the program is bufferized. After: no op on whole tensors is left.
  }];
  let options = [
    Option<"level", "level", "std::string", /*default=*/"\"x86-64-v3\"",
           "CPU level: x86-64-v3 (default), avx512, vnni or amx">,
    Option<"tile", "tile", "std::string", /*default=*/"",
           "sizes of tiles instead of the cost model's: rows=8,vectors=3,block=64,depth=128,keys=64">
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
    context of the run. More than 16 functions that differ only in numbers to
    compute with, or in the offsets of what they read and write, become one that
    takes these as arguments; of long functions, two: products whose epilogues have
    the scales of a quantised layer.

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
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect", "::mlir::vector::VectorDialect"];
  let options = [
    Option<"longText", "long-text", "int64_t", /*default=*/"20000",
           "characters of IR that make a function a long one (default 20000)">,
  ];
}

def MergeKernelsPass : Pass<"sq-merge-kernels", "::mlir::ModuleOp"> {
  let summary = "launch independent products together";
  let description = [{
    Matrix products of @main that follow each other, such as those of queries, keys and
    values, become one kernel, unless one writes what another reads or writes. A
    part of its range is the same part of each of theirs.

    Before: `--sq-share-kernels` ran. After: the same, with fewer launches.

    ```mlir
    sq.parallel "matmul:q" %n, %g { call @sq_shared_0(%begin, %end, %thread, %x, %wq, %q) }
    sq.parallel "matmul:k" %m, %h { call @sq_shared_0(%begin, %end, %thread, %x, %wk, %k) }
    ==>
    sq.parallel "matmul:q" %n_plus_m, %g_plus_h {
      // from ceil(begin n / (n + m)) to ceil(end n / (n + m))
      scf.if ... { call @sq_shared_0(..., %x, %wq, %q) }
      // the same of m
      scf.if ... { call @sq_shared_0(..., %x, %wk, %k) }
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
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

#endif
