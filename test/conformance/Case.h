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

/// How far a float may be from the stored one; those of ONNX's own runner.
struct Tolerance {
  double rtol = 1e-3, atol = 1e-7;
};

/// Compiles the model, runs it on every data set and compares, integers
/// exactly. Of random operators only types and shapes are compared. Refused:
/// the compiler said that it does not support the model. `artifact` is where
/// the compiled model may lie meanwhile.
Outcome runCompiled(const Case &testCase, const std::string &artifact, RunOn where,
                    Tolerance tolerance);

/// The same with lib/reference in place of the compiler: a check of the oracle.
Outcome runReference(const Case &testCase, Tolerance tolerance);

} // namespace sq::test

#endif
