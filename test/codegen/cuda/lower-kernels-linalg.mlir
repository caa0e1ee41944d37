// RUN: sq-opt %s --sq-lower-gpu-kernels --canonicalize --cse --split-input-file | FileCheck %s

#map = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>

// A thread for each element.
// CHECK-LABEL: @elementwise
// CHECK: %[[COUNT:.*]] = arith.muli
// CHECK: gpu.launch blocks(%[[B:.*]], %{{.*}}, %{{.*}}) in {{.*}} threads(%[[T:.*]], %{{.*}}, %{{.*}}) in (%{{.*}} = %c256
// CHECK: %[[FIRST:.*]] = arith.muli %[[B]], %c256
// CHECK: %[[I:.*]] = arith.addi %[[FIRST]], %[[T]]
// CHECK: arith.cmpi ult, %[[I]], %[[COUNT]]
// CHECK: arith.negf
func.func @elementwise(%x: memref<?x?xf32>, %y: memref<?x?xf32>) {
  linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%x : memref<?x?xf32>) outs(%y : memref<?x?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  }
  return
}

// -----

#map = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>

// The reduction runs in the thread.
// CHECK-LABEL: @reduction
// CHECK: gpu.launch
// CHECK: scf.if
// CHECK: %[[SUM:.*]] = scf.for
// CHECK: memref.store %[[SUM]]
func.func @reduction(%x: memref<?x?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [#map, #row], iterator_types = ["parallel", "reduction"]} ins(%x : memref<?x?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %o, %a : f32
    linalg.yield %s : f32
  }
  return
}

// -----

#map = affine_map<(d0) -> (d0)>

// A failed check leaves its number, the message stays with the function.
// CHECK: func.func @check
// CHECK-SAME: sq.messages = ["index out of range"]
// CHECK: %[[FAULT:.*]] = sq.fault : memref<1xi32>
// CHECK: gpu.launch
// CHECK-NOT: cf.assert
// CHECK: memref.atomic_rmw maxu %c1_i32, %[[FAULT]][%c0]
func.func @check(%x: memref<?xi64>) {
  %c4 = arith.constant 4 : i64
  linalg.generic {indexing_maps = [#map], iterator_types = ["parallel"]} ins(%x : memref<?xi64>) {
  ^bb0(%a: i64):
    %c = arith.cmpi ult, %a, %c4 : i64
    cf.assert %c, "index out of range"
    linalg.yield
  }
  return
}

// -----

// Stores of the schedule, of a shape say, are the device's to make.
// CHECK-LABEL: @stores
// CHECK: gpu.launch
// CHECK-NEXT: memref.store
// CHECK-NEXT: memref.store
// CHECK-NEXT: gpu.terminator
// CHECK: sq.name = "store"
// CHECK-NOT: memref.store
func.func @stores(%n: i64, %y: memref<2xi64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  memref.store %n, %y[%c0] : memref<2xi64>
  memref.store %n, %y[%c1] : memref<2xi64>
  return
}
