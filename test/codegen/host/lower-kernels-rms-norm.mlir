// RUN: sq-opt %s --sq-lower-kernels=level=avx512 --canonicalize --cse | FileCheck %s

// The squares of a row, then the result. Lanes past the end read 0.
// CHECK-LABEL: @rms_norm
// CHECK-SAME: (%[[X:.*]]: memref<?x?x20xf32>, %[[S:.*]]: memref<20xf32>, %[[Y:.*]]: memref<?x?x20xf32>)
// CHECK-DAG: %[[COUNT:.*]] = arith.constant 2.000000e+01 : f32
// CHECK-DAG: %[[EPSILON:.*]] = arith.constant 9.99999997E-7 : f32
// CHECK-NOT: sq.rms_norm
// CHECK: %[[ROWS:.*]] = memref.collapse_shape %[[X]] {{\[}}[0, 1], [2]]
// CHECK: %[[OUT:.*]] = memref.collapse_shape %[[Y]] {{\[}}[0, 1], [2]]
// CHECK: sq.parallel "rms_norm"
// CHECK: scf.for %[[ROW:.*]] =
// CHECK: vector.fma
// CHECK: vector.maskedload %[[ROWS]][%[[ROW]], %c16], %[[MASK:.*]], %{{.*}} : {{.*}} vector<16xf32>
// CHECK: %[[SQUARES:.*]] = vector.reduction <add>, %{{.*}} fastmath<reassoc>
// CHECK: %[[MEAN:.*]] = arith.divf %[[SQUARES]], %[[COUNT]]
// CHECK: %[[V:.*]] = arith.addf %[[MEAN]], %[[EPSILON]]
// CHECK: math.sqrt %[[V]]
// CHECK: vector.load %[[S]]
// CHECK: vector.store %{{.*}}, %[[OUT]]
// CHECK: vector.maskedstore %[[OUT]][%[[ROW]], %c16], %[[MASK]]
func.func @rms_norm(%x: memref<?x?x20xf32>, %s: memref<20xf32>, %y: memref<?x?x20xf32>) {
  sq.rms_norm ins(%x, %s : memref<?x?x20xf32>, memref<20xf32>) outs(%y : memref<?x?x20xf32>) {epsilon = 1.0e-6 : f32}
  return
}
