// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --split-input-file | FileCheck %s

// A token is one run of memory: no copy of the cache, no write past the capacity.
// CHECK-LABEL: func.func @append(
// CHECK-SAME: %[[ROWS:[^:]*]]: memref<?x?x2x64xf32>, %[[LENGTHS:[^:]*]]: memref<?xi64>, %[[CACHE:[^:]*]]: memref<?x?x2x64xf32>)
// CHECK-NOT: memref.alloc
// CHECK: %[[FROM:.*]] = memref.collapse_shape %[[ROWS]]
// CHECK: %[[TO:.*]] = memref.collapse_shape %[[CACHE]]
// CHECK: sq.parallel "append"
// CHECK: memref.load %[[LENGTHS]]
// CHECK: %[[FITS:.*]] = arith.cmpi ult
// CHECK: scf.if %[[FITS]]
// CHECK: %[[V:.*]] = vector.load %[[FROM]]
// CHECK: vector.store %[[V]], %[[TO]]
// CHECK-NOT: sq.parallel
func.func @append(%k: memref<?x?x2x64xf32>, %n: memref<?xi64>, %c: memref<?x?x2x64xf32>) {
  sq.kv_append ins(%k, %n : memref<?x?x2x64xf32>, memref<?xi64>) outs(%c : memref<?x?x2x64xf32>)
  return
}

// -----

// Keys and values are read where they are; each sequence stops at its own last key.
// CHECK-LABEL: func.func @attend(
// CHECK-SAME: %[[Q:[^:]*]]: memref<?x?x6x64xf32>, %[[K:[^:]*]]: memref<?x?x2x64xf32>, %[[V:[^:]*]]: memref<?x?x2x64xf32>, %[[LENGTHS:[^:]*]]: memref<?xi64>
// Scratch memory for a thread, as long as a tile of keys.
// CHECK: memref.alloc({{.*}}) : memref<?x200x64xf32>
// CHECK-NOT: memref.alloc
// CHECK: sq.parallel "attention"
// CHECK: memref.load %[[LENGTHS]]
// CHECK: memref.load %[[K]]
// CHECK: memref.load %[[V]]
func.func @attend(%q: memref<?x?x6x64xf32>, %k: memref<?x?x2x64xf32>, %v: memref<?x?x2x64xf32>, %n: memref<?xi64>, %y: memref<?x?x6x64xf32>) {
  sq.kv_attend ins(%q, %k, %v, %n : memref<?x?x6x64xf32>, memref<?x?x2x64xf32>, memref<?x?x2x64xf32>, memref<?xi64>) outs(%y : memref<?x?x6x64xf32>) {scale = 0.125 : f32}
  return
}
