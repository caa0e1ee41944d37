#include "lib/exporter/QuantizedLayers.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include "dialects/sq/IR/SqOps.h"
#include "passes/analysis/NodeOutputs.h"

#include <cstring>

using namespace mlir;

namespace sq {
namespace {

/// The bytes of a constant; empty when it is none.
std::vector<char> bytesOf(Value v) {
  ElementsAttr value;
  if (!v || !matchPattern(v, m_Constant(&value)))
    return {};
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    return blob ? std::vector<char>(blob->getData().begin(), blob->getData().end()) : std::vector<char>();
  }
  auto dense = dyn_cast<DenseElementsAttr>(value);
  std::vector<char> bytes;
  for (int64_t i = 0; dense && i < (dense.isSplat() ? dense.getNumElements() : 1); ++i)
    bytes.insert(bytes.end(), dense.getRawData().begin(), dense.getRawData().end());
  return bytes;
}

std::vector<float> floatsOf(Value v) {
  std::vector<char> bytes = bytesOf(v);
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
  return floats;
}

std::optional<QuantizedLayer> layerOf(LinearOp op) {
  auto quantize = op.getX().getDefiningOp<QuantizeOp>();
  auto cast = op.getWeight().getDefiningOp<quant::StorageCastOp>();
  auto wType = dyn_cast<quant::UniformQuantizedPerAxisType>(getElementTypeOrSelf(op.getWeight()));
  // (A model that was quantised already has no sq.quantize.)
  if (!quantize || !cast || !wType || op.getTransposeWeight())
    return std::nullopt;
  auto xType = mlir::cast<quant::UniformQuantizedType>(getElementTypeOrSelf(op.getX()));
  auto shape = mlir::cast<RankedTensorType>(op.getWeight().getType());
  QuantizedLayer layer;
  layer.nodes = nodeNames(op.getLoc());
  layer.scale = xType.getScale();
  layer.zero = xType.getZeroPoint();
  layer.k = shape.getDimSize(0);
  layer.n = shape.getDimSize(1);
  layer.bits = llvm::Log2_64_Ceil(wType.getStorageTypeMax() + 1) + 1;
  layer.weight = bytesOf(cast.getInput());
  layer.scales.assign(wType.getScales().begin(), wType.getScales().end());
  layer.bias = floatsOf(op.getBias());
  // The multiplication that the pass added has the location of the rounding, that of one of the layers; one of the model its own.
  auto scaled = quantize.getX().getDefiningOp<linalg::GenericOp>();
  if (scaled && scaled.getLoc() == quantize.getLoc() && scaled.getNumDpsInputs() == 2)
    layer.factors = floatsOf(scaled.getDpsInputs()[1]);
  return layer;
}

} // namespace

std::vector<QuantizedTable> quantizedTables(ModuleOp graph) {
  std::vector<QuantizedTable> tables;
  graph.walk([&](EmbeddingOp op) {
    auto scales = op.getScales().begin();
    for (Value v : op.getTables()) {
      auto type = cast<RankedTensorType>(v.getType());
      if (!type.getElementType().isInteger(8))
        continue;
      tables.push_back({nodeNames(op.getLoc()), type.getDimSize(0), type.getDimSize(1), bytesOf(v), floatsOf(*scales++)});
    }
  });
  return tables;
}

std::vector<QuantizedLayer> quantizedLayers(ModuleOp graph) {
  std::vector<QuantizedLayer> layers;
  graph.walk([&](LinearOp op) {
    if (std::optional<QuantizedLayer> layer = layerOf(op))
      layers.push_back(std::move(*layer));
  });
  return layers;
}

} // namespace sq
