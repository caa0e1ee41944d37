// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @bias
func.func @bias(%x: tensor<?x4xf32>, %w: tensor<1x4x16xf32>, %b: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // CHECK: sq.packed_matmul ins(%{{.*}}, %{{.*}} : tensor<?x4xf32>, tensor<1x4x16xf32>) extras(%{{.*}} : tensor<8xf32>) outs(%{{.*}} : tensor<?x8xf32>)
  // CHECK: ^bb0(%[[ACC:.*]]: f32, %[[E:.*]]: f32):
  // CHECK: %[[S:.*]] = arith.addf %[[ACC]], %[[E]]
  // CHECK: sq.yield %[[S]] : f32
  %y = sq.packed_matmul ins(%x, %w : tensor<?x4xf32>, tensor<1x4x16xf32>) extras(%b : tensor<8xf32>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32, %e: f32):
    %s = arith.addf %acc, %e : f32
    sq.yield %s : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @coded
// CHECK: sq.packed_matmul ins(%{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<8x1x1x64xi8>) lut(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<8x16xi8>, tensor<8x2xf32>, tensor<9xi32>, tensor<5xi32>) outs(
func.func @coded(%x: tensor<?x40xf32>, %w: tensor<8x1x1x64xi8>, %l0: tensor<8x16xi8>, %l1: tensor<8x2xf32>, %l2: tensor<9xi32>, %l3: tensor<5xi32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x64xi8>) lut(%l0, %l1, %l2, %l3 : tensor<8x16xi8>, tensor<8x2xf32>, tensor<9xi32>, tensor<5xi32>) outs(%init : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Groups of 16: eight scales of a block.
// CHECK-LABEL: @groups
// CHECK: sq.packed_matmul ins(%{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<8x1x1x64xi8>) lut(%{{.*}}, %{{.*}} : tensor<8x8xf16>, tensor<8x8xi8>) outs(%{{.*}} : tensor<?x8xf32>) attributes {bits = 4 : i64, group_size = 16 : i64} {
func.func @groups(%x: tensor<?x40xf32>, %w: tensor<8x1x1x64xi8>, %s: tensor<8x8xf16>, %z: tensor<8x8xi8>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.packed_matmul ins(%x, %w : tensor<?x40xf32>, tensor<8x1x1x64xi8>) lut(%s, %z : tensor<8x8xf16>, tensor<8x8xi8>) outs(%init : tensor<?x8xf32>) attributes {bits = 4 : i64, group_size = 16 : i64} {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
