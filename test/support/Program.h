/// A compiled model for tests: compiled with the compiler library, run through
/// the runtime's C API, with the oracle's tensors on both sides.
#ifndef SQ_TEST_SUPPORT_PROGRAM_H
#define SQ_TEST_SUPPORT_PROGRAM_H

#include "lib/numerics/Tensor.h"
#include "sq/compiler.h"
#include "sq/runtime.h"

#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace sq::test {

/// A new folder under $TMPDIR that goes away, with what is in it, at the end.
class TemporaryDirectory {
public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory &) = delete;
  TemporaryDirectory &operator=(const TemporaryDirectory &) = delete;

  std::string file(const std::string &name) const { return path + "/" + name; }

private:
  std::string path;
};

class Program {
public:
  /// Loads an artifact and makes one session with `threads` (0: all cores);
  /// `cpu` caps the CPU level, null means the best one.
  static llvm::Expected<Program> load(const std::string &artifact, int threads = 1,
                                      const char *cpu = nullptr);

  int32_t numInputs() const { return sq_module_num_inputs(module.get()); }
  std::string inputName(int32_t i) const { return sq_module_input(module.get(), i)->name; }
  numerics::DType inputType(int32_t i) const;

  /// Inputs in the order of the signature. Fails with the runtime's message.
  llvm::Expected<std::vector<numerics::Tensor>> run(const std::vector<numerics::Tensor> &inputs);

private:
  struct Release {
    void operator()(sq_module *module) const { sq_module_release(module); }
    void operator()(sq_session *session) const { sq_session_release(session); }
  };
  std::unique_ptr<sq_module, Release> module;
  std::unique_ptr<sq_session, Release> session;
};

} // namespace sq::test

#endif
