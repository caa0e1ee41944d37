// RUN: sq-opt %s --sq-graph-to-buffers --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-graph-to-buffers --split-input-file \
// RUN:   | sq-opt --pass-pipeline='builtin.module(sq-buffers-to-kernels{level=avx512},sq-kernels-to-llvm)' --split-input-file \
// RUN:   | FileCheck %s --check-prefix=LLVM

// Two layers and an activation: two products with everything in their epilogues,
// one buffer between them, the last product writes the caller's memory.
#id = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: memref<?x4xf32> {sq.name = "x"}) attributes {sq.results = [{sq.name = "y"}], sq.weight_bytes = 2368 : i64}
// CHECK-NOT: tensor.
// CHECK-NOT: linalg.
// CHECK: %[[N:.*]] = memref.dim %[[X]]
// CHECK: %[[Y:.*]] = sq.output 0(%[[N]]) : memref<?x8xf32>
// CHECK: %[[H:.*]] = memref.alloc(%[[N]]) {{.*}} : memref<?x8xf32>
// CHECK: sq.packed_matmul ins(%[[X]], %{{.*}} : {{.*}}) extras(%{{.*}} : memref<8xf32>) outs(%[[H]] : memref<?x8xf32>)
// CHECK: arith.addf
// CHECK: math.tanh
// CHECK: sq.yield
// CHECK: sq.packed_matmul ins(%[[H]], %{{.*}} : {{.*}}) extras(%[[H]] : memref<?x8xf32>) outs(%[[Y]] : memref<?x8xf32>)
// CHECK-NOT: memref.copy
// CHECK: return{{$}}
// LLVM: llvm.func internal @main
// LLVM-NOT: sq.parallel
// LLVM: llvm.func @sq_entry
// LLVM: llvm.func internal @sq_kernel_0
// LLVM: llvm.func internal @sq_kernel_1
func.func @main(%x: tensor<?x4xf32> {sq.name = "x"}) -> (tensor<?x8xf32> {sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %w = arith.constant dense<0.25> : tensor<4x8xf32>
  %b = arith.constant dense<0.5> : tensor<8xf32>
  %w2 = arith.constant dense<0.75> : tensor<8x8xf32>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %h0 = sq.linear ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) bias(%b : tensor<8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %h = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%h0 : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = math.tanh %i : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  %y0 = sq.linear ins(%h, %w2 : tensor<?x8xf32>, tensor<8x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%y0, %h : tensor<?x8xf32>, tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Named ops of linalg fuse like any other elementwise op, and an input that
// is also a result is copied.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: memref<4xf32>)
// CHECK: %[[Y:.*]] = sq.output 0() : memref<4xf32>
// CHECK: linalg.generic {{.*}} ins(%[[X]] : memref<4xf32>) outs(%[[Y]] : memref<4xf32>)
// CHECK: math.exp
// CHECK: arith.negf
// CHECK: %[[Z:.*]] = sq.output 1() : memref<4xf32>
// CHECK: memref.copy %[[X]], %[[Z]]
// LLVM: llvm.func @sq_entry
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %b = linalg.negf ins(%a : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %b, %x : tensor<4xf32>, tensor<4xf32>
}
