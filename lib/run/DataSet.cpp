#include "lib/run/DataSet.h"

#include <algorithm>
#include <cstring>

#include "lib/tensorio/File.h"
#include "lib/tensorio/Npy.h"
#include "lib/tensorio/Npz.h"
#include "lib/tensorio/TensorProto.h"

namespace sq {

/// The dims of an empty past of `rows` sequences; empty when the input is none.
static std::vector<int64_t> emptyPast(const Port &port, int64_t rows) {
  std::vector<int64_t> shape = {rows};
  int free = 0; // dims that the model leaves open
  for (size_t axis = 1; axis < port.dims.size(); ++axis) {
    const sq_dim_info &dim = port.dims[axis];
    free += dim.min != dim.max;
    shape.push_back(dim.min);
    if (dim.min != dim.max && dim.min != 0)
      return {};
  }
  return isFloat(port.dtype) && shape.size() == 4 && free == 1 ? shape : std::vector<int64_t>();
}

Status inputOfTokens(const Port &port, const Tensor &tokens, Tensor &input) {
  int64_t rows = tokens.shape[0], columns = tokens.shape[1] - 1;
  if (std::vector<int64_t> past = emptyPast(port, rows); !past.empty())
    return input.allocate(port.dtype, past);
  bool isIds = port.name == "input_ids", isPosition = port.name == "position_ids", isLabel = port.name == "labels";
  if (!isIds && !isPosition && !isLabel && port.name.find("mask") == std::string::npos)
    return Status::refused("input '" + port.name +
                           "' can neither be made from tokens.npy nor read from its own file");
  if (Status s = input.allocate(port.dtype, {rows, columns}); !s.ok())
    return s;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      int64_t value = isIds || isLabel ? tokens.asInt(r * (columns + 1) + c + isLabel) : isPosition ? c : 1;
      if (!input.setInt(r * columns + c, value))
        return Status::refused("token " + std::to_string(value) + " does not fit " +
                               dtypeName(port.dtype) + " of input '" + port.name + "'");
    }
  return {};
}

Status DataSetReader::open(const std::string &path, const std::vector<Port> &inputs) {
  ports = inputs;
  files.resize(ports.size());
  isOfTokens.assign(ports.size(), false);
  if (ports.empty())
    return Status::refused("the model has no inputs to take samples from");
  bool isArchive = path.size() > 4 && path.compare(path.size() - 4, 4, ".npz") == 0 && !isDirectory(path);
  std::shared_ptr<InputFile> archive;
  std::vector<NpzMember> members;
  if (isArchive) {
    archive = std::make_shared<InputFile>();
    if (Status s = archive->open(path); !s.ok())
      return s;
    if (Status s = listNpz(*archive, members); !s.ok())
      return s;
  } else if (!isDirectory(path)) {
    return Status::refused("'" + path + "' is not a folder");
  }
  auto memberOf = [&](const std::string &name) {
    return std::find_if(members.begin(), members.end(), [&](const NpzMember &m) { return m.name == name; });
  };
  auto has = [&](const std::string &name) {
    return isArchive ? memberOf(name) != members.end() : exists(path + "/" + name + ".npy");
  };
  auto openArray = [&](const std::string &name, NpyFile &file) {
    if (!isArchive)
      return file.open(path + "/" + name + ".npy");
    auto member = memberOf(name);
    if (member == members.end())
      return Status::refused("'" + path + "' holds no array '" + name + "'");
    return file.open(archive, name, member->offset, member->size);
  };

  hasTokens = has("tokens");
  if (hasTokens) {
    if (Status s = openArray("tokens", tokens); !s.ok())
      return s;
    if (tokens.shape().size() != 2 || tokens.shape()[1] < 2 || isFloat(tokens.dtype()))
      return Status::refused(tokens.title() + " is " + typeString(tokens.dtype(), tokens.shape()) +
                             ", expected integers [rows, tokens + 1]");
  }
  for (size_t i = 0; i < ports.size(); ++i) {
    isOfTokens[i] = hasTokens && !has(ports[i].name);
    if (!isOfTokens[i])
      if (Status s = openArray(ports[i].name, files[i]); !s.ok())
        return s;
    const NpyFile &file = fileOf(i);
    const std::vector<int64_t> &shape = file.shape();
    if (shape.empty() || (i && shape[0] != count))
      return Status::refused(file.title() + " is " + typeString(file.dtype(), shape) + ", expected " +
                             (i ? std::to_string(count) + " samples like '" + ports[0].name + "'"
                                : "samples as the first dimension"));
    count = shape[0];
  }
  if (count == 0)
    return Status::refused("'" + path + "' holds no samples");
  // Element types that do not fit are told now, not after hours.
  std::vector<Tensor> none;
  return read(0, 0, none);
}

Status DataSetReader::checkShapes() const {
  for (size_t i = 0; i < ports.size(); ++i) {
    if (isOfTokens[i])
      continue;
    const std::vector<int64_t> &shape = files[i].shape();
    const std::vector<sq_dim_info> &dims = ports[i].dims;
    bool fits = shape.size() == dims.size();
    for (size_t axis = 1; fits && axis < dims.size(); ++axis) // the first one is the samples'
      fits = shape[axis] >= dims[axis].min && shape[axis] <= dims[axis].max;
    if (!fits)
      return Status::refused(files[i].title() + " is " + typeString(files[i].dtype(), shape) + ", expected " +
                             ports[i].describe());
  }
  return {};
}

Status DataSetReader::read(int64_t begin, int64_t number, std::vector<Tensor> &inputs) const {
  inputs.clear();
  inputs.resize(ports.size());
  for (size_t i = 0; i < ports.size(); ++i) {
    if (isOfTokens[i]) {
      Tensor rows;
      if (Status s = tokens.readRows(begin, number, rows); !s.ok())
        return s;
      if (Status s = inputOfTokens(ports[i], rows, inputs[i]); !s.ok())
        return s;
      continue;
    }
    if (Status s = files[i].readRows(begin, number, inputs[i]); !s.ok())
      return s;
    if (Status s = fitInput(ports[i], inputs[i]); !s.ok()) {
      s.message = files[i].title() + ": " + s.message;
      return s;
    }
  }
  return {};
}

Status readDataSet(const std::string &folder, const std::vector<Port> &ports, DataSet &data) {
  DataSetReader reader;
  if (Status s = reader.open(folder, ports); !s.ok())
    return s;
  data.folder = folder;
  data.samples = reader.samples();
  data.hasTokens = reader.tokensFile();
  if (data.hasTokens)
    if (Status s = reader.tokensFile()->read(data.tokens); !s.ok())
      return s;
  return reader.read(0, data.samples, data.inputs);
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

Status runSamples(Session &session, const DataSet &data, int64_t begin, int64_t count, int index, Tensor &output) {
  std::vector<Tensor> inputs(data.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i)
    if (Status s = slice(data.inputs[i], begin, count, inputs[i]); !s.ok())
      return s;
  session.bind(inputs);
  if (Status s = session.run(); !s.ok())
    return s;
  return session.output(index, output);
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
    Tensor output;
    if (Status s = runSamples(session, data, first, count, index, output); !s.ok())
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
