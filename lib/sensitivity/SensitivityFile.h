/// Sensitivity files: what sq-sensitivity writes, and what mixed precision and
/// codebooks read.
///
/// 24 bytes in front (the text "SQSENSI1", the size of the head, its XXH3-64,
/// little endian), the head, a FlatBuffer of sensitivity.fbs, and from the next
/// multiple of 64 on arrays of f32, each at a multiple of 64, each with its
/// hash in the head. A model of any size is read a layer at a time. The same
/// content gives the same bytes.
#ifndef SQ_LIB_SENSITIVITY_SENSITIVITYFILE_H
#define SQ_LIB_SENSITIVITY_SENSITIVITYFILE_H

#include <optional>

#include "lib/calibration/StatsFile.h"
#include "lib/tensorio/File.h"

namespace sq::sensitivity {

/// v^T H v over probes v: Welford's mean and sum of squared deviations.
struct Trace {
  uint64_t probes = 0;
  double mean = 0, deviation = 0;

  void add(double x);
  /// As if the probes of `other` had come as well (Chan et al. 1979).
  void merge(const Trace &other);
  /// Of the mean; infinite for fewer than two probes.
  double standardError() const;
};

struct LayerSensitivity {
  std::string name;                // of passes/LayerDecisions.h
  std::vector<std::string> layers; // all that have this weight
  std::string weight;              // its initialiser's name; empty: unknown
  int64_t rows = 0, columns = 0;   // of the weight as the model has it
  int64_t position = 0;            // samples whose gradients are in `fisher`
  /// Sums over samples of squared gradients, [rows][columns]. Empty: in the
  /// file, or not there yet.
  std::vector<float> fisher;
  Trace trace; // of the Hessian of the mean loss
  double eigenvalue = 0, eigenvalueChange = 0;
  uint32_t eigenvalueSteps = 0;

  int64_t elements() const { return rows * columns; }
};

struct Sensitivity {
  calibration::ModelHash model;
  std::string loss;   // "cross-entropy" ...
  std::string source; // "'data': 128 samples"
  bool hasSampledLabels = false;
  uint64_t seed = 0;
  int64_t samples = 0; // that were asked for; a layer has `position` of them
  uint64_t dataHash = 0;
  double lossSum = 0;
  int64_t hessianSamples = 0;
  bool isComplete = false;
  std::vector<LayerSensitivity> layers; // in program order

  const LayerSensitivity *find(const std::string &layer) const;
};

/// An open file: the head, and arrays when they are asked for.
class SensitivityFile {
public:
  SensitivityFile() = default;
  SensitivityFile(const SensitivityFile &) = delete;
  ~SensitivityFile();
  /// Refused with one message: what is truncated, damaged, no such file, or of
  /// another version.
  Status open(const std::string &path);
  const Sensitivity &head() const { return content; }
  /// The sums of squared gradients of layer `index`, checked against their
  /// hash. Empty when there are none yet.
  Status readFisher(size_t index, std::vector<float> &fisher) const;
  /// The same where it lies, mapped and not checked; null when there is none.
  const float *mapped(size_t index) const;

private:
  struct Place {
    uint64_t offset = 0, hash = 0;
  };
  Sensitivity content;
  std::vector<Place> places; // by layer
  InputFile file;
  void *memory = nullptr; // all of the file, read-only
  size_t memorySize = 0;
};

/// Whether the file begins as a sensitivity file does, of any version.
bool isSensitivityFile(const std::string &path);

/// Writes all, whole or nothing. Arrays of layers that are not in memory but
/// have samples come from `earlier`, the same layer of it.
Status writeSensitivity(const std::string &path, const Sensitivity &content,
                        const SensitivityFile *earlier = nullptr);

/// Joins files of one model and one loss: sums of squared gradients and probes
/// add up. Refused when they are of different models or losses, interrupted, or
/// have different layers.
Status mergeSensitivity(const std::vector<std::string> &paths,
                        const std::string &output);

} // namespace sq::sensitivity

#endif
