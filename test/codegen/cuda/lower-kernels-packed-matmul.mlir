// RUN: sq-opt %s --sq-lower-gpu-kernels --canonicalize --cse --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-lower-gpu-kernels=tf32=true --canonicalize --cse --split-input-file | FileCheck %s --check-prefix=TF32

// One row and up to eight have kernels that read the weights once. More rows in
// f32: 64 x 64 tiles through shared memory, 16 sums in each of 256 threads.
// CHECK-LABEL: @f32
// CHECK: %[[ONE:.*]] = arith.cmpi ule, %{{.*}}, %c1
// CHECK: scf.if %[[ONE]] {
// CHECK: sq.alternative, sq.name = "gemv"
// CHECK: %[[FEW:.*]] = arith.cmpi ule, %{{.*}}, %c8
// CHECK: scf.if %[[FEW]] {
// CHECK: sq.alternative, sq.name = "gemv"
// CHECK: } else {
// CHECK: gpu.launch blocks({{.*}}) in {{.*}} threads({{.*}}) in (%{{.*}} = %c256
// CHECK-SAME: workgroup(%[[A:.*]] : memref<16x68xf32, #gpu.address_space<workgroup>>, %[[B:.*]] : memref<16x64xf32, #gpu.address_space<workgroup>>)
// CHECK: gpu.barrier
// CHECK: vector.load %[[A]]
// CHECK: math.fma
// CHECK: gpu.barrier
// CHECK: math.exp
// TF32-LABEL: @f32
// TF32: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k8.row.col.tf32"
func.func @f32(%x: memref<?x96xf32>, %w: memref<2x96x64xf32>, %y: memref<?x128xf32>) {
  sq.packed_matmul ins(%x, %w : memref<?x96xf32>, memref<2x96x64xf32>) outs(%y : memref<?x128xf32>) {
  ^bb0(%acc: f32):
    %e = math.exp %acc : f32
    sq.yield %e : f32
  }
  return
}

// -----

// f16: both factors come by cp.async three steps ahead, tiles by ldmatrix; sums
// leave by shared memory, eight at a time.
// CHECK-LABEL: @f16
// CHECK: gpu.launch blocks({{.*}}) in {{.*}} threads({{.*}}) in (%{{.*}} = %c128{{.*}} dynamic_shared_memory_size %c32768_i32
// CHECK: %[[A:.*]] = memref.view %{{.*}} to memref<4x64x32xf16, #gpu.address_space<workgroup>>
// CHECK: %[[B:.*]] = memref.view %{{.*}} to memref<4x32x64xf16, #gpu.address_space<workgroup>>
// CHECK: nvgpu.device_async_copy %arg0{{.*}}, %[[A]]{{.*}}, 8 {bypassL1}
// CHECK: nvgpu.device_async_copy %arg1{{.*}}, %[[B]]{{.*}}, 8 {bypassL1}
// CHECK: nvgpu.device_async_create_group
// CHECK: scf.for
// CHECK: nvgpu.device_async_wait %{{.*}} {numGroups = 2 : i32}
// CHECK: gpu.barrier
// CHECK: nvgpu.ldmatrix %[[A]]{{.*}} {numTiles = 4 : i32, transpose = false}
// CHECK: nvgpu.ldmatrix %[[B]]{{.*}} {numTiles = 4 : i32, transpose = true}
// CHECK: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
// CHECK: nvvm.bar.warp.sync
// CHECK: vector.load %{{.*}} : memref<4x16x40xf32, #gpu.address_space<workgroup>>, vector<8xf32>
// CHECK: vector.store %{{.*}}, %arg2{{.*}} {alignment = 16 : i64} : memref<100x128xf16>, vector<8xf16>
func.func @f16(%x: memref<100x96xf16>, %w: memref<2x96x64xf16>, %y: memref<100x128xf16>) {
  sq.packed_matmul ins(%x, %w : memref<100x96xf16>, memref<2x96x64xf16>) outs(%y : memref<100x128xf16>) {
  ^bb0(%acc: f32):
    %short = arith.truncf %acc : f32 to f16
    sq.yield %short : f16
  }
  return
}

// -----

// Many rows: warps of 64 x 64 sums, blocks of two panels. x of f32 is rounded first.
// CHECK-LABEL: @large
// CHECK: %[[SHORT:.*]] = memref.alloc() : memref<4096x96xf16>
// CHECK: arith.truncf %{{.*}} : f32 to f16
// CHECK: memref.store %{{.*}}, %[[SHORT]]
// CHECK: sq.name = "generic"
// CHECK: gpu.launch blocks({{.*}}) in (%{{.*}} = %c32, %{{.*}} = %c3, %{{.*}} = %c1) threads({{.*}}) in (%{{.*}} = %c128{{.*}} dynamic_shared_memory_size %c65536_i32
// CHECK: memref.view %{{.*}} to memref<4x128x32xf16, #gpu.address_space<workgroup>>
// CHECK: nvgpu.device_async_copy %[[SHORT]]
// CHECK: sq.min_blocks = 2 : i64, sq.name = "matmul"
func.func @large(%x: memref<4096x96xf32>, %w: memref<6x96x64xf16>, %y: memref<4096x384xf32>) {
  sq.packed_matmul ins(%x, %w : memref<4096x96xf32>, memref<6x96x64xf16>) outs(%y : memref<4096x384xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

// 384 deep: 16 rows at a time, four times, make six parts of k.
// CHECK-LABEL: @row
// CHECK: gpu.launch blocks({{.*}}) in (%{{.*}} = %c2, %{{.*}} = %c6, {{.*}} workgroup(%{{.*}} : memref<8x1x68xf32, #gpu.address_space<workgroup>>)
// CHECK: vector.load {{.*}} {alignment = 16 : i64} : memref<2x384x64xf32>, vector<4xf32>
// CHECK: gpu.shuffle xor
// CHECK: sq.name = "gemv"
// CHECK: sq.name = "split_sum"
// CHECK-NOT: sq.name
func.func @row(%x: memref<1x384xf32>, %w: memref<2x384x64xf32>, %y: memref<1x128xf32>) {
  sq.packed_matmul ins(%x, %w : memref<1x384xf32>, memref<2x384x64xf32>) outs(%y : memref<1x128xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

// A depth that is no multiple of a step: rows of the weight past it are zeros.
// CHECK-LABEL: @bf16
// CHECK: nvgpu.device_async_copy {{.*}}, 8, %{{.*}} {bypassL1}
// CHECK: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.bf16"
func.func @bf16(%x: memref<9x40xf32>, %w: memref<1x40x64xbf16>, %y: memref<9x60xf32>) {
  sq.packed_matmul ins(%x, %w : memref<9x40xf32>, memref<1x40x64xbf16>) outs(%y : memref<9x60xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

// Few tiles and a deep product: parts of k, which a second launch adds. 12 tiles
// and 1,536 of k make six parts of 256.
// CHECK-LABEL: @split
// CHECK: %[[SUMS:.*]] = memref.alloc() : memref<264x64x64xf32>
// CHECK: gpu.launch blocks({{.*}}) in (%{{.*}} = %c2, %{{.*}} = %c6, %{{.*}} = %c6
// CHECK: vector.store %{{.*}}, %[[SUMS]]
// CHECK: sq.name = "matmul"
// CHECK: memref.load %[[SUMS]]
// CHECK: sq.name = "split_sum"
func.func @split(%x: memref<100x1536xf16>, %w: memref<6x1536x64xf16>, %y: memref<100x384xf32>) {
  sq.packed_matmul ins(%x, %w : memref<100x1536xf16>, memref<6x1536x64xf16>) outs(%y : memref<100x384xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}
