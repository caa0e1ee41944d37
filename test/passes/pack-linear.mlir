// RUN: sq-opt %s --sq-pack-linear --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-pack-linear=columns=16 --split-input-file | FileCheck %s --check-prefix=NARROW
// RUN: sq-opt %s --sq-pack-linear --sq-pack-linear --split-input-file | FileCheck %s

// 100 columns are three panels of 48, or seven of 16.
// CHECK-LABEL: @bias
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x4xf32>, %[[OUT:.*]]: tensor<?x?x100xf32>)
// CHECK: %[[B:.*]] = arith.constant dense<5.000000e-01> : tensor<100xf32>
// CHECK: %[[W:.*]] = sq.weight dense<{{.*}}> : tensor<4x100xf32> {pack = 48 : i64} -> tensor<3x4x48xf32>
// CHECK: %[[Y:.*]] = sq.packed_matmul ins(%[[X]], %[[W]] : tensor<?x?x4xf32>, tensor<3x4x48xf32>) extras(%[[B]] : tensor<100xf32>) outs(%[[OUT]] : tensor<?x?x100xf32>) {
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32, %[[E:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[ACC]], %[[E]] : f32
// CHECK-NEXT: sq.yield %[[S]] : f32
// CHECK: return %[[Y]]
// NARROW-LABEL: @bias
// NARROW: sq.weight {{.*}} {pack = 16 : i64} -> tensor<7x4x16xf32>
func.func @bias(%x: tensor<?x?x4xf32>, %out: tensor<?x?x100xf32>) -> tensor<?x?x100xf32> {
  %w = arith.constant dense<0.25> : tensor<4x100xf32>
  %b = arith.constant dense<0.5> : tensor<100xf32>
  %y = sq.linear ins(%x, %w : tensor<?x?x4xf32>, tensor<4x100xf32>) bias(%b : tensor<100xf32>) outs(%out : tensor<?x?x100xf32>) -> tensor<?x?x100xf32>
  return %y : tensor<?x?x100xf32>
}

// -----

// A transposed weight [n, k] packs to the same panels; no bias, no extras. The
// bias may be a run-time tensor, only the weight is packed.
// CHECK-LABEL: @transposed
// CHECK: %[[W:.*]] = sq.weight dense<{{.*}}> : tensor<48x4xf32> {pack = 48 : i64, transpose} -> tensor<1x4x48xf32>
// CHECK: sq.packed_matmul ins(%{{.*}}, %[[W]] : tensor<?x4xf32>, tensor<1x4x48xf32>) outs(
// CHECK-NEXT: ^bb0(%[[ACC:.*]]: f32):
// CHECK-NEXT: sq.yield %[[ACC]] : f32
func.func @transposed(%x: tensor<?x4xf32>, %out: tensor<?x48xf32>) -> tensor<?x48xf32> {
  %w = arith.constant dense<0.25> : tensor<48x4xf32>
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<48x4xf32>) outs(%out : tensor<?x48xf32>) {transpose_weight} -> tensor<?x48xf32>
  return %y : tensor<?x48xf32>
}

// -----

// CHECK-LABEL: @run_time_bias
// CHECK-SAME: %[[B:[^ ]*]]: tensor<8xf32>
// CHECK: sq.packed_matmul {{.*}} extras(%[[B]] : tensor<8xf32>)
func.func @run_time_bias(%x: tensor<?x4xf32>, %b: tensor<8xf32>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = arith.constant dense<0.25> : tensor<4x8xf32>
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) bias(%b : tensor<8xf32>) outs(%out : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A weight that is only known at run time cannot be packed: a contraction and
// an addition, which write where the layer wrote.
// CHECK-DAG: #[[$X:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$W:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[$Y:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[$ROW:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: @run_time_weight
// CHECK-SAME: (%[[A:.*]]: tensor<?x4xf32>, %[[B:.*]]: tensor<4x8xf32>, %[[C:.*]]: tensor<8xf32>, %[[OUT:.*]]: tensor<?x8xf32>)
// CHECK-NOT: sq.
// CHECK: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK: %[[INIT:.*]] = linalg.fill ins(%[[ZERO]]
// CHECK: %[[SUM:.*]] = linalg.generic {indexing_maps = [#[[$X]], #[[$W]], #[[$Y]]], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[A]], %[[B]] : {{.*}}) outs(%[[INIT]]
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$ROW]], #{{.*}}], iterator_types = ["parallel", "parallel"]} ins(%[[SUM]], %[[C]] : {{.*}}) outs(%[[OUT]]
// CHECK: arith.addf
func.func @run_time_weight(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) bias(%b : tensor<8xf32>) outs(%out : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Half precision is summed in f32 and rounded once.
// CHECK-DAG: #[[$WT:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: @half
// CHECK-NOT: sq.
// CHECK: tensor.empty({{.*}}) : tensor<?x8xf32>
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$WT]], #{{.*}}]
// CHECK: ^bb0(%[[A:.*]]: f16, %[[B:.*]]: f16, %[[ACC:.*]]: f32):
// CHECK: %[[A32:.*]] = arith.extf %[[A]] : f16 to f32
// CHECK: %[[B32:.*]] = arith.extf %[[B]] : f16 to f32
// CHECK: %[[P:.*]] = arith.mulf %[[A32]], %[[B32]] : f32
// CHECK: arith.addf %[[ACC]], %[[P]] : f32
// CHECK: linalg.generic
// CHECK: ^bb0(%[[S:.*]]: f32, %{{.*}}: f16):
// CHECK: %[[R:.*]] = arith.truncf %[[S]] : f32 to f16
// CHECK: linalg.yield %[[R]] : f16
func.func @half(%x: tensor<?x4xf16>, %out: tensor<?x8xf16>) -> tensor<?x8xf16> {
  %w = arith.constant dense<0.25> : tensor<8x4xf16>
  %y = sq.linear ins(%x, %w : tensor<?x4xf16>, tensor<8x4xf16>) outs(%out : tensor<?x8xf16>) {transpose_weight} -> tensor<?x8xf16>
  return %y : tensor<?x8xf16>
}

// -----

// CHECK-LABEL: @double
// CHECK-NOT: f32
// CHECK: arith.mulf {{.*}} : f64
// CHECK: arith.addf {{.*}} : f64
// CHECK-NOT: arith.truncf
func.func @double(%x: tensor<?x4xf64>, %out: tensor<?x8xf64>) -> tensor<?x8xf64> {
  %w = arith.constant dense<0.25> : tensor<4x8xf64>
  %y = sq.linear ins(%x, %w : tensor<?x4xf64>, tensor<4x8xf64>) outs(%out : tensor<?x8xf64>) -> tensor<?x8xf64>
  return %y : tensor<?x8xf64>
}

// -----

// A vector times a weight: the result has one dim.
// CHECK-LABEL: @vector
// CHECK: sq.packed_matmul ins(%{{.*}}, %{{.*}} : tensor<4xf32>, tensor<1x4x48xf32>) outs(%{{.*}} : tensor<8xf32>)
func.func @vector(%x: tensor<4xf32>, %out: tensor<8xf32>) -> tensor<8xf32> {
  %w = arith.constant dense<0.25> : tensor<4x8xf32>
  %y = sq.linear ins(%x, %w : tensor<4xf32>, tensor<4x8xf32>) outs(%out : tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}
