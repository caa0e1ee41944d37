#include "lib/calibration/StatsFile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/calibration/stats_generated.h"
#include "lib/tensorio/File.h"

namespace sq::calibration {
namespace {

constexpr char kMagic[8] = {'S', 'Q', 'S', 'T', 'A', 'T', 'S', '2'};
constexpr size_t kMagicText = 7; // without the version

struct Header {
  char magic[8];
  uint64_t size, hash; // of the head
};
static_assert(sizeof(Header) == 24);

constexpr uint64_t kAlignment = 64;
uint64_t aligned(uint64_t offset) { return (offset + kAlignment - 1) / kAlignment * kAlignment; }

constexpr uint64_t kMostSamples = uint64_t(1) << 48; // sums of them do not overflow
constexpr size_t kBins = 2 * Histogram::kBins;

/// The Verifier does not look at the alignment of elements: bytes are copied.
template <typename T>
std::vector<T> vectorOf(const flatbuffers::Vector<T> &from) {
  std::vector<T> to(from.size());
  if (!to.empty())
    std::memcpy(to.data(), from.Data(), to.size() * sizeof(T));
  return to;
}

bool isFinite(const std::vector<float> &values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

/// An empty string, or why nothing can have such moments; their products are not looked at.
std::string readMoments(uint64_t rows, const flatbuffers::Vector<double> *sums, const TensorStats &of, Moments &to) {
  const char *wrong = "has second moments that contradict each other";
  if (!sums)
    return rows ? wrong : "";
  if (sums->size() != of.channels() || rows > of.elements)
    return wrong;
  to = Moments(sums->size());
  to.rows = rows;
  to.sums = vectorOf(*sums);
  bool areFinite = std::all_of(to.sums.begin(), to.sums.end(), [](double x) { return std::isfinite(x); });
  return areFinite ? "" : "has second moments that are not finite";
}

/// Bytes of the panels that a file has.
uint64_t storedBytes(const Moments &moments) {
  return moments.isEmpty() ? 0 : Moments::storedElements(moments.channels()) * sizeof(float);
}

/// Those of all tensors, in the order of the file.
std::vector<Moments *> momentsOf(Stats &stats) {
  std::vector<Moments *> all;
  for (auto &[name, tensor] : stats.tensors)
    for (Moments *moments : {&tensor.moments, &tensor.heldBack})
      if (!moments->isEmpty())
        all.push_back(moments);
  return all;
}

uint64_t hashOf(const Moments &moments) {
  return moments.isEmpty() ? 0 : XXH3_64bits(moments.stored(), storedBytes(moments));
}

/// An empty string, or why nothing can have such statistics.
std::string readTensor(const file::Tensor &from, TensorStats &to) {
  to.elements = from.elements();
  to.runs = from.runs();
  to.min = from.min();
  to.max = from.max();
  to.firstMin = from.first_min();
  to.firstMax = from.first_max();
  to.averageMin = from.average_min();
  to.averageMax = from.average_max();
  to.channelMin = vectorOf(*from.channel_min());
  to.channelMax = vectorOf(*from.channel_max());
  to.channelSum = vectorOf(*from.channel_sum());
  to.channelSquares = vectorOf(*from.channel_squares());
  to.histogram.exponent = from.exponent();
  for (double x : {double(to.min), double(to.max), double(to.firstMin), double(to.firstMax), to.averageMin, to.averageMax})
    if (!std::isfinite(x))
      return "has an extreme that is not finite";
  if (to.min > to.max || to.averageMin > to.averageMax)
    return "has a minimum above its maximum";
  if (from.exponent() < Histogram::kMinExponent || from.exponent() > Histogram::kMaxExponent ||
      from.first_bin() > kBins || from.bins()->size() > kBins - from.first_bin() ||
      to.maxAbs() >= std::ldexp(1.0, from.exponent()))
    return "has a histogram out of its bounds";
  if (to.channelMin.size() != to.channelMax.size() || to.channelMin.size() != to.channelSum.size() ||
      to.channelMin.size() != to.channelSquares.size() || !isFinite(to.channelMin) || !isFinite(to.channelMax))
    return "has channels that contradict each other";
  std::vector<uint64_t> bins = vectorOf(*from.bins());
  std::copy(bins.begin(), bins.end(), to.histogram.counts.begin() + from.first_bin());
  uint64_t sum = 0;
  for (uint64_t count : bins)
    if (__builtin_add_overflow(sum, count, &sum))
      return "has a histogram out of its bounds";
  if (std::string wrong = readMoments(from.moment_rows(), from.moment_sums(), to, to.moments);
      !wrong.empty())
    return wrong;
  if (std::string wrong = readMoments(from.held_rows(), from.held_sums(), to, to.heldBack);
      !wrong.empty())
    return wrong;
  if (sum != to.elements)
    return "has " + std::to_string(to.elements) + " elements, but " + std::to_string(sum) + " in its histogram";
  return "";
}

flatbuffers::DetachedBuffer makeHead(const Stats &stats) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<file::Tensor>> tensors;
  for (const auto &[name, t] : stats.tensors) {
    const std::vector<uint64_t> &counts = t.histogram.counts;
    auto isUsed = [](uint64_t count) { return count != 0; };
    auto first = std::find_if(counts.begin(), counts.end(), isUsed);
    auto last = std::find_if(counts.rbegin(), std::make_reverse_iterator(first), isUsed).base();
    auto nameOffset = builder.CreateString(name);
    auto bins = builder.CreateVector(std::vector<uint64_t>(first, last));
    auto channelMin = builder.CreateVector(t.channelMin), channelMax = builder.CreateVector(t.channelMax);
    auto channelSum = builder.CreateVector(t.channelSum), channelSquares = builder.CreateVector(t.channelSquares);
    flatbuffers::Offset<flatbuffers::Vector<double>> momentSums, heldSums;
    if (t.moments.channels())
      momentSums = builder.CreateVector(t.moments.sums);
    if (t.heldBack.channels())
      heldSums = builder.CreateVector(t.heldBack.sums);
    tensors.push_back(file::CreateTensor(builder, nameOffset, t.elements, t.runs, t.min, t.max, t.firstMin, t.firstMax,
                                         t.averageMin, t.averageMax, t.histogram.exponent,
                                         static_cast<uint32_t>(first - counts.begin()), bins, channelMin, channelMax,
                                         channelSum, channelSquares, t.moments.rows, momentSums, hashOf(t.moments),
                                         t.heldBack.rows, heldSums, hashOf(t.heldBack)));
  }
  auto producer = builder.CreateString("sq 0.1.0");
  auto source = builder.CreateString(stats.source);
  auto all = builder.CreateVector(tensors);
  builder.Finish(file::CreateStats(builder, producer, stats.model.low, stats.model.high, source, stats.orderSeed,
                                   stats.batch, stats.samples, stats.leftOut, stats.position, stats.dataHash,
                                   stats.isComplete, all, stats.momentRows, stats.holdBack),
                 file::StatsIdentifier());
  return builder.Release();
}

/// What a file consists of, where it lies.
struct Layout {
  explicit Layout(const Stats &stats) : head(makeHead(stats)) {
    static const char zeros[kAlignment] = {};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    header.size = head.size();
    header.hash = XXH3_64bits(head.data(), head.size());
    parts = {{&header, sizeof header}, {head.data(), head.size()}};
    uint64_t at = sizeof header + head.size();
    for (const Moments *moments : momentsOf(const_cast<Stats &>(stats))) {
      parts.push_back({zeros, size_t(aligned(at) - at)});
      parts.push_back({moments->stored(), size_t(storedBytes(*moments))});
      at = aligned(at) + storedBytes(*moments);
    }
  }
  flatbuffers::DetachedBuffer head;
  Header header;
  std::vector<Bytes> parts;
};

} // namespace

const TensorStats *Stats::find(const std::string &name) const {
  auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto &entry) { return entry.first == name; });
  return found == tensors.end() ? nullptr : &found->second;
}

std::string serialize(const Stats &stats) {
  std::string bytes;
  Layout layout(stats);
  for (const Bytes &part : layout.parts)
    bytes.append(static_cast<const char *>(part.data), part.size);
  return bytes;
}

/// Everything but second moments, and how many bytes it takes.
static Status parseHead(const uint8_t *data, size_t size, const std::string &what, Stats &stats, uint64_t &end,
                        std::vector<uint64_t> &hashes) {
  Header header;
  if (size < kMagicText || std::memcmp(data, kMagic, kMagicText) != 0)
    return Status::refused(what + " is not a stats file of sq-calibrate");
  if (size >= sizeof header.magic && data[kMagicText] != kMagic[kMagicText])
    return Status::refused(what + " is a stats file of another version of sq; calibrate again");
  uint64_t rest = 0;
  if (size >= sizeof header) {
    std::memcpy(&header, data, sizeof header);
    rest = size - sizeof header;
  }
  if (size < sizeof header || rest < header.size)
    return Status::refused(what + " is truncated: it has " + std::to_string(size) + " bytes" +
                           (size < sizeof header ? "" : ", its head ends at " + std::to_string(header.size + sizeof header)) +
                           "; calibrate again");
  if (XXH3_64bits(data + sizeof header, header.size) != header.hash)
    return Status::refused(what + " is damaged: its content does not have the hash it claims; calibrate again");
  // A copy is aligned, wherever `data` lies.
  std::vector<uint64_t> copy(header.size / 8 + 1);
  std::memcpy(copy.data(), data + sizeof header, header.size);
  auto *bytes = reinterpret_cast<const uint8_t *>(copy.data());
  constexpr uint64_t kMost = uint64_t(1) << 31; // FlatBuffers' own limit
  flatbuffers::Verifier verifier(bytes, header.size);
  if (header.size < 8 || header.size >= kMost || !file::VerifyStatsBuffer(verifier))
    return Status::refused(what + " is not a sound stats file; calibrate again");
  end = sizeof header + header.size;

  const file::Stats &from = *file::GetStats(bytes);
  stats = {};
  stats.model = {from.model_low(), from.model_high()};
  stats.source = from.source()->str();
  stats.orderSeed = from.order_seed();
  stats.dataHash = from.data_hash();
  stats.isComplete = from.complete();
  const uint64_t counts[] = {from.batch(), from.samples(), from.left_out(), from.position(), from.moment_rows(),
                             from.hold_back()};
  int64_t *fields[] = {&stats.batch, &stats.samples, &stats.leftOut, &stats.position, &stats.momentRows,
                       &stats.holdBack};
  for (size_t i = 0; i < std::size(counts); ++i) {
    if (counts[i] > kMostSamples)
      return Status::refused(what + " is not a sound stats file: it counts " + std::to_string(counts[i]) + " samples");
    *fields[i] = static_cast<int64_t>(counts[i]);
  }
  std::set<std::string> names;
  for (const file::Tensor *tensor : *from.tensors()) {
    auto &[name, to] = stats.tensors.emplace_back(tensor->name()->str(), TensorStats());
    std::string wrong = readTensor(*tensor, to);
    if (wrong.empty() && !names.insert(name).second)
      wrong = "is there twice";
    if (!wrong.empty())
      return Status::refused(what + " is not a sound stats file: tensor '" + name + "' " + wrong);
    if (!to.moments.isEmpty())
      hashes.push_back(tensor->moment_hash());
    if (!to.heldBack.isEmpty())
      hashes.push_back(tensor->held_hash());
  }
  return {};
}

Status parseStats(std::shared_ptr<const uint8_t> data, size_t size, const std::string &what, Stats &stats) {
  uint64_t end = 0;
  std::vector<uint64_t> hashes;
  if (Status s = parseHead(data.get(), size, what, stats, end, hashes); !s.ok())
    return s;
  std::vector<Moments *> all = momentsOf(stats);
  uint64_t whole = end;
  for (const Moments *moments : all)
    whole = aligned(whole) + storedBytes(*moments);
  if (size < whole)
    return Status::refused(what + " is truncated: it has " + std::to_string(size) + " bytes of " + std::to_string(whole) +
                           "; calibrate again");
  Status damaged = Status::refused(what + " is damaged: its content does not have the hash it claims; calibrate again");
  if (size > whole)
    return damaged;
  for (size_t i = 0; i < all.size(); ++i) {
    uint64_t begin = aligned(end), bytes = storedBytes(*all[i]);
    if (std::any_of(data.get() + end, data.get() + begin, [](uint8_t byte) { return byte != 0; }) ||
        XXH3_64bits(data.get() + begin, bytes) != hashes[i])
      return damaged;
    auto *products = reinterpret_cast<const float *>(data.get() + begin);
    // Integers, so that it is vectorised.
    int32_t bad = 0;
    for (uint64_t k = 0; k < bytes / sizeof(float); ++k) {
      int32_t bits;
      std::memcpy(&bits, products + k, sizeof bits);
      bad |= (bits & 0x7fffffff) >= 0x7f800000;
    }
    if (bad) {
      auto owner = std::find_if(stats.tensors.begin(), stats.tensors.end(), [&](const auto &entry) {
        return &entry.second.moments == all[i] || &entry.second.heldBack == all[i];
      });
      return Status::refused(what + " is not a sound stats file: tensor '" + owner->first +
                             "' has second moments that are not finite");
    }
    Moments read(all[i]->channels(), products, data);
    read.rows = all[i]->rows;
    read.sums = std::move(all[i]->sums);
    *all[i] = std::move(read);
    end = begin + bytes;
  }
  return {};
}

bool isStatsFile(const std::string &path) {
  InputFile file;
  char start[kMagicText];
  return file.open(path).ok() && file.size() >= sizeof start && file.read(0, start, sizeof start).ok() &&
         std::memcmp(start, kMagic, sizeof start) == 0;
}

/// All of a file; of one without bytes some memory.
static Status mapFile(const std::string &path, std::shared_ptr<const uint8_t> &data, size_t &size) {
  InputFile file; // refuses what is none, with a message
  if (Status s = file.open(path); !s.ok())
    return s;
  size = file.size();
  static const uint8_t none = 0;
  if (size == 0) {
    data = {&none, [](const uint8_t *) {}};
    return {};
  }
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  void *memory = fd < 0 ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (fd >= 0)
    ::close(fd);
  if (memory == MAP_FAILED)
    return Status::lacking("cannot map '" + path + "'");
  data = {static_cast<const uint8_t *>(memory),
          [size](const uint8_t *p) { ::munmap(const_cast<uint8_t *>(p), size); }};
  return {};
}

Status readStats(const std::string &path, Stats &stats) {
  std::shared_ptr<const uint8_t> data;
  size_t size = 0;
  if (Status s = mapFile(path, data, size); !s.ok())
    return s;
  return parseStats(data, size, "'" + path + "'", stats);
}

Status readStatsHead(const std::string &path, Stats &stats) {
  std::shared_ptr<const uint8_t> data;
  size_t size = 0;
  if (Status s = mapFile(path, data, size); !s.ok())
    return s;
  uint64_t end = 0;
  std::vector<uint64_t> hashes;
  if (Status s = parseHead(data.get(), size, "'" + path + "'", stats, end, hashes); !s.ok())
    return s;
  for (Moments *moments : momentsOf(stats))
    *moments = {};
  return {};
}

Status writeStats(const std::string &path, const Stats &stats) { return writeFile(path, Layout(stats).parts); }

Status readStats(const std::string &path, const std::string &method, Stats &stats, RangeOptions &options) {
  auto parsed = parseMethod(method);
  if (!parsed)
    return Status::usage("there is no way '" + method +
                         "' to choose ranges; minmax, moving-average, percentile=P, entropy, mse");
  options = *parsed;
  return readStats(path, stats);
}

Status checkModel(const Stats &stats, const std::string &path, const ModelHash &model) {
  if (stats.model == model)
    return {};
  return Status::refused("'" + path + "' is of another model (or another version of this one); calibrate this model");
}

Status merge(Stats &stats, const std::string &path, const Stats &other, const std::string &otherPath) {
  if (stats.model != other.model)
    return Status::refused("'" + path + "' and '" + otherPath + "' are of different models");
  bool isSame = stats.tensors.size() == other.tensors.size();
  for (size_t i = 0; isSame && i < stats.tensors.size(); ++i)
    isSame = stats.tensors[i].first == other.tensors[i].first &&
             stats.tensors[i].second.channels() == other.tensors[i].second.channels();
  if (!isSame)
    return Status::refused("'" + path + "' and '" + otherPath +
                           "' observe different tensors of the model: they were made with other shapes");
  if (stats.momentRows != other.momentRows)
    return Status::refused("'" + path + "' and '" + otherPath + "' were made with different --moments: " +
                           std::to_string(stats.momentRows) + " and " + std::to_string(other.momentRows));
  if (stats.holdBack != other.holdBack)
    return Status::refused("'" + path + "' and '" + otherPath + "' were made with different --hold-back: " +
                           std::to_string(stats.holdBack) + " and " + std::to_string(other.holdBack));
  for (size_t i = 0; i < stats.tensors.size(); ++i)
    stats.tensors[i].second.merge(other.tensors[i].second);
  stats.source += "; " + other.source;
  stats.samples += other.samples;
  stats.leftOut += other.leftOut;
  stats.position += other.position;
  stats.isComplete &= other.isComplete;
  // A merged file is nothing that --resume could go on with.
  stats.dataHash = 0;
  return {};
}

} // namespace sq::calibration
