#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Path.h"

#include "lib/importer/ExternalData.h"
#include "lib/importer/Importer.h"
#include "lib/importer/Protobuf.h"
#include "lib/importer/Structure.h"
#include "lib/importer/Tensors.h"
#include "lib/reduce/Edits.h"
#include "lib/reduce/Reduce.h"

using namespace mlir;
using namespace sq;

/// A protobuf message holds at most 2 GiB.
static constexpr int64_t kMostBytes = 2000000000;

Status reduce::loadModel(const std::string &path, ::onnx::ModelProto &model) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  std::string messages;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      messages += (messages.empty() ? "" : "\n") + diagnostic.str();
    return success();
  });
  auto refuse = [&] { return Status::refused("'" + path + "': " + messages); };
  FailureOr<ModelFile> file = openModel(path, context);
  if (failed(file))
    return Status::refused(messages);
  if (file->format == ModelFormat::Mlir)
    return Status::refused("'" + path + "' is MLIR; sq-reduce reduces ONNX models (upstream's mlir-reduce reduces MLIR)");
  Location loc = importer::fileLocation(path, &context);
  llvm::StringRef bytes = file->buffer->getBuffer();
  auto parsed = file->format == ModelFormat::Onnx ? importer::parseProtobuf(bytes, loc)
                                                  : importer::parseText(bytes, path, loc);
  if (failed(parsed))
    return refuse();
  model = std::move(**parsed);
  importer::normalizeDomains(model);

  // Candidates lie elsewhere, where external data could not be found.
  llvm::StringRef directory = llvm::sys::path::parent_path(path);
  importer::ExternalFiles files(directory.empty() ? "." : directory.str());
  int64_t total = 0;
  bool fits = true;
  bool read = forEachTensor(*model.mutable_graph(), [&](::onnx::TensorProto &tensor) {
    if (tensor.data_location() != ::onnx::TensorProto::EXTERNAL)
      return true;
    if (failed(importer::inlineExternal(tensor, loc, "tensor '" + tensor.name() + "'", files, kMostBytes)))
      return false;
    total += tensor.raw_data().size();
    fits = total <= kMostBytes && tensor.data_location() != ::onnx::TensorProto::EXTERNAL;
    return fits;
  });
  if (!fits)
    return Status::refused("'" + path + "' has more than 2 GB of external data; a candidate is one file with its "
                           "weights, which protobuf cannot hold");
  return read ? Status() : refuse();
}
