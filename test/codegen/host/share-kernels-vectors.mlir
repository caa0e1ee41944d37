// RUN: sq-opt %s --sq-share-kernels=long-text=100 | FileCheck %s

// Tables that differ are arguments as they are, also where one is the same number in all lanes; 64-bit numbers that fit into 32 bits
// come as these, and are extended inside.
// CHECK-LABEL: func.func @main
// CHECK: %[[T:.*]] = arith.constant dense<[1, 2, 3, 4, 5, 6, 7, 8]> : vector<8xi32>
// CHECK: %[[M:.*]] = arith.constant 11 : i32
// CHECK: func.call @sq_shared_0({{.*}}, %[[T]], %[[M]])
// CHECK: %[[U:.*]] = arith.constant dense<9> : vector<8xi32>
// CHECK: %[[N:.*]] = arith.constant -12 : i32
// CHECK: func.call @sq_shared_0({{.*}}, %[[U]], %[[N]])
// CHECK: func.func private @sq_shared_0({{.*}}, %[[TABLE:[^ ]*]]: vector<8xi32>, %[[NUMBER:[^ ]*]]: i32)
// CHECK: %[[WIDE:.*]] = arith.extsi %[[NUMBER]] : i32 to i64
// CHECK: vector.broadcast %[[WIDE]] : i64 to vector<8xi64>
// CHECK: arith.addi %{{.*}}, %[[TABLE]] : vector<8xi32>
// CHECK-NOT: sq_shared_1
func.func @main(%x: memref<?xi32>, %n: index) {
  %c1 = arith.constant 1 : index
  sq.parallel "a" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    %table = arith.constant dense<[1, 2, 3, 4, 5, 6, 7, 8]> : vector<8xi32>
    %factor = arith.constant dense<11> : vector<8xi64>
    %v = vector.load %x[%begin] : memref<?xi32>, vector<8xi32>
    %s = arith.addi %v, %table : vector<8xi32>
    %w = arith.extsi %s : vector<8xi32> to vector<8xi64>
    %p = arith.muli %w, %factor : vector<8xi64>
    %t = arith.trunci %p : vector<8xi64> to vector<8xi32>
    vector.store %t, %x[%begin] : memref<?xi32>, vector<8xi32>
    sq.yield
  }
  sq.parallel "b" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    %table = arith.constant dense<9> : vector<8xi32>
    %factor = arith.constant dense<-12> : vector<8xi64>
    %v = vector.load %x[%begin] : memref<?xi32>, vector<8xi32>
    %s = arith.addi %v, %table : vector<8xi32>
    %w = arith.extsi %s : vector<8xi32> to vector<8xi64>
    %p = arith.muli %w, %factor : vector<8xi64>
    %t = arith.trunci %p : vector<8xi64> to vector<8xi32>
    vector.store %t, %x[%begin] : memref<?xi32>, vector<8xi32>
    sq.yield
  }
  return
}
