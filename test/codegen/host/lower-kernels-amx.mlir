// RUN: sq-opt %s --sq-lower-kernels=level=amx --canonicalize --cse | FileCheck %s
// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --cse | FileCheck %s --check-prefix=WIDE

// 40 columns of x are two steps of 32, of which the second has 8 that exist; the
// rest is zero. Two tiles of rows by two of columns, the rows streamed past L1.
// CHECK-LABEL: @main
// CHECK-SAME: %[[X:[^ ]*]]: memref<?x40xf32>
// CHECK: %[[W:.*]] = sq.weight
// CHECK: %[[TILES:.*]] = memref.alloc(%{{.*}}) : memref<?x8x2x16x32xbf16>
// CHECK: %[[SUMS:.*]] = memref.alloc(%{{.*}}) : memref<?x32x32xf32>
// CHECK: sq.parallel "matmul"
// CHECK: arith.truncf %{{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK: vector.store %{{.*}}, %[[TILES]]
// CHECK: vector.maskedload %[[X]]
// CHECK: scf.if
// CHECK: llvm.call_intrinsic "llvm.x86.tilezero.internal"
// CHECK: :4 = scf.for %{{.*}} = %c0 to %c2
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tileloadd64.internal"
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tileloaddt164.internal"
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// CHECK-NOT: tdpbf16ps
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
// CHECK: } else {
// CHECK: :2 = scf.for
// CHECK: vector.load %[[SUMS]]

// Without AMX: the loader's f32 copy, and the kernel of f32.
// WIDE-LABEL: @main
// WIDE: sq.weight {{.*}}offset = 64 : i64, pack = 48 : i64, widened} -> memref<2x40x48xf32>
// WIDE: vector.fma
// WIDE-NOT: tdpbf16ps
func.func @main(%x: memref<?x40xf32>, %y: memref<?x70xf32>) {
  %w = sq.weight dense<0.5> : tensor<40x70xf32> {offset = 0 : i64, pack = 32 : i64, wide_offset = 64 : i64} -> memref<3x32x32x2xbf16>
  sq.packed_matmul ins(%x, %w : memref<?x40xf32>, memref<3x32x32x2xbf16>) outs(%y : memref<?x70xf32>) {
  ^bb0(%acc: f32):
    sq.yield %acc : f32
  }
  return
}
