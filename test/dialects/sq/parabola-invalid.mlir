// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @parabola_type(%x: i64) -> i64 {
  // expected-error @+1 {{'sq.parabola' op needs 32-bit integers, got 'i64'}}
  %y = sq.parabola %x {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : i64
  return %y : i64
}

// -----

func.func @parabola_c1(%x: i32) -> i32 {
  // expected-error @+1 {{'sq.parabola' op has 1 curves; it must be 32, one for each segment}}
  %y = sq.parabola %x {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>, curves = array<i32: 0>} : i32
  return %y : i32
}

// -----

func.func @parabola_c2(%x: i32) -> i32 {
  // expected-error @+1 {{'sq.parabola' op has a slope of -32769 and a curve of 0; both must have 16 bits}}
  %y = sq.parabola %x {bases = array<i32: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5>, slopes = array<i32: -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769, -32769>, curves = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : i32
  return %y : i32
}
