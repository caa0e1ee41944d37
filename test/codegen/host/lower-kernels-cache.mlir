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

// -----

// Both halves of a head are read before they are turned, in vectors.
// CHECK-LABEL: func.func @turned_append(
// CHECK-NOT: memref.alloc
// CHECK: sq.parallel "append"
// CHECK: vector.load %{{.*}} : memref<1x?x32xf32>, vector<16xf32>
// CHECK: vector.load %{{.*}} : memref<?x?x2x64xf32>, vector<16xf32>
// CHECK: vector.load %{{.*}} : memref<?x?x2x64xf32>, vector<16xf32>
// CHECK: arith.subf
// CHECK: vector.store
// CHECK: arith.addf
// CHECK: vector.store
// CHECK-NOT: sq.parallel
func.func @turned_append(%k: memref<?x?x2x64xf32>, %n: memref<?xi64>, %c: memref<1x?x32xf32>, %cache: memref<?x?x2x64xf32>) {
  sq.kv_append ins(%k, %n : memref<?x?x2x64xf32>, memref<?xi64>) rotary(%c, %c : memref<1x?x32xf32>, memref<1x?x32xf32>) outs(%cache : memref<?x?x2x64xf32>)
  return
}

// -----

// CHECK-LABEL: func.func @turned_attend(
// CHECK-COUNT-1: sq.parallel "attention"
// CHECK: vector.load %{{.*}} : memref<1x?x32xf32>, vector<16xf32>
func.func @turned_attend(%q: memref<?x?x2x64xf32>, %k: memref<?x?x2x64xf32>, %n: memref<?xi64>, %c: memref<1x?x32xf32>, %y: memref<?x?x2x64xf32>) {
  sq.kv_attend ins(%q, %k, %k, %n : memref<?x?x2x64xf32>, memref<?x?x2x64xf32>, memref<?x?x2x64xf32>, memref<?xi64>) rotary(%c, %c : memref<1x?x32xf32>, memref<1x?x32xf32>) outs(%y : memref<?x?x2x64xf32>) {scale = 0.125 : f32}
  return
}
