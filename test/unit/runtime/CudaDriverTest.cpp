/// Loading kernels with drivers that take or refuse them (stub_cuda); no
/// emulator is needed.
#include <cstdio>

#include "test/unit/runtime/CudaArtifact.h"

using namespace sq_test;

namespace {

class CudaDriverTest : public TemporaryCudaFolder {
protected:
  void make(const std::string &cubin, const std::string &ptx) {
    toy = writeCudaToy(folder, "toy", {{80, cubin, ptx, {}}});
  }
  void expect(const std::string &environment, int code, const std::string &text) {
    std::string search = std::filesystem::path(SQ_STUB_CUDA).parent_path();
    std::string command = "env -u SQ_DEVICE LD_LIBRARY_PATH='" + search + "' " + environment +
                          " '" SQ_RUN "' '" + toy +
                          "' --device=cuda --input=x=1x2xf32=1 --input=index=1xi64=5 2>&1";
    std::string printed;
    int status = -1;
    if (FILE *pipe = popen(command.c_str(), "r")) {
      char buffer[4096];
      for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
        printed.append(buffer, n);
      status = WEXITSTATUS(pclose(pipe));
    }
    EXPECT_EQ(status, code) << printed;
    EXPECT_EQ(printed, text);
  }
  std::string toy;
};

const char result[] = "output[0] y: 1x2xf32=0,0\n";

TEST_F(CudaDriverTest, Cubin) {
  make("cubin", "");
  expect("", 0, result);
  expect("STUB_CUBIN=209", 3,
         "sq-run: the driver (CUDA 12.2) refuses the machine code for sm_80 of '" + toy +
             "': CUDA_ERROR_STUB (209: as the test says); install a newer driver or compile the model "
             "on this machine\n");
}

TEST_F(CudaDriverTest, Ptx) {
  make("", ".version 8.0");
  expect("", 0,
         std::string("note: the driver compiled the kernels from PTX for sm_80\n") + result);
  expect("STUB_PTX=222", 3,
         "sq-run: the driver (CUDA 12.2) is too old for the PTX of '" + toy +
             "': ptxas application ptx input, line 9; error: stub ptxas fatal: stop; install a newer "
             "driver, or compile the model where ptxas is found\n");
  expect("STUB_PTX=218", 70,
         "sq-run: the driver (CUDA 12.2) cannot compile the PTX for sm_80 of '" + toy +
             "' for cuda:0 (Stub 1, sm_86): CUDA_ERROR_STUB (218: as the test says): ptxas application "
             "ptx input, line 9; error: stub ptxas fatal: stop; install a newer driver, or compile "
             "the model where ptxas is found\n");
}

TEST_F(CudaDriverTest, PtxWhenTheCubinIsRefused) {
  make("cubin", ".version 8.0");
  expect("", 0, result);
  expect("STUB_CUBIN=200", 0,
         std::string("note: the driver compiled the kernels from PTX for sm_80 (it refused the machine "
                     "code)\n") +
             result);
  expect("STUB_CUBIN=2", 3,
         "sq-run: out of device memory for the kernels: cuda:0 (Stub 1, sm_86) has 0 bytes free; end "
         "what else runs there\n");
}

} // namespace
