/// A test's device: the fake driver with the kernels of kernels.cpp loaded.
#ifndef SQ_TEST_UNIT_EMULATOR_GPU_H
#define SQ_TEST_UNIT_EMULATOR_GPU_H

#include "test/cuda/emulator/FakeCuda.h"
#include "test/cuda/emulator/emulator.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

namespace sq::test {

#define SQ_EXPECT_CU(call) EXPECT_EQ(call, CUDA_SUCCESS)

inline std::string imageBytes() {
  std::ifstream file(SQ_EMULATED_KERNELS, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Gpu : public testing::Test {
protected:
  static constexpr const char *knobs[] = {
      "SQ_EMULATOR_SEED",   "SQ_EMULATOR_THREADS", "SQ_FAKE_CUDA_DEVICES",
      "SQ_FAKE_CUDA_CC",    "SQ_FAKE_CUDA_DRIVER", "SQ_FAKE_CUDA_MEMORY",
      "SQ_FAKE_CUDA_LEAKS", "SQ_FAKE_CUDA_LAZY",   "SQ_EMULATOR_RACES"};

  void SetUp() override {
    for (const char *knob : knobs)
      unsetenv(knob);
    start();
  }
  void TearDown() override {
    stop();
    for (const char *knob : knobs)
      unsetenv(knob);
  }

  void start() {
    SQ_EXPECT_CU(cuInit(0));
    SQ_EXPECT_CU(cuDevicePrimaryCtxRetain(&context, 0));
    SQ_EXPECT_CU(cuCtxSetCurrent(context));
    image = imageBytes();
    SQ_EXPECT_CU(cuModuleLoadData(&module, image.data()));
  }
  void stop() {
    SQ_EXPECT_CU(cuDevicePrimaryCtxRelease_v2(0));
    SQ_EXPECT_CU(cuCtxSetCurrent(nullptr));
  }
  /// Again, with a knob turned.
  void restart(const char *knob, const char *value) {
    stop();
    setenv(knob, value, 1);
    start();
  }

  CUfunction kernel(const char *name) {
    CUfunction function = nullptr;
    SQ_EXPECT_CU(cuModuleGetFunction(&function, module, name));
    return function;
  }

  template <typename... Params>
  CUresult launch(const char *name, unsigned grid, unsigned block,
                  unsigned sharedBytes, Params... values) {
    void *params[] = {&values...};
    return cuLaunchKernel(kernel(name), grid, 1, 1, block, 1, 1, sharedBytes,
                          stream, params, nullptr);
  }

  template <typename T> CUdeviceptr upload(const std::vector<T> &values) {
    CUdeviceptr pointer = 0;
    SQ_EXPECT_CU(cuMemAlloc_v2(&pointer, values.size() * sizeof(T)));
    SQ_EXPECT_CU(
        cuMemcpyHtoD_v2(pointer, values.data(), values.size() * sizeof(T)));
    return pointer;
  }
  template <typename T>
  std::vector<T> download(CUdeviceptr pointer, size_t count) {
    std::vector<T> values(count);
    SQ_EXPECT_CU(cuMemcpyDtoH_v2(values.data(), pointer, count * sizeof(T)));
    return values;
  }

  CUcontext context = nullptr;
  CUmodule module = nullptr;
  CUstream stream = nullptr;
  std::string image;
};

} // namespace sq::test
#endif
