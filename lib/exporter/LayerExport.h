/// An ONNX model in which linear layers and tables of embeddings get other
/// operands; what these are, each format (QdqModel.h, QonnxModel.h) says.
#ifndef SQ_LIB_EXPORTER_LAYEREXPORT_H
#define SQ_LIB_EXPORTER_LAYEREXPORT_H

#include "lib/exporter/QuantizedLayers.h"
#include "onnx/onnx_pb.h"
#include "sq/compiler.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <map>
#include <set>

namespace sq {

class LayerExport {
public:
  explicit LayerExport(::onnx::ModelProto &model);
  virtual ~LayerExport() = default;

  /// Why the layer cannot be quantised in the model; "" when it has been.
  std::string quantize(const QuantizedLayer &layer);
  /// The same of a table: its Gather reads what stands for its floats.
  std::string quantize(const QuantizedTable &table);
  /// Puts the new nodes in their places, and leaves out what nothing reads any
  /// more.
  void finish();

protected:
  using Nodes = std::vector<::onnx::NodeProto>;

  // What a format decides: the names of the floats that stand for `x` (its
  // channels are scaled already), for the weight [k, n] and for the table.
  // `base` is what new names begin with, `nodes` takes new nodes.
  virtual std::string activation(const QuantizedLayer &layer, std::string x,
                                 const std::string &base, Nodes &nodes) = 0;
  virtual std::string weight(const QuantizedLayer &layer,
                             const std::string &base, Nodes &nodes) = 0;
  virtual std::string table(const QuantizedTable &table,
                            const std::string &base, Nodes &nodes) = 0;

  /// `name`, or one like it that nothing has.
  std::string fresh(std::string name);
  /// A new initializer of raw bytes; its name.
  std::string tensor(const std::string &name, int32_t type,
                     llvm::ArrayRef<int64_t> dims, llvm::StringRef bytes);
  std::string floats(const std::string &name, llvm::ArrayRef<float> values,
                     llvm::ArrayRef<int64_t> dims);
  /// A vector.
  std::string floats(const std::string &name, llvm::ArrayRef<float> values) {
    return floats(name, values, {int64_t(values.size())});
  }
  static ::onnx::NodeProto &addNode(Nodes &nodes, const char *type,
                                    llvm::ArrayRef<std::string> inputs,
                                    const std::string &output);
  static void setInteger(::onnx::NodeProto &node, const char *name,
                         int64_t value);

  ::onnx::ModelProto &model;
  ::onnx::GraphProto &graph;

private:
  static constexpr int kSeveral = -2;

  bool isTable(const std::string &name, const QuantizedTable &table) const;

  std::map<std::string, int> byName;
  std::set<std::string> taken;
  std::set<int> done;
  std::map<std::string, std::string> tables; // in float to quantised
  std::vector<Nodes> before, after;
};

/// The bytes of the model at `path` with layers and tables quantised as `make`
/// has it; dims of inputs and outputs that `shapes` gives one size are that.
/// All data is inside. Needs `opset` of the model, `because`. Layers and tables
/// that are not found stay as they were, with a warning; other failures are
/// errors on the context.
mlir::FailureOr<std::string> exportModel(
    llvm::StringRef path, llvm::ArrayRef<QuantizedLayer> layers,
    llvm::ArrayRef<QuantizedTable> tables,
    const std::map<std::string, DimRange> &shapes, int64_t opset,
    llvm::StringRef because,
    llvm::function_ref<std::unique_ptr<LayerExport>(::onnx::ModelProto &)> make,
    mlir::MLIRContext &context);

} // namespace sq

#endif
