// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

// Images, pools, matrices, sequences: each refusal with its reason.

func.func @main(%x: tensor<4x9xf32>, %long: tensor<65xi64>) -> tensor<*xf32> {
  %shape = onnx.Constant() {value = dense<[6, 8, 3]> : tensor<3xi64>} : () -> tensor<3xi64>
  %minus = onnx.Constant() {value = dense<[6, -8]> : tensor<2xi64>} : () -> tensor<2xi64>
  // expected-error @below {{cannot lower CenterCropPad: shape has 3 elements for 2 axes (node 'CenterCropPad')}}
  %a = onnx.CenterCropPad(%x, %shape) : (tensor<4x9xf32>, tensor<3xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower CenterCropPad: the size of dimension 1 is -8 (node 'CenterCropPad')}}
  %b = onnx.CenterCropPad(%x, %minus) : (tensor<4x9xf32>, tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower CenterCropPad: its input `shape` has 65 elements, of which none is known before the run; at most 64 are read at run time (node 'CenterCropPad')}}
  %c = onnx.CenterCropPad(%x, %long) : (tensor<4x9xf32>, tensor<65xi64>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<1x24x15xf32>, %m: tensor<24x15xf32>) -> tensor<*xf32> {
  %image = onnx.Constant() {value = dense<[5, 6]> : tensor<2xi64>} : () -> tensor<2xi64>
  %small = onnx.Constant() {value = dense<[1, 6]> : tensor<2xi64>} : () -> tensor<2xi64>
  %block = onnx.Constant() {value = dense<[2, 3]> : tensor<2xi64>} : () -> tensor<2xi64>
  %odd = onnx.Constant() {value = dense<[5, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  // expected-error @below {{cannot lower Col2Im: the number of windows of its inputs differs: 16 and 15 (node 'Col2Im')}}
  %a = onnx.Col2Im(%x, %image, %block) : (tensor<1x24x15xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Col2Im: block_shape has 5 elements, which does not divide dimension 1 of the input (24) (node 'Col2Im')}}
  %b = onnx.Col2Im(%x, %image, %odd) : (tensor<1x24x15xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Col2Im: a block is larger than dimension 0 of the image with its padding (node 'Col2Im')}}
  %c = onnx.Col2Im(%x, %small, %block) : (tensor<1x24x15xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Col2Im: the input has rank 2, image_shape 2 and block_shape 2 elements; expected rank 3 and equal numbers (node 'Col2Im')}}
  %d = onnx.Col2Im(%m, %image, %block) : (tensor<24x15xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<1x4x8x8xf32>, %w: tensor<6x4x3x3xf32>, %o: tensor<1x18x6x6xf32>, %few: tensor<1x9x6x6xf32>, %d: tensor<1x18x6x6xf64>) -> tensor<*xf32> {
  // expected-error @below {{cannot lower DeformConv: offset_group (3) does not divide the 4 channels (node 'DeformConv')}}
  %a = onnx.DeformConv(%x, %w, %o) {offset_group = 3 : i64} : (tensor<1x4x8x8xf32>, tensor<6x4x3x3xf32>, tensor<1x18x6x6xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower DeformConv: the channels of the offset of its inputs differs: 9 and 18 (node 'DeformConv')}}
  %b = onnx.DeformConv(%x, %w, %few) : (tensor<1x4x8x8xf32>, tensor<6x4x3x3xf32>, tensor<1x9x6x6xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower DeformConv: its inputs 'X' and 'offset' have elements of types float and double, which must be the same; cast one of them (node 'DeformConv')}}
  %c = onnx.DeformConv(%x, %w, %d) : (tensor<1x4x8x8xf32>, tensor<6x4x3x3xf32>, tensor<1x18x6x6xf64>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<1x2x3xf32>, %i: tensor<1x2x3xi64>, %f: tensor<1x2x3xf32>, %m: tensor<2x3xf32>) -> tensor<*xf32> {
  %shape = onnx.Constant() {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %other = onnx.Constant() {value = dense<[2, 2, 6]> : tensor<3xi64>} : () -> tensor<3xi64>
  // expected-error @below {{cannot lower MaxUnpool: output_shape has 2 elements; expected 3 (node 'MaxUnpool')}}
  %a = onnx.MaxUnpool(%x, %i, %shape) {kernel_shape = array<i64: 2>} : (tensor<1x2x3xf32>, tensor<1x2x3xi64>, tensor<2xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower MaxUnpool: dimension 0 of its inputs differs: 1 and 2 (node 'MaxUnpool')}}
  %b = onnx.MaxUnpool(%x, %i, %other) {kernel_shape = array<i64: 2>} : (tensor<1x2x3xf32>, tensor<1x2x3xi64>, tensor<3xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower MaxUnpool: its input 'I' has elements of type float; it takes int64 (node 'MaxUnpool')}}
  %c = onnx.MaxUnpool(%x, %f) {kernel_shape = array<i64: 2>} : (tensor<1x2x3xf32>, tensor<1x2x3xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower MaxUnpool: the input has rank 2; it needs [N, C, D1, ...] (node 'MaxUnpool')}}
  %d = onnx.MaxUnpool(%m, %i) {kernel_shape = array<i64: 2>} : (tensor<2x3xf32>, tensor<1x2x3xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower LpPool: p is 0; it must be at least 1 (node 'LpPool')}}
  %e = onnx.LpPool(%x) {kernel_shape = array<i64: 2>, p = 0 : i64} : (tensor<1x2x3xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower LpPool: its input 'X' has elements of type int64; it takes bfloat16, double, float, float16 (node 'LpPool')}}
  %g = onnx.LpPool(%i) {kernel_shape = array<i64: 2>} : (tensor<1x2x3xi64>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<2x3xf32>, %s: tensor<?x?xf32> {onnx.dims = ["n", "n"]}, %large: tensor<65x65xf32>, %v: tensor<3xf32>, %l: tensor<3xi64>, %b: tensor<2x3xi1>) -> tensor<*xf32> {
  %far = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  // expected-error @below {{cannot lower Det: the size of a matrix of its inputs differs: 2 and 3 (node 'Det')}}
  %p = onnx.Det(%x) : (tensor<2x3xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Det: the size of the matrices is not static (node 'Det')}}
  %q = onnx.Det(%s) : (tensor<?x?xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Det: the matrices have 65 rows; at most 64 are supported (node 'Det')}}
  %r = onnx.Det(%large) : (tensor<65x65xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower Det: the input has rank 1; it needs at least 2 (node 'Det')}}
  %t = onnx.Det(%v) : (tensor<3xf32>) -> tensor<*xf32>
  // expected-error @below {{cannot lower ReverseSequence: batch_axis and time_axis are both 1 (node 'ReverseSequence')}}
  %u = onnx.ReverseSequence(%x, %l) {time_axis = 1 : i64} : (tensor<2x3xf32>, tensor<3xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower ReverseSequence: the batch of its inputs differs: 3 and 2 (node 'ReverseSequence')}}
  %w = onnx.ReverseSequence(%x, %l) {batch_axis = 0 : i64, time_axis = 1 : i64} : (tensor<2x3xf32>, tensor<3xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower CumProd: axis 2 is outside the rank; expected -2 to 1 (node 'CumProd')}}
  %y = onnx.CumProd(%x, %far) : (tensor<2x3xf32>, tensor<i64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower CumProd: axis has 3 elements; give one (node 'CumProd')}}
  %z = onnx.CumProd(%x, %l) : (tensor<2x3xf32>, tensor<3xi64>) -> tensor<*xf32>
  // expected-error @below {{cannot lower CumProd: its input 'x' has elements of type bool; it takes bfloat16, double, float, float16, int32, int64, uint32, uint64 (node 'CumProd')}}
  %c = onnx.CumProd(%b, %far) : (tensor<2x3xi1>, tensor<i64>) -> tensor<*xf32>
  return %p : tensor<*xf32>
}
