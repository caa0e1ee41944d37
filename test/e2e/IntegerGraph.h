/// A graph of integers, as --sq-integer-only leaves it, op by op in lib/numerics: the reference for
/// compiled integer-only programs. Slow and plain; nothing of the passes behind that one is used.
#ifndef SQ_TEST_E2E_INTEGERGRAPH_H
#define SQ_TEST_E2E_INTEGERGRAPH_H

#include "lib/numerics/Tensor.h"

#include "mlir/IR/BuiltinOps.h"

namespace sq::test {

/// The outputs of @main in `module`. Throws numerics::Error on an op that is not known, and when
/// a check (cf.assert) fails.
std::vector<numerics::Tensor> runIntegerGraph(mlir::ModuleOp module, const std::vector<numerics::Tensor> &inputs);

} // namespace sq::test

#endif
