/// Artifacts as the tools use them: the C API of sq/runtime.h with tensors of
/// lib/tensorio, and one place that turns its statuses into exit codes.
#ifndef SQ_LIB_RUN_MODULE_H
#define SQ_LIB_RUN_MODULE_H

#include "lib/tensorio/Tensor.h"
#include "sq/runtime.h"

namespace sq {

/// The tools' Status of a call of the runtime, with sq_last_error's message.
Status fromRuntime(sq_status status);

/// An input or output of a module.
struct Port {
  std::string name;
  DType dtype;
  std::vector<sq_dim_info> dims; // names live as long as the module

  /// "batch[1..8] x sequence[1..512] x i64"
  std::string describe() const;
  /// What dim `axis` is called: its symbol, or NAME:AXIS.
  std::string dimName(size_t axis) const;
};

/// Where and how to run, of the flags that all these tools have.
struct RunOptions {
  std::string cpu;      // cap of the CPU level; empty: SQ_CPU, else the best
  std::string device;   // "cpu", "cuda", "cuda:N", "auto"; empty: SQ_DEVICE, else auto
  bool verifyWeights = false;
};

/// A loaded artifact.
class Module {
public:
  Module() = default;
  Module(const Module &) = delete;
  ~Module() { sq_module_release(handle); }

  /// `path` null: the artifact this program is linked with. Notes of the
  /// runtime, and the device when it was not named, are printed to stderr.
  Status load(const char *path, const RunOptions &options = {});

  sq_module *get() const { return handle; }
  bool onDevice() const { return std::string(sq_module_device(handle)) != "cpu"; }
  const std::vector<Port> &inputs() const { return inputPorts; }
  const std::vector<Port> &outputs() const { return outputPorts; }
  /// All inputs and outputs, a line each.
  std::string signature() const;

private:
  sq_module *handle = nullptr;
  std::vector<Port> inputPorts, outputPorts;
};

/// The port called `name`, or -1.
int findPort(const std::vector<Port> &ports, const std::string &name);

/// Widens `tensor` to the port's element type; the message names the input.
/// Shapes are the runtime's to check.
Status fitInput(const Port &port, Tensor &tensor);

/// A session of a module and the tensors of its next run.
class Session {
public:
  Session() = default;
  Session(const Session &) = delete;
  ~Session() { sq_session_release(handle); }

  /// `threads` 0: all that affinity and cgroup allow; `cudaGraphs`: shapes to
  /// keep graphs of, on a device. The module must outlive the session.
  Status create(const Module &module, int threads, int cudaGraphs = 0);

  /// Binds the inputs of the following runs, which must outlive them; one per
  /// input of the module, in its order.
  void bind(const std::vector<Tensor> &inputs);
  /// Runs; outputs stay in the session's memory until the next run.
  Status run();
  /// Copies output `index` of the last run.
  Status output(int index, Tensor &tensor) const;
  /// The same where it lies, dense and row-major; on the CPU.
  const DLTensor &view(int index) const { return outputs[index]; }

  Status stats(sq_session_stats &stats) const;

  sq_session *get() const { return handle; }

private:
  const Module *module = nullptr;
  sq_session *handle = nullptr;
  std::vector<DLTensor> inputs, outputs;
};

/// Prints `tool: status.message` to stderr unless ok; the exit code.
int report(const char *tool, const Status &status);

} // namespace sq

#endif
