// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @copy
func.func @copy(%n: index, %grain: index) {
  // CHECK: sq.parallel "copy" %{{.*}}, %{{.*}} : index {
  // CHECK: ^bb0(%{{.*}}: index, %{{.*}}: index, %{{.*}}: index):
  sq.parallel "copy" %n, %grain : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    sq.yield
  }
  return
}
