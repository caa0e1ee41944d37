// RUN: sq-opt %s --verify-diagnostics

func.func @dequantize_c1(%x: tensor<4x!quant.uniform<u8:f32, 0.05>>) -> tensor<4xf16> {
  // expected-error @+1 {{'sq.dequantize' op needs floats as the quantised type expresses them, got 'f16' and '!quant.uniform<u8:f32, 5.000000e-02>'}}
  %y = sq.dequantize %x : tensor<4x!quant.uniform<u8:f32, 0.05>> -> tensor<4xf16>
  return %y : tensor<4xf16>
}
