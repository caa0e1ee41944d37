// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics | FileCheck %s

// Products of DequantizeLinear by a constant DequantizeLinear, and MatMulInteger.

// CHECK-LABEL: func.func @main
// CHECK: quant.scast {{.*}} : tensor<2x3xi8> to tensor<2x3x!quant.uniform<i8:f32, 5.000000e-01>>
// CHECK: quant.scast %arg0 : tensor<?x2xi8> to tensor<?x2x!quant.uniform<u8:f32, 2.500000e-01:7>>
// CHECK: sq.linear ins({{.*}}) outs({{.*}} : tensor<?x3xf32>)
// CHECK-NOT: linalg.generic
func.func @main(%x: tensor<?x2xui8> {onnx.name = "x"}) -> (tensor<?x3xf32> {onnx.name = "y"}) {
  %s = onnx.Constant() {value = dense<0.25> : tensor<f32>} : () -> tensor<f32>
  %z = onnx.Constant() {value = dense<7> : tensor<ui8>} : () -> tensor<ui8>
  %w = onnx.Constant() {value = dense<[[1, 2, 3], [-4, 5, 6]]> : tensor<2x3xi8>} : () -> tensor<2x3xi8>
  %ws = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.DequantizeLinear(%x, %s, %z) : (tensor<?x2xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x2xf32>
  %b = onnx.DequantizeLinear(%w, %ws) : (tensor<2x3xi8>, tensor<f32>) -> tensor<2x3xf32>
  %y = onnx.MatMul(%a, %b) : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// A float weight that is quantised by the model, transposed, one scale a column: 1 / 0.5, 3 / 1.5, ..
// CHECK-LABEL: func.func @main
// CHECK: arith.constant dense<{{\[\[}}2, 4], [2, 4], [3, 4]]> : tensor<3x2xi8>
// CHECK: quant.scast {{.*}} to tensor<3x2x!quant.uniform<u8:f32:0, {5.000000e-01,1.500000e+00,2.000000e+00}>>
// CHECK: sq.linear {{.*}} {transpose_weight}
func.func @main(%x: tensor<?x2xui8> {onnx.name = "x"}) -> (tensor<?x3xf32> {onnx.name = "y"}) {
  %s = onnx.Constant() {value = dense<0.25> : tensor<f32>} : () -> tensor<f32>
  %w = onnx.Constant() {value = dense<[[1.0, 2.0], [3.0, 6.0], [6.0, 8.0]]> : tensor<3x2xf32>} : () -> tensor<3x2xf32>
  %ws = onnx.Constant() {value = dense<[0.5, 1.5, 2.0]> : tensor<3xf32>} : () -> tensor<3xf32>
  %a = onnx.DequantizeLinear(%x, %s) : (tensor<?x2xui8>, tensor<f32>) -> tensor<?x2xf32>
  %q = onnx.QuantizeLinear(%w, %ws) {axis = 0 : i64} : (tensor<3x2xf32>, tensor<3xf32>) -> tensor<3x2xui8>
  %b = onnx.DequantizeLinear(%q, %ws) {axis = 0 : i64} : (tensor<3x2xui8>, tensor<3xf32>) -> tensor<3x2xf32>
  %t = onnx.Transpose(%b) {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %y = onnx.MatMul(%a, %t) : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// The run knows the zero point: it is multiplied by the sums of the columns.
// CHECK-LABEL: func.func @main
// CHECK: sq.linear ins({{.*}}) outs({{.*}} : tensor<?x3xi32>)
// CHECK: dense<[-3, 7, 9]> : tensor<3xi32>
// CHECK: linalg.generic
// CHECK: arith.muli
// CHECK: arith.subi
func.func @main(%x: tensor<?x2xui8> {onnx.name = "x"}, %z: tensor<ui8> {onnx.name = "z"}) -> (tensor<?x3xi32> {onnx.name = "y"}) {
  %w = onnx.Constant() {value = dense<[[1, 2, 3], [-4, 5, 6]]> : tensor<2x3xi8>} : () -> tensor<2x3xi8>
  %y = onnx.MatMulInteger(%x, %w, %z) : (tensor<?x2xui8>, tensor<2x3xi8>, tensor<ui8>) -> tensor<?x3xi32>
  return %y : tensor<?x3xi32>
}

// -----

// Weights alone: they become floats now, not in every run.
// CHECK-LABEL: func.func @main
// CHECK: dense<{{\[\[}}5.000000e-01, 1.000000e+00]]> : tensor<1x2xf32>
// CHECK: sq.linear ins({{.*}} : tensor<?x1xf32>, tensor<1x2xf32>)
func.func @main(%x: tensor<?x1xf32> {onnx.name = "x"}) -> (tensor<?x2xf32> {onnx.name = "y"}) {
  %w = onnx.Constant() {value = dense<[[1, 2]]> : tensor<1x2xi8>} : () -> tensor<1x2xi8>
  %s = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %b = onnx.DequantizeLinear(%w, %s) : (tensor<1x2xi8>, tensor<f32>) -> tensor<1x2xf32>
  // expected-warning @+1 {{MatMul stays in float: its first operand is not quantised (node 'MatMul')}}
  %y = onnx.MatMul(%x, %b) : (tensor<?x1xf32>, tensor<1x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Why pairs have no integer kernel, and integers of 4 bits, which have one. The product is then one of
// floats, by constant weights.
// CHECK-LABEL: func.func @main
// CHECK: quant.scast {{.*}} : tensor<2x2xi8> to tensor<2x2x!quant.uniform<i8<-8:7>:f32, 5.000000e-01>>
// CHECK-COUNT-1: sq.linear {{.*}}quant.uniform
// CHECK-COUNT-2: sq.linear {{.*}} tensor<2x2xf32>)
// CHECK: sq.matmul
func.func @main(%x: tensor<?x2xui8> {onnx.name = "x"}, %x16: tensor<?x2xui16> {onnx.name = "x16"}, %v: tensor<2x2xui8> {onnx.name = "v"}) -> (tensor<?x2xf32> {onnx.name = "a"}, tensor<?x2xf32> {onnx.name = "b"}, tensor<?x2xf32> {onnx.name = "c"}, tensor<?x2xf32> {onnx.name = "d"}) {
  %s = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %blocks = onnx.Constant() {value = dense<[[0.5, 0.25], [1.0, 2.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %w = onnx.Constant() {value = dense<[[1, -2], [3, -8]]> : tensor<2x2xi4>} : () -> tensor<2x2xi4>
  %f = onnx.DequantizeLinear(%w, %s) : (tensor<2x2xi4>, tensor<f32>) -> tensor<2x2xf32>
  %g = onnx.DequantizeLinear(%w, %blocks) {axis = 0 : i64, block_size = 1 : i64} : (tensor<2x2xi4>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %xf = onnx.DequantizeLinear(%x, %s) : (tensor<?x2xui8>, tensor<f32>) -> tensor<?x2xf32>
  %xg = onnx.DequantizeLinear(%x16, %s) : (tensor<?x2xui16>, tensor<f32>) -> tensor<?x2xf32>
  %vf = onnx.DequantizeLinear(%v, %s) : (tensor<2x2xui8>, tensor<f32>) -> tensor<2x2xf32>
  %a = onnx.MatMul(%xf, %f) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  // expected-warning @below {{MatMul stays in float: its first operand has more than 8 bits (node 'MatMul')}}
  %b = onnx.MatMul(%xg, %f) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  // expected-warning @below {{MatMul stays in float: the scales of its weight run along the contraction (node 'MatMul')}}
  %c = onnx.MatMul(%xf, %g) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  // expected-warning @below {{MatMul stays in float: neither operand is constant, and products of two activations have no integer kernel (node 'MatMul')}}
  %d = onnx.MatMul(%xf, %vf) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %a, %b, %c, %d : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>
}

// -----

// onnxruntime's product: transposed, times alpha.
// CHECK-LABEL: func.func @main
// CHECK: quant.scast {{.*}} : tensor<3x2xi8> to tensor<3x2x!quant.uniform<i8:f32, 5.000000e-01>>
// CHECK: sq.linear {{.*}} {transpose_weight}
// CHECK: arith.mulf
func.func @main(%x: tensor<?x2xui8> {onnx.name = "x"}) -> (tensor<?x3xf32> {onnx.name = "y"}) {
  %s = onnx.Constant() {value = dense<0.25> : tensor<f32>} : () -> tensor<f32>
  %w = onnx.Constant() {value = dense<[[1, 2], [3, -4], [5, 6]]> : tensor<3x2xi8>} : () -> tensor<3x2xi8>
  %ws = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.DequantizeLinear(%x, %s) : (tensor<?x2xui8>, tensor<f32>) -> tensor<?x2xf32>
  %b = onnx.DequantizeLinear(%w, %ws) : (tensor<3x2xi8>, tensor<f32>) -> tensor<3x2xf32>
  %y = onnx.Custom "com.microsoft" "FusedMatMul"(%a, %b) attributes {attributes = {alpha = 0.5 : f32, transB = 1 : i64}, opset = 1 : i64} : (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
