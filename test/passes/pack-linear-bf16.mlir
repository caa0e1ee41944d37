// RUN: sq-opt %s --sq-pack-linear=precision=bf16 | FileCheck %s --check-prefix=PACK
// RUN: sq-opt %s --sq-graph-to-buffers=precision=bf16 | FileCheck %s --check-prefix=PLACE
// RUN: not sq-opt %s --sq-pack-linear=precision=f8 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: error: unknown precision 'f8'; f32, bf16, or f16 with pairs=false

// 40 rows of the weight are two steps of 32, so 32 pairs; 70 columns are three
// panels of 32: 3 x 32 x 32 x 2 bf16 are 12288 bytes; 2 x 40 x 48 floats, which
// the loader makes of them for CPUs without AMX, 15360.
// PACK-LABEL: @main
// PACK: sq.weight {{.*}} : tensor<40x70xf32> {pack = 32 : i64} -> tensor<3x32x32x2xbf16>
// PACK: sq.packed_matmul ins(%{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<3x32x32x2xbf16>)
// PLACE: sq.weight_bytes = 12288 : i64, sq.widened_bytes = 15360 : i64
// PLACE: sq.weight {{.*}}offset = 0 : i64, pack = 32 : i64, wide_offset = 0 : i64
func.func @main(%x: tensor<?x40xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<?x70xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x40xf32>
  %w = arith.constant dense<0.5> : tensor<40x70xf32>
  %e = tensor.empty(%m) : tensor<?x70xf32>
  %y = sq.linear ins(%x, %w : tensor<?x40xf32>, tensor<40x70xf32>) outs(%e : tensor<?x70xf32>) -> tensor<?x70xf32>
  return %y : tensor<?x70xf32>
}

// Of a plan: this layer and no other, whatever the precision of the rest.
// RUN: sq-opt %s --sq-pack-linear | FileCheck %s --check-prefix=PLANNED
// PLANNED-LABEL: @planned
// PLANNED: sq.weight {{.*}} : tensor<40x70xf32> {pack = 32 : i64} -> tensor<3x32x32x2xbf16>
// PLANNED: sq.weight {{.*}} : tensor<70x40xf32> {pack = 48 : i64} -> tensor<1x70x48xf32>
func.func @planned(%x: tensor<?x40xf32>, %a: tensor<?x70xf32>, %b: tensor<?x40xf32>) -> tensor<?x40xf32> {
  %w = arith.constant dense<0.5> : tensor<40x70xf32>
  %v = arith.constant dense<0.5> : tensor<70x40xf32>
  %y = sq.linear ins(%x, %w : tensor<?x40xf32>, tensor<40x70xf32>) outs(%a : tensor<?x70xf32>) {sq.bf16} -> tensor<?x70xf32>
  %z = sq.linear ins(%y, %v : tensor<?x70xf32>, tensor<70x40xf32>) outs(%b : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %z : tensor<?x40xf32>
}
