// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: sq-opt %s --sq-lower-kernels='level=x86-64-v3 tile=rows=6,vectors=2' --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,V3

// The right operand is read as it lies, in rows of vectors: a panel that fits
// without masks, the last one under masks of the columns that are left.
// CHECK-LABEL: @batched
// CHECK-SAME: (%[[A:.*]]: memref<?x2x?x8xf32>, %[[B:.*]]: memref<?x2x8x?xf32>, %[[C:.*]]: memref<?x2x?x?xf32>)
// CHECK-NOT: sq.matmul
// CHECK: %[[COLUMNS:.*]] = memref.dim %[[C]], %c3
// CHECK: sq.parallel "matmul"
// AVX512: %[[N1:.*]] = arith.addi %{{.*}}, %c48
// V3: %[[N1:.*]] = arith.addi %{{.*}}, %c16
// CHECK: %[[FULL:.*]] = arith.cmpi ule, %[[N1]], %[[COLUMNS]]
// CHECK: scf.if %[[FULL]] {
// AVX512: :24 = scf.for %[[K:.*]] = %c0 to %c8 step %c1
// AVX512-COUNT-3: vector.load %[[B]][{{.*}}] : memref<?x2x8x?xf32>, vector<16xf32>
// AVX512: memref.load %[[A]][
// AVX512-COUNT-24: vector.fma {{.*}} : vector<16xf32>
// AVX512-NOT: vector.fma
// V3: :12 = scf.for %[[K:.*]] = %c0 to %c8 step %c1
// V3-COUNT-2: vector.load %[[B]][{{.*}}] : memref<?x2x8x?xf32>, vector<8xf32>
// V3: memref.load %[[A]][
// V3-COUNT-12: vector.fma {{.*}} : vector<8xf32>
// V3-NOT: vector.fma
// CHECK: scf.yield
// CHECK-NOT: maskedstore
// CHECK: vector.store %{{.*}}, %[[C]][
// Three more vectors or two: how many columns are left may be negative.
// CHECK: %[[LEFT:.*]] = arith.subi %[[COLUMNS]], %{{.*}}
// AVX512: %[[MASK:.*]] = vector.create_mask %[[LEFT]] : vector<16xi1>
// AVX512-COUNT-2: vector.create_mask
// V3: %[[MASK:.*]] = vector.create_mask %[[LEFT]] : vector<8xi1>
// V3: vector.create_mask
// CHECK-NOT: create_mask
// CHECK: vector.maskedload %[[B]][{{.*}}], %[[MASK]],
// CHECK-NOT: vector.store
// CHECK: vector.maskedstore %[[C]][{{.*}}], %[[MASK]],
// CHECK-NOT: vector.store
// CHECK: return
func.func @batched(%a: memref<?x2x?x8xf32>, %b: memref<?x2x8x?xf32>, %c: memref<?x2x?x?xf32>) {
  sq.matmul ins(%a, %b : memref<?x2x?x8xf32>, memref<?x2x8x?xf32>) outs(%c : memref<?x2x?x?xf32>)
  return
}

// -----

// A leading dim of extent 1 is read at 0 for every batch.
// CHECK-LABEL: @broadcast
// CHECK-SAME: (%[[A:.*]]: memref<5x4x8xf32>, %[[B:.*]]: memref<1x8x48xf32>,
// CHECK: sq.parallel
// CHECK: vector.load %[[B]][%c0, %{{.*}}, %{{.*}}]
// CHECK: memref.load %[[A]][%[[BATCH:[^c].*]], %{{.*}}, %{{.*}}]
func.func @broadcast(%a: memref<5x4x8xf32>, %b: memref<1x8x48xf32>, %c: memref<5x4x48xf32>) {
  sq.matmul ins(%a, %b : memref<5x4x8xf32>, memref<1x8x48xf32>) outs(%c : memref<5x4x48xf32>)
  return
}

// -----

// Half precision: scalar loops, summed in f32, rounded once.
// CHECK-LABEL: @half
// CHECK-SAME: (%[[A:.*]]: memref<?x8xf16>, %[[B:.*]]: memref<8x?xf16>, %[[C:.*]]: memref<?x?xf16>)
// CHECK-NOT: vector
// CHECK: %[[S:.*]] = scf.for %[[K:.*]] = %c0 to %c8 step %c1 iter_args(%[[ACC:.*]] = %{{.*}}) -> (f32)
// CHECK-NEXT: %[[L:.*]] = memref.load %[[A]][%[[M:.*]], %[[K]]]
// CHECK-NEXT: %[[L32:.*]] = arith.extf %[[L]] : f16 to f32
// CHECK-NEXT: %[[R:.*]] = memref.load %[[B]][%[[K]], %[[N:.*]]]
// CHECK-NEXT: %[[R32:.*]] = arith.extf %[[R]] : f16 to f32
// CHECK-NEXT: %[[P:.*]] = arith.mulf %[[L32]], %[[R32]] : f32
// CHECK-NEXT: %[[T:.*]] = arith.addf %[[ACC]], %[[P]] : f32
// CHECK-NEXT: scf.yield %[[T]]
// CHECK: %[[S16:.*]] = arith.truncf %[[S]] : f32 to f16
// CHECK: memref.store %[[S16]], %[[C]][%[[M]], %[[N]]]
func.func @half(%a: memref<?x8xf16>, %b: memref<8x?xf16>, %c: memref<?x?xf16>) {
  sq.matmul ins(%a, %b : memref<?x8xf16>, memref<8x?xf16>) outs(%c : memref<?x?xf16>)
  return
}

// -----

// CHECK-LABEL: @double
// CHECK: scf.for {{.*}} -> (f64)
// CHECK: arith.mulf {{.*}} : f64
// CHECK-NOT: arith.truncf
func.func @double(%a: memref<2x8xf64>, %b: memref<8x3xf64>, %c: memref<2x3xf64>) {
  sq.matmul ins(%a, %b : memref<2x8xf64>, memref<8x3xf64>) outs(%c : memref<2x3xf64>)
  return
}

// -----

// A strided operand is copied by a kernel of its own, which runs before.
// CHECK-LABEL: @strided
// CHECK-SAME: (%[[A:.*]]: memref<4x8xf32, strided<[16, 1]>>
// CHECK: %[[COPY:.*]] = memref.alloc() : memref<4x8xf32>
// CHECK: sq.parallel "generic"
// CHECK: memref.store %{{.*}}, %[[COPY]]
// CHECK: sq.parallel "matmul"
// CHECK-NOT: %[[A]][
// CHECK: memref.load %[[COPY]]
func.func @strided(%a: memref<4x8xf32, strided<[16, 1]>>, %b: memref<8x48xf32>, %c: memref<4x48xf32>) {
  sq.matmul ins(%a, %b : memref<4x8xf32, strided<[16, 1]>>, memref<8x48xf32>) outs(%c : memref<4x48xf32>)
  return
}
