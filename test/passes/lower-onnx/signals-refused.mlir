// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

module attributes {onnx.opset_imports = {"ai.onnx" = 20 : i64}} {
  func.func @main(%x: tensor<2x16x1xf32>, %three: tensor<2x16x3xf32>, %flat: tensor<2xf32>) -> tensor<*xf32> {
    %none = onnx.NoValue
    %last = onnx.Constant() {value = dense<-1> : tensor<i64>} : () -> tensor<i64>
    %far = onnx.Constant() {value = dense<3> : tensor<i64>} : () -> tensor<i64>
    %zero = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %pair = onnx.Constant() {value = dense<1> : tensor<2xi64>} : () -> tensor<2xi64>
    // expected-error @below {{cannot lower DFT: the axis is the last dimension, which holds real and imaginary parts (node 'DFT')}}
    %a = onnx.DFT(%x, %none, %last) : (tensor<2x16x1xf32>, none, tensor<i64>) -> tensor<*xf32>
    // expected-error @below {{cannot lower DFT: axis 3 is outside the rank; expected -3 to 2 (node 'DFT')}}
    %b = onnx.DFT(%x, %none, %far) : (tensor<2x16x1xf32>, none, tensor<i64>) -> tensor<*xf32>
    // expected-error @below {{cannot lower DFT: the length of the transform is 0; it must be from 1 to 1073741824 (node 'DFT')}}
    %c = onnx.DFT(%x, %zero) : (tensor<2x16x1xf32>, tensor<i64>) -> tensor<*xf32>
    // expected-error @below {{cannot lower DFT: dft_length has 2 elements; give one (node 'DFT')}}
    %d = onnx.DFT(%x, %pair) : (tensor<2x16x1xf32>, tensor<2xi64>) -> tensor<*xf32>
    // expected-error @below {{cannot lower DFT: the input is not of floats whose last dimension is 1 (real) or 2 (complex) (node 'DFT')}}
    %e = onnx.DFT(%three) : (tensor<2x16x3xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower DFT: the input has rank 1; it needs at least 2 (node 'DFT')}}
    %f = onnx.DFT(%flat) : (tensor<2xf32>) -> tensor<*xf32>
    return %a : tensor<*xf32>
  }
}

// -----

func.func @main(%x: tensor<2x16x1xf32>, %m: tensor<16x1xf32>, %w: tensor<8xf32>, %d: tensor<8xf64>) -> tensor<*xf32> {
  %none = onnx.NoValue
  %step = onnx.Constant() {value = dense<4> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %long = onnx.Constant() {value = dense<17> : tensor<i64>} : () -> tensor<i64>
  // expected-error @below {{cannot lower STFT: neither a window nor frame_length is given (node 'STFT')}}
  %a = onnx.STFT(%x, %step) : (tensor<2x16x1xf32>, tensor<i64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower STFT: frame_step is 0; it must be from 1 to 1073741824 (node 'STFT')}}
  %b = onnx.STFT(%x, %zero, %w) : (tensor<2x16x1xf32>, tensor<i64>, tensor<8xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower STFT: a frame (17) is longer than the signal (16) (node 'STFT')}}
  %c = onnx.STFT(%x, %step, %none, %long) : (tensor<2x16x1xf32>, tensor<i64>, none, tensor<i64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower STFT: the window and frame_length of its inputs differs: 8 and 17 (node 'STFT')}}
  %e = onnx.STFT(%x, %step, %w, %long) : (tensor<2x16x1xf32>, tensor<i64>, tensor<8xf32>, tensor<i64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower STFT: its inputs 'signal' and 'window' have elements of types float and double, which must be the same; cast one of them (node 'STFT')}}
  %f = onnx.STFT(%x, %step, %d) : (tensor<2x16x1xf32>, tensor<i64>, tensor<8xf64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower STFT: the signal has rank 2; it needs [batch, length, 1 or 2] (node 'STFT')}}
  %g = onnx.STFT(%m, %step, %w) : (tensor<16x1xf32>, tensor<i64>, tensor<8xf32>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%s: tensor<2xi64>) -> tensor<*xf32> {
  %n = onnx.Constant() {value = dense<10> : tensor<i64>} : () -> tensor<i64>
  %minus = onnx.Constant() {value = dense<-10> : tensor<i64>} : () -> tensor<i64>
  %low = onnx.Constant() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  // expected-error @below {{cannot lower HannWindow: output_datatype 9 (TensorProto.DataType) is not a number that is supported (node 'HannWindow')}}
  %a = onnx.HannWindow(%n) {output_datatype = 9 : i64} : (tensor<i64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower HammingWindow: size is -10 (node 'HammingWindow')}}
  %b = onnx.HammingWindow(%minus) : (tensor<i64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower HammingWindow: size has 2 elements; give one (node 'HammingWindow')}}
  %c = onnx.HammingWindow(%s) : (tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower MelWeightMatrix: its input 'upper_edge_hertz' has elements of type int64; it takes bfloat16, double, float, float16 (node 'MelWeightMatrix')}}
  %d = onnx.MelWeightMatrix(%n, %n, %n, %low, %n) : (tensor<i64>, tensor<i64>, tensor<i64>, tensor<f32>, tensor<i64>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}
