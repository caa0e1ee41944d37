// RUN: sq-opt %s --sq-lower-onnx --canonicalize --split-input-file | FileCheck %s

// Each branch is a loop that runs once or never and writes to one destination.
// CHECK-LABEL: @main
// CHECK-SAME: %[[X:.*]]: tensor<?xf32>
// CHECK: %[[C:.*]] = tensor.extract
// CHECK: %[[THEN:.*]] = arith.select %[[C]], %c1, %c0
// CHECK: %[[ELSE:.*]] = arith.select %[[C]], %c0, %c1
// CHECK: %[[DEST:.*]] = bufferization.alloc_tensor(%{{.*}}) : tensor<?xf32>
// CHECK: %[[FIRST:.*]] = scf.for {{.*}} to %[[THEN]] {{.*}} iter_args(%[[ARG:.*]] = %[[DEST]])
// CHECK: bufferization.materialize_in_destination %[[X]] in %[[ARG]]
// CHECK: scf.for {{.*}} to %[[ELSE]] {{.*}} iter_args(%{{.*}} = %[[FIRST]])
// CHECK: math.exp
func.func @main(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]}, %c: tensor<i1> {onnx.name = "c"}) -> tensor<?xf32> {
  %y = onnx.If(%c) attributes {region_names = ["then_branch", "else_branch"]} : (tensor<i1>) -> tensor<?xf32> {
    onnx.Yield %x : tensor<?xf32>
  }, {
    %e = onnx.Exp(%x) : (tensor<?xf32>) -> tensor<?xf32>
    onnx.Yield %e : tensor<?xf32>
  }
  return %y : tensor<?xf32>
}

// -----

// Small integers leave a branch as scalars, and shapes made of them stay known.
// CHECK-LABEL: @main
// CHECK: %[[N:.*]]:2 = scf.for
// CHECK: tensor.empty(%{{.*}}, %{{.*}}) : tensor<?x?xf32>
func.func @main(%x: tensor<12xf32> {onnx.name = "x"}, %c: tensor<i1> {onnx.name = "c"}) -> tensor<?x?xf32> {
  %a = onnx.Constant() {value = dense<[3, 4]> : tensor<2xi64>} : () -> tensor<2xi64>
  %b = onnx.Constant() {value = dense<[2, 6]> : tensor<2xi64>} : () -> tensor<2xi64>
  %zero = onnx.Constant() {value = dense<0.0> : tensor<1xf32>} : () -> tensor<1xf32>
  %shape = onnx.If(%c) attributes {region_names = ["then_branch", "else_branch"]} : (tensor<i1>) -> tensor<2xi64> {
    onnx.Yield %a : tensor<2xi64>
  }, {
    onnx.Yield %b : tensor<2xi64>
  }
  %y = onnx.ConstantOfShape(%shape) {value = dense<0.0> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// A counted loop: the carried tensor is overwritten in place, the scan output
// filled row by row.
// CHECK-LABEL: @main
// CHECK: %[[COPY:.*]] = bufferization.materialize_in_destination
// CHECK: scf.for %[[I:.*]] = %c0 to {{.*}} iter_args(%[[V:.*]] = %[[COPY]], %[[ALL:.*]] = %{{.*}})
// CHECK: linalg.generic
// CHECK: tensor.insert_slice %[[V]] into %[[ALL]][%[[I]], 0] [1, %{{.*}}] [1, 1]
// CHECK: bufferization.materialize_in_destination %{{.*}} in %[[V]]
func.func @main(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]}, %count: tensor<i64> {onnx.name = "count"}) -> (tensor<?xf32>, tensor<?x?xf32>) {
  %true = onnx.Constant() {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  %last, %all = onnx.Loop(%count, %true, %x) attributes {region_names = ["body"]} : (tensor<i64>, tensor<i1>, tensor<?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?xf32>):
    %n = onnx.Exp(%v) : (tensor<?xf32>) -> tensor<?xf32>
    onnx.Yield %c, %n, %v : tensor<i1>, tensor<?xf32>, tensor<?xf32>
  }
  return %last, %all : tensor<?xf32>, tensor<?x?xf32>
}

// -----

// A condition from data makes it a while; the counter stays a scalar.
// CHECK-LABEL: @main
// CHECK: scf.while {{.*}} : (index, i1, tensor<?xf32>, i64) -> (index, tensor<?xf32>, i64)
// CHECK: scf.condition
func.func @main(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]}, %go: tensor<i1> {onnx.name = "go"}) -> (tensor<?xf32>, tensor<i64>) {
  %none = onnx.NoValue
  %one = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %five = onnx.Constant() {value = dense<5> : tensor<i64>} : () -> tensor<i64>
  %limit = onnx.Constant() {value = dense<5.0> : tensor<f32>} : () -> tensor<f32>
  %last, %steps = onnx.Loop(%none, %go, %x, %one) attributes {region_names = ["body"]} : (none, tensor<i1>, tensor<?xf32>, tensor<i64>) -> (tensor<?xf32>, tensor<i64>) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?xf32>, %s: tensor<i64>):
    %n = onnx.Exp(%v) : (tensor<?xf32>) -> tensor<?xf32>
    %max = onnx.ReduceMax(%n) {keepdims = 0 : i64} : (tensor<?xf32>) -> tensor<f32>
    %again = onnx.Less(%max, %limit) : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %next = onnx.Add(%s, %one) : (tensor<i64>, tensor<i64>) -> tensor<i64>
    onnx.Yield %again, %n, %next : tensor<i1>, tensor<?xf32>, tensor<i64>
  }
  return %last, %steps : tensor<?xf32>, tensor<i64>
}

// -----

// A carried value that grows: unrolled, as the count is known.
// CHECK-LABEL: @main
// CHECK-NOT: scf.
// CHECK: return %{{.*}} : tensor<8xf32>
func.func @main(%x: tensor<2xf32> {onnx.name = "x"}) -> tensor<?xf32> {
  %true = onnx.Constant() {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  %three = onnx.Constant() {value = dense<3> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.Loop(%three, %true, %x) attributes {region_names = ["body"]} : (tensor<i64>, tensor<i1>, tensor<2xf32>) -> tensor<?xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?xf32>):
    %n = onnx.Concat(%v, %x) {axis = 0 : i64} : (tensor<?xf32>, tensor<2xf32>) -> tensor<?xf32>
    onnx.Yield %c, %n : tensor<i1>, tensor<?xf32>
  }
  return %y : tensor<?xf32>
}
