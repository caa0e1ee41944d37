// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @lookup_c1(%x: tensor<2x8xi8>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.lookup' op needs input and output of one shape, got 'tensor<2x8xi8>' and 'tensor<3x8xi8>'}}
  %y = sq.lookup ins(%x : tensor<2x8xi8>) outs(%init : tensor<3x8xi8>) {table = dense<7> : tensor<256xi32>} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @lookup_c2(%x: tensor<?x8xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.lookup' op needs a table of 256 entries, got 255}}
  %y = sq.lookup ins(%x : tensor<?x8xi8>) outs(%init : tensor<?x8xi8>) {table = dense<7> : tensor<255xi32>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @lookup_c3(%x: tensor<?x8xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.lookup' op has an entry of 256, which 8 bits do not hold}}
  %y = sq.lookup ins(%x : tensor<?x8xi8>) outs(%init : tensor<?x8xi8>) {table = dense<256> : tensor<256xi32>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @lookup_c3_low(%x: tensor<?x8xi8>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.lookup' op has an entry of -129, which 8 bits do not hold}}
  %y = sq.lookup ins(%x : tensor<?x8xi8>) outs(%init : tensor<?x8xi8>) {table = dense<-129> : tensor<256xi32>} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}
