// RUN: sq-opt %s --sq-align-while | FileCheck %s

// The condition passes on two of three, the second one first, and something new.
// CHECK-LABEL: @reordered
// CHECK: %[[R:.*]]:4 = scf.while (%[[A:.*]] = %arg0, %[[B:.*]] = %arg1, %[[I:.*]] = %arg2) : (tensor<4xf32>, tensor<4xf32>, index) -> (tensor<4xf32>, tensor<4xf32>, index, index)
// CHECK: %[[N:.*]] = arith.addi %[[I]], %[[I]]
// CHECK: scf.condition(%{{.*}}) %[[A]], %[[B]], %[[I]], %[[N]]
// CHECK: ^bb0(%{{.*}}: tensor<4xf32>, %[[BB:.*]]: tensor<4xf32>, %{{.*}}: index, %[[NN:.*]]: index):
// CHECK: scf.yield %[[BB]], %[[BB]], %[[NN]]
// CHECK: return %[[R]]#1, %[[R]]#3
func.func @reordered(%a0: tensor<4xf32>, %b0: tensor<4xf32>, %i0: index, %n: index) -> (tensor<4xf32>, index) {
  %r:2 = scf.while (%a = %a0, %b = %b0, %i = %i0) : (tensor<4xf32>, tensor<4xf32>, index) -> (tensor<4xf32>, index) {
    %next = arith.addi %i, %i : index
    %c = arith.cmpi slt, %i, %n : index
    scf.condition(%c) %b, %next : tensor<4xf32>, index
  } do {
  ^bb0(%b: tensor<4xf32>, %next: index):
    scf.yield %b, %b, %next : tensor<4xf32>, tensor<4xf32>, index
  }
  return %r#0, %r#1 : tensor<4xf32>, index
}

// Nothing to do.
// CHECK-LABEL: @aligned
// CHECK: scf.while (%{{.*}} = %arg0) : (index) -> index
func.func @aligned(%i0: index, %n: index) -> index {
  %r = scf.while (%i = %i0) : (index) -> index {
    %c = arith.cmpi slt, %i, %n : index
    scf.condition(%c) %i : index
  } do {
  ^bb0(%i: index):
    %next = arith.addi %i, %i : index
    scf.yield %next : index
  }
  return %r : index
}
