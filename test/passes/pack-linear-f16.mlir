// RUN: sq-opt %s --sq-pack-linear="precision=f16 columns=64 pairs=false" | FileCheck %s --check-prefixes=CHECK,F16
// RUN: sq-opt %s --sq-pack-linear="precision=bf16 columns=64 pairs=false" | FileCheck %s --check-prefixes=CHECK,BF16
// RUN: not sq-opt %s --sq-pack-linear=precision=f16 2>&1 | FileCheck %s --check-prefix=PAIRS
// PAIRS: error: unknown precision 'f16'; f32, bf16, or f16 with pairs=false

// Panels of 64 columns, as CUDA kernels take them: two of 70.
// CHECK-LABEL: @main
// F16: sq.weight {{.*}} {pack = 64 : i64} -> tensor<2x40x64xf16>
// BF16: sq.weight {{.*}} {pack = 64 : i64} -> tensor<2x40x64xbf16>
// CHECK: sq.packed_matmul ins(%{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<2x40x64x{{b?}}f16>)
func.func @main(%x: tensor<?x40xf32>, %init: tensor<?x70xf32>) -> tensor<?x70xf32> {
  %w = arith.constant dense<1.0> : tensor<40x70xf32>
  %y = sq.linear ins(%x, %w : tensor<?x40xf32>, tensor<40x70xf32>) outs(%init : tensor<?x70xf32>) -> tensor<?x70xf32>
  return %y : tensor<?x70xf32>
}
