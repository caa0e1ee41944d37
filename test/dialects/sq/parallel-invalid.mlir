// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @parallel_c1(%n: index) {
  // expected-error @+1 {{'sq.parallel' op needs a region with three integers (begin, end, thread), got 2 arguments}}
  sq.parallel "copy" %n, %n : index {
  ^bb0(%begin: index, %end: index):
    sq.yield
  }
  return
}
