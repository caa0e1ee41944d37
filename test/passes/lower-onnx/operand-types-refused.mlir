// RUN: sq-opt %s --sq-raise-onnx --sq-lower-onnx --split-input-file --verify-diagnostics

// Operators of onnxruntime, which onnx does not check: what is missing, too much, of a wrong type.

func.func @main(%x: tensor<2x3xui8>, %s: tensor<f32>, %z: tensor<i16>) -> (tensor<*xui8>, tensor<*xui8>, tensor<*xui8>, tensor<*xui8>) {
  %none = onnx.NoValue
  // expected-error @below {{cannot lower com.microsoft.QLinearSigmoid (opset 1): its input 'Y_scale' is missing (node 'Custom')}}
  %a = onnx.Custom "com.microsoft" "QLinearSigmoid"(%x, %s, %none) attributes {attributes = {}, opset = 1 : i64} : (tensor<2x3xui8>, tensor<f32>, none) -> tensor<*xui8>
  // expected-error @below {{cannot lower com.microsoft.QLinearSigmoid (opset 1): its input 'X_zero_point' has elements of type int16; it takes int8, uint8 (node 'Custom')}}
  %b = onnx.Custom "com.microsoft" "QLinearSigmoid"(%x, %s, %z, %s) attributes {attributes = {}, opset = 1 : i64} : (tensor<2x3xui8>, tensor<f32>, tensor<i16>, tensor<f32>) -> tensor<*xui8>
  // expected-error @below {{cannot lower com.microsoft.QLinearSigmoid (opset 1): it has 6 inputs; it takes at most 5 (node 'Custom')}}
  %c = onnx.Custom "com.microsoft" "QLinearSigmoid"(%x, %s, %none, %s, %none, %s) attributes {attributes = {}, opset = 1 : i64} : (tensor<2x3xui8>, tensor<f32>, none, tensor<f32>, none, tensor<f32>) -> tensor<*xui8>
  // expected-error @below {{cannot lower com.microsoft.QLinearConcat (opset 1): its input 'inputs' (2) has elements of type int16; it takes float, int8, uint8 (node 'Custom')}}
  %d = onnx.Custom "com.microsoft" "QLinearConcat"(%s, %none, %z, %s) attributes {attributes = {axis = 0 : i64}, opset = 1 : i64} : (tensor<f32>, none, tensor<i16>, tensor<f32>) -> tensor<*xui8>
  return %a, %b, %c, %d : tensor<*xui8>, tensor<*xui8>, tensor<*xui8>, tensor<*xui8>
}

// -----

// Types that only the lowering knows.

func.func @main(%x: tensor<2x3xf32>, %i: tensor<2x3xi32>) -> (tensor<*xf32>, tensor<*xf32>) {
  %a = onnx.Custom "com.microsoft" "QuickGelu"(%x) attributes {attributes = {}, opset = 1 : i64} : (tensor<2x3xf32>) -> !onnx.unknown
  // expected-error @below {{cannot lower Add: its inputs 'A' and 'B' have elements of types float and int32, which must be the same; cast one of them (node 'Add')}}
  %b = onnx.Add(%a, %i) : (!onnx.unknown, tensor<2x3xi32>) -> tensor<*xf32>
  // Of a variadic operand all are of one type.
  // expected-error @below {{cannot lower Concat: its inputs 'inputs' (0) and 'inputs' (1) have elements of types float and int32, which must be the same; cast one of them (node 'Concat')}}
  %c = onnx.Concat(%a, %i) {axis = 0 : i64} : (!onnx.unknown, tensor<2x3xi32>) -> tensor<*xf32>
  return %b, %c : tensor<*xf32>, tensor<*xf32>
}
