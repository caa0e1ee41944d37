// RUN: sq-opt %s --sq-pack-linear --split-input-file --verify-diagnostics

func.func @bufferized(%x: memref<?x4xf32>, %w: memref<4x8xf32>, %out: memref<?x8xf32>) {
  // expected-error@+1 {{'sq.linear' op is bufferized already; run --sq-pack-linear on tensors}}
  sq.linear ins(%x, %w : memref<?x4xf32>, memref<4x8xf32>) outs(%out : memref<?x8xf32>)
  return
}
