// RUN: sq-opt %s --sq-lower-onnx --split-input-file --verify-diagnostics=only-expected

module attributes {onnx.opset_imports = {"ai.onnx" = 19 : i64}} {
  func.func @main(%x: tensor<4x3xf32>, %p: tensor<4x3xi1>, %long: tensor<65xf32>) -> tensor<*xf32> {
    %none = onnx.NoValue
    %scales = onnx.Constant() {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
    %minus = onnx.Constant() {value = dense<[1.0, -2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
    %three = onnx.Constant() {value = dense<[1.0, 2.0, 2.0]> : tensor<3xf32>} : () -> tensor<3xf32>
    %sizes = onnx.Constant() {value = dense<[4, 6]> : tensor<2xi64>} : () -> tensor<2xi64>
    %negative = onnx.Constant() {value = dense<[4, -6]> : tensor<2xi64>} : () -> tensor<2xi64>
    // expected-error @below {{cannot lower Resize: mode 'lanczos' is not known; use nearest, linear or cubic (node 'Resize')}}
    %a = onnx.Resize(%x, %none, %scales) {mode = "lanczos"} : (tensor<4x3xf32>, none, tensor<2xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: coordinate_transformation_mode 'tf_half_pixel_for_nn' is not supported (node 'Resize')}}
    %b = onnx.Resize(%x, %none, %scales) {coordinate_transformation_mode = "tf_half_pixel_for_nn"} : (tensor<4x3xf32>, none, tensor<2xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: nearest_mode 'best' is not known (node 'Resize')}}
    %c = onnx.Resize(%x, %none, %scales) {nearest_mode = "best"} : (tensor<4x3xf32>, none, tensor<2xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: antialias has no meaning for mode nearest; use linear or cubic (node 'Resize')}}
    %d = onnx.Resize(%x, %none, %scales) {antialias = 1 : i64} : (tensor<4x3xf32>, none, tensor<2xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: the scale of dimension 1 is -2.000000; it must be positive (node 'Resize')}}
    %e = onnx.Resize(%x, %none, %minus) : (tensor<4x3xf32>, none, tensor<2xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: scales has 3 elements; expected 2 (node 'Resize')}}
    %f = onnx.Resize(%x, %none, %three) : (tensor<4x3xf32>, none, tensor<3xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: scales and sizes are given; give one of them (node 'Resize')}}
    %g = onnx.Resize(%x, %none, %scales, %sizes) : (tensor<4x3xf32>, none, tensor<2xf32>, tensor<2xi64>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: neither scales nor sizes are given (node 'Resize')}}
    %h = onnx.Resize(%x) : (tensor<4x3xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: the size of dimension 1 is -6 (node 'Resize')}}
    %i = onnx.Resize(%x, %none, %none, %negative) : (tensor<4x3xf32>, none, none, tensor<2xi64>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: roi is missing; tf_crop_and_resize needs it (node 'Resize')}}
    %j = onnx.Resize(%x, %none, %scales) {coordinate_transformation_mode = "tf_crop_and_resize"} : (tensor<4x3xf32>, none, tensor<2xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: keep_aspect_ratio_policy 'bend' is not known (node 'Resize')}}
    %k = onnx.Resize(%x, %none, %none, %sizes) {keep_aspect_ratio_policy = "bend"} : (tensor<4x3xf32>, none, none, tensor<2xi64>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: elements of this type cannot be interpolated; use mode nearest (node 'Resize')}}
    %l = onnx.Resize(%p, %none, %scales) {mode = "linear"} : (tensor<4x3xi1>, none, tensor<2xf32>) -> tensor<*xf32>
    // expected-error @below {{cannot lower Resize: axis 2 is outside the rank; expected -2 to 1 (node 'Resize')}}
    %m = onnx.Resize(%x, %none, %scales) {axes = array<i64: 0, 2>} : (tensor<4x3xf32>, none, tensor<2xf32>) -> tensor<*xf32>
    return %a : tensor<*xf32>
  }
}
