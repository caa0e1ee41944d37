/// The command line of the tools that run artifacts. LLVM's cl would do, but
/// executables made by sq-compile contain this and must not need LLVM.
#ifndef SQ_LIB_RUN_FLAGS_H
#define SQ_LIB_RUN_FLAGS_H

#include "lib/tensorio/Tensor.h"

namespace sq {

/// One flag: `--name` or `--name=VALUE`; of one letter also `-n VALUE`.
struct Flag {
  const char *name;
  const char *value;    // what VALUE is called in the help; null: takes none
  const char *help;     // lines are indented by the printer
  bool repeatable = false;
};

/// A command line taken apart. `--help` and `--version` are always known.
class Flags {
public:
  explicit Flags(std::vector<Flag> known) : known(std::move(known)) {}

  /// ExitCode::Usage when a flag is unknown, lacks its value, has one it does
  /// not take, or is repeated without being repeatable. `--` ends the flags.
  Status parse(int argc, const char *const *argv);

  bool has(const char *name) const { return !all(name).empty(); }
  /// The value of `name`, or `fallback` when it was not given.
  std::string get(const char *name, const char *fallback = "") const;
  std::vector<std::string> all(const char *name) const;
  const std::vector<std::string> &positional() const { return rest; }

  /// The start of a tool: parses, answers --help (`usage` and the flags) and
  /// --version. True when there is nothing more to do; `code` is then the exit
  /// code, and a usage error has been printed under the name `tool`.
  bool start(const char *tool, const char *usage, int argc, const char *const *argv, int &code);

  /// A number in [min, max], or usage.
  Status number(const char *name, double min, double max, double &value) const;
  Status integer(const char *name, int64_t min, int64_t max, int64_t &value) const;
  /// Bytes, or a number with K, M or G, of 1024; from 1 on, or usage.
  Status size(const char *name, uint64_t &bytes) const;

  /// `usage`, then a line or more per flag.
  void printHelp(const char *usage) const;

private:
  const Flag *find(const std::string &name) const;

  std::vector<Flag> known;
  std::vector<std::pair<std::string, std::string>> given;
  std::vector<std::string> rest;
};

/// Checks the spelling of --device, which is "cpu", "cuda", "cuda:N" or "auto";
/// empty when it was not given. What there is, the runtime knows.
Status parseDevice(const Flags &flags, std::string &device);

/// The help of --device, the same in all tools.
inline constexpr char kDeviceHelp[] =
    "where to run; an artifact is for one of cpu and cuda (default: SQ_DEVICE,\n"
    "else auto: what the artifact is for, on the first device that can run it)";
inline constexpr char kCudaGraphsHelp[] =
    "record the launches of N shapes as CUDA graphs and replay them (default: 0)";
constexpr int64_t kMaxCudaGraphs = 1024;

/// A whole string as an integer in [min, max].
bool parseInteger(const std::string &text, int64_t min, int64_t max, int64_t &value);
/// The parts of `text` between `separator`s.
std::vector<std::string> split(const std::string &text, char separator);

} // namespace sq

#endif
