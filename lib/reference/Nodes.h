/// What the reference knows of single ONNX operators; private to lib/reference.
#ifndef SQ_REFERENCE_NODES_H
#define SQ_REFERENCE_NODES_H

#include "lib/numerics/Tensor.h"

#include "mlir/IR/Operation.h"
#include "llvm/ADT/StringMap.h"

#include <functional>
#include <optional>
#include <vector>

namespace sq::reference {

/// One node with the values of its inputs. Every accessor throws
/// numerics::Error when the node does not have what is asked for.
class Node {
public:
  Node(mlir::Operation *op, int64_t opset, std::vector<const numerics::Tensor *> inputs)
      : op(op), opset(opset), inputs(std::move(inputs)) {}

  mlir::Operation *const op;
  const int64_t opset; // of the default domain

  size_t numInputs() const { return inputs.size(); }
  bool has(size_t index) const { return index < inputs.size() && inputs[index]; }
  const numerics::Tensor &input(size_t index) const;
  /// Null when not given.
  const numerics::Tensor *optional(size_t index) const {
    return has(index) ? inputs[index] : nullptr;
  }
  /// The elements of an integer input, or of the attribute that stood for it
  /// in older opsets; nothing when neither is given.
  std::optional<std::vector<int64_t>> integers(size_t index, llvm::StringRef attribute) const;

  int64_t integer(llvm::StringRef name, std::optional<int64_t> otherwise = std::nullopt) const;
  double real(llvm::StringRef name, std::optional<double> otherwise = std::nullopt) const;
  std::string string(llvm::StringRef name, llvm::StringRef otherwise) const;
  std::optional<std::vector<int64_t>> integers(llvm::StringRef name) const;

private:
  std::vector<const numerics::Tensor *> inputs; // null: not given
};

/// Computes the outputs of a node; later outputs may be missing.
using Handler = std::function<std::vector<numerics::Tensor>(const Node &)>;
using HandlerTable = llvm::StringMap<Handler>;

void addElementwiseNodes(HandlerTable &table);
void addLayoutNodes(HandlerTable &table);
void addRecurrentNodes(HandlerTable &table);
void addReductionNodes(HandlerTable &table);

} // namespace sq::reference

#endif
