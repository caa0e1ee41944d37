/// Stats files: what sq-calibrate writes and the quantisation passes read.
///
/// 24 bytes in front (the text "SQSTATS2", the size of the head, its XXH3-64, little endian), the head, a FlatBuffer
/// of stats.fbs, and from the next multiple of 64 on, for each tensor in turn that has rows of second moments, the
/// panels of Moments.h, those of moments before those that were held back, each at a multiple of 64, with zeros in
/// between, and with its hash in the head. Panels are mapped and used where they lie: a model of any size takes no
/// memory for them. The same statistics give the same bytes.
#ifndef SQ_LIB_CALIBRATION_STATSFILE_H
#define SQ_LIB_CALIBRATION_STATSFILE_H

#include <string>
#include <utility>

#include "lib/calibration/Range.h"
#include "lib/calibration/TensorStats.h"
#include "lib/tensorio/Tensor.h"

namespace sq::calibration {

/// Of a model's content, see lib/driver/ModelHash.h.
struct ModelHash {
  uint64_t low = 0, high = 0;
  bool operator==(const ModelHash &other) const { return low == other.low && high == other.high; }
  bool operator!=(const ModelHash &other) const { return !(*this == other); }
};

struct Stats {
  ModelHash model;
  std::string source;     // "data/calibration: 256 samples", "random token ids ..."
  uint64_t orderSeed = 0; // 0: samples in the order in which they lie
  int64_t batch = 1;
  int64_t samples = 0;    // that count
  int64_t leftOut = 0;    // for NaN or infinity
  int64_t momentRows = 0; // a sample gives to moments, at most
  int64_t holdBack = 0;   // the rows of each so-manieth run are held back from them; 0: of none
  int64_t position = 0;   // how many samples of the source were looked at
  uint64_t dataHash = 0;  // of them, in their order
  bool isComplete = true; // false: calibration was interrupted, --resume goes on
  std::vector<std::pair<std::string, TensorStats>> tensors; // in program order

  /// Null when there is none of that name.
  const TensorStats *find(const std::string &name) const;
};

std::string serialize(const Stats &stats);
/// `what` starts the messages. Second moments stay in `data`, which `owner` keeps, at a multiple of 64.
Status parseStats(std::shared_ptr<const uint8_t> data, size_t size, const std::string &what, Stats &stats);

/// Whether the file begins as a stats file does, of any version.
bool isStatsFile(const std::string &path);
/// Refuses with one message what is truncated, damaged, no stats file, of another format version,
/// or holds what no calibration can have found. The file stays mapped for as long as there are stats, or copies of
/// some; it must not be changed in its place (writeStats does not).
Status readStats(const std::string &path, Stats &stats);
/// The same without second moments, whose hashes are not checked then: of a large model they are gigabytes.
Status readStatsHead(const std::string &path, Stats &stats);
/// The same, with how ranges are chosen from them, a text that `parseMethod` takes.
Status readStats(const std::string &path, const std::string &method, Stats &stats, RangeOptions &options);
/// The whole file or nothing, see writeFile.
Status writeStats(const std::string &path, const Stats &stats);

/// Refuses the stats of another model. `path` is that of the stats file, for the message.
Status checkModel(const Stats &stats, const std::string &path, const ModelHash &model);

/// As if the samples of `other` had come after those of `stats`. Refused when the two are of
/// different models; `path` and `otherPath` are for the message.
Status merge(Stats &stats, const std::string &path, const Stats &other, const std::string &otherPath);

} // namespace sq::calibration

#endif
