// Local functions. onnx's inliner does the work; what it does not survive (recursion, bodies that
// double at every level) is refused first.

#include "lib/importer/Structure.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"
#include "onnx/inliner/inliner.h"

#include "lib/importer/Messages.h"

using namespace mlir;
using ::onnx::FunctionProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;

namespace sq::importer {
namespace {

// Far above any real model (an exporter's functions add up to the model's own size, and the
// largest models have some 10,000 nodes), small enough for time and memory.
constexpr uint64_t kMostInlinedNodes = 1 << 18;
constexpr uint64_t kMostInlinedBytes = 1 << 28; // besides four times the model's size
constexpr int kDeepestCalls = 64;

/// What one call of a function turns into.
struct Expansion {
  uint64_t nodes = 0, bytes = 0;
  uint64_t references = 0; // each takes a copy of an attribute of the call

  void add(const Expansion &other) {
    nodes = llvm::SaturatingAdd(nodes, other.nodes);
    bytes = llvm::SaturatingAdd(bytes, other.bytes);
    references = llvm::SaturatingAdd(references, other.references);
  }
};

class ExpansionCounter {
public:
  ExpansionCounter(const ModelProto &model, Location loc) : model(model), loc(loc) {}

  LogicalResult run() {
    for (const FunctionProto &function : model.functions())
      if (!functions.try_emplace(identifier(function), &function).second)
        return emitError(loc) << "function " << quoted(identifier(function))
                              << " is defined twice";
    // Also those that nothing calls: the inliner looks at all.
    Expansion total;
    for (auto &entry : functions) {
      if (failed(expand(entry.getValue(), /*depth=*/1)))
        return failure();
      total.add(entry.getValue().expansion);
    }
    if (failed(addNodes(model.graph().node(), total, /*depth=*/1)))
      return failure();
    uint64_t mostBytes = kMostInlinedBytes + 4 * uint64_t(model.ByteSizeLong());
    if (total.nodes > kMostInlinedNodes)
      return emitError(loc) << "local functions expand to more than " << kMostInlinedNodes
                            << " nodes";
    if (total.bytes > mostBytes)
      return emitError(loc) << "local functions expand to more than " << mostBytes << " bytes";
    return success();
  }

  const FunctionProto *callee(const NodeProto &node) const {
    auto found = functions.find(identifier(node));
    return found == functions.end() ? nullptr : found->second.function;
  }

private:
  struct Entry {
    explicit Entry(const FunctionProto *function) : function(function) {}

    const FunctionProto *function;
    enum { New, Open, Done } state = New;
    Expansion expansion;
  };

  static std::string identifier(const FunctionProto &function) {
    return function.domain() + ":" + function.name() +
           (function.overload().empty() ? "" : ":" + function.overload());
  }
  static std::string identifier(const NodeProto &node) {
    return node.domain() + ":" + node.op_type() +
           (node.overload().empty() ? "" : ":" + node.overload());
  }

  LogicalResult expand(Entry &entry, int depth) {
    if (entry.state == Entry::Done)
      return success();
    std::string name = quoted(identifier(*entry.function));
    if (entry.state == Entry::Open)
      return emitError(loc) << "function " << name << " calls itself";
    if (depth > kDeepestCalls)
      return emitError(loc) << "function " << name << " is called through more than "
                            << kDeepestCalls << " others";
    entry.state = Entry::Open;
    for (const auto &import : entry.function->opset_import()) {
      int64_t version = importedVersion(model, import.domain());
      if (version && version != import.version())
        return emitError(loc) << "function " << name << " imports version " << import.version()
                              << " of domain "
                              << quoted(import.domain().empty() ? "ai.onnx" : import.domain())
                              << ", the model version " << version
                              << "; convert them to one version";
    }
    Expansion sum;
    sum.bytes = entry.function->ByteSizeLong();
    if (failed(addNodes(entry.function->node(), sum, depth)))
      return failure();
    entry.expansion = sum;
    entry.state = Entry::Done;
    return success();
  }

  template <typename Nodes> LogicalResult addNodes(const Nodes &nodes, Expansion &sum, int depth) {
    for (const NodeProto &node : nodes) {
      ++sum.nodes;
      for (const auto &attribute : node.attribute()) {
        sum.references += !attribute.ref_attr_name().empty();
        if (failed(addNodes(attribute.g().node(), sum, depth)))
          return failure();
        for (const GraphProto &graph : attribute.graphs())
          if (failed(addNodes(graph.node(), sum, depth)))
            return failure();
      }
      auto found = functions.find(identifier(node));
      if (found == functions.end())
        continue;
      if (failed(expand(found->second, depth + 1)))
        return failure();
      Expansion call = found->second.expansion;
      uint64_t given = node.ByteSizeLong();
      for (const auto &attribute : found->second.function->attribute_proto())
        given += attribute.ByteSizeLong(); // see addDefaults
      call.bytes = llvm::SaturatingMultiplyAdd(llvm::SaturatingAdd(call.references, uint64_t(1)),
                                               given, call.bytes);
      sum.add(call);
    }
    return success();
  }

  const ModelProto &model;
  Location loc;
  llvm::StringMap<Entry> functions;
};

/// Gives every call the attributes that it leaves to the function's defaults: onnx's inliner binds
/// only those of the call and would drop the others.
template <typename Nodes> void addDefaults(Nodes &nodes, const ExpansionCounter &functions) {
  for (NodeProto &node : nodes) {
    for (auto &attribute : *node.mutable_attribute()) {
      if (attribute.has_g())
        addDefaults(*attribute.mutable_g()->mutable_node(), functions);
      for (GraphProto &graph : *attribute.mutable_graphs())
        addDefaults(*graph.mutable_node(), functions);
    }
    const FunctionProto *callee = functions.callee(node);
    if (!callee)
      continue;
    llvm::StringSet<> given;
    for (const auto &attribute : node.attribute())
      given.insert(attribute.name());
    for (const auto &attribute : callee->attribute_proto())
      if (given.insert(attribute.name()).second)
        *node.add_attribute() = attribute;
  }
}

} // namespace

LogicalResult inlineFunctions(ModelProto &model, Location loc) {
  if (model.functions().empty())
    return success();
  ExpansionCounter functions(model, loc);
  if (failed(functions.run()))
    return failure();
  addDefaults(*model.mutable_graph()->mutable_node(), functions);
  for (FunctionProto &function : *model.mutable_functions())
    addDefaults(*function.mutable_node(), functions);
  // Bodies bring their domains along.
  for (const FunctionProto &function : model.functions())
    for (const auto &import : function.opset_import())
      if (!importedVersion(model, import.domain()))
        *model.add_opset_import() = import;
  try {
    ::onnx::inliner::InlineLocalFunctions(model);
  } catch (const std::exception &exception) {
    return emitError(loc) << "local functions cannot be inlined: " << exception.what();
  }
  if (!model.functions().empty())
    return emitError(loc) << "function " << quoted(model.functions(0).name())
                          << " cannot be inlined: it imports other opset versions than the model";
  return success();
}

} // namespace sq::importer
