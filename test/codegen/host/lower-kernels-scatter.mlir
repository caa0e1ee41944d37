// RUN: sq-opt %s --sq-lower-kernels | FileCheck %s

// Threads share rows and pieces of 256 columns; each takes all updates in order, and
// leaves out those without a row.
// CHECK-LABEL: @rows
// CHECK: sq.parallel "scatter"
// CHECK: scf.for
// CHECK: scf.for
// CHECK: %[[ROW:.*]] = arith.index_cast %{{.*}} : i64 to index
// CHECK: %[[HERE:.*]] = arith.cmpi ult, %[[ROW]], %{{.*}} : index
// CHECK: scf.if %[[HERE]]
// CHECK: scf.for
// CHECK: arith.addf
func.func @rows(%i: memref<1x?xi64>, %u: memref<1x?x512xf32>, %y: memref<1x9x512xf32>) {
  sq.scatter "add" ins(%i, %u : memref<1x?xi64>, memref<1x?x512xf32>) outs(%y : memref<1x9x512xf32>)
  return
}

// Small floats are combined in f32.
// CHECK-LABEL: @f16
// CHECK: arith.extf
// CHECK: arith.maximumf %{{.*}} : f32
// CHECK: arith.truncf
func.func @f16(%i: memref<1x?xi64>, %u: memref<1x?x5xf16>, %y: memref<1x9x5xf16>) {
  sq.scatter "max" ins(%i, %u : memref<1x?xi64>, memref<1x?x5xf16>) outs(%y : memref<1x9x5xf16>)
  return
}

// A running sum is stored at every step; only the sum itself stays in a register.
// CHECK-LABEL: @running
// CHECK: scf.for {{.*}} iter_args
// CHECK: memref.store
// CHECK: scf.yield
// CHECK: memref.store
func.func @running(%x: memref<7x9xf32>, %sum: memref<7xf32>, %y: memref<7x9xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "reduction"]} ins(%x : memref<7x9xf32>) outs(%sum, %y : memref<7xf32>, memref<7x9xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %t = arith.addf %s, %a : f32
    linalg.yield %t, %t : f32, f32
  }
  return
}
