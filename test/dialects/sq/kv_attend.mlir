// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @tensors
func.func @tensors(%q: tensor<?x?x6x64xf32>, %k: tensor<?x?x2x64xf32>, %v: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %y: tensor<?x?x6x64xf32>) -> tensor<?x?x6x64xf32> {
  // CHECK: sq.kv_attend ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x6x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%{{.*}} : tensor<?x?x6x64xf32>) {scale = 1.250000e-01 : f32} -> tensor<?x?x6x64xf32>
  %0 = sq.kv_attend ins(%q, %k, %v, %n : tensor<?x?x6x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%y : tensor<?x?x6x64xf32>) {scale = 0.125 : f32} -> tensor<?x?x6x64xf32>
  return %0 : tensor<?x?x6x64xf32>
}

// CHECK-LABEL: @buffers
func.func @buffers(%q: memref<1x1x2x8xf32>, %k: memref<1x9x2x8xf32>, %n: memref<1xi64>, %y: memref<1x1x2x8xf32>) {
  // CHECK: sq.kv_attend ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : memref<1x1x2x8xf32>, memref<1x9x2x8xf32>, memref<1x9x2x8xf32>, memref<1xi64>) outs(%{{.*}} : memref<1x1x2x8xf32>)
  sq.kv_attend ins(%q, %k, %k, %n : memref<1x1x2x8xf32>, memref<1x9x2x8xf32>, memref<1x9x2x8xf32>, memref<1xi64>) outs(%y : memref<1x1x2x8xf32>) {scale = 1.0 : f32}
  return
}

// CHECK-LABEL: @turned
func.func @turned(%q: tensor<?x?x6x64xf32>, %k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %c: tensor<?x?x64xf32>) -> tensor<?x?x6x64xf32> {
  // CHECK: sq.kv_attend ins({{.*}}) rotary(%{{.*}}, %{{.*}} : tensor<?x?x64xf32>, tensor<?x?x64xf32>) outs(%{{.*}} : tensor<?x?x6x64xf32>) {scale = 1.250000e-01 : f32}
  %0 = sq.kv_attend ins(%q, %k, %k, %n : tensor<?x?x6x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?xi64>) rotary(%c, %c : tensor<?x?x64xf32>, tensor<?x?x64xf32>) outs(%q : tensor<?x?x6x64xf32>) {scale = 0.125 : f32} -> tensor<?x?x6x64xf32>
  return %0 : tensor<?x?x6x64xf32>
}
