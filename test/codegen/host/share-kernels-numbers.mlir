// RUN: sq-opt %s --sq-share-kernels=long-text=100 | FileCheck %s
// RUN: sq-opt %s --sq-share-kernels | FileCheck %s --check-prefix=SHORT

// Two kernels that differ in the numbers that they multiply by are one function that takes them; what
// is equal in both stays a constant, and what differs twice in the same way is one argument. Of short ones only many are worth it.
// CHECK-LABEL: func.func @main
// CHECK: %[[A:.*]] = arith.constant 2.000000e+00 : f32
// CHECK-NEXT: func.call @sq_shared_0({{.*}}, %[[A]])
// CHECK: %[[B:.*]] = arith.constant 3.000000e+00 : f32
// CHECK-NEXT: func.call @sq_shared_0({{.*}}, %[[B]])
// CHECK: func.func private @sq_shared_0({{.*}}: memref<?xf32>, %[[F:[^ ]*]]: f32)
// CHECK: %[[V:.*]] = vector.broadcast %[[F]] : f32 to vector<8xf32>
// CHECK: dense<5.000000e-01> : vector<8xf32>
// CHECK-COUNT-2: arith.mulf %{{.*}}, %[[V]]
// CHECK-NOT: sq_shared_1
// SHORT: func.func private @sq_shared_0
// SHORT: func.func private @sq_shared_1
func.func @main(%x: memref<?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  sq.parallel "a" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    %factor = arith.constant dense<2.0> : vector<8xf32>
    %again = arith.constant dense<2.0> : vector<8xf32>
    %offset = arith.constant dense<0.5> : vector<8xf32>
    %v = vector.load %x[%begin] : memref<?xf32>, vector<8xf32>
    %p = arith.mulf %v, %factor : vector<8xf32>
    %s = arith.addf %p, %offset : vector<8xf32>
    %t = arith.mulf %s, %again : vector<8xf32>
    vector.store %t, %x[%begin] : memref<?xf32>, vector<8xf32>
    sq.yield
  }
  sq.parallel "b" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    %factor = arith.constant dense<3.0> : vector<8xf32>
    %again = arith.constant dense<3.0> : vector<8xf32>
    %offset = arith.constant dense<0.5> : vector<8xf32>
    %v = vector.load %x[%begin] : memref<?xf32>, vector<8xf32>
    %p = arith.mulf %v, %factor : vector<8xf32>
    %s = arith.addf %p, %offset : vector<8xf32>
    %t = arith.mulf %s, %again : vector<8xf32>
    vector.store %t, %x[%begin] : memref<?xf32>, vector<8xf32>
    sq.yield
  }
  return
}
