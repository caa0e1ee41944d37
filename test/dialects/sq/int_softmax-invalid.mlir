// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_softmax_c1(%x: tensor<2x8xi32>, %init: tensor<3x8xi8>) -> tensor<3x8xi8> {
  // expected-error @+1 {{'sq.int_softmax' op needs input and output of one shape, got 'tensor<2x8xi32>' and 'tensor<3x8xi8>'}}
  %y = sq.int_softmax ins(%x : tensor<2x8xi32>) outs(%init : tensor<3x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64} -> tensor<3x8xi8>
  return %y : tensor<3x8xi8>
}

// -----

func.func @int_softmax_c1_rank(%x: tensor<i32>, %init: tensor<i8>) -> tensor<i8> {
  // expected-error @+1 {{'sq.int_softmax' op needs a rank of at least 1, got 'tensor<i32>'}}
  %y = sq.int_softmax ins(%x : tensor<i32>) outs(%init : tensor<i8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64} -> tensor<i8>
  return %y : tensor<i8>
}

// -----

func.func @int_softmax_c2_x_bits(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_softmax' op has x_bits = 33 for integers of 32 bits; it must be 1 to 32}}
  %y = sq.int_softmax ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, x_bits = 33 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_softmax_c3(%x: tensor<?x8xi32>, %init: tensor<?x8xi8>) -> tensor<?x8xi8> {
  // expected-error @+1 {{'sq.int_softmax' op needs an exponential with exp_shift -31 to 31, ln2 4096 to 8192, exp_b above ln2 and below 2^14, and exp_b^2 + exp_c in [2^26, 2^29), got 1, 4000, 8663 and 39309835}}
  %y = sq.int_softmax ins(%x : tensor<?x8xi32>) outs(%init : tensor<?x8xi8>) {exp_shift = 1 : i64, ln2 = 4000 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64} -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

func.func @int_softmax_c4(%x: tensor<?x2x?x?xi32>, %keep: tensor<?x3x1x?xi1>, %init: tensor<?x2x?x?xi8>) -> tensor<?x2x?x?xi8> {
  // expected-error @+1 {{'sq.int_softmax' op needs a keep of the rank of 'tensor<?x2x?x?xi32>', its dims those or 1, got 'tensor<?x3x1x?xi1>'}}
  %y = sq.int_softmax ins(%x : tensor<?x2x?x?xi32>) keep(%keep : tensor<?x3x1x?xi1>) outs(%init : tensor<?x2x?x?xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64} -> tensor<?x2x?x?xi8>
  return %y : tensor<?x2x?x?xi8>
}

// -----

func.func @int_softmax_c5(%x: tensor<?x67108865xi32>, %init: tensor<?x67108865xi8>) -> tensor<?x67108865xi8> {
  // expected-error @+1 {{'sq.int_softmax' op has rows of 67108865 elements; their sum fits up to 2^26}}
  %y = sq.int_softmax ins(%x : tensor<?x67108865xi32>) outs(%init : tensor<?x67108865xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64} -> tensor<?x67108865xi8>
  return %y : tensor<?x67108865xi8>
}
