// RUN: sq-opt %s --sq-lower-gpu-kernels=arch=sm_90a --canonicalize --cse --split-input-file | FileCheck %s

// Many rows on Hopper: 128 rows and two panels by two warpgroups, both factors in
// rows of 128 bytes. wgmma sees what cp.async wrote after a fence of its proxy.
// CHECK-LABEL: @large
// CHECK: gpu.launch blocks({{.*}}) in (%{{.*}} = %c32, %{{.*}} = %c3, %{{.*}} = %c1) threads({{.*}}) in (%{{.*}} = %c256{{.*}} dynamic_shared_memory_size %c131072_i32
// CHECK: %[[A:.*]] = memref.view %{{.*}} to memref<4x128x64xf16, #gpu.address_space<workgroup>>
// CHECK: %[[B:.*]] = memref.view %{{.*}} to memref<4x2x64x64xf16, #gpu.address_space<workgroup>>
// CHECK: nvgpu.device_async_copy %arg0{{.*}}, %[[A]]{{.*}}, 8, %{{.*}} {bypassL1}
// CHECK: nvgpu.device_async_copy %arg1{{.*}}, %[[B]]{{.*}}, 8, %{{.*}} {bypassL1}
// CHECK: scf.for
// CHECK: nvgpu.device_async_wait %{{.*}} {numGroups = 1 : i32}
// CHECK-NEXT: llvm.inline_asm has_side_effects {{.*}}"fence.proxy.async.shared::cta;"
// CHECK-NEXT: gpu.barrier
// CHECK: "wgmma.fence.sync.aligned;"
// CHECK-COUNT-4: wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {$0, {{.*}}$63}, $64, $65, p, 1, 1, 0, 1;
// CHECK: "wgmma.commit_group.sync.aligned;"
// CHECK-NEXT: {{.*}}"wgmma.wait_group.sync.aligned 1;"
// CHECK: "wgmma.wait_group.sync.aligned 0;"
// CHECK-NEXT: llvm.extractvalue
// CHECK: gpu.barrier
// CHECK: nvvm.bar.warp.sync
// CHECK: sq.min_blocks = 1 : i64, sq.name = "matmul"
func.func @large(%x: memref<4096x96xf16>, %w: memref<6x96x64xf16>, %y: memref<4096x384xf32>) {
  sq.packed_matmul ins(%x, %w : memref<4096x96xf16>, memref<6x96x64xf16>) outs(%y : memref<4096x384xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

// Few tiles, or rows that do not begin at multiples of 16 bytes: mma.sync.
// CHECK-LABEL: @small
// CHECK-NOT: wgmma
// CHECK: llvm.nvvm.mma.m16n8k16
func.func @small(%x: memref<100x96xf16>, %w: memref<6x96x64xf16>, %y: memref<100x384xf32>) {
  sq.packed_matmul ins(%x, %w : memref<100x96xf16>, memref<6x96x64xf16>) outs(%y : memref<100x384xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}
// CHECK-LABEL: @odd
// CHECK-NOT: wgmma
// CHECK: llvm.nvvm.mma.m16n8k16
func.func @odd(%x: memref<4096x90xf16>, %w: memref<6x90x64xf16>, %y: memref<4096x384xf32>) {
  sq.packed_matmul ins(%x, %w : memref<4096x90xf16>, memref<6x90x64xf16>) outs(%y : memref<4096x384xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}
