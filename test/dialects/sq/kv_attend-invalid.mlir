// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @kv_attend_c1(%q: tensor<?x?x5x64xf32>, %k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>) -> tensor<?x?x5x64xf32> {
  // expected-error @+1 {{'sq.kv_attend' op needs q and outs [b, s, h, d], k and v [b, c, g, d] with g dividing h, got 'tensor<?x?x5x64xf32>', 'tensor<?x?x5x64xf32>', 'tensor<?x?x2x64xf32>' and 'tensor<?x?x2x64xf32>'}}
  %0 = sq.kv_attend ins(%q, %k, %k, %n : tensor<?x?x5x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?xi64>) outs(%q : tensor<?x?x5x64xf32>) {scale = 0.125 : f32} -> tensor<?x?x5x64xf32>
  return %0 : tensor<?x?x5x64xf32>
}

// -----

func.func @kv_attend_c2(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x64xf32>, %n: tensor<?x1xi64>) -> tensor<?x?x4x64xf32> {
  // expected-error @+1 {{'sq.kv_attend' op needs a length for each row of 'tensor<?x?x2x64xf32>', got 'tensor<?x1xi64>'}}
  %0 = sq.kv_attend ins(%q, %k, %k, %n : tensor<?x?x4x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?x1xi64>) outs(%q : tensor<?x?x4x64xf32>) {scale = 0.125 : f32} -> tensor<?x?x4x64xf32>
  return %0 : tensor<?x?x4x64xf32>
}

// -----

func.func @kv_attend_c3(%q: tensor<?x?x4x64xf32>, %k: tensor<?x?x2x64xf32>, %n: tensor<?xi64>, %c: tensor<?x?x16xf32>) -> tensor<?x?x4x64xf32> {
  // expected-error @+1 {{'sq.kv_attend' op needs a cosine and a sine [b, t, d] or [b, t, d/2] to turn 'tensor<?x?x4x64xf32>', got ('tensor<?x?x16xf32>', 'tensor<?x?x16xf32>')}}
  %0 = sq.kv_attend ins(%q, %k, %k, %n : tensor<?x?x4x64xf32>, tensor<?x?x2x64xf32>, tensor<?x?x2x64xf32>, tensor<?xi64>) rotary(%c, %c : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%q : tensor<?x?x4x64xf32>) {scale = 0.125 : f32} -> tensor<?x?x4x64xf32>
  return %0 : tensor<?x?x4x64xf32>
}
