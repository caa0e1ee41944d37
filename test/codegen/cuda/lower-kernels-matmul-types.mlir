// RUN: sq-opt %s --sq-lower-gpu-kernels | FileCheck %s

// Short floats are widened where they are read, and the sum is rounded once.
// CHECK-LABEL: func.func @f16
// CHECK: gpu.launch
// CHECK: memref.load %arg0{{.*}}xf16
// CHECK: arith.extf %{{.*}} : f16 to f32
// CHECK: arith.truncf %{{.*}} : f32 to f16
// CHECK: memref.store %{{.*}}, %arg2{{.*}}xf16
func.func @f16(%a: memref<2x?x64xf16>, %b: memref<1x64x?xf16>, %c: memref<2x?x?xf16>) {
  sq.matmul ins(%a, %b : memref<2x?x64xf16>, memref<1x64x?xf16>) outs(%c : memref<2x?x?xf16>)
  return
}

// f64 has no tiles: a thread sums for each element.
// CHECK-LABEL: func.func @f64
// CHECK: gpu.launch
// CHECK: %[[SUM:.*]] = scf.for {{.*}} -> (f64)
// CHECK: arith.mulf %{{.*}} : f64
// CHECK: memref.store %[[SUM]], %arg2
func.func @f64(%a: memref<?x64xf64>, %b: memref<64x?xf64>, %c: memref<?x?xf64>) {
  sq.matmul ins(%a, %b : memref<?x64xf64>, memref<64x?xf64>) outs(%c : memref<?x?xf64>)
  return
}
