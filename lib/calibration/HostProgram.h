/// Programs that tools compile and run in process, on this machine.
#ifndef SQ_LIB_CALIBRATION_HOSTPROGRAM_H
#define SQ_LIB_CALIBRATION_HOSTPROGRAM_H

#include "lib/driver/TemporaryArtifact.h"
#include "lib/run/Module.h"

namespace sq {

/// What such programs are compiled for: the level of this CPU; `shape` is as
/// sq-compile --shape has it. Refused where that is none, or the CPU too old.
Status chooseHost(const std::string &shape, int threads,
                  CompileOptions &options);

/// Compiles `model` and loads it; `artifact` must live as long as `module`.
Status compileHere(const std::string &model, CompileOptions options,
                   TemporaryArtifact &artifact, Module &module);

} // namespace sq

#endif
