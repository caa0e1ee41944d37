// RUN: sq-opt %s --sq-raise-onnx --split-input-file | FileCheck %s

// The product of integers, as a float times the joint scale, rounded once.
// CHECK-LABEL: @matmul
// CHECK: %[[B:.*]] = onnx.Constant() {value = dense<3>
// CHECK: %[[S:.*]] = onnx.MatMulInteger(%arg0, %[[B]], %arg2, %arg4)
// CHECK: %[[P:.*]] = onnx.Mul
// CHECK: %[[J:.*]] = onnx.Div(%[[P]]
// CHECK: %[[F:.*]] = onnx.Cast(%[[S]]) {to = 1 : i64}
// CHECK: %[[Y:.*]] = onnx.Mul(%[[F]], %[[J]])
// CHECK: onnx.QuantizeLinear(%[[Y]], %{{.*}}, %arg6) : {{.*}} -> tensor<2x4xui8>
func.func @matmul(%a: tensor<2x3xui8>, %as: tensor<f32>, %az: tensor<ui8>, %bs: tensor<f32>, %bz: tensor<ui8>, %ys: tensor<f32>, %yz: tensor<ui8>) -> tensor<2x4xui8> {
  %b = onnx.Constant() {value = dense<3> : tensor<3x4xui8>} : () -> tensor<3x4xui8>
  %y = onnx.QLinearMatMul(%a, %as, %az, %b, %bs, %bz, %ys, %yz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3x4xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x4xui8>
  return %y : tensor<2x4xui8>
}

// -----

// Of two activations: in floats.
// CHECK-LABEL: @activations
// CHECK: %[[A:.*]] = onnx.DequantizeLinear(%arg0, %arg1, %arg2)
// CHECK: %[[B:.*]] = onnx.DequantizeLinear(%arg3, %arg4, %arg5)
// CHECK: %[[P:.*]] = onnx.MatMul(%[[A]], %[[B]])
// CHECK: onnx.QuantizeLinear(%[[P]], %arg6, %arg7)
func.func @activations(%a: tensor<2x3xui8>, %as: tensor<f32>, %az: tensor<ui8>, %b: tensor<3x4xui8>, %bs: tensor<f32>, %bz: tensor<ui8>, %ys: tensor<f32>, %yz: tensor<ui8>) -> tensor<2x4xui8> {
  %y = onnx.QLinearMatMul(%a, %as, %az, %b, %bs, %bz, %ys, %yz) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3x4xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<2x4xui8>
  return %y : tensor<2x4xui8>
}

// -----

// Scale and bias run along the channels.
// CHECK-LABEL: @conv
// CHECK: onnx.ConvInteger(%arg0, %arg3, %arg2, %arg5) {pads = array<i64: 1, 1, 1, 1>}
// CHECK: onnx.Reshape(%arg8
// CHECK: onnx.Reshape(%arg4
// CHECK: onnx.QuantizeLinear
func.func @conv(%x: tensor<1x3x4x4xui8>, %xs: tensor<f32>, %xz: tensor<ui8>, %w: tensor<2x3x3x3xi8>, %ws: tensor<2xf32>, %wz: tensor<i8>, %ys: tensor<f32>, %yz: tensor<ui8>, %b: tensor<2xi32>) -> tensor<1x2x4x4xui8> {
  %y = onnx.QLinearConv(%x, %xs, %xz, %w, %ws, %wz, %ys, %yz, %b) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x3x4x4xui8>, tensor<f32>, tensor<ui8>, tensor<2x3x3x3xi8>, tensor<2xf32>, tensor<i8>, tensor<f32>, tensor<ui8>, tensor<2xi32>) -> tensor<1x2x4x4xui8>
  return %y : tensor<1x2x4x4xui8>
}

// -----

// Channels that come last are another operator.
// CHECK-LABEL: @channels_last
// CHECK: onnx.Custom "com.microsoft" "QLinearGlobalAveragePool"
func.func @channels_last(%x: tensor<1x4x4x3xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<1x1x1x3xui8> {
  %y = onnx.Custom "com.microsoft" "QLinearGlobalAveragePool"(%x, %s, %z, %s, %z) attributes {attributes = {channels_last = 1 : i64}, opset = 1 : i64} : (tensor<1x4x4x3xui8>, tensor<f32>, tensor<ui8>, tensor<f32>, tensor<ui8>) -> tensor<1x1x1x3xui8>
  return %y : tensor<1x1x1x3xui8>
}

// -----

// CHECK-LABEL: @fused
// CHECK: %[[C:.*]] = onnx.Conv(%arg0, %arg1) {strides = array<i64: 2, 2>}
// CHECK: %[[A:.*]] = onnx.LeakyRelu(%[[C]]) {alpha = 3.000000e-01 : f32}
// CHECK: onnx.Custom "com.microsoft" "FusedConv"(%[[A]]
func.func @fused(%x: tensor<1x3x9x9xf32>, %w: tensor<3x3x3x3xf32>) -> tensor<*xf32> {
  %y = onnx.Custom "com.microsoft" "FusedConv"(%x, %w) attributes {attributes = {activation = "LeakyRelu", activation_params = array<f32: 0.3>, strides = array<i64: 2, 2>}, opset = 1 : i64} : (tensor<1x3x9x9xf32>, tensor<3x3x3x3xf32>) -> tensor<*xf32>
  %z = onnx.Custom "com.microsoft" "FusedConv"(%y, %w) attributes {attributes = {activation = "Swirl"}, opset = 1 : i64} : (tensor<*xf32>, tensor<3x3x3x3xf32>) -> tensor<*xf32>
  return %z : tensor<*xf32>
}

// -----

// A weight of blocks: a product of f32, whatever A is of.
// CHECK-LABEL: @nbits
// CHECK: %[[A:.*]] = onnx.Cast(%arg0) {to = 1 : i64}
// CHECK: %[[Y:.*]] = onnx.Custom "sq" "MatMulBlocks"(%[[A]], %arg1, %arg2
// CHECK: onnx.CastLike(%[[Y]], %arg0)
func.func @nbits(%a: tensor<2x32xf32>, %b: tensor<3x2x8xui8>, %s: tensor<6xf32>) -> tensor<2x3xf32> {
  %y = onnx.Custom "com.microsoft" "MatMulNBits"(%a, %b, %s) attributes {attributes = {K = 32 : i64, N = 3 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<2x32xf32>, tensor<3x2x8xui8>, tensor<6xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
