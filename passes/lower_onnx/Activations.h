/// The activation functions that RNN, GRU and LSTM apply to their gates.
#ifndef SQ_PASSES_LOWER_ONNX_ACTIVATIONS_H
#define SQ_PASSES_LOWER_ONNX_ACTIVATIONS_H

#include "passes/lower_onnx/Lowering.h"

namespace sq {

/// A function of one f32 or f64 with up to two parameters.
struct Activation {
  mlir::Value (*fn)(Scalars &s, mlir::Value x, double alpha, double beta);
  unsigned parameters = 0;
  std::optional<double> alpha = {}, beta = {};
};

/// The function of this name, in any case ("Tanh", "tanh"). Its parameters are the
/// defaults of the operator with its name, absent where there is no such operator.
std::optional<Activation> activationNamed(llvm::StringRef name);

} // namespace sq

#endif
