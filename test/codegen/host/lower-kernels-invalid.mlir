// RUN: sq-opt %s --sq-lower-kernels --split-input-file --verify-diagnostics
// RUN: not sq-opt %s --sq-lower-kernels=level=vax 2>&1 | FileCheck %s

// CHECK: error: unknown level 'vax'
func.func @strided_result(%x: memref<?x4xf32>, %w: memref<1x4x48xf32>, %y: memref<?x48xf32, strided<[64, 1]>>) {
  // expected-error@+1 {{'sq.packed_matmul' op needs a dense f32 result, got 'memref<?x48xf32, strided<[64, 1]>>'}}
  sq.packed_matmul ins(%x, %w : memref<?x4xf32>, memref<1x4x48xf32>) outs(%y : memref<?x48xf32, strided<[64, 1]>>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

func.func @panels_of_another_width(%x: memref<?x4xf32>, %w: memref<2x4x16xf32>, %y: memref<?x32xf32>) {
  // expected-error@+1 {{'sq.packed_matmul' op needs a weight in panels of 48 columns, got 'memref<2x4x16xf32>'; run --sq-pack-linear with columns=48}}
  sq.packed_matmul ins(%x, %w : memref<?x4xf32>, memref<2x4x16xf32>) outs(%y : memref<?x32xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

func.func @linear(%x: memref<?x4xf32>, %w: memref<4x8xf32>, %y: memref<?x8xf32>) {
  // expected-error@+1 {{'sq.linear' op has no host kernel}}
  sq.linear ins(%x, %w : memref<?x4xf32>, memref<4x8xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @softmax_f64(%x: memref<?x4xf64>, %y: memref<?x4xf64>) {
  // expected-error@+1 {{'sq.softmax' op has no kernel for 'memref<?x4xf64>'; only f32}}
  sq.softmax ins(%x : memref<?x4xf64>) outs(%y : memref<?x4xf64>)
  return
}

// -----

func.func @layer_norm_f64(%x: memref<?x4xf64>, %s: memref<4xf64>, %y: memref<?x4xf64>) {
  // expected-error@+1 {{'sq.layer_norm' op has no kernel for 'memref<?x4xf64>'; only f32}}
  sq.layer_norm ins(%x, %s : memref<?x4xf64>, memref<4xf64>) outs(%y : memref<?x4xf64>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @attention_f16(%q: memref<?x?x2x4xf16>, %y: memref<?x?x2x4xf16>) {
  // expected-error@+1 {{'sq.attention' op has no kernel for 'memref<?x?x2x4xf16>'; only f32}}
  sq.attention ins(%q, %q, %q : memref<?x?x2x4xf16>, memref<?x?x2x4xf16>, memref<?x?x2x4xf16>) outs(%y : memref<?x?x2x4xf16>) {scale = 1.0 : f32}
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
func.func @tensors(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{'linalg.generic' op still has tensors; bufferize before --sq-lower-kernels}}
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<4xf32>) outs(%x : tensor<4xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @unknown_heads(%q: memref<1x5x4x32xf32>, %kv: memref<1x7x?x32xf32>, %y: memref<1x5x4x32xf32>) {
  // expected-error@+1 {{'sq.attention' op has an unknown number of heads; make the head dimension static}}
  sq.attention ins(%q, %kv, %kv : memref<1x5x4x32xf32>, memref<1x7x?x32xf32>, memref<1x7x?x32xf32>) outs(%y : memref<1x5x4x32xf32>) {scale = 0.25 : f32}
  return
}
