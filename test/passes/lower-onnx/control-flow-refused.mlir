// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

func.func @main(%x: tensor<4xf32>, %c: tensor<i1>) -> tensor<*xf32> {
  // expected-error @below {{cannot lower If: its branches give result 0 as f32 of rank 1 and as f32 of rank 2; that needs a condition which is known before the run (node 'If')}}
  %y = onnx.If(%c) attributes {region_names = ["then_branch", "else_branch"]} : (tensor<i1>) -> tensor<*xf32> {
    onnx.Yield %x : tensor<4xf32>
  }, {
    %s = onnx.Constant() {value = dense<[2, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
    %r = onnx.Reshape(%x, %s) : (tensor<4xf32>, tensor<2xi64>) -> tensor<2x2xf32>
    onnx.Yield %r : tensor<2x2xf32>
  }
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<4xf32>, %c: tensor<i1>) -> tensor<*xf32> {
  // expected-error @below {{cannot lower If: else_branch is missing (node 'If')}}
  %y = onnx.If(%c) attributes {region_names = ["then_branch"]} : (tensor<i1>) -> tensor<*xf32> {
    onnx.Yield %x : tensor<4xf32>
  }
  return %y : tensor<*xf32>
}

// -----

// What fails inside is said once, of the op that fails.
func.func @main(%x: tensor<4xf32>, %c: tensor<i1>) -> tensor<*xf32> {
  %y = onnx.If(%c) attributes {region_names = ["then_branch", "else_branch"]} : (tensor<i1>) -> tensor<*xf32> {
    onnx.Yield %x : tensor<4xf32>
  }, {
    // expected-error @below {{cannot lower com.example.Frob (opset 2): not supported yet (node 'Custom')}}
    %f = onnx.Custom "com.example" "Frob"(%x) attributes {opset = 2 : i64} : (tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %f : tensor<4xf32>
  }
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<2xf32>, %count: tensor<i64>) -> tensor<*xf32> {
  %true = onnx.Constant() {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  // expected-error @below {{cannot lower Loop: a carried value is a sequence, or changes its shape from iteration to iteration; this needs a constant M of at most 256 (node 'Loop')}}
  %y = onnx.Loop(%count, %true, %x) attributes {region_names = ["body"]} : (tensor<i64>, tensor<i1>, tensor<2xf32>) -> tensor<*xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?xf32>):
    %n = onnx.Concat(%v, %x) {axis = 0 : i64} : (tensor<?xf32>, tensor<2xf32>) -> tensor<?xf32>
    onnx.Yield %c, %n : tensor<i1>, tensor<?xf32>
  }
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<2xf32>, %go: tensor<i1>) -> tensor<*xf32> {
  %none = onnx.NoValue
  // expected-error @below {{cannot lower Loop: it has scan outputs, but no M that bounds their length (node 'Loop')}}
  %y = onnx.Loop(%none, %go) attributes {region_names = ["body"]} : (none, tensor<i1>) -> tensor<*xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>):
    onnx.Yield %c, %x : tensor<i1>, tensor<2xf32>
  }
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<2xf32>, %count: tensor<i64>) -> tensor<*xf32> {
  %true = onnx.Constant() {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  // expected-error @below {{cannot lower Loop: its body does not fit: it has 1 carried values and 1 results, the body 2 inputs and 2 outputs (node 'Loop')}}
  %y = onnx.Loop(%count, %true, %x) attributes {region_names = ["body"]} : (tensor<i64>, tensor<i1>, tensor<2xf32>) -> tensor<*xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>):
    onnx.Yield %c, %x : tensor<i1>, tensor<2xf32>
  }
  return %y : tensor<*xf32>
}
