#include "lib/importer/Importer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"
#include "onnx/shape_inference/implementation.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Contradictions.h"
#include "lib/importer/ExternalData.h"
#include "lib/importer/GraphBuilder.h"
#include "lib/importer/GuardedSchemas.h"
#include "lib/importer/Messages.h"
#include "lib/importer/Protobuf.h"
#include "lib/importer/Structure.h"
#include "lib/importer/Tensors.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;

namespace sq {
namespace {

using namespace sq::importer;

/// Moves what shape inference must not see out of the graphs, and gives it what it needs.
class Preparation {
public:
  Preparation(SetAside &setAside, ExternalFiles &files, Location loc)
      : setAside(setAside), files(files), loc(loc) {}

  LogicalResult run(ModelProto &model) {
    for (const auto &output : model.graph().output())
      setAside.outputDims.push_back(dimSymbols(output.type()));
    return prepare(*model.mutable_graph());
  }

private:
  LogicalResult prepare(GraphProto &graph) {
    for (auto &tensor : *graph.mutable_initializer())
      if (failed(inlineExternal(tensor, loc, "initializer " + quoted(tensor.name()), files)))
        return failure();
    setSparseAside(graph);
    nameNodes(graph);
    for (NodeProto &node : *graph.mutable_node()) {
      Location nodeLoc = nodeLocation(node, loc.getContext());
      for (AttributeProto &attribute : *node.mutable_attribute()) {
        if (attribute.has_t() && failed(inlineExternal(*attribute.mutable_t(), nodeLoc,
                                                            "attribute", files)))
          return failure();
        if (attribute.has_g() && failed(prepare(*attribute.mutable_g())))
          return failure();
        for (GraphProto &inner : *attribute.mutable_graphs())
          if (failed(prepare(inner)))
            return failure();
      }
    }
    return success();
  }

  /// sq gives sparse initializers and constants the dense type, as onnxruntime does; onnx would
  /// call every op that reads them ill-typed.
  void setSparseAside(GraphProto &graph) {
    std::vector<::onnx::SparseTensorProto> sparse;
    for (auto &tensor : *graph.mutable_sparse_initializer())
      sparse.push_back(std::move(tensor));
    graph.clear_sparse_initializer();
    auto &nodes = *graph.mutable_node();
    int kept = 0;
    for (int i = 0; i < nodes.size(); ++i) {
      NodeProto &node = nodes[i];
      if (node.domain().empty() && node.op_type() == "Constant" && node.output_size() == 1 &&
          node.attribute_size() == 1 && node.attribute(0).has_sparse_tensor()) {
        sparse.push_back(std::move(*node.mutable_attribute(0)->mutable_sparse_tensor()));
        sparse.back().mutable_values()->set_name(node.output(0));
      } else {
        nodes.SwapElements(kept++, i);
      }
    }
    nodes.DeleteSubrange(kept, nodes.size() - kept);
    if (sparse.empty())
      return;
    llvm::StringMap<int> declared;
    for (int i = 0; i < graph.value_info_size(); ++i)
      declared[graph.value_info(i).name()] = i;
    for (const auto &tensor : sparse) {
      auto found = declared.find(tensor.values().name());
      auto *info = found != declared.end() ? graph.mutable_value_info(found->second)
                                           : graph.add_value_info();
      info->set_name(tensor.values().name());
      auto *type = info->mutable_type()->mutable_tensor_type();
      type->set_elem_type(tensor.values().data_type());
      type->clear_shape();
      for (int64_t dim : tensor.dims())
        type->mutable_shape()->add_dim()->set_dim_value(dim);
    }
    setAside.sparse[&graph] = std::move(sparse);
  }

  SetAside &setAside;
  ExternalFiles &files;
  Location loc;
};

LogicalResult inferShapes(ModelProto &model, Location loc) {
  try {
    ::onnx::ShapeInferenceOptions options(/*check_type=*/true, /*strict_mode=*/1,
                                          /*data_prop=*/true);
    ::onnx::shape_inference::DataValueMap values;
    ::onnx::shape_inference::InferShapes(model, &guardedSchemas(), options,
                                         &values);
    return success();
  } catch (const std::exception &exception) {
    return reportContradiction(exception.what(), model, loc);
  }
}

OwningOpRef<ModuleOp> importModel(std::unique_ptr<ModelProto> model, Location loc,
                                  const ImportOptions &options) {
  MLIRContext *context = loc.getContext();
  context->loadDialect<sq::onnx::OnnxDialect, func::FuncDialect>();
  ExternalFiles files(options.externalDataDirectory);
  SetAside setAside;
  normalizeDomains(*model);
  if (failed(checkVersions(*model, loc)) || failed(inlineFunctions(*model, loc)) ||
      failed(checkStructure(*model, loc, files)) ||
      failed(Preparation(setAside, files, loc).run(*model)) || failed(inferShapes(*model, loc)))
    return {};
  // Deeper than onnx's definitions use each other.
  for (int depth = 0; depth < 4; ++depth) {
    FailureOr<bool> changed = inlineDefinitions(*model, loc);
    if (failed(changed) || (*changed && failed(inferShapes(*model, loc))))
      return {};
    if (!*changed)
      break;
  }
  OwningOpRef<ModuleOp> module = buildModule(*model, setAside, files, loc);
  if (module && failed(verify(*module)))
    return {};
  return module;
}

} // namespace

OwningOpRef<ModuleOp> importOnnxBytes(StringRef bytes, StringRef name, MLIRContext &context,
                                      const ImportOptions &options) {
  Location loc = fileLocation(name, &context);
  FailureOr<std::unique_ptr<ModelProto>> model = parseProtobuf(bytes, loc);
  return failed(model) ? nullptr : importModel(std::move(*model), loc, options);
}

OwningOpRef<ModuleOp> importOnnxText(StringRef text, StringRef name, MLIRContext &context,
                                     const ImportOptions &options) {
  Location loc = fileLocation(name, &context);
  FailureOr<std::unique_ptr<ModelProto>> model = parseText(text, name, loc);
  return failed(model) ? nullptr : importModel(std::move(*model), loc, options);
}

OwningOpRef<ModuleOp> importOnnx(StringRef path, MLIRContext &context,
                                 const ImportOptions &options) {
  FailureOr<ModelFile> file = openModel(path, context);
  if (failed(file))
    return {};
  file->format = ModelFormat::Onnx;
  return loadModel(std::move(*file), path, context, options);
}

} // namespace sq
