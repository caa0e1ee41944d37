// RUN: split-file %s %t
// RUN: sq-compile %t/full.mlir --emit=asm --target=host:avx512 | FileCheck %s --check-prefix=AVX512
// RUN: sq-compile %t/full.mlir --emit=asm --target=host:x86-64-v3 | FileCheck %s --check-prefix=V3
// RUN: sq-compile %t/full.mlir --emit=asm --target=host:amx --precision=bf16 | FileCheck %s --check-prefix=AMX
// RUN: sq-compile %t/narrow.mlir --emit=asm --target=host:avx512 | FileCheck %s --check-prefix=NARROW

// The inner loops of packed products.

// 8 x 3 accumulators: three vectors of the weight and one broadcast at a time,
// 24 multiplications, a line of the next panel, for each of four steps of k, and nothing is spilled within the loop.
// AVX512: sq_{{kernel|shared}}_0:
// AVX512: vmovups {{.*}}, %zmm
// AVX512-NEXT: vmovups {{.*}}, %zmm
// AVX512-NEXT: vmovups {{.*}}, %zmm
// AVX512-NEXT: vbroadcastss {{.*}}({{.*}}), %zmm
// AVX512-NOT: (%rsp)
// AVX512-COUNT-96: vfmadd231ps %zmm{{[0-9]+}}, %zmm{{[0-9]+}}, %zmm{{[0-9]+}}
// AVX512-NOT: {{vfmadd|rsp}}
// AVX512: jb .LBB

// 4 x 3 accumulators, three vectors and a broadcast fill the 16 registers of AVX2.
// V3: sq_{{kernel|shared}}_0:
// V3: vmovups {{.*}}, %ymm
// V3: vmovups {{.*}}, %ymm
// V3: vmovups {{.*}}, %ymm
// V3: vbroadcastss {{.*}}({{.*}}), %ymm
// V3-NOT: (%rsp)
// V3-COUNT-48: vfmadd231ps %ymm{{[0-9]+}}, %ymm{{[0-9]+}}, %ymm{{[0-9]+}}
// V3-NOT: {{vfmadd|rsp}}
// V3: jb .LBB
// V3-NOT: zmm

// A panel of one vector: each broadcast has one user and is folded into it.
// NARROW: sq_{{kernel|shared}}_0:
// NARROW-COUNT-8: vfmadd231ps {{.*}}({{.*}}){1to16}, %zmm{{[0-9]+}}, %zmm{{[0-9]+}}

// One tile configuration for the whole kernel.
// AMX: ldtilecfg
// AMX-NOT: ldtilecfg
// AMX: tdpbf16ps
// AMX: tileloaddt1
// AMX-COUNT-4: tdpbf16ps
// AMX: tilestored
// AMX-NOT: ldtilecfg

//--- full.mlir
func.func @main(%x: tensor<?x64xf32> {sq.dims = ["rows", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<?x96xf32> {sq.dims = ["rows", ""], sq.dtype = "f32", sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x64xf32>
  %w = arith.constant dense<0.25> : tensor<64x96xf32>
  %e = tensor.empty(%n) : tensor<?x96xf32>
  %y = sq.linear ins(%x, %w : tensor<?x64xf32>, tensor<64x96xf32>) outs(%e : tensor<?x96xf32>) -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}

//--- narrow.mlir
func.func @main(%x: tensor<?x64xf32> {sq.dims = ["rows", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<?x16xf32> {sq.dims = ["rows", ""], sq.dtype = "f32", sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x64xf32>
  %w = arith.constant dense<0.25> : tensor<64x16xf32>
  %e = tensor.empty(%n) : tensor<?x16xf32>
  %y = sq.linear ins(%x, %w : tensor<?x64xf32>, tensor<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
