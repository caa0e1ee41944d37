// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

func.func @main(%x: tensor<3xf32>, %y: tensor<4xf32>) -> tensor<*xf32> {
  // expected-error @+5 {{cannot lower Add: dimension 0 of its inputs differs: 3 and 4 (node 'Add')}}
  // expected-note @below {{operand 0 is f32[3], from input '0'}}
  // expected-note @below {{operand 1 is f32[4], from input '1'}}
  // expected-note @below {{3 is dimension 0 of input '0'}}
  // expected-note @below {{4 is dimension 0 of input '1'}}
  %a = onnx.Add(%x, %y) : (tensor<3xf32>, tensor<4xf32>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<3xf32>, %y: tensor<3xf64>) -> tensor<*xf32> {
  // expected-error @below {{cannot lower Mul: its inputs 'A' and 'B' have elements of types float and double, which must be the same; cast one of them (node 'Mul')}}
  %a = onnx.Mul(%x, %y) : (tensor<3xf32>, tensor<3xf64>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<2x3xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
  %five = onnx.Constant() {value = dense<[5, -1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %twice = onnx.Constant() {value = dense<[-1, -1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %more = onnx.Constant() {value = dense<[2, 4]> : tensor<2xi64>} : () -> tensor<2xi64>
  %minus = onnx.Constant() {value = dense<[2, -3]> : tensor<2xi64>} : () -> tensor<2xi64>
  // expected-error @below {{cannot lower Reshape: its 6 elements cannot be divided by 5 for the dimension that -1 stands for (node 'Reshape')}}
  %a = onnx.Reshape(%x, %five) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Reshape: its shape has -1 twice (node 'Reshape')}}
  %b = onnx.Reshape(%x, %twice) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Reshape: a tensor of 6 elements cannot have a shape of 8 (node 'Reshape')}}
  %c = onnx.Reshape(%x, %more) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Reshape: its shape has the size -3 (node 'Reshape')}}
  %d = onnx.Reshape(%x, %minus) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<*xf32>
  return %a, %b, %c, %d : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
}

// -----

func.func @main(%x: tensor<2x?xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
  %far = onnx.Constant() {value = dense<[3]> : tensor<1xi64>} : () -> tensor<1xi64>
  %zero = onnx.Constant() {value = dense<[0]> : tensor<1xi64>} : () -> tensor<1xi64>
  // expected-error @below {{cannot lower Unsqueeze: axis 3 is outside the rank; expected -3 to 2 (node 'Unsqueeze')}}
  %a = onnx.Unsqueeze(%x, %far) : (tensor<2x?xf32>, tensor<1xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Squeeze: dimension 0 to be removed is 2, not 1 (node 'Squeeze')}}
  %b = onnx.Squeeze(%x, %zero) : (tensor<2x?xf32>, tensor<1xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Squeeze: without axes, whether dimension 1 goes depends on its run-time size; give it axes (node 'Squeeze')}}
  %c = onnx.Squeeze(%x) : (tensor<2x?xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Slice: a step is 0 (node 'Slice')}}
  %d = onnx.Slice(%x, %zero, %far, %zero, %zero) : (tensor<2x?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<*xf32>
  return %a, %b, %c, %d : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
}

// -----

func.func @main(%x: tensor<4xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
  // expected-error @below {{cannot lower Cast: casts to data type 8 (TensorProto.DataType) are not supported yet (node 'Cast')}}
  %a = onnx.Cast(%x) {to = 8 : i64} : (tensor<4xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Add: its input 1 is missing (node 'Add')}}
  %b = onnx.Add(%x) : (tensor<4xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Constant: constants of type tensor<2xcomplex<f32>> are not supported yet (node 'Constant')}}
  %c = onnx.Constant() {value = dense<(1.0, 2.0)> : tensor<2xcomplex<f32>>} : () -> tensor<2xcomplex<f32>>
  return %a, %b, %a : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
}

// -----

// expected-error @below {{input 'words' has type 'tensor<*xf32>'; supported are tensors of known rank of f32, f64, f16, bf16, i2..i64, u2..u64, bool, and floats of 8 and 4 bits}}
func.func @main(%x: tensor<*xf32> {onnx.name = "words"}) -> tensor<*xf32> {
  return %x : tensor<*xf32>
}

// -----

// expected-error @below {{the range of dimension 'n' in `sq.dims` must be array<i64: min, max> with 0 <= min <= max, got array<i64: 2, 1>}}
module attributes {sq.dims = {n = array<i64: 2, 1>}} {
  func.func @main(%x: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<?xf32> {
    return %x : tensor<?xf32>
  }
}

// -----

// expected-error @below {{the module has no function @main to lower}}
module {
}

// -----

module attributes {onnx.opset_imports = {"ai.onnx" = 6 : i64}} {
  func.func @main(%x: tensor<2x3xf32>, %y: tensor<2xf32>) -> tensor<2x3xf32> {
    // expected-error @below {{cannot lower Add: the `broadcast` attribute of opsets before 7 is not supported; convert the model to opset 13 (node 'Add')}}
    %a = onnx.Add(%x, %y) {axis = 0 : i64, broadcast = 1 : i64} : (tensor<2x3xf32>, tensor<2xf32>) -> tensor<2x3xf32>
    return %a : tensor<2x3xf32>
  }
}
