#include "lib/calibration/Samples.h"

#include <algorithm>
#include <cstring>
#include <dirent.h>

#include "lib/run/DataSet.h"
#include "lib/tensorio/File.h"

namespace sq::calibration {
namespace {

std::string titleOf(const std::string &what, int64_t first, int64_t number) {
  if (number == 1)
    return "sample " + std::to_string(first) + " of '" + what + "'";
  return "samples " + std::to_string(first) + " to " + std::to_string(first + number - 1) + " of '" + what + "'";
}

std::string counted(int64_t count) { return std::to_string(count) + (count == 1 ? " sample" : " samples"); }

class ArraySamples : public Samples {
public:
  Status open(const std::string &path, const std::vector<Port> &inputs) {
    where = path;
    int64_t most = INT64_MAX;
    for (const Port &port : inputs)
      if (!port.dims.empty()) {
        unit = std::max(unit, port.dims[0].min);
        most = std::min(most, port.dims[0].max);
      }
    atOnce = most / unit;
    if (Status s = reader.open(path, inputs); !s.ok())
      return s;
    if (reader.samples() < unit)
      return Status::refused("'" + path + "' holds " + counted(reader.samples()) + ", the model takes at least " +
                             std::to_string(unit));
    return reader.checkShapes();
  }
  int64_t count() const override { return reader.samples() / unit; }
  int64_t joinable(int64_t first) const override { return std::min(count() - first, atOnce); }
  Status read(int64_t first, int64_t number, std::vector<Tensor> &inputs) override {
    return reader.read(first * unit, number * unit, inputs);
  }
  std::string title(int64_t first, int64_t number) const override {
    return titleOf(where, first * unit, number * unit);
  }
  std::string description() const override { return "'" + where + "': " + counted(reader.samples()); }

private:
  std::string where;
  DataSetReader reader;
  int64_t unit = 1, atOnce = 1;
};

/// Folders of input_0.pb ...; each is a sample, whatever its batch.
class TestDataSamples : public Samples {
public:
  TestDataSamples(std::string where, std::vector<std::string> sets, const std::vector<Port> &inputs)
      : where(std::move(where)), sets(std::move(sets)), ports(inputs) {}
  int64_t count() const override { return sets.size(); }
  Status read(int64_t first, int64_t, std::vector<Tensor> &inputs) override {
    Status s = readTestInputs(sets[first], ports, inputs);
    if (!s.ok() && s.message.find(sets[first]) == std::string::npos)
      s.message = "'" + sets[first] + "': " + s.message;
    return s;
  }
  int64_t joinable(int64_t) const override { return 1; }
  std::string title(int64_t first, int64_t) const override { return "'" + sets[first] + "'"; }
  std::string description() const override { return "'" + where + "': " + counted(count()); }

private:
  std::string where;
  std::vector<std::string> sets;
  std::vector<Port> ports;
};

class JoinedSamples : public Samples {
public:
  explicit JoinedSamples(std::vector<std::unique_ptr<Samples>> joined) : parts(std::move(joined)) {
    for (const auto &part : parts)
      total += part->count();
  }
  int64_t count() const override { return total; }
  Status read(int64_t first, int64_t number, std::vector<Tensor> &inputs) override {
    Samples &part = partOf(first);
    return part.read(first, number, inputs);
  }
  int64_t joinable(int64_t first) const override {
    Samples &part = partOf(first);
    return part.joinable(first);
  }
  std::string title(int64_t first, int64_t number) const override {
    Samples &part = partOf(first);
    return part.title(first, number);
  }
  std::string description() const override {
    std::string text;
    for (const auto &part : parts)
      text += (text.empty() ? "" : "; ") + part->description();
    return text;
  }

private:
  /// Makes `first` an index of the part.
  Samples &partOf(int64_t &first) const {
    size_t i = 0;
    for (; first >= parts[i]->count(); ++i)
      first -= parts[i]->count();
    return *parts[i];
  }

  std::vector<std::unique_ptr<Samples>> parts;
  int64_t total = 0;
};

/// The .npz files of a folder by name.
std::vector<std::string> archivesOf(const std::string &folder) {
  std::vector<std::string> names;
  DIR *directory = opendir(folder.c_str());
  if (!directory)
    return names;
  while (const dirent *entry = readdir(directory)) {
    std::string name = entry->d_name;
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npz") == 0)
      names.push_back(folder + "/" + name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

} // namespace

Status openSamples(const std::string &path, const std::vector<Port> &inputs, std::unique_ptr<Samples> &samples) {
  if (!exists(path))
    return Status::refused("there is no '" + path + "'");
  std::vector<std::string> sets = testDataSets(path);
  if (!sets.empty()) {
    samples = std::make_unique<TestDataSamples>(path, std::move(sets), inputs);
    return {};
  }
  auto hasArray = [&](const std::string &name) { return exists(path + "/" + name + ".npy"); };
  bool isArrays = hasArray("tokens") ||
                  std::any_of(inputs.begin(), inputs.end(), [&](const Port &port) { return hasArray(port.name); });
  if (isDirectory(path) && !isArrays) {
    std::vector<std::string> archives = archivesOf(path);
    if (archives.empty()) {
      std::string names;
      for (const Port &port : inputs)
        names += (names.empty() ? "" : ", ") + port.name + ".npy";
      return Status::refused("'" + path + "' holds no samples: expected " + names +
                             ", tokens.npy, .npz files with these arrays, or ONNX test data (input_0.pb ...)");
    }
    std::vector<std::unique_ptr<Samples>> parts;
    for (const std::string &archive : archives) {
      auto part = std::make_unique<ArraySamples>();
      if (Status s = part->open(archive, inputs); !s.ok())
        return s;
      parts.push_back(std::move(part));
    }
    samples = joinSamples(std::move(parts));
    return {};
  }
  auto arrays = std::make_unique<ArraySamples>();
  if (Status s = arrays->open(path, inputs); !s.ok())
    return s;
  samples = std::move(arrays);
  return {};
}

std::unique_ptr<Samples> joinSamples(std::vector<std::unique_ptr<Samples>> parts) {
  return std::make_unique<JoinedSamples>(std::move(parts));
}

Status checkIndices(const std::vector<Port> &ports, const std::vector<Tensor> &inputs, const TableRows &tables,
                    const std::string &title) {
  for (size_t i = 0; i < ports.size(); ++i) {
    auto table = tables.find(ports[i].name);
    if (table == tables.end())
      continue;
    for (int64_t k = 0, end = inputs[i].numElements(); k < end; ++k) {
      int64_t id = inputs[i].asInt(k);
      if (id < -table->second || id >= table->second)
        return Status::refused(title + ": input '" + ports[i].name + "' holds " + std::to_string(id) +
                               ", expected 0 to " + std::to_string(table->second - 1) + " (rows of the table it indexes)");
    }
  }
  return {};
}

} // namespace sq::calibration
