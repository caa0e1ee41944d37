// RUN: sq-opt %s --sq-outline-kernels --verify-diagnostics

// expected-error@+1 {{has no LLVM function @main; run --sq-convert-to-llvm first}}
module {
  func.func @main() {
    return
  }
}
