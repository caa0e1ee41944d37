#include "lib/calibration/HostProgram.h"

#include <malloc.h>

#include "codegen/host/HostTarget.h"
#include "lib/driver/Shapes.h"
#include "lib/run/Flags.h"

using namespace sq;

Status sq::chooseHost(const std::string &shape, int threads,
                      CompileOptions &options) {
  options.levels = {runtimeHostLevel()};
  if (options.levels[0].empty())
    return Status::lacking(
        "this CPU lacks AVX2 and FMA, which compiled programs need");
  options.threads = threads;
  if (!shape.empty())
    for (const std::string &text : split(shape, ','))
      if (std::string wrong = parseShape(text, options.shape); !wrong.empty())
        return Status::usage(wrong);
  return {};
}

Status sq::compileHere(const std::string &model, CompileOptions options,
                       TemporaryArtifact &artifact, Module &module) {
  CompileResult result = artifact.compile(model, std::move(options));
  if (result.code != ExitCode::Done)
    return {result.code, result.message};
  malloc_trim(0); // what the compiler had, some hundred MB of a large model
  RunOptions where;
  where.device = "cpu";
  return module.load(artifact.path().c_str(), where);
}
