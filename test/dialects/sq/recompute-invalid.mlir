// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @recompute_c1(%x: tensor<2x8xf32>) -> tensor<2x9xf32> {
  // expected-error @+1 {{'sq.recompute' op failed to verify that all of {value, result} have same type}}
  %y = "sq.recompute"(%x) : (tensor<2x8xf32>) -> tensor<2x9xf32>
  return %y : tensor<2x9xf32>
}
