// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @tensors
func.func @tensors(%k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %c: tensor<?x512x2x64xf32>) -> tensor<?x512x2x64xf32> {
  // CHECK: sq.kv_append ins(%{{.*}}, %{{.*}} : tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%{{.*}} : tensor<?x512x2x64xf32>) -> tensor<?x512x2x64xf32>
  %0 = sq.kv_append ins(%k, %n : tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%c : tensor<?x512x2x64xf32>) -> tensor<?x512x2x64xf32>
  return %0 : tensor<?x512x2x64xf32>
}

// CHECK-LABEL: @buffers
func.func @buffers(%k: memref<1x1x2x64xf32>, %n: memref<1xi64>, %c: memref<1x?x2x64xf32>) {
  // CHECK: sq.kv_append ins(%{{.*}}, %{{.*}} : memref<1x1x2x64xf32>, memref<1xi64>) outs(%{{.*}} : memref<1x?x2x64xf32>)
  sq.kv_append ins(%k, %n : memref<1x1x2x64xf32>, memref<1xi64>) outs(%c : memref<1x?x2x64xf32>)
  return
}

// CHECK-LABEL: @turned
func.func @turned(%k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %c: tensor<1x?x32xf32>, %cache: tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32> {
  // CHECK: sq.kv_append ins({{.*}}) rotary(%{{.*}}, %{{.*}} : tensor<1x?x32xf32>, tensor<1x?x32xf32>) outs(%{{.*}} : tensor<?x?x2x64xf32>)
  %0 = sq.kv_append ins(%k, %n : tensor<?x?x2x64xf32>, tensor<?xi64>) rotary(%c, %c : tensor<1x?x32xf32>, tensor<1x?x32xf32>) outs(%cache : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  return %0 : tensor<?x?x2x64xf32>
}
