/// The toy model (toy_model.c) as an artifact, and files to try things on.
#ifndef SQ_TEST_UNIT_RUNTIME_TOYARTIFACT_H
#define SQ_TEST_UNIT_RUNTIME_TOYARTIFACT_H

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "lib/driver/Artifact.h"
#include "sq/runtime.h"

namespace sq_test {

/// A fresh folder per test, removed afterwards.
class TemporaryFolder : public ::testing::Test {
protected:
  TemporaryFolder() {
    std::string pattern = ::testing::TempDir() + "sq-runtime-XXXXXX";
    folder = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() override { std::filesystem::remove_all(folder); }

  std::string path(const std::string &name) const { return folder + "/" + name; }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(folder))
      names.push_back(entry.path().filename());
    return names;
  }

  std::string folder;
};

inline std::string readFile(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void writeFile(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// w[i] = base + i.
inline sq::ArtifactSpec toySpec(const std::string &output, float base = 100) {
  sq::ArtifactSpec spec;
  spec.output = output;
  spec.objects = {SQ_TOY_OBJECT};
  spec.manifest.modelName = "toy";
  spec.manifest.inputs = {{"x", "f32", {{"batch", 0, 512}, {"n", 1, 64}}},
                          {"index", "i64", {{"batch", 0, 512}}}};
  spec.manifest.outputs = {{"y", "f32", {{"batch", 0, 512}, {"n", 1, 64}}},
                           {"who", "i64", {{"batch", 0, 512}, {"n", 1, 64}}}};
  spec.manifest.variants = {{"x86-64-v3", sq::levelFeatures("x86-64-v3"), false, {}, {}},
                            {"avx512", sq::levelFeatures("avx512"), false, {}, {}}};
  spec.manifest.kernels = {{"doubled", {"/toy/Mul"}, "batch*n", "4*batch*n", "4*batch*n"}, {"added", {}, "", "", ""}};
  spec.weightsSize = 64 * sizeof(float);
  for (uint64_t half : {1, 0}) // the order of chunks does not matter
    spec.weights.push_back({half * 128, 128, [=](llvm::MutableArrayRef<uint8_t> destination) {
                              for (uint64_t i = 0; i < 32; ++i) {
                                float value = base + static_cast<float>(half * 32 + i);
                                memcpy(destination.data() + 4 * i, &value, 4);
                              }
                              return llvm::Error::success();
                            }});
  return spec;
}

inline std::string writeToy(const std::string &output, float base = 100) {
  sq::CompileResult result = sq::writeArtifact(toySpec(output, base));
  EXPECT_EQ(result.code, sq::ExitCode::Done) << result.message;
  return output;
}

inline bool toyRunsHere() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/// Inputs of the toy model for one run.
struct ToyInputs {
  explicit ToyInputs(int64_t batch = 3, int64_t n = 4)
      : x(static_cast<size_t>(batch * n)), index(static_cast<size_t>(batch), 5),
        xShape{batch, n}, indexShape{batch},
        tensors{{x.data(), {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, xShape, nullptr, 0},
                {index.data(), {kDLCPU, 0}, 1, {kDLInt, 64, 1}, indexShape, nullptr, 0}} {
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(i) / 4;
  }
  ToyInputs(const ToyInputs &) = delete;

  float expected(int64_t row, int64_t column, float base = 100) const {
    return 2 * x[static_cast<size_t>(row * xShape[1] + column)] + base +
           static_cast<float>(column);
  }

  std::vector<float> x;
  std::vector<int64_t> index;
  int64_t xShape[2], indexShape[1];
  DLTensor tensors[2];
};

} // namespace sq_test

#endif
