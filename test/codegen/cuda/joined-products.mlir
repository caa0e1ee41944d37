// RUN: sq-opt %s --sq-lower-gpu-kernels --canonicalize --cse --split-input-file | FileCheck %s

// Weights that lie one behind the other, one x: a product with the panels of all,
// whose columns go to two results.
// CHECK-LABEL: @joined
// CHECK: %[[W:.*]] = sq.weight
// CHECK: %[[ALL:.*]] = memref.reinterpret_cast %[[W]] to offset: [0], sizes: [4, 64, 64], strides: [4096, 64, 1]
// CHECK: gpu.launch blocks({{.*}}) in (%{{.*}} = %c2, %{{.*}} = %c4, %{{.*}} = %c1)
// CHECK: nvgpu.device_async_copy %[[ALL]]
// CHECK: scf.if
// CHECK: arith.cmpi ult, %{{.*}}, %c128
// CHECK: scf.if
// CHECK: vector.store {{.*}} %arg1
// CHECK: } else {
// CHECK: vector.load %arg3
// CHECK: vector.store {{.*}} %arg2
// CHECK: flops = "3289600", kind = "matmul", nodes = [{{.*}}], parts = ["product", "bias"]
// CHECK-NOT: gpu.launch
func.func @joined(%x: memref<100x64xf16>, %y: memref<100x128xf32>, %z: memref<100x128xf32>, %b: memref<128xf32>) {
  %v = sq.weight dense<1.0> : tensor<64x128xf32> {offset = 64 : i64, pack = 64 : i64} -> memref<2x64x64xf16>
  sq.packed_matmul ins(%x, %v : memref<100x64xf16>, memref<2x64x64xf16>) outs(%y : memref<100x128xf32>) {
  ^bb0(%sum: f32):
    sq.yield %sum : f32
  }
  %w = sq.weight dense<2.0> : tensor<64x128xf32> {offset = 16448 : i64, pack = 64 : i64} -> memref<2x64x64xf16>
  sq.packed_matmul ins(%x, %w : memref<100x64xf16>, memref<2x64x64xf16>) extras(%b : memref<128xf32>) outs(%z : memref<100x128xf32>) {
  ^bb0(%sum: f32, %e: f32):
    %s = arith.addf %sum, %e : f32
    sq.yield %s : f32
  }
  return
}

// -----

// Not when the weights lie apart, and not when one reads what the other writes.
// CHECK-LABEL: @apart
// CHECK: sq.name = "matmul"
// CHECK: sq.name = "matmul"
func.func @apart(%x: memref<100x64xf16>, %y: memref<100x128xf32>, %z: memref<100x128xf32>) {
  %v = sq.weight dense<1.0> : tensor<64x128xf32> {offset = 64 : i64, pack = 64 : i64} -> memref<2x64x64xf16>
  sq.packed_matmul ins(%x, %v : memref<100x64xf16>, memref<2x64x64xf16>) outs(%y : memref<100x128xf32>) {
  ^bb0(%sum: f32):
    sq.yield %sum : f32
  }
  %w = sq.weight dense<2.0> : tensor<64x128xf32> {offset = 20544 : i64, pack = 64 : i64} -> memref<2x64x64xf16>
  sq.packed_matmul ins(%x, %w : memref<100x64xf16>, memref<2x64x64xf16>) outs(%z : memref<100x128xf32>) {
  ^bb0(%sum: f32):
    sq.yield %sum : f32
  }
  return
}
// CHECK-LABEL: @reads
// CHECK: sq.name = "matmul"
// CHECK: sq.name = "matmul"
func.func @reads(%x: memref<100x64xf16>, %y: memref<100x128xf32>, %z: memref<100x128xf32>) {
  %v = sq.weight dense<1.0> : tensor<64x128xf32> {offset = 64 : i64, pack = 64 : i64} -> memref<2x64x64xf16>
  sq.packed_matmul ins(%x, %v : memref<100x64xf16>, memref<2x64x64xf16>) outs(%y : memref<100x128xf32>) {
  ^bb0(%sum: f32):
    sq.yield %sum : f32
  }
  %w = sq.weight dense<2.0> : tensor<64x128xf32> {offset = 16448 : i64, pack = 64 : i64} -> memref<2x64x64xf16>
  sq.packed_matmul ins(%x, %w : memref<100x64xf16>, memref<2x64x64xf16>) extras(%y : memref<100x128xf32>) outs(%z : memref<100x128xf32>) {
  ^bb0(%sum: f32, %e: f32):
    %s = arith.addf %sum, %e : f32
    sq.yield %s : f32
  }
  return
}
