// RUN: sq-opt %s --sq-merge-kernels | FileCheck %s

// Two products of x in one range of n + m: from b of it on means from ceil(b n / (n + m)) on of the first, and of the
// second in the same way. The third reads what the first wrote.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: memref<?xf32>, %[[Y:.*]]: memref<?xf32>, %[[Z:.*]]: memref<?xf32>, %[[N:[a-z0-9]+]]: index, %[[M:[a-z0-9]+]]: index, %[[G:[a-z0-9]+]]: index
// CHECK: %[[END:.*]] = arith.addi %[[N]], %[[M]]
// CHECK: %[[GRAIN:.*]] = arith.addi %[[G]], %[[N]]
// CHECK: sq.parallel "matmul:q" %[[END]], %[[GRAIN]] : index attributes {work = {flops = "2*8*n", kind = "matmul", nodes = ["q", "k"], reads = "4*n + 8*n"}} {
// CHECK: ^bb0(%[[B:.*]]: index, %[[E:.*]]: index, %[[T:.*]]: index):
// CHECK: %[[BN:.*]] = arith.muli %[[B]], %[[N]]
// CHECK: %[[FROM:.*]] = arith.divui %{{.*}}, %[[END]]
// CHECK: %[[EN:.*]] = arith.muli %[[E]], %[[N]]
// CHECK: %[[TO:.*]] = arith.divui %{{.*}}, %[[END]]
// CHECK: arith.cmpi slt, %[[FROM]], %[[TO]]
// CHECK: scf.if
// CHECK: call @product(%[[FROM]], %[[TO]], %[[T]], %[[X]], %[[Y]])
// CHECK: arith.muli %[[B]], %[[M]]
// CHECK: %[[FROM2:.*]] = arith.divui %{{.*}}, %[[END]]
// CHECK: arith.muli %[[E]], %[[M]]
// CHECK: %[[TO2:.*]] = arith.divui %{{.*}}, %[[END]]
// CHECK: arith.cmpi slt, %[[FROM2]], %[[TO2]]
// CHECK: scf.if
// CHECK: call @product(%[[FROM2]], %[[TO2]], %[[T]], %[[X]], %[[Z]])
// CHECK: sq.parallel "matmul:o"
// CHECK: call @product({{.*}}, %[[Y]], %[[X]])
func.func @main(%x: memref<?xf32>, %y: memref<?xf32>, %z: memref<?xf32>, %n: index, %m: index, %g: index) {
  sq.parallel "matmul:q" %n, %g : index attributes {work = {kind = "matmul", flops = "8*n", nodes = ["q"], reads = "4*n"}} {
  ^bb0(%begin: index, %end: index, %thread: index):
    func.call @product(%begin, %end, %thread, %x, %y) : (index, index, index, memref<?xf32>, memref<?xf32>) -> ()
    sq.yield
  }
  sq.parallel "matmul:k" %m, %n : index attributes {work = {kind = "matmul", flops = "8*n", nodes = ["k"], reads = "8*n"}} {
  ^bb0(%begin: index, %end: index, %thread: index):
    func.call @product(%begin, %end, %thread, %x, %z) : (index, index, index, memref<?xf32>, memref<?xf32>) -> ()
    sq.yield
  }
  sq.parallel "matmul:o" %n, %g : index attributes {work = {kind = "matmul", flops = "8*n", nodes = ["o"], reads = "4*n"}} {
  ^bb0(%begin: index, %end: index, %thread: index):
    func.call @product(%begin, %end, %thread, %y, %x) : (index, index, index, memref<?xf32>, memref<?xf32>) -> ()
    sq.yield
  }
  return
}

func.func private @product(%begin: index, %end: index, %thread: index, %a: memref<?xf32>, %b: memref<?xf32>) {
  %c1 = arith.constant 1 : index
  scf.for %i = %begin to %end step %c1 {
    %e = memref.load %a[%i] : memref<?xf32>
    memref.store %e, %b[%i] : memref<?xf32>
  }
  return
}
