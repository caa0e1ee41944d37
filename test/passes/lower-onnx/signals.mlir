// RUN: sq-opt %s --sq-lower-onnx --split-input-file | FileCheck %s

// DFT, STFT, windows, MelWeightMatrix.

// A product with a matrix of cosines and sines, real and imaginary parts side by side.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<16xf64>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<16x1x9x2xf32>)
// CHECK: arith.remsi
// CHECK: %[[M:.*]] = tensor.collapse_shape %{{.*}} : tensor<16x1x9x2xf32> into tensor<16x18xf32>
// CHECK: sq.matmul ins(%{{.*}}, %[[M]] : tensor<?x16xf32>, tensor<16x18xf32>)
// CHECK: return %{{.*}} : tensor<?x9x2xf32>
module attributes {onnx.opset_imports = {"ai.onnx" = 20 : i64}} {
  func.func @main(%x: tensor<?x16x1xf32> {onnx.dims = ["n", "", ""]}) -> tensor<*xf32> {
    %y = onnx.DFT(%x) {onesided = 1 : i64} : (tensor<?x16x1xf32>) -> tensor<*xf32>
    return %y : tensor<*xf32>
  }
}

// -----

// Half of a spectrum gives real numbers, twice as many less two; another axis is moved.
// CHECK-LABEL: func.func @main
// CHECK: linalg.transpose ins(%{{.*}} : tensor<1x9x5x2xf32>) {{.*}} permutation = [0, 2, 1, 3]
// CHECK: sq.matmul ins(%{{.*}}, %{{.*}} : tensor<5x18xf32>, tensor<18x16xf32>)
// CHECK: return %{{.*}} : tensor<16x5x1xf32>
module attributes {onnx.opset_imports = {"ai.onnx" = 17 : i64}} {
  func.func @main(%x: tensor<9x5x2xf32>) -> tensor<*xf32> {
    %y = onnx.DFT(%x) {axis = 0 : i64, inverse = 1 : i64, onesided = 1 : i64} : (tensor<9x5x2xf32>) -> tensor<*xf32>
    return %y : tensor<*xf32>
  }
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: cf.assert %{{.*}}, "STFT: a frame is longer than the signal"
// CHECK: linalg.generic {{.*}} ins(%arg1 : tensor<16xf32>) outs(%{{.*}} : tensor<2x?x16x1xf32>)
// CHECK: sq.matmul {{.*}} tensor<16x18xf32>
// CHECK: return %{{.*}} : tensor<2x?x9x2xf32>
module attributes {onnx.opset_imports = {"ai.onnx" = 17 : i64}} {
  func.func @main(%x: tensor<2x?x1xf32> {onnx.dims = ["", "t", ""]}, %w: tensor<16xf32>) -> tensor<*xf32> {
    %step = onnx.Constant() {value = dense<4> : tensor<i64>} : () -> tensor<i64>
    %y = onnx.STFT(%x, %step, %w) : (tensor<2x?x1xf32>, tensor<i64>, tensor<16xf32>) -> tensor<*xf32>
    return %y : tensor<*xf32>
  }
}

// -----

// Polynomials, no math.cos: there is none of f64 on a GPU.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<10xf64>)
// CHECK-NOT: math.
// CHECK: return
func.func @main() -> tensor<*xf64> {
  %n = onnx.Constant() {value = dense<10> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.BlackmanWindow(%n) {output_datatype = 11 : i64} : (tensor<i64>) -> tensor<*xf64>
  return %y : tensor<*xf64>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<10xi64>)
// CHECK: math.exp
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<9x8xf32>)
func.func @main(%rate: tensor<i64>) -> tensor<*xf32> {
  %bins = onnx.Constant() {value = dense<8> : tensor<i64>} : () -> tensor<i64>
  %n = onnx.Constant() {value = dense<16> : tensor<i64>} : () -> tensor<i64>
  %low = onnx.Constant() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %high = onnx.Constant() {value = dense<4000.0> : tensor<f32>} : () -> tensor<f32>
  %y = onnx.MelWeightMatrix(%bins, %n, %rate, %low, %high) : (tensor<i64>, tensor<i64>, tensor<i64>, tensor<f32>, tensor<f32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}
