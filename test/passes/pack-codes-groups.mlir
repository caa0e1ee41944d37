// RUN: sq-opt %s --sq-pack-codes --split-input-file | FileCheck %s --check-prefixes=ALL,F32
// RUN: sq-opt %s --sq-pack-codes --split-input-file --remarks-filter=sq-pack-codes 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: sq-opt %s --sq-pack-codes=activations=int8 --split-input-file | FileCheck %s --check-prefixes=ALL,INT8
// RUN: sq-opt %s --sq-pack-codes=activations=int8-all --split-input-file | FileCheck %s --check-prefixes=ALL,FORCED

// Rows of 40 codes are one block, which has eight scales of groups of 16. Those of f32 become f16 where that is exact.
// ALL-LABEL: @halves
// ALL: %[[S:.*]] = arith.constant dense_resource<scales> : tensor<1x8xf16>
// ALL: %[[W:.*]] = sq.weight dense<0> : tensor<1x8xi32> {codes = 4 : i64} ->
// F32-SAME: tensor<1x1x1x16xi32>
// INT8-SAME: tensor<1x1x1x64xi8>
// FORCED-SAME: tensor<1x1x1x64xi8>
// ALL: sq.packed_matmul ins(%{{.*}}, %[[W]] : {{.*}}) lut(%[[S]] : tensor<1x8xf16>) outs({{.*}}) attributes {bits = 4 : i64, group_size = 16 : i64, zero_point = 8 : i64} {
// ALL-NEXT: ^bb0(%[[SUM:.*]]: f32):
// ALL-NEXT: sq.yield %[[SUM]] : f32
func.func @halves(%x: tensor<?x40xf32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %c = arith.constant dense<0> : tensor<1x8xi32>
  %s = arith.constant dense<[[0.5, 0.25, 2.0]]> : tensor<1x3xf32>
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<1x8xi32>, tensor<1x3xf32>) outs(%init : tensor<?x1xf32>) {bits = 4 : i64, group_size = 16 : i64, zero_point = 8 : i64} -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// 0.1 is no f16. Zero points that are equal are one.
// ALL-LABEL: @equal
// ALL: sq.packed_matmul {{.*}} lut(%{{[^,]*}} : tensor<1x8xf32>) outs({{.*}}) attributes {bits = 4 : i64, group_size = 16 : i64, zero_point = 7 : i64}
func.func @equal(%x: tensor<?x40xf32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %c = arith.constant dense<0> : tensor<1x8xi32>
  %s = arith.constant dense<[[0.5, 0.1, 2.0]]> : tensor<1x3xf32>
  %z = arith.constant dense<7> : tensor<1x3xi8>
  %y = sq.grouped_matmul ins(%x, %c, %s, %z : tensor<?x40xf32>, tensor<1x8xi32>, tensor<1x3xf32>, tensor<1x3xi8>) outs(%init : tensor<?x1xf32>) {bits = 4 : i64, group_size = 16 : i64} -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// What is not to be rounded is not, unless the user says so. A group as long as the row is one.
// ALL-LABEL: @float_input
// F32: ins(%{{.*}} : tensor<?x40xf32>, tensor<2x1x3x16xi32>)
// INT8: ins(%{{.*}} : tensor<?x40xf32>, tensor<2x1x3x16xi32>)
// FORCED: ins(%{{.*}} : tensor<?x40xf32>, tensor<2x1x3x64xi8>)
// ALL-SAME: lut(%{{.*}}, %{{.*}} : tensor<2x1xf16>, tensor<2x1xi8>)
// ALL-SAME: attributes {bits = 3 : i64, group_size = 40 : i64}
func.func @float_input(%x: tensor<?x40xf32>, %init: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %c = arith.constant dense<0> : tensor<2x6xi32>
  %s = arith.constant dense<1.0> : tensor<2x1xf16>
  %z = arith.constant dense<[[7], [6]]> : tensor<2x1xi8>
  %y = sq.grouped_matmul ins(%x, %c, %s, %z : tensor<?x40xf32>, tensor<2x6xi32>, tensor<2x1xf16>, tensor<2x1xi8>) outs(%init : tensor<?x2xf32>) {bits = 3 : i64, group_size = 40 : i64, float_input} -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// REMARK: remark: {{.*}}groups of 20 have no kernel; powers of 2 from 16 on and whole rows have
// ALL-LABEL: @odd
// ALL: sq.linear {{.*}} {transpose_weight}
func.func @odd(%x: tensor<?x40xf32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %c = arith.constant dense<0> : tensor<1x8xi32>
  %s = arith.constant dense<[[0.5, 0.1]]> : tensor<1x2xf32>
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<1x8xi32>, tensor<1x2xf32>) outs(%init : tensor<?x1xf32>) {bits = 4 : i64, group_size = 20 : i64} -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
