// RUN: sq-opt %s --sq-raise-onnx | FileCheck %s

// GELU by erf and by tanh, associated and commuted as exporters do it.

// CHECK-LABEL: @gelu_minilm
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "none"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_minilm(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Div(%x, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%x, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%m, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_half_times_sum
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "none"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_half_times_sum(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Div(%x, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%half, %s) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%x, %m) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_half_times_x
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "none"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_half_times_x(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<0.707106769> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Mul(%r2, %x) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%one, %e) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%half, %x) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%m, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_div_two
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "none"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_div_two(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Div(%x, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%x, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Div(%m, %two) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_sqrt_constant
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "none"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_sqrt_constant(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %two = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Sqrt(%two) : (tensor<f32>) -> tensor<f32>
  %a = onnx.Div(%x, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%x, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%m, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_distributed
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "none"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_distributed(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Div(%x, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %h = onnx.Mul(%x, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%h, %e) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Add(%h, %m) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_tanh
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "tanh"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_tanh(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %three = onnx.Constant() {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %k = onnx.Constant() {value = dense<0.044715> : tensor<f32>} : () -> tensor<f32>
  %c = onnx.Constant() {value = dense<0.797884583> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Pow(%x, %three) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %q = onnx.Mul(%k, %p) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %i = onnx.Add(%x, %q) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %j = onnx.Mul(%i, %c) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t = onnx.Tanh(%j) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%t, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %h = onnx.Mul(%x, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%h, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_tanh_products
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "tanh"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_tanh_products(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %k = onnx.Constant() {value = dense<0.044715> : tensor<f32>} : () -> tensor<f32>
  %c = onnx.Constant() {value = dense<0.797884583> : tensor<f32>} : () -> tensor<f32>
  %w = onnx.Mul(%x, %x) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %p = onnx.Mul(%x, %w) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %q = onnx.Mul(%k, %p) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %i = onnx.Add(%x, %q) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %j = onnx.Mul(%c, %i) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t = onnx.Tanh(%j) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%t, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%half, %s) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%x, %m) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_tanh_factored
// CHECK-NOT: onnx.Erf
// CHECK-NOT: onnx.Tanh
// CHECK: %[[Y:.*]] = onnx.Gelu(%arg0) {{.*}}approximate = "tanh"
// CHECK-NEXT: return %[[Y]]
func.func @gelu_tanh_factored(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %k = onnx.Constant() {value = dense<0.044715> : tensor<f32>} : () -> tensor<f32>
  %c = onnx.Constant() {value = dense<0.797884583> : tensor<f32>} : () -> tensor<f32>
  %w = onnx.Mul(%x, %x) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %p = onnx.Mul(%k, %w) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %q = onnx.Add(%one, %p) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %i = onnx.Mul(%x, %c) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %j = onnx.Mul(%i, %q) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t = onnx.Tanh(%j) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%t, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%x, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%half, %m) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_wrong_half
// CHECK-NOT: onnx.Gelu
// CHECK: return
func.func @gelu_wrong_half(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.6> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Div(%x, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%x, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%m, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_wrong_root
// CHECK-NOT: onnx.Gelu
// CHECK: return
func.func @gelu_wrong_root(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.5> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Div(%x, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%x, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%m, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_wrong_sum
// CHECK-NOT: onnx.Gelu
// CHECK: return
func.func @gelu_wrong_sum(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Div(%x, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%x, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%m, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_tanh_wrong_exponent
// CHECK-NOT: onnx.Gelu
// CHECK: return
func.func @gelu_tanh_wrong_exponent(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %three = onnx.Constant() {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %k = onnx.Constant() {value = dense<0.044715> : tensor<f32>} : () -> tensor<f32>
  %c = onnx.Constant() {value = dense<0.797884583> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Pow(%x, %three) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %q = onnx.Mul(%k, %p) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %i = onnx.Add(%x, %q) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %j = onnx.Mul(%i, %c) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t = onnx.Tanh(%j) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%t, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %h = onnx.Mul(%x, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%h, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @gelu_tanh_wrong_coefficient
// CHECK-NOT: onnx.Gelu
// CHECK: return
func.func @gelu_tanh_wrong_coefficient(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %three = onnx.Constant() {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %k = onnx.Constant() {value = dense<0.05> : tensor<f32>} : () -> tensor<f32>
  %c = onnx.Constant() {value = dense<0.797884583> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Pow(%x, %three) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %q = onnx.Mul(%k, %p) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %i = onnx.Add(%x, %q) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %j = onnx.Mul(%i, %c) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t = onnx.Tanh(%j) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%t, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %h = onnx.Mul(%x, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%h, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// The factor is not what the error function took.
// CHECK-LABEL: @gelu_other_input
// CHECK-NOT: onnx.Gelu
func.func @gelu_other_input(%x: tensor<?x8xf32>, %z: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %one = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %r2 = onnx.Constant() {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %a = onnx.Div(%z, %r2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %e = onnx.Erf(%a) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %s = onnx.Add(%e, %one) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %m = onnx.Mul(%x, %s) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.Mul(%m, %half) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
