#ifndef SQ_CODEGEN_CUDA_PASSES
#define SQ_CODEGEN_CUDA_PASSES

include "mlir/Pass/PassBase.td"

def LowerGpuKernelsPass : Pass<"sq-lower-gpu-kernels", "::mlir::func::FuncOp"> {
  let summary = "turn composites and linalg on memrefs into CUDA kernels";
  let description = [{
    Each `sq` composite, linalg op and memref copy becomes one `gpu.launch`
    whose body is what one thread does, in scf, memref, vector and gpu ops:
    matrix products tile by tile through shared memory (by mma.sync, or wgmma on
    sm_90a, where the factors are short), softmax and norms with a warp for each
    row, attention with online softmax, everything else with a thread for each
    element of the result. Products of one operand by weights that lie one behind
    the other become one launch. `sq.name` and `sq.work` on the launch
    say what it does, as those of `sq.parallel` do on the host.

    A check (`cf.assert`) in a kernel writes the number of its message to
    `sq.fault`; the messages are `sq.messages` on the function.

    Before: the program is bufferized. After: no op on whole buffers is left.
  }];
  let options = [
    Option<"arch", "arch", "std::string", /*default=*/"\"sm_80\"", "sm_80 (default), sm_90 or sm_90a">,
    Option<"tf32", "tf32", "bool", /*default=*/"false", "products of f32 on tensor cores, rounded to tf32">
  ];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::nvgpu::NVGPUDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
    "::sq::SqDialect"];
}

def ShortenBuffersPass : Pass<"sq-shorten-buffers", "::mlir::func::FuncOp"> {
  let summary = "keep activations in 16 bits between kernels";
  let description = [{
    Kernels of 16-bit weights are bound by memory as soon as there are many rows,
    and what they read and write are activations. Every f32 buffer that a
    product, attention or a norm reads or writes, and whose users can all take
    it, gets elements of `type`; arithmetic stays in f32. Masks, sums of
    reductions, inputs and outputs of the program and what loops carry keep their
    type.

    Before: the program is bufferized. After: kernels have operands of several
    types of float.

    ```mlir
    %a = memref.alloc() : memref<8x64xf32>
    sq.packed_matmul ins(%x, %w : memref<8x64xf16>, memref<1x64x64xf16>) outs(%a : memref<8x64xf32>) {
    ^bb0(%sum: f32):
      sq.yield %sum : f32
    }
    ==>
    %a = memref.alloc() : memref<8x64xf16>
    sq.packed_matmul ins(%x, %w : memref<8x64xf16>, memref<1x64x64xf16>) outs(%a : memref<8x64xf16>) {
    ^bb0(%sum: f32):
      %short = arith.truncf %sum : f32 to f16
      sq.yield %short : f16
    }
    ```
  }];
  let options = [Option<"type", "type", "std::string", /*default=*/"\"f16\"", "f16 (default) or bf16">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect"];
}

def OutlineGpuKernelsPass : Pass<"sq-outline-gpu-kernels", "::mlir::ModuleOp"> {
  let summary = "make a function of every launch";
  let description = [{
    The body of each `gpu.launch` of @main becomes a `gpu.func` of the module
    `@kernels`, the launch a `gpu.launch_func`; equal functions are kept once.
    `sq.launches` on the module lists the names of the launches in order,
    `sq.functions` the kernel of each and the threads of its blocks.

    Before: `--sq-plan-arena` ran. After: no `gpu.launch` is left.

    ```mlir
    gpu.launch blocks(...) in (...) threads(...) in (...) { ... } {sq.name = "layer_norm:a"}
    ==>
    gpu.launch_func @kernels::@layer_norm_0 blocks in (...) threads in (...) args(...) {sq.launch = 0 : i32}
    ```
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect"];
}

def ConvertGpuToNVVMPass : Pass<"sq-convert-gpu-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "lower CUDA kernels to the LLVM and NVVM dialects";
  let description = [{
    Upstream's conversions of gpu, nvgpu, memref, vector and arith ops at once.
    Unlike `--convert-gpu-to-nvvm`, math ops become LLVM's intrinsics, which the
    NVPTX backend turns into instructions: nothing calls libdevice, which only
    the CUDA Toolkit has. A math op that is left is refused.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect"];
}

def TrimKernelArgumentsPass : Pass<"sq-trim-kernel-arguments", "::mlir::ModuleOp"> {
  let summary = "drop what kernels do not read";
  let description = [{
    A memref argument becomes a descriptor of pointers, sizes and strides of
    which a kernel reads few. The others go; `sq.arguments` on each
    `gpu.launch_func` lists the numbers of those that stay, `sq.function` is the
    number of its kernel in the module.

    Before: the kernels are in the LLVM dialect, @main is not.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif
