// RUN: sq-opt %s --sq-convert-to-llvm=entry=sq_entry_test --canonicalize --cse --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-convert-to-llvm --split-input-file | FileCheck %s --check-prefix=DEFAULT

// The offsets are those of sq_kernel_context (include/sq/kernel_abi.h):
// weights 0, arena 8, output 16, parallel 24, fail 32, threads 40.

// Context first, status as result; weights are addresses behind the context's
// base; an arena or output that is NULL ends the run with 1.
// CHECK-LABEL: llvm.func @main
// CHECK-SAME: (%[[CTX:.*]]: !llvm.ptr, %[[IN:.*]]: !llvm.ptr) -> i32
// CHECK-SAME: sym_visibility = "private"
// CHECK-DAG: %[[ONE:.*]] = llvm.mlir.constant(1 : i32) : i32
// CHECK-DAG: %[[ZERO:.*]] = llvm.mlir.constant(0 : i32) : i32
// CHECK-DAG: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// It reads the inputs of the run, 16 bytes apart; here only the shape of the first is used.
// CHECK: %[[SHAPEP:.*]] = llvm.getelementptr %[[IN]][8]
// CHECK: %[[S:.*]] = llvm.load %[[SHAPEP]] : !llvm.ptr -> !llvm.ptr
// CHECK: %[[N:.*]] = llvm.load %[[S]] : !llvm.ptr -> i64
// CHECK: %[[WEIGHTS:.*]] = llvm.load %[[CTX]] : !llvm.ptr -> !llvm.ptr
// CHECK: llvm.getelementptr %[[WEIGHTS]][128] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: %[[ARENAP:.*]] = llvm.getelementptr %[[CTX]][16] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: %[[ARENAF:.*]] = llvm.load %[[ARENAP]]
// CHECK: %[[MEM:.*]] = llvm.call %[[ARENAF]](%[[CTX]], %[[ZERO]], %[[N]]) : !llvm.ptr, (!llvm.ptr, i32, i64) -> !llvm.ptr
// CHECK: %[[OK:.*]] = llvm.icmp "ne" %[[MEM]], %[[NULL]]
// CHECK: llvm.cond_br %[[OK]], ^[[GO:bb[0-9]+]], ^[[STOP:bb[0-9]+]]
// CHECK: ^[[STOP]]:
// CHECK: llvm.return %[[ONE]]
// The shape of the output: [n, 4].
// CHECK: llvm.store %[[N]], %[[SHAPE:[^ ]*]] : i64, !llvm.ptr
// CHECK: llvm.getelementptr %[[SHAPE]][1] : (!llvm.ptr) -> !llvm.ptr, i64
// CHECK: %[[OUTP:.*]] = llvm.getelementptr %[[CTX]][24]
// CHECK: %[[OUTF:.*]] = llvm.load %[[OUTP]]
// CHECK: %[[OUT:.*]] = llvm.call %[[OUTF]](%[[CTX]], %[[ONE]], %[[SHAPE]]) : !llvm.ptr, (!llvm.ptr, i32, !llvm.ptr) -> !llvm.ptr
// CHECK: llvm.icmp "ne" %[[OUT]], %[[NULL]]
// CHECK: %[[THREADSP:.*]] = llvm.getelementptr %[[CTX]][48]
// CHECK: %[[THREADS32:.*]] = llvm.load %[[THREADSP]] : !llvm.ptr -> i32
// CHECK: %[[THREADS:.*]] = llvm.sext %[[THREADS32]] : i32 to i64
// CHECK: sq.parallel "k" %[[THREADS]], %{{.*}} : i64 {
// CHECK-NEXT: ^bb0(%{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64):
// CHECK: llvm.store
// CHECK: sq.yield
// CHECK: llvm.return %[[ZERO]] : i32

// CHECK: llvm.func @sq_entry_test(%[[C:.*]]: !llvm.ptr, %[[E:.*]]: !llvm.ptr) -> i32
// CHECK: %[[R:.*]] = llvm.call @main(%[[C]], %[[E]])
// CHECK: llvm.return %[[R]] : i32
// DEFAULT: llvm.func @sq_entry(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i32
func.func @main(%x: memref<?x4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %x, %c0 : memref<?x4xf32>
  %w = sq.weight dense<1.0> : tensor<4xf32> {offset = 128 : i64} -> memref<4xf32>
  %arena = sq.arena %n : memref<?xi8>
  %a = memref.view %arena[%c0][] : memref<?xi8> to memref<4xf32>
  %y = sq.output 1(%n) : memref<?x4xf32>
  %t = sq.threads : index
  sq.parallel "k" %t, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    %v = memref.load %w[%begin] : memref<4xf32>
    memref.store %v, %a[%begin] : memref<4xf32>
    memref.store %v, %y[%begin, %c0] : memref<?x4xf32>
    sq.yield
  }
  return
}

// -----

// Two inputs, the second of rank 0; two checks with one message share its text.
// In the schedule a failed check ends the run; in a kernel it is noted, and the
// kernel goes on.
// CHECK-DAG: llvm.mlir.global private constant @sq_message_0("index out of range\00")
// CHECK-DAG: llvm.mlir.global private constant @sq_message_1("another\00")
// CHECK-NOT: @sq_message_2
// CHECK-LABEL: llvm.func @main
// CHECK: llvm.getelementptr %{{.*}}[16]
// CHECK: llvm.cond_br %{{.*}}, ^[[GO:bb[0-9]+]], ^[[FAIL:bb[0-9]+]]
// CHECK: ^[[FAIL]]:
// CHECK: %[[F:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK: llvm.call %[[F]](%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, i64, i64) -> ()
// CHECK-NEXT: llvm.return
// CHECK: ^[[GO]]:
// CHECK: sq.parallel
// CHECK: llvm.cond_br %{{.*}}, ^[[ON:bb[0-9]+]]{{.*}}, ^[[NOTE:bb[0-9]+]]
// CHECK: ^[[NOTE]]:
// CHECK: llvm.call %{{.*}}(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, i64, i64) -> ()
// CHECK-NEXT: llvm.br ^[[ON]]
func.func @main(%x: memref<4xi1>, %i: memref<i1>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ok = memref.load %i[] : memref<i1>
  cf.assert %ok, "index out of range"
  sq.parallel "k" %c1, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    %v = memref.load %x[%begin] : memref<4xi1>
    cf.assert %v, "index out of range"
    %u = memref.load %x[%c0] : memref<4xi1>
    cf.assert %u, "another"
    memref.store %u, %x[%begin] : memref<4xi1>
    sq.yield
  }
  return
}
