#include "passes/LayerDecisions.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

#include "passes/analysis/NodeOutputs.h"

using namespace mlir;
using namespace sq;

static constexpr char kLayers[] = "sq.layers", kTimes[] = "sq.layer_times";

/// What a dynamic dim is for the cost of a layer: as in the compile report, a first of several is 1, others 128.
static constexpr int64_t kTypicalRows = 128;

LayerNames LayerDecision::names() const {
  LayerNames all{name};
  for (const std::string &node : nodes)
    if (node != name)
      all.push_back(node);
  if (!weight.empty())
    all.push_back(weight);
  return all;
}

static LayerShape shapeOf(Value in, Value out) {
  auto x = cast<RankedTensorType>(in.getType()), y = cast<RankedTensorType>(out.getType());
  LayerShape shape{x.getShape().back(), y.getShape().back(), 1};
  for (int64_t d = 0; d + 1 < x.getRank(); ++d)
    shape.rows *= !x.isDynamicDim(d) ? x.getDimSize(d) : d == 0 && x.getRank() > 2 ? 1 : kTypicalRows;
  return shape;
}

/// What the op says: names and shape. `used`: how often a name was there.
static LayerDecision layerAt(Operation *op, Value x, Value y, llvm::StringMap<int> &used) {
  LayerDecision layer;
  layer.nodes = nodeNames(op->getLoc());
  layer.name = layer.nodes.empty() ? "linear" : layer.nodes.front();
  if (int count = ++used[layer.name]; count > 1)
    layer.name += "#" + std::to_string(count);
  layer.shape = shapeOf(x, y);
  return layer;
}

static LayerDecision layerOf(LinearOp op, llvm::StringMap<int> &used) {
  LayerDecision layer = layerAt(op, op.getX(), op.getOuts(), used);
  ElementsAttr weight;
  if (matchPattern(op.getWeight(), m_Constant(&weight)))
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(weight))
      layer.weight = resource.getRawHandle().getKey().str(); // as the importer called it
  return layer;
}

std::vector<std::pair<LinearOp, LayerDecision>> sq::linearLayers(func::FuncOp main) {
  std::vector<std::pair<LinearOp, LayerDecision>> layers;
  llvm::StringMap<int> used;
  main.walk([&](LinearOp op) { layers.emplace_back(op, layerOf(op, used)); });
  return layers;
}

static LayerDecision layerOf(GroupedMatmulOp op, llvm::StringMap<int> &used) {
  LayerDecision layer = layerAt(op, op.getX(), op.getOuts(), used);
  int64_t bits = op.getBits(), numbers = 0; // bits of scales and offsets
  for (Value each : {op.getScales(), op.getOffsets()})
    if (each) {
      auto type = cast<ShapedType>(each.getType());
      numbers += type.getNumElements() * type.getElementTypeBitWidth();
    }
  LayerPrecision first = op.getOffsets() ? LayerPrecision::Rtn2 : LayerPrecision::Sym2;
  layer.precision = static_cast<LayerPrecision>(static_cast<int>(first) + bits - 2);
  layer.isGiven = true;
  int64_t weights = layer.shape.n * layer.shape.k, all = weights * bits + numbers;
  layer.compressed = CompressedSize{"groups of " + std::to_string(op.getGroupSize()) + ", as the model has it", double(all) / weights, (all + 7) / 8};
  return layer;
}

std::vector<LayerDecision> sq::givenCodes(func::FuncOp main) {
  std::vector<LayerDecision> layers;
  llvm::StringMap<int> used;
  bool areAny = false;
  main.walk([&](Operation *op) {
    if (auto linear = dyn_cast<LinearOp>(op))
      layers.push_back(layerOf(linear, used));
    else if (auto grouped = dyn_cast<GroupedMatmulOp>(op); grouped && !ShapedType::isDynamic(shapeOf(grouped.getX(), grouped.getOuts()).k)) {
      layers.push_back(layerOf(grouped, used));
      areAny = true;
    }
  });
  return areAny ? layers : std::vector<LayerDecision>();
}

namespace {

/// Numbers and texts by name.
struct Writer {
  Builder b;
  NamedAttrList list;

  void add(StringRef name, double value) { list.set(name, b.getF64FloatAttr(value)); }
  void add(StringRef name, int64_t value) { list.set(name, b.getI64IntegerAttr(value)); }
  void add(StringRef name, StringRef value) { list.set(name, b.getStringAttr(value)); }
  void add(StringRef name, const std::optional<double> &value) {
    if (value)
      add(name, *value);
  }
  void add(StringRef prefix, const std::optional<LayerTimes> &times) {
    if (!times)
      return;
    add((prefix + "_int8").str(), times->int8);
    add((prefix + "_f32").str(), times->f32);
  }
  void add(const LayerShape &shape) {
    add("k", shape.k);
    add("n", shape.n);
    add("rows", shape.rows);
  }
  Attribute finish() { return list.getDictionary(b.getContext()); }
};

struct Reader {
  DictionaryAttr list;

  std::optional<double> real(const Twine &name) const {
    auto value = list.getAs<FloatAttr>(name.str());
    return value ? std::optional(value.getValueAsDouble()) : std::nullopt;
  }
  int64_t integer(StringRef name) const {
    auto value = list.getAs<IntegerAttr>(name);
    return value ? value.getInt() : 0;
  }
  std::string text(StringRef name) const {
    auto value = list.getAs<StringAttr>(name);
    return value ? value.str() : "";
  }
  std::optional<LayerTimes> times(StringRef prefix) const {
    auto int8 = real(prefix + "_int8"), f32 = real(prefix + "_f32");
    return int8 && f32 ? std::optional(LayerTimes{*int8, *f32}) : std::nullopt;
  }
  LayerShape shape() const { return {integer("k"), integer("n"), integer("rows")}; }
};

} // namespace

void sq::setLayerDecisions(func::FuncOp main, ArrayRef<LayerDecision> layers) {
  Builder b(main.getContext());
  SmallVector<Attribute> list;
  for (const LayerDecision &layer : layers) {
    Writer writer{b, {}};
    writer.add("name", StringRef(layer.name));
    SmallVector<StringRef> nodes(layer.nodes.begin(), layer.nodes.end());
    writer.list.set("nodes", b.getStrArrayAttr(nodes));
    if (!layer.weight.empty())
      writer.add("weight", StringRef(layer.weight));
    writer.add(layer.shape);
    writer.add("precision", precisionName(layer.precision));
    if (layer.group)
      writer.add("group", *layer.group);
    writer.add("outliers", layer.outliers);
    if (!layer.why.empty())
      writer.add("why", StringRef(layer.why));
    if (layer.input) {
      writer.add("low", layer.input->low);
      writer.add("high", layer.input->high);
      writer.add("scale", layer.input->scale);
      writer.add("zero", layer.input->zero);
      writer.add("alpha", layer.input->alpha);
    }
    if (layer.compressed) {
      writer.add("format", StringRef(layer.compressed->format));
      writer.add("bits", layer.compressed->bitsPerWeight);
      writer.add("bytes", layer.compressed->bytes);
      writer.add("sparse", layer.compressed->sparse);
      writer.add("error", layer.compressed->error);
    }
    if (layer.isGiven)
      writer.list.set("given", b.getUnitAttr());
    writer.add("sqnr", layer.sqnr);
    writer.add("predicted", layer.predicted);
    writer.add("measured", layer.measured);
    list.push_back(writer.finish());
  }
  main->setAttr(kLayers, b.getArrayAttr(list));
}

std::vector<LayerDecision> sq::layerDecisions(func::FuncOp main) {
  std::vector<LayerDecision> layers;
  auto list = main->getAttrOfType<ArrayAttr>(kLayers);
  if (!list)
    return layers;
  for (DictionaryAttr entry : list.getAsRange<DictionaryAttr>()) {
    Reader reader{entry};
    LayerDecision layer;
    layer.name = reader.text("name");
    if (auto nodes = entry.getAs<ArrayAttr>("nodes"))
      for (StringAttr node : nodes.getAsRange<StringAttr>())
        layer.nodes.push_back(node.str());
    layer.weight = reader.text("weight");
    layer.shape = reader.shape();
    layer.precision = findPrecision(reader.text("precision")).value_or(LayerPrecision::F32);
    if (entry.contains("group"))
      layer.group = reader.integer("group");
    layer.outliers = reader.real("outliers");
    layer.why = reader.text("why");
    if (auto scale = reader.real("scale"))
      layer.input = InputRange{*reader.real("low"), *reader.real("high"), *scale, reader.integer("zero"), reader.real("alpha")};
    if (auto bits = reader.real("bits"))
      layer.compressed = CompressedSize{reader.text("format"), *bits, reader.integer("bytes"), reader.integer("sparse"),
                                        reader.real("error").value_or(0)};
    layer.isGiven = entry.contains("given");
    layer.sqnr = reader.real("sqnr");
    layer.predicted = reader.times("predicted");
    layer.measured = reader.times("measured");
    layers.push_back(std::move(layer));
  }
  return layers;
}

void sq::setMeasuredTimes(func::FuncOp main, ArrayRef<LayerShape> shapes, ArrayRef<LayerTimes> times) {
  Builder b(main.getContext());
  SmallVector<Attribute> list;
  for (auto [shape, time] : llvm::zip(shapes, times)) {
    Writer writer{b, {}};
    writer.add(shape);
    writer.add("measured", std::optional(time));
    list.push_back(writer.finish());
  }
  main->setAttr(kTimes, b.getArrayAttr(list));
}

std::vector<std::pair<LayerShape, LayerTimes>> sq::takeMeasuredTimes(func::FuncOp main) {
  std::vector<std::pair<LayerShape, LayerTimes>> measured;
  if (auto list = main->getAttrOfType<ArrayAttr>(kTimes))
    for (DictionaryAttr entry : list.getAsRange<DictionaryAttr>()) {
      Reader reader{entry};
      if (auto times = reader.times("measured"))
        measured.emplace_back(reader.shape(), *times);
    }
  main->removeAttr(kTimes);
  return measured;
}

void sq::setPlan(func::FuncOp main, StringRef text) { main->setAttr(kPlan, StringAttr::get(main.getContext(), text)); }

std::optional<std::string> sq::planOf(func::FuncOp main) {
  auto text = main->getAttrOfType<StringAttr>(kPlan);
  return text ? std::optional(text.str()) : std::nullopt;
}

std::string sq::planText(ArrayRef<LayerDecision> layers) {
  std::string text = "# PATTERN = PRECISION, the last line that matches a layer counts; sq-compile --plan reads it.\n";
  for (const LayerDecision &layer : layers) {
    if (layer.isGiven)
      continue;
    std::string why = llvm::formatv("{0} x {1}", layer.shape.k, layer.shape.n);
    if (layer.sqnr)
      why += llvm::formatv(", {0:f1} dB expected", *layer.sqnr);
    if (layer.compressed)
      why += llvm::formatv(", {0:f3} bits a weight, {1}", layer.compressed->bitsPerWeight, layer.compressed->format);
    if (!layer.why.empty())
      why += "; " + layer.why;
    LayerFormat format(layer.precision);
    format.group = layer.group;
    format.outliers = layer.outliers;
    text += planLine(layer.name, format, why);
  }
  return text;
}
