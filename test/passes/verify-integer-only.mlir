// RUN: sq-opt %s --sq-verify-integer-only --split-input-file --verify-diagnostics

// Integers alone, and a loop that makes the output that the model declares as float.
func.func @border(%x: tensor<?x8xi16>, %init: tensor<?x8xi16>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %scale = arith.constant 0.5 : f32
  %y = sq.requantize ins(%x : tensor<?x8xi16>) outs(%init : tensor<?x8xi16>) {multipliers = array<i32: 1466015504>, exponents = array<i32: 41>} -> tensor<?x8xi16>
  %z = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<?x8xi16>) outs(%out : tensor<?x8xf32>) attrs = {sq.border = "dequantize"} {
  ^bb0(%in: i16, %o: f32):
    %f = arith.sitofp %in : i16 to f32
    %r = arith.mulf %f, %scale : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

// Everything that is wrong at once, by the names of its nodes; what moves floats is not.
// expected-error-re @below {{2 ops stay in float, so that the model is not integer-only; --quant=int8 runs them in float:{{.*}}sq.gelu of act, fc: it has no scale{{.*}}linalg.generic of sum}}
func.func @floats(%x: tensor<2x4xf32>, %init: tensor<2x4xf32>) -> tensor<8xf32> {
  %y = sq.gelu ins(%x : tensor<2x4xf32>) outs(%init : tensor<2x4xf32>) {sq.float_because = "it has no scale"} -> tensor<2x4xf32> loc(fused["act", "fc"])
  %z = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<2x4xf32>) outs(%init : tensor<2x4xf32>) {
  ^bb0(%in: f32, %o: f32):
    %r = arith.addf %in, %in : f32
    linalg.yield %r : f32
  } -> tensor<2x4xf32> loc("sum")
  %flat = tensor.collapse_shape %z [[0, 1]] : tensor<2x4xf32> into tensor<8xf32> loc("reshape")
  return %flat : tensor<8xf32>
}

// -----

// A dequantize kernel whose result is computed with is none.
// expected-error @below {{2 ops stay in float}}
func.func @inside(%x: tensor<4xi16>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : tensor<4xi16>) outs(%init : tensor<4xf32>) attrs = {sq.border = "dequantize"} {
  ^bb0(%in: i16, %o: f32):
    %f = arith.sitofp %in : i16 to f32
    linalg.yield %f : f32
  } -> tensor<4xf32>
  %z = sq.gelu ins(%y : tensor<4xf32>) outs(%init : tensor<4xf32>) -> tensor<4xf32>
  return %z : tensor<4xf32>
}
