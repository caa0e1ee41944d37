// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected | FileCheck %s

// Constant blocks become a constant matrix: (0x21 -> 1, 2; 8 is the zero point) * 0.5.
// CHECK-LABEL: func.func @main
// CHECK: arith.constant dense_resource<unpacked_blocks> : tensor<1x16xf32>
func.func @main() -> tensor<1x16xf32> {
  %b = onnx.Constant() {value = dense<33> : tensor<1x1x8xui8>} : () -> tensor<1x1x8xui8>
  %s = onnx.Constant() {value = dense<0.5> : tensor<1xf32>} : () -> tensor<1xf32>
  %y = onnx.Custom "sq" "UnpackBlocks"(%b, %s) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x1x8xui8>, tensor<1xf32>) -> tensor<1x16xf32>
  return %y : tensor<1x16xf32>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: arith.shrui
// CHECK: arith.andi
func.func @main(%b: tensor<1x1x8xui8>, %s: tensor<1xf16>) -> tensor<1x16xf32> {
  %y = onnx.Custom "sq" "UnpackBlocks"(%b, %s) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x1x8xui8>, tensor<1xf16>) -> tensor<1x16xf32>
  return %y : tensor<1x16xf32>
}

// -----

func.func @main(%b: tensor<1x1x8xui8>, %s: tensor<2xf32>) -> (tensor<1x17xf32>, tensor<1x16xf32>, tensor<1x16xf32>) {
  // expected-error @below {{cannot lower sq.UnpackBlocks (opset 1): B is not 16 bytes (uint8) (node 'Custom')}}
  %x = onnx.Custom "sq" "UnpackBlocks"(%b, %s) attributes {attributes = {K = 17 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x1x8xui8>, tensor<2xf32>) -> tensor<1x17xf32>
  // expected-error @below {{cannot lower sq.UnpackBlocks (opset 1): scales are not 1 floats (node 'Custom')}}
  %y = onnx.Custom "sq" "UnpackBlocks"(%b, %s) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x1x8xui8>, tensor<2xf32>) -> tensor<1x16xf32>
  // expected-error @below {{cannot lower sq.UnpackBlocks (opset 1): K or N (1 to 2^30), bits (2 to 8) or block_size (a power of 2 from 16 to 2^30) is not valid (node 'Custom')}}
  %z = onnx.Custom "sq" "UnpackBlocks"(%b, %s) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 9 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x1x8xui8>, tensor<2xf32>) -> tensor<1x16xf32>
  return %x, %y, %z : tensor<1x17xf32>, tensor<1x16xf32>, tensor<1x16xf32>
}

// -----

func.func @main(%b: tensor<1x1x8xui8>, %s: tensor<1xf32>, %any: tensor<16xi32>) -> (tensor<1x16xf32>, tensor<1x16xf32>) {
  %none = onnx.NoValue
  %g = onnx.Constant() {value = dense<7> : tensor<16xi32>} : () -> tensor<16xi32>
  // expected-error @below {{cannot lower sq.UnpackBlocks (opset 1): g_idx has 7 for column 0; there are blocks 0 to 0 (node 'Custom')}}
  %y = onnx.Custom "sq" "UnpackBlocks"(%b, %s, %none, %g) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x1x8xui8>, tensor<1xf32>, none, tensor<16xi32>) -> tensor<1x16xf32>
  // expected-error @below {{cannot lower sq.UnpackBlocks (opset 1): g_idx is not a constant of at least K = 16 numbers (int32) (node 'Custom')}}
  %z = onnx.Custom "sq" "UnpackBlocks"(%b, %s, %none, %any) attributes {attributes = {K = 16 : i64, N = 1 : i64, bits = 4 : i64, block_size = 16 : i64}, opset = 1 : i64} : (tensor<1x1x8xui8>, tensor<1xf32>, none, tensor<16xi32>) -> tensor<1x16xf32>
  return %y, %z : tensor<1x16xf32>, tensor<1x16xf32>
}
