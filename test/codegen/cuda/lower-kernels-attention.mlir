// RUN: sq-opt %s --sq-lower-gpu-kernels --canonicalize --cse --split-input-file | FileCheck %s

// Up to four queries: parts of the keys in blocks of their own, joined after.
// More: tiles of keys and values through shared memory, online softmax.
// CHECK-LABEL: @dynamic
// CHECK: %[[FEW:.*]] = arith.cmpi ule, %{{.*}}, %c4
// CHECK: scf.if %[[FEW]] {
// CHECK: gpu.launch
// CHECK: gpu.shuffle idx
// CHECK: sq.alternative, sq.min_blocks = 4 : i64, sq.name = "attention_decode"
// CHECK: scf.if
// CHECK: gpu.launch
// CHECK: sq.alternative, sq.name = "attention_join"
// CHECK: } else {
// CHECK: gpu.launch {{.*}} workgroup(%{{.*}} : memref<32x52xf32, #gpu.address_space<workgroup>>, %{{.*}} : memref<32x52xf32, #gpu.address_space<workgroup>>, %{{.*}} : memref<32x33xf32, #gpu.address_space<workgroup>>)
// CHECK: gpu.barrier
// CHECK: vector.fma
// CHECK: arith.maximumf
// CHECK: math.exp
// CHECK: sq.name = "attention"
func.func @dynamic(%q: memref<?x?x4x40xf32>, %k: memref<?x?x2x40xf32>, %m: memref<?x1x1x?xf32>, %y: memref<?x?x4x40xf32>) {
  sq.attention ins(%q, %k, %k : memref<?x?x4x40xf32>, memref<?x?x2x40xf32>, memref<?x?x2x40xf32>) mask(%m : memref<?x1x1x?xf32>) outs(%y : memref<?x?x4x40xf32>) {scale = 0.5 : f32}
  return
}

// -----

// One query: no other kernel.
// CHECK-LABEL: @decode
// CHECK: sq.name = "attention_decode"
// CHECK: sq.name = "attention_join"
// CHECK-NOT: sq.name
func.func @decode(%q: memref<1x1x4x64xf32>, %k: memref<1x?x4x64xf32>, %y: memref<1x1x4x64xf32>) {
  sq.attention ins(%q, %k, %k : memref<1x1x4x64xf32>, memref<1x?x4x64xf32>, memref<1x?x4x64xf32>) outs(%y : memref<1x1x4x64xf32>) {scale = 0.5 : f32, causal}
  return
}

// -----

// Heads whose tiles would not fit shared memory.
// CHECK-LABEL: @large_head
// CHECK: sq.name = "attention_decode"
func.func @large_head(%q: memref<1x?x1x512xf32>, %y: memref<1x?x1x512xf32>) {
  sq.attention ins(%q, %q, %q : memref<1x?x1x512xf32>, memref<1x?x1x512xf32>, memref<1x?x1x512xf32>) outs(%y : memref<1x?x1x512xf32>) {scale = 0.5 : f32}
  return
}

// -----

// 16-bit keys and more than four queries: tensor cores. Four fragments of
// queries stay in registers; keys are read as they lie, values transposed.
// CHECK-LABEL: @short
// CHECK: gpu.launch {{.*}} dynamic_shared_memory_size %c15360_i32
// CHECK: memref.view %{{.*}} : memref<?xi8, #gpu.address_space<workgroup>> to memref<64x40xf16, #gpu.address_space<workgroup>>
// CHECK: vector.load %{{.*}} {alignment = 16 : i64} : memref<2x100x12x32xf16>, vector<8xf16>
// CHECK: nvgpu.ldmatrix
// CHECK: scf.for
// CHECK: nvgpu.ldmatrix {{.*}} {numTiles = 4 : i32, transpose = false}
// CHECK: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
// CHECK: llvm.intr.exp2
// CHECK: arith.truncf %{{.*}} : vector<2xf32> to vector<2xf16>
// CHECK: nvgpu.ldmatrix {{.*}} {numTiles = 4 : i32, transpose = true}
// CHECK: llvm.call_intrinsic "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
// CHECK: sq.min_blocks = 4 : i64, sq.name = "attention"
func.func @short(%q: memref<2x100x12x32xf16>, %y: memref<2x100x12x32xf16>) {
  sq.attention ins(%q, %q, %q : memref<2x100x12x32xf16>, memref<2x100x12x32xf16>, memref<2x100x12x32xf16>) outs(%y : memref<2x100x12x32xf16>) {scale = 0.5 : f32, causal}
  return
}

// -----

// Heads of 20 are no whole pieces of 16 bytes.
// CHECK-LABEL: @odd_head
// CHECK-NOT: nvgpu.ldmatrix
// CHECK: sq.name = "attention"
func.func @odd_head(%q: memref<2x100x12x20xf16>, %y: memref<2x100x12x20xf16>) {
  sq.attention ins(%q, %q, %q : memref<2x100x12x20xf16>, memref<2x100x12x20xf16>, memref<2x100x12x20xf16>) outs(%y : memref<2x100x12x20xf16>) {scale = 0.5 : f32}
  return
}
