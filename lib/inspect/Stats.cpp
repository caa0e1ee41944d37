#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include "lib/calibration/Range.h"
#include "lib/inspect/Inspect.h"

using namespace llvm;
using namespace sq;
using namespace sq::calibration;

namespace {

constexpr const char *kMethods[] = {"percentile=99.9", "percentile=99.99", "percentile=99.999", "entropy", "mse"};

double thresholdOf(const TensorStats &tensor, StringRef method, int bits) {
  RangeOptions options = *parseMethod(method.str());
  options.bits = bits;
  return chooseRange(tensor, options).max;
}

/// Short where numbers are near 1: a table is read by eye.
std::string shortNumber(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

} // namespace

std::string inspect::hashText(const ModelHash &hash) {
  return formatv("{0:x-16}{1:x-16}", hash.high, hash.low).str();
}

void inspect::printStats(const std::string &path, const Stats &stats, int bits, raw_ostream &os) {
  os << formatv("{0}: {1} of model {2}{3}\n", path, stats.tensors.size() == 1 ? "one tensor" : formatv("{0} tensors", stats.tensors.size()).str(),
                hashText(stats.model), stats.isComplete ? "" : ", interrupted (sq-calibrate --resume goes on)");
  os << formatv("  samples {0}, {1} left out, {2} a run, {3}\n", stats.samples, stats.leftOut, stats.batch,
                stats.orderSeed ? formatv("order of seed {0}", stats.orderSeed).str() : "as they lie");
  os << "  from    " << stats.source << "\n\n";
  os << formatv("{0,10} {1,10} {2,10} {3,10}   thresholds for {4} bits\n", "", "", "moving", "average", bits);
  os << formatv("{0,10} {1,10} {2,10} {3,10} {4,10} {5,10} {6,10} {7,10} {8,10} {9,8}  tensor\n", "min", "max", "min",
                "max", "99.9 %", "99.99 %", "99.999 %", "entropy", "mse", "channels");
  for (const auto &[name, tensor] : stats.tensors) {
    for (double value : {double(tensor.min), double(tensor.max), tensor.averageMin, tensor.averageMax})
      os << right_justify(shortNumber(value), 10) << ' ';
    for (const char *method : kMethods)
      os << right_justify(shortNumber(thresholdOf(tensor, method, bits)), 10) << ' ';
    os << formatv("{0,8}  {1}{2}\n", tensor.channels() ? std::to_string(tensor.channels()) : "-", name,
                  tensor.maxAbs() > 0 ? "" : " (always zero)");
  }
}

void inspect::printStatsJson(const Stats &stats, int bits, raw_ostream &os) {
  json::Array tensors;
  for (const auto &[name, tensor] : stats.tensors) {
    json::Object thresholds;
    for (const char *method : kMethods)
      thresholds[method] = thresholdOf(tensor, method, bits);
    tensors.push_back(json::Object{{"name", name},
                                   {"elements", static_cast<int64_t>(tensor.elements)},
                                   {"channels", static_cast<int64_t>(tensor.channels())},
                                   {"min", tensor.min},
                                   {"max", tensor.max},
                                   {"average_min", tensor.averageMin},
                                   {"average_max", tensor.averageMax},
                                   {"thresholds", std::move(thresholds)}});
  }
  os << formatv("{0:2}\n", json::Value(json::Object{{"model", hashText(stats.model)},
                                                    {"source", stats.source},
                                                    {"samples", stats.samples},
                                                    {"left_out", stats.leftOut},
                                                    {"batch", stats.batch},
                                                    {"order_seed", static_cast<int64_t>(stats.orderSeed)},
                                                    {"complete", stats.isComplete},
                                                    {"bits", bits},
                                                    {"tensors", std::move(tensors)}}));
}
