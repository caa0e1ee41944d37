// RUN: sq-compile %s --emit=asm --target=host:avx512 | FileCheck %s
// RUN: sq-compile %s --emit=asm --target=host:x86-64-v3 | FileCheck %s --check-prefix=V3

// The inner loop of a packed product: the elements of x are broadcast from
// memory by the multiplication itself with AVX-512, in an instruction of its
// own with AVX2. 8 x 3 accumulators, 6 x 2 accumulators, none of them spilled.
// CHECK: sq_kernel_0:
// CHECK-COUNT-24: vfmadd231ps {{.*}}(%{{r[a-z0-9]+.*}}){1to16}, %zmm{{[0-9]+}}, %zmm{{[0-9]+}}
// CHECK: j{{[a-z]+}} .LBB
// V3: sq_kernel_0:
// V3: vbroadcastss ({{.*}}), %ymm
// V3: vfmadd231ps {{.*}}, %ymm{{[0-9]+}}, %ymm{{[0-9]+}}
// V3-NOT: zmm
func.func @main(%x: tensor<?x64xf32> {sq.dims = ["rows", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<?x96xf32> {sq.dims = ["rows", ""], sq.dtype = "f32", sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x64xf32>
  %w = arith.constant dense<0.25> : tensor<64x96xf32>
  %e = tensor.empty(%n) : tensor<?x96xf32>
  %y = sq.linear ins(%x, %w : tensor<?x64xf32>, tensor<64x96xf32>) outs(%e : tensor<?x96xf32>) -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}
