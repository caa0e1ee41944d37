// RUN: sq-opt %s --sq-write-carried --split-input-file | FileCheck %s

#id = affine_map<(d0) -> (d0)>

// The state is overwritten, and the row written where it belongs.
// CHECK-LABEL: @carried
// CHECK: scf.for %[[I:.*]] = {{.*}} iter_args(%[[STATE:.*]] = %{{.*}}, %[[ALL:.*]] = %{{.*}})
// CHECK: %[[ROW:.*]] = tensor.extract_slice %[[ALL]][%[[I]], 0] [1, 8] [1, 1]
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<8xf32>) outs(%[[STATE]], %[[ROW]] : tensor<8xf32>, tensor<8xf32>)
func.func @carried(%x: tensor<8xf32>, %s: tensor<8xf32>, %y: tensor<4x8xf32>) -> (tensor<8xf32>, tensor<4x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%state = %s, %all = %y) -> (tensor<8xf32>, tensor<4x8xf32>) {
    %e0 = tensor.empty() : tensor<8xf32>
    %e1 = tensor.empty() : tensor<8xf32>
    %g:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e0, %e1 : tensor<8xf32>, tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %n = arith.negf %a : f32
      linalg.yield %n, %a : f32, f32
    } -> (tensor<8xf32>, tensor<8xf32>)
    %next = bufferization.materialize_in_destination %g#0 in %state : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %rows = tensor.insert_slice %g#1 into %all[%i, 0] [1, 8] [1, 1] : tensor<8xf32> into tensor<4x8xf32>
    scf.yield %next, %rows : tensor<8xf32>, tensor<4x8xf32>
  }
  return %r#0, %r#1 : tensor<8xf32>, tensor<4x8xf32>
}

// -----

#id = affine_map<(d0) -> (d0)>

// Where the row goes is not known yet when it is computed; and a product may read its
// operands after it has written.
// CHECK-LABEL: @later
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<8xf32>)
// CHECK: tensor.extract
// CHECK-NOT: tensor.extract_slice
// CHECK: tensor.insert_slice
// CHECK: sq.softmax ins(%[[S:.*]] : tensor<8xf32>) outs(%[[E:.*]] :
// CHECK: materialize_in_destination %{{.*}} in %[[S]]
func.func @later(%x: tensor<8xf32>, %s: tensor<8xf32>, %y: tensor<4x8xf32>, %at: tensor<4xindex>) -> (tensor<8xf32>, tensor<4x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%state = %s, %all = %y) -> (tensor<8xf32>, tensor<4x8xf32>) {
    %e0 = tensor.empty() : tensor<8xf32>
    %e1 = tensor.empty() : tensor<8xf32>
    %g = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e0 : tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32):
      %n = arith.negf %a : f32
      linalg.yield %n : f32
    } -> tensor<8xf32>
    %p = tensor.extract %at[%i] : tensor<4xindex>
    %rows = tensor.insert_slice %g into %all[%p, 0] [1, 8] [1, 1] : tensor<8xf32> into tensor<4x8xf32>
    %m = sq.softmax ins(%state : tensor<8xf32>) outs(%e1 : tensor<8xf32>) -> tensor<8xf32>
    %next = bufferization.materialize_in_destination %m in %state : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    scf.yield %next, %rows : tensor<8xf32>, tensor<4x8xf32>
  }
  return %r#0, %r#1 : tensor<8xf32>, tensor<4x8xf32>
}
