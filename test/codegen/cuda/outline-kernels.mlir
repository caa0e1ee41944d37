// RUN: sq-opt %s --sq-buffers-to-gpu --sq-outline-gpu-kernels | FileCheck %s
// RUN: sq-opt %s --sq-buffers-to-gpu --sq-gpu-to-llvm | FileCheck %s --check-prefix=LLVM

// Two equal layers, one kernel; constants are inside, not passed.
// CHECK: module attributes {gpu.container_module, sq.functions = [{function = "rms_norm_0", shared = 0 : i64, threads = 128 : i64}, {function = "rms_norm_0", shared = 0 : i64, threads = 128 : i64}], sq.launches = ["rms_norm", "rms_norm"]}
// CHECK: gpu.launch_func  @kernels::@rms_norm_0 blocks in {{.*}} args(%[[A:.*]] : memref<?x64xf32>, %{{.*}} : memref<64xf32>, %[[B:.*]] : memref<?x64xf32>) {sq.launch = 0 : i32}
// CHECK: gpu.launch_func  @kernels::@rms_norm_0 blocks in {{.*}} args({{.*}}) {sq.launch = 1 : i32}
// CHECK: gpu.module @kernels
// CHECK: gpu.func @rms_norm_0(
// CHECK-SAME: kernel attributes {{.*}}nvvm.maxntid = array<i32: 128, 1, 1>
// CHECK-NOT: gpu.func

// A kernel takes the pointers and the one size it reads; a launch that fails
// ends the schedule.
// LLVM: llvm.func @main(%{{.*}}: !llvm.ptr,
// LLVM: llvm.call %{{.*}}(%arg0, %{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr) -> i32
// LLVM: llvm.cond_br
// LLVM: llvm.func @rms_norm_0(%{{[a-z0-9]*}}: i64, %{{[a-z0-9]*}}: !llvm.ptr, %{{[a-z0-9]*}}: !llvm.ptr, %{{[a-z0-9]*}}: !llvm.ptr)
// LLVM-SAME: nvvm.kernel
func.func @main(%x: memref<?x64xf32>, %s: memref<64xf32>, %y: memref<?x64xf32>, %z: memref<?x64xf32>) {
  sq.rms_norm ins(%x, %s : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
  sq.rms_norm ins(%y, %s : memref<?x64xf32>, memref<64xf32>) outs(%z : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
  return
}
