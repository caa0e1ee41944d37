// RUN: sq-opt %s --sq-place-weights --split-input-file --verify-diagnostics

func.func @complex() -> tensor<1xcomplex<f32>> {
  // expected-error@+1 {{'sq.weight' op has elements that cannot be stored: 'complex<f32>'}}
  %a = arith.constant dense<(1.0, 2.0)> : tensor<1xcomplex<f32>>
  return %a : tensor<1xcomplex<f32>>
}
