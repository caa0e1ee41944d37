// RUN: sq-opt %s --sq-lower-gpu-kernels --split-input-file --verify-diagnostics

func.func @panels(%x: memref<?x4xf32>, %w: memref<1x4x48xf32>, %y: memref<?x8xf32>) {
  // expected-error@+1 {{'sq.packed_matmul' op has no kernel for 'memref<?x4xf32>', a weight of 'memref<1x4x48xf32>' and outs 'memref<?x8xf32>'}}
  sq.packed_matmul ins(%x, %w : memref<?x4xf32>, memref<1x4x48xf32>) outs(%y : memref<?x8xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}

// -----

func.func @head(%x: memref<?x?x2x?xf32>, %y: memref<?x?x2x?xf32>) {
  // expected-error@+1 {{'sq.attention' op has no kernel for 'memref<?x?x2x?xf32>'; only f32, f16 or bf16 and heads of a known size up to 2048}}
  sq.attention ins(%x, %x, %x : memref<?x?x2x?xf32>, memref<?x?x2x?xf32>, memref<?x?x2x?xf32>) outs(%y : memref<?x?x2x?xf32>) {scale = 1.0 : f32}
  return
}
