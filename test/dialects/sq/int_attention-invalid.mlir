// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_attention_c1(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x3x8xi8>, %v: tensor<2x5x3x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op cannot attend with 'tensor<2x3x4x8xi8>' to 'tensor<2x5x3x8xi8>' and 'tensor<2x5x3x8xi8>' into 'tensor<2x3x4x8xi8>'}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x3x8xi8>, tensor<2x5x3x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c2(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %keep: tensor<2x1x1x4xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op needs what it keeps for batch, heads, queries and keys of 'tensor<2x3x4x8xi8>' and 'tensor<2x5x2x8xi8>', got 'tensor<2x1x1x4xi8>'}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) keep(%keep : tensor<2x1x1x4xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c3(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op needs an exponential with exp_shift -31 to 31, ln2 4096 to 8192, exp_b above ln2 and below 2^14, and exp_b^2 + exp_c in [2^26, 2^29), got 1, 4436, 4000 and 39309835}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 4000 : i64, exp_c = 39309835 : i64, multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c4(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op has an exponent of 63; it must be 1 to 62 (a larger one gives 0, a smaller one the limits: make such factors with Dyadic::encodable)}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 1610612736 : i32, exponent = 63 : i32} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c5(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op needs a rounding of half_even, half_up or half_away, got 'down'}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 1610612736 : i32, exponent = 46 : i32, rounding = "down"} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c6(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op has zero_point = 128, which is not a value of its tensor, -128 to 127}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 1610612736 : i32, exponent = 46 : i32, zero_point = 128 : i64} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c7(%q: tensor<2x3x4x65794xi8>, %k: tensor<2x5x2x65794xi8>, %v: tensor<2x5x2x65794xi8>, %init: tensor<2x3x4x65794xi8>) -> tensor<2x3x4x65794xi8> {
  // expected-error @+1 {{'sq.int_attention' op needs a static head size and at most 65793 keys and elements of a head, got 'tensor<2x5x2x65794xi8>'}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x65794xi8>, tensor<2x5x2x65794xi8>, tensor<2x5x2x65794xi8>) outs(%init : tensor<2x3x4x65794xi8>) {exp_shift = 1 : i64, ln2 = 4436 : i64, exp_b = 8663 : i64, exp_c = 39309835 : i64, multiplier = 1610612736 : i32, exponent = 46 : i32} -> tensor<2x3x4x65794xi8>
  return %y : tensor<2x3x4x65794xi8>
}
