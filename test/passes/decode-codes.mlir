// RUN: sq-opt %s --sq-decode-codes --split-input-file --verify-diagnostics | FileCheck %s
// RUN: not sq-opt %s --sq-decode-codes=groups-only --split-input-file 2>/dev/null | FileCheck %s --check-prefix=GROUPS
// RUN: not sq-opt %s --sq-pack-codes --split-input-file 2>&1 | FileCheck %s --check-prefix=PACK
// PACK: needs static k and n, got 'tensor<?x?xf32>' and 'tensor<?x2xf32>'

// Row 0 has the codes 0, 1, 2, 3, 0, ...; row 1 3, 2, 1, 0, 0, ...
// CHECK-LABEL: @main
// CHECK: %[[W:.*]] = arith.constant dense<{{\[\[}}-1.000000e+00, 4.000000e+00, 5.000000e-01, 1.000000e+00, -1.000000e+00, {{.*}}], [1.000000e+01, 1.000000e+00, -1.000000e+00, -2.000000e+00, -2.000000e+00, {{.*}}, 1.400000e+01]]> : tensor<2x40xf32>
// CHECK: sq.linear ins(%{{.*}}, %[[W]] : tensor<?x40xf32>, tensor<2x40xf32>) outs({{.*}}) {transpose_weight}
func.func @main(%x: tensor<?x40xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<?x2xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x40xf32>
  %init = tensor.empty(%m) : tensor<?x2xf32>
  %c = arith.constant dense<[[0xE4, 0, 0, 0], [0x1B, 0, 0, 0]]> : tensor<2x4xi32>
  %t = arith.constant dense<[[-1.0, 0.0, 0.5, 1.0], [-2.0, -1.0, 1.0, 2.0]]> : tensor<2x4xf16>
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %l = arith.constant dense<[1, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[4.0, 8.0, 16.0]> : tensor<3xf16>
  %s = sq.csr %p, %l, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<2x4xi32>, tensor<2x4xf16>, tensor<2x40xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

func.func @argument(%x: tensor<?x40xf32>, %s: tensor<2x40xf16>, %init: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // expected-error @+1 {{'sq.csr_matmul' op needs a sparse weight that sq.csr makes of constants}}
  %y = sq.csr_matmul ins(%x, %s : tensor<?x40xf32>, tensor<2x40xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

func.func @unknown_columns(%x: tensor<?x?xf32>, %init: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %c = arith.constant dense<0> : tensor<2x4xi32>
  %t = arith.constant dense<0.0> : tensor<2x4xf16>
  // expected-error @+1 {{'sq.lut_matmul' op needs static k and n, got 'tensor<?x?xf32>' and 'tensor<?x2xf32>'}}
  %y = sq.lut_matmul ins(%x, %c, %t : tensor<?x?xf32>, tensor<2x4xi32>, tensor<2x4xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Row 0 has the codes 4, 3, 2, 1, 0, ..; the first group's scale is 0.5, the second's -2.
// CHECK-LABEL: @groups
// CHECK: sq.linear ins(%{{.*}} : tensor<?x40xf32>, tensor<1x40xf32>) outs({{.*}}) {transpose_weight}
// GROUPS: sq.dense_and_sparse_matmul
// GROUPS-LABEL: @groups
// GROUPS: %[[W:.*]] = arith.constant dense_resource<decoded> : tensor<1x40xf32>
// GROUPS: sq.linear ins(%{{.*}}, %[[W]] : tensor<?x40xf32>, tensor<1x40xf32>) outs({{.*}}) {transpose_weight}
// -2, -2.5, -3, -3.5, -4, ..; -2 (0 - 8) = 16.
// GROUPS: decoded: "0x40000000000000C0000020C0000040C0000060C0000080C0{{.*}}000080C0000080410000804100008041{{.*}}00008041"
func.func @groups(%x: tensor<?x40xf32>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %c = arith.constant dense<[[0x1234, 0, 0, 0, 0, 0, 0, 0]]> : tensor<1x8xi32>
  %s = arith.constant dense<[[0.5, -2.0]]> : tensor<1x2xf16>
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<1x8xi32>, tensor<1x2xf16>) outs(%init : tensor<?x1xf32>) {bits = 4 : i64, group_size = 32 : i64, zero_point = 8 : i64} -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

func.func @grouped_argument(%x: tensor<?x40xf32>, %s: tensor<1x2xf16>, %init: tensor<?x1xf32>) -> tensor<?x1xf32> {
  %c = arith.constant dense<0> : tensor<1x8xi32>
  // expected-error @+1 {{'sq.grouped_matmul' op needs constant codes, scales and offsets}}
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<?x40xf32>, tensor<1x8xi32>, tensor<1x2xf16>) outs(%init : tensor<?x1xf32>) {bits = 4 : i64, group_size = 32 : i64, zero_point = 8 : i64} -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}
