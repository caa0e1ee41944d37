/// One ONNX node test: a folder with model.onnx and test_data_set_N.
#ifndef SQ_TEST_CONFORMANCE_CASE_H
#define SQ_TEST_CONFORMANCE_CASE_H

#include "test/conformance/Isolated.h"

#include <string>
#include <vector>

namespace sq::test {

struct Case {
  std::string name;      // of the folder
  std::string directory;
};

/// The cases below `root`, sorted by name.
std::vector<Case> findCases(const std::string &root);

enum class RunOn {
  Host,     // x86-64-v3
  Assembly, // CUDA, compiled and assembled only
  Emulator  // CUDA kernels in test/cuda/emulator, whose libcuda.so.1 must be found
};

/// Compiles the model, runs it on every data set and compares
/// with the tolerances of ONNX's own runner (rtol 1e-3, atol 1e-7; integers
/// exactly). Of random operators only types and shapes are compared. Refused:
/// the compiler said that it does not support the model. `artifact` is where
/// the compiled model may lie meanwhile.
Outcome runCompiled(const Case &testCase, const std::string &artifact, RunOn where);

/// The same with lib/reference in place of the compiler: a check of the oracle.
Outcome runReference(const Case &testCase);

} // namespace sq::test

#endif
