// RUN: sq-opt %s --sq-shorten-buffers --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-shorten-buffers=type=bf16 --split-input-file | FileCheck %s --check-prefix=BF16
// RUN: not sq-opt %s --sq-shorten-buffers=type=f8 --split-input-file 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: unknown type 'f8' of buffers; f16 or bf16

// What a product writes and another reads, views of it, and what is added to it.
// CHECK-LABEL: @layers
// CHECK: %[[A:.*]] = memref.alloc() : memref<8x64xf16>
// CHECK: sq.packed_matmul ins(%arg0, %arg1 : memref<8x64xf32>, memref<1x64x64xf16>) outs(%[[A]] : memref<8x64xf16>)
// CHECK: %[[ROUNDED:.*]] = arith.truncf %{{.*}} : f32 to f16
// CHECK: sq.yield %[[ROUNDED]] : f16
// CHECK: %[[HEADS:.*]] = memref.expand_shape %[[A]] {{.*}} : memref<8x64xf16> into memref<1x8x2x32xf16>
// CHECK: %[[B:.*]] = memref.alloc() : memref<1x8x2x32xf16>
// CHECK: sq.attention ins(%[[HEADS]], %[[HEADS]], %[[HEADS]] : {{.*}}) mask(%arg3 : memref<1x1x8x8xf32>) outs(%[[B]] : memref<1x8x2x32xf16>)
// CHECK: sq.packed_matmul ins(%{{.*}}, %arg1 : memref<8x64xf16>, memref<1x64x64xf16>) extras(%[[A]] : memref<8x64xf16>) outs(%arg2 : memref<8x64xf32>)
// CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32, %[[SHORT:.*]]: f16):
// CHECK-NEXT: %[[WIDE:.*]] = arith.extf %[[SHORT]] : f16 to f32
// CHECK-NEXT: arith.addf %[[SUM]], %[[WIDE]]
// BF16-LABEL: @layers
// The weight is of another type: its product reads f32.
// BF16: memref.alloc() : memref<8x64xbf16>
// BF16: memref.alloc() : memref<1x8x2x32xf32>
func.func @layers(%x: memref<8x64xf32>, %w: memref<1x64x64xf16>, %y: memref<8x64xf32>, %m: memref<1x1x8x8xf32>) {
  %a = memref.alloc() : memref<8x64xf32>
  sq.packed_matmul ins(%x, %w : memref<8x64xf32>, memref<1x64x64xf16>) outs(%a : memref<8x64xf32>) {
  ^bb0(%sum: f32):
    sq.yield %sum : f32
  }
  %h = memref.expand_shape %a [[0, 1], [2, 3]] output_shape [1, 8, 2, 32] : memref<8x64xf32> into memref<1x8x2x32xf32>
  %b = memref.alloc() : memref<1x8x2x32xf32>
  sq.attention ins(%h, %h, %h : memref<1x8x2x32xf32>, memref<1x8x2x32xf32>, memref<1x8x2x32xf32>) mask(%m : memref<1x1x8x8xf32>) outs(%b : memref<1x8x2x32xf32>) {scale = 1.0 : f32}
  %r = memref.collapse_shape %b [[0, 1], [2, 3]] : memref<1x8x2x32xf32> into memref<8x64xf32>
  sq.packed_matmul ins(%r, %w : memref<8x64xf32>, memref<1x64x64xf16>) extras(%a : memref<8x64xf32>) outs(%y : memref<8x64xf32>) {
  ^bb0(%sum: f32, %e: f32):
    %s = arith.addf %sum, %e : f32
    sq.yield %s : f32
  }
  return
}

// -----

// Elementwise kernels and copies read and write it; sums of reductions stay in f32.
// CHECK-LABEL: @loops
// CHECK: %[[A:.*]] = memref.alloc() : memref<8x64xf16>
// CHECK: linalg.generic {{.*}} ins(%arg0 : memref<8x64xf32>) outs(%[[A]] : memref<8x64xf16>)
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f16):
// CHECK: arith.truncf
// CHECK: sq.layer_norm ins(%[[A]], %arg1 : memref<8x64xf16>, memref<64xf32>) outs(%[[A]] : memref<8x64xf16>)
// CHECK: %[[S:.*]] = memref.alloc() : memref<8xf32>
// CHECK: linalg.generic {{.*}} ins(%[[A]] : memref<8x64xf16>) outs(%[[S]] : memref<8xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[A]] : memref<8x64xf16>) outs(%arg2 : memref<8x64xf32>)
// CHECK: arith.extf
// CHECK-NOT: memref.copy
func.func @loops(%x: memref<8x64xf32>, %s: memref<64xf32>, %y: memref<8x64xf32>, %z: memref<8xf32>) {
  %a = memref.alloc() : memref<8x64xf32>
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<8x64xf32>) outs(%a : memref<8x64xf32>) {
  ^bb0(%in: f32, %out: f32):
    %e = math.exp %in : f32
    linalg.yield %e : f32
  }
  sq.layer_norm ins(%a, %s : memref<8x64xf32>, memref<64xf32>) outs(%a : memref<8x64xf32>) {epsilon = 1.0e-5 : f32}
  %sums = memref.alloc() : memref<8xf32>
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
      ins(%a : memref<8x64xf32>) outs(%sums : memref<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %e = arith.addf %in, %out : f32
    linalg.yield %e : f32
  }
  memref.copy %sums, %z : memref<8xf32> to memref<8xf32>
  memref.copy %a, %y : memref<8x64xf32> to memref<8x64xf32>
  return
}

// -----

// Nothing that is large computes with it; softmax has no 16-bit operand here; a
// mask, and what a loop carries, stay as they are.
// CHECK-LABEL: @others
// CHECK-NOT: f16
func.func @others(%x: memref<8x8xf32>, %q: memref<1x8x1x8xf32>, %n: index) {
  %a = memref.alloc() : memref<8x8xf32>
  memref.copy %x, %a : memref<8x8xf32> to memref<8x8xf32>
  sq.softmax ins(%a : memref<8x8xf32>) outs(%x : memref<8x8xf32>)
  %m = memref.alloc() : memref<1x1x8x8xf32>
  sq.attention ins(%q, %q, %q : memref<1x8x1x8xf32>, memref<1x8x1x8xf32>, memref<1x8x1x8xf32>) mask(%m : memref<1x1x8x8xf32>) outs(%q : memref<1x8x1x8xf32>) {scale = 1.0 : f32}
  %b = memref.alloc() : memref<8x8xf32>
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %r = scf.for %i = %zero to %n step %one iter_args(%c = %b) -> (memref<8x8xf32>) {
    scf.yield %c : memref<8x8xf32>
  }
  %s = memref.alloc() : memref<8xf32>
  sq.layer_norm ins(%b, %s : memref<8x8xf32>, memref<8xf32>) outs(%b : memref<8x8xf32>) {epsilon = 1.0e-5 : f32}
  return
}
