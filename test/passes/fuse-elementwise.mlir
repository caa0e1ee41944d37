// RUN: sq-opt %s --sq-fuse-elementwise --split-input-file | FileCheck %s
// RUN: sq-opt %s --sq-fuse-elementwise --sq-fuse-elementwise --split-input-file | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#col = affine_map<(d0, d1) -> (d1)>

// A chain is one loop.
// CHECK-LABEL: @chain
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[B:.*]]: tensor<8xf32>
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[B]] : {{.*}}) outs(
// CHECK-NEXT: ^bb0(%[[I:.*]]: f32, %[[J:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: %[[E:.*]] = math.exp %[[I]]
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[E]], %[[J]]
// CHECK-NEXT: linalg.yield %[[S]]
// CHECK-NOT: linalg.generic
// CHECK: return %[[Y]]
func.func @chain(%x: tensor<?x8xf32>, %b: tensor<8xf32>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %e = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = math.exp %i : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]} ins(%e, %b : tensor<?x8xf32>, tensor<8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %r = arith.addf %i, %j : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Near miss: the exponential has two users and would be computed twice.
// CHECK-LABEL: @two_users
// CHECK: linalg.generic
// CHECK: math.exp
// CHECK: linalg.generic
// CHECK-NOT: math.exp
// CHECK: linalg.generic
// CHECK-NOT: math.exp
// CHECK: return
func.func @two_users(%x: tensor<?x8xf32>, %out: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %e = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = math.exp %i : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%e : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%e : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = math.absf %i : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %y, %z : tensor<?x8xf32>, tensor<?x8xf32>
}

// A producer read by a reduction moves into it: each element is read once.
// CHECK-LABEL: @into_reduction
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK: math.exp
// CHECK: arith.addf
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @into_reduction(%x: tensor<?x8xf32>, %out: tensor<?x8xf32>, %sum: tensor<?xf32>) -> tensor<?xf32> {
  %e = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = math.exp %i : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#id, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%e : tensor<?x8xf32>) outs(%sum : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.addf %i, %o : f32
    linalg.yield %r : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// Near miss: the result of a reduction is complete only after its loop.
// CHECK-LABEL: @from_reduction
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel"]
func.func @from_reduction(%x: tensor<?x8xf32>, %sum: tensor<?xf32>) -> tensor<?xf32> {
  %e = linalg.generic {indexing_maps = [#id, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x8xf32>) outs(%sum : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.addf %i, %o : f32
    linalg.yield %r : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%e : tensor<?xf32>) outs(%sum : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// The check stays behind, once; what is fused has none.
// CHECK-LABEL: @check
// CHECK: linalg.generic
// CHECK: cf.assert
// CHECK: linalg.generic
// CHECK-NOT: cf.assert
// CHECK: arith.sitofp
// CHECK: return
#id = affine_map<(d0) -> (d0)>
func.func @check(%i: tensor<?xi64>, %a: tensor<?xi64>, %b: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : i64
  %clamped = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%i : tensor<?xi64>) outs(%a : tensor<?xi64>) {
  ^bb0(%in: i64, %out: i64):
    %ok = arith.cmpi sge, %in, %c0 : i64
    cf.assert %ok, "negative"
    %m = arith.maxsi %in, %c0 : i64
    linalg.yield %m : i64
  } -> tensor<?xi64>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%clamped : tensor<?xi64>) outs(%b : tensor<?xf32>) {
  ^bb0(%in: i64, %out: f32):
    %f = arith.sitofp %in : i64 to f32
    linalg.yield %f : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Near miss: the division may only run if the check did not fail.
// CHECK-LABEL: @guard
// CHECK: cf.assert
// CHECK-NEXT: arith.divsi
#id = affine_map<(d0) -> (d0)>
func.func @guard(%i: tensor<?xi64>, %a: tensor<?xi64>) -> tensor<?xi64> {
  %c0 = arith.constant 0 : i64
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%i : tensor<?xi64>) outs(%a : tensor<?xi64>) {
  ^bb0(%in: i64, %out: i64):
    %ok = arith.cmpi ne, %in, %c0 : i64
    cf.assert %ok, "division by zero"
    %q = arith.divsi %out, %in : i64
    linalg.yield %q : i64
  } -> tensor<?xi64>
  return %y : tensor<?xi64>
}

// -----

// A division a row is not made one an element; an addition is.
#row = affine_map<(d0, d1) -> (d0)>
#vector = affine_map<(d0) -> (d0)>
#matrix = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: @work_of_row
// CHECK: linalg.generic
// CHECK: arith.divui
// CHECK: linalg.generic
// CHECK: arith.muli
// CHECK: linalg.generic
// CHECK: arith.addi
// CHECK: arith.muli
// CHECK-NOT: linalg.generic
func.func @work_of_row(%x: tensor<4x8xi32>, %r: tensor<4xi32>) -> (tensor<4x8xi32>, tensor<4x8xi32>) {
  %row = tensor.empty() : tensor<4xi32>
  %all = tensor.empty() : tensor<4x8xi32>
  %d = linalg.generic {indexing_maps = [#vector, #vector], iterator_types = ["parallel"]} ins(%r : tensor<4xi32>) outs(%row : tensor<4xi32>) {
  ^bb0(%i: i32, %o: i32):
    %q = arith.divui %i, %i : i32
    linalg.yield %q : i32
  } -> tensor<4xi32>
  %y = linalg.generic {indexing_maps = [#matrix, #row, #matrix], iterator_types = ["parallel", "parallel"]} ins(%x, %d : tensor<4x8xi32>, tensor<4xi32>) outs(%all : tensor<4x8xi32>) {
  ^bb0(%i: i32, %j: i32, %o: i32):
    %q = arith.muli %i, %j : i32
    linalg.yield %q : i32
  } -> tensor<4x8xi32>
  %s = linalg.generic {indexing_maps = [#vector, #vector], iterator_types = ["parallel"]} ins(%r : tensor<4xi32>) outs(%row : tensor<4xi32>) {
  ^bb0(%i: i32, %o: i32):
    %q = arith.addi %i, %i : i32
    linalg.yield %q : i32
  } -> tensor<4xi32>
  %z = linalg.generic {indexing_maps = [#matrix, #row, #matrix], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<4x8xi32>, tensor<4xi32>) outs(%all : tensor<4x8xi32>) {
  ^bb0(%i: i32, %j: i32, %o: i32):
    %q = arith.muli %i, %j : i32
    linalg.yield %q : i32
  } -> tensor<4x8xi32>
  return %y, %z : tensor<4x8xi32>, tensor<4x8xi32>
}
