// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

// What a graph asks for and cannot have: each with its reason.

func.func @main(%a: tensor<4x3xf32>, %b: tensor<5x2xf32>) -> tensor<4x2xf32> {
  // expected-error @+5 {{cannot lower MatMul: the contraction dimension of its inputs differs: 3 and 5 (node 'MatMul')}}
  // expected-note @+4 {{operand 0 is f32[4, 3], from input '0'}}
  // expected-note @+3 {{operand 1 is f32[5, 2], from input '1'}}
  // expected-note @+2 {{3 is dimension 1 of input '0'}}
  // expected-note @below {{5 is dimension 0 of input '1'}}
  %y = onnx.MatMul(%a, %b) : (tensor<4x3xf32>, tensor<5x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// -----

func.func @main(%x: tensor<3x5xf32>) -> tensor<3xf32> {
  %i = onnx.Constant() {value = dense<5> : tensor<i64>} : () -> tensor<i64>
  // expected-error @below {{cannot lower Gather: index 5 is outside the dimension of size 5 (node 'Gather')}}
  %y = onnx.Gather(%x, %i) {axis = 1 : i64} : (tensor<3x5xf32>, tensor<i64>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----

func.func @main(%x: tensor<3x5xf32>) -> (tensor<3x2xf32>, tensor<3x2xf32>) {
  // expected-error @below {{cannot lower Split: the split dimension (5) is not a multiple of 2 (node 'Split')}}
  %a, %b = onnx.Split(%x) {axis = 1 : i64} : (tensor<3x5xf32>) -> (tensor<3x2xf32>, tensor<3x2xf32>)
  return %a, %b : tensor<3x2xf32>, tensor<3x2xf32>
}

// -----

func.func @main(%x: tensor<1x2x5xf32>) -> tensor<1x2x1xf32> {
  // expected-error @below {{cannot lower MaxPool: the window is larger than spatial dimension 0 with its padding (node 'MaxPool')}}
  %y = onnx.MaxPool(%x) {kernel_shape = array<i64: 7>} : (tensor<1x2x5xf32>) -> tensor<1x2x1xf32>
  return %y : tensor<1x2x1xf32>
}

// -----

func.func @main(%a: tensor<4x3xf32>) -> tensor<4xf32> {
  // expected-error @below {{cannot lower Einsum: equation 'ijk->i' does not fit an operand of rank 2 (node 'Einsum')}}
  %y = onnx.Einsum(%a) {equation = "ijk->i"} : (tensor<4x3xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// A declared minimum above the table's length: no run could be right.
module attributes {sq.dims = {sequence = array<i64: 3, 8>}} {
  func.func @main(%x: tensor<?x?xf32> {onnx.dims = ["batch", "sequence"]}) -> tensor<?x?xf32> {
    %table = onnx.Constant() {value = dense<[[1.0, 2.0]]> : tensor<1x2xf32>} : () -> tensor<1x2xf32>
    // expected-error @+5 {{cannot lower Add: dimension 1 of its inputs differs: 2 and a size of 3 to 8 (node 'Add')}}
    // expected-note @+4 {{operand 0 is f32[batch, sequence], from input '0'}}
    // expected-note @+3 {{operand 1 is f32[1, 2], from constant 'Constant'}}
    // expected-note @+2 {{sequence is dimension 1 of input '0'}}
    // expected-note @below {{2 is dimension 1 of constant 'Constant'}}
    %a = onnx.Add(%x, %table) : (tensor<?x?xf32>, tensor<1x2xf32>) -> tensor<?x?xf32>
    return %a : tensor<?x?xf32>
  }
}

// -----

func.func @main(%x: tensor<1x2x24xf32>, %n: tensor<1xi32>, %t: tensor<i32>) -> tensor<*xf32> {
  %none = onnx.NoValue
  // expected-error @below {{cannot lower com.microsoft.GroupQueryAttention (opset 1): the packed query is not as wide as the heads of q, k and v together (node 'Custom')}}
  %y = onnx.Custom "com.microsoft" "GroupQueryAttention"(%x, %none, %none, %none, %none, %n, %t) attributes {attributes = {num_heads = 2 : i64, kv_num_heads = 9223372036854775807 : i64}, opset = 1 : i64} : (tensor<1x2x24xf32>, none, none, none, none, tensor<1xi32>, tensor<i32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<1x2x32xf32>, %past: tensor<1x1x2x6x16xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant() {value = dense<0.5> : tensor<32x96xf32>} : () -> tensor<32x96xf32>
  %b = onnx.Constant() {value = dense<0.5> : tensor<96xf32>} : () -> tensor<96xf32>
  // expected-error @below {{cannot lower com.microsoft.Attention (opset 1): the sizes of q, k and v do not add up to the width of the weight (node 'Custom')}}
  %y = onnx.Custom "com.microsoft" "Attention"(%x, %w, %b) attributes {attributes = {num_heads = 2 : i64, qkv_hidden_sizes = array<i64: 9223372036854775807, 32, 32>}, opset = 1 : i64} : (tensor<1x2x32xf32>, tensor<32x96xf32>, tensor<96xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower com.microsoft.Attention (opset 1): dimension 0 of the past of its inputs differs: 1 and 2 (node 'Custom')}}
  %z = onnx.Custom "com.microsoft" "Attention"(%x, %w, %b, %none, %past) attributes {attributes = {num_heads = 2 : i64}, opset = 1 : i64} : (tensor<1x2x32xf32>, tensor<32x96xf32>, tensor<96xf32>, none, tensor<1x1x2x6x16xf32>) -> tensor<*xf32>
  return %y, %z : tensor<*xf32>, tensor<*xf32>
}
