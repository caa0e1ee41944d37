// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @result_type() -> i64 {
  // expected-error @+1 {{invalid kind of type specified: expected builtin.index, but found 'i64'}}
  %n = sq.threads : i64
  return %n : i64
}
