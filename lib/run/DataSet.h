/// Data sets: a folder with one `<input name>.npy` per input, first dimension =
/// samples. For language models `tokens.npy` [rows, T+1] instead: columns
/// 0..T-1 are input_ids, positions 0..T-1 where the model has position_ids, columns 1..T the
/// labels of a program that takes such; pasts of keys and values are empty. Or
/// ONNX's test data: folders test_data_set_* of input_0.pb, output_0.pb ...
#ifndef SQ_LIB_RUN_DATASET_H
#define SQ_LIB_RUN_DATASET_H

#include <functional>

#include "lib/run/Module.h"
#include "lib/tensorio/Npy.h"

namespace sq {

/// A data set whose samples are read when they are asked for.
class DataSetReader {
public:
  /// `path` is a folder, or an .npz file with an array per input. Refused when an input is missing,
  /// has another number of samples than the others, or elements that the model's type does not hold.
  Status open(const std::string &path, const std::vector<Port> &inputs);
  /// Refuses shapes that the model does not take, naming the file, before anything runs. Dims that a
  /// symbol ties to each other are the runtime's to check.
  Status checkShapes() const;

  int64_t samples() const { return count; }
  /// Samples [begin, begin + number) of every input, in the model's order and types.
  Status read(int64_t begin, int64_t number, std::vector<Tensor> &inputs) const;
  /// Where input `index` comes from, quoted.
  const std::string &title(size_t index) const { return fileOf(index).title(); }
  /// tokens.npy, or null.
  const NpyFile *tokensFile() const { return hasTokens ? &tokens : nullptr; }

private:
  const NpyFile &fileOf(size_t index) const { return isOfTokens[index] ? tokens : files[index]; }

  std::vector<Port> ports;
  std::vector<NpyFile> files; // by input
  std::vector<bool> isOfTokens;
  NpyFile tokens;
  bool hasTokens = false;
  int64_t count = 0;
};

struct DataSet {
  std::string folder;
  std::vector<Tensor> inputs; // in the order of the module's inputs, its types
  Tensor tokens;              // only when `hasTokens`
  bool hasTokens = false;
  int64_t samples = 0;
};

/// The input `port` for `tokens` [rows, T+1], whose last column is only a label: ids, positions, a mask, or an
/// empty past (floats [rows, heads, past, size] with one dim behind the first that may be 0). Refused for others.
Status inputOfTokens(const Port &port, const Tensor &tokens, Tensor &input);

/// Reads all of a data set. Masks that a tokens.npy does not come with are ones: its rows are not
/// padded.
Status readDataSet(const std::string &folder, const std::vector<Port> &inputs, DataSet &data);

/// The sets of ONNX test data that `folder` is or holds; none when it is not of that kind.
std::vector<std::string> testDataSets(const std::string &folder);
/// Reads input_0.pb ... of such a set.
Status readTestInputs(const std::string &set, const std::vector<Port> &ports, std::vector<Tensor> &inputs);

/// The samples [begin, begin + count) of `from`.
Status slice(const Tensor &from, int64_t begin, int64_t count, Tensor &to);

/// Runs the samples [begin, begin + count) at once; `output` becomes output `index`.
Status runSamples(Session &session, const DataSet &data, int64_t begin, int64_t count, int index, Tensor &output);

/// Runs all samples, `batch` at a time (0: eight, or what the module's ranges
/// allow), and hands each batch's output `index` to `each`: the first sample's
/// number, how many samples of the front of the output to skip because an
/// earlier batch had them (the last batch of a module that takes no smaller
/// one), and the output.
using EachOutput = std::function<Status(int64_t firstSample, int64_t skip, const Tensor &output)>;
Status runDataSet(const Module &module, const DataSet &data, int64_t batch, int threads, int index,
                  const EachOutput &each);

} // namespace sq

#endif
