#include "lib/sensitivity/Targets.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/sensitivity/Philox.h"
#include "lib/tensorio/File.h"
#include "passes/GradientProgram.h"

namespace sq::sensitivity {

using calibration::openSamples;

constexpr uint32_t kLabelPurpose = 1; // of random blocks

int64_t sampleClass(const float *logits, int64_t classes, double u) {
  double most = -HUGE_VAL, sum = 0;
  for (int64_t c = 0; c < classes; ++c) {
    if (std::isnan(logits[c]))
      return -1;
    most = std::max<double>(most, logits[c]);
  }
  for (int64_t c = 0; c < classes; ++c)
    sum += std::exp(logits[c] - most);
  if (!(sum > 0) || !std::isfinite(sum))
    return -1;
  double reached = 0;
  int64_t last =
      0; // of those with a share: u may be all of the sum, up to rounding
  for (int64_t c = 0; c < classes; ++c) {
    double share = std::exp(logits[c] - most);
    if (share == 0)
      continue;
    last = c;
    reached += share;
    if (reached > u * sum)
      return c;
  }
  return last;
}

Status Targets::open(const std::string &data, const RunnerOptions &model,
                     const TargetOptions &chosen, const std::vector<Port> &all,
                     const ModelInfo &info) {
  options = chosen;
  tables = info.tables;
  classes = info.classes;
  for (const Port &port : all) {
    bool isTarget = port.name == kLabels || port.name == kReference;
    bool isWeight =
        port.name.compare(0, sizeof kWeightPrefix - 1, kWeightPrefix) == 0;
    if (!isTarget && !isWeight)
      ports.push_back(port);
  }
  int label = findPort(all, kLabels);
  given =
      options.loss == "cross-entropy" && !options.sample && label >= 0 &&
      (exists(data + "/tokens.npy") || exists(data + "/" + kLabels + ".npy"));
  if (given)
    ports.push_back(all[label]);
  if (Status s = openSamples(data, ports, samples); !s.ok())
    return s;
  if (given && classes)
    return {};
  // The model itself says how many classes there are, and what it would answer.
  forward = std::make_unique<Runner>();
  if (Status s = forward->compile(model, std::nullopt); !s.ok())
    return s;
  for (size_t i = 0; i < forward->outputs().size() && output < 0; ++i) {
    const Port &port = forward->outputs()[i];
    if (options.output.empty() ? isFloat(port.dtype)
                               : port.name == options.output)
      output = static_cast<int>(i);
  }
  if (output < 0 || forward->outputs()[output].dtype != DType::f32)
    return Status::refused("the model has no result '" + options.output +
                           "' of f32 to be judged");
  return {};
}

Status Targets::read(int64_t index) {
  if (Status s = samples->read(index, 1, inputs); !s.ok())
    return s;
  if (Status s = calibration::checkIndices(ports, inputs, tables, title(index));
      !s.ok())
    return s;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (isFloat(inputs[i].dtype))
      for (int64_t k = 0, end = inputs[i].numElements(); k < end; ++k)
        if (std::isnan(inputs[i].asDouble(k)))
          return Status::refused(title(index) + ": input '" + ports[i].name +
                                 "' holds NaN; remove the sample or mend it");
  return {};
}

Status Targets::hash(int64_t index, uint64_t &hash) {
  if (Status s = read(index); !s.ok())
    return s;
  for (const Tensor &input : inputs) {
    hash = XXH3_64bits_withSeed(input.shape.data(),
                                input.shape.size() * sizeof(int64_t), hash);
    hash = XXH3_64bits_withSeed(input.bytes.data(), input.bytes.size(), hash);
  }
  return {};
}

static Status copyTo(const Tensor &from, Tensor &to) {
  if (Status s = to.allocate(from.dtype, from.shape); !s.ok())
    return s;
  std::memcpy(to.bytes.data(), from.bytes.data(), from.bytes.size());
  return {};
}

Status Targets::set(int64_t index, Runner &runner) {
  if (Status s = read(index); !s.ok())
    return s;
  if (forward)
    if (Status s = makeTarget(index, runner); !s.ok())
      return s;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (given && i + 1 == ports.size())
      if (Status s = checkLabels(index, inputs[i], classes); !s.ok())
        return s;
    if (Tensor *to = runner.input(ports[i].name))
      *to = std::move(inputs[i]);
  }
  return {};
}

Status Targets::checkLabels(int64_t index, const Tensor &labels,
                            int64_t limit) const {
  int64_t counting = 0;
  for (int64_t k = 0, end = labels.numElements(); k < end; ++k) {
    int64_t label = labels.asInt(k);
    if (label >= limit)
      return Status::refused(title(index) + ": label " + std::to_string(label) +
                             " is none of the model's " +
                             std::to_string(limit) + " classes, 0 to " +
                             std::to_string(limit - 1));
    counting += label >= 0;
  }
  if (!counting)
    return Status::refused(title(index) +
                           " has no label of 0 or more, so there is no loss");
  return {};
}

Status Targets::makeTarget(int64_t index, Runner &runner) {
  for (size_t i = 0; i < ports.size(); ++i)
    if (Tensor *to = forward->input(ports[i].name))
      if (Status s = copyTo(inputs[i], *to); !s.ok())
        return s;
  Status s = forward->run();
  Tensor y;
  if (s.ok())
    s = forward->output(output, y);
  if (!s.ok()) {
    s.message = title(index) + ": " + s.message;
    return s;
  }
  for (int64_t k = 0, end = y.numElements(); k < end; ++k)
    if (!std::isfinite(y.asDouble(k)))
      return Status::refused(
          title(index) + ": the model's output holds " +
          (std::isnan(y.asDouble(k)) ? "NaN" : "infinite values"));
  if (y.shape.size() < 2)
    return Status::refused(
        "the model's output has no dim of classes behind its samples");
  classes = y.shape.back();
  if (given)
    return {};
  auto number = static_cast<uint32_t>(index);
  const float *values = reinterpret_cast<const float *>(y.bytes.data());
  if (options.loss == "cross-entropy") {
    Tensor *labels = runner.input(kLabels);
    int64_t rows = classes ? y.numElements() / classes : 0;
    std::vector<int64_t> shape(y.shape.begin(), y.shape.end() - 1);
    if (Status allocated = labels->allocate(DType::i64, shape); !allocated.ok())
      return allocated;
    for (int64_t r = 0; r < rows; ++r) {
      auto block = randomBlock(options.seed, kLabelPurpose, number, r);
      labels->setInt(r, sampleClass(values + r * classes, classes,
                                    uniform(block[0], block[1])));
    }
    return {};
  }
  Tensor *reference = runner.input(kReference);
  if (!options.exact)
    for (int64_t k = 0, end = y.numElements(); k < end; ++k)
      y.setDouble(
          k, y.asDouble(k) +
                 normal(randomBlock(options.seed, kLabelPurpose, number, k)));
  *reference = std::move(y);
  return {};
}

} // namespace sq::sensitivity
