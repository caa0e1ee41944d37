// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// Constant scalars lie in the body, other constants are operands; a vector is read by
// the last dim.
// CHECK-DAG: #[[$LAST:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[$ALL:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // CHECK: linalg.generic {indexing_maps = [#[[$LAST]], #[[$ALL]], #[[$ALL]]]
  // CHECK: linalg.generic {indexing_maps = [#[[$ALL]], #[[$ALL]]]
  // CHECK: %[[HALF:.*]] = arith.constant 5.000000e-01 : f32
  // CHECK: arith.mulf %{{.*}}, %[[HALF]] : f32
  %b = onnx.Constant() {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %h = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Add(%b, %x) : (tensor<2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %m = onnx.Mul(%a, %h) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  return %m : tensor<?x2xf32>
}

// -----

// A dim of 1 is read at 0; two pending dims make the result's shape.
// CHECK: #[[$COLUMN:.*]] = affine_map<(d0, d1) -> (d0, 0)>
// CHECK: #[[$ROW:.*]] = affine_map<(d0, d1) -> (0, d1)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: -> (tensor<3x4xf32>
func.func @main(%x: tensor<3x1xf32>, %y: tensor<1x4xf32>) -> tensor<*xf32> {
  // CHECK: linalg.generic {indexing_maps = [#[[$COLUMN]], #[[$ROW]],
  %a = onnx.Sub(%x, %y) : (tensor<3x1xf32>, tensor<1x4xf32>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

// f16 is computed in f32 and rounded once per op.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xf16>) -> tensor<4xf16> {
  // CHECK: %[[W:.*]] = arith.extf %{{.*}} : f16 to f32
  // CHECK: %[[E:.*]] = math.exp %[[W]] : f32
  // CHECK: arith.truncf %[[E]] : f32 to f16
  %a = onnx.Exp(%x) : (tensor<4xf16>) -> tensor<4xf16>
  return %a : tensor<4xf16>
}

// -----

// Division by zero must not trap, and INT_MIN / -1 neither.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xi32>, %y: tensor<4xi32>, %u: tensor<4xui8>, %v: tensor<4xui8>) -> (tensor<4xi32>, tensor<4xui8>, tensor<4xi32>) {
  // CHECK: %[[ZERO:.*]] = arith.cmpi eq, %[[B:.*]], %c0_i32
  // CHECK: %[[MINUS:.*]] = arith.cmpi eq, %[[B]], %c-1_i32
  // CHECK: %[[TRAPS:.*]] = arith.ori %[[ZERO]], %[[MINUS]]
  // CHECK: %[[SAFE:.*]] = arith.select %[[TRAPS]], %c1_i32, %[[B]]
  // CHECK: arith.divsi %{{.*}}, %[[SAFE]]
  // CHECK: arith.divui %{{.*}}, %{{.*}} : i8
  // A constant divisor needs no guard.
  // CHECK: linalg.generic
  // CHECK-NOT: arith.select
  // CHECK: arith.divsi %{{.*}}, %c3_i32
  // CHECK-NOT: arith.select
  %three = onnx.Constant() {value = dense<3> : tensor<i32>} : () -> tensor<i32>
  %a = onnx.Div(%x, %y) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %b = onnx.Div(%u, %v) : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  %c = onnx.Div(%x, %three) : (tensor<4xi32>, tensor<i32>) -> tensor<4xi32>
  return %a, %b, %c : tensor<4xi32>, tensor<4xui8>, tensor<4xi32>
}

// -----

// Mod takes the sign of the divisor, fmod that of the dividend.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xi32>, %y: tensor<4xi32>, %f: tensor<4xf32>, %g: tensor<4xf32>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xf32>) {
  // CHECK: %[[R:.*]] = arith.remsi
  // CHECK: %[[SUM:.*]] = arith.addi %[[R]]
  // CHECK: arith.select %{{.*}}, %[[SUM]], %[[R]]
  // CHECK: %[[C:.*]] = arith.remsi
  // CHECK-NEXT: linalg.yield %[[C]]
  // CHECK: arith.remf
  %a = onnx.Mod(%x, %y) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %b = onnx.Mod(%x, %y) {fmod = 1 : i64} : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %c = onnx.Mod(%f, %g) {fmod = 1 : i64} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %a, %b, %c : tensor<4xi32>, tensor<4xi32>, tensor<4xf32>
}

// -----

// Constant exponents; a vector of exponents stays a power.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK: %[[S:.*]] = arith.mulf %[[X:.*]], %[[X]] : f32
  // CHECK-NEXT: linalg.yield %[[S]]
  // CHECK: math.sqrt
  // CHECK: arith.constant 3.000000e+00 : f32
  // CHECK-NOT: math.ipowi
  // CHECK: math.powf
  // CHECK: math.powf
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %three = onnx.Constant() {value = dense<3> : tensor<i64>} : () -> tensor<i64>
  %mixed = onnx.Constant() {value = dense<[2.0, 2.0, 2.0, 3.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %a = onnx.Pow(%x, %two) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = onnx.Pow(%x, %half) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %c = onnx.Pow(%x, %three) : (tensor<4xf32>, tensor<i64>) -> tensor<4xf32>
  %d = onnx.Pow(%x, %mixed) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %a, %b, %c, %d : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// Shifts by the width and more give 0.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xui8>, %y: tensor<4xui8>) -> (tensor<4xui8>, tensor<4xui8>) {
  // CHECK: %[[FITS:.*]] = arith.cmpi ult, %{{.*}}, %c8_i8
  // CHECK: %[[BY:.*]] = arith.select %[[FITS]]
  // CHECK: %[[SHIFTED:.*]] = arith.shli %{{.*}}, %[[BY]]
  // CHECK: arith.select %[[FITS]], %[[SHIFTED]], %c0_i8
  // CHECK: arith.shrui
  %a = onnx.BitShift(%x, %y) {direction = "LEFT"} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  %b = onnx.BitShift(%x, %y) {direction = "RIGHT"} : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  return %a, %b : tensor<4xui8>, tensor<4xui8>
}

// -----

// Comparison, logic and selection; unsigned comparisons know it.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xi8>, %u: tensor<4xui8>, %f: tensor<4xf32>, %p: tensor<4xi1>) -> (tensor<4xi1>, tensor<4xi1>, tensor<4xi1>, tensor<4xf32>) {
  // CHECK: arith.cmpi slt
  // CHECK: arith.cmpi ult
  // CHECK: arith.cmpf ole
  // CHECK: arith.xori %{{.*}}, %{{.*}} : i1
  // CHECK: arith.andi %{{.*}}, %{{.*}} : i1
  // CHECK: arith.select
  %zero = onnx.Constant() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Less(%x, %x) : (tensor<4xi8>, tensor<4xi8>) -> tensor<4xi1>
  %b = onnx.Less(%u, %u) : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xi1>
  %c = onnx.LessOrEqual(%f, %f) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi1>
  %n = onnx.Not(%p) : (tensor<4xi1>) -> tensor<4xi1>
  %d = onnx.And(%n, %c) : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  %e = onnx.Where(%d, %f, %zero) : (tensor<4xi1>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %a, %b, %d, %e : tensor<4xi1>, tensor<4xi1>, tensor<4xi1>, tensor<4xf32>
}

// -----

// Variadic ones are one loop nest.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xf32>, %y: tensor<4xf32>, %z: tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK: linalg.generic
  // CHECK: arith.addf
  // CHECK: arith.addf
  // CHECK: arith.divf %{{.*}}, %cst
  // CHECK: linalg.generic
  // CHECK: arith.minimumf
  // CHECK: arith.minimumf
  // CHECK-NOT: linalg.generic
  %a = onnx.Mean(%x, %y, %z) : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = onnx.Min(%x, %y, %z) : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %a, %b : tensor<4xf32>, tensor<4xf32>
}

// -----

// Clip: bounds as inputs, either may be missing.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xf32>, %low: tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK: %[[A:.*]] = arith.maximumf
  // CHECK-NEXT: linalg.yield %[[A]]
  // CHECK: %[[B:.*]] = arith.minimumf %{{.*}}, %cst
  // CHECK-NEXT: linalg.yield %[[B]]
  // CHECK: return %{{.*}}, %{{.*}}, %arg0
  %none = onnx.NoValue
  %six = onnx.Constant() {value = dense<6.0> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Clip(%x, %low) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = onnx.Clip(%x, %none, %six) : (tensor<4xf32>, none, tensor<f32>) -> tensor<4xf32>
  %c = onnx.Clip(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %a, %b, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// Before opset 11 they are attributes.
module attributes {onnx.opset_imports = {"ai.onnx" = 6 : i64}} {
  // CHECK-LABEL: func.func @main
  // CHECK: %[[A:.*]] = arith.maximumf %{{.*}}, %cst
  // CHECK-NEXT: linalg.yield %[[A]]
  func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
    %a = onnx.Clip(%x) {min = -1.0 : f32} : (tensor<4xf32>) -> tensor<4xf32>
    return %a : tensor<4xf32>
  }
}
