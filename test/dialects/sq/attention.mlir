// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @masked
func.func @masked(%q: tensor<?x?x2x32xf32>, %m: tensor<?x1x1x?xf32>, %init: tensor<?x?x2x32xf32>) -> tensor<?x?x2x32xf32> {
  // CHECK: sq.attention ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>) mask(%{{.*}} : tensor<?x1x1x?xf32>) outs(%{{.*}} : tensor<?x?x2x32xf32>) {scale = 2.500000e-01 : f32} -> tensor<?x?x2x32xf32>
  %o = sq.attention ins(%q, %q, %q : tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>, tensor<?x?x2x32xf32>) mask(%m : tensor<?x1x1x?xf32>) outs(%init : tensor<?x?x2x32xf32>) {scale = 0.25 : f32} -> tensor<?x?x2x32xf32>
  return %o : tensor<?x?x2x32xf32>
}

// CHECK-LABEL: @cross
func.func @cross(%q: tensor<1x5x2x32xf32>, %kv: tensor<1x7x2x32xf32>, %init: tensor<1x5x2x32xf32>) -> tensor<1x5x2x32xf32> {
  // CHECK: sq.attention ins({{.*}} : tensor<1x5x2x32xf32>, tensor<1x7x2x32xf32>, tensor<1x7x2x32xf32>) outs(
  %o = sq.attention ins(%q, %kv, %kv : tensor<1x5x2x32xf32>, tensor<1x7x2x32xf32>, tensor<1x7x2x32xf32>) outs(%init : tensor<1x5x2x32xf32>) {scale = 0.25 : f32} -> tensor<1x5x2x32xf32>
  return %o : tensor<1x5x2x32xf32>
}

// Two heads share one of the keys and values; the queries are the last five of seven.
// CHECK-LABEL: @grouped_causal
func.func @grouped_causal(%q: tensor<1x5x4x32xf32>, %kv: tensor<1x7x2x32xf32>, %init: tensor<1x5x4x32xf32>) -> tensor<1x5x4x32xf32> {
  // CHECK: sq.attention ins({{.*}} : tensor<1x5x4x32xf32>, tensor<1x7x2x32xf32>, tensor<1x7x2x32xf32>) outs({{.*}}) {causal, scale = 2.500000e-01 : f32}
  %o = sq.attention ins(%q, %kv, %kv : tensor<1x5x4x32xf32>, tensor<1x7x2x32xf32>, tensor<1x7x2x32xf32>) outs(%init : tensor<1x5x4x32xf32>) {scale = 0.25 : f32, causal} -> tensor<1x5x4x32xf32>
  return %o : tensor<1x5x4x32xf32>
}
