// RUN: sq-opt %s --sq-lower-kernels --canonicalize --cse --split-input-file | FileCheck %s

// Every access is the identity: one flat loop over all elements.
#id = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: @flat
// CHECK-SAME: (%[[X:.*]]: memref<?x8xf32>, %[[Y:.*]]: memref<?x8xf32>)
// CHECK-DAG: %[[N:.*]] = memref.dim %[[X]], %c0
// CHECK-DAG: %[[COUNT:.*]] = arith.muli %[[N]], %c8
// CHECK-DAG: %[[FX:.*]] = memref.collapse_shape %[[X]] {{\[}}[0, 1]]
// CHECK-DAG: %[[FY:.*]] = memref.collapse_shape %[[Y]] {{\[}}[0, 1]]
// CHECK: sq.parallel "generic" %[[COUNT]], %{{.*}} : index
// CHECK-NEXT: ^bb0(%[[BEGIN:.*]]: index, %[[END:.*]]: index, %{{.*}}: index):
// CHECK-NEXT: scf.for %[[I:.*]] = %[[BEGIN]] to %[[END]] step %c1 {
// CHECK-NEXT: %[[E:.*]] = memref.load %[[FX]][%[[I]]]
// CHECK-NEXT: %[[R:.*]] = math.exp %[[E]]
// CHECK-NEXT: memref.store %[[R]], %[[FY]][%[[I]]]
// CHECK-NEXT: }
// CHECK-NEXT: sq.yield
func.func @flat(%x: memref<?x8xf32>, %y: memref<?x8xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : memref<?x8xf32>) outs(%y : memref<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = math.exp %i : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// Near miss: one operand runs over columns. The last dim is a loop of its own.
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: @broadcast
// CHECK-SAME: (%[[X:.*]]: memref<?x8xf32>, %[[B:.*]]: memref<8xf32>, %[[Y:.*]]: memref<?x8xf32>)
// CHECK: %[[N:.*]] = memref.dim %[[X]], %c0
// CHECK: sq.parallel "generic" %[[N]],
// CHECK: scf.for %[[I:.*]] = %{{.*}} to
// CHECK-NEXT: scf.for %[[J:.*]] = %c0 to %c8 step %c1
// CHECK-NEXT: %[[E:.*]] = memref.load %[[X]][%[[I]], %[[J]]]
// CHECK-NEXT: %[[F:.*]] = memref.load %[[B]][%[[J]]]
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[E]], %[[F]] : f32
// CHECK-NEXT: memref.store %[[S]], %[[Y]][%[[I]], %[[J]]]
func.func @broadcast(%x: memref<?x8xf32>, %b: memref<8xf32>, %y: memref<?x8xf32>) {
  linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %b : memref<?x8xf32>, memref<8xf32>) outs(%y : memref<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// linalg.index is the loop's own index, which forbids a flat loop. Of three
// dims, the threads share two.
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: @index
// CHECK-SAME: (%[[Y:.*]]: memref<2x3x4xi64>)
// CHECK: sq.parallel "generic" %c6,
// CHECK: scf.for %[[I:.*]] = %{{.*}} to
// CHECK-DAG: %[[D1:.*]] = arith.remui %[[I]], %c3
// CHECK-DAG: %[[D0:.*]] = arith.divui %[[I]], %c3
// CHECK-NOT: linalg.index
// What is the same along the innermost loop stands before it.
// CHECK: %[[V:.*]] = arith.index_cast %[[D1]] : index to i64
// CHECK: scf.for %[[D2:.*]] = %c0 to %c4
// CHECK-NEXT: memref.store %[[V]], %[[Y]][%[[D0]], %[[D1]], %[[D2]]]
func.func @index(%y: memref<2x3x4xi64>) {
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel", "parallel"]} outs(%y : memref<2x3x4xi64>) {
  ^bb0(%o: i64):
    %n = linalg.index 1 : index
    %r = arith.index_cast %n : index to i64
    linalg.yield %r : i64
  }
  return
}

// -----

// Two reduction dims: the sum is carried through both loops, starts with the
// output, is stored once, and may be reordered (reassoc), which only the
// accumulation may.
// CHECK-LABEL: @reduction
// CHECK-SAME: (%[[X:.*]]: memref<?x?x8xf32>, %[[Y:.*]]: memref<?xf32>)
// CHECK-DAG: %[[D0:.*]] = memref.dim %[[X]], %c0
// CHECK-DAG: %[[D1:.*]] = memref.dim %[[X]], %c1
// CHECK: sq.parallel "generic" %[[D1]],
// CHECK: scf.for %[[J:.*]] = %{{.*}} to
// CHECK: %[[INIT:.*]] = memref.load %[[Y]][%[[J]]]
// CHECK: %[[OUTER:.*]] = scf.for %[[I:.*]] = %c0 to %[[D0]] step %c1 iter_args(%[[A:.*]] = %[[INIT]]) -> (f32)
// CHECK-NEXT: %[[INNER:.*]] = scf.for %[[K:.*]] = %c0 to %c8 step %c1 iter_args(%[[B:.*]] = %[[A]]) -> (f32)
// CHECK-NEXT: %[[E:.*]] = memref.load %[[X]][%[[I]], %[[J]], %[[K]]]
// CHECK-NEXT: %[[T:.*]] = arith.addf %[[E]], %[[E]] : f32
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[T]], %[[B]] fastmath<reassoc> : f32
// CHECK-NEXT: scf.yield %[[S]]
// CHECK: memref.store %[[OUTER]], %[[Y]][%[[J]]]
func.func @reduction(%x: memref<?x?x8xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d1)>], iterator_types = ["reduction", "parallel", "reduction"]} ins(%x : memref<?x?x8xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %t = arith.addf %i, %i : f32
    %r = arith.addf %t, %o : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// Everything is reduced: one task. A maximum keeps its exact order.
// CHECK-LABEL: @to_scalar
// CHECK: sq.parallel "generic" %c1,
// CHECK: memref.load %{{.*}}[] : memref<f32>
// CHECK: arith.maximumf %{{.*}}, %{{.*}} : f32
// CHECK: memref.store %{{.*}}, %{{.*}}[] : memref<f32>
func.func @to_scalar(%x: memref<?xf32>, %y: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]} ins(%x : memref<?xf32>) outs(%y : memref<f32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.maximumf %i, %o : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// A transposition through its map; a constant in the map is a constant index.
// CHECK-LABEL: @maps
// CHECK-SAME: (%[[X:.*]]: memref<4x?x1xf32>, %[[Y:.*]]: memref<?x4xf32>)
// CHECK: scf.for %[[I:.*]] =
// CHECK: scf.for %[[J:.*]] = %c0 to %c4
// CHECK-NEXT: %[[E:.*]] = memref.load %[[X]][%[[J]], %[[I]], %c0]
// CHECK-NEXT: memref.store %[[E]], %[[Y]][%[[I]], %[[J]]]
func.func @maps(%x: memref<4x?x1xf32>, %y: memref<?x4xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0, 0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : memref<4x?x1xf32>) outs(%y : memref<?x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  }
  return
}

// -----

// A named op is treated like the generic one it stands for; a scalar operand is
// no memref.
// CHECK-LABEL: @fill
// CHECK-SAME: (%[[V:.*]]: f32, %[[Y:.*]]: memref<?x4xf32>)
// CHECK: %[[F:.*]] = memref.collapse_shape %[[Y]]
// CHECK: sq.parallel "fill"
// CHECK: scf.for %[[I:.*]] =
// CHECK-NEXT: memref.store %[[V]], %[[F]][%[[I]]]
func.func @fill(%v: f32, %y: memref<?x4xf32>) {
  linalg.fill ins(%v : f32) outs(%y : memref<?x4xf32>)
  return
}

// -----

// A copy between strided views is a kernel as well.
// CHECK-LABEL: @copy
// CHECK-SAME: (%[[X:.*]]: memref<4x8xf32, strided<[16, 1]>>, %[[Y:.*]]: memref<4x8xf32>)
// CHECK-NOT: memref.copy
// CHECK: sq.parallel
// CHECK: scf.for %[[I:.*]] = %{{.*}} to
// CHECK-NEXT: scf.for %[[J:.*]] = %c0 to %c8
// CHECK-NEXT: %[[E:.*]] = memref.load %[[X]][%[[I]], %[[J]]]
// CHECK-NEXT: memref.store %[[E]], %[[Y]][%[[I]], %[[J]]]
func.func @copy(%x: memref<4x8xf32, strided<[16, 1]>>, %y: memref<4x8xf32>) {
  memref.copy %x, %y : memref<4x8xf32, strided<[16, 1]>> to memref<4x8xf32>
  return
}

// -----

// Where only a check is left of an op, it belongs to the schedule.
// CHECK-LABEL: @check_only
// CHECK-NOT: linalg
// CHECK-NOT: sq.parallel
// CHECK: cf.assert %{{.*}}, "index out of range"
func.func @check_only(%ok: i1) {
  "linalg.generic"() <{indexing_maps = [], iterator_types = [], operandSegmentSizes = array<i32: 0, 0>}> ({
    cf.assert %ok, "index out of range"
    linalg.yield
  }) : () -> ()
  return
}

// -----

// The strides of an expansion are written out, also for two dims that are not
// known (upstream's pass crashes on those).
// CHECK-LABEL: @expansion
// CHECK-SAME: (%[[X:.*]]: memref<?x4xf32>, %[[A:.*]]: index, %[[B:.*]]: index
// CHECK-NOT: memref.expand_shape
// CHECK: %[[S:.*]] = arith.muli %[[B]], %c4
// CHECK: memref.reinterpret_cast %[[X]] to offset: [0], sizes: [%[[A]], %[[B]], 4], strides: [%[[S]], 4, 1] : memref<?x4xf32> to memref<?x?x4xf32>
func.func @expansion(%x: memref<?x4xf32>, %a: index, %b: index, %y: memref<?x?x4xf32>) {
  %e = memref.expand_shape %x [[0, 1], [2]] output_shape [%a, %b, 4] : memref<?x4xf32> into memref<?x?x4xf32>
  memref.copy %e, %y : memref<?x?x4xf32> to memref<?x?x4xf32>
  return
}

// -----

// The kernel carries the name of its node in the model.
// CHECK-LABEL: @node_name
// CHECK: sq.parallel "softmax:/encoder/0/Softmax"
func.func @node_name(%x: memref<?x8xf32>, %y: memref<?x8xf32>) {
  sq.softmax ins(%x : memref<?x8xf32>) outs(%y : memref<?x8xf32>) loc("/encoder/0/Softmax")
  return
}
