// RUN: sq-opt %s --sq-raise-onnx --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

// Scales and zero points that cannot be.

func.func @main(%x: tensor<2x3xf32>, %q: tensor<2x3xui8>) -> (tensor<*xui8>, tensor<*xf32>, tensor<*xf32>, tensor<*xui8>) {
  %zero = onnx.Constant() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %negative = onnx.Constant() {value = dense<[0.5, 0.25, -1.5]> : tensor<3xf32>} : () -> tensor<3xf32>
  %nan = onnx.Constant() {value = dense<0x7FC00000> : tensor<f32>} : () -> tensor<f32>
  %inf = onnx.Constant() {value = dense<0x7C00> : tensor<f16>} : () -> tensor<f16>
  // expected-error @below {{cannot lower QuantizeLinear: element 0 of its scale is 0; a scale is positive and finite (node 'QuantizeLinear')}}
  %a = onnx.QuantizeLinear(%x, %zero) : (tensor<2x3xf32>, tensor<f32>) -> tensor<*xui8>
  // expected-error @below {{cannot lower DequantizeLinear: element 2 of its scale is -1.5; a scale is positive and finite (node 'DequantizeLinear')}}
  %b = onnx.DequantizeLinear(%q, %negative) : (tensor<2x3xui8>, tensor<3xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower DequantizeLinear: element 0 of its scale is nan; a scale is positive and finite (node 'DequantizeLinear')}}
  %c = onnx.DequantizeLinear(%q, %nan) : (tensor<2x3xui8>, tensor<f32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower QuantizeLinear: element 0 of its scale is inf; a scale is positive and finite (node 'QuantizeLinear')}}
  %d = onnx.QuantizeLinear(%x, %inf) : (tensor<2x3xf32>, tensor<f16>) -> tensor<*xui8>
  return %a, %b, %c, %d : tensor<*xui8>, tensor<*xf32>, tensor<*xf32>, tensor<*xui8>
}

// -----

// Of operators that are written as others.
func.func @main(%x: tensor<2x3xui8>, %w: tensor<3x4xi8>, %z: tensor<ui8>, %wz: tensor<i8>, %b: tensor<4xi32>) -> (tensor<*xui8>, tensor<*xui8>, tensor<*xf32>) {
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %zero = onnx.Constant() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  // expected-error @below {{cannot lower QLinearMatMul: element 0 of its scale is 0; a scale is positive and finite (node 'QLinearMatMul')}}
  %a = onnx.QLinearMatMul(%x, %one, %z, %w, %zero, %wz, %one, %z) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3x4xi8>, tensor<f32>, tensor<i8>, tensor<f32>, tensor<ui8>) -> tensor<*xui8>
  // expected-error @below {{cannot lower com.microsoft.QGemm (opset 1): element 0 of its scale is 0; a scale is positive and finite (node 'Custom')}}
  %g = onnx.Custom "com.microsoft" "QGemm"(%x, %one, %z, %w, %one, %wz, %b, %zero, %z) attributes {attributes = {}, opset = 1 : i64} : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>, tensor<3x4xi8>, tensor<f32>, tensor<i8>, tensor<4xi32>, tensor<f32>, tensor<ui8>) -> tensor<*xui8>
  // expected-error @below {{cannot lower com.microsoft.MatMulIntegerToFloat (opset 1): element 0 of its scale is 0; a scale is positive and finite (node 'Custom')}}
  %f = onnx.Custom "com.microsoft" "MatMulIntegerToFloat"(%x, %w, %zero, %one) attributes {attributes = {}, opset = 1 : i64} : (tensor<2x3xui8>, tensor<3x4xi8>, tensor<f32>, tensor<f32>) -> tensor<*xf32>
  return %a, %g, %f : tensor<*xui8>, tensor<*xui8>, tensor<*xf32>
}

// -----

func.func @main(%x: tensor<2x6xi8>, %i: tensor<2x3xi32>, %s: tensor<f32>, %z: tensor<ui8>, %two: tensor<2xf32>, %blocks: tensor<2x2xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
  %four = onnx.Constant() {value = dense<4> : tensor<i32>} : () -> tensor<i32>
  // expected-error @below {{cannot lower DequantizeLinear: integers of 32 bits have no zero point; leave it out, or make it 0 (node 'DequantizeLinear')}}
  %a = onnx.DequantizeLinear(%i, %s, %four) : (tensor<2x3xi32>, tensor<f32>, tensor<i32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower DequantizeLinear: its inputs 'x' and 'x_zero_point' have elements of types int8 and uint8, which must be the same; cast one of them (node 'DequantizeLinear')}}
  %b = onnx.DequantizeLinear(%x, %s, %z) : (tensor<2x6xi8>, tensor<f32>, tensor<ui8>) -> tensor<*xf32>
  // expected-error @below {{cannot lower DequantizeLinear: axis 2 is outside the rank; expected -2 to 1 (node 'DequantizeLinear')}}
  %c = onnx.DequantizeLinear(%x, %two) {axis = 2 : i64} : (tensor<2x6xi8>, tensor<2xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower DequantizeLinear: the quantised axis of its inputs differs: 6 and 2 (node 'DequantizeLinear')}}
  // expected-note @below {{operand 0 is i8[2, 6], from input '0'}}
  // expected-note @below {{operand 1 is f32[2], from input '4'}}
  // expected-note @below {{6 is dimension 1 of input '0'}}
  // expected-note @below {{2 is dimension 0 of input '0'}}
  %d = onnx.DequantizeLinear(%x, %two) : (tensor<2x6xi8>, tensor<2xf32>) -> tensor<*xf32>
  // Blocks of 2 need three scales a row.
  // expected-error @below {{cannot lower DequantizeLinear: dimension 1 of scale of its inputs differs: 3 and 2 (node 'DequantizeLinear')}}
  // expected-note @below {{operand 0 is i8[2, 6], from input '0'}}
  // expected-note @below {{operand 1 is f32[2, 2], from input '5'}}
  // expected-note @below {{2 is dimension 0 of input '0'}}
  %e = onnx.DequantizeLinear(%x, %blocks) {block_size = 2 : i64} : (tensor<2x6xi8>, tensor<2x2xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower DequantizeLinear: block_size is -3; blocks have at least one element (node 'DequantizeLinear')}}
  %f = onnx.DequantizeLinear(%x, %blocks) {block_size = -3 : i64} : (tensor<2x6xi8>, tensor<2x2xf32>) -> tensor<*xf32>
  return %a, %b, %c, %d, %e, %f : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
}
