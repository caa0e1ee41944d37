/// What kernels take of a multiprocessor: the assembler's words, and the
/// occupancy that follows.
#include "codegen/cuda/Resources.h"

#include <gtest/gtest.h>

using namespace sq;

namespace {

TEST(Resources, AssemblerLog) {
  auto kernels = parseAssemblerLog("ptxas info    : 0 bytes gmem\n"
                                   "ptxas info    : Compiling entry function 'matmul_25' for 'sm_80'\n"
                                   "ptxas info    : Function properties for matmul_25\n"
                                   "    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n"
                                   "ptxas info    : Used 56 registers, used 1 barriers, 24064 bytes smem, 392 bytes cmem[0]\n"
                                   "ptxas info    : Compiling entry function 'generic_0' for 'sm_80'\n"
                                   "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
                                   "ptxas info    : Used 14 registers, used 0 barriers, 496 bytes cmem[0]\n");
  ASSERT_EQ(kernels.size(), 2u);
  KernelResources matmul = kernels["matmul_25"], generic = kernels["generic_0"];
  EXPECT_EQ(matmul.function, "matmul_25");
  EXPECT_EQ(matmul.stackBytes, 16);
  EXPECT_EQ(matmul.spillBytes, 20);
  EXPECT_EQ(matmul.registers, 56);
  EXPECT_EQ(matmul.sharedBytes, 24064);
  EXPECT_EQ(generic.registers, 14);
  EXPECT_EQ(generic.sharedBytes, 0);
  EXPECT_TRUE(parseAssemblerLog("").empty());
}

TEST(Resources, Occupancy) {
  CudaTarget a100 = *findCudaTarget("sm_80");
  auto of = [&](int64_t threads, int64_t registers, int64_t shared) {
    return occupancy(KernelResources{"", threads, registers, shared, 0, 0, 0}, a100);
  };
  // As NVIDIA's occupancy calculator has it for compute capability 8.0.
  EXPECT_DOUBLE_EQ(of(256, 32, 0), 1.0);
  EXPECT_DOUBLE_EQ(of(256, 64, 0), 0.5);      // 4 blocks by registers
  EXPECT_DOUBLE_EQ(of(256, 65, 0), 0.375);    // 72 registers are given out
  EXPECT_DOUBLE_EQ(of(128, 32, 48 << 10), 0.1875); // 3 blocks by shared memory
  EXPECT_DOUBLE_EQ(of(32, 16, 0), 0.5);       // 32 blocks
  EXPECT_DOUBLE_EQ(of(1024, 64, 0), 0.5);
  EXPECT_DOUBLE_EQ(of(1024, 255, 0), 0.0);    // does not fit at all
}

} // namespace
