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
// CHECK: math.sqrt
// CHECK: math.absf
// CHECK: math.floor
// CHECK: math.fma
func.func @instructions(%a: vector<16xf32>) -> vector<16xf32> {
  %x = math.sqrt %a : vector<16xf32>
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
// CHECK-NOT: math.roundeven
// CHECK: return
func.func @expanded(%a: f32) -> (f32, f32, f32, f32) {
  %x = math.rsqrt %a : f32
  %y = math.sinh %a : f32
  %z = math.asinh %a : f32
  %w = math.roundeven %a : f32
  return %x, %y, %z, %w : f32, f32, f32, f32
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
