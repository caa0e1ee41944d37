// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @part_c1(%x: memref<3x4xf32>, %i: index) {
  // expected-error @+1 {{'sq.part' op needs a dense source whose first dim is unknown, got 'memref<3x4xf32>'}}
  %p = sq.part %x[%i, %i] : memref<3x4xf32>
  return
}

// -----

func.func @part_c1_strided(%x: memref<?x4xf32, strided<[8, 1]>>, %i: index) {
  // expected-error @+1 {{'sq.part' op needs a dense source whose first dim is unknown}}
  %p = sq.part %x[%i, %i] : memref<?x4xf32, strided<[8, 1]>>
  return
}
