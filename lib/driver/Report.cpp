#include "lib/driver/Report.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include "lib/driver/CheckedFile.h"
#include "lib/support/SizeText.h"
#include "lib/support/TimeText.h"

using namespace llvm;
using namespace sq;

double DimChoice::evaluate(const std::string &formula) const {
  double value = -1;
  evaluateSize(
      formula,
      [&](const std::string &name, double &v) {
        if (name == "threads()") {
          v = 1;
          return true;
        }
        for (const auto &[known, size] : dims)
          if (known == name) {
            v = size;
            return true;
          }
        return false;
      },
      value);
  return value;
}

std::string DimChoice::text() const {
  std::string text;
  for (const auto &[name, size] : dims)
    text += formatv("{0}{1}={2:f0}", text.empty() ? "" : ", ", name, size).str();
  return text.empty() ? "fixed shapes" : text;
}

std::string sq::dimName(const ManifestTensor &tensor, size_t axis) {
  const std::string &symbol = tensor.dims[axis].name;
  return symbol.empty() ? tensor.name + ":" + std::to_string(axis) : symbol;
}

DimChoice sq::typicalDims(ArrayRef<ManifestTensor> inputs) {
  DimChoice choice;
  for (const ManifestTensor &input : inputs)
    for (auto [axis, dim] : enumerate(input.dims)) {
      std::string name = dimName(input, axis);
      if (dim.min == dim.max || any_of(choice.dims, [&](auto &known) { return known.first == name; }))
        continue;
      int64_t usual = axis == 0 ? 1 : 128;
      choice.dims.emplace_back(name, std::min(std::max(usual, dim.min), dim.max));
    }
  return choice;
}

Report::Report(std::string modelPath, std::vector<std::string> cpuLevels, Schedule s,
               const Manifest &manifest, int64_t weightSize)
    : model(std::move(modelPath)), levels(std::move(cpuLevels)), schedule(std::move(s)),
      neighbours(findNeighbours(schedule)), weightBytes(weightSize), typical(typicalDims(manifest.inputs)) {
  largest.emplace();
  for (const auto &[name, size] : typical.dims)
    for (const ManifestTensor &input : manifest.inputs)
      for (auto [axis, dim] : enumerate(input.dims)) {
        if (dim.min == dim.max || dimName(input, axis) != name || !largest ||
            any_of(largest->dims, [&, &name = name](auto &known) { return known.first == name; }))
          continue;
        if (dim.max == INT64_MAX)
          largest.reset();
        else
          largest->dims.emplace_back(name, dim.max);
      }
  if (typical.dims.empty())
    largest.reset();
  // What a program with caches has instead of its past
  // (passes/CacheStates.cpp): a cache that the new places fill, and all of them
  // asked for.
  if (manifest.cache)
    for (DimChoice *choice : {&typical, largest ? &*largest : nullptr}) {
      const ManifestState &first = manifest.cache->states.front();
      const ManifestTensor &past = manifest.inputs[std::max(first.input, 0)],
                           &tokens = manifest.inputs[manifest.cache->tokens];
      auto sizeOf = [&](const ManifestTensor &tensor, size_t axis) {
        for (const auto &[name, size] : choice->dims)
          if (name == dimName(tensor, axis))
            return size;
        return static_cast<double>(tensor.dims[axis].min);
      };
      if (!choice)
        continue;
      double added = sizeOf(tokens, 1);
      choice->dims.emplace_back("capacity", (first.input < 0 ? 0 : sizeOf(past, first.axis)) + added);
      choice->dims.emplace_back("rows", added);
    }
  for (auto [i, buffer] : enumerate(schedule.buffers))
    if (buffer.kind == ScheduledBuffer::Weight)
      weights.push_back(i);
  sort(weights, [&](int a, int b) {
    return std::pair(-schedule.buffers[a].bytes.constant().value_or(0), a) <
           std::pair(-schedule.buffers[b].bytes.constant().value_or(0), b);
  });
}

void Report::setLayers(std::vector<LayerDecision> decided) {
  layers = std::move(decided);
  for (const LayerDecision &layer : layers) {
    // The product carries the names of all that it fuses, and what rounds its input only some of them.
    int best = -1;
    for (size_t i = 0; i < schedule.kernels.size(); ++i) {
      const auto &kernel = schedule.kernels[i];
      bool holdsAll = all_of(layer.nodes, [&](const std::string &node) { return is_contained(kernel.nodes, node); });
      bool isProduct = is_contained(kernel.parts, "product");
      if (holdsAll && !layer.nodes.empty() && isProduct && !kernel.isAlternative)
        best = i;
    }
    layerKernels.push_back(best);
  }
}

LayerText sq::describe(const LayerDecision &layer) {
  LayerText text;
  text.precision = precisionName(layer.precision).str();
  if (layer.input) {
    text.range = formatv("{0} .. {1}", format("%.4g", layer.input->low), format("%.4g", layer.input->high));
    if (layer.input->alpha)
      text.range += formatv(" (alpha {0:f2})", *layer.input->alpha);
  }
  if (layer.sqnr)
    text.sqnr = formatv("{0:f1}", *layer.sqnr);
  auto both = [](const std::optional<LayerTimes> &times) {
    return times ? timeText(times->int8) + " / " + timeText(times->f32) : "";
  };
  text.predicted = both(layer.predicted);
  text.measured = both(layer.measured);
  text.why = layer.why;
  if (layer.compressed)
    text.range = formatv("{0:f3} bits: {1}", layer.compressed->bitsPerWeight, layer.compressed->format);
  return text;
}

std::string sq::precisionSummary(ArrayRef<LayerDecision> layers) {
  size_t bytes = 0, compressed = 0;
  double stored = 0, weights = 0, bits = 0, ofBytes = 0;
  for (const LayerDecision &layer : layers)
    if (isInteger(layer.precision)) {
      ++bytes;
      bits += double(layer.shape.k) * layer.shape.n * precisionBits(layer.precision);
      ofBytes += double(layer.shape.k) * layer.shape.n;
    }
  for (const LayerDecision &layer : layers)
    if (layer.compressed) {
      ++compressed;
      stored += layer.compressed->bytes;
      weights += double(layer.shape.k) * layer.shape.n;
    }
  if (!compressed) {
    std::string fewer = bits < 8 * ofBytes ? formatv(", weights of {0:f2} bits on average", bits / ofBytes).str() : "";
    return formatv("{0} of {1} in int8{2}", bytes, layers.size(), fewer);
  }
  std::string text = formatv("weights of {0} of {1} compressed, {2:f3} bits a weight, {3}", compressed, layers.size(), 8 * stored / weights,
                             withUnit(stored, "B"));
  if (bytes)
    text += formatv("; {0} in int8", bytes);
  return text;
}

MemoryUse Report::use(const DimChoice &dims) const {
  MemoryUse use;
  use.arena = dims.evaluate(schedule.arenaBytes);
  auto aliveAt = [&](int kernel) {
    std::vector<int> alive;
    for (auto [i, b] : enumerate(schedule.buffers))
      if (b.kind == ScheduledBuffer::Arena && b.first() <= kernel && kernel <= b.last())
        alive.push_back(i);
    return alive;
  };
  auto bytes = [&](int buffer) { return std::max(dims.evaluate(schedule.buffers[buffer].bytes), 0.0); };
  for (int kernel = 0; kernel < static_cast<int>(schedule.kernels.size()); ++kernel) {
    std::vector<int> alive = aliveAt(kernel);
    double live = 0;
    for (int buffer : alive)
      live += bytes(buffer);
    if (live > use.live) {
      use.live = live;
      use.fullest = kernel;
      use.alive = std::move(alive);
    }
  }
  sort(use.alive, [&](int a, int b) { return std::pair(-bytes(a), a) < std::pair(-bytes(b), b); });
  return use;
}

double Report::total(std::string ScheduledKernel::*formula) const {
  double total = 0;
  for (const ScheduledKernel &kernel : schedule.kernels)
    if (!kernel.isAlternative)
      total += std::max(typical.evaluate(kernel.*formula), 0.0);
  return total;
}

std::string sq::withUnit(double value, StringRef unit) {
  if (value < 0)
    return "?";
  const char *prefix = "";
  for (const char *next : {"k", "M", "G", "T"}) {
    if (value < 999.5)
      break;
    value /= 1000;
    prefix = next;
  }
  int digits = !*prefix && value == static_cast<int64_t>(value) ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return formatv("{0} {1}{2}", format("%.*f", digits, value), prefix, unit).str();
}

//===-- JSON ---------------------------------------------------------------===//

namespace {

const char *kindName(ScheduledBuffer::Kind kind) {
  switch (kind) {
  case ScheduledBuffer::Input:
    return "input";
  case ScheduledBuffer::Output:
    return "output";
  case ScheduledBuffer::Weight:
    return "weight";
  case ScheduledBuffer::Arena:
    return "arena";
  }
  return "";
}

json::Value number(double value) { return value < 0 ? json::Value(nullptr) : json::Value(value); }

/// A formula and its value for the typical dims.
json::Object sized(const Report &report, const std::string &formula) {
  return json::Object{{"formula", formula}, {"typical", number(report.typical.evaluate(formula))}};
}

json::Array indices(const std::vector<int> &list) {
  json::Array array;
  for (int i : list)
    array.push_back(i);
  return array;
}

json::Value dimsOf(const DimChoice &dims) {
  json::Object object;
  for (const auto &[name, size] : dims.dims)
    object[name] = size;
  return object;
}

json::Value resourcesOf(const ScheduledKernel &kernel) {
  if (!kernel.resources)
    return nullptr;
  const KernelResources &r = *kernel.resources;
  return json::Object{{"function", r.function},       {"threads", r.threads},
                      {"registers", r.registers},     {"shared_bytes", r.sharedBytes},
                      {"spill_bytes", r.spillBytes},  {"stack_bytes", r.stackBytes},
                      {"occupancy", r.occupancy}};
}

json::Object memory(const Report &report, const DimChoice &dims) {
  MemoryUse use = report.use(dims);
  return json::Object{{"dims", dimsOf(dims)},
                      {"arena_bytes", number(use.arena)},
                      {"live_bytes", use.live},
                      {"fullest_kernel", use.fullest},
                      {"alive_buffers", indices(use.alive)}};
}

json::Value timesOf(const std::optional<LayerTimes> &times) {
  if (!times)
    return nullptr;
  return json::Object{{"int8_seconds", times->int8}, {"f32_seconds", times->f32}};
}

json::Value inputOf(const std::optional<InputRange> &input) {
  if (!input)
    return nullptr;
  return json::Object{{"low", input->low},
                      {"high", input->high},
                      {"scale", input->scale},
                      {"zero", input->zero},
                      {"alpha", input->alpha ? json::Value(*input->alpha) : json::Value(nullptr)}};
}

json::Value compressedOf(const std::optional<CompressedSize> &weight) {
  if (!weight)
    return nullptr;
  return json::Object{{"format", weight->format},
                      {"bits_per_weight", weight->bitsPerWeight},
                      {"bytes", weight->bytes},
                      {"sparse", weight->sparse},
                      {"relative_error", weight->error}};
}

json::Array layersOf(const Report &report) {
  json::Array layers;
  for (auto [layer, kernel] : zip(report.layers, report.layerKernels))
    layers.push_back(json::Object{{"name", layer.name},
                                  {"nodes", json::Array(layer.nodes)},
                                  {"weight", layer.weight},
                                  {"k", layer.shape.k},
                                  {"n", layer.shape.n},
                                  {"rows", layer.shape.rows},
                                  {"precision", precisionName(layer.precision)},
                                  {"why", layer.why},
                                  {"input", inputOf(layer.input)},
                                  {"expected_sqnr_db", layer.sqnr ? json::Value(*layer.sqnr) : json::Value(nullptr)},
                                  {"compressed", compressedOf(layer.compressed)},
                                  {"predicted", timesOf(layer.predicted)},
                                  {"measured", timesOf(layer.measured)},
                                  {"kernel", kernel < 0 ? json::Value(nullptr) : json::Value(kernel)}});
  return layers;
}

} // namespace

void sq::writeReportJson(const Report &report, raw_ostream &os) {
  json::Array kernels, buffers, notFused, weights;
  for (const ScheduledKernel &k : report.schedule.kernels)
    kernels.push_back(json::Object{{"name", k.name},
                                   {"kind", k.kind},
                                   {"parts", json::Array(k.parts)},
                                   {"nodes", json::Array(k.nodes)},
                                   {"flops", sized(report, k.flops)},
                                   {"bytes_read", sized(report, k.reads)},
                                   {"bytes_written", sized(report, k.writes)},
                                   {"inputs", indices(k.inputs)},
                                   {"outputs", indices(k.outputs)},
                                   {"alternative", k.isAlternative},
                                   {"resources", resourcesOf(k)}});
  for (const ScheduledBuffer &b : report.schedule.buffers)
    buffers.push_back(json::Object{{"kind", kindName(b.kind)},
                                   {"name", b.name},
                                   {"type", b.type},
                                   {"bytes", sized(report, b.bytes.text())},
                                   {"offset", sized(report, b.offset.text())},
                                   {"readers", indices(b.readers)},
                                   {"writers", indices(b.writers)}});
  for (const Neighbours &n : report.neighbours)
    notFused.push_back(json::Object{{"producer", n.producer},
                                    {"consumer", n.consumer},
                                    {"buffer", n.buffer},
                                    {"reason", n.reason}});
  json::Object object{{"model", report.model},
                      {"levels", json::Array(report.levels)},
                      {"kernels", std::move(kernels)},
                      {"buffers", std::move(buffers)},
                      {"not_fused", std::move(notFused)},
                      {"arena_bytes", report.schedule.arenaBytes.text()},
                      {"data_dependent_arenas", report.schedule.dataArenas},
                      {"weight_bytes", report.weightBytes},
                      {"weights", indices(report.weights)},
                      {"typical", memory(report, report.typical)}};
  if (!report.layers.empty())
    object["layers"] = layersOf(report);
  if (report.assigned)
    object["assignment"] = report.assigned->json;
  if (report.largest)
    object["largest"] = memory(report, *report.largest);
  os << formatv("{0:2}\n", json::Value(std::move(object)));
}

//===-- Files --------------------------------------------------------------===//

bool sq::isReportName(StringRef path) {
  return path == "-" || path.ends_with(".json") || path.ends_with(".html") || path.ends_with(".txt");
}

Error sq::writeReport(const Report &report, const std::string &path) {
  auto write = [&](raw_ostream &os) {
    if (StringRef(path).ends_with(".json"))
      writeReportJson(report, os);
    else if (StringRef(path).ends_with(".html"))
      writeReportHtml(report, os);
    else
      writeReportText(report, os);
  };
  if (path == "-") {
    write(outs());
    return Error::success();
  }
  Error error = writeChecked(path, WriteMode::Replace, [&](raw_ostream &os) {
    write(os);
    return Error::success();
  });
  if (!error)
    return error;
  return createStringError("cannot write the report '" + path + "': " + toString(std::move(error)));
}
