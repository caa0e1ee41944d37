// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @int_attention_c1(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x3x8xi8>, %v: tensor<2x5x3x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op cannot attend with 'tensor<2x3x4x8xi8>' to 'tensor<2x5x3x8xi8>' and 'tensor<2x5x3x8xi8>' into 'tensor<2x3x4x8xi8>'}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x3x8xi8>, tensor<2x5x3x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 2 : i64, exp_factor = 1890 : i64, multiplier = 1610612736 : i32, exponent = 30 : i32} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c2(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %keep: tensor<2x1x1x4xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op needs what it keeps for batch, heads, queries and keys of 'tensor<2x3x4x8xi8>' and 'tensor<2x5x2x8xi8>', got 'tensor<2x1x1x4xi8>'}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) keep(%keep : tensor<2x1x1x4xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 2 : i64, exp_factor = 1890 : i64, multiplier = 1610612736 : i32, exponent = 30 : i32} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c3(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op needs an exponential with exp_shift -15 to 31 and exp_factor 0 to 2047, got 2 and 2048; make it with OctaveExp}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 2 : i64, exp_factor = 2048 : i64, multiplier = 1610612736 : i32, exponent = 30 : i32} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c4(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op needs a multiplier of at least 0 and an exponent of 8 to 38, got 1610612736 and 39}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 2 : i64, exp_factor = 1890 : i64, multiplier = 1610612736 : i32, exponent = 39 : i32} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c5(%q: tensor<2x3x4x8xi8>, %k: tensor<2x5x2x8xi8>, %v: tensor<2x5x2x8xi8>, %init: tensor<2x3x4x8xi8>) -> tensor<2x3x4x8xi8> {
  // expected-error @+1 {{'sq.int_attention' op has zero_point = 128, which is not a value of its tensor, -128 to 127}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x8xi8>, tensor<2x5x2x8xi8>, tensor<2x5x2x8xi8>) outs(%init : tensor<2x3x4x8xi8>) {exp_shift = 2 : i64, exp_factor = 1890 : i64, multiplier = 1610612736 : i32, exponent = 30 : i32, zero_point = 128 : i64} -> tensor<2x3x4x8xi8>
  return %y : tensor<2x3x4x8xi8>
}

// -----

func.func @int_attention_c6(%q: tensor<2x3x4x65794xi8>, %k: tensor<2x5x2x65794xi8>, %v: tensor<2x5x2x65794xi8>, %init: tensor<2x3x4x65794xi8>) -> tensor<2x3x4x65794xi8> {
  // expected-error @+1 {{'sq.int_attention' op needs a static head size and at most 65793 keys and elements of a head, got 'tensor<2x5x2x65794xi8>'}}
  %y = sq.int_attention ins(%q, %k, %v : tensor<2x3x4x65794xi8>, tensor<2x5x2x65794xi8>, tensor<2x5x2x65794xi8>) outs(%init : tensor<2x3x4x65794xi8>) {exp_shift = 2 : i64, exp_factor = 1890 : i64, multiplier = 1610612736 : i32, exponent = 30 : i32} -> tensor<2x3x4x65794xi8>
  return %y : tensor<2x3x4x65794xi8>
}
