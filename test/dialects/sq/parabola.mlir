// RUN: sq-opt %s --verify-roundtrip | FileCheck %s
// RUN: sq-opt %s --sq-lower-math | FileCheck %s --check-prefix=LOWER

// A number: five conditions select from each table.
// CHECK-LABEL: @number
// CHECK: sq.parabola %{{.*}} {bases = array<i32: 0, 1, 2, 3,
// LOWER-LABEL: @number
// LOWER-COUNT-31: arith.select {{.*}} : i32
// LOWER: return
func.func @number(%x: i32) -> i32 {
  %y = sq.parabola %x {bases = array<i32: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31>, slopes = array<i32: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32>, curves = array<i32: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33>} : i32
  return %y : i32
}

// Two registers hold a table of 32, and slopes and curves are pairs of 16 bits.
// LOWER-LABEL: @avx512
// LOWER: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.d.512"
// LOWER: llvm.call_intrinsic "llvm.x86.avx512.pshuf.b.512"
// LOWER: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.d.512"
// LOWER: llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// LOWER-NOT: arith.select
// LOWER: return
func.func @avx512(%x: vector<16xi32>) -> vector<16xi32> {
  %y = sq.parabola %x {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : vector<16xi32>
  return %y : vector<16xi32>
}

// Of AVX2 it takes four.
// LOWER-LABEL: @avx2
// LOWER-COUNT-4: llvm.call_intrinsic "llvm.x86.avx2.permd"
// LOWER-COUNT-3: arith.select
// LOWER: llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
func.func @avx2(%x: vector<8xi32>) -> vector<8xi32> {
  %y = sq.parabola %x {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : vector<8xi32>
  return %y : vector<8xi32>
}
