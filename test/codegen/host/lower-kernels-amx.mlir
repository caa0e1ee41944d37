// RUN: sq-opt %s --split-input-file --sq-lower-kernels=level=amx --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,BYTES
// RUN: sq-opt %s --split-input-file --sq-lower-kernels=level=avx512 --canonicalize --cse | FileCheck %s --check-prefix=WIDE
// RUN: sq-opt %s --split-input-file --sq-lower-kernels=level=vnni --canonicalize --cse | FileCheck %s --check-prefix=VNNI

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
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tileloadd64.internal"(%{{.*}}, %c0_i64)
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

// -----

// Bytes as VNNI reads them: 100 columns of x are two steps of 64, of which the second is copied as far as
// it exists. 40 columns of the result: one panel of two tiles, and one of a tile.
// BYTES-LABEL: @bytes
// BYTES-SAME: %[[X:[^ ]*]]: memref<?x100xi8>
// BYTES: %[[TILES:.*]] = memref.alloc(%{{.*}}) : memref<?x8x2x16x64xi8>
// BYTES: %[[SUMS:.*]] = memref.alloc(%{{.*}}) : memref<?x32x32xi32>
// BYTES: vector.load %[[X]]{{.*}}vector<64xi8>
// BYTES: vector.load %[[X]]{{.*}}vector<36xi8>
// BYTES: :4 = scf.for %{{.*}} = %c0 to %c2
// BYTES-COUNT-4: llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
// BYTES: vector.load %[[SUMS]]{{.*}}vector<16xi32>
// BYTES: :2 = scf.for %{{.*}} = %c0 to %c2
// BYTES-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
// BYTES: vector.maskedstore
// Without AMX: vpdpbusd on the same weight.
// VNNI-LABEL: @bytes
// VNNI: llvm.x86.avx512.vpdpbusd.512
func.func @bytes(%x: memref<?x100xi8>, %y: memref<?x40xi32>) {
  %w = sq.weight dense<1> : tensor<3x32x64xi8> {offset = 0 : i64} -> memref<3x32x64xi8>
  sq.packed_matmul ins(%x, %w : memref<?x100xi8>, memref<3x32x64xi8>) outs(%y : memref<?x40xi32>) {
  ^bb0(%acc: i32):
    sq.yield %acc : i32
  }
  return
}
