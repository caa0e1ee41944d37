// RUN: sq-opt %s --sq-outline-kernels --split-input-file | FileCheck %s

// Each region becomes a function of (captures, begin, end, thread); what it
// used from outside is passed in a struct on the stack, constants are made
// again inside. The launch calls the context's `parallel` (byte 24).
// CHECK: module attributes {sq.kernels = ["softmax:a", "matmul", "softmax:b"]}
// CHECK-LABEL: llvm.func internal @main
// CHECK-SAME: (%[[CTX:.*]]: !llvm.ptr, %[[X:.*]]: !llvm.ptr, %[[N:.*]]: i64)
// CHECK-DAG: llvm.alloca %{{.*}} x !llvm.struct<(ptr)>
// CHECK-DAG: llvm.alloca %{{.*}} x !llvm.struct<(i64, ptr)>
// CHECK: llvm.store %[[X]], %[[AT:.*]] : !llvm.ptr, !llvm.ptr
// CHECK: %[[F:.*]] = llvm.mlir.addressof @sq_kernel_0
// CHECK: %[[I0:.*]] = llvm.mlir.constant(0 : i32)
// CHECK: %[[PP:.*]] = llvm.getelementptr %[[CTX]][32]
// CHECK: %[[P:.*]] = llvm.load %[[PP]]
// CHECK: llvm.call %[[P]](%[[CTX]], %[[F]], %{{.*}}, %[[N]], %{{.*}}, %[[I0]]) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, !llvm.ptr, i64, i64, i32) -> ()
// CHECK: llvm.mlir.addressof @sq_kernel_1
// CHECK: llvm.mlir.constant(1 : i32)
// The third region is the first one again: the same function, another launch.
// CHECK: llvm.mlir.addressof @sq_kernel_0
// CHECK: llvm.mlir.constant(2 : i32)
// CHECK-NOT: sq.parallel
// CHECK: llvm.func internal @sq_kernel_0(%[[CAPTURES:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64, %[[THREAD:.*]]: i32) {
// CHECK: %[[G:.*]] = llvm.getelementptr %[[CAPTURES]][0, 0] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(ptr)>
// CHECK: %[[XI:.*]] = llvm.load %[[G]]
// CHECK: %[[C:.*]] = llvm.mlir.constant(7 : i64)
// CHECK: %[[T:.*]] = llvm.sext %[[THREAD]] : i32 to i64
// CHECK: llvm.getelementptr %[[XI]][%[[BEGIN]]]
// CHECK: llvm.add %[[C]], %[[T]]
// CHECK: llvm.return
// CHECK-NOT: sq.yield
// CHECK: llvm.func internal @sq_kernel_1
// CHECK: llvm.getelementptr %{{.*}}[0, 1] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(i64, ptr)>
// CHECK: llvm.cond_br
// CHECK-NOT: @sq_kernel_2
llvm.func @main(%ctx: !llvm.ptr, %x: !llvm.ptr, %n: i64) -> i32 {
  %one = llvm.mlir.constant(1 : i64) : i64
  %seven = llvm.mlir.constant(7 : i64) : i64
  %zero = llvm.mlir.constant(0 : i32) : i32
  sq.parallel "softmax:a" %n, %one : i64 {
  ^bb0(%begin: i64, %end: i64, %thread: i64):
    %p = llvm.getelementptr %x[%begin] : (!llvm.ptr, i64) -> !llvm.ptr, i64
    %v = llvm.add %seven, %thread : i64
    llvm.store %v, %p : i64, !llvm.ptr
    sq.yield
  }
  sq.parallel "matmul" %n, %one : i64 {
  ^bb0(%begin: i64, %end: i64, %thread: i64):
    %less = llvm.icmp "slt" %begin, %n : i64
    llvm.cond_br %less, ^bb1, ^bb2
  ^bb1:
    llvm.store %begin, %x : i64, !llvm.ptr
    llvm.br ^bb2
  ^bb2:
    sq.yield
  }
  sq.parallel "softmax:b" %one, %one : i64 {
  ^bb0(%begin: i64, %end: i64, %thread: i64):
    %p = llvm.getelementptr %x[%begin] : (!llvm.ptr, i64) -> !llvm.ptr, i64
    %v = llvm.add %seven, %thread : i64
    llvm.store %v, %p : i64, !llvm.ptr
    sq.yield
  }
  llvm.return %zero : i32
}

// -----

// Near miss for sharing: one constant differs.
// CHECK: module attributes {sq.kernels = ["k", "k"]}
// CHECK: llvm.mlir.addressof @sq_kernel_0
// CHECK: llvm.mlir.addressof @sq_kernel_1
// CHECK: llvm.func internal @sq_kernel_0
// CHECK: llvm.mlir.constant(7 : i64)
// CHECK: llvm.func internal @sq_kernel_1
// CHECK: llvm.mlir.constant(8 : i64)
llvm.func @main(%ctx: !llvm.ptr, %x: !llvm.ptr) -> i32 {
  %one = llvm.mlir.constant(1 : i64) : i64
  %seven = llvm.mlir.constant(7 : i64) : i64
  %eight = llvm.mlir.constant(8 : i64) : i64
  %zero = llvm.mlir.constant(0 : i32) : i32
  sq.parallel "k" %one, %one : i64 {
  ^bb0(%begin: i64, %end: i64, %thread: i64):
    llvm.store %seven, %x : i64, !llvm.ptr
    sq.yield
  }
  sq.parallel "k" %one, %one : i64 {
  ^bb0(%begin: i64, %end: i64, %thread: i64):
    llvm.store %eight, %x : i64, !llvm.ptr
    sq.yield
  }
  llvm.return %zero : i32
}
