// RUN: sq-opt %s --sq-cache-states=required=true --split-input-file --verify-diagnostics

// What is wrong is said of the whole program.
// expected-error @+1 {{keys and values cannot stay in a cache between runs: there is no attention; --kv-cache=explicit hands them in and out}}
func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
