// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @zero_point
// CHECK: sq.grouped_matmul ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>) outs(%{{.*}} : tensor<?x8xf32>) {bits = 4 : i64, group_size = 16 : i64, zero_point = 8 : i64} -> tensor<?x8xf32>
func.func @zero_point(%x: tensor<?x40xf32>, %c: tensor<8x8xi32>, %s: tensor<8x3xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<8x8xi32>, tensor<8x3xf16>) outs(%init : tensor<?x8xf32>) {bits = 4 : i64, group_size = 16 : i64, zero_point = 8 : i64} -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @zero_points
// CHECK: sq.grouped_matmul ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<2x?x40xf32>, tensor<8x6xi32>, tensor<8x1xf32>, tensor<8x1xi8>) outs(%{{.*}} : tensor<2x?x8xf32>) {bits = 3 : i64, float_input, group_size = 40 : i64}
func.func @zero_points(%x: tensor<2x?x40xf32>, %c: tensor<8x6xi32>, %s: tensor<8x1xf32>, %z: tensor<8x1xi8>, %init: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  %y = sq.grouped_matmul ins(%x, %c, %s, %z : tensor<2x?x40xf32>, tensor<8x6xi32>, tensor<8x1xf32>, tensor<8x1xi8>) outs(%init : tensor<2x?x8xf32>) {bits = 3 : i64, group_size = 40 : i64, float_input} -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// CHECK-LABEL: @minima
// CHECK: sq.grouped_matmul ins(%{{.*}} : tensor<?x40xf32>, tensor<1x4xi32>, tensor<1x2xf16>, tensor<1x2xf16>)
func.func @minima(%x: tensor<?x40xf32>, %c: tensor<1x4xi32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %s = arith.constant dense<[[0.5, -0.25]]> : tensor<1x2xf16>
  %y = sq.grouped_matmul ins(%x, %c, %s, %s : tensor<?x40xf32>, tensor<1x4xi32>, tensor<1x2xf16>, tensor<1x2xf16>) outs(%init : tensor<?x1xf32>) {bits = 2 : i64, group_size = 32 : i64} -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
