// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @embedding_c1(%i: tensor<?xi64>, %t: tensor<9x8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.embedding' op needs as many tables as indices, at least one, got 2 and 1}}
  %y = sq.embedding ins(%i : tensor<?xi64>) tables(%t, %t : tensor<9x8xf32>, tensor<9x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @embedding_c2(%i: tensor<?xi64>, %t: tensor<9x4xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.embedding' op needs tables of floats or i8 as wide as the last dimension of 'tensor<?x8xf32>', got 'tensor<9x4xf32>'}}
  %y = sq.embedding ins(%i : tensor<?xi64>) tables(%t : tensor<9x4xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @embedding_c3(%i: tensor<3x5xi64>, %t: tensor<9x8xf32>, %init: tensor<3x4x8xf32>) -> tensor<3x4x8xf32> {
  // expected-error @+1 {{'sq.embedding' op needs indices that broadcast to the leading dimensions of 'tensor<3x4x8xf32>', got 'tensor<3x5xi64>'}}
  %y = sq.embedding ins(%i : tensor<3x5xi64>) tables(%t : tensor<9x8xf32>) outs(%init : tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
  return %y : tensor<3x4x8xf32>
}

// -----

func.func @embedding_c4(%i: tensor<?xi64>, %t: tensor<9x8xi8>, %s: tensor<8xf32>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'sq.embedding' op needs a scale for each row of its tables of i8, in their order}}
  %y = sq.embedding ins(%i : tensor<?xi64>) tables(%t : tensor<9x8xi8>) scales(%s : tensor<8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
