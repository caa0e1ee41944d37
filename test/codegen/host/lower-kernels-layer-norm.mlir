// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,AVX512
// RUN: sq-opt %s --sq-lower-kernels=level=x86-64-v3 --canonicalize --cse --split-input-file | FileCheck %s --check-prefixes=CHECK,V3

// Mean, then the squared differences from it, then the result. Lanes past the
// end read the mean, so that they add nothing to the variance.
// CHECK-LABEL: @bias
// CHECK-SAME: (%[[X:.*]]: memref<?x?x20xf32>, %[[S:.*]]: memref<20xf32>, %[[B:.*]]: memref<20xf32>, %[[Y:.*]]: memref<?x?x20xf32>)
// CHECK-DAG: %[[INVERSE:.*]] = arith.constant 5.000000e-02 : f32
// CHECK-DAG: %[[EPSILON:.*]] = arith.constant 9.99999974E-6 : f32
// CHECK-NOT: sq.layer_norm
// CHECK: %[[ROWS:.*]] = memref.collapse_shape %[[X]] {{\[}}[0, 1], [2]]
// CHECK: %[[OUT:.*]] = memref.collapse_shape %[[Y]] {{\[}}[0, 1], [2]]
// CHECK: sq.parallel "layer_norm"
// CHECK: scf.for %[[ROW:.*]] =
// AVX512: vector.maskedload %[[ROWS]][%[[ROW]], %c16], %[[MASK:.*]], %{{.*}} : {{.*}} vector<16xf32>
// V3: vector.maskedload %[[ROWS]][%[[ROW]], %c16], %[[MASK:.*]], %{{.*}} : {{.*}} vector<8xf32>
// CHECK: %[[SUM:.*]] = vector.reduction <add>, %{{.*}} fastmath<reassoc>
// CHECK: %[[MEAN:.*]] = arith.mulf %[[SUM]], %[[INVERSE]]
// CHECK: %[[MEANS:.*]] = vector.broadcast %[[MEAN]]
// CHECK: arith.subf %{{.*}}, %[[MEANS]]
// CHECK: vector.fma
// CHECK: vector.maskedload %[[ROWS]][%[[ROW]], %c16], %[[MASK]], %[[MEANS]]
// CHECK: %[[SQUARES:.*]] = vector.reduction <add>, %{{.*}} fastmath<reassoc>
// CHECK: %[[VARIANCE:.*]] = arith.mulf %[[SQUARES]], %[[INVERSE]]
// CHECK: %[[V:.*]] = arith.addf %[[VARIANCE]], %[[EPSILON]]
// CHECK: math.sqrt %[[V]]
// CHECK: arith.divf
// CHECK: vector.load %[[S]]
// CHECK: vector.load %[[B]]
// CHECK: vector.store %{{.*}}, %[[OUT]]
// CHECK: vector.maskedload %[[S]]
// CHECK: vector.maskedload %[[B]]
// CHECK: vector.maskedstore %[[OUT]][%[[ROW]], %c16], %[[MASK]]
func.func @bias(%x: memref<?x?x20xf32>, %s: memref<20xf32>, %b: memref<20xf32>, %y: memref<?x?x20xf32>) {
  sq.layer_norm ins(%x, %s : memref<?x?x20xf32>, memref<20xf32>) bias(%b : memref<20xf32>) outs(%y : memref<?x?x20xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

// No bias, whole vectors: the last pass multiplies and stores.
// CHECK-LABEL: @scale_only
// CHECK: math.sqrt
// CHECK: %[[D:.*]] = arith.subf
// CHECK: %[[N:.*]] = arith.mulf %[[D]], %{{.*}}
// CHECK: %[[S:.*]] = vector.load
// CHECK: %[[V:.*]] = arith.mulf %[[N]], %[[S]]
// CHECK-NEXT: vector.store %[[V]]
// CHECK-NOT: vector.masked
// CHECK: return
func.func @scale_only(%x: memref<?x64xf32>, %s: memref<64xf32>, %y: memref<?x64xf32>) {
  sq.layer_norm ins(%x, %s : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

// The length of a row is known at run time only: 1 / n is computed.
// CHECK-LABEL: @dynamic
// CHECK: %[[N:.*]] = memref.dim %{{.*}}, %c1
// CHECK: %[[I:.*]] = arith.index_castui %[[N]] : index to i64
// CHECK: %[[F:.*]] = arith.uitofp %[[I]] : i64 to f32
// CHECK: arith.divf %{{.*}}, %[[F]] : f32
func.func @dynamic(%x: memref<?x?xf32>, %s: memref<?xf32>, %y: memref<?x?xf32>) {
  sq.layer_norm ins(%x, %s : memref<?x?xf32>, memref<?xf32>) outs(%y : memref<?x?xf32>) {epsilon = 1.0e-5 : f32}
  return
}
