#include "lib/exporter/QdqModel.h"

#include "lib/exporter/LayerExport.h"

using namespace mlir;
using ::onnx::ModelProto;
using ::onnx::TensorProto;

namespace sq {
namespace {

constexpr int64_t kOpset = 13; // DequantizeLinear along an axis

class QdqExport : public LayerExport {
public:
  using LayerExport::LayerExport;

private:
  std::string activation(const QuantizedLayer &layer, std::string x,
                         const std::string &base, Nodes &nodes) override {
    auto bytes = [](auto &number) {
      return StringRef(reinterpret_cast<const char *>(&number), sizeof(number));
    };
    std::string scale =
        floats(base + "/x_scale", layer.scale, ArrayRef<int64_t>());
    std::string zero = tensor(base + "/x_zero_point", TensorProto::UINT8, {},
                              bytes(layer.zero));
    std::string stored = fresh(base + "/x_stored"), result = fresh(base + "/x");
    addNode(nodes, "QuantizeLinear", {x, scale, zero}, stored);
    addNode(nodes, "DequantizeLinear", {stored, scale, zero}, result);
    return result;
  }

  std::string weight(const QuantizedLayer &layer, const std::string &base,
                     Nodes &nodes) override {
    StringRef bytes(layer.weight.data(), layer.weight.size());
    std::string stored = tensor(base + "/w_stored", TensorProto::INT8,
                                {layer.k, layer.n}, bytes);
    std::string scales = floats(base + "/w_scale", layer.scales),
                result = fresh(base + "/w");
    std::string zeros = tensor(base + "/w_zero_point", TensorProto::INT8,
                               {layer.n}, std::string(layer.n, '\0'));
    setInteger(
        addNode(nodes, "DequantizeLinear", {stored, scales, zeros}, result),
        "axis", 1);
    return result;
  }

  std::string table(const QuantizedTable &table, const std::string &base,
                    Nodes &nodes) override {
    StringRef bytes(table.stored.data(), table.stored.size());
    std::string stored = tensor(base + "/stored", TensorProto::INT8,
                                {table.rows, table.columns}, bytes);
    std::string result = fresh(base);
    setInteger(addNode(nodes, "DequantizeLinear",
                       {stored, floats(base + "/scale", table.scales)}, result),
               "axis", 0);
    return result;
  }
};

} // namespace

FailureOr<std::string> exportQdq(StringRef path,
                                 ArrayRef<QuantizedLayer> layers,
                                 ArrayRef<QuantizedTable> tables,
                                 const std::map<std::string, DimRange> &shapes,
                                 MLIRContext &context) {
  return exportModel(
      path, layers, tables, shapes, kOpset, "scales of columns",
      [](ModelProto &model) { return std::make_unique<QdqExport>(model); },
      context);
}

} // namespace sq
