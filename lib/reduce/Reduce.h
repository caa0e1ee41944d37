/// Makes an ONNX model as small as it can be while a command still finds it
/// interesting.
#ifndef SQ_LIB_REDUCE_REDUCE_H
#define SQ_LIB_REDUCE_REDUCE_H

#include <functional>

#include "lib/reduce/Check.h"
#include "lib/reduce/Graph.h"

namespace sq::reduce {

/// Reads a model (.onnx, .onnxtxt) with its external data in it.
Status loadModel(const std::string &path, ::onnx::ModelProto &model);

struct Progress {
  int64_t checks = 0;   // runs of the command
  double seconds = 0;   // since the start
  int64_t nodes = 0, bytes = 0; // of the smallest model so far
  std::string step;     // what made it so
};

struct Options {
  std::string command;
  std::string output;         // rewritten, whole, whenever the model has become smaller
  double checkTimeout = 60;   // seconds of one run
  double timeLimit = 0;       // seconds of all; 0: none
  int64_t maxChecks = 10000;
  bool verbose = false;       // show what the command prints
  std::function<void(const std::string &)> note; // what the user should know
  std::function<void(const Progress &)> progress; // at the start, then whenever it is smaller
};

struct Result {
  Progress before, after;
  /// Why it ended before nothing more could be removed: "--time-limit" or "--max-steps", or empty.
  std::string stopped;
};

/// Refused when the model itself is not interesting. Candidates pass onnx's checker if the model does.
Status reduceModel(::onnx::ModelProto &model, const Options &options, Result &result);

} // namespace sq::reduce

#endif
