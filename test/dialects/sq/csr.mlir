// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --mlir-print-op-generic | sq-opt | FileCheck %s

// CHECK-LABEL: @short
// CHECK: sq.csr %{{.*}}, %{{.*}}, %{{.*}} : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
func.func @short() -> tensor<2x40xf16> {
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %c = arith.constant dense<[7, 0, 39]> : tensor<3xi16>
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  %w = sq.csr %p, %c, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x40xf16>
  return %w : tensor<2x40xf16>
}

// CHECK-LABEL: @long
// CHECK: sq.csr %{{.*}} : tensor<3xi32>, tensor<3xi32>, tensor<3xf16> -> tensor<2x70000xf16>
func.func @long() -> tensor<2x70000xf16> {
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %c = arith.constant dense<[69999, 0, 39]> : tensor<3xi32>
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  %w = sq.csr %p, %c, %v : tensor<3xi32>, tensor<3xi32>, tensor<3xf16> -> tensor<2x70000xf16>
  return %w : tensor<2x70000xf16>
}

// Of 16 bits columns are unsigned.
// CHECK-LABEL: @unsigned
// CHECK: sq.csr
func.func @unsigned() -> tensor<2x65536xf16> {
  %p = arith.constant dense<[0, 1, 3]> : tensor<3xi32>
  %c = arith.constant dense<[-1, 0, -2]> : tensor<3xi16>
  %v = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf16>
  %w = sq.csr %p, %c, %v : tensor<3xi32>, tensor<3xi16>, tensor<3xf16> -> tensor<2x65536xf16>
  return %w : tensor<2x65536xf16>
}
