/// Data sets: a folder with one `<input name>.npy` per input, first dimension =
/// samples. For language models `tokens.npy` [rows, T+1] instead: columns
/// 0..T-1 are input_ids, positions 0..T-1 where the model has position_ids. Or
/// ONNX's test data: folders test_data_set_* of input_0.pb, output_0.pb ...
#ifndef SQ_LIB_RUN_DATASET_H
#define SQ_LIB_RUN_DATASET_H

#include <functional>

#include "lib/run/Module.h"

namespace sq {

struct DataSet {
  std::string folder;
  std::vector<Tensor> inputs; // in the order of the module's inputs, its types
  Tensor tokens;              // only when `hasTokens`
  bool hasTokens = false;
  int64_t samples = 0;
};

/// Reads what a model with these inputs needs. Masks that a tokens.npy does not come with are
/// ones: its rows are not padded.
Status readDataSet(const std::string &folder, const std::vector<Port> &inputs, DataSet &data);

/// The sets of ONNX test data that `folder` is or holds; none when it is not of that kind.
std::vector<std::string> testDataSets(const std::string &folder);
/// Reads input_0.pb ... of such a set.
Status readTestInputs(const std::string &set, const std::vector<Port> &ports, std::vector<Tensor> &inputs);

/// The samples [begin, begin + count) of `from`.
Status slice(const Tensor &from, int64_t begin, int64_t count, Tensor &to);

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
