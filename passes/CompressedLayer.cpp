//===-- CompressedLayer.cpp - a weight in few bits
//----------------------------===//

#include "passes/CompressedLayer.h"

#include <numeric>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

#include "lib/quantization/StoredSize.h"
#include "lib/quantizer/Extraction.h"
#include "lib/quantizer/FitLevels.h"

using namespace sq;
using namespace sq::quantizer;

LayerInput::LayerInput(const calibration::TensorStats *found, int64_t k,
                       bool centred, double damping, int threads) {
  if (!found || found->isEmpty())
    return;
  if (int64_t(found->channels()) == k)
    for (int64_t r = 0; r < k; ++r) {
      means.push_back(found->channelMean(r));
      power.push_back(found->channelPower(r) -
                      (centred ? means[r] * means[r] : 0));
    }
  auto matrixOf = [&](const calibration::Moments &from) {
    if (from.isEmpty() || int64_t(from.channels()) != k)
      return std::vector<double>();
    return centred ? from.covariance() : from.secondMoments();
  };
  std::vector<double> matrix = matrixOf(found->moments);
  if (matrix.empty())
    return;
  moments.emplace();
  if (!moments->prepare(matrix.data(), k, damping, threads)) {
    moments.reset();
    problem = "the second moments of its input are all 0 or not finite; its "
              "weight is fitted without them";
    return;
  }
  matrix = matrixOf(found->heldBack);
  if (matrix.empty())
    return;
  heldBack.emplace();
  heldBack->prepareError(matrix.data(), k, threads);
}

template <typename T> static std::string hashOf(const std::vector<T> &values) {
  llvm::XXH128_hash_t hash = llvm::xxh3_128bits(
      llvm::ArrayRef(reinterpret_cast<const uint8_t *>(values.data()),
                     values.size() * sizeof(T)));
  return llvm::formatv("{0:x-16}{1:x-16}", hash.high64, hash.low64);
}

std::string CompressedLayers::keyOf(const std::vector<float> &weight, int64_t n,
                                    int64_t k, const WeightScheme &scheme,
                                    const std::string &stats,
                                    const calibration::TensorStats *found,
                                    bool centred,
                                    const std::vector<float> &sensitivities,
                                    const CompressOptions &options) {
  std::vector<double> input;
  for (size_t c = 0; found && c < found->channels(); ++c)
    input.insert(input.end(), {found->channelMean(c), found->channelPower(c)});
  auto bits = [](double x) { return llvm::bit_cast<uint64_t>(x); };
  return llvm::formatv(
      "{0} {1}x{2} {3} {4} | {5} {6} {7} {8} | {9} | {10} {11} {12} {13} {14} "
      "{15}",
      hashOf(weight), n, k, int(scheme.precision), scheme.group, hashOf(input),
      found != nullptr, centred, stats, hashOf(sensitivities),
      bits(options.outliers), options.refine, options.tables,
      bits(options.damping), options.rounds, bits(options.enough));
}

std::shared_ptr<const CompressedLayers::Kept>
CompressedLayers::find(const std::string &key) {
  std::lock_guard<std::mutex> lock(mutex);
  auto it = known.find(key);
  return it == known.end() ? nullptr : it->second;
}

void CompressedLayers::keep(const std::string &key, Kept kept) {
  constexpr int64_t kMostBytes = 512 << 20;
  kept.layer.decoded = {};
  const CompressedWeight &weight = kept.layer.weight;
  int64_t size =
      weight.codes.size() + weight.table.size() * 2 + weight.entries.size() +
      (weight.scales.size() + weight.minima.size()) * 2 +
      weight.sparse.columns.size() * 6 + weight.sparse.starts.size() * 4;
  std::lock_guard<std::mutex> lock(mutex);
  if (bytes + size > kMostBytes) {
    known.clear();
    bytes = 0;
  }
  if (known.try_emplace(key, std::make_shared<const Kept>(std::move(kept)))
          .second)
    bytes += size;
}

std::string sq::describe(const CompressedWeight &weight) {
  std::string text;
  if (weight.format.kind == GridKind::Table)
    text = llvm::formatv("tables of {0} {1}", weight.levels(),
                         weight.format.entries == EntryType::F16 ? "f16"
                                                                 : "bytes");
  else
    text = llvm::formatv("groups of {0}", weight.groupSize());
  if (int64_t taken = weight.sensitive + weight.outliers)
    text += llvm::formatv(
        ", {0:f2} % sparse ({1} by sensitivity, {2} by magnitude)",
        100.0 * taken / (weight.n * weight.k), weight.sensitive,
        weight.outliers);
  return text;
}

namespace {

/// What says how much an error of a weight counts in the search for tables.
enum class Weighting { None, Inputs, Sensitivities };

/// One way to compress a weight.
struct Way {
  double outliers;
  Weighting weighting;
  bool bySensitivity; // the first of the outliers, where there are any
  bool refined;
};

class Attempts {
public:
  Attempts(const std::vector<float> &weight, int64_t n, int64_t k,
           const WeightScheme &scheme, const LayerInput &input,
           const float *sensitivities, const CompressOptions &options)
      : weight(weight), n(n), k(k), scheme(scheme), input(input),
        sensitivities(sensitivities), options(options),
        judge(input.heldBack  ? &*input.heldBack
              : input.moments ? &*input.moments
                              : nullptr) {
    if (!judge)
      return;
    if (sensitivities)
      for (int64_t r = 0; r < n; ++r)
        gradients.push_back(std::accumulate(sensitivities + r * k,
                                            sensitivities + (r + 1) * k, 0.0));
    std::vector<double> all =
        judge->errors(weight.data(), nullptr, n, options.threads);
    power = sumOf(all, false);
    costOfAll = sumOf(all, true);
  }

  Status attempt(const Way &way, CompressedLayer &result) const {
    result.weight = CompressedWeight::make(format(), n, k);
    CompressedWeight &made = result.weight;
    Extraction taken;
    OutlierShares shares =
        outlierShares(way.outliers, sensitivities && way.bySensitivity);
    if (Status s = extract(weight.data(), sensitivities, n, k,
                           {shares.sensitive, shares.outliers, {}}, taken);
        !s.ok())
      return s;
    bool isSparse = taken.sensitive + taken.outliers > 0;
    if (!isSparse)
      taken.removed.clear();
    made.sensitive = taken.sensitive;
    made.outliers = taken.outliers;
    const double *channels =
        way.weighting != Weighting::Inputs || input.power.empty()
            ? nullptr
            : input.power.data();
    const float *elements =
        way.weighting == Weighting::Sensitivities ? sensitivities : nullptr;
    made.sensitivity = elements ? "fisher" : channels ? "act2" : "none";
    if (way.refined) {
      // What feedback leaves of an error is what counts; sensitivities choose
      // the sparse weights only.
      channels = input.moments->feedback.remaining().data();
      elements = nullptr;
    }
    if (scheme.isTable())
      fitTables(made, weight.data(), {channels, elements}, taken.removed,
                options.threads);
    else
      fitUniform(made, weight.data(), way.refined ? channels : nullptr,
                 /*search=*/way.refined, options.threads);
    if (way.refined) {
      RefineOptions refinement;
      refinement.threads = options.threads;
      refinement.enough = options.enough;
      refinement.rounds =
          scheme.isTable() ? options.rounds : 0; // GPTQ as it is known
      refine(made, weight.data(), *input.moments, taken.removed, refinement);
    } else {
      made.assignNearest(weight.data());
      if (isSparse)
        made.takeSparse(weight.data(), taken.removed);
    }
    result.decoded.resize(n * k);
    made.decode(result.decoded.data());
    result.error.reset();
    if (judge) {
      std::vector<double> errors = judge->errors(
          weight.data(), result.decoded.data(), n, options.threads);
      result.error = power > 0 ? sumOf(errors, false) / power : 0;
      result.cost = costOfAll > 0 ? sumOf(errors, true) / costOfAll : 0;
    }
    return {};
  }

private:
  /// By output channel; `byGradient`: each times the square of what comes back
  /// to it, up to a factor.
  double sumOf(const std::vector<double> &errors, bool byGradient) const {
    return byGradient && !gradients.empty()
               ? std::inner_product(errors.begin(), errors.end(),
                                    gradients.begin(), 0.0)
               : std::accumulate(errors.begin(), errors.end(), 0.0);
  }

  GridFormat format() const {
    GridFormat format;
    format.bits = precisionBits(scheme.precision);
    format.kind = scheme.isTable()       ? GridKind::Table
                  : scheme.isSymmetric() ? GridKind::Symmetric
                                         : GridKind::Uniform;
    format.group = scheme.isTable() ? 0 : scheme.group;
    bool ofBytes = tableInBytes(options.tables, 1 << format.bits, k);
    format.entries =
        scheme.isTable() && ofBytes ? EntryType::I8 : EntryType::F16;
    return format;
  }

  const std::vector<float> &weight;
  int64_t n, k;
  const WeightScheme &scheme;
  const LayerInput &input;
  const float *sensitivities;
  const CompressOptions &options;
  const InputMoments *judge;     // rows that errors are of
  std::vector<double> gradients; // squares, by output channel; empty: all alike
  double power = 0, costOfAll = 0; // of the result on these, by sumOf
};

} // namespace

Status sq::compressLayer(const std::vector<float> &weight, int64_t n, int64_t k,
                         const WeightScheme &scheme, const LayerInput &input,
                         const float *sensitivities,
                         const CompressOptions &options,
                         CompressedLayer &result) {
  Attempts attempts(weight, n, k, scheme, input, sensitivities, options);
  result.chosen.clear();
  bool isPlain = !scheme.isTable() && !scheme.isGptq(); // nothing to fit
  Weighting weighting = !scheme.isTable() ? Weighting::None
                        : sensitivities   ? Weighting::Sensitivities
                                          : Weighting::Inputs;
  Way asked{scheme.isTable() ? options.outliers : 0, weighting, true,
            input.moments && options.refine && !isPlain};
  if (Status s = attempts.attempt(asked, result); !s.ok())
    return s;
  if (!input.heldBack || !scheme.isTable())
    return {};
  double before = result.cost;
  // Keeps what is better on the rows that were held back.
  auto compare = [&](CompressedLayer &other, const std::string &name) {
    if (other.cost >= result.cost)
      return;
    result = std::move(other);
    result.chosen = llvm::formatv("{0}, as rows that were held back have an "
                                  "error of {1:e2} then, {2:e2} as asked for",
                                  name, result.cost, before);
  };
  // What is not refined takes little time.
  Way way = asked;
  way.refined = false;
  CompressedLayer other;
  double unrefined = before;
  auto attempt = [&](const std::string &name) -> Status {
    if (Status s = attempts.attempt(way, other); !s.ok())
      return s;
    bool isAsked = way.weighting == asked.weighting;
    if (isAsked)
      unrefined = other.cost;
    if (asked.refined || !isAsked)
      compare(other, name);
    return {};
  };
  if (asked.refined)
    if (Status s = attempt("without refinement"); !s.ok())
      return s;
  if (sensitivities && !input.power.empty()) {
    way.weighting = Weighting::Inputs;
    if (Status s = attempt("with tables weighted by mean squares of the input");
        !s.ok())
      return s;
  }
  way.weighting = Weighting::None;
  if (Status s = attempt("with unweighted tables"); !s.ok())
    return s;
  if (asked.outliers == 0)
    return {};
  // Refinement takes long: with other outliers, or without, only where that
  // seems to do no harm.
  way = asked;
  auto attemptOutliers = [&](const std::string &name) -> Status {
    way.refined = false;
    if (Status s = attempts.attempt(way, other); !s.ok())
      return s;
    way.refined = asked.refined;
    if (way.refined && other.cost < unrefined)
      if (Status s = attempts.attempt(way, other); !s.ok())
        return s;
    compare(other, name);
    return {};
  };
  if (sensitivities) {
    way.bySensitivity = false;
    if (Status s = attemptOutliers("with outliers by magnitude alone"); !s.ok())
      return s;
  }
  way.outliers = 0;
  return attemptOutliers("without outliers");
}
