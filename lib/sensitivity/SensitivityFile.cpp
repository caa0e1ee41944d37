#include "lib/sensitivity/SensitivityFile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/sensitivity/sensitivity_generated.h"

namespace sq::sensitivity {
namespace {

constexpr char kMagic[8] = {'S', 'Q', 'S', 'E', 'N', 'S', 'I', '1'};
constexpr size_t kMagicText = 7; // without the version
constexpr uint64_t kAlignment = 64;
constexpr uint64_t kMost =
    uint64_t(1)
    << 40; // of counts and of elements: their products do not overflow

struct Header {
  char magic[8];
  uint64_t size, hash; // of the head
};
static_assert(sizeof(Header) == 24);

uint64_t aligned(uint64_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

flatbuffers::DetachedBuffer makeHead(const Sensitivity &content,
                                     const std::vector<uint64_t> &offsets,
                                     const std::vector<uint64_t> &hashes) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<file::Layer>> layers;
  for (size_t i = 0; i < content.layers.size(); ++i) {
    const LayerSensitivity &layer = content.layers[i];
    auto name = builder.CreateString(layer.name),
         weight = builder.CreateString(layer.weight);
    auto all = builder.CreateVectorOfStrings(layer.layers);
    layers.push_back(file::CreateLayer(
        builder, name, all, weight, layer.rows, layer.columns, layer.position,
        offsets[i], hashes[i], layer.trace.probes, layer.trace.mean,
        layer.trace.deviation, layer.eigenvalue, layer.eigenvalueSteps,
        layer.eigenvalueChange));
  }
  auto producer = builder.CreateString("sq 0.1.0"),
       loss = builder.CreateString(content.loss);
  auto source = builder.CreateString(content.source);
  auto all = builder.CreateVector(layers);
  builder.Finish(file::CreateSensitivity(
                     builder, producer, content.model.low, content.model.high,
                     loss, source, content.hasSampledLabels, content.seed,
                     content.samples, content.dataHash, content.lossSum,
                     content.hessianSamples, content.isComplete, all),
                 file::SensitivityIdentifier());
  return builder.Release();
}

/// An empty string, or why no sensitivity can be so.
std::string readLayer(const file::Layer &from, uint64_t samples,
                      LayerSensitivity &to) {
  to.name = from.name()->str();
  to.weight = from.weight()->str();
  for (const flatbuffers::String *layer : *from.layers())
    to.layers.push_back(layer->str());
  if (from.rows() > kMost || from.columns() > kMost ||
      (from.columns() && from.rows() > kMost / from.columns()))
    return "has an impossible shape";
  if (from.position() > samples)
    return "has seen more samples than there are";
  to.rows = from.rows();
  to.columns = from.columns();
  to.position = from.position();
  to.trace = {from.probes(), from.trace_mean(), from.trace_deviation()};
  to.eigenvalue = from.eigenvalue();
  to.eigenvalueSteps = from.eigenvalue_steps();
  to.eigenvalueChange = from.eigenvalue_change();
  for (double x :
       {to.trace.mean, to.trace.deviation, to.eigenvalue, to.eigenvalueChange})
    if (!std::isfinite(x))
      return "has a number that is not finite";
  return to.trace.deviation < 0 ? "has a negative variance" : "";
}

} // namespace

void Trace::add(double x) {
  ++probes;
  double before = x - mean;
  mean += before / double(probes);
  deviation += before * (x - mean);
}

void Trace::merge(const Trace &other) {
  if (!other.probes)
    return;
  double all = double(probes + other.probes), apart = other.mean - mean;
  deviation += other.deviation +
               apart * apart * double(probes) * double(other.probes) / all;
  mean += apart * double(other.probes) / all;
  probes += other.probes;
}

double Trace::standardError() const {
  return probes < 2
             ? HUGE_VAL
             : std::sqrt(deviation / double(probes - 1) / double(probes));
}

const LayerSensitivity *Sensitivity::find(const std::string &layer) const {
  for (const LayerSensitivity &l : layers)
    if (std::find(l.layers.begin(), l.layers.end(), layer) != l.layers.end())
      return &l;
  return nullptr;
}

bool isSensitivityFile(const std::string &path) {
  InputFile file;
  char start[kMagicText];
  return file.open(path).ok() && file.size() >= sizeof start &&
         file.read(0, start, sizeof start).ok() &&
         std::memcmp(start, kMagic, sizeof start) == 0;
}

Status SensitivityFile::open(const std::string &path) {
  std::string what = "'" + path + "'";
  if (Status s = file.open(path); !s.ok())
    return s;
  Header header = {};
  size_t start = std::min<uint64_t>(file.size(), sizeof header);
  if (Status s = file.read(0, &header, start); !s.ok())
    return s;
  if (start < kMagicText || std::memcmp(header.magic, kMagic, kMagicText) != 0)
    return Status::refused(what + " is not a file of sq-sensitivity");
  if (start >= sizeof kMagic &&
      std::memcmp(header.magic, kMagic, sizeof kMagic) != 0)
    return Status::refused(
        what +
        " is a sensitivity file of another version of sq; make it again");
  if (start < sizeof header || header.size > file.size() - sizeof header)
    return Status::refused(what + " is truncated: it has " +
                           std::to_string(file.size()) +
                           " bytes; make it again");
  std::vector<uint64_t> bytes(header.size / 8 + 1);
  if (Status s = file.read(sizeof header, bytes.data(), header.size); !s.ok())
    return s;
  if (XXH3_64bits(bytes.data(), header.size) != header.hash)
    return Status::refused(what + " is damaged: its head does not have the "
                                  "hash it claims; make it again");
  auto *head = reinterpret_cast<const uint8_t *>(bytes.data());
  flatbuffers::Verifier verifier(head, header.size);
  if (header.size < 8 || !file::VerifySensitivityBuffer(verifier))
    return Status::refused(what +
                           " is not a sound sensitivity file; make it again");
  const file::Sensitivity &from = *file::GetSensitivity(head);
  if (from.samples() > kMost || from.hessian_samples() > kMost ||
      !std::isfinite(from.loss_sum()))
    return Status::refused(what +
                           " is not a sound sensitivity file: it counts " +
                           std::to_string(from.samples()) + " samples");
  content = {};
  content.model = {from.model_low(), from.model_high()};
  content.loss = from.loss()->str();
  content.source = from.source()->str();
  content.hasSampledLabels = from.sampled_labels();
  content.seed = from.seed();
  content.samples = from.samples();
  content.dataHash = from.data_hash();
  content.lossSum = from.loss_sum();
  content.hessianSamples = from.hessian_samples();
  content.isComplete = from.complete();
  places.clear();
  std::set<std::string> names;
  for (const file::Layer *layer : *from.layers()) {
    LayerSensitivity &to = content.layers.emplace_back();
    std::string wrong = readLayer(*layer, from.samples(), to);
    if (wrong.empty() && !names.insert(to.name).second)
      wrong = "is there twice";
    uint64_t offset = layer->fisher_offset(),
             size = uint64_t(to.elements()) * sizeof(float);
    if (wrong.empty() && (offset != 0) != (to.position != 0))
      wrong = "has samples without sums, or sums without samples";
    if (!wrong.empty())
      return Status::refused(what +
                             " is not a sound sensitivity file: layer '" +
                             to.name + "' " + wrong);
    if (offset && (offset % kAlignment || offset > file.size() ||
                   size > file.size() - offset))
      return Status::refused(what + " is truncated: layer '" + to.name +
                             "' lies behind its end; make it again");
    places.push_back({offset, layer->fisher_hash()});
  }
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  memorySize = file.size();
  memory = fd < 0 ? MAP_FAILED
                  : mmap(nullptr, memorySize, PROT_READ, MAP_SHARED, fd, 0);
  if (fd >= 0)
    close(fd);
  if (memory == MAP_FAILED) {
    memory = nullptr;
    return Status::lacking("cannot map " + what);
  }
  return {};
}

SensitivityFile::~SensitivityFile() {
  if (memory)
    munmap(memory, memorySize);
}

const float *SensitivityFile::mapped(size_t index) const {
  uint64_t offset = places[index].offset;
  return offset ? reinterpret_cast<const float *>(
                      static_cast<const char *>(memory) + offset)
                : nullptr;
}

Status SensitivityFile::readFisher(size_t index,
                                   std::vector<float> &fisher) const {
  const LayerSensitivity &layer = content.layers[index];
  fisher.assign(places[index].offset ? layer.elements() : 0, 0);
  if (fisher.empty())
    return {};
  size_t size = fisher.size() * sizeof(float);
  if (Status s = file.read(places[index].offset, fisher.data(), size); !s.ok())
    return s;
  if (XXH3_64bits(fisher.data(), size) != places[index].hash)
    return Status::refused("'" + file.path() + "' is damaged: layer '" +
                           layer.name +
                           "' does not have the hash it claims; make it again");
  for (float x : fisher)
    if (!(x >= 0) || !std::isfinite(x))
      return Status::refused(
          "'" + file.path() + "' is not a sound sensitivity file: layer '" +
          layer.name + "' has a sum of squares of " + std::to_string(x));
  return {};
}

Status writeSensitivity(const std::string &path, const Sensitivity &content,
                        const SensitivityFile *earlier) {
  size_t count = content.layers.size();
  std::vector<const float *> sums(count);
  std::vector<uint64_t> offsets(count), hashes(count);
  for (size_t i = 0; i < count; ++i) {
    const LayerSensitivity &layer = content.layers[i];
    if (!layer.position)
      continue;
    sums[i] = !layer.fisher.empty() ? layer.fisher.data()
              : earlier             ? earlier->mapped(i)
                                    : nullptr;
    if (!sums[i])
      return Status::refused("layer '" + layer.name +
                             "' has samples, but no sums");
    hashes[i] = XXH3_64bits(sums[i], layer.elements() * sizeof(float));
  }
  // The size of the head does not depend on the offsets once none of them is
  // zero, as FlatBuffers leaves zeros out.
  std::vector<uint64_t> some(count);
  for (size_t i = 0; i < count; ++i)
    some[i] = content.layers[i].position ? kAlignment : 0;
  uint64_t at =
      aligned(sizeof(Header) + makeHead(content, some, hashes).size());
  uint64_t first = at;
  for (size_t i = 0; i < count; ++i)
    if (content.layers[i].position) {
      offsets[i] = at;
      at = aligned(at + content.layers[i].elements() * sizeof(float));
    }
  flatbuffers::DetachedBuffer head = makeHead(content, offsets, hashes);
  Header header;
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.size = head.size();
  header.hash = XXH3_64bits(head.data(), head.size());
  static const char zeros[kAlignment] = {};
  std::vector<Bytes> parts = {{&header, sizeof header},
                              {head.data(), head.size()}};
  parts.push_back({zeros, size_t(first - sizeof header - head.size())});
  for (size_t i = 0; i < count; ++i) {
    if (!offsets[i])
      continue;
    size_t size = content.layers[i].elements() * sizeof(float);
    parts.push_back({sums[i], size});
    parts.push_back({zeros, size_t(aligned(size) - size)});
  }
  return writeFile(path, parts);
}

Status mergeSensitivity(const std::vector<std::string> &paths,
                        const std::string &output) {
  Sensitivity all;
  for (const std::string &path : paths) {
    SensitivityFile next;
    if (Status s = next.open(path); !s.ok())
      return s;
    const Sensitivity &head = next.head();
    if (!head.isComplete)
      return Status::refused("'" + path +
                             "' is not complete; finish it with --resume");
    bool isFirst = &path == &paths.front();
    if (isFirst) {
      all = head;
    } else {
      if (head.model != all.model)
        return Status::refused("'" + paths.front() + "' and '" + path +
                               "' are of different models");
      if (head.loss != all.loss)
        return Status::refused("'" + paths.front() + "' and '" + path +
                               "' are of different losses: " + all.loss +
                               " and " + head.loss);
      bool isSame = head.layers.size() == all.layers.size();
      for (size_t i = 0; isSame && i < head.layers.size(); ++i)
        isSame = head.layers[i].name == all.layers[i].name &&
                 head.layers[i].elements() == all.layers[i].elements();
      if (!isSame)
        return Status::refused("'" + paths.front() + "' and '" + path +
                               "' are of different layers");
      all.source += "; " + head.source;
      all.hasSampledLabels |= head.hasSampledLabels;
      all.samples += head.samples;
      all.lossSum += head.lossSum;
      all.hessianSamples = std::max(all.hessianSamples, head.hessianSamples);
      all.dataHash = 0; // nothing that --resume could go on with
    }
    for (size_t i = 0; i < all.layers.size(); ++i) {
      LayerSensitivity &to = all.layers[i];
      std::vector<float> sums;
      if (Status s = next.readFisher(i, sums); !s.ok())
        return s;
      if (isFirst) {
        to.fisher = std::move(sums);
        continue;
      }
      if (to.fisher.empty())
        to.fisher = std::move(sums);
      else
        for (size_t k = 0; k < sums.size(); ++k)
          to.fisher[k] += sums[k];
      to.position += head.layers[i].position;
      to.trace.merge(head.layers[i].trace);
      if (head.layers[i].eigenvalueSteps > to.eigenvalueSteps) {
        to.eigenvalue = head.layers[i].eigenvalue;
        to.eigenvalueSteps = head.layers[i].eigenvalueSteps;
        to.eigenvalueChange = head.layers[i].eigenvalueChange;
      }
    }
  }
  return writeSensitivity(output, all);
}

} // namespace sq::sensitivity
