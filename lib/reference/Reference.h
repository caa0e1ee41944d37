/// Runs a model as the importer delivers it, in float64 with lib/numerics.
///
/// It is what compiled programs are compared with, by tests and sq-diff, so it
/// shares no code with the lowering and knows no shortcut.
#ifndef SQ_REFERENCE_REFERENCE_H
#define SQ_REFERENCE_REFERENCE_H

#include "lib/numerics/Tensor.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace sq::reference {

/// The element type of an MLIR tensor's elements; none for strings, complex,
/// 4-bit and 8-bit floating-point types, which the reference does not know.
std::optional<numerics::DType> dtypeOf(mlir::Type elementType);

/// A dense constant as a tensor. Throws numerics::Error when it cannot be read.
numerics::Tensor tensorOf(mlir::ElementsAttr value);

struct Argument {
  std::string name;                    // onnx.name
  std::optional<numerics::DType> dtype;
};
/// Inputs and outputs of @main in order; empty when there is no @main.
std::vector<Argument> inputsOf(mlir::ModuleOp module);
std::vector<Argument> outputsOf(mlir::ModuleOp module);

/// Sees the results of a node that has just been run.
using Observer = llvm::function_ref<void(mlir::Operation *node, llvm::ArrayRef<numerics::Tensor> results)>;

/// The results of @main for `inputs`, one per argument in order. Fails, naming
/// the node, for an operator it does not know or operands that do not fit.
llvm::Expected<std::vector<numerics::Tensor>>
run(mlir::ModuleOp module, const std::vector<numerics::Tensor> &inputs, Observer observer = nullptr);

} // namespace sq::reference

#endif
