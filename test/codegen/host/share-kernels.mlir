// RUN: sq-opt %s --sq-share-kernels | FileCheck %s

// Two kernels that differ in what they read and write are one function; a
// constant from outside moves in with them. One that checks something stays.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: memref<?xf32>, %[[Y:.*]]: memref<?xf32>, %[[N:.*]]: index)
// CHECK: sq.parallel "a"
// CHECK-NEXT: ^bb0(%[[B:.*]]: index, %[[E:.*]]: index, %[[T:.*]]: index):
// CHECK-NEXT: func.call @sq_shared_0(%[[B]], %[[E]], %[[T]], %[[X]], %[[Y]])
// CHECK: sq.parallel "b"
// CHECK: func.call @sq_shared_0(%{{.*}}, %{{.*}}, %{{.*}}, %[[Y]], %[[X]])
// CHECK: sq.parallel "other"
// CHECK: func.call @sq_shared_1(
// CHECK: sq.parallel "check"
// CHECK-NOT: call
// CHECK: cf.assert
// CHECK-LABEL: func.func private @sq_shared_0
// CHECK-SAME: (%{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %[[A0:.*]]: memref<?xf32>, %[[A1:.*]]: memref<?xf32>)
// CHECK: arith.constant 1 : index
// CHECK: memref.load %[[A0]]
// CHECK: memref.store %{{.*}}, %[[A1]]
// CHECK: return
// CHECK-LABEL: func.func private @sq_shared_1
// CHECK: arith.negf
// CHECK-NOT: sq_shared_2
func.func @main(%x: memref<?xf32>, %y: memref<?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  %true = arith.constant true
  sq.parallel "a" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    scf.for %i = %begin to %end step %c1 {
      %e = memref.load %x[%i] : memref<?xf32>
      memref.store %e, %y[%i] : memref<?xf32>
    }
    sq.yield
  }
  sq.parallel "b" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    scf.for %i = %begin to %end step %c1 {
      %e = memref.load %y[%i] : memref<?xf32>
      memref.store %e, %x[%i] : memref<?xf32>
    }
    sq.yield
  }
  sq.parallel "other" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    scf.for %i = %begin to %end step %c1 {
      %e = memref.load %y[%i] : memref<?xf32>
      %f = arith.negf %e : f32
      memref.store %f, %x[%i] : memref<?xf32>
    }
    sq.yield
  }
  sq.parallel "check" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    cf.assert %true, "never"
    sq.yield
  }
  return
}
