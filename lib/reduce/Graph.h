/// ONNX graphs as sq-reduce cuts them.
#ifndef SQ_LIB_REDUCE_GRAPH_H
#define SQ_LIB_REDUCE_GRAPH_H

#include <map>
#include <set>
#include <string>

#include "llvm/ADT/STLFunctionalExtras.h"
#include "onnx/onnx_pb.h"

namespace sq::reduce {

/// What values are, where shape inference knows it.
using Types = std::map<std::string, ::onnx::TypeProto>;

/// Types of all values of the main graph, those of initializers included. Never
/// fails: what cannot be inferred is missing.
Types inferTypes(const ::onnx::ModelProto &model);

/// Empty when onnx's checker accepts `model`, with its shape inference when
/// `inferring`; else what it says.
std::string whyInvalid(const ::onnx::ModelProto &model, bool inferring);

/// Calls `visit` with every name that `node` reads, names that its graphs take
/// from outside included. `visit` may change them.
void forEachUse(::onnx::NodeProto &node, llvm::function_ref<void(std::string &)> visit);
std::set<std::string> usesOf(const ::onnx::NodeProto &node);

/// Removes nodes and initializers that no output needs, and what is said of
/// values that are gone. Inputs stay.
void prune(::onnx::ModelProto &model);

/// Leaves only the nodes with `kept` set (an entry per node). What they read of
/// others becomes an input, except that Constant nodes stay with their readers;
/// what others read of them becomes an output. False when a type is not known
/// or nothing is left.
bool keepNodes(::onnx::ModelProto &model, const std::vector<bool> &kept, const Types &types);

/// The input of node `index` that has the type of its only used output, or -1.
int bypassOf(const ::onnx::ModelProto &model, int index, const Types &types);
/// Lets the readers of node `index` read its input `input` instead, and removes
/// the node. False where the output is one of the model and the input is not computed.
bool bypass(::onnx::ModelProto &model, int index, int input);

} // namespace sq::reduce

#endif
