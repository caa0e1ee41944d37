// RUN: sq-opt %s --sq-lower-onnx | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<?xf32> {
  // CHECK: %[[R:.*]] = linalg.generic
  // CHECK: arith.maximumf
  %0 = onnx.Relu(%x) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: %[[G:.*]] = sq.gelu ins(%[[R]] : tensor<?xf32>) outs({{.*}}) -> tensor<?xf32>
  %1 = onnx.Gelu(%0) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: sq.gelu ins(%[[G]] : tensor<?xf32>) outs({{.*}}) {tanh} -> tensor<?xf32>
  %2 = onnx.Gelu(%1) {approximate = "tanh"} : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.negf
  // CHECK: math.exp
  // CHECK: arith.divf
  %3 = onnx.Sigmoid(%2) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: math.log1p
  %4 = onnx.Softplus(%3) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: math.absf
  // CHECK: arith.divf
  %5 = onnx.Softsign(%4) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: math.log1p
  // CHECK: math.tanh
  %6 = onnx.Mish(%5) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.constant 0.166666672 : f32
  %7 = onnx.HardSwish(%6) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.constant 2.000000e-01 : f32
  %8 = onnx.HardSigmoid(%7) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.constant 2.500000e-01 : f32
  %9 = onnx.LeakyRelu(%8) {alpha = 0.25 : f32} : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.cmpf ogt
  // CHECK: arith.select
  %10 = onnx.ThresholdedRelu(%9) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: math.expm1
  %11 = onnx.Elu(%10) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: math.expm1
  %12 = onnx.Celu(%11) {alpha = 2.0 : f32} : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.constant 1.67326319 : f32
  // CHECK: arith.constant 1.05070102 : f32
  %13 = onnx.Selu(%12) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.cmpf olt
  %14 = onnx.PRelu(%13, %13) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  // CHECK: math.roundeven
  %15 = onnx.Round(%14) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: math.acosh
  %16 = onnx.Acosh(%15) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.divf
  %17 = onnx.Reciprocal(%16) : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: arith.cmpf ogt
  // CHECK: arith.select
  %18 = onnx.Sign(%17) : (tensor<?xf32>) -> tensor<?xf32>
  return %18 : tensor<?xf32>
}
