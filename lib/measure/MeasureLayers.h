/// Linear layers in 8 bits and in float, compiled and timed in process.
#ifndef SQ_LIB_MEASURE_MEASURELAYERS_H
#define SQ_LIB_MEASURE_MEASURELAYERS_H

#include "sq/compiler.h"

namespace sq {

struct MeasureOptions {
  std::vector<std::string> levels; // as in CompileOptions; of several the best of this machine is timed
  std::string tile;
  int compileThreads = 0;
  double seconds = 0.2; // of runs for a shape, both kinds together; compiling comes on top
  /// Before each weight [k, n]: which of how many.
  std::function<void(const LayerShape &shape, size_t index, size_t count)> progress;
};

/// The least time of a run of each shape, with one thread: what disturbs a run only adds to it. Runs in 8 bits
/// and in float take turns, so that both meet the same machine. The layer has a bias and nothing behind it; in 8
/// bits the rounding of its input is part of it. Its weight comes from the caches, as far as it fits there.
CompileResult measureLayers(const std::vector<LayerShape> &shapes, const MeasureOptions &options,
                            std::vector<LayerTimes> &times);

/// The same for --target-latency: each layer in its format, "f32", "int8" (with bias) or tables (without). `activations` of
/// products by codes, as in CompileOptions. Refused: formats that have no kernel.
CompileResult measureFormats(const std::vector<LayerToTime> &layers, const MeasureOptions &options, const std::string &activations,
                             std::vector<double> &seconds);

/// The least time of a run of the float model with made-up inputs of one size, with one thread. `dims` has all symbols.
CompileResult measureModel(const std::string &model, const std::map<std::string, int64_t> &dims, const MeasureOptions &options,
                           double &seconds);

} // namespace sq

#endif
