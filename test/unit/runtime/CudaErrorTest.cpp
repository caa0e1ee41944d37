/// What a user sees of drivers and devices that do not fit: sq-run in a process
/// of its own, as the driver's library is loaded once per process.
#include <cstdio>

#include "test/unit/runtime/CudaArtifact.h"

using namespace sq_test;

namespace {

struct Outcome {
  int code;
  std::string text;
};

class CudaErrorTest : public CudaFolder {
protected:
  std::string artifact(const std::vector<CudaVariant> &variants, const char *name = "toy") {
    return writeCudaToy(folder, name, variants);
  }
  /// `environment`: "A=1 B=2"; the emulator's library is on the path.
  Outcome run(const std::string &path, const std::string &environment = "",
              const std::string &flags = "", bool library = true) {
    std::string search = std::filesystem::path(SQ_FAKE_CUDA).parent_path();
    std::string command = "env -u SQ_DEVICE " + environment +
                          (library ? " LD_LIBRARY_PATH='" + search + "'" : "") + " '" SQ_RUN "' '" + path +
                          "' --input=x=2x3xf32=1 --input=index=2xi64=" + index + " " + flags + " 2>&1";
    Outcome outcome{-1, ""};
    if (FILE *pipe = popen(command.c_str(), "r")) {
      char buffer[4096];
      for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
        outcome.text.append(buffer, n);
      outcome.code = WEXITSTATUS(pclose(pipe));
    }
    return outcome;
  }
  void expect(const Outcome &outcome, int code, const std::string &text) {
    EXPECT_EQ(outcome.code, code) << outcome.text;
    EXPECT_NE(outcome.text.find(text), std::string::npos) << outcome.text;
    lines = 0;
    for (char c : outcome.text)
      lines += c == '\n';
  }
  std::string index = "5";
  int lines = 0;
};

TEST_F(CudaErrorTest, RunsAndTellsWhere) {
  std::string toy = artifact({{80, toyImage(), "", {}}});
  Outcome outcome = run(toy, "SQ_FAKE_CUDA_LEAKS=1");
  expect(outcome, 0, "y: 2x3xf32=102,103,104,102,103,104");
  EXPECT_NE(outcome.text.find("note: runs on cuda:0 ("), std::string::npos) << outcome.text;
  EXPECT_EQ(outcome.text.find("leak"), std::string::npos) << outcome.text;
  outcome = run(toy, "", "--device=cuda:0 --stats --cuda-graphs=2 --profile=" + folder + "/trace.json");
  expect(outcome, 0, "stats.device cuda:0 (");
  EXPECT_EQ(outcome.text.find("note:"), std::string::npos) << outcome.text;
  EXPECT_NE(contents(folder + "/trace.json").find("\"doubled\""), std::string::npos);
}

TEST_F(CudaErrorTest, Driver) {
  std::string toy = artifact({{80, toyImage(), "", {}}});
  if (!std::filesystem::exists("/usr/lib/x86_64-linux-gnu/libcuda.so.1")) {
    expect(run(toy, "", "", false), 3,
           "sq-run: CUDA's driver cannot be loaded (libcuda.so.1: cannot open shared object file: No "
           "such file or directory); install NVIDIA's driver, or compile the model with --target=host");
    EXPECT_EQ(lines, 1);
  }
  expect(run(toy, "SQ_FAKE_CUDA_DRIVER=11020"), 3,
         "CUDA's driver is for CUDA 11.2; install one for CUDA 11.4 or later");
  // A library that lacks a function.
  store(folder + "/old.c", "int cuInit(unsigned f) { return 0; }\n");
  std::string made = std::string(SQ_TEST_CC) + " -shared -fPIC '" + folder + "/old.c' -o '" + folder +
                     "/libcuda.so.1'";
  ASSERT_EQ(std::system(made.c_str()), 0);
  expect(run(toy, "LD_LIBRARY_PATH='" + folder + "'", "", false), 3,
         "CUDA's driver libcuda.so.1 has no function cuDriverGetVersion; install a driver for CUDA "
         "11.4 or later");
}

TEST_F(CudaErrorTest, Devices) {
  std::string toy = artifact({{80, toyImage(), "", {}}});
  expect(run(toy, "SQ_FAKE_CUDA_DEVICES=0"), 3, "CUDA's driver finds no device; check nvidia-smi");
  expect(run(toy, "", "--device=cuda:5"), 3,
         "the device option is cuda:5, but CUDA's driver finds 1 device, the last is cuda:0");
  expect(run(toy, "SQ_FAKE_CUDA_DEVICES=2", "--device=cuda:1 --stats"), 0, "stats.device cuda:1 (");
  expect(run(toy, "SQ_FAKE_CUDA_CC=70"), 3, "needs compute capability 8.0, '");
  expect(run(toy, "SQ_FAKE_CUDA_CC=70"), 3, "' has 7.0; run it on a newer device");
  expect(run(toy, "SQ_FAKE_CUDA_CC=86"), 0, "y: 2x3xf32=102"); // the same major capability
  expect(run(toy, "SQ_FAKE_CUDA_CC=90"), 3, "holds machine code for sm_80 and no PTX, '");
  EXPECT_EQ(lines, 1);
}

TEST_F(CudaErrorTest, OfTheWrongKind) {
  std::string toy = artifact({{80, toyImage(), "", {}}, {90, toyImage(), "", {}}});
  expect(run(toy, "", "--device=cpu"), 1,
         "is compiled for CUDA (sm_80, sm_90), but the device option is cpu; compile the model with "
         "--target=host, or run on cuda");
  expect(run(toy, "SQ_DEVICE=cpu"), 1, "but SQ_DEVICE is cpu");
  expect(run(toy, "SQ_DEVICE=gpu"), 1,
         "SQ_DEVICE names the unknown device 'gpu'; valid are cpu, cuda, cuda:N, auto");
  expect(run(toy, "SQ_DEVICE=cpu", "--device=cuda"), 0, "y: 2x3xf32=102");
  expect(run(toy, "", "--device=cuda:x"), 2, "--device=cuda:x: expected cpu, cuda, cuda:N or auto");
}

TEST_F(CudaErrorTest, Variants) {
  std::string both = artifact({{80, toyImage(), "", {}}, {90, toyImage(), "", {}}}, "both");
  expect(run(both, "SQ_FAKE_CUDA_CC=80", "--stats"), 0, "stats.variant cuda:sm_80");
  expect(run(both, "SQ_FAKE_CUDA_CC=89", "--stats"), 0, "stats.variant cuda:sm_80");
  expect(run(both, "SQ_FAKE_CUDA_CC=90", "--stats"), 0, "stats.variant cuda:sm_90");
  // The order in the file does not matter; PTX of a later architecture is better than an old cubin.
  std::string mixed = artifact({{90, "", "// not run here", {}}, {80, toyImage(), "", {}}}, "mixed");
  expect(run(mixed, "SQ_FAKE_CUDA_CC=86", "--stats"), 0, "stats.variant cuda:sm_80");
  expect(run(mixed, "SQ_FAKE_CUDA_CC=100"), 3, "cannot compile the PTX for sm_90 of '");
  std::string host = artifact({{80, toyImage(), "", {"amx-of-tomorrow"}}}, "host");
  expect(run(host), 3, "its host code needs amx-of-tomorrow, which this CPU lacks");
  std::string damaged = artifact({{80, "no ELF file", "", {}}}, "damaged");
  expect(run(damaged), 3, "refuses the machine code for sm_80 of '");
}

TEST_F(CudaErrorTest, Memory) {
  std::string toy = artifact({{80, toyImage(), "", {}}});
  expect(run(toy, "SQ_FAKE_CUDA_MEMORY=8192"), 3,
         "out of device memory: the weights need 16384 bytes, cuda:0 (");
  EXPECT_EQ(lines, 1 /* no note before it */);
  Outcome outcome = run(toy, "SQ_FAKE_CUDA_MEMORY=16400");
  EXPECT_EQ(outcome.code, 3) << outcome.text;
  EXPECT_NE(outcome.text.find("bytes free; use smaller dims or a larger device"), std::string::npos)
      << outcome.text;
}

TEST_F(CudaErrorTest, Kernels) {
  std::string toy = artifact({{80, toyImage(), "", {}}});
  index = "99";
  expect(run(toy, "", "--device=cuda"), 70, "sq-run: a kernel failed on cuda:0 (");
  expect(run(toy, "", "--device=cuda"), 70, "set SQ_CUDA_SYNC=1 to learn which one");
  expect(run(toy, "SQ_CUDA_SYNC=1", "--device=cuda"), 70, "sq-run: kernel 'added' failed on cuda:0 (");
  index = "10";
  expect(run(toy, "", "--device=cuda"), 1,
         "sq-run: an index is outside of [0, 10); check the inputs");
  EXPECT_EQ(lines, 1);
}

} // namespace
