// RUN: sq-opt %s --sq-lower-gpu-kernels --canonicalize --cse --split-input-file | FileCheck %s

// A warp for each row, four rows a block; lanes meet in five shuffles.
// CHECK-LABEL: @layer_norm
// CHECK-SAME: (%[[X:.*]]: memref<?x384xf32>, %{{.*}}: memref<384xf32>, %{{.*}}: memref<384xf32>, %[[Y:.*]]: memref<?x384xf32>)
// CHECK-NOT: sq.layer_norm
// CHECK: gpu.launch blocks({{.*}}) threads(%[[T:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %c128
// CHECK: %[[WARP:.*]] = arith.divui %[[T]], %c32
// CHECK: %[[LANE:.*]] = arith.remui %[[T]], %c32
// CHECK: scf.if
// CHECK: scf.for %[[N:.*]] = %[[LANE]] to %c384 step %c32
// CHECK: memref.load %[[X]]
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: math.fma
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: math.sqrt
// CHECK: memref.store %{{.*}}, %[[Y]]
// CHECK: sq.name = "layer_norm", sq.work = {{.*}}kind = "layer_norm"
func.func @layer_norm(%x: memref<?x384xf32>, %s: memref<384xf32>, %b: memref<384xf32>, %y: memref<?x384xf32>) {
  sq.layer_norm ins(%x, %s : memref<?x384xf32>, memref<384xf32>) bias(%b : memref<384xf32>) outs(%y : memref<?x384xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

// CHECK-LABEL: @rms_norm
// CHECK: gpu.launch
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK-NOT: gpu.shuffle
func.func @rms_norm(%x: memref<?x64xf32>, %s: memref<64xf32>, %y: memref<?x64xf32>) {
  sq.rms_norm ins(%x, %s : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

// CHECK-LABEL: @softmax
// CHECK: gpu.launch
// CHECK: arith.maximumf
// CHECK: math.exp
func.func @softmax(%x: memref<?x?xf32>, %y: memref<?x?xf32>) {
  sq.softmax ins(%x : memref<?x?xf32>) outs(%y : memref<?x?xf32>)
  return
}
