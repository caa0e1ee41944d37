#include "lib/calibration/Progress.h"

#include <chrono>

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

using namespace sq;

namespace {

class Lines {
public:
  explicit Lines(bool json) : json(json) {}

  void operator()(const Progress &p) {
    auto now = std::chrono::steady_clock::now();
    bool isNew = p.phase != phase || (p.total && p.done == p.total);
    if (!isNew && now - last < std::chrono::milliseconds(500))
      return;
    last = now;
    phase = p.phase;
    if (json) {
      llvm::json::Object object{{"phase", p.phase},
                                {"done", p.done},
                                {"total", p.total},
                                {"seconds", p.seconds}};
      if (p.done)
        object["seconds_left"] = p.left;
      llvm::errs() << llvm::formatv("{0}\n",
                                    llvm::json::Value(std::move(object)));
    } else if (p.total) {
      llvm::errs() << llvm::formatv(
          "{0} [{1,6}/{2}] {3,7:f1} s{4}\n", p.phase, p.done, p.total,
          p.seconds,
          p.done ? llvm::formatv(", {0:f1} s left", p.left).str() : "");
    } else {
      llvm::errs() << llvm::formatv("{0}\n", p.phase);
    }
  }

private:
  bool json;
  std::string phase;
  std::chrono::steady_clock::time_point last;
};

} // namespace

Status sq::progressFrom(const Flags &flags, ProgressFunction &progress) {
  std::string style = flags.get("progress", "auto");
  if (style != "auto" && style != "plain" && style != "json" && style != "none")
    return Status::usage("--progress=" + style +
                         " is none of auto, plain, json, none");
  if (style == "plain" || style == "json" ||
      (style == "auto" && llvm::sys::Process::StandardErrIsDisplayed()))
    progress = Lines(style == "json");
  return {};
}
