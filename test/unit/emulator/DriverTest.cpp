/// The fake driver itself: memory, modules, streams, graphs, limits, knobs.
#include "test/unit/emulator/Gpu.h"

#include <cstring>
#include <numeric>
#include <thread>

namespace sq::test {
namespace {

class FakeDriver : public Gpu {
protected:
  /// Runs `call`, which must print something.
  template <typename F> std::string printed(const F &call) {
    testing::internal::CaptureStderr();
    call();
    std::string text = testing::internal::GetCapturedStderr();
    EXPECT_EQ(text.rfind("emulator: ", 0), 0u) << text;
    return text;
  }
};

TEST_F(FakeDriver, CaptureAndGraph) {
  SQ_EXPECT_CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  std::vector<float> host(100, 1.f);
  CUdeviceptr x = upload(host), y = upload(host);
  SQ_EXPECT_CU(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  int status = 0;
  SQ_EXPECT_CU(cuStreamIsCapturing(stream, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  SQ_EXPECT_CU(cuMemcpyHtoDAsync_v2(y, host.data(), 400, stream));
  SQ_EXPECT_CU(launch("axpy", 1, 128, 0, y, x, 2.f, 100));
  SQ_EXPECT_CU(launch("axpy", 1, 128, 0, y, x, 4.f, 100));
  CUgraph graph;
  SQ_EXPECT_CU(cuStreamEndCapture(stream, &graph));
  EXPECT_EQ(download<float>(y, 1)[0], 1.f) << "nothing has run yet";
  CUgraphExec exec;
  SQ_EXPECT_CU(cuGraphInstantiateWithFlags(&exec, graph, 0));
  SQ_EXPECT_CU(cuGraphDestroy(graph));
  for (float start : {1.f, 10.f}) {
    host.assign(100, start); // recorded by its address
    SQ_EXPECT_CU(cuGraphLaunch(exec, stream));
    SQ_EXPECT_CU(cuStreamSynchronize(stream));
    EXPECT_EQ(download<float>(y, 100), std::vector<float>(100, start + 6));
  }
  SQ_EXPECT_CU(cuGraphExecDestroy(exec));
  EXPECT_EQ(cuGraphLaunch(exec, stream), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(FakeDriver, CaptureJoinsStreamsAndForbidsWaiting) {
  CUstream second;
  CUevent fork, join;
  SQ_EXPECT_CU(cuStreamCreate(&stream, 1));
  SQ_EXPECT_CU(cuStreamCreate(&second, 1));
  SQ_EXPECT_CU(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
  SQ_EXPECT_CU(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
  CUdeviceptr x = upload(std::vector<int32_t>(8));
  SQ_EXPECT_CU(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  SQ_EXPECT_CU(cuEventRecord(fork, stream));
  SQ_EXPECT_CU(cuStreamWaitEvent(second, fork, 0));
  SQ_EXPECT_CU(cuMemsetD32Async(x, 9, 8, second));
  SQ_EXPECT_CU(cuEventRecord(join, second));
  SQ_EXPECT_CU(cuStreamWaitEvent(stream, join, 0));
  CUgraph graph;
  SQ_EXPECT_CU(cuStreamEndCapture(stream, &graph));
  CUgraphExec exec;
  SQ_EXPECT_CU(cuGraphInstantiateWithFlags(&exec, graph, 0));
  SQ_EXPECT_CU(cuGraphLaunch(exec, second));
  EXPECT_EQ(download<int32_t>(x, 8)[7], 9);

  SQ_EXPECT_CU(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_EQ(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph),
            CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  SQ_EXPECT_CU(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
  int32_t host;
  EXPECT_EQ(cuMemcpyDtoH_v2(&host, x, 4),
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(cuMemAlloc_v2(&x, 8), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(cuStreamEndCapture(stream, &graph),
            CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

TEST_F(FakeDriver, MemoryIsLimited) {
  restart("SQ_FAKE_CUDA_MEMORY", "1000000");
  size_t free, total;
  CUdeviceptr p, q;
  SQ_EXPECT_CU(cuMemAlloc_v2(&p, 600000));
  EXPECT_EQ(cuMemAlloc_v2(&q, 400001), CUDA_ERROR_OUT_OF_MEMORY);
  SQ_EXPECT_CU(cuMemGetInfo_v2(&free, &total));
  EXPECT_EQ(free, 400000u);
  EXPECT_EQ(total, 1000000u);
  SQ_EXPECT_CU(cuMemFree_v2(p));
  SQ_EXPECT_CU(cuMemAlloc_v2(&q, 1000000));
  EXPECT_EQ(download<uint8_t>(q, 1000000)[999999], 0xFF);
}

TEST_F(FakeDriver, CopiesAreChecked) {
  std::vector<int32_t> host(8);
  CUdeviceptr p = upload(host);
  EXPECT_NE(printed([&] {
              EXPECT_EQ(cuMemcpyHtoD_v2(p + 4, host.data(), 32),
                        CUDA_ERROR_INVALID_VALUE);
            }).find("ends 4 bytes beyond the allocation of 32 bytes"),
            std::string::npos);
  printed([&] {
    EXPECT_EQ(cuMemcpyDtoH_v2(reinterpret_cast<void *>(p), p, 4),
              CUDA_ERROR_INVALID_VALUE);
  });
  printed([&] {
    EXPECT_EQ(cuMemsetD8Async(p, 0, 33, nullptr), CUDA_ERROR_INVALID_VALUE);
  });
  printed([&] { EXPECT_EQ(cuMemFree_v2(p + 1), CUDA_ERROR_INVALID_VALUE); });
  SQ_EXPECT_CU(cuMemFree_v2(p));
  printed([&] {
    EXPECT_EQ(cuMemcpyHtoDAsync_v2(p, host.data(), 32, nullptr),
              CUDA_ERROR_INVALID_VALUE);
  });
}

TEST_F(FakeDriver, PinnedMemory) {
  void *pinned;
  std::vector<char> mine(100);
  unsigned type;
  auto address = [](void *p) { return reinterpret_cast<CUdeviceptr>(p); };
  SQ_EXPECT_CU(cuMemHostAlloc(&pinned, 100, 0));
  SQ_EXPECT_CU(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                     address(pinned)));
  EXPECT_EQ(type, unsigned{CU_MEMORYTYPE_HOST});
  EXPECT_EQ(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                  address(mine.data())),
            CUDA_ERROR_INVALID_VALUE);
  SQ_EXPECT_CU(cuMemHostRegister_v2(mine.data(), 100, 0));
  EXPECT_EQ(cuMemHostRegister_v2(mine.data() + 10, 10, 0),
            CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  SQ_EXPECT_CU(cuMemHostUnregister(mine.data()));
  EXPECT_EQ(cuMemHostUnregister(mine.data()),
            CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  CUdeviceptr p = upload(mine);
  SQ_EXPECT_CU(
      cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 99));
  EXPECT_EQ(type, unsigned{CU_MEMORYTYPE_DEVICE});
  SQ_EXPECT_CU(cuMemFreeHost(pinned));
}

TEST_F(FakeDriver, LaunchLimits) {
  CUdeviceptr p = upload(std::vector<int32_t>(256));
  auto refused = [&](unsigned grid, unsigned block, unsigned shared) {
    printed([&] {
      EXPECT_EQ(launch("wrong", grid, block, shared, p, 0),
                CUDA_ERROR_INVALID_VALUE);
    });
  };
  refused(1, 1025, 256);
  refused(0, 64, 256);
  refused(0x80000000, 64, 256);
  refused(1, 64, (48 << 10) + 1);
  CUfunction wrong = kernel("wrong");
  auto set = [&](int bytes) {
    return cuFuncSetAttribute(
        wrong, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes);
  };
  printed([&] { EXPECT_EQ(set((163 << 10) + 1), CUDA_ERROR_INVALID_VALUE); });
  SQ_EXPECT_CU(set(163 << 10));
  SQ_EXPECT_CU(launch("wrong", 1, 64, 163 << 10, p, 0));
  SQ_EXPECT_CU(cuCtxSynchronize());
  restart("SQ_FAKE_CUDA_CC", "90");
  wrong = kernel("wrong");
  SQ_EXPECT_CU(set(227 << 10));
  p = upload(std::vector<int32_t>(256));
  SQ_EXPECT_CU(launch("wrong", 1, 64, 227 << 10, p, 0));
  SQ_EXPECT_CU(cuCtxSynchronize());
}

TEST_F(FakeDriver, Images) {
  CUmodule other;
  printed([&] {
    EXPECT_EQ(cuModuleLoadData(&other, ".version 8.0\n.target sm_80\n"),
              CUDA_ERROR_INVALID_IMAGE);
  });
  std::string cubin = image;
  cubin[18] = static_cast<char>(190); // e_machine: EM_CUDA
  cubin[19] = 0;
  EXPECT_NE(printed([&] {
              EXPECT_EQ(cuModuleLoadData(&other, cubin.data()),
                        CUDA_ERROR_NO_BINARY_FOR_GPU);
            }).find("machine 190"),
            std::string::npos);
  // A second copy has variables of its own.
  SQ_EXPECT_CU(cuModuleLoadDataEx(&other, image.data(), 0, nullptr, nullptr));
  EXPECT_NE(other, module);
  CUfunction function;
  EXPECT_EQ(cuModuleGetFunction(&function, other, "absent"),
            CUDA_ERROR_NOT_FOUND);
  SQ_EXPECT_CU(cuModuleUnload(other));
  EXPECT_EQ(cuModuleUnload(other), CUDA_ERROR_INVALID_HANDLE);
  CUdeviceptr p = upload(std::vector<int32_t>(2));
  SQ_EXPECT_CU(launch("constants", 1, 2, 0, p));
  EXPECT_EQ(download<int32_t>(p, 2), (std::vector<int32_t>{6, 8}));
}

TEST_F(FakeDriver, Devices) {
  int value;
  size_t bytes;
  char name[64];
  SQ_EXPECT_CU(cuDeviceGetAttribute(&value, 75, 0));
  EXPECT_EQ(value, 8);
  SQ_EXPECT_CU(cuDeviceTotalMem_v2(&bytes, 0));
  EXPECT_EQ(bytes, size_t{4} << 30);
  SQ_EXPECT_CU(cuDeviceGetName(name, sizeof name, 0));
  EXPECT_EQ(cuDeviceGet(&value, 1), CUDA_ERROR_INVALID_DEVICE);
  restart("SQ_FAKE_CUDA_DEVICES", "2");
  SQ_EXPECT_CU(cuDeviceGetCount(&value));
  EXPECT_EQ(value, 2);
  SQ_EXPECT_CU(cuDeviceGet(&value, 1));
  restart("SQ_FAKE_CUDA_DRIVER", "11040");
  SQ_EXPECT_CU(cuDriverGetVersion(&value));
  EXPECT_EQ(value, 11040);
  SQ_EXPECT_CU(cuDevicePrimaryCtxRelease_v2(0));
  setenv("SQ_FAKE_CUDA_DEVICES", "0", 1);
  EXPECT_EQ(cuInit(0), CUDA_ERROR_NO_DEVICE);
  EXPECT_EQ(cuDeviceGetCount(&value), CUDA_ERROR_NOT_INITIALIZED);
  unsetenv("SQ_FAKE_CUDA_DEVICES");
  start();
}

TEST_F(FakeDriver, ContextsAreOfThreads) {
  std::thread([&] {
    size_t free, total;
    EXPECT_EQ(cuMemGetInfo_v2(&free, &total), CUDA_ERROR_INVALID_CONTEXT);
    SQ_EXPECT_CU(cuCtxPushCurrent_v2(context));
    SQ_EXPECT_CU(cuMemGetInfo_v2(&free, &total));
    CUcontext popped;
    SQ_EXPECT_CU(cuCtxPopCurrent_v2(&popped));
    EXPECT_EQ(popped, context);
  }).join();
}

TEST_F(FakeDriver, Events) {
  CUevent a, b;
  float ms = -1;
  CUdeviceptr p = upload(std::vector<int32_t>(1 << 20));
  SQ_EXPECT_CU(cuEventCreate(&a, 0));
  SQ_EXPECT_CU(cuEventCreate(&b, 0));
  EXPECT_EQ(cuEventElapsedTime_v2(&ms, a, b), CUDA_ERROR_INVALID_HANDLE);
  SQ_EXPECT_CU(cuEventRecord(a, stream));
  SQ_EXPECT_CU(cuMemsetD8Async(p, 1, 4 << 20, stream));
  SQ_EXPECT_CU(cuEventRecord(b, stream));
  SQ_EXPECT_CU(cuEventSynchronize(b));
  SQ_EXPECT_CU(cuEventElapsedTime(&ms, a, b));
  EXPECT_GT(ms, 0);
}

TEST_F(FakeDriver, LazyStreamsShowMissingWaits) {
  restart("SQ_FAKE_CUDA_LAZY", "1");
  SQ_EXPECT_CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  void *memory;
  SQ_EXPECT_CU(cuMemHostAlloc(&memory, 4, 0));
  auto *pinned = static_cast<int32_t *>(memory);
  CUdeviceptr p = upload(std::vector<int32_t>(1));
  *pinned = 1;
  SQ_EXPECT_CU(cuMemcpyHtoDAsync_v2(p, pinned, 4, stream));
  *pinned = 2; // too early
  SQ_EXPECT_CU(cuStreamSynchronize(stream));
  EXPECT_EQ(download<int32_t>(p, 1)[0], 2);
  SQ_EXPECT_CU(cuMemsetD32Async(p, 3, 1, stream));
  SQ_EXPECT_CU(cuMemcpyDtoHAsync_v2(pinned, p, 4, stream));
  EXPECT_EQ(*pinned, 2) << "nobody has waited";
  CUevent event;
  SQ_EXPECT_CU(cuEventCreate(&event, 0));
  SQ_EXPECT_CU(cuEventRecord(event, stream));
  SQ_EXPECT_CU(cuEventSynchronize(event));
  EXPECT_EQ(*pinned, 3);
  int32_t pageable = 5, back = 0;
  SQ_EXPECT_CU(cuMemcpyHtoDAsync_v2(p, &pageable, 4, stream));
  pageable = 6; // allowed
  SQ_EXPECT_CU(cuMemcpyDtoHAsync_v2(&back, p, 4, stream));
  EXPECT_EQ(back, 5);
}

TEST_F(FakeDriver, Leaks) {
  restart("SQ_FAKE_CUDA_LEAKS", "1");
  upload(std::vector<int32_t>(5));
  std::string text = printed([&] { stop(); });
  EXPECT_NE(text.find("leak: 20 bytes of device memory"), std::string::npos);
  start();
}

TEST_F(FakeDriver, Names) {
  const char *text;
  SQ_EXPECT_CU(cuGetErrorName(CUDA_ERROR_LAUNCH_FAILED, &text));
  EXPECT_STREQ(text, "CUDA_ERROR_LAUNCH_FAILED");
  SQ_EXPECT_CU(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
  EXPECT_STREQ(text, "out of memory");
  void *function;
  int status;
  SQ_EXPECT_CU(cuGetProcAddress_v2("cuMemAlloc", &function, 12000, 0, &status));
  EXPECT_EQ(function, reinterpret_cast<void *>(&cuMemAlloc_v2));
  EXPECT_EQ(cuGetProcAddress_v2("cuNothing", &function, 12000, 0, &status),
            CUDA_ERROR_NOT_FOUND);
}

/// Not a test: how fast it is. --gtest_also_run_disabled_tests
TEST_F(FakeDriver, DISABLED_Speed) {
  constexpr int kThreads = 256;
  CUdeviceptr p = upload(std::vector<float>(1024));
  CUevent a, b;
  SQ_EXPECT_CU(cuEventCreate(&a, 0));
  SQ_EXPECT_CU(cuEventCreate(&b, 0));
  struct {
    const char *what;
    int count, each;
  } cases[] = {{"barriers of a thread", 20000, 1},
               {"reads of global memory", 200000, 1},
               {"reads of shared memory", 200000, 1},
               {"writes of shared memory, 16 bytes", 200000, 1},
               {"mma of a warp", 20000, 32},
               {"shfl of a lane", 20000, 1}};
  for (const char *threads : {"1", ""})
    for (int i = 0; i < 6; ++i) {
      setenv("SQ_EMULATOR_THREADS", threads, 1);
      SQ_EXPECT_CU(cuEventRecord(a, nullptr));
      SQ_EXPECT_CU(
          launch("speed", 2, kThreads, 16 * kThreads, p, i, cases[i].count));
      SQ_EXPECT_CU(cuEventRecord(b, nullptr));
      float ms;
      SQ_EXPECT_CU(cuEventElapsedTime(&ms, a, b));
      printf("%s thread(s): %.2f million %s a second\n",
             *threads ? threads : "all",
             2.0 * kThreads * cases[i].count / cases[i].each / ms / 1000,
             cases[i].what);
    }
}

} // namespace
} // namespace sq::test
