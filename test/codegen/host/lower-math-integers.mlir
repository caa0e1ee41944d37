// RUN: sq-opt %s --sq-lower-math --split-input-file | FileCheck %s

// A product that is rounded to 32 bits: even lanes by themselves, odd ones by themselves, and both put together.
// CHECK-LABEL: @requantize
// CHECK-NOT: vector<16xi64>
// CHECK: %[[X:.*]] = vector.bitcast %arg0 : vector<16xi32> to vector<8xi64>
// CHECK: arith.shli %[[X]]
// CHECK: arith.shrsi
// CHECK: %[[EVEN:.*]] = arith.shrsi {{.*}}, %{{.*}} : vector<8xi64>
// CHECK: vector.shuffle %arg0, %arg0 [1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15] : vector<16xi32>, vector<16xi32>
// CHECK: vector.shuffle {{.*}} [0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30] : vector<16xi32>, vector<16xi32>
func.func @requantize(%x: vector<16xi32>, %m: vector<16xi32>) -> vector<16xi32> {
  %half = arith.constant dense<1073741824> : vector<16xi64>
  %e = arith.constant dense<31> : vector<16xi64>
  %a = arith.extsi %x : vector<16xi32> to vector<16xi64>
  %b = arith.extsi %m : vector<16xi32> to vector<16xi64>
  %p = arith.muli %a, %b : vector<16xi64>
  %s = arith.addi %p, %half : vector<16xi64>
  %r = arith.shrsi %s, %e : vector<16xi64>
  %y = arith.trunci %r : vector<16xi64> to vector<16xi32>
  return %y : vector<16xi32>
}

// -----

// An argument that a kernel takes for its layers: extended where it is used. Bytes are the result's.
// CHECK-LABEL: @argument
// CHECK-NOT: vector<8xi64>
// CHECK: vector.broadcast %arg1 : i32 to vector<8xi32>
// CHECK: arith.minsi {{.*}} : vector<4xi64>
// CHECK: arith.trunci {{.*}} : vector<8xi32> to vector<8xi8>
func.func @argument(%x: vector<8xi16>, %m: i32) -> vector<8xi8> {
  %limit = arith.constant dense<127> : vector<8xi64>
  %e = arith.constant dense<20> : vector<8xi64>
  %wide = arith.extsi %m : i32 to i64
  %a = arith.extui %x : vector<8xi16> to vector<8xi64>
  %b = vector.broadcast %wide : i64 to vector<8xi64>
  %p = arith.muli %a, %b : vector<8xi64>
  %r = arith.shrsi %p, %e : vector<8xi64>
  %c = arith.minsi %r, %limit : vector<8xi64>
  %y = arith.trunci %c : vector<8xi64> to vector<8xi8>
  return %y : vector<8xi8>
}

// -----

// Near misses: no product; and numbers of 64 bits, of which every second would have to be gathered.
// CHECK-LABEL: @others
// CHECK: arith.trunci {{.*}} : vector<16xi64> to vector<16xi32>
// CHECK: arith.trunci {{.*}} : vector<16xi64> to vector<16xi32>
func.func @others(%x: vector<16xi32>, %n: vector<16xi64>) -> (vector<16xi32>, vector<16xi32>) {
  %one = arith.constant dense<1> : vector<16xi64>
  %a = arith.extsi %x : vector<16xi32> to vector<16xi64>
  %s = arith.addi %a, %one : vector<16xi64>
  %y = arith.trunci %s : vector<16xi64> to vector<16xi32>
  %p = arith.muli %a, %n : vector<16xi64>
  %z = arith.trunci %p : vector<16xi64> to vector<16xi32>
  return %y, %z : vector<16xi32>, vector<16xi32>
}

// -----

// Squares of squares: each is looked at once.
// CHECK-LABEL: @squares
// CHECK-COUNT-24: arith.muli {{.*}} : vector<8xi64>
// CHECK-NOT: arith.muli
func.func @squares(%x: vector<16xi32>) -> vector<16xi32> {
  %0 = arith.extsi %x : vector<16xi32> to vector<16xi64>
  %1 = arith.muli %0, %0 : vector<16xi64>
  %2 = arith.muli %1, %1 : vector<16xi64>
  %3 = arith.muli %2, %2 : vector<16xi64>
  %4 = arith.muli %3, %3 : vector<16xi64>
  %5 = arith.muli %4, %4 : vector<16xi64>
  %6 = arith.muli %5, %5 : vector<16xi64>
  %7 = arith.muli %6, %6 : vector<16xi64>
  %8 = arith.muli %7, %7 : vector<16xi64>
  %9 = arith.muli %8, %8 : vector<16xi64>
  %10 = arith.muli %9, %9 : vector<16xi64>
  %11 = arith.muli %10, %10 : vector<16xi64>
  %12 = arith.muli %11, %11 : vector<16xi64>
  %y = arith.trunci %12 : vector<16xi64> to vector<16xi32>
  return %y : vector<16xi32>
}
