// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

func.func @main(%x: tensor<2x3xf32>, %i: tensor<2xi32>) -> (tensor<3xi32>, tensor<2x1xi32>, tensor<2xi32>, tensor<2x1xf64>) {
  // expected-error @below {{cannot lower RandomUniform: its dtype is not float, double, float16 or bfloat16 (node 'RandomUniform')}}
  %a = onnx.RandomUniform() {shape = array<i64: 3>, dtype = 6 : i64} : () -> tensor<3xi32>
  // expected-error @below {{cannot lower Multinomial: sample_size is 0; it must be at least 1 (node 'Multinomial')}}
  %b = onnx.Multinomial(%x) {sample_size = 0 : i64} : (tensor<2x3xf32>) -> tensor<2x1xi32>
  // expected-error @below {{cannot lower Bernoulli: its input 'input' has elements of type int32; it takes bfloat16, double, float, float16 (node 'Bernoulli')}}
  %c = onnx.Bernoulli(%i) : (tensor<2xi32>) -> tensor<2xi32>
  // expected-error @below {{cannot lower RandomNormal: its attribute `shape` is missing or has a negative size (node 'RandomNormal')}}
  %d = onnx.RandomNormal() : () -> tensor<2x1xf64>
  return %a, %b, %c, %d : tensor<3xi32>, tensor<2x1xi32>, tensor<2xi32>, tensor<2x1xf64>
}
