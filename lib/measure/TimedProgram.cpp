#include "lib/measure/TimedProgram.h"

#include <algorithm>
#include <chrono>

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"

#include "codegen/host/HostTarget.h"
#include "lib/calibration/HostProgram.h"

using namespace llvm;
using namespace sq;

static constexpr int64_t kInputPeriod = 251; // of made-up elements

double sq::steadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

CompileOptions sq::compileOptionsOf(const MeasureOptions &options) {
  CompileOptions compile;
  compile.levels = options.levels;
  if (compile.levels.empty())
    compile.levels = {runtimeHostLevel()};
  compile.tile = options.tile;
  compile.threads = options.compileThreads;
  return compile;
}

Status TimedProgram::compile(const std::string &model, CompileOptions options) {
  if (Status status = compileHere(model, std::move(options), artifact, module); !status.ok())
    return status;
  return session.create(module, /*threads=*/1);
}

Status TimedProgram::compile(function_ref<void(raw_ostream &)> write, CompileOptions options) {
  SmallString<128> file;
  int fd = -1;
  if (std::error_code error = sys::fs::createTemporaryFile("sq", "mlir", fd, file))
    return Status::lacking("cannot make a temporary file: " + error.message() + "; set TMPDIR to a writable directory");
  FileRemover remover(file);
  raw_fd_ostream os(fd, /*shouldClose=*/true);
  write(os);
  os.close();
  if (std::error_code error = os.error()) {
    os.clear_error();
    return Status::lacking("cannot write " + file.str().str() + ": " + error.message());
  }
  return compile(file.str().str(), std::move(options));
}

Status TimedProgram::bind(const std::vector<Tensor> &tensors) {
  session.bind(tensors);
  return session.run();
}

Status TimedProgram::run(double &least) {
  double start = steadySeconds();
  if (Status status = session.run(); !status.ok())
    return status;
  least = std::min(least, steadySeconds() - start);
  return {};
}

Status sq::makeLayerInput(const LayerShape &shape, std::vector<Tensor> &inputs) {
  inputs = std::vector<Tensor>(1);
  if (Status status = inputs[0].allocate(DType::f32, {shape.rows, shape.k}); !status.ok())
    return status;
  auto *x = reinterpret_cast<float *>(inputs[0].bytes.data());
  for (int64_t i = 0; i < shape.rows * shape.k; ++i)
    x[i] = float(i % kInputPeriod) / 100 - 1;
  return {};
}
