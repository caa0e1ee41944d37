// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @kv_append_c1(%k: tensor<?x?x3x64xf32>, %n: tensor<?xi64>, %c: tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32> {
  // expected-error @+1 {{'sq.kv_append' op needs rows [b, t, h, d] and a cache [b, c, h, d], got 'tensor<?x?x3x64xf32>' and 'tensor<?x?x2x64xf32>'}}
  %0 = sq.kv_append ins(%k, %n : tensor<?x?x3x64xf32>, tensor<?xi64>) outs(%c : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  return %0 : tensor<?x?x2x64xf32>
}

// -----

func.func @kv_append_c2(%k: tensor<3x?x2x64xf32>, %n: tensor<2xi64>, %c: tensor<3x?x2x64xf32>) -> tensor<3x?x2x64xf32> {
  // expected-error @+1 {{'sq.kv_append' op needs a length for each row of 'tensor<3x?x2x64xf32>', got 'tensor<2xi64>'}}
  %0 = sq.kv_append ins(%k, %n : tensor<3x?x2x64xf32>, tensor<2xi64>) outs(%c : tensor<3x?x2x64xf32>) -> tensor<3x?x2x64xf32>
  return %0 : tensor<3x?x2x64xf32>
}

// -----

func.func @kv_append_c3(%k: tensor<?x?x2x64xf16>, %n: tensor<?xi64>, %c: tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32> {
  // expected-error @+1 {{'sq.kv_append' op needs rows and a cache of one element type, got 'tensor<?x?x2x64xf16>' and 'tensor<?x?x2x64xf32>'}}
  %0 = sq.kv_append ins(%k, %n : tensor<?x?x2x64xf16>, tensor<?xi64>) outs(%c : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  return %0 : tensor<?x?x2x64xf32>
}

// -----

func.func @kv_append_c4(%k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %c: tensor<1x?x32xf32>, %cache: tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32> {
  // expected-error @+1 {{'sq.kv_append' op needs a cosine and a sine [b, t, d] or [b, t, d/2] to turn 'tensor<?x?x2x64xf32>', got ('tensor<1x?x32xf32>')}}
  %0 = sq.kv_append ins(%k, %n : tensor<?x?x2x64xf32>, tensor<?xi64>) rotary(%c : tensor<1x?x32xf32>) outs(%cache : tensor<?x?x2x64xf32>) -> tensor<?x?x2x64xf32>
  return %0 : tensor<?x?x2x64xf32>
}

// -----

func.func @kv_append_c4_odd(%k: tensor<?x?x2x9xf32>, %n: tensor<?xi64>, %c: tensor<1x?x9xf32>, %cache: tensor<?x?x2x9xf32>) -> tensor<?x?x2x9xf32> {
  // expected-error @+1 {{to turn 'tensor<?x?x2x9xf32>', got ('tensor<1x?x9xf32>', 'tensor<1x?x9xf32>')}}
  %0 = sq.kv_append ins(%k, %n : tensor<?x?x2x9xf32>, tensor<?xi64>) rotary(%c, %c : tensor<1x?x9xf32>, tensor<1x?x9xf32>) outs(%cache : tensor<?x?x2x9xf32>) -> tensor<?x?x2x9xf32>
  return %0 : tensor<?x?x2x9xf32>
}
