/// The C API on a CUDA device, which the emulator of test/cuda plays. It does
/// nothing before somebody waits (SQ_FAKE_CUDA_LAZY), so that what relies on
/// an accidental order shows.
#include <array>
#include <cinttypes>
#include <dlfcn.h>
#include <thread>

#include "runtime/cuda/driver.h"
#include "test/unit/runtime/CudaArtifact.h"

using namespace sq_test;
using namespace sq;

namespace {

constexpr float unset = -1;

class CudaTest : public CudaFolder {
protected:
  void SetUp() override {
    CudaFolder::SetUp();
    if (IsSkipped())
      return;
    setenv("SQ_FAKE_CUDA_LAZY", "1", 1);
    // The runtime's dlopen of libcuda.so.1 finds a library that is loaded.
    ASSERT_NE(dlopen(SQ_FAKE_CUDA, RTLD_NOW), nullptr) << dlerror();
    path = writeCudaToy(folder, "toy", {{80, toyImage(), "", {}}});
    ASSERT_EQ(sq_module_load(path.c_str(), nullptr, &module), SQ_STATUS_OK) << sq_last_error();
    cuda::Device device;
    ASSERT_EQ(cuda::loadDriver(), SQ_STATUS_OK);
    ASSERT_EQ(cuda::driver.deviceGet(&device, 0), 0);
    ASSERT_EQ(cuda::driver.contextRetain(&context, device), 0);
    ASSERT_EQ(cuda::driver.contextPush(context), 0);
  }
  void TearDown() override {
    sq_session_release(session);
    sq_module_release(module);
    if (context) {
      for (cuda::Address address : allocated)
        cuda::driver.memoryFree(address);
      cuda::driver.contextPop(&context);
      cuda::driver.contextRelease(0);
    }
    unsetenv("SQ_TOY_COUNTER");
  }

  void create(int outputDevice = 0, int graphs = 0) {
    sq_session_release(session);
    session = nullptr;
    sq_session_options options = {sizeof(options), 0, outputDevice, graphs};
    ASSERT_EQ(sq_session_create(module, &options, &session), SQ_STATUS_OK) << sq_last_error();
  }
  void *onDevice(size_t bytes, const void *from = nullptr) {
    cuda::Address address = 0;
    EXPECT_EQ(cuda::driver.memoryAlloc(&address, bytes), 0);
    if (from)
      EXPECT_EQ(cuda::driver.upload(address, from, bytes), 0);
    allocated.push_back(address);
    return reinterpret_cast<void *>(address);
  }
  void download(void *to, const void *from, size_t bytes) {
    cuda::Stream legacy = nullptr;
    EXPECT_EQ(cuda::driver.downloadAsync(to, reinterpret_cast<cuda::Address>(from), bytes, legacy), 0);
    EXPECT_EQ(cuda::driver.streamSynchronize(legacy), 0);
  }
  /// Counts the calls of the schedule.
  void countSchedules() {
    char text[32];
    snprintf(text, sizeof(text), "%" PRIxPTR, reinterpret_cast<uintptr_t>(&schedules));
    setenv("SQ_TOY_COUNTER", text, 1);
  }

  std::string path;
  sq_module *module = nullptr;
  sq_session *session = nullptr;
  cuda::Context context = nullptr;
  std::vector<cuda::Address> allocated;
  int schedules = 0;
};

/// Tensors of one run, on the CPU.
struct Values {
  Values(int64_t batch, int64_t n, float start = 0)
      : x(static_cast<size_t>(batch * n)), index(static_cast<size_t>(batch), 5), shape{batch, n},
        inputs{{x.data(), {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, nullptr, 0},
               {index.data(), {kDLCPU, 0}, 1, {kDLInt, 64, 1}, shape, nullptr, 0}} {
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = start + static_cast<float>(i) / 4;
  }
  Values(const Values &) = delete;

  float expected(size_t i, float add = 0) const {
    return 2 * x[i] + 100 + static_cast<float>(static_cast<int64_t>(i) % shape[1]) + add;
  }
  void check(const void *data, float add = 0) const {
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(static_cast<const float *>(data)[i], expected(i, add)) << i;
  }
  size_t bytes() const { return x.size() * sizeof(float); }

  std::vector<float> x;
  std::vector<int64_t> index;
  int64_t shape[2];
  DLTensor inputs[2];
  DLTensor output = {};
};

TEST_F(CudaTest, CpuTensors) {
  EXPECT_STREQ(sq_module_cpu_level(module), "cuda:sm_80");
  EXPECT_EQ(std::string(sq_module_device(module)).find("cuda:0 ("), 0u) << sq_module_device(module);
  EXPECT_NE(std::string(sq_module_device(module)).find(", sm_80)"), std::string::npos);
  EXPECT_EQ(sq_module_note(module), nullptr);
  create();
  for (int64_t batch : {3, 1, 64, 0, 2}) {
    Values r(batch, 5);
    ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
    EXPECT_EQ(r.output.device.device_type, kDLCPU);
    EXPECT_EQ(r.output.shape[0], batch);
    r.check(r.output.data);
  }
  std::vector<float> y(10, unset);
  Values r(2, 4);
  r.output = r.inputs[0];
  r.output.data = y.data();
  r.output.byte_offset = 4;
  ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
  r.check(y.data() + 1);
  EXPECT_EQ(y[0], unset);
  EXPECT_EQ(y[9], unset);
  int64_t wrong[2] = {2, 3};
  r.output.shape = wrong;
  EXPECT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "output 'y' has the shape [2, 4], the buffer given for it has [2, 3]");

  sq_session_stats stats = {sizeof(stats), 0, 0, 0, 0};
  ASSERT_EQ(sq_session_get_stats(session, &stats), SQ_STATUS_OK);
  EXPECT_EQ(stats.threads, 1);
  EXPECT_GE(stats.arena_bytes, 64 * 5 * 4);
  EXPECT_GE(stats.device_bytes, stats.arena_bytes + 64 * (5 * 8 + 8));
}

TEST_F(CudaTest, DeviceTensorsInPlaceAndAsynchronous) {
  create(kDLCUDA);
  Values r(4, 6);
  std::vector<float> y(24, unset);
  DLTensor inputs[2] = {r.inputs[0], r.inputs[1]};
  inputs[0].data = onDevice(r.bytes(), r.x.data());
  inputs[1].data = onDevice(32, r.index.data());
  inputs[0].device = inputs[1].device = {kDLCUDA, 0};
  DLTensor output = inputs[0];
  output.data = onDevice(r.bytes(), y.data());
  ASSERT_EQ(sq_session_run(session, inputs, 2, &output, 1), SQ_STATUS_OK) << sq_last_error();
  // Nothing has run yet (lazy), so nobody has waited.
  auto *seen = static_cast<const volatile float *>(output.data);
  EXPECT_EQ(seen[0], unset);
  ASSERT_EQ(sq_session_synchronize(session), SQ_STATUS_OK) << sq_last_error();
  download(y.data(), output.data, r.bytes());
  r.check(y.data());
  sq_session_stats stats = {sizeof(stats), 0, 0, 0, 0};
  ASSERT_EQ(sq_session_get_stats(session, &stats), SQ_STATUS_OK);
  EXPECT_EQ(stats.output_bytes, 0);
  EXPECT_EQ(stats.device_bytes, stats.arena_bytes + 4); // the fault word

  // The session's output memory.
  DLTensor own = {};
  ASSERT_EQ(sq_session_run(session, inputs, 2, &own, 1), SQ_STATUS_OK) << sq_last_error();
  EXPECT_EQ(own.device.device_type, kDLCUDA);
  EXPECT_EQ(own.device.device_id, 0);
  ASSERT_EQ(sq_session_synchronize(session), SQ_STATUS_OK);
  download(y.data(), own.data, r.bytes());
  r.check(y.data());
}

TEST_F(CudaTest, MisalignedDeviceTensors) {
  create(kDLCUDA);
  Values r(2, 3);
  std::vector<float> shifted(8, unset), y(8, unset);
  std::copy(r.x.begin(), r.x.end(), shifted.begin() + 1);
  DLTensor inputs[2] = {r.inputs[0], r.inputs[1]};
  inputs[0].data = onDevice(32, shifted.data());
  inputs[0].byte_offset = 4;
  inputs[1].data = onDevice(16, r.index.data());
  inputs[0].device = inputs[1].device = {kDLCUDA, 0};
  DLTensor output = inputs[0];
  output.data = onDevice(32, y.data());
  ASSERT_EQ(sq_session_run(session, inputs, 2, &output, 1), SQ_STATUS_OK) << sq_last_error();
  ASSERT_EQ(sq_session_synchronize(session), SQ_STATUS_OK) << sq_last_error();
  download(y.data(), output.data, 32);
  r.check(y.data() + 1);
  EXPECT_EQ(y[0], unset);
  EXPECT_EQ(y[7], unset);
}

TEST_F(CudaTest, FailedChecks) {
  const char *message = "an index is outside of [0, 10); check the inputs";
  create();
  Values bad(4, 6), good(4, 6);
  bad.index[2] = 10;
  EXPECT_EQ(sq_session_run(session, bad.inputs, 2, &bad.output, 1), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), message);
  ASSERT_EQ(sq_session_run(session, good.inputs, 2, &good.output, 1), SQ_STATUS_OK) << sq_last_error();
  good.check(good.output.data);

  // Asynchronous: the first of several runs fails; it is told once.
  create(kDLCUDA);
  DLTensor inputs[2] = {good.inputs[0], good.inputs[1]}, output = {};
  inputs[0].data = onDevice(good.bytes(), good.x.data());
  inputs[1].data = onDevice(32, bad.index.data());
  inputs[0].device = inputs[1].device = {kDLCUDA, 0};
  DLTensor fine[2] = {inputs[0], inputs[1]};
  fine[1].data = onDevice(32, good.index.data());
  for (const DLTensor *in : {inputs, fine, fine}) {
    output = {};
    ASSERT_EQ(sq_session_run(session, in, 2, &output, 1), SQ_STATUS_OK) << sq_last_error();
  }
  EXPECT_EQ(sq_session_synchronize(session), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), message);
  EXPECT_EQ(sq_session_synchronize(session), SQ_STATUS_OK);
  // A run that waits says whose failure it is.
  output = {};
  ASSERT_EQ(sq_session_run(session, inputs, 2, &output, 1), SQ_STATUS_OK);
  good.output = {};
  EXPECT_EQ(sq_session_run(session, good.inputs, 2, &good.output, 1), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(sq_last_error(), std::string("in an earlier run: ") + message);
  // More runs than there are places for their results.
  for (int i = 0; i < 600; ++i) {
    output = {};
    ASSERT_EQ(sq_session_run(session, fine, 2, &output, 1), SQ_STATUS_OK) << i;
  }
  EXPECT_EQ(sq_session_synchronize(session), SQ_STATUS_OK);
  std::vector<float> y(24);
  download(y.data(), output.data, good.bytes());
  good.check(y.data());
}

TEST_F(CudaTest, ReadsBack) {
  create();
  Values r(3, 7);
  ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
  r.check(r.output.data, 5);
}

TEST_F(CudaTest, Graphs) {
  create(0, 2);
  countSchedules();
  for (int i = 0; i < 5; ++i) { // other data and addresses each time
    Values r(3, 5, static_cast<float>(i));
    ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
    r.check(r.output.data);
    EXPECT_EQ(r.output.shape[1], 5);
  }
  EXPECT_EQ(schedules, 2); // plain, recorded, then from the graph
  // Growing memory voids the graphs.
  for (int i = 0; i < 3; ++i) {
    Values large(10, 5), small(3, 5);
    ASSERT_EQ(sq_session_run(session, large.inputs, 2, &large.output, 1), SQ_STATUS_OK);
    large.check(large.output.data);
    ASSERT_EQ(sq_session_run(session, small.inputs, 2, &small.output, 1), SQ_STATUS_OK);
    EXPECT_EQ(small.output.shape[0], 3);
    small.check(small.output.data);
  }
  EXPECT_EQ(schedules, 6);
  // Three shapes, two places: always a new one, still right.
  schedules = 0;
  for (int i = 0; i < 9; ++i) {
    Values r(1 + i % 3, 5);
    ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK);
    r.check(r.output.data);
  }
  EXPECT_EQ(schedules, 9);
  // What reads back is launched plainly, without an error.
  schedules = 0;
  for (int i = 0; i < 4; ++i) {
    Values r(2, 7, static_cast<float>(i));
    ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
    EXPECT_STREQ(sq_last_error(), "");
    r.check(r.output.data, 5);
  }
  EXPECT_EQ(schedules, 4);
  // A failed check in a replayed run.
  for (int i = 0; i < 4; ++i) {
    Values r(2, 5);
    r.index[1] = i == 2 ? -1 : 5;
    EXPECT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1),
              i == 2 ? SQ_STATUS_INVALID_ARGUMENT : SQ_STATUS_OK);
  }
  // Profiles are of plain launches.
  schedules = 0;
  ASSERT_EQ(sq_session_set_profiling(session, 1), SQ_STATUS_OK);
  Values r(2, 5);
  ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK);
  EXPECT_EQ(schedules, 1);
}

TEST_F(CudaTest, GraphsKnowAddresses) {
  create(kDLCUDA, 4);
  countSchedules();
  Values r(4, 6), other(4, 6, 9);
  std::vector<float> y(24);
  DLTensor a[2] = {r.inputs[0], r.inputs[1]};
  a[0].data = onDevice(r.bytes(), r.x.data());
  a[1].data = onDevice(32, r.index.data());
  a[0].device = a[1].device = {kDLCUDA, 0};
  DLTensor b[2] = {a[0], a[1]}, first = a[0], second = a[0];
  b[0].data = onDevice(r.bytes(), other.x.data());
  first.data = onDevice(r.bytes());
  second.data = onDevice(r.bytes());
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(sq_session_run(session, a, 2, &first, 1), SQ_STATUS_OK) << sq_last_error();
    ASSERT_EQ(sq_session_run(session, b, 2, &second, 1), SQ_STATUS_OK) << sq_last_error();
    ASSERT_EQ(sq_session_synchronize(session), SQ_STATUS_OK);
    download(y.data(), first.data, r.bytes());
    r.check(y.data());
    download(y.data(), second.data, r.bytes());
    other.check(y.data());
  }
  EXPECT_EQ(schedules, 4);
}

TEST_F(CudaTest, CallersStream) {
  create(kDLCUDA, 1);
  cuda::Stream stream;
  ASSERT_EQ(cuda::driver.streamCreate(&stream, cuda::streamNonBlocking), 0);
  Values r(4, 6);
  std::vector<float> y(24);
  DLTensor inputs[2] = {r.inputs[0], r.inputs[1]};
  inputs[0].data = onDevice(r.bytes(), r.x.data());
  inputs[1].data = onDevice(32, r.index.data());
  inputs[0].device = inputs[1].device = {kDLCUDA, 0};
  for (int i = 0; i < 4; ++i) {
    DLTensor output = {};
    ASSERT_EQ(sq_session_set_stream(session, i % 2 ? nullptr : stream), SQ_STATUS_OK) << sq_last_error();
    ASSERT_EQ(sq_session_run(session, inputs, 2, &output, 1), SQ_STATUS_OK) << sq_last_error();
    if (i % 2)
      ASSERT_EQ(sq_session_synchronize(session), SQ_STATUS_OK);
    else
      ASSERT_EQ(cuda::driver.streamSynchronize(stream), 0);
    download(y.data(), output.data, r.bytes());
    r.check(y.data());
  }
  sq_session_release(session);
  session = nullptr;
  EXPECT_EQ(cuda::driver.streamDestroy(stream), 0);
}

TEST_F(CudaTest, ProfileAndTrace) {
  struct Log {
    std::vector<std::array<int64_t, 4>> events;
    static void add(void *self, int32_t kernel, int32_t thread, int64_t begin, int64_t end) {
      static_cast<Log *>(self)->events.push_back({kernel, thread, begin, end});
    }
  } log;
  create();
  Values r(64, 60);
  ASSERT_EQ(sq_session_set_profiling(session, 1), SQ_STATUS_OK);
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
  const sq_kernel_time *times;
  int32_t count;
  ASSERT_EQ(sq_session_kernel_times(session, &times, &count), SQ_STATUS_OK);
  ASSERT_EQ(count, 2);
  EXPECT_STREQ(times[0].name, "doubled");
  EXPECT_EQ(times[1].calls, 3);
  EXPECT_GT(times[1].seconds, 0);
  EXPECT_LT(times[1].seconds, 60);
  ASSERT_EQ(sq_session_set_trace(session, Log::add, &log), SQ_STATUS_OK);
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  int64_t before = t.tv_sec * 1000000000 + t.tv_nsec;
  ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
  clock_gettime(CLOCK_MONOTONIC, &t);
  int64_t after = t.tv_sec * 1000000000 + t.tv_nsec;
  r.check(r.output.data);
  ASSERT_EQ(log.events.size(), 4u); // two kernels, each as a launch and as a share
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(log.events[i][0], i / 2);
    EXPECT_EQ(log.events[i][1], i % 2 ? -1 : 0);
    EXPECT_GE(log.events[i][2], before);
    EXPECT_LE(log.events[i][2], log.events[i][3]);
    EXPECT_LE(log.events[i][3], after);
  }
}

TEST_F(CudaTest, RefusedTensorsAndOptions) {
  create();
  Values r(2, 3);
  auto refused = [&](const char *message) {
    EXPECT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_INVALID_ARGUMENT);
    EXPECT_STREQ(sq_last_error(), message);
  };
  r.inputs[0].device = {kDLCUDA, 1};
  refused("input 'x' lies on cuda:1, this module runs on cuda:0; copy it there or to the CPU");
  r.inputs[0].device = {static_cast<DLDeviceType>(7), 0};
  refused("input 'x' lies on device type 7; copy it to the CPU (1) or to cuda:0 (2)");
  r.inputs[0].device = {kDLCUDAHost, 0};
  EXPECT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();

  sq_session *none = nullptr;
  sq_session_options options = {sizeof(options), 0, 3, 0};
  EXPECT_EQ(sq_session_create(module, &options, &none), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "sq_session_create: output_device is 3, expected 0 or 1 for the CPU, "
                                "or 2 for the module's device");
  options = {sizeof(options), 0, 0, 1025};
  EXPECT_EQ(sq_session_create(module, &options, &none), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "1025 CUDA graphs asked for; give 0 to 1024");
  EXPECT_EQ(sq_session_set_stream(nullptr, nullptr), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(sq_session_synchronize(nullptr), SQ_STATUS_INVALID_ARGUMENT);
}

/// Launches that no device takes are a defect of the compiler, told as one.
TEST_F(CudaTest, ImpossibleLaunches) {
  create(0, 2);
  Values shared(2, 12), threads(2, 13), fine(2, 3);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(sq_session_run(session, shared.inputs, 2, &shared.output, 1), SQ_STATUS_INTERNAL);
    EXPECT_EQ(std::string(sq_last_error()).find("kernel 'added' needs 1048576 bytes of shared memory, "
                                                "cuda:0 ("),
              0u)
        << sq_last_error();
    EXPECT_EQ(sq_session_run(session, threads.inputs, 2, &threads.output, 1), SQ_STATUS_INTERNAL);
    EXPECT_EQ(std::string(sq_last_error()).find("kernel 'doubled' would be launched on 1 x 1 x 1 "
                                                "blocks of 2000 x 1 x 1 threads"),
              0u)
        << sq_last_error();
    fine.output = {};
    EXPECT_EQ(sq_session_run(session, fine.inputs, 2, &fine.output, 1), SQ_STATUS_OK);
    fine.check(fine.output.data);
  }
}

/// Weights are on the device once, whatever the number of sessions.
TEST_F(CudaTest, ManySessions) {
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user)
    users.emplace_back([&, user] {
      sq_session *own = nullptr;
      sq_session_options options = {sizeof(options), 0, 0, user % 2};
      ASSERT_EQ(sq_session_create(module, &options, &own), SQ_STATUS_OK) << sq_last_error();
      for (int i = 0; i < 20; ++i) {
        Values r(1 + (i + user) % 3, 4, static_cast<float>(user));
        ASSERT_EQ(sq_session_run(own, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
        r.check(r.output.data);
      }
      sq_session_release(own);
    });
  for (std::thread &user : users)
    user.join();
}

/// All memory comes back with the module.
TEST_F(CudaTest, ReleasesItsMemory) {
  sq_module_release(module);
  module = nullptr;
  size_t before = 0, after = 0, total = 0;
  ASSERT_EQ(cuda::driver.memoryInfo(&before, &total), 0);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(sq_module_load(path.c_str(), nullptr, &module), SQ_STATUS_OK) << sq_last_error();
    create(0, 2);
    for (int n : {5, 5, 5, 7, 9}) {
      Values r(3, n);
      ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
    }
    sq_module_release(module); // the session keeps it
    module = nullptr;
    Values r(3, 5);
    ASSERT_EQ(sq_session_run(session, r.inputs, 2, &r.output, 1), SQ_STATUS_OK) << sq_last_error();
    r.check(r.output.data);
    sq_session_release(session);
    session = nullptr;
  }
  ASSERT_EQ(cuda::driver.memoryInfo(&after, &total), 0);
  EXPECT_EQ(before, after);
}

TEST_F(CudaTest, DeviceOption) {
  sq_module_options options = {sizeof(options), nullptr, 1, "cuda:0", nullptr};
  sq_module *other = nullptr;
  ASSERT_EQ(sq_module_load(path.c_str(), &options, &other), SQ_STATUS_OK) << sq_last_error();
  sq_module_release(other);
  other = nullptr;
  options.device = "cpu";
  EXPECT_EQ(sq_module_load(path.c_str(), &options, &other), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(sq_last_error(), "'" + path + "' is compiled for CUDA (sm_80), but the device option is cpu; "
                             "compile the model with --target=host, or run on cuda");
  for (const char *wrong : {"gpu", "cuda:", "cuda:-1", "cuda:1x", "cuda:99999999999999999999"}) {
    options.device = wrong;
    EXPECT_EQ(sq_module_load(path.c_str(), &options, &other), SQ_STATUS_INVALID_ARGUMENT) << wrong;
  }
  options.device = "cuda:1";
  EXPECT_EQ(sq_module_load(path.c_str(), &options, &other), SQ_STATUS_UNSUPPORTED);
  EXPECT_EQ(other, nullptr);
}

} // namespace
