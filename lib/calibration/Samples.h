/// Where calibration takes its samples from: folders and archives of arrays, ONNX test data, or
/// made-up inputs. Only the samples of one run are in memory.
#ifndef SQ_LIB_CALIBRATION_SAMPLES_H
#define SQ_LIB_CALIBRATION_SAMPLES_H

#include <map>
#include <memory>

#include "lib/run/Module.h"

namespace sq::calibration {

/// Rows of the tables that integer inputs index, by the input's name: passes/analysis/TokenInputs.h.
using TableRows = std::map<std::string, int64_t>;

class Samples {
public:
  virtual ~Samples() = default;
  virtual int64_t count() const = 0;
  /// Samples [first, first + number), joined along the first dimension, as the model's inputs.
  virtual Status read(int64_t first, int64_t number, std::vector<Tensor> &inputs) = 0;
  /// How many samples from `first` on can be read at once.
  virtual int64_t joinable(int64_t first) const = 0;
  /// "sample 3 of 'data/calibration'"; of several "samples 3 to 5 of ...".
  virtual std::string title(int64_t first, int64_t number) const = 0;
  /// For the record in the stats file.
  virtual std::string description() const = 0;
};

/// `path`: a folder of <input>.npy (or tokens.npy), of .npz archives or of ONNX test data, or one
/// .npz file. Refused when it is none of these or an array is not what the model takes. Of a model that
/// takes no fewer than n rows, n rows are a sample, and what is left of the rows is not read.
Status openSamples(const std::string &path, const std::vector<Port> &inputs, std::unique_ptr<Samples> &samples);

/// One after the other.
std::unique_ptr<Samples> joinSamples(std::vector<std::unique_ptr<Samples>> parts);

/// Inputs out of nothing, rung 1 of spec integer-only.md section 13: integers that index a table are
/// uniform over its rows, those called token types or segments 0, positions count, masks are ones, floats
/// are N(0, 1). Symbolic dims behind the first take lengths from 8 to 128, every fourth sample the
/// longest; where the length is fixed, masks have so many ones in front. `special`: ids that stand in
/// front of and behind each sequence, as a tokenizer puts them (empty: none, or those two). Refused
/// when the model has an input of which none of this can be said, or no table with such rows.
Status makeSamples(int64_t count, uint64_t seed, const std::vector<int64_t> &special, const std::vector<Port> &inputs,
                   const TableRows &tables, std::unique_ptr<Samples> &samples);

/// Refuses an index outside of its table; `title` says of which sample.
Status checkIndices(const std::vector<Port> &ports, const std::vector<Tensor> &inputs, const TableRows &tables,
                    const std::string &title);

/// A generator that gives the same numbers everywhere (splitmix64, Steele et al. 2014).
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next();
  /// Uniform over [0, bound).
  int64_t below(int64_t bound);
  double uniform(); // in (0, 1)
  double normal();

private:
  uint64_t state;
};

} // namespace sq::calibration

#endif
