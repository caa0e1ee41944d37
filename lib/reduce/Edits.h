/// Changes that make a model simpler besides cutting its graph.
#ifndef SQ_LIB_REDUCE_EDITS_H
#define SQ_LIB_REDUCE_EDITS_H

#include <vector>

#include "lib/reduce/Graph.h"

namespace sq::reduce {

/// Functions of the model in place of their calls; false when there are none or onnx cannot.
bool inlineFunctions(::onnx::ModelProto &model);

/// Texts and properties that mean nothing to a graph; false when there are none.
bool dropMetadata(::onnx::ModelProto &model);
/// Types of values between nodes, which follow from the rest.
bool dropValueInfo(::onnx::ModelProto &model);
/// Inputs that nothing reads, and imports of opsets that no node is of.
bool dropUnused(::onnx::ModelProto &model);

/// Constant nodes that hold a tensor as initializers; false when there are none.
bool constantsToInitializers(::onnx::ModelProto &model);
/// The initializer `name` as an input of the model.
bool initializerToInput(::onnx::ModelProto &model, const std::string &name);
/// Its elements zero; false when they are, or are no floats.
bool zeroInitializer(::onnx::ModelProto &model, const std::string &name);

/// The dims that are `from` everywhere, in signatures, tensors (which lose
/// elements), constants that say shapes, and attributes, as `to`, which is less.
/// False when a tensor's data cannot be cut.
bool shrinkDim(::onnx::ModelProto &model, int64_t from, int64_t to);
/// Dims above 1 of signatures and initializers, the largest first.
std::vector<int64_t> dimsOf(const ::onnx::ModelProto &model);

/// Calls `edit` with every tensor of the model; stops with false when it returns that.
bool forEachTensor(::onnx::GraphProto &graph, llvm::function_ref<bool(::onnx::TensorProto &)> edit);

} // namespace sq::reduce

#endif
