/// Writing artifacts: kinds, reproducibility, errors that leave nothing behind.
#include <csignal>
#include <cstdio>
#include <dlfcn.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "test/unit/runtime/ToyArtifact.h"

using namespace sq_test;

namespace {

class ArtifactTest : public TemporaryFolder {};

struct Outcome {
  int status;
  std::string text;
};

Outcome shell(const std::string &command) {
  Outcome outcome{-1, ""};
  if (FILE *pipe = popen((command + " 2>&1").c_str(), "r")) {
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
      outcome.text.append(buffer, n);
    outcome.status = pclose(pipe);
  }
  return outcome;
}

/// `ldd` may show libc, libm, libdl, libpthread, the loader and the vdso.
void expectOnlySystemLibraries(const std::string &path) {
  Outcome ldd = shell("ldd '" + path + "'");
  ASSERT_EQ(ldd.status, 0) << ldd.text;
  size_t lines = 0;
  for (size_t at = 0; at < ldd.text.size(); ++lines) {
    size_t end = ldd.text.find('\n', at);
    std::string line = ldd.text.substr(at, end - at);
    at = end + 1;
    bool known = false;
    for (const char *name : {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0",
                             "ld-linux-x86-64.so.2", "linux-vdso.so.1", "statically linked"})
      known |= line.find(name) != std::string::npos;
    EXPECT_TRUE(known) << line;
  }
  EXPECT_GT(lines, 0u);
}

TEST_F(ArtifactTest, SharedObjectNeedsOnlySystemLibraries) {
  expectOnlySystemLibraries(writeToy(path("toy.so")));
  EXPECT_EQ(files(), std::vector<std::string>{"toy.so"});
}

TEST_F(ArtifactTest, SameSpecSameBytes) {
  writeToy(path("a.so"));
  sq::ArtifactSpec spec = toySpec(path("other-name.so"));
  spec.threads = 1;
  ASSERT_EQ(sq::writeArtifact(spec).code, sq::ExitCode::Done);
  std::string first = readFile(path("a.so")), second = readFile(path("other-name.so"));
  ASSERT_GT(first.size(), 0u);
  EXPECT_TRUE(first == second);
  EXPECT_EQ(first.find(folder), std::string::npos);
}

/// A program that knows nothing of sq-run: dlopen, then the API inside.
TEST_F(ArtifactTest, RuntimeInsideRuns) {
  if (!toyRunsHere())
    GTEST_SKIP() << "this CPU lacks avx2";
  void *library = dlopen(writeToy(path("toy.so")).c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  auto load = reinterpret_cast<decltype(&sq_module_load)>(dlsym(library, "sq_module_load"));
  auto create = reinterpret_cast<decltype(&sq_session_create)>(dlsym(library, "sq_session_create"));
  EXPECT_NE(dlsym(library, "sq_lm_append"), nullptr);
  EXPECT_NE(dlsym(library, "sq_lm_sample"), nullptr);
  auto run = reinterpret_cast<decltype(&sq_session_run)>(dlsym(library, "sq_session_run"));
  auto releaseModule =
      reinterpret_cast<decltype(&sq_module_release)>(dlsym(library, "sq_module_release"));
  auto releaseSession =
      reinterpret_cast<decltype(&sq_session_release)>(dlsym(library, "sq_session_release"));
  sq_module *module = nullptr;
  sq_session *session = nullptr;
  sq_module_options options = {sizeof(options), nullptr, 1, nullptr, nullptr};
  ASSERT_EQ(load(nullptr, &options, &module), SQ_STATUS_OK);
  ASSERT_EQ(create(module, nullptr, &session), SQ_STATUS_OK);
  ToyInputs inputs;
  DLTensor outputs[2] = {};
  ASSERT_EQ(run(session, inputs.tensors, 2, outputs, 2), SQ_STATUS_OK);
  EXPECT_EQ(static_cast<float *>(outputs[0].data)[5], inputs.expected(1, 1));
  releaseSession(session);
  releaseModule(module);
  // Kernels and helpers stay inside.
  EXPECT_EQ(dlsym(library, "XXH3_128bits"), nullptr);
  EXPECT_EQ(dlsym(library, "sq_weights_begin"), nullptr);
  dlclose(library);
}

TEST_F(ArtifactTest, StaticLibraryWithHeader) {
  writeToy(path("toy.a"));
  EXPECT_EQ(files().size(), 2u); // toy.a, toy.h
  std::string program = path("program");
  Outcome compiled =
      shell(std::string(SQ_TEST_CC) + " -std=c11 -Wall -Wextra -Werror -I'" + folder + "' '" +
            SQ_TEST_SOURCE_DIR + "/static_library_main.c' '" + path("toy.a") + "' -lm -lpthread " +
            "-ldl -o '" + program + "'");
  ASSERT_EQ(compiled.status, 0) << compiled.text;
  expectOnlySystemLibraries(program);
  if (!toyRunsHere())
    GTEST_SKIP() << "this CPU lacks avx2";
  Outcome ran = shell("'" + program + "'");
  EXPECT_EQ(ran.status, 0) << ran.text;
  EXPECT_EQ(ran.text, "102 105\n");
}

TEST_F(ArtifactTest, StaticLibraryIsReproducible) {
  writeToy(path("a.a"));
  writeToy(path("b.a"));
  EXPECT_TRUE(readFile(path("a.a")) == readFile(path("b.a")));
}

/// The program is sq-run on itself.
TEST_F(ArtifactTest, Executable) {
  std::string program = writeToy(path("toy"));
  EXPECT_EQ(files(), std::vector<std::string>{"toy"});
  expectOnlySystemLibraries(program);
  if (!toyRunsHere())
    GTEST_SKIP() << "this CPU lacks avx2";
  Outcome ran = shell("'" + program + "' --input=x=1x2xf32=1,2 --input=index=1xi64=3");
  EXPECT_EQ(ran.status, 0);
  EXPECT_NE(ran.text.find("y: 1x2xf32=102,105\n"), std::string::npos) << ran.text;
  Outcome refused = shell("SQ_CPU=x86-64 '" + program + "'");
  EXPECT_EQ(WEXITSTATUS(refused.status), 3) << refused.text;
}

TEST_F(ArtifactTest, NoWeights) {
  sq::ArtifactSpec spec = toySpec(path("toy.so"));
  spec.weightsSize = 0;
  spec.weights.clear();
  sq::CompileResult result = sq::writeArtifact(spec);
  ASSERT_EQ(result.code, sq::ExitCode::Done) << result.message;
  if (!toyRunsHere())
    GTEST_SKIP() << "this CPU lacks avx2";
  sq_module *module = nullptr;
  sq_module_options options = {sizeof(options), nullptr, 1, nullptr, nullptr};
  ASSERT_EQ(sq_module_load(path("toy.so").c_str(), &options, &module), SQ_STATUS_OK)
      << sq_last_error();
  EXPECT_EQ(sq_module_weight_bytes(module), 0);
  sq_module_release(module);
}

TEST_F(ArtifactTest, FailingChunkLeavesNothing) {
  writeFile(path("toy.so"), "older");
  sq::ArtifactSpec spec = toySpec(path("toy.so"));
  spec.weights[0].write = [](llvm::MutableArrayRef<uint8_t>) {
    return llvm::createStringError("initializer 'w' lies outside of its file");
  };
  sq::CompileResult result = sq::writeArtifact(spec);
  EXPECT_EQ(result.code, sq::ExitCode::Refused);
  EXPECT_EQ(result.message, "initializer 'w' lies outside of its file");
  EXPECT_EQ(files(), std::vector<std::string>{"toy.so"});
  EXPECT_EQ(readFile(path("toy.so")), "older");
}

TEST_F(ArtifactTest, OverlappingChunks) {
  sq::ArtifactSpec spec = toySpec(path("toy.so"));
  spec.weights[0].offset = 64;
  EXPECT_EQ(sq::writeArtifact(spec).code, sq::ExitCode::Refused);
  EXPECT_TRUE(files().empty());
}

TEST_F(ArtifactTest, MissingFolder) {
  sq::CompileResult result = sq::writeArtifact(toySpec(path("none/toy.so")));
  EXPECT_EQ(result.code, sq::ExitCode::Lacking);
  EXPECT_EQ(result.message,
            "cannot write '" + path("none/toy.so") + "': No such file or directory");
}

TEST_F(ArtifactTest, FolderWithoutPermission) {
  // Not even root may create files there.
  EXPECT_EQ(sq::writeArtifact(toySpec("/proc/toy.so")).code, sq::ExitCode::Lacking);
}

TEST_F(ArtifactTest, OutputIsNoRegularFile) {
  sq::CompileResult result = sq::writeArtifact(toySpec("/dev/full"));
  EXPECT_EQ(result.code, sq::ExitCode::Lacking);
  EXPECT_EQ(result.message, "cannot write '/dev/full': it exists and is not a regular file; name "
                            "a new file");
  EXPECT_EQ(sq::writeArtifact(toySpec(folder)).code, sq::ExitCode::Lacking);
}

/// A disk that is full after `limit` bytes, at every step of the way.
TEST_F(ArtifactTest, FullDiskLeavesNothing) {
  sq::ArtifactSpec spec = toySpec(path("toy.so"));
  writeToy(path("whole.so"));
  auto whole = static_cast<rlim_t>(readFile(path("whole.so")).size());
  std::filesystem::remove(path("whole.so"));
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  for (rlim_t limit : {rlim_t(0), rlim_t(100), rlim_t(4096 + 100), rlim_t(8192), rlim_t(whole / 2),
                       whole - 200, whole - 104, whole - 50}) {
    rlimit low = {limit, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    sq::CompileResult result = sq::writeArtifact(spec);
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(result.code, sq::ExitCode::Lacking) << limit << ": " << result.message;
    EXPECT_NE(result.message.find("cannot write '" + spec.output + "'"), std::string::npos)
        << result.message;
    EXPECT_TRUE(files().empty()) << limit << ": " << files()[0];
  }
  EXPECT_EQ(sq::writeArtifact(spec).code, sq::ExitCode::Done);
}

/// A real one: the linker, which writes through a mapping, meets a SIGBUS.
TEST_F(ArtifactTest, FullFileSystemLeavesNothing) {
  std::string disk = path("disk");
  ASSERT_EQ(mkdir(disk.c_str(), 0700), 0);
  for (int kilobytes : {8, 32, 48, 64}) {
    std::string size = "size=" + std::to_string(kilobytes) + "k";
    if (mount("none", disk.c_str(), "tmpfs", 0, size.c_str()))
      GTEST_SKIP() << "cannot mount a small file system here";
    for (const char *name : {"/toy.so", "/toy.a", "/toy"}) {
      sq::CompileResult result = sq::writeArtifact(toySpec(disk + name));
      EXPECT_EQ(result.code, sq::ExitCode::Lacking) << result.message;
      EXPECT_NE(result.message.find("o space left on"), std::string::npos) << result.message;
      EXPECT_TRUE(std::filesystem::is_empty(disk));
    }
    umount2(disk.c_str(), MNT_DETACH);
  }
}

TEST_F(ArtifactTest, UnresolvedSymbolIsADefect) {
  sq::ArtifactSpec spec = toySpec(path("toy.so"));
  spec.objects = {SQ_HEADER_OBJECT}; // no sq_artifact, but linkable
  spec.objects.push_back(path("missing.o"));
  sq::CompileResult result = sq::writeArtifact(spec);
  EXPECT_NE(result.code, sq::ExitCode::Done);
  EXPECT_NE(result.message.find("missing.o"), std::string::npos) << result.message;
  EXPECT_TRUE(files().empty());
}

TEST_F(ArtifactTest, LinkerFromEnvironment) {
  setenv("SQ_LD", "/nonexistent/ld", 1);
  sq::CompileResult result = sq::writeArtifact(toySpec(path("toy.so")));
  unsetenv("SQ_LD");
  EXPECT_EQ(result.code, sq::ExitCode::Lacking);
  EXPECT_NE(result.message.find("SQ_LD names the linker '/nonexistent/ld'"), std::string::npos)
      << result.message;
  EXPECT_TRUE(files().empty());
}

} // namespace
