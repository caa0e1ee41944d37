// RUN: sq-opt %s --sq-separate-results --split-input-file | FileCheck %s

// One empty tensor for each result that is written; what only asks for the
// shape stays with the first.
// CHECK-LABEL: @shared
// CHECK: %[[E:.*]] = tensor.empty(%{{.*}}) : tensor<?x8xf32>
// CHECK: %[[A:.*]] = tensor.empty(%{{.*}}) : tensor<?x8xf32>
// CHECK: %[[SA:.*]] = sq.softmax ins(%{{.*}}) outs(%[[A]]
// CHECK: %[[B:.*]] = tensor.empty(%{{.*}}) : tensor<?x8xf32>
// CHECK: sq.softmax ins(%[[SA]] {{.*}} outs(%[[B]]
// CHECK: tensor.dim %[[E]]
func.func @shared(%x: tensor<?x8xf32>, %n: index) -> (tensor<?x8xf32>, index) {
  %c0 = arith.constant 0 : index
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %a = sq.softmax ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = sq.softmax ins(%a : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %d = tensor.dim %e, %c0 : tensor<?x8xf32>
  return %b, %d : tensor<?x8xf32>, index
}

// -----

// Near misses: used once; a result that is added to.
// CHECK-LABEL: @own
// CHECK-COUNT-1: tensor.empty
// CHECK-NOT: tensor.empty
func.func @own(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>, %n: index) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %a = sq.softmax ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = sq.softmax ins(%a : tensor<?x8xf32>) outs(%y : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
}
