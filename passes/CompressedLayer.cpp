//===-- CompressedLayer.cpp - a weight in few bits
//----------------------------===//

#include "passes/CompressedLayer.h"

#include "llvm/Support/FormatVariadic.h"

#include "lib/quantization/StoredSize.h"
#include "lib/quantizer/Extraction.h"
#include "lib/quantizer/FitLevels.h"

using namespace sq;
using namespace sq::quantizer;

LayerInput::LayerInput(const calibration::TensorStats *found, int64_t k,
                       bool centred, double damping) {
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
  if (!moments->prepare(matrix.data(), k, damping)) {
    moments.reset();
    problem = "the second moments of its input are all 0 or not finite; its "
              "weight is fitted without them";
    return;
  }
  matrix = matrixOf(found->heldBack);
  if (matrix.empty())
    return;
  heldBack.emplace();
  heldBack->prepareError(matrix.data(), k);
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

/// One way to compress a weight.
struct Way {
  double outliers;
  bool weighted, refined;
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
    if (judge)
      power = judge->error(weight.data(), std::vector<float>(n * k).data(), n,
                           options.threads);
  }

  Status attempt(const Way &way, CompressedLayer &result) const {
    result.weight = CompressedWeight::make(format(), n, k);
    CompressedWeight &made = result.weight;
    Extraction taken;
    OutlierShares shares = outlierShares(way.outliers, sensitivities);
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
        !way.weighted || input.power.empty() ? nullptr : input.power.data();
    bool byElement = way.weighted && sensitivities;
    if (way.refined) {
      // What feedback leaves of an error is what counts; sensitivities choose
      // the sparse weights only.
      channels = input.moments->feedback.remaining().data();
      byElement = false;
    }
    made.sensitivity = !way.weighted   ? "none"
                       : sensitivities ? "fisher"
                       : channels      ? "act2"
                                       : "none";
    if (scheme.isTable())
      fitTables(
          made, weight.data(),
          {byElement ? nullptr : channels, byElement ? sensitivities : nullptr},
          taken.removed, options.threads);
    else
      fitUniform(made, weight.data(), way.refined ? channels : nullptr,
                 /*search=*/way.refined, options.threads);
    if (way.refined) {
      RefineOptions refinement;
      refinement.threads = options.threads;
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
    if (judge)
      result.error = power > 0
                         ? judge->error(weight.data(), result.decoded.data(), n,
                                        options.threads) /
                               power
                         : 0;
    return {};
  }

private:
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
  const InputMoments *judge; // rows that errors are of
  double power = 0;          // of the result on these
};

} // namespace

Status sq::compressLayer(const std::vector<float> &weight, int64_t n, int64_t k,
                         const WeightScheme &scheme, const LayerInput &input,
                         const float *sensitivities,
                         const CompressOptions &options,
                         CompressedLayer &result) {
  Attempts attempts(weight, n, k, scheme, input, sensitivities, options);
  bool isPlain = !scheme.isTable() && !scheme.isGptq(); // nothing to fit
  Way asked{scheme.isTable() ? options.outliers : 0, scheme.isTable(),
            input.moments && options.refine && !isPlain};
  if (Status s = attempts.attempt(asked, result); !s.ok())
    return s;
  if (!input.heldBack || !scheme.isTable())
    return {};
  double before = *result.error;
  // Keeps what is better on the rows that were held back.
  auto compare = [&](CompressedLayer &other, const char *name) {
    if (*other.error >= *result.error)
      return;
    result = std::move(other);
    result.chosen = llvm::formatv("{0}, as rows that were held back have an "
                                  "error of {1:e2} then, {2:e2} as asked for",
                                  name, *result.error, before);
  };
  CompressedLayer plain, other;
  if (Status s = attempts.attempt({asked.outliers, true, false}, plain);
      !s.ok())
    return s;
  double unrefined = *plain.error;
  if (asked.refined)
    compare(plain, "without refinement");
  if (Status s = attempts.attempt({asked.outliers, false, false}, other);
      !s.ok())
    return s;
  compare(other, "with unweighted tables");
  if (asked.outliers == 0)
    return {};
  // Refinement takes long: without outliers only where they seem to do no good.
  if (Status s = attempts.attempt({0, true, false}, other); !s.ok())
    return s;
  if (asked.refined && *other.error < unrefined)
    if (Status s = attempts.attempt({0, true, true}, other); !s.ok())
      return s;
  compare(other, "without outliers");
  return {};
}
