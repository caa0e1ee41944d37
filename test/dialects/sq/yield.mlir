// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @in_parallel
func.func @in_parallel(%n: index) {
  sq.parallel "empty" %n, %n : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    // CHECK: sq.yield{{$}}
    sq.yield
  }
  return
}
