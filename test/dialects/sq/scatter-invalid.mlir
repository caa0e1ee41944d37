// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @scatter_c1(%i: tensor<2x?xi64>, %u: tensor<3x?x8xf32>, %y: tensor<2x9x8xf32>) -> tensor<2x9x8xf32> {
  // expected-error @+1 {{'sq.scatter' op needs indices [p, r], updates [p, r, q] and outs [p, n, q], got 'tensor<2x?xi64>', 'tensor<3x?x8xf32>' and 'tensor<2x9x8xf32>'}}
  %0 = sq.scatter "add" ins(%i, %u : tensor<2x?xi64>, tensor<3x?x8xf32>) outs(%y : tensor<2x9x8xf32>) -> tensor<2x9x8xf32>
  return %0 : tensor<2x9x8xf32>
}

// -----

func.func @scatter_c2(%i: tensor<2x?xi64>, %u: tensor<2x?x8xf16>, %y: tensor<2x9x8xf32>) -> tensor<2x9x8xf32> {
  // expected-error @+1 {{'sq.scatter' op needs updates and outs of one element type, got 'tensor<2x?x8xf16>' and 'tensor<2x9x8xf32>'}}
  %0 = sq.scatter "add" ins(%i, %u : tensor<2x?xi64>, tensor<2x?x8xf16>) outs(%y : tensor<2x9x8xf32>) -> tensor<2x9x8xf32>
  return %0 : tensor<2x9x8xf32>
}

// -----

func.func @scatter_c3(%i: tensor<2x?xi64>, %u: tensor<2x?x8xf32>, %y: tensor<2x9x8xf32>) -> tensor<2x9x8xf32> {
  // expected-error @+1 {{'sq.scatter' op needs a reduction of replace, add, mul, max or min, got 'sum'}}
  %0 = sq.scatter "sum" ins(%i, %u : tensor<2x?xi64>, tensor<2x?x8xf32>) outs(%y : tensor<2x9x8xf32>) -> tensor<2x9x8xf32>
  return %0 : tensor<2x9x8xf32>
}
