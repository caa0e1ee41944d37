/// What the manifest says of an artifact's kernels, for profiles.
#ifndef SQ_LIB_RUN_KERNELS_H
#define SQ_LIB_RUN_KERNELS_H

#include "lib/run/Module.h"

namespace sq {

/// Work of one launch; -1 where it is unknown.
struct KernelWork {
  double flops = -1;                // floating-point operations
  double read = -1, written = -1;   // bytes, every operand once
  bool operator==(const KernelWork &o) const {
    return flops == o.flops && read == o.read && written == o.written;
  }
  double bytes() const { return read < 0 || written < 0 ? -1 : read + written; }
};

/// One launch of the schedule.
struct Kernel {
  std::string name;
  std::vector<std::string> nodes; // of the ONNX graph
  KernelWork work;
};

/// The kernels of `module` in the order of their numbers, their work evaluated
/// for inputs of these shapes and a run on `threads` threads.
std::vector<Kernel> kernelsFor(const Module &module, const std::vector<Tensor> &inputs, int threads);

/// `text` as a JSON string, and `texts` as an array of them.
std::string quoted(const std::string &text);
std::string quoted(const std::vector<std::string> &texts);

} // namespace sq

#endif
