// RUN: sq-opt %s --sq-lower-math --split-input-file | FileCheck %s

// f32 functions become polynomials, on scalars and on vectors as they are.
// CHECK-LABEL: @f32
// CHECK-NOT: math.exp %
// CHECK-NOT: math.erf
// CHECK-NOT: math.tanh
// CHECK-DAG: math.fma {{.*}} : f32
// CHECK-DAG: math.fma {{.*}} : vector<16xf32>
// CHECK-DAG: math.fma {{.*}} : vector<8xf32>
// CHECK: return
func.func @f32(%a: f32, %b: vector<16xf32>, %c: vector<8xf32>) -> (f32, vector<16xf32>, vector<8xf32>) {
  %x = math.tanh %a : f32
  %y = math.exp %b : vector<16xf32>
  %z = math.erf %c : vector<8xf32>
  return %x, %y, %z : f32, vector<16xf32>, vector<8xf32>
}

// -----

// Near miss: f64 keeps its function, which libm has.
// CHECK-LABEL: @f64
// CHECK-NEXT: %[[E:.*]] = math.exp %{{.*}} : f64
// CHECK-NEXT: %[[T:.*]] = math.tanh %[[E]] : f64
// CHECK-NEXT: return %[[T]]
func.func @f64(%a: f64) -> f64 {
  %x = math.exp %a : f64
  %y = math.tanh %x : f64
  return %y : f64
}

// -----

// Near miss: an instruction of LLVM stays one.
// CHECK-LABEL: @instructions
// CHECK: math.roundeven
// CHECK: math.sqrt
// CHECK: math.absf
// CHECK: math.floor
// CHECK: math.fma
func.func @instructions(%a: vector<16xf32>) -> vector<16xf32> {
  %r = math.roundeven %a : vector<16xf32>
  %x = math.sqrt %r : vector<16xf32>
  %y = math.absf %x : vector<16xf32>
  %z = math.floor %y : vector<16xf32>
  %w = math.fma %z, %z, %a : vector<16xf32>
  return %w : vector<16xf32>
}

// -----

// What has neither an instruction nor an approximation is expanded.
// CHECK-LABEL: @expanded
// CHECK-NOT: math.rsqrt
// CHECK-NOT: math.sinh
// CHECK-NOT: math.asinh
// CHECK: return
func.func @expanded(%a: f32) -> (f32, f32, f32) {
  %x = math.rsqrt %a : f32
  %y = math.sinh %a : f32
  %z = math.asinh %a : f32
  return %x, %y, %z : f32, f32, f32
}

// -----

// It reaches into kernels.
// CHECK-LABEL: @in_kernel
// CHECK: sq.parallel
// CHECK-NOT: math.exp %
// CHECK: math.fma
func.func @in_kernel(%x: memref<?xf32>, %n: index) {
  %c1 = arith.constant 1 : index
  sq.parallel "k" %n, %c1 : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    %v = memref.load %x[%begin] : memref<?xf32>
    %e = math.exp %v : f32
    memref.store %e, %x[%begin] : memref<?xf32>
    sq.yield
  }
  return
}

// -----

// exp: two comparisons for the clamp, none for the result; no division.
// CHECK-LABEL: @exp
// CHECK-COUNT-2: arith.select
// CHECK-NOT: arith.select
// CHECK-NOT: arith.divf
// CHECK: %[[N:.*]] = arith.shli
// CHECK: %[[S:.*]] = arith.bitcast %[[N]]
// CHECK: %[[E:.*]] = arith.mulf %{{.*}}, %[[S]]
// CHECK-NEXT: return %[[E]]
func.func @exp(%x: f32) -> f32 {
  %y = math.exp %x : f32
  return %y : f32
}

// -----

// GELU by erf is one function of |x|, not erf and a sum; on vectors too.
// CHECK-LABEL: @gelu
// CHECK-SAME: (%[[X:.*]]: vector<16xf32>)
// CHECK: %[[A:.*]] = math.absf %[[X]]
// CHECK: arith.divf
// CHECK-NOT: arith.divf
// CHECK: return
func.func @gelu(%x: vector<16xf32>) -> vector<16xf32> {
  %c = arith.constant dense<0.707106769> : vector<16xf32>
  %half = arith.constant dense<5.0e-01> : vector<16xf32>
  %one = arith.constant dense<1.0> : vector<16xf32>
  %0 = arith.mulf %x, %c : vector<16xf32>
  %1 = math.erf %0 : vector<16xf32>
  %2 = arith.mulf %half, %x : vector<16xf32>
  %3 = arith.addf %one, %1 : vector<16xf32>
  %4 = arith.mulf %3, %2 : vector<16xf32>
  return %4 : vector<16xf32>
}

// -----

// Near miss: another factor is another function.
// CHECK-LABEL: @no_gelu
// CHECK-NOT: math.absf
// CHECK: return
func.func @no_gelu(%x: f32) -> f32 {
  %c = arith.constant 0.7 : f32
  %half = arith.constant 5.0e-01 : f32
  %one = arith.constant 1.0 : f32
  %0 = arith.mulf %x, %c : f32
  %1 = math.erf %0 : f32
  %2 = arith.mulf %x, %half : f32
  %3 = arith.addf %1, %one : f32
  %4 = arith.mulf %2, %3 : f32
  return %4 : f32
}

// -----

// GELU by tanh divides by 1 + exp, and multiplies by nothing afterwards.
// CHECK-LABEL: @gelu_tanh
// CHECK-SAME: (%[[X:.*]]: f32)
// CHECK: %[[Y:.*]] = arith.divf %[[X]], %{{.*}} : f32
// CHECK-NEXT: return %[[Y]]
func.func @gelu_tanh(%x: f32) -> f32 {
  %a = arith.constant 0.797884583 : f32
  %b = arith.constant 4.471500e-02 : f32
  %half = arith.constant 5.0e-01 : f32
  %one = arith.constant 1.0 : f32
  %0 = arith.mulf %x, %x : f32
  %1 = arith.mulf %0, %x : f32
  %2 = arith.mulf %1, %b : f32
  %3 = arith.addf %x, %2 : f32
  %4 = arith.mulf %3, %a : f32
  %5 = math.tanh %4 : f32
  %6 = arith.mulf %x, %half : f32
  %7 = arith.addf %5, %one : f32
  %8 = arith.mulf %6, %7 : f32
  return %8 : f32
}

// -----

// CHECK-LABEL: @silu
// CHECK-SAME: (%[[X:.*]]: f32)
// CHECK: %[[Y:.*]] = arith.divf %[[X]], %{{.*}} : f32
// CHECK-NEXT: return %[[Y]]
func.func @silu(%x: f32) -> f32 {
  %one = arith.constant 1.0 : f32
  %0 = arith.negf %x : f32
  %1 = math.exp %0 : f32
  %2 = arith.addf %1, %one : f32
  %3 = arith.divf %one, %2 : f32
  %4 = arith.mulf %x, %3 : f32
  return %4 : f32
}

// -----

// Near miss: an inverse that is not of 1 + exp may be shared by many products.
// CHECK-LABEL: @no_silu
// CHECK: arith.divf
// CHECK: %[[Y:.*]] = arith.mulf
// CHECK-NEXT: return %[[Y]]
func.func @no_silu(%x: f32) -> f32 {
  %one = arith.constant 1.0 : f32
  %0 = arith.addf %x, %one : f32
  %1 = arith.divf %one, %0 : f32
  %2 = arith.mulf %x, %1 : f32
  return %2 : f32
}

// bf16 to f64 goes by f32, by its bits, like every other use of the value.
// CHECK-LABEL: @bf16_to_f64
// CHECK-NOT: arith.extf {{.*}} : bf16
// CHECK: arith.bitcast %{{.*}} : i32 to f32
// CHECK: arith.extf %{{.*}} : f32 to f64
func.func @bf16_to_f64(%x: bf16) -> f64 {
  %y = arith.extf %x : bf16 to f64
  return %y : f64
}
