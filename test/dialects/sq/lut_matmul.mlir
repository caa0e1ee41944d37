// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @three_bits
// CHECK: sq.lut_matmul ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%{{.*}} : tensor<?x8xf32>) -> tensor<?x8xf32>
func.func @three_bits(%x: tensor<?x40xf32>, %c: tensor<8x6xi32>, %t: tensor<8x8xf16>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @four_bits
// CHECK: sq.lut_matmul ins(%{{.*}} : tensor<2x?x64xf32>, tensor<8x8xi32>, tensor<8x16xf16>)
func.func @four_bits(%x: tensor<2x?x64xf32>, %c: tensor<8x8xi32>, %t: tensor<8x16xf16>, %init: tensor<2x?x8xf32>) -> tensor<2x?x8xf32> {
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<2x?x64xf32>, tensor<8x8xi32>, tensor<8x16xf16>) outs(%init : tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// CHECK-LABEL: @constant_table
// CHECK: sq.lut_matmul
func.func @constant_table(%x: tensor<?x40xf32>, %c: tensor<1x4xi32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %t = arith.constant dense<[[-1.0, 0.5, 0.5, 2.0]]> : tensor<1x4xf16>
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<?x40xf32>, tensor<1x4xi32>, tensor<1x4xf16>) outs(%init : tensor<?x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
