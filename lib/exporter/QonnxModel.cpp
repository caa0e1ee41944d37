#include "lib/exporter/QonnxModel.h"

#include "lib/exporter/LayerExport.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;

namespace sq {
namespace {

constexpr int64_t kOpset = 7; // operands of Mul and Add that are broadcast
constexpr const char *kDomain = "qonnx.custom_op.general";

class QonnxExport : public LayerExport {
public:
  explicit QonnxExport(ModelProto &model) : LayerExport(model) {
    for (const auto &import : model.opset_import())
      if (import.domain() == kDomain)
        return;
    auto &import = *model.add_opset_import();
    import.set_domain(kDomain);
    import.set_version(1);
  }

private:
  /// s (round(clamp(x / s + z, lo, hi)) - z)
  std::string quant(const std::string &x, const std::string &scale, float zero,
                    int bits, bool isSigned, bool isNarrow,
                    const std::string &base, Nodes &nodes) {
    std::string zeros = floats(base + "_zero_point", zero, ArrayRef<int64_t>());
    std::string width =
                    floats(base + "_bits", float(bits), ArrayRef<int64_t>()),
                result = fresh(base);
    NodeProto &node = addNode(nodes, "Quant", {x, scale, zeros, width}, result);
    node.set_domain(kDomain);
    setInteger(node, "signed", isSigned);
    setInteger(node, "narrow", isNarrow);
    AttributeProto &rounding = *node.add_attribute();
    rounding.set_name("rounding_mode");
    rounding.set_type(AttributeProto::STRING);
    rounding.set_s("ROUND");
    return result;
  }

  std::string activation(const QuantizedLayer &layer, std::string x,
                         const std::string &base, Nodes &nodes) override {
    // Half of the values below 0 are signed numbers without a zero point, as
    // hardware likes them.
    bool isSigned = layer.zero == 128;
    std::string scale =
        floats(base + "/x_scale", layer.scale, ArrayRef<int64_t>());
    return quant(x, scale, isSigned ? 0 : layer.zero, 8, isSigned,
                 /*isNarrow=*/false, base + "/x", nodes);
  }

  /// Floats of which Quant makes the integers again: q s / s is q but for a
  /// relative 2^-23.
  std::string integers(ArrayRef<char> stored, ArrayRef<int64_t> dims,
                       ArrayRef<float> scales, bool perRow,
                       const std::string &name) {
    std::vector<float> values(stored.size());
    for (size_t i = 0; i < stored.size(); ++i)
      values[i] =
          float(int8_t(stored[i])) * scales[perRow ? i / dims[1] : i % dims[1]];
    return floats(name, values, dims);
  }

  std::string weight(const QuantizedLayer &layer, const std::string &base,
                     Nodes &nodes) override {
    std::string values =
        integers(layer.weight, {layer.k, layer.n}, layer.scales,
                 /*perRow=*/false, base + "/w_float");
    std::string scale = floats(base + "/w_scale", layer.scales, {1, layer.n});
    return quant(values, scale, 0, layer.bits, /*isSigned=*/true,
                 /*isNarrow=*/true, base + "/w", nodes);
  }

  std::string table(const QuantizedTable &table, const std::string &base,
                    Nodes &nodes) override {
    // (A row of zeros has the scale 0, by which Quant would divide.)
    std::vector<float> scales = table.scales;
    for (float &scale : scales)
      scale = scale > 0 ? scale : 1;
    std::string values = integers(table.stored, {table.rows, table.columns},
                                  scales, /*perRow=*/true, base + "/float");
    std::string scale = floats(base + "/scale", scales, {table.rows, 1});
    return quant(values, scale, 0, 8, /*isSigned=*/true, /*isNarrow=*/true,
                 base, nodes);
  }
};

} // namespace

FailureOr<std::string>
exportQonnx(StringRef path, ArrayRef<QuantizedLayer> layers,
            ArrayRef<QuantizedTable> tables,
            const std::map<std::string, DimRange> &shapes,
            MLIRContext &context) {
  return exportModel(
      path, layers, tables, shapes, kOpset, "operands that are broadcast",
      [](ModelProto &model) { return std::make_unique<QonnxExport>(model); },
      context);
}

} // namespace sq
