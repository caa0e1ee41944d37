// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

func.func @main(%x: tensor<4xf8E4M3FN>, %i: tensor<4xi4>) -> (tensor<4xf8E4M3FN>, tensor<4xi4>) {
  // expected-error @below {{cannot lower Add: it is not defined for elements of type f8e4m3fn; cast or dequantise them (node 'Add')}}
  %y = onnx.Add(%x, %x) : (tensor<4xf8E4M3FN>, tensor<4xf8E4M3FN>) -> tensor<4xf8E4M3FN>
  // expected-error @below {{cannot lower Mul: it is not defined for elements of type i4; cast or dequantise them (node 'Mul')}}
  %z = onnx.Mul(%i, %i) : (tensor<4xi4>, tensor<4xi4>) -> tensor<4xi4>
  return %y, %z : tensor<4xf8E4M3FN>, tensor<4xi4>
}

// -----

// expected-error @below {{input '0' holds strings, which are not supported; turn them into numbers before the model}}
func.func @main(%x: tensor<4x!onnx.string>) -> tensor<4x!onnx.string> {
  %y = onnx.Identity(%x) : (tensor<4x!onnx.string>) -> tensor<4x!onnx.string>
  return %y : tensor<4x!onnx.string>
}

// -----

func.func @main(%x: tensor<4xf32>) -> (tensor<4xf8E8M0FNU>, tensor<4xf64>) {
  // expected-error @below {{cannot lower Cast: round_mode is 'odd'; it can be up, down or nearest (node 'Cast')}}
  %y = onnx.Cast(%x) {to = 24 : i64, round_mode = "odd"} : (tensor<4xf32>) -> tensor<4xf8E8M0FNU>
  // expected-error @below {{cannot lower BitCast: f32 and f64 differ in size (node 'BitCast')}}
  %z = onnx.BitCast(%x) {to = 11 : i64} : (tensor<4xf32>) -> tensor<4xf64>
  return %y, %z : tensor<4xf8E8M0FNU>, tensor<4xf64>
}

// -----

func.func @main(%x: tensor<4x8xf32>, %s: tensor<4x3xf32>, %t: tensor<2x4xf32>) -> (tensor<4x8xui8>, tensor<4x8xui8>) {
  // expected-error @below {{cannot lower QuantizeLinear: dimension 1 of scale of its inputs differs: 2 and 3 (node 'QuantizeLinear')}}
  %y = onnx.QuantizeLinear(%x, %s) {block_size = 4 : i64} : (tensor<4x8xf32>, tensor<4x3xf32>) -> tensor<4x8xui8>
  // expected-error @below {{cannot lower QuantizeLinear: block_size is 0; blocks have at least one element (node 'QuantizeLinear')}}
  %z = onnx.QuantizeLinear(%x, %t) : (tensor<4x8xf32>, tensor<2x4xf32>) -> tensor<4x8xui8>
  return %y, %z : tensor<4x8xui8>, tensor<4x8xui8>
}
