// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: sq-opt %s --sq-lower-kernels=level=x86-64-v3 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,V3

// Three passes over a row in whole vectors, each with a masked tail: maximum,
// exponentials and their sum, division. The first two have four accumulators.
// CHECK-LABEL: @rows
// CHECK-SAME: (%[[X:.*]]: memref<?x?xf32>, %[[Y:.*]]: memref<?x?xf32>)
// CHECK-NOT: sq.softmax
// CHECK: sq.parallel "softmax" %{{.*}}, %{{.*}} : index
// CHECK: scf.for %[[ROW:.*]] =
// AVX512: %[[REST:.*]] = arith.remui %[[N:.*]], %c16
// V3: %[[REST:.*]] = arith.remui %[[N:.*]], %c8
// CHECK: %[[FULL:.*]] = arith.subi %[[N]], %[[REST]]
// AVX512: %[[MASK:.*]] = vector.create_mask %[[REST]] : vector<16xi1>
// V3: %[[MASK:.*]] = vector.create_mask %[[REST]] : vector<8xi1>
// AVX512: %[[OVER:.*]] = arith.remui %[[FULL]], %c64
// V3: %[[OVER:.*]] = arith.remui %[[FULL]], %c32
// CHECK: %[[FOURS:.*]] = arith.subi %[[FULL]], %[[OVER]]
// CHECK: scf.for %[[I:.*]] = %c0 to %[[FOURS]]
// AVX512: vector.load %[[X]][%[[ROW]], %[[I]]] : memref<?x?xf32>, vector<16xf32>
// V3: vector.load %[[X]][%[[ROW]], %[[I]]] : memref<?x?xf32>, vector<8xf32>
// CHECK-COUNT-4: arith.maximumf
// CHECK: scf.yield
// CHECK-COUNT-3: arith.maximumf
// CHECK: scf.for %{{.*}} = %[[FOURS]] to %[[FULL]]
// CHECK: arith.maximumf
// CHECK: scf.if
// CHECK: vector.maskedload %[[X]][%[[ROW]], %[[FULL]]], %[[MASK]],
// CHECK: arith.maximumf
// CHECK: vector.reduction <maximumf>
// CHECK: math.exp
// CHECK: vector.store %{{.*}}, %[[Y]]
// CHECK: scf.if
// CHECK: math.exp
// CHECK: vector.maskedstore %[[Y]][%[[ROW]], %[[FULL]]], %[[MASK]],
// CHECK: vector.reduction <add>, %{{.*}} fastmath<reassoc>
// CHECK: vector.store %{{.*}}, %[[Y]]
// CHECK: vector.maskedstore %[[Y]]
func.func @rows(%x: memref<?x?xf32>, %y: memref<?x?xf32>) {
  sq.softmax ins(%x : memref<?x?xf32>) outs(%y : memref<?x?xf32>)
  return
}

// -----

// Near miss: rows of whole vectors have no tail.
// CHECK-LABEL: @whole_vectors
// CHECK: vector.load
// CHECK-NOT: vector.masked
// CHECK: return
func.func @whole_vectors(%x: memref<?x32xf32>, %y: memref<?x32xf32>) {
  sq.softmax ins(%x : memref<?x32xf32>) outs(%y : memref<?x32xf32>)
  return
}

// -----

// Leading dims are rows; one dim is one row.
// CHECK-LABEL: @ranks
// CHECK: memref.collapse_shape %{{.*}} {{\[}}[0, 1, 2], [3]] : memref<?x2x?x32xf32> into memref<?x32xf32>
// CHECK: sq.parallel "softmax"
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [0], sizes: [1, 32], strides: [32, 1] : memref<32xf32> to memref<1x32xf32>
// CHECK: sq.parallel "softmax" %c1,
func.func @ranks(%x: memref<?x2x?x32xf32>, %y: memref<?x2x?x32xf32>, %u: memref<32xf32>, %v: memref<32xf32>) {
  sq.softmax ins(%x : memref<?x2x?x32xf32>) outs(%y : memref<?x2x?x32xf32>)
  sq.softmax ins(%u : memref<32xf32>) outs(%v : memref<32xf32>)
  return
}
