#include "lib/assign/LossFile.h"

#include <cmath>
#include <set>

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include "lib/quantization/Plan.h"
#include "lib/tensorio/File.h"

using namespace llvm;
using namespace sq;
using namespace sq::assign;

static constexpr uint64_t kMaxBytes = 64 << 20;

const LayerLosses *LossFile::find(StringRef name) const {
  auto it = find_if(
      layers, [&](const LayerLosses &layer) { return layer.name == name; });
  return it == layers.end() ? nullptr : &*it;
}

std::string sq::assign::lossText(const LossFile &file) {
  json::Array layers;
  for (const LayerLosses &layer : file.layers) {
    json::Object losses;
    for (const auto &[choice, loss] : layer.losses)
      losses[choice] = loss;
    layers.push_back(json::Object{{"name", json::fixUTF8(layer.name)},
                                  {"losses", std::move(losses)}});
  }
  json::Object object{{"model", file.model},
                      {"metric", json::fixUTF8(file.metric)},
                      {"layers", std::move(layers)}};
  return formatv("{0:2}\n", json::Value(std::move(object)));
}

/// Empty, or what is wrong with the layer.
static std::string readLayer(const json::Value &value, LayerLosses &layer) {
  const json::Object *object = value.getAsObject();
  const json::Object *losses = object ? object->getObject("losses") : nullptr;
  auto name = object ? object->getString("name") : std::nullopt;
  if (!losses || !name)
    return "a layer has no name or no losses";
  layer.name = name->str();
  for (const auto &[choice, loss] : *losses) {
    std::optional<double> number = loss.getAsNumber();
    LayerFormat format;
    if (Status status = parseFormat(choice.str(), format); !status.ok())
      return "the layer '" + layer.name + "': " + status.message;
    if (!number || !std::isfinite(*number) || *number < 0)
      return "the layer '" + layer.name + "': the loss of " + choice.str() +
             " is no number from 0 on";
    layer.losses[choice.str()] = *number;
  }
  return "";
}

Status sq::assign::parseLosses(StringRef text, const std::string &path,
                               LossFile &file) {
  auto refused = [&](const std::string &why) {
    return Status::refused("'" + path + "' is no file of losses: " + why +
                           "; sq-compile --emit-losses writes one");
  };
  Expected<json::Value> parsed = json::parse(text);
  if (!parsed)
    return refused(toString(parsed.takeError()));
  const json::Object *object = parsed->getAsObject();
  const json::Array *layers = object ? object->getArray("layers") : nullptr;
  auto model = object ? object->getString("model") : std::nullopt,
       metric = object ? object->getString("metric") : std::nullopt;
  if (!layers || !model || !metric)
    return refused("it has no \"model\", \"metric\" and \"layers\"");
  file = {model->str(), metric->str(), {}};
  std::set<std::string> names;
  for (const json::Value &value : *layers) {
    LayerLosses layer;
    if (std::string wrong = readLayer(value, layer); !wrong.empty())
      return refused(wrong);
    if (!names.insert(layer.name).second)
      return refused("two layers are called '" + layer.name + "'");
    file.layers.push_back(std::move(layer));
  }
  return {};
}

Status sq::assign::readLosses(const std::string &path, LossFile &file) {
  InputFile input;
  if (Status status = input.open(path); !status.ok())
    return status;
  if (input.size() > kMaxBytes)
    return Status::refused("'" + path + "' is too large for a file of losses");
  std::string text(input.size(), 0);
  if (Status status = input.read(0, text.data(), text.size()); !status.ok())
    return status;
  return parseLosses(text, path, file);
}
