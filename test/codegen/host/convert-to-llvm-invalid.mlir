// RUN: sq-opt %s --sq-convert-to-llvm --split-input-file --verify-diagnostics

// expected-error@+1 {{has no function @main}}
module {
  func.func @other() {
    return
  }
}

// -----

// expected-error@+1 {{has no function @main}}
module {
  func.func private @main()
}

// -----

// expected-error@+1 {{takes an argument that is no dense memref: 'memref<4x4xf32, strided<[8, 1]>>'}}
func.func @main(%x: memref<4x4xf32, strided<[8, 1]>>) {
  return
}

// -----

// expected-error@+1 {{takes an argument that is no dense memref: 'f32'}}
func.func @main(%x: f32) {
  return
}

// -----

func.func @main(%y: memref<4xf32>) {
  %c0 = arith.constant 0 : index
  // expected-error@+2 {{'sq.weight' op has no offset; run --sq-place-weights first}}
  // expected-error@+1 {{failed to legalize operation 'sq.weight'}}
  %w = sq.weight dense<1.0> : tensor<4xf32> -> memref<4xf32>
  %v = memref.load %w[%c0] : memref<4xf32>
  memref.store %v, %y[%c0] : memref<4xf32>
  return
}
