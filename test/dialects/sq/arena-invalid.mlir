// RUN: sq-opt %s --split-input-file --verify-diagnostics

func.func @result_type(%bytes: index) -> tensor<?xi8> {
  // expected-error @+1 {{invalid kind of type specified: expected builtin.memref, but found 'tensor<?xi8>'}}
  %a = sq.arena %bytes : tensor<?xi8>
  return %a : tensor<?xi8>
}
