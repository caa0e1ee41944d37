#include "lib/importer/Importer.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"
#include "onnx/defs/parser.h"
#include "onnx/shape_inference/implementation.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Contradictions.h"
#include "lib/importer/ExternalData.h"
#include "lib/importer/GraphBuilder.h"
#include "lib/importer/GuardedSchemas.h"
#include "lib/importer/Messages.h"
#include "lib/importer/Structure.h"
#include "lib/importer/Tensors.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;

namespace sq {
namespace {

using namespace sq::importer;

// Deeper than the limits on graphs and types need (four messages a level), shallow enough for the
// parser's stack.
constexpr int kProtobufDepth = 400;
// The text parser recurses per bracket and has no limit of its own.
constexpr int kTextDepth = 100;

Location fileLocation(StringRef name, MLIRContext *context, unsigned line = 0,
                      unsigned column = 0) {
  return FileLineColLoc::get(context, name, line, column);
}

/// Why protobuf could not parse `bytes`, found by walking the fields of the outermost message.
std::string explainParseFailure(StringRef bytes) {
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t *>(bytes.data()), static_cast<int>(bytes.size()));
  while (uint32_t tag = stream.ReadTag()) {
    uint64_t number;
    uint32_t size;
    int at = stream.CurrentPosition();
    bool read = false;
    switch (tag & 7) {
    case 0:
      read = stream.ReadVarint64(&number);
      break;
    case 1:
      read = stream.Skip(8);
      break;
    case 5:
      read = stream.Skip(4);
      break;
    case 2:
      if (stream.ReadVarint32(&size)) {
        uint64_t left = bytes.size() - stream.CurrentPosition();
        if (size > left && (tag >> 3) <= 26)
          return "is truncated or damaged: field " + std::to_string(tag >> 3) + " at byte " +
                 std::to_string(at) + " needs " + std::to_string(size) + " bytes, " +
                 std::to_string(left) + " are left";
        read = size <= left && stream.Skip(static_cast<int>(size));
      }
      break;
    default:
      break;
    }
    if (!read)
      return "is not an ONNX model: no protobuf field at byte " + std::to_string(at);
  }
  return "is damaged, or its messages are nested too deep: protobuf cannot parse it";
}

FailureOr<std::unique_ptr<ModelProto>> parseProtobuf(StringRef bytes, Location loc) {
  if (bytes.empty())
    return emitError(loc) << "the file is empty; expected an ONNX model";
  if (bytes.size() > static_cast<size_t>(INT_MAX))
    return emitError(loc) << "the file has " << bytes.size()
                          << " bytes, a protobuf message at most " << INT_MAX
                          << "; store the weights as external data";
  auto model = std::make_unique<ModelProto>();
  google::protobuf::LogSilencer quiet; // its messages go to stderr and say less
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t *>(bytes.data()), static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kProtobufDepth);
  if (!model->ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
    return emitError(loc) << "the file " << explainParseFailure(bytes);
  return model;
}

/// The deepest nesting of brackets outside of strings and comments.
int bracketDepth(StringRef text) {
  int depth = 0, deepest = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
    case '"':
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\')
          ++i;
      break;
    case '#':
      while (i + 1 < text.size() && text[i + 1] != '\n')
        ++i;
      break;
    case '=': // an arrow closes nothing
      if (i + 1 < text.size() && text[i + 1] == '>')
        ++i;
      break;
    case '(':
    case '[':
    case '{':
    case '<':
      deepest = std::max(deepest, ++depth);
      break;
    case ')':
    case ']':
    case '}':
    case '>':
      depth = std::max(depth - 1, 0);
      break;
    }
  }
  return deepest;
}

FailureOr<std::unique_ptr<ModelProto>> parseText(StringRef text, StringRef name, Location loc) {
  if (text.contains('\0'))
    return emitError(loc) << "the text contains a zero byte";
  if (bracketDepth(text) > kTextDepth)
    return emitError(loc) << "brackets are nested more than " << kTextDepth << " deep";
  auto model = std::make_unique<ModelProto>();
  std::string message;
  std::string input = text.str(); // the parser wants a zero at the end
  try {
    ::onnx::OnnxParser parser(input.c_str());
    auto status = parser.Parse(*model);
    if (status.IsOK())
      return model;
    message = status.ErrorMessage();
  } catch (const std::exception &exception) {
    message = std::string("a number does not fit (") + exception.what() + ")";
  }
  // "[ParseError at position (line: 1 column: 7)]\nError context: ...\nwhat is wrong"
  StringRef rest = message;
  unsigned line = 0, column = 0;
  if (rest.consume_front("[ParseError at position (line: ")) {
    rest.consumeInteger(10, line);
    rest.consume_front(" column: ");
    rest.consumeInteger(10, column);
    rest = rest.rtrim().rsplit('\n').second;
  }
  return emitError(fileLocation(name, loc.getContext(), line, column))
         << "not valid ONNX text: " << rest;
}

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
      if (failed(inlineSmallExternal(tensor, loc, "initializer " + quoted(tensor.name()), files)))
        return failure();
    setSparseAside(graph);
    nameNodes(graph);
    for (NodeProto &node : *graph.mutable_node()) {
      Location nodeLoc = nodeLocation(node, loc.getContext());
      for (AttributeProto &attribute : *node.mutable_attribute()) {
        if (attribute.has_t() && failed(inlineSmallExternal(*attribute.mutable_t(), nodeLoc,
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
