// RUN: sq-opt %s --sq-lower-quantized --split-input-file --verify-diagnostics | FileCheck %s
// RUN: sq-opt %s --sq-lower-quantized=products=false --split-input-file --verify-diagnostics | FileCheck %s --check-prefix=LOOPS

!x = !quant.uniform<u8:f32, 0.5:100>

// CHECK-LABEL: @linear
func.func @linear(%x: tensor<?x8xf32>, %init: tensor<?x3xf32>) -> tensor<?x3xf32> {
  // x / 0.5 + 100, rounded by 1.5 * 2^23.
  // CHECK-DAG: arith.constant 2.000000e+00 : f32
  // CHECK-DAG: arith.constant 0x4B400064 : f32
  // CHECK: arith.trunci {{.*}} : i32 to i8
  %q = sq.quantize %x : tensor<?x8xf32> -> tensor<?x8x!x>
  %stored = arith.constant dense<-2> : tensor<8x3xi8>
  %w = quant.scast %stored : tensor<8x3xi8> to tensor<8x3x!quant.uniform<i8:f32:1, {0.25, 0.5, 1.0}>>
  // CHECK: sq.weight dense_resource{{.*}} {pack = 16 : i64} -> tensor<1x16x64xi8>
  // 100 times a column's sum, -16.
  // CHECK: arith.constant dense<-1600> : tensor<3xi32>
  // CHECK: arith.constant dense<[1.250000e-01, 2.500000e-01, 5.000000e-01]> : tensor<3xf32>
  // CHECK: sq.packed_matmul
  // CHECK: arith.subi
  // CHECK-NEXT: arith.sitofp
  // CHECK-NEXT: arith.mulf
  // CHECK-NEXT: sq.yield
  %y = sq.linear ins(%q, %w : tensor<?x8x!x>, tensor<8x3x!quant.uniform<i8:f32:1, {0.25, 0.5, 1.0}>>) outs(%init : tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// Signed x is moved by 128, and padded to whole fours.
// CHECK-LABEL: @signed
func.func @signed(%x: tensor<?x7x!quant.uniform<i8:f32, 0.5>>, %init: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %stored = arith.constant dense<1> : tensor<3x7xi8>
  %w = quant.scast %stored : tensor<3x7xi8> to tensor<3x7x!quant.uniform<i8:f32, 0.25>>
  // CHECK: arith.xori
  // CHECK: tensor.pad
  // CHECK: arith.constant dense<896> : tensor<3xi32>
  // CHECK: sq.packed_matmul
  %y = sq.linear ins(%x, %w : tensor<?x7x!quant.uniform<i8:f32, 0.5>>, tensor<3x7x!quant.uniform<i8:f32, 0.25>>) outs(%init : tensor<?x3xf32>) {transpose_weight} -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// The zero points of a weight take sums of the rows of x; those of x are 10 (8 - 8 * 3) a column.
// CHECK-LABEL: @zero_points
// CHECK-DAG: dense<-160> : tensor<3xi32>
// CHECK-DAG: dense<3> : tensor<3xi32>
// CHECK: linalg.fill
// CHECK: %[[SUMS:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]
// CHECK: %[[ROWS:.*]] = tensor.expand_shape %[[SUMS]] {{.*}} : tensor<?xi32> into tensor<?x1xi32>
// CHECK: sq.packed_matmul {{.*}} extras({{.*}}, %[[ROWS]], %{{.*}} : tensor<3xi32>, tensor<3xi32>, tensor<?x1xi32>, tensor<3xf32>)
// CHECK: arith.subi
// CHECK: arith.muli
// CHECK: arith.subi
// CHECK: arith.sitofp
// Without products of bytes: floats.
// LOOPS-LABEL: @zero_points
// LOOPS: linalg.generic
// LOOPS: sq.linear ins({{.*}} : tensor<?x8xf32>, tensor<8x3xf32>)
func.func @zero_points(%x: tensor<?x8x!quant.uniform<u8:f32, 0.5:10>>, %init: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %stored = arith.constant dense<1> : tensor<8x3xi8>
  %w = quant.scast %stored : tensor<8x3xi8> to tensor<8x3x!quant.uniform<i8:f32, 0.25:3>>
  %y = sq.linear ins(%x, %w : tensor<?x8x!quant.uniform<u8:f32, 0.5:10>>, tensor<8x3x!quant.uniform<i8:f32, 0.25:3>>) outs(%init : tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// The sums themselves.
// CHECK-LABEL: @sums
// CHECK: sq.packed_matmul
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: i32):
// CHECK-NEXT: sq.yield %[[SUM]] : i32
// LOOPS-LABEL: @sums
// LOOPS: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
// LOOPS: arith.muli
func.func @sums(%x: tensor<?x8x!quant.uniform<u8:f32, 1.0>>, %init: tensor<?x3xi32>) -> tensor<?x3xi32> {
  %stored = arith.constant dense<1> : tensor<8x3xi8>
  %w = quant.scast %stored : tensor<8x3xi8> to tensor<8x3x!quant.uniform<i8:f32, 1.0>>
  %y = sq.linear ins(%x, %w : tensor<?x8x!quant.uniform<u8:f32, 1.0>>, tensor<8x3x!quant.uniform<i8:f32, 1.0>>) outs(%init : tensor<?x3xi32>) -> tensor<?x3xi32>
  return %y : tensor<?x3xi32>
}

// -----

!x = !quant.uniform<u8:f32, 0.5:100>
!w = !quant.uniform<i8:f32:1, {0.25, 0.5, 1.0}>

// Sums as they are: the bias takes up what the zero point adds.
// CHECK-LABEL: @biased_sums
// LOOPS-LABEL: @biased_sums
// LOOPS: arith.constant dense<[1, -7, 0]> : tensor<3xi32>
// LOOPS: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
func.func @biased_sums(%x: tensor<?x8x!x>, %init: tensor<?x3xi32>) -> tensor<?x3xi32> {
  %stored = arith.constant dense<-2> : tensor<8x3xi8>
  %w = quant.scast %stored : tensor<8x3xi8> to tensor<8x3x!w>
  %bias = arith.constant dense<[1, -7, 0]> : tensor<3xi32>
  // -1600 minus the bias.
  // CHECK: arith.constant dense<[-1601, -1593, -1600]> : tensor<3xi32>
  // CHECK: sq.packed_matmul
  // CHECK: arith.subi
  // CHECK-NEXT: sq.yield
  %y = sq.linear ins(%x, %w : tensor<?x8x!x>, tensor<8x3x!w>) bias(%bias : tensor<3xi32>) outs(%init : tensor<?x3xi32>) -> tensor<?x3xi32>
  return %y : tensor<?x3xi32>
}

// -----

!y = !quant.uniform<u8:f32, 0.5:100>

// A GELU that is only rounded may be wrong by a part of the step: 0.5 sqrt(2 / 100 / 12), and with factors whose mean
// square is 2.5 by 1 / sqrt 2.5 of that.
// CHECK-LABEL: @gelu_tolerance
// CHECK: sq.gelu {{.*}}tolerance = 0.0204124{{[0-9]*}} : f32
// CHECK: sq.gelu {{.*}}tolerance = 0.0129099{{[0-9]*}} : f32
// The factors and 1 / 0.5 are one.
// CHECK: arith.constant dense<[2.000000e+00, 4.000000e+00, -4.000000e+00, 2.000000e+00]> : tensor<4xf32>
// CHECK: math.fma
func.func @gelu_tolerance(%x: tensor<?x4xf32>, %init: tensor<?x4xf32>) -> (tensor<?x4xi8>, tensor<?x4xi8>) {
  %rounded = sq.gelu ins(%x : tensor<?x4xf32>) outs(%init : tensor<?x4xf32>) -> tensor<?x4xf32>
  %q = sq.quantize %rounded : tensor<?x4xf32> -> tensor<?x4x!y>
  %g = sq.gelu ins(%x : tensor<?x4xf32>) outs(%init : tensor<?x4xf32>) -> tensor<?x4xf32>
  %factors = arith.constant dense<[1.0, 2.0, -2.0, 1.0]> : tensor<4xf32>
  %scaled = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%g, %factors : tensor<?x4xf32>, tensor<4xf32>) outs(%init : tensor<?x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<?x4xf32>
  %r = sq.quantize %scaled : tensor<?x4xf32> -> tensor<?x4x!y>
  %q8 = quant.scast %q : tensor<?x4x!y> to tensor<?x4xi8>
  %r8 = quant.scast %r : tensor<?x4x!y> to tensor<?x4xi8>
  return %q8, %r8 : tensor<?x4xi8>, tensor<?x4xi8>
}

// -----

!y = !quant.uniform<u8:f32, 0.5:100>

// Read by something else too, or times what is not known: as exact as ever.
// CHECK-LABEL: @exact_gelu
// CHECK-NOT: tolerance
// CHECK: return
func.func @exact_gelu(%x: tensor<?x4xf32>, %unknown: tensor<4xf32>, %init: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xi8>, tensor<?x4xi8>) {
  %read = sq.gelu ins(%x : tensor<?x4xf32>) outs(%init : tensor<?x4xf32>) -> tensor<?x4xf32>
  %q = sq.quantize %read : tensor<?x4xf32> -> tensor<?x4x!y>
  %g = sq.gelu ins(%x : tensor<?x4xf32>) outs(%init : tensor<?x4xf32>) -> tensor<?x4xf32>
  %scaled = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%g, %unknown : tensor<?x4xf32>, tensor<4xf32>) outs(%init : tensor<?x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<?x4xf32>
  %r = sq.quantize %scaled : tensor<?x4xf32> -> tensor<?x4x!y>
  %q8 = quant.scast %q : tensor<?x4x!y> to tensor<?x4xi8>
  %r8 = quant.scast %r : tensor<?x4x!y> to tensor<?x4xi8>
  return %read, %q8, %r8 : tensor<?x4xf32>, tensor<?x4xi8>, tensor<?x4xi8>
}
