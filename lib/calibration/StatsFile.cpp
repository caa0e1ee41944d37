#include "lib/calibration/StatsFile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/calibration/stats_generated.h"
#include "lib/tensorio/File.h"

namespace sq::calibration {
namespace {

constexpr char kMagic[8] = {'S', 'Q', 'S', 'T', 'A', 'T', 'S', '1'};
constexpr size_t kMagicText = 7; // without the version

struct Header {
  char magic[8];
  uint64_t size, hash; // of the payload
};
static_assert(sizeof(Header) == 24);

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

/// An empty string, or why nothing can have such moments. Files of before there were any have none.
std::string readMoments(uint64_t rows, const flatbuffers::Vector<double> *sums, const flatbuffers::Vector<float> *products,
                        const TensorStats &of, Moments &to) {
  const char *wrong = "has second moments that contradict each other";
  if (!sums || !products)
    return sums || products || rows ? wrong : "";
  size_t channels = sums->size();
  if (channels != of.channels() || products->size() != channels * (channels + 1) / 2 || rows > of.elements)
    return wrong;
  to = Moments(channels);
  to.rows = rows;
  to.sums = vectorOf(*sums);
  const uint8_t *packed = products->Data();
  for (size_t i = 0; i < channels; ++i) {
    std::memcpy(to.products.data() + i * channels + i, packed, (channels - i) * sizeof(float));
    packed += (channels - i) * sizeof(float);
  }
  bool areFinite = std::all_of(to.sums.begin(), to.sums.end(), [](double x) { return std::isfinite(x); });
  return areFinite && isFinite(to.products) ? "" : "has second moments that are not finite";
}

/// The upper triangle.
std::vector<float> packedProducts(const Moments &moments) {
  std::vector<float> packed;
  size_t channels = moments.channels();
  packed.reserve(channels * (channels + 1) / 2);
  for (size_t i = 0; i < channels; ++i)
    packed.insert(packed.end(), moments.products.begin() + i * channels + i, moments.products.begin() + (i + 1) * channels);
  return packed;
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
  if (std::string wrong = readMoments(from.moment_rows(), from.moment_sums(), from.moment_products(), to, to.moments);
      !wrong.empty())
    return wrong;
  if (std::string wrong = readMoments(from.held_rows(), from.held_sums(), from.held_products(), to, to.heldBack);
      !wrong.empty())
    return wrong;
  if (sum != to.elements)
    return "has " + std::to_string(to.elements) + " elements, but " + std::to_string(sum) + " in its histogram";
  return "";
}

} // namespace

const TensorStats *Stats::find(const std::string &name) const {
  auto found = std::find_if(tensors.begin(), tensors.end(), [&](const auto &entry) { return entry.first == name; });
  return found == tensors.end() ? nullptr : &found->second;
}

std::string serialize(const Stats &stats) {
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
    flatbuffers::Offset<flatbuffers::Vector<float>> momentProducts, heldProducts;
    if (t.moments.channels()) {
      momentSums = builder.CreateVector(t.moments.sums);
      momentProducts = builder.CreateVector(packedProducts(t.moments));
    }
    if (t.heldBack.channels()) {
      heldSums = builder.CreateVector(t.heldBack.sums);
      heldProducts = builder.CreateVector(packedProducts(t.heldBack));
    }
    tensors.push_back(file::CreateTensor(builder, nameOffset, t.elements, t.runs, t.min, t.max, t.firstMin, t.firstMax,
                                         t.averageMin, t.averageMax, t.histogram.exponent,
                                         static_cast<uint32_t>(first - counts.begin()), bins, channelMin, channelMax,
                                         channelSum, channelSquares, t.moments.rows, momentSums, momentProducts,
                                         t.heldBack.rows, heldSums, heldProducts));
  }
  auto producer = builder.CreateString("sq 0.1.0");
  auto source = builder.CreateString(stats.source);
  auto all = builder.CreateVector(tensors);
  builder.Finish(file::CreateStats(builder, producer, stats.model.low, stats.model.high, source, stats.orderSeed,
                                   stats.batch, stats.samples, stats.leftOut, stats.position, stats.dataHash,
                                   stats.isComplete, all, stats.momentRows, stats.holdBack),
                 file::StatsIdentifier());
  Header header;
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.size = builder.GetSize();
  header.hash = XXH3_64bits(builder.GetBufferPointer(), builder.GetSize());
  std::string bytes(reinterpret_cast<const char *>(&header), sizeof header);
  bytes.append(reinterpret_cast<const char *>(builder.GetBufferPointer()), builder.GetSize());
  return bytes;
}

Status parseStats(const uint8_t *data, size_t size, const std::string &what, Stats &stats) {
  Header header;
  if (size < kMagicText || std::memcmp(data, kMagic, kMagicText) != 0)
    return Status::refused(what + " is not a stats file of sq-calibrate");
  if (size >= sizeof header.magic && data[kMagicText] != kMagic[kMagicText])
    return Status::refused(what + " is a stats file of another version of sq; calibrate again");
  uint64_t payload = 0;
  if (size >= sizeof header) {
    std::memcpy(&header, data, sizeof header);
    payload = size - sizeof header;
  }
  if (size < sizeof header || payload < header.size)
    return Status::refused(what + " is truncated: it has " + std::to_string(size) + " bytes" +
                           (size < sizeof header ? "" : " of " + std::to_string(header.size + sizeof header)) +
                           "; calibrate again");
  if (payload != header.size || XXH3_64bits(data + sizeof header, payload) != header.hash)
    return Status::refused(what + " is damaged: its content does not have the hash it claims; calibrate again");
  // A copy is aligned, wherever `data` lies.
  std::vector<uint64_t> aligned(payload / 8 + 1);
  std::memcpy(aligned.data(), data + sizeof header, payload);
  auto *bytes = reinterpret_cast<const uint8_t *>(aligned.data());
  flatbuffers::Verifier verifier(bytes, payload);
  if (payload < 8 || !file::VerifyStatsBuffer(verifier))
    return Status::refused(what + " is not a sound stats file; calibrate again");

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
  }
  return {};
}

bool isStatsFile(const std::string &path) {
  InputFile file;
  char start[kMagicText];
  return file.open(path).ok() && file.size() >= sizeof start && file.read(0, start, sizeof start).ok() &&
         std::memcmp(start, kMagic, sizeof start) == 0;
}

Status readStats(const std::string &path, Stats &stats) {
  InputFile file;
  if (Status s = file.open(path); !s.ok())
    return s;
  constexpr uint64_t kMost = uint64_t(1) << 31; // FlatBuffers' own limit
  if (file.size() > kMost)
    return Status::refused("'" + path + "' is not a stats file of sq-calibrate: it has " + std::to_string(file.size()) +
                           " bytes");
  std::vector<uint8_t> bytes(file.size());
  if (Status s = file.read(0, bytes.data(), bytes.size()); !s.ok())
    return s;
  return parseStats(bytes.data(), bytes.size(), "'" + path + "'", stats);
}

Status writeStats(const std::string &path, const Stats &stats) {
  std::string bytes = serialize(stats);
  return writeFile(path, {{bytes.data(), bytes.size()}});
}

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
