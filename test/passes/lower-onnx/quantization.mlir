// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, and what inference drops.

// Half to even, then the zero point, then saturation.
// CHECK-LABEL: func.func @main
// CHECK: math.roundeven
// CHECK: arith.uitofp
// CHECK: arith.addf
// CHECK-DAG: arith.constant 0.000000e+00 : f32
// CHECK-DAG: arith.constant 2.550000e+02 : f32
// CHECK: arith.cmpf ogt
// CHECK: arith.cmpf olt
// CHECK: arith.trunci {{.*}} : i32 to i8
func.func @main(%x: tensor<4xf32>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<4xui8> {
  %y = onnx.QuantizeLinear(%x, %s, %z) : (tensor<4xf32>, tensor<f32>, tensor<ui8>) -> tensor<4xui8>
  return %y : tensor<4xui8>
}

// -----

// One scale for each element of the axis.
// CHECK: #[[$AXIS:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[$AXIS]], #[[$AXIS]], #{{.*}}]
// CHECK: arith.extsi
// CHECK: arith.subi
func.func @main(%x: tensor<3x4xi8>, %s: tensor<4xf32>, %z: tensor<4xi8>) -> tensor<3x4xf32> {
  %y = onnx.DequantizeLinear(%x, %s, %z) : (tensor<3x4xi8>, tensor<4xf32>, tensor<4xi8>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK-NEXT: return %arg0
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = onnx.Dropout(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Only the branch that is taken is lowered.
// CHECK-LABEL: func.func @main
// CHECK-NOT: arith.addf
// CHECK: arith.mulf
// CHECK-NOT: arith.addf
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = onnx.Constant() {value = dense<false> : tensor<i1>} : () -> tensor<i1>
  %y = onnx.If(%c) attributes {region_names = ["then_branch", "else_branch"]} : (tensor<i1>) -> tensor<4xf32> {
    %a = onnx.Add(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %a : tensor<4xf32>
  }, {
    %m = onnx.Mul(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %m : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}
