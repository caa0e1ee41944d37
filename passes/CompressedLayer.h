/// A constant weight of a linear layer in few bits, fitted to what calibration
/// saw.
#ifndef SQ_PASSES_COMPRESSEDLAYER_H
#define SQ_PASSES_COMPRESSEDLAYER_H

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/calibration/TensorStats.h"
#include "lib/quantization/WeightScheme.h"
#include "lib/quantizer/CompressedWeight.h"
#include "lib/quantizer/Refine.h"

namespace sq {

/// How weights are compressed, for all layers alike.
struct CompressOptions {
  double outliers = 0; // percent of a weight in 16 bits beside its codes
  bool refine = true;  // codes and tables by second moments, where the
                       // statistics have them
  std::string tables;  // entries: "f16", "int8"; "auto": bytes where f16 takes
                       // more than 0.1 bits a weight
  double damping =
      0.01;       // of second moments, as a share of the mean of their diagonal
  int rounds = 8; // of tables and codes, at most
  double enough = 1e-4; // of fitting tables, see RefineOptions
  int threads = 0;      // 0: all cores
};

/// Second moments of what some layers read; made once for all of them.
struct LayerInput {
  std::vector<double> power; // mean squares by channel; empty: unknown
  std::vector<double> means; // by channel; empty: unknown
  std::optional<quantizer::InputMoments> moments,
      heldBack;        // none: not known, or without a factor
  std::string problem; // why there are none although the statistics have some

  /// `found` may be null. With `centred` the moments are those about the mean:
  /// a bias takes up the rest.
  LayerInput(const calibration::TensorStats *found, int64_t k, bool centred,
             double damping, int threads = 1);
};

struct CompressedLayer {
  quantizer::CompressedWeight weight;
  std::vector<float> decoded;  // [n][k]
  std::optional<double> error; // of the result, as a share of its power, by
                               // rows that were held back where there are any
  /// What ways were compared by: the same, but with `sensitivities` an output
  /// channel counts as much as what comes back to it does.
  double cost = 0;
  std::string
      chosen; // what was preferred to what was asked for; empty: nothing
};

/// Compresses `weight` [n][k]. Where rows were held back, what was asked for is
/// compared by them with what is simpler (no outliers, or by magnitude alone,
/// no refinement, tables weighted by inputs alone or not at all); the better
/// one is taken. `sensitivities` [n][k], see checkSensitivities, may be null:
/// squared gradients. Their sums over a row are what an error of that row
/// counts: the loss changes by sum of g_r e_r^T H e_r / 2 where gradients and
/// inputs are independent (K-FAC, Martens and Grosse 2015), and sums over rows
/// of the squared gradients are g_r tr(H).
Status compressLayer(const std::vector<float> &weight, int64_t n, int64_t k,
                     const WeightScheme &scheme, const LayerInput &input,
                     const float *sensitivities, const CompressOptions &options,
                     CompressedLayer &result);

/// Layers that were compressed: of plans for one model most have layers in
/// common. Of each codes, tables and the sparse part; when these are more than
/// 512 MiB, all go. In memory, so that what is found was made by this process.
/// From any threads.
class CompressedLayers {
public:
  struct Kept {
    CompressedLayer layer; // nothing is decoded
    std::vector<double> means;
    std::string problem; // of the input, see LayerInput
  };

  /// What compressLayer depends on: hashes of 128 bits of the weight, of the
  /// statistics (means and mean squares of channels, for the file `stats`) and
  /// of `sensitivities`; all else as it is. `found` may be null, as for
  /// LayerInput.
  static std::string keyOf(const std::vector<float> &weight, int64_t n,
                           int64_t k, const WeightScheme &scheme,
                           const std::string &stats,
                           const calibration::TensorStats *found, bool centred,
                           const std::vector<float> &sensitivities,
                           const CompressOptions &options);
  /// Null: it is not there.
  std::shared_ptr<const Kept> find(const std::string &key);
  void keep(const std::string &key, Kept kept);

private:
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const Kept>> known;
  int64_t bytes = 0;
};

/// "tables of 16 bytes", "groups of 128".
std::string describe(const quantizer::CompressedWeight &weight);

} // namespace sq

#endif
