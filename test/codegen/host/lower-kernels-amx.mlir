// RUN: sq-opt %s --split-input-file --sq-lower-kernels=level=amx --canonicalize --cse | FileCheck %s --check-prefixes=CHECK,BYTES
// RUN: sq-opt %s --split-input-file --sq-lower-kernels=level=avx512 --canonicalize --cse | FileCheck %s --check-prefix=WIDE
// RUN: sq-opt %s --split-input-file --sq-lower-kernels=level=vnni --canonicalize --cse | FileCheck %s --check-prefix=VNNI

// 40 columns of x are two steps of 32, of which the second has 8 that exist; the
// rest is zero. A kernel of its own brings x into tiles; then come two tiles of rows by two of columns, the
// rows streamed past L1, all of them loaded among the products of the step before. The sums of a block leave between the products of the first step of the next, to one of two places,
// and go through the epilogue four rows at a time between the products of the block after that. Then what is left: up to 16 rows, and the last columns.
// CHECK-LABEL: @main
// CHECK-SAME: %[[X:[^ ]*]]: memref<?x40xf32>
// CHECK: %[[W:.*]] = sq.weight
// CHECK: %[[TILES:.*]] = memref.alloc(%{{.*}}) : memref<?x2x16x32xbf16>
// CHECK: sq.parallel "pack"
// CHECK: llvm.call_intrinsic "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
// CHECK: vector.store %{{.*}}, %[[TILES]]
// CHECK: vector.maskedload %[[X]]
// Its sums, and 2 KiB between those of one thread and the next.
// CHECK: %[[SUMS:.*]] = memref.alloc(%{{.*}}) : memref<?x10x16x16xf32>
// CHECK: sq.parallel "matmul"
// CHECK: scf.if
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tileloaddt164.internal"
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tileloadd64.internal"(%{{.*}}, %c128_i64)
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tileloadd64.internal"(%{{.*}}, %c0_i64)
// CHECK: :16 = scf.for
// CHECK: tilestored64
// CHECK: tdpbf16ps
// CHECK: tilestored64
// CHECK: tdpbf16ps
// CHECK: tileloaddt164
// CHECK: tilestored64
// CHECK: tdpbf16ps
// CHECK: tileloadd64{{.*}}, %c128_i64)
// CHECK: tilestored64
// CHECK: tdpbf16ps
// CHECK: tileloadd64{{.*}}, %c128_i64)
// CHECK: tileloaddt164
// CHECK: memref.prefetch %[[W]]
// CHECK: :8 = scf.for
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// CHECK-NOT: tdpbf16ps
// CHECK: tileloaddt164
// CHECK-COUNT-8: vector.load %[[SUMS]]
// CHECK: tdpbf16ps
// CHECK: tileloadd64{{.*}}, %c128_i64)
// CHECK: tdpbf16ps
// CHECK: tileloadd64{{.*}}, %c128_i64)
// CHECK: tileloaddt164
// CHECK-NOT: tdpbf16ps
// CHECK-COUNT-8: vector.load %[[SUMS]]
// CHECK: scf.yield
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
// CHECK: :2 = scf.for %{{.*}} = %c0 to %c2
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"

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
// BYTES: %[[TILES:.*]] = memref.alloc(%{{.*}}) : memref<?x2x16x64xi8>
// BYTES: vector.load %[[X]]{{.*}}vector<64xi8>
// BYTES: vector.load %[[X]]{{.*}}vector<36xi8>
// BYTES: %[[SUMS:.*]] = memref.alloc(%{{.*}}) : memref<?x10x16x16xi32>
// BYTES: :8 = scf.for
// BYTES-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
// BYTES: vector.load %[[SUMS]]{{.*}}vector<16xi32>
// BYTES-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
// BYTES: vector.load %[[SUMS]]{{.*}}vector<16xi32>
// BYTES: scf.for %{{.*}} = %c0 to %c2 step %c1 iter_args(%{{[^,]*}} = %{{[^,]*}}) -> (!llvm.x86_amx)
// BYTES-COUNT-1: llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
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

// -----

// Bytes between bounds are packed, two rows at a time: packing bounds them. 191 - 64 = 127, and so they are moved by 64.
// BYTES-LABEL: @bounded
// BYTES: sq.parallel "matmul"
// BYTES: llvm.call_intrinsic "llvm.x86.avx512.packssdw.512"
// BYTES-NEXT: llvm.call_intrinsic "llvm.ssub.sat.v32i16"
// BYTES: %[[TWO:.*]] = llvm.call_intrinsic "llvm.x86.avx512.packuswb.512"
// BYTES: vector.shuffle
// BYTES: arith.addi %{{.*}} : vector<64xi8>
// BYTES: vector.store %{{.*}} : memref<?x32xi8>, vector<32xi8>
// One row that is left is not.
// BYTES: arith.trunci
// BYTES: vector.store %{{.*}} : memref<?x32xi8>, vector<16xi8>
// VNNI-LABEL: @bounded
func.func @bounded(%x: memref<?x64xi8>, %y: memref<?x32xi8>) {
  %w = sq.weight dense<1> : tensor<2x16x64xi8> {offset = 0 : i64} -> memref<2x16x64xi8>
  %low = arith.constant -64 : i32
  %high = arith.constant 191 : i32
  sq.packed_matmul ins(%x, %w : memref<?x64xi8>, memref<2x16x64xi8>) outs(%y : memref<?x32xi8>) {
  ^bb0(%acc: i32):
    %0 = arith.maxsi %acc, %low : i32
    %1 = arith.minsi %0, %high : i32
    %2 = arith.trunci %1 : i32 to i8
    sq.yield %2 : i8
  }
  return
}

// -----

// What one product alone reads of another comes as its tiles; products of one x share them.
// BYTES-LABEL: @chain
// BYTES-SAME: %[[X:[^ ]*]]: memref<?x64xi8>
// BYTES-COUNT-1: sq.parallel "pack"
// BYTES: %[[NEXT:.*]] = memref.alloc(%{{.*}}) : memref<?x2x16x64xi8>
// BYTES: sq.parallel "matmul"
// BYTES: arith.trunci
// BYTES: vector.store %{{.*}}, %[[NEXT]]
// BYTES-NOT: sq.parallel "pack"
// BYTES: sq.parallel "matmul"
// BYTES-NOT: sq.parallel "pack"
// BYTES: memref.extract_aligned_pointer_as_index %[[NEXT]]
// BYTES: return
// VNNI-LABEL: @chain
func.func @chain(%x: memref<?x64xi8>, %y: memref<?x32xi32>, %z: memref<?x32xi32>, %rows: index) {
  %w = sq.weight dense<1> : tensor<8x16x64xi8> {offset = 0 : i64} -> memref<8x16x64xi8>
  %v = sq.weight dense<1> : tensor<2x32x64xi8> {offset = 8192 : i64} -> memref<2x32x64xi8>
  %u = sq.weight dense<1> : tensor<2x16x64xi8> {offset = 12288 : i64} -> memref<2x16x64xi8>
  %h = memref.alloc(%rows) : memref<?x128xi8>
  sq.packed_matmul ins(%x, %w : memref<?x64xi8>, memref<8x16x64xi8>) outs(%h : memref<?x128xi8>) {
  ^bb0(%acc: i32):
    %t = arith.trunci %acc : i32 to i8
    sq.yield %t : i8
  }
  sq.packed_matmul ins(%x, %u : memref<?x64xi8>, memref<2x16x64xi8>) outs(%z : memref<?x32xi32>) {
  ^bb0(%acc: i32):
    sq.yield %acc : i32
  }
  sq.packed_matmul ins(%h, %v : memref<?x128xi8>, memref<2x32x64xi8>) outs(%y : memref<?x32xi32>) {
  ^bb0(%acc: i32):
    sq.yield %acc : i32
  }
  return
}

// -----

// Attention that may round to bf16, transposed: lanes are queries. Keys are rounded as they are, queries and values transposed.
// BYTES-LABEL: @attention
// BYTES-SAME: %[[Q:[^ ]*]]: memref<?x?x4x32xf32>, %[[K:[^ ]*]]: memref<?x?x2x32xf32>, %[[V:[^ ]*]]: memref<?x?x2x32xf32>, %[[M:[^ ]*]]: memref<?x1x1x?xf32>
// BYTES: sq.parallel "attention"
// BYTES-COUNT-2: vector.load %[[K]]
// BYTES-NEXT: llvm.call_intrinsic "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
// BYTES-NEXT: vector.store
// BYTES-NOT: vector.shuffle
// BYTES: vector.load %[[Q]]
// BYTES-COUNT-64: vector.shuffle
// BYTES: vector.maskedload %[[M]]
// BYTES: vector.load %[[V]]
// BYTES-COUNT-80: vector.shuffle
// Scores of the first block: two tiles of 16 keys, begun with the mask (one row of a tile if all are equal, so by a stride that is loaded).
// BYTES: memref.load %{{.*}} : memref<?x?xi64>
// BYTES: llvm.call_intrinsic "llvm.x86.tileloadd64.internal"
// BYTES-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// BYTES-COUNT-2: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
// The probabilities before, times the values.
// BYTES-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// BYTES-COUNT-2: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
// BYTES: arith.cmpf ogt
// A tile of the next block's scores beside the exponentials of 16 keys, into whose place it goes.
// BYTES: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// BYTES: llvm.call_intrinsic "llvm.x86.avx512.mask.reduce.ps.512"
// BYTES: llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"
// BYTES: llvm.call_intrinsic "llvm.x86.avx512.pternlog.d.512"
// BYTES: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
// BYTES: arith.divf
// VNNI-LABEL: @attention
// VNNI: sq.parallel "attention"
// VNNI-NOT: llvm.x86
// VNNI: return
func.func @attention(%q: memref<?x?x4x32xf32>, %k: memref<?x?x2x32xf32>, %v: memref<?x?x2x32xf32>, %m: memref<?x1x1x?xf32>, %o: memref<?x?x4x32xf32>) {
  sq.attention ins(%q, %k, %v : memref<?x?x4x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) mask(%m : memref<?x1x1x?xf32>) outs(%o : memref<?x?x4x32xf32>) {scale = 0.25 : f32, bf16}
  return
}

// -----

// Not marked: in f32.
// BYTES-LABEL: @exact_attention
// BYTES-NOT: tdpbf16ps
// BYTES: return
func.func @exact_attention(%q: memref<?x?x2x32xf32>, %k: memref<?x?x2x32xf32>, %v: memref<?x?x2x32xf32>, %o: memref<?x?x2x32xf32>) {
  sq.attention ins(%q, %k, %v : memref<?x?x2x32xf32>, memref<?x?x2x32xf32>, memref<?x?x2x32xf32>) outs(%o : memref<?x?x2x32xf32>) {scale = 0.25 : f32}
  return
}

// -----

// Attention of bytes likewise: keys as they are, two blocks of queries transposed at once (heads of 32), 64 keys by 32 values.
// BYTES-LABEL: @int_attention
// BYTES-SAME: %[[Q:[^ ]*]]: memref<?x?x2x32xi8>, %[[K:[^ ]*]]: memref<?x?x2x32xi8>, %[[V:[^ ]*]]: memref<?x?x2x32xi8>
// BYTES: sq.parallel "attention"
// BYTES: vector.maskedload %[[K]]
// BYTES-NEXT: vector.store
// BYTES-COUNT-32: vector.load %[[Q]]
// BYTES-COUNT-64: vector.load %[[V]]
// Four tiles of scores of the first block.
// BYTES-COUNT-4: llvm.call_intrinsic "llvm.x86.tdpbssd.internal"
// BYTES-COUNT-4: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
// What sums are divided by: no division, no reduction of lanes.
// BYTES-NOT: arith.divui {{.*}} : i64
// BYTES-NOT: arith.{{.*}}f
// BYTES: llvm.call_intrinsic "llvm.x86.avx512.packssdw.512"
// BYTES-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbsud.internal"
// BYTES: arith.maxsi
// BYTES: llvm.call_intrinsic "llvm.x86.tdpbssd.internal"
// BYTES-COUNT-4: llvm.call_intrinsic "llvm.x86.avx512.permvar.hi.512"
// BYTES: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
// BYTES: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.d.512"
// BYTES: return
func.func @int_attention(%q: memref<?x?x2x32xi8>, %k: memref<?x?x2x32xi8>, %v: memref<?x?x2x32xi8>, %o: memref<?x?x2x32xi8>) {
  sq.int_attention ins(%q, %k, %v : memref<?x?x2x32xi8>, memref<?x?x2x32xi8>, memref<?x?x2x32xi8>) outs(%o : memref<?x?x2x32xi8>) {exp_shift = 2 : i64, exp_factor = 1891 : i64, multiplier = 1395864371 : i32, exponent = 30 : i32, zero_point = 0 : i64}
  return
}
