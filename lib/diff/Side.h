/// The two programs that sq-diff compares, each as what it computes by name.
#ifndef SQ_LIB_DIFF_SIDE_H
#define SQ_LIB_DIFF_SIDE_H

#include <memory>

#include "lib/run/Module.h"
#include "sq/compiler.h"

namespace sq::diff {

/// What one run gave under one name.
struct Value {
  std::string name, op; // `op` empty: the program does not say
  bool isNode = false;  // of an ONNX node; else an output of the model
  std::vector<int64_t> shape;
  std::vector<double> elements;
};

/// A program that can be run.
class Side {
public:
  virtual ~Side() = default;
  virtual const std::vector<Port> &inputs() const = 0;
  /// One run. Nodes come in the order of the model, then its outputs.
  virtual Status run(const std::vector<Tensor> &inputs, std::vector<Value> &values) = 0;
  /// Whether values of nodes come at all.
  virtual bool hasNodes() const = 0;
  /// Where and how it runs, for people.
  std::string description;
};

/// `model` in float64 (lib/reference).
Status openReference(const std::string &model, std::unique_ptr<Side> &side);
/// An artifact on the device and CPU level of `options`.
Status openArtifact(const std::string &path, const RunOptions &options, int threads, std::unique_ptr<Side> &side);
/// `model`, compiled with every intermediate kept.
Status openCompiled(const std::string &model, CompileOptions compile, const RunOptions &options, int threads,
                    std::unique_ptr<Side> &side);

} // namespace sq::diff

#endif
