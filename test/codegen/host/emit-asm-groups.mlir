// RUN: sq-compile %s --emit=asm --target=host:vnni | FileCheck %s --check-prefix=VNNI --implicit-check-not=gather
// RUN: sq-compile %s --emit=asm --target=host:x86-64-v3 | FileCheck %s --check-prefix=V3 --implicit-check-not=gather
// RUN: sq-compile %s --emit=asm --activations=f32 --target=host:avx512 | FileCheck %s --check-prefix=AVX512 --implicit-check-not=gather

// Codes are what they stand for: no lookup of bytes. A product of bytes from 0, a conversion, and an addition scaled by lane.
// VNNI: sq_{{kernel|shared}}_
// VNNI: vcvtph2ps
// VNNI: vpdpbusd {{.*}}%zmm
// VNNI: vcvtdq2ps %zmm
// VNNI: vfmadd{{.*}}ps {{.*}}%zmm

// V3: vcvtph2ps
// V3: vpmaddwd {{.*}}%ymm
// V3: vcvtdq2ps %ymm
// V3: vfmadd{{.*}}ps {{.*}}%ymm

// AVX512: vcvtph2ps
// AVX512: vperm{{d|ps}} {{.*}}%zmm

func.func @main(%x: tensor<1x1024xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<1x32xf32> {sq.dims = ["", ""], sq.dtype = "f32", sq.name = "y"}) {
  %init = tensor.empty() : tensor<1x32xf32>
  %c = arith.constant dense<305419896> : tensor<32x128xi32>
  %s = arith.constant dense<0.5> : tensor<32x32xf16>
  %y = sq.grouped_matmul ins(%x, %c, %s : tensor<1x1024xf32>, tensor<32x128xi32>, tensor<32x32xf16>) outs(%init : tensor<1x32xf32>) {bits = 4 : i64, group_size = 32 : i64, zero_point = 8 : i64} -> tensor<1x32xf32>
  return %y : tensor<1x32xf32>
}
