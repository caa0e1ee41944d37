// What --sq-raise-onnx leaves, and why, is told by --sq-lower-onnx.
// RUN: sq-opt %s --sq-raise-onnx --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

func.func @main(%data: tensor<3x32xui8>, %indices: tensor<2xi64>, %scales: tensor<3x2xf32>) -> tensor<*xf32> {
  // expected-error @below {{cannot lower com.microsoft.GatherBlockQuantized (opset 1): not supported yet: gather_axis or quantize_axis is outside the rank of data (node 'Custom')}}
  %y = onnx.Custom "com.microsoft" "GatherBlockQuantized"(%data, %indices, %scales) attributes {attributes = {quantize_axis = 9223372036854775807 : i64}, opset = 1 : i64} : (tensor<3x32xui8>, tensor<2xi64>, tensor<3x2xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

func.func @main(%a: tensor<3x32xf32>, %b: tensor<2x32xf32>) -> tensor<*xf32> {
  // expected-error @below {{cannot lower com.microsoft.CDist (opset 1): not supported yet: a metric that sq does not know (node 'Custom')}}
  %y = onnx.Custom "com.microsoft" "CDist"(%a, %b) attributes {attributes = {metric = "cosine"}, opset = 1 : i64} : (tensor<3x32xf32>, tensor<2x32xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}
