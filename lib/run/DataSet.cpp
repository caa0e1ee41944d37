#include "lib/run/DataSet.h"

#include <algorithm>
#include <cstring>

#include "lib/tensorio/File.h"
#include "lib/tensorio/Npy.h"
#include "lib/tensorio/TensorProto.h"

namespace sq {
namespace {

/// An input that tokens.npy stands for.
Status inputOfTokens(const Port &port, const Tensor &tokens, Tensor &input) {
  int64_t rows = tokens.shape[0], columns = tokens.shape[1] - 1;
  bool isIds = port.name == "input_ids", isPosition = port.name == "position_ids";
  if (!isIds && !isPosition && port.name.find("mask") == std::string::npos)
    return Status::refused("input '" + port.name +
                           "' can neither be made from tokens.npy nor read from its own file");
  if (Status s = input.allocate(port.dtype, {rows, columns}); !s.ok())
    return s;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      int64_t value = isIds ? tokens.asInt(r * (columns + 1) + c) : isPosition ? c : 1;
      if (!input.setInt(r * columns + c, value))
        return Status::refused("token " + std::to_string(value) + " does not fit " +
                               dtypeName(port.dtype) + " of input '" + port.name + "'");
    }
  return {};
}

} // namespace

Status readDataSet(const std::string &folder, const std::vector<Port> &ports, DataSet &data) {
  data.folder = folder;
  if (!isDirectory(folder))
    return Status::refused("'" + folder + "' is not a folder");
  data.hasTokens = exists(folder + "/tokens.npy");
  if (data.hasTokens) {
    if (Status s = readNpy(folder + "/tokens.npy", data.tokens); !s.ok())
      return s;
    const Tensor &t = data.tokens;
    if (t.shape.size() != 2 || t.shape[1] < 2 || isFloat(t.dtype))
      return Status::refused("'" + folder + "/tokens.npy' is " + typeString(t) +
                             ", expected integers [rows, tokens + 1]");
  }
  if (ports.empty())
    return Status::refused("the model has no inputs to take samples from");
  data.inputs.resize(ports.size());
  for (size_t i = 0; i < ports.size(); ++i) {
    std::string path = folder + "/" + ports[i].name + ".npy";
    Tensor &input = data.inputs[i];
    if (data.hasTokens && !exists(path)) {
      if (Status s = inputOfTokens(ports[i], data.tokens, input); !s.ok())
        return s;
    } else {
      if (Status s = readNpy(path, input); !s.ok())
        return s;
      if (Status s = fitInput(ports[i], input); !s.ok())
        return s;
    }
    if (input.shape.empty() || (i && input.shape[0] != data.samples))
      return Status::refused("'" + path + "' is " + typeString(input) + ", expected " +
                             (i ? std::to_string(data.samples) + " samples like '" +
                                      ports[0].name + "'"
                                : "samples as the first dimension"));
    data.samples = input.shape[0];
  }
  if (data.samples == 0)
    return Status::refused("'" + folder + "' holds no samples");
  return {};
}

std::vector<std::string> testDataSets(const std::string &folder) {
  std::vector<std::string> sets;
  if (exists(folder + "/input_0.pb") || exists(folder + "/output_0.pb"))
    sets.push_back(folder);
  for (int i = 0; exists(folder + "/test_data_set_" + std::to_string(i)); ++i)
    sets.push_back(folder + "/test_data_set_" + std::to_string(i));
  return sets;
}

Status readTestInputs(const std::string &set, const std::vector<Port> &ports, std::vector<Tensor> &inputs) {
  inputs.clear();
  inputs.resize(ports.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (Status s = readTensorProto(set + "/input_" + std::to_string(i) + ".pb", inputs[i]); !s.ok())
      return s;
    if (Status s = fitInput(ports[i], inputs[i]); !s.ok())
      return s;
  }
  return {};
}

Status slice(const Tensor &from, int64_t begin, int64_t count, Tensor &to) {
  std::vector<int64_t> shape = from.shape;
  size_t row = from.bytes.size() / shape[0];
  shape[0] = count;
  if (Status s = to.allocate(from.dtype, std::move(shape)); !s.ok())
    return s;
  std::memcpy(to.bytes.data(), from.bytes.data() + begin * row, count * row);
  return {};
}

Status runDataSet(const Module &module, const DataSet &data, int64_t batch, int threads, int index,
                  const EachOutput &each) {
  // What every input takes as its first dimension.
  int64_t min = 1, max = INT64_MAX;
  for (const Port &port : module.inputs())
    if (!port.dims.empty()) {
      min = std::max(min, port.dims[0].min);
      max = std::min(max, port.dims[0].max);
    }
  if (batch == 0)
    batch = std::max(min, std::min<int64_t>(max, 8));
  if (batch < min || batch > max)
    return Status::refused("--batch-size=" + std::to_string(batch) + ": the model takes " +
                           std::to_string(min) + " to " + std::to_string(max) + " samples");
  if (data.samples < min)
    return Status::refused("'" + data.folder + "' holds " + std::to_string(data.samples) +
                           " samples, the model takes at least " + std::to_string(min));
  Session session;
  if (Status s = session.create(module, threads); !s.ok())
    return s;
  for (int64_t done = 0; done < data.samples;) {
    int64_t count = std::min(batch, data.samples - done), skip = 0;
    if (count < min) { // run some samples again rather than make up new ones
      skip = min - count;
      count = min;
    }
    int64_t first = done - skip;
    std::vector<Tensor> inputs(data.inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i)
      if (Status s = slice(data.inputs[i], first, count, inputs[i]); !s.ok())
        return s;
    session.bind(inputs);
    if (Status s = session.run(); !s.ok())
      return s;
    Tensor output;
    if (Status s = session.output(index, output); !s.ok())
      return s;
    if (output.shape.empty() || output.shape[0] != count)
      return Status::refused("output '" + output.name + "' is " + typeString(output) +
                             ", expected the " + std::to_string(count) +
                             " samples of the batch as its first dimension");
    if (Status s = each(first, skip, output); !s.ok())
      return s;
    done = first + count;
  }
  return {};
}

} // namespace sq
