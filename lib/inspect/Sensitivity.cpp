#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include <cmath>
#include <numeric>

#include "lib/inspect/Inspect.h"

using namespace llvm;
using namespace sq;
using namespace sq::sensitivity;

namespace {

/// The mean over samples and elements of the squared gradients; less than 0:
/// there are none.
Status meanSquare(const SensitivityFile &file, size_t index, double &mean) {
  const LayerSensitivity &layer = file.head().layers[index];
  std::vector<float> sums;
  if (Status s = file.readFisher(index, sums); !s.ok())
    return s;
  mean = sums.empty() ? -1
                      : std::accumulate(sums.begin(), sums.end(), 0.0) /
                            double(sums.size()) / double(layer.position);
  return {};
}

std::string number(double value) { return formatv("{0:e3}", value).str(); }

std::string traceText(const Trace &trace) {
  if (!trace.probes)
    return "-";
  std::string error =
      trace.probes < 2 ? "?" : formatv("{0:e1}", trace.standardError()).str();
  return formatv("{0} +- {1} ({2})", number(trace.mean), error, trace.probes)
      .str();
}

std::string eigenvalueText(const LayerSensitivity &layer) {
  return layer.eigenvalueSteps ? formatv("{0} ({1})", number(layer.eigenvalue),
                                         layer.eigenvalueSteps)
                                     .str()
                               : "-";
}

} // namespace

Status inspect::printSensitivity(const std::string &path,
                                 const SensitivityFile &file, raw_ostream &os) {
  const Sensitivity &head = file.head();
  os << formatv(
      "{0}: {1} of model {2}{3}\n", path,
      head.layers.size() == 1 ? "one layer"
                              : formatv("{0} layers", head.layers.size()).str(),
      hashText(head.model),
      head.isComplete ? "" : ", interrupted (sq-sensitivity --resume goes on)");
  os << formatv("  loss    {0}, labels {1}, seed {2}\n", head.loss,
                head.hasSampledLabels ? "sampled from the model"
                                      : "of the data",
                head.seed);
  os << "  from    " << head.source << "\n\n";
  os << formatv("{0,14} {1,10} {2,8} {3,10} {4,28} {5,17}  layer\n", "shape",
                "elements", "samples", "mean F", "trace +- s.e. (probes)",
                "eigenvalue (steps)");
  for (auto [i, layer] : llvm::enumerate(head.layers)) {
    double mean;
    if (Status s = meanSquare(file, i, mean); !s.ok())
      return s;
    os << formatv("{0,14} {1,10} {2,8} {3,10} {4,28} {5,18}  {6}",
                  formatv("{0} x {1}", layer.rows, layer.columns).str(),
                  layer.elements(), layer.position,
                  mean < 0 ? "-" : number(mean), traceText(layer.trace),
                  eigenvalueText(layer), layer.name);
    for (const std::string &other : layer.layers)
      if (other != layer.name)
        os << ", " << other;
    os << '\n';
  }
  return {};
}

Status inspect::printSensitivityJson(const SensitivityFile &file,
                                     raw_ostream &os) {
  const Sensitivity &head = file.head();
  json::Array layers;
  for (auto [i, layer] : llvm::enumerate(head.layers)) {
    json::Object object{
        {"name", layer.name},       {"layers", json::Array(layer.layers)},
        {"weight", layer.weight},   {"rows", layer.rows},
        {"columns", layer.columns}, {"samples", layer.position}};
    double mean;
    if (Status s = meanSquare(file, i, mean); !s.ok())
      return s;
    if (mean >= 0)
      object["mean_square"] = mean;
    if (layer.trace.probes) {
      json::Object trace{{"mean", layer.trace.mean},
                         {"probes", int64_t(layer.trace.probes)}};
      if (layer.trace.probes > 1)
        trace["standard_error"] = layer.trace.standardError();
      object["trace"] = std::move(trace);
    }
    if (layer.eigenvalueSteps)
      object["eigenvalue"] =
          json::Object{{"value", layer.eigenvalue},
                       {"steps", int64_t(layer.eigenvalueSteps)},
                       {"change", layer.eigenvalueChange}};
    layers.push_back(std::move(object));
  }
  os << formatv("{0:2}\n", json::Value(json::Object{
                               {"model", hashText(head.model)},
                               {"loss", head.loss},
                               {"source", head.source},
                               {"sampled_labels", head.hasSampledLabels},
                               {"seed", int64_t(head.seed)},
                               {"samples", head.samples},
                               {"hessian_samples", head.hessianSamples},
                               {"complete", head.isComplete},
                               {"layers", std::move(layers)}}));
  return {};
}
