// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @quantize_c1(%x: tensor<4xf16>) -> tensor<4x!quant.uniform<u8:f32, 0.05>> {
  // expected-error @+1 {{'sq.quantize' op needs floats as the quantised type expresses them, got 'f16' and '!quant.uniform<u8:f32, 5.000000e-02>'}}
  %q = sq.quantize %x : tensor<4xf16> -> tensor<4x!quant.uniform<u8:f32, 0.05>>
  return %q : tensor<4x!quant.uniform<u8:f32, 0.05>>
}

// -----

func.func @quantize_shape(%x: tensor<4xf32>) -> tensor<5x!quant.uniform<u8:f32, 0.05>> {
  // expected-error @+1 {{requires the same shape for all operands and results}}
  %q = sq.quantize %x : tensor<4xf32> -> tensor<5x!quant.uniform<u8:f32, 0.05>>
  return %q : tensor<5x!quant.uniform<u8:f32, 0.05>>
}
