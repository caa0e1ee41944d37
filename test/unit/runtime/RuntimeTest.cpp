/// The C API on the toy model: loading, refusals, running.
#include <atomic>
#include <cinttypes>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/core/module.h"
#include "runtime/core/trailer.h"
#include "test/unit/runtime/ToyArtifact.h"

using namespace sq_test;

namespace {

class RuntimeTest : public TemporaryFolder {
protected:
  void SetUp() override {
    if (!toyRunsHere())
      GTEST_SKIP() << "this CPU lacks avx2";
    toy = writeToy(path("toy.so"));
  }
  void TearDown() override {
    sq_session_release(session);
    sq_module_release(module);
  }
  void load(int threads = 2) {
    ASSERT_EQ(sq_module_load(toy.c_str(), nullptr, &module), SQ_STATUS_OK) << sq_last_error();
    sq_session_options options = {sizeof(options), threads, 0, 0};
    ASSERT_EQ(sq_session_create(module, &options, &session), SQ_STATUS_OK) << sq_last_error();
  }
  sq_status run(const ToyInputs &inputs) {
    outputs[0] = outputs[1] = {};
    return sq_session_run(session, inputs.tensors, 2, outputs, 2);
  }
  void expectRefused(const ToyInputs &inputs, const char *message) {
    EXPECT_EQ(run(inputs), SQ_STATUS_INVALID_ARGUMENT);
    EXPECT_STREQ(sq_last_error(), message);
    EXPECT_EQ(outputs[0].data, nullptr);
  }
  sq_status tryLoad(const std::string &file, const char *cpu = nullptr, int verify = 0) {
    sq_module_options options = {sizeof(options), cpu, verify, nullptr, nullptr};
    sq_module *loaded = nullptr;
    sq_status status = sq_module_load(file.c_str(), &options, &loaded);
    EXPECT_EQ(loaded != nullptr, status == SQ_STATUS_OK);
    sq_module_release(loaded);
    return status;
  }

  std::string toy;
  sq_module *module = nullptr;
  sq_session *session = nullptr;
  DLTensor outputs[2];
};

TEST_F(RuntimeTest, Signature) {
  load();
  ASSERT_EQ(sq_module_num_inputs(module), 2);
  ASSERT_EQ(sq_module_num_outputs(module), 2);
  const sq_tensor_info *x = sq_module_input(module, 0);
  EXPECT_STREQ(x->name, "x");
  EXPECT_EQ(x->rank, 2);
  EXPECT_EQ(x->dtype.code, kDLFloat);
  EXPECT_STREQ(x->dims[0].name, "batch");
  EXPECT_EQ(x->dims[1].min, 1);
  EXPECT_EQ(x->dims[1].max, 64);
  EXPECT_EQ(sq_module_input(module, 2), nullptr);
  EXPECT_EQ(sq_module_output(module, -1), nullptr);
  EXPECT_EQ(sq_module_weight_bytes(module), 256);
}

TEST_F(RuntimeTest, RunsInOwnMemory) {
  for (int threads : {1, 2, 5}) {
    load(threads);
    for (int64_t batch : {1, 7, 512, 3}) {
      ToyInputs inputs(batch, 5);
      ASSERT_EQ(run(inputs), SQ_STATUS_OK) << sq_last_error();
      ASSERT_EQ(outputs[0].ndim, 2);
      EXPECT_EQ(outputs[0].shape[0], batch);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(outputs[0].data) % 64, 0u);
      for (int64_t row = 0; row < batch; ++row)
        for (int64_t i = 0; i < 5; ++i)
          ASSERT_EQ(static_cast<float *>(outputs[0].data)[row * 5 + i], inputs.expected(row, i));
      int64_t last = static_cast<int64_t *>(outputs[1].data)[batch * 5 - 1] % 1000;
      EXPECT_GE(last, 0);
      EXPECT_LT(last, std::min<int64_t>(threads, batch)); // any that has a share may help the last
    }
    sq_session_stats stats = {sizeof(stats), 0, 0, 0, 0};
    ASSERT_EQ(sq_session_get_stats(session, &stats), SQ_STATUS_OK);
    EXPECT_EQ(stats.threads, threads);
    EXPECT_GE(stats.arena_bytes, 512 * 5 * 4);
    EXPECT_GE(stats.output_bytes, 512 * 5 * 12);
    TearDown();
    session = nullptr, module = nullptr;
  }
}

TEST_F(RuntimeTest, EmptyDim) {
  load();
  ASSERT_EQ(run(ToyInputs(0, 4)), SQ_STATUS_OK) << sq_last_error();
  EXPECT_EQ(outputs[0].shape[0], 0);
}

TEST_F(RuntimeTest, CallersBuffer) {
  load();
  ToyInputs inputs(2, 3);
  float y[7] = {};
  int64_t shape[2] = {2, 3};
  DLTensor own[2] = {{y, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, nullptr, 4}, {}};
  ASSERT_EQ(sq_session_run(session, inputs.tensors, 2, own, 2), SQ_STATUS_OK) << sq_last_error();
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[6], inputs.expected(1, 2));
  EXPECT_EQ(own[0].data, y);
  shape[1] = 2;
  EXPECT_EQ(sq_session_run(session, inputs.tensors, 2, own, 2), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(),
               "output 'y' has the shape [2, 3], the buffer given for it has [2, 2]");
}

TEST_F(RuntimeTest, RefusesWhatDoesNotFit) {
  load();
  {
    ToyInputs inputs;
    inputs.tensors[0].dtype = {kDLFloat, 64, 1};
    expectRefused(inputs, "input 'x' has dtype f64, expected f32");
  }
  {
    ToyInputs inputs;
    inputs.tensors[1].ndim = 2;
    expectRefused(inputs, "input 'index' has rank 2, expected 1");
  }
  {
    ToyInputs inputs;
    inputs.xShape[1] = 65;
    expectRefused(inputs, "input 'x' has 65 for dim 1 (n), expected 1 to 64");
    inputs.xShape[1] = 0;
    expectRefused(inputs, "input 'x' has 0 for dim 1 (n), expected 1 to 64");
    inputs.xShape[1] = -1;
    expectRefused(inputs, "input 'x' has -1 for dim 1 (n), expected 1 to 64");
  }
  {
    ToyInputs inputs;
    inputs.indexShape[0] = 2;
    expectRefused(inputs, "input 'index' has 2 for dim 0 (batch), but input 'x' has 3; they must "
                          "be equal");
  }
  {
    ToyInputs inputs;
    inputs.tensors[0].data = nullptr;
    expectRefused(inputs, "input 'x' has no data (NULL)");
  }
  {
    ToyInputs inputs;
    inputs.tensors[0].device.device_type = kDLCUDA;
    expectRefused(inputs, "input 'x' lies on device type 2; copy it to the CPU (1)");
  }
  {
    ToyInputs inputs;
    int64_t strides[2] = {1, 3};
    inputs.tensors[0].strides = strides;
    expectRefused(inputs, "input 'x' has strides; make it dense row-major (strides NULL)");
    strides[0] = 4, strides[1] = 1;
    EXPECT_EQ(run(inputs), SQ_STATUS_OK);
  }
  {
    ToyInputs inputs;
    inputs.index[2] = 12;
    expectRefused(inputs, "index 12 is outside [0, 10)");
  }
  EXPECT_EQ(sq_session_run(session, ToyInputs().tensors, 1, outputs, 2),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "1 inputs given, the model has 2");
  EXPECT_EQ(run(ToyInputs()), SQ_STATUS_OK); // after all that
  EXPECT_STREQ(sq_last_error(), "");
}

TEST_F(RuntimeTest, NullArguments) {
  EXPECT_EQ(sq_module_load(nullptr, nullptr, nullptr), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(sq_module_load(nullptr, nullptr, &module), SQ_STATUS_NOT_FOUND);
  EXPECT_STREQ(sq_last_error(), "no artifact is linked into this program; name a file");
  EXPECT_EQ(sq_session_create(nullptr, nullptr, &session), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(sq_session_run(nullptr, nullptr, 0, nullptr, 0), SQ_STATUS_INVALID_ARGUMENT);
  sq_module_options options = {};
  EXPECT_EQ(sq_module_load(toy.c_str(), &options, &module), SQ_STATUS_INVALID_ARGUMENT);
  load();
  sq_session *other = nullptr;
  sq_session_options threads = {sizeof(threads), -1, 0, 0};
  EXPECT_EQ(sq_session_create(module, &threads, &other), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(sq_session_run(session, nullptr, 2, outputs, 2), SQ_STATUS_INVALID_ARGUMENT);
}

TEST_F(RuntimeTest, SessionsRunConcurrently) {
  load();
  std::atomic<int> wrong{0};
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user)
    users.emplace_back([&, user] {
      sq_session *own = nullptr;
      sq_session_options options = {sizeof(options), 1 + user % 3, 0, 0};
      if (sq_session_create(module, &options, &own)) {
        ++wrong;
        return;
      }
      for (int i = 0; i < 200; ++i) {
        int64_t batch = 1 + (i * 7 + user) % 40;
        ToyInputs inputs(batch, 3);
        DLTensor results[2] = {};
        wrong += sq_session_run(own, inputs.tensors, 2, results, 2) != SQ_STATUS_OK;
        for (int64_t row = 0; results[0].data && row < batch; ++row)
          wrong += static_cast<float *>(results[0].data)[row * 3] != inputs.expected(row, 0);
        inputs.index[0] = -user - 1; // messages are each thread's own
        wrong += sq_session_run(own, inputs.tensors, 2, results, 2) == SQ_STATUS_OK;
        wrong += "index " + std::to_string(-user - 1) + " is outside [0, 10)" != sq_last_error();
      }
      sq_session_release(own);
    });
  for (std::thread &user : users)
    user.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(RuntimeTest, SessionKeepsModuleAlive) {
  load();
  sq_module_release(module);
  module = nullptr;
  EXPECT_EQ(run(ToyInputs()), SQ_STATUS_OK);
}

/// dlopen knows libraries by name too, and names are /proc/self/fd/N here.
TEST_F(RuntimeTest, ManyModulesComeAndGo) {
  std::string other = writeToy(path("other.so"), 500);
  for (int i = 0; i < 6; ++i) {
    toy = path(i % 2 ? "other.so" : "toy.so");
    load();
    sq_module *kept = nullptr;
    ASSERT_EQ(sq_module_load((i % 2 ? path("toy.so") : other).c_str(), nullptr, &kept),
              SQ_STATUS_OK);
    ToyInputs inputs;
    ASSERT_EQ(run(inputs), SQ_STATUS_OK);
    EXPECT_EQ(static_cast<float *>(outputs[0].data)[0], inputs.expected(0, 0, i % 2 ? 500 : 100));
    sq_module_release(kept);
    TearDown();
    session = nullptr, module = nullptr;
  }
}

TEST_F(RuntimeTest, Profile) {
  load();
  ASSERT_EQ(sq_session_set_profiling(session, 1), SQ_STATUS_OK);
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(run(ToyInputs()), SQ_STATUS_OK);
  const sq_kernel_time *times;
  int32_t count;
  ASSERT_EQ(sq_session_kernel_times(session, &times, &count), SQ_STATUS_OK);
  ASSERT_EQ(count, 2);
  EXPECT_STREQ(times[1].name, "added");
  EXPECT_EQ(times[1].calls, 3);
  EXPECT_GT(times[1].seconds, 0);
  ASSERT_EQ(sq_session_kernel_times(session, &times, &count), SQ_STATUS_OK);
  EXPECT_EQ(times[1].calls, 0);
}

TEST_F(RuntimeTest, Trace) {
  struct Event {
    int32_t kernel, thread;
    int64_t begin, end;
  };
  struct Log {
    std::mutex mutex;
    std::vector<Event> events;
    static void add(void *self, int32_t kernel, int32_t thread, int64_t begin, int64_t end) {
      auto *log = static_cast<Log *>(self);
      std::lock_guard<std::mutex> lock(log->mutex);
      log->events.push_back({kernel, thread, begin, end});
    }
  } log;
  load(2);
  ASSERT_EQ(sq_session_set_trace(session, Log::add, &log), SQ_STATUS_OK);
  ToyInputs inputs(8, 5);
  ASSERT_EQ(run(inputs), SQ_STATUS_OK);
  // Two kernels: some pieces each, then the launch that they are part of.
  auto piece = log.events.begin();
  for (int32_t kernel : {0, 1}) {
    auto launch = std::find_if(piece, log.events.end(), [](const Event &e) { return e.thread == -1; });
    ASSERT_NE(launch, log.events.end());
    EXPECT_EQ(launch->kernel, kernel);
    EXPECT_GE(launch - piece, 2);
    for (; piece != launch; ++piece) {
      EXPECT_EQ(piece->kernel, kernel);
      EXPECT_TRUE(piece->thread == 0 || piece->thread == 1) << piece->thread;
      EXPECT_LE(launch->begin, piece->begin);
      EXPECT_LE(piece->begin, piece->end);
      EXPECT_LE(piece->end, launch->end);
    }
    ++piece;
  }
  EXPECT_EQ(piece, log.events.end());
  size_t traced = log.events.size();
  ASSERT_EQ(sq_session_set_trace(session, nullptr, nullptr), SQ_STATUS_OK);
  ASSERT_EQ(run(inputs), SQ_STATUS_OK);
  EXPECT_EQ(log.events.size(), traced);
  EXPECT_EQ(sq_session_set_trace(nullptr, nullptr, nullptr), SQ_STATUS_INVALID_ARGUMENT);
}

TEST_F(RuntimeTest, CpuLevels) {
  load();
  ASSERT_EQ(run(ToyInputs()), SQ_STATUS_OK);
  bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
  EXPECT_EQ(static_cast<int64_t *>(outputs[1].data)[0], avx512 ? 4000 : 3000);
  EXPECT_STREQ(sq_module_cpu_level(module), avx512 ? "avx512" : "x86-64-v3");

  sq_module_options options = {sizeof(options), "x86-64-v3", 0, nullptr, nullptr};
  sq_module *capped = nullptr;
  ASSERT_EQ(sq_module_load(toy.c_str(), &options, &capped), SQ_STATUS_OK);
  EXPECT_STREQ(sq_module_cpu_level(capped), "x86-64-v3");
  sq_module_release(capped);

  setenv("SQ_CPU", "x86-64", 1);
  EXPECT_EQ(tryLoad(toy), SQ_STATUS_UNSUPPORTED);
  EXPECT_EQ(sq_last_error(),
            "'" + toy + "' is built for x86-64-v3, this CPU lacks avx2, fma, bmi1, bmi2, f16c, "
                        "lzcnt, movbe (the level was capped at x86-64); compile the model for "
                        "this machine or run it elsewhere");
  EXPECT_EQ(tryLoad(toy, "amx"), SQ_STATUS_OK); // the option has precedence
  setenv("SQ_CPU", "pentium", 1);
  EXPECT_EQ(tryLoad(toy), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "SQ_CPU names the unknown CPU level 'pentium'; valid are x86-64, "
                                "x86-64-v3, avx512, vnni, amx");
  unsetenv("SQ_CPU");
}

/* What is computed from a copy is checked in test/e2e/CodesTest.cpp. */
TEST_F(RuntimeTest, CopiedWeights) {
  auto load = [&](const char *choice) {
    sq_module_options options = {};
    options.size = sizeof(options);
    options.weights = choice;
    sq_module *module = nullptr;
    sq_status status = sq_module_load(toy.c_str(), &options, &module);
    sq_module_release(module);
    return status;
  };
  EXPECT_EQ(load("copied"), SQ_STATUS_OK);
  EXPECT_EQ(load("mapped"), SQ_STATUS_OK);
  EXPECT_EQ(load("auto"), SQ_STATUS_OK);
  EXPECT_EQ(load("huge"), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "the weights option names 'huge', which is neither auto, mapped nor copied");
  setenv("SQ_WEIGHTS", "none", 1);
  EXPECT_EQ(load(nullptr), SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "SQ_WEIGHTS names 'none', which is neither auto, mapped nor copied");
  EXPECT_EQ(load("copied"), SQ_STATUS_OK); // the option has precedence
  unsetenv("SQ_WEIGHTS");
}

/* Codes that begin and end anywhere, over more and less than a huge page, are the same bytes; their place is checked. */
TEST_F(RuntimeTest, CodesInHugePages) {
  constexpr uint64_t mega = 1 << 20;
  auto valueAt = [](uint64_t i) { return static_cast<uint8_t>(i * 7 + (i >> 12)); };
  auto loads = [&](uint64_t begin, uint64_t end, bool apart) {
    sq::ArtifactSpec spec = toySpec(path("codes.so"));
    spec.weightsSize = 11 * mega + 192;
    spec.weights = {{0, spec.weightsSize, [&](llvm::MutableArrayRef<uint8_t> out) {
                       for (size_t i = 0; i < out.size(); ++i)
                         out[i] = valueAt(i);
                       return llvm::Error::success();
                     }}};
    spec.manifest.codedBegin = begin;
    spec.manifest.codedEnd = end;
    sq::CompileResult result = sq::writeArtifact(spec);
    EXPECT_EQ(result.code, sq::ExitCode::Done) << result.message;
    sq_module *module = nullptr;
    sq_status status = sq_module_load(spec.output.c_str(), nullptr, &module);
    if (status == SQ_STATUS_OK) {
      EXPECT_EQ(module->weights != module->artifact->weights, apart);
      uint64_t wrong = 0;
      for (uint64_t i = 0; i < spec.weightsSize; ++i)
        wrong += module->weights[i] != valueAt(i) || module->artifact->weights[i] != valueAt(i);
      EXPECT_EQ(wrong, 0u) << begin << " to " << end;
    }
    sq_module_release(module);
    return status;
  };
  EXPECT_EQ(loads(0, 11 * mega + 192, true), SQ_STATUS_OK);
  EXPECT_EQ(loads(64, 11 * mega, true), SQ_STATUS_OK);
  EXPECT_EQ(loads(3 * mega + 128, 9 * mega + 64, true), SQ_STATUS_OK);
  EXPECT_EQ(loads(mega, 5 * mega, true), SQ_STATUS_OK);
  EXPECT_EQ(loads(mega, 5 * mega - 64, false), SQ_STATUS_OK);
  EXPECT_EQ(loads(0, 0, false), SQ_STATUS_OK);
  EXPECT_EQ(loads(64, 0, false), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads(0, 11 * mega + 193, false), SQ_STATUS_CORRUPT);
}

/* What the copies hold is checked in test/e2e/Bf16Test.cpp. */
TEST_F(RuntimeTest, WidenedWeights) {
  auto loads = [&](sq::ManifestWidened entry, uint64_t size, bool read = true) {
    sq::ArtifactSpec spec = toySpec(path("wide.so"));
    spec.weightsSize = 4096;
    for (sq::ManifestVariant &variant : spec.manifest.variants)
      variant.widened = read;
    spec.manifest.widened = {entry};
    spec.manifest.widenedSize = size;
    sq::CompileResult result = sq::writeArtifact(spec);
    EXPECT_EQ(result.code, sq::ExitCode::Done) << result.message;
    sq_module *module = nullptr;
    sq_status status = sq_module_load(spec.output.c_str(), nullptr, &module);
    if (status == SQ_STATUS_OK) {
      const char *note = sq_module_note(module);
      EXPECT_EQ(note != nullptr, read);
      if (note)
        EXPECT_NE(std::string(note).find("widened to f32"), std::string::npos) << note;
      sq_module_release(module);
    } else {
      EXPECT_NE(std::string(sq_last_error()).find("a bf16 weight lies outside"), std::string::npos)
          << sq_last_error();
    }
    return status;
  };
  // 3 x 2: one panel of 32 x 32 pairs, 2048 bytes; one of 3 x 48 floats, 576.
  EXPECT_EQ(loads({2048, 0, 3, 2}, 576), SQ_STATUS_OK);
  EXPECT_EQ(loads({2050, 0, 3, 2}, 576), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({2047, 0, 3, 2}, 576), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({2048, 0, 3, 2}, 575), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({2048, 64, 3, 2}, 576), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({2048, 32, 3, 2}, 1024), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({2048, 0, 0, 2}, 576), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({2048, 0, 3, 33}, 576), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({2048, 0, UINT64_MAX, 2}, 576), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({2048, 0, 1ull << 60, 1ull << 60}, UINT64_MAX), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({UINT64_MAX - 1, UINT64_MAX - 63, 3, 2}, UINT64_MAX), SQ_STATUS_CORRUPT);
  // Not read at this level, so not made.
  EXPECT_EQ(loads({0, 0, 3, 2}, 576, /*read=*/false), SQ_STATUS_OK);
}

/* Numbers of 2 to 7 bits, any count of them, from a bitstream that another loop writes. */
TEST_F(RuntimeTest, UnpackedWeights) {
  auto numberAt = [](uint64_t i, unsigned bits) { // -2^(bits - 1) .. 2^(bits - 1) - 1
    return static_cast<int>((i * 2654435761u >> 7) & ((1u << bits) - 1)) - (1 << (bits - 1));
  };
  auto loads = [&](sq::ManifestUnpacked entry, uint64_t size) {
    sq::ArtifactSpec spec = toySpec(path("few.so"));
    spec.weightsSize = 4096;
    spec.weights = {{0, 4096, [&](llvm::MutableArrayRef<uint8_t> out) {
                       for (uint64_t bit = 0; bit / 8 + entry.source < 4096 && bit < entry.count * entry.bits; ++bit)
                         if (numberAt(bit / entry.bits, entry.bits) >> bit % entry.bits & 1)
                           out[entry.source + bit / 8] |= 1 << bit % 8;
                       return llvm::Error::success();
                     }}};
    spec.manifest.unpacked = {entry};
    spec.manifest.unpackedSize = spec.manifest.widenedSize = size;
    sq::CompileResult result = sq::writeArtifact(spec);
    EXPECT_EQ(result.code, sq::ExitCode::Done) << result.message;
    sq_module *module = nullptr;
    sq_status status = sq_module_load(spec.output.c_str(), nullptr, &module);
    if (status == SQ_STATUS_OK) {
      EXPECT_EQ(sq_module_note(module), nullptr);
      auto *bytes = reinterpret_cast<const int8_t *>(module->widened + entry.destination);
      uint64_t wrong = 0;
      for (uint64_t i = 0; i < entry.count; ++i)
        wrong += bytes[i] != numberAt(i, entry.bits);
      EXPECT_EQ(wrong, 0u) << entry.count << " of " << int(entry.bits) << " bits";
    } else {
      EXPECT_NE(std::string(sq_last_error()).find("a weight of few bits lies outside"), std::string::npos) << sq_last_error();
    }
    sq_module_release(module);
    return status;
  };
  for (uint8_t bits = 2; bits < 8; ++bits) {
    for (uint64_t count : {1, 7, 8, 9, 1000, 1021})
      EXPECT_EQ(loads({64, 128, count, bits}, 128 + count), SQ_STATUS_OK);
    uint64_t most = 4096 * 8 / bits; // as far as the last byte
    EXPECT_EQ(loads({0, 0, most, bits}, most), SQ_STATUS_OK);
    EXPECT_EQ(loads({1, 0, most, bits}, most), SQ_STATUS_CORRUPT);
  }
  EXPECT_EQ(loads({0, 0, 64, 6}, 63), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({0, 32, 64, 6}, 4096), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({0, 0, 64, 1}, 64), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({0, 0, 64, 8}, 64), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({0, 0, UINT64_MAX / 6, 6}, UINT64_MAX), SQ_STATUS_CORRUPT);
  EXPECT_EQ(loads({UINT64_MAX - 7, 0, 8, 6}, 64), SQ_STATUS_CORRUPT);
}

TEST_F(RuntimeTest, NotAnArtifact) {
  EXPECT_EQ(tryLoad(path("none.so")), SQ_STATUS_NOT_FOUND);
  EXPECT_EQ(tryLoad(folder), SQ_STATUS_CORRUPT);
  EXPECT_EQ(tryLoad("/dev/zero"), SQ_STATUS_CORRUPT);
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(tryLoad(path("fifo")), SQ_STATUS_CORRUPT);
  writeFile(path("empty.so"), "");
  EXPECT_EQ(tryLoad(path("empty.so")), SQ_STATUS_CORRUPT);
  writeFile(path("text.so"), std::string(5000, 'x'));
  EXPECT_EQ(tryLoad(path("text.so")), SQ_STATUS_CORRUPT);
  EXPECT_EQ(sq_last_error(),
            "'" + path("text.so") + "' is not an artifact of sq, or was truncated; build it again");
}

TEST_F(RuntimeTest, Truncated) {
  std::string bytes = readFile(toy), cut = path("cut.so");
  writeFile(cut, bytes);
  for (size_t size = bytes.size(); size > 0;) {
    size -= std::min(size, 1 + bytes.size() / 997);
    ASSERT_EQ(truncate(cut.c_str(), static_cast<off_t>(size)), 0);
    ASSERT_EQ(tryLoad(cut), SQ_STATUS_CORRUPT) << size;
  }
  // A trailer behind the wrong payload.
  writeFile(cut, bytes.substr(0, 1000) + bytes.substr(bytes.size() - sizeof(sq_trailer)));
  ASSERT_EQ(tryLoad(cut), SQ_STATUS_CORRUPT);
  writeFile(cut, bytes + "x");
  ASSERT_EQ(tryLoad(cut), SQ_STATUS_CORRUPT);
}

/// One bit of every byte; the bit differs from byte to byte.
TEST_F(RuntimeTest, BitFlips) {
  std::string bytes = readFile(toy);
  sq_trailer trailer;
  memcpy(&trailer, bytes.data() + bytes.size() - sizeof(trailer), sizeof(trailer));
  int fd = open(toy.c_str(), O_WRONLY);
  ASSERT_GE(fd, 0);
  size_t flips = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    char flipped = static_cast<char>(bytes[i] ^ (1 << i % 8));
    ASSERT_EQ(pwrite(fd, &flipped, 1, static_cast<off_t>(i)), 1);
    // Weights are looked at only on demand.
    bool weight = i >= trailer.weights_offset && i < trailer.weights_offset + trailer.weights_size;
    ASSERT_EQ(tryLoad(toy, nullptr, weight), SQ_STATUS_CORRUPT) << "byte " << i;
    ASSERT_EQ(pwrite(fd, &bytes[i], 1, static_cast<off_t>(i)), 1);
    ++flips;
  }
  close(fd);
  EXPECT_GT(flips, 4096u);
  EXPECT_EQ(tryLoad(toy, nullptr, 1), SQ_STATUS_OK);
}

sq_hash128 hash(const std::string &bytes) {
  XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return {h.low64, h.high64};
}

/// `payload` with a trailer whose hashes are right.
std::string sealed(const std::string &payload, sq_trailer trailer) {
  if (trailer.weights_offset <= payload.size() &&
      trailer.weights_size <= payload.size() - trailer.weights_offset) {
    trailer.code_hash =
        hash(payload.substr(0, trailer.weights_offset) +
             payload.substr(trailer.weights_offset + trailer.weights_size));
    trailer.weights_hash = hash(payload.substr(trailer.weights_offset, trailer.weights_size));
  }
  trailer.self_hash = hash({reinterpret_cast<char *>(&trailer), offsetof(sq_trailer, self_hash)});
  return payload + std::string(reinterpret_cast<char *>(&trailer), sizeof(trailer));
}

class SealedTest : public RuntimeTest {
protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    if (IsSkipped())
      return;
    payload = readFile(toy);
    memcpy(&trailer, payload.data() + payload.size() - sizeof(trailer), sizeof(trailer));
    payload.resize(payload.size() - sizeof(trailer));
    writeFile(toy, sealed(payload, trailer));
    ASSERT_EQ(tryLoad(toy, nullptr, 1), SQ_STATUS_OK) << sq_last_error();
  }

  std::string payload;
  sq_trailer trailer;
};

/// Sizes and offsets that lie, with hashes that do not.
TEST_F(SealedTest, Trailer) {
  for (uint64_t lie : {uint64_t(1), uint64_t(payload.size()), uint64_t(payload.size() + 1),
                       uint64_t(1) << 40, uint64_t(INT64_MAX), UINT64_MAX, UINT64_MAX - 255})
    for (uint64_t sq_trailer::*field :
         {&sq_trailer::payload_size, &sq_trailer::weights_offset, &sq_trailer::weights_size,
          &sq_trailer::manifest_offset, &sq_trailer::manifest_size}) {
      sq_trailer changed = trailer;
      changed.*field = lie;
      if (changed.*field == trailer.*field)
        continue;
      writeFile(toy, sealed(payload, changed));
      sq_status status = tryLoad(toy, nullptr, 1);
      // Where the weights lie matters for hashing alone.
      bool harmless = field == &sq_trailer::weights_offset &&
                      lie <= payload.size() - changed.weights_size;
      EXPECT_EQ(status, harmless ? SQ_STATUS_OK : SQ_STATUS_CORRUPT) << lie << sq_last_error();
    }
  sq_trailer newer = trailer;
  newer.version = SQ_TRAILER_VERSION + 1;
  writeFile(toy, sealed(payload, newer));
  EXPECT_EQ(tryLoad(toy), SQ_STATUS_UNSUPPORTED);
}

/// The Verifier and the checks of meaning stand alone: every byte of the
/// manifest, changed in one of three ways, is refused or harmless.
TEST_F(SealedTest, Manifest) {
  size_t refused = 0;
  for (size_t i = 0; i < trailer.manifest_size; ++i) {
    const int masks[] = {1 << i % 8, 0x80, 0xff};
    std::string changed = payload;
    changed[trailer.manifest_offset + i] ^= static_cast<char>(masks[i % 3]);
    writeFile(toy, sealed(changed, trailer));
    sq_status status = tryLoad(toy);
    EXPECT_TRUE(status == SQ_STATUS_OK || status == SQ_STATUS_CORRUPT ||
                status == SQ_STATUS_UNSUPPORTED)
        << i << ": " << status << sq_last_error();
    refused += status != SQ_STATUS_OK;
  }
  EXPECT_GT(refused, trailer.manifest_size / 2);
}

} // namespace
