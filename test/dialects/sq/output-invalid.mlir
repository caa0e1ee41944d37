// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @output_c1() -> memref<?x4xf32> {
  // expected-error @+1 {{'sq.output' op needs 1 sizes for 'memref<?x4xf32>', got 0}}
  %o = sq.output 0() : memref<?x4xf32>
  return %o : memref<?x4xf32>
}
