// RUN: split-file %s %t
// RUN: sq-opt %t/both.mlir --sq-pack-codes | FileCheck %s --check-prefix=F32
// RUN: sq-opt %t/both.mlir --sq-pack-codes=activations=int8 | FileCheck %s --check-prefix=INT8
// RUN: sq-opt %t/both.mlir --sq-graph-to-buffers=activations=int8 | FileCheck %s --check-prefix=BUFFERS
// RUN: sq-opt %t/both.mlir --sq-graph-to-buffers='byte-products=false pairs=false' | FileCheck %s --check-prefix=DECODED
// RUN: sq-opt %t/sparse.mlir --sq-pack-codes --remarks-filter=sq-pack-codes 2>&1 | FileCheck %s --check-prefix=ALONE
// RUN: not sq-opt %t/both.mlir --sq-pack-codes=activations=f8 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: not sq-opt %t/argument.mlir --sq-pack-codes 2>&1 | FileCheck %s --check-prefix=ARGUMENT

// Forty codes of 2 bits are one block of 256. Entries are f16 bits above the column: 4.0 is 0x4400.
// F32-DAG: %[[T:.*]] = arith.constant dense<{{.*}}> : tensor<2x4xf16>
// F32-DAG: %[[P:.*]] = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
// F32-DAG: %[[E:.*]] = arith.constant dense<[1140850689, 1207959552, 1275068455]> : tensor<3xi32>
// F32-DAG: %[[W:.*]] = sq.weight dense<{{.*}}> : tensor<2x4xi32> {codes = 2 : i64} -> tensor<2x1x1x16xi32>
// F32: sq.packed_matmul ins(%{{.*}}, %[[W]] : tensor<?x40xf32>, tensor<2x1x1x16xi32>) lut(%[[T]], %[[P]], %[[E]] : tensor<2x4xf16>, tensor<3xi32>, tensor<3xi32>)
// F32-NEXT: ^bb0(%[[SUM:.*]]: f32):
// F32-NEXT: sq.yield %[[SUM]] : f32

// Steps of 2 / 255 from -1. Read as unsigned: -65 is 191, -1 is 255.
// INT8-DAG: dense<{{\[\[}}0, 127, -65, -1], [0, 64, -65, -1]]> : tensor<2x4xi8>
// INT8-DAG: dense<{{.*}}0.00784313772, -1.000000e+00{{.*}}0.0156862754, -2.000000e+00{{.*}}> : tensor<2x2xf32>
// INT8: sq.weight {{.*}} {codes = 2 : i64} -> tensor<2x1x1x64xi8>
// INT8: lut(%{{.*}} : tensor<2x4xi8>, tensor<2x2xf32>, tensor<3xi32>, tensor<3xi32>)

// BUFFERS: sq.packed_matmul ins(%{{.*}} : memref<?x40xf32>, memref<2x1x1x64xi8>) lut(%{{.*}} : memref<2x4xi8>, memref<2x2xf32>, memref<3xi32>, memref<3xi32>)

// For a target without such kernels: panels of floats.
// DECODED-NOT: lut(
// DECODED: sq.packed_matmul ins(%{{.*}} : memref<?x40xf32>, memref<1x40x48xf32>) outs(

// ALONE: remark: {{.*}}a sparse product by itself has no kernel
// ALONE: sq.linear {{.*}} {transpose_weight}
// WRONG: error: unknown activations 'f8'; f32, int8 or int8-all
// ARGUMENT: error: 'sq.dense_and_sparse_matmul' op needs constant codes

//--- both.mlir
func.func @main(%x: tensor<?x40xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<?x2xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x40xf32>
  %init = tensor.empty(%m) : tensor<?x2xf32>
  %c = arith.constant dense<[[0xE4, 0, 0, 0], [0x1B, 0, 0, 0]]> : tensor<2x4xi32>
  %t = arith.constant dense<[[-1.0, 0.0, 0.5, 1.0], [-2.0, -1.0, 1.0, 2.0]]> : tensor<2x4xf16>
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %l = arith.constant dense<[1, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[4.0, 8.0, 16.0]> : tensor<3xf16>
  %s = sq.csr %p, %l, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<2x4xi32>, tensor<2x4xf16>, tensor<2x40xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
//--- sparse.mlir
func.func @main(%x: tensor<?x40xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "x"}) -> (tensor<?x2xf32> {sq.dims = ["m", ""], sq.dtype = "f32", sq.name = "y"}) {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x40xf32>
  %init = tensor.empty(%m) : tensor<?x2xf32>
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %l = arith.constant dense<[1, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[4.0, 8.0, 16.0]> : tensor<3xf16>
  %s = sq.csr %p, %l, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  %y = sq.csr_matmul ins(%x, %s : tensor<?x40xf32>, tensor<2x40xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
//--- argument.mlir
func.func @main(%x: tensor<?x40xf32>, %c: tensor<2x4xi32>, %init: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %t = arith.constant dense<[[-1.0, 0.0, 0.5, 1.0], [-2.0, -1.0, 1.0, 2.0]]> : tensor<2x4xf16>
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %l = arith.constant dense<[1, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[4.0, 8.0, 16.0]> : tensor<3xf16>
  %s = sq.csr %p, %l, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : tensor<?x40xf32>, tensor<2x4xi32>, tensor<2x4xf16>, tensor<2x40xf16>) outs(%init : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
