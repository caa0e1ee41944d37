// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @not_last(%n: index) {
  sq.parallel "empty" %n, %n : index {
  ^bb0(%begin: index, %end: index, %thread: index):
    // expected-error @+1 {{'sq.yield' op must be the last operation in the parent block}}
    sq.yield
    sq.yield
  }
  return
}
