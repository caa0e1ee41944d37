#include "test/conformance/Isolated.h"

#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace sq::test;

namespace {

/// What the child sends for each case, followed by the message.
struct RecordHeader {
  uint32_t verdict, messageSize;
};

void writeAll(int fd, const void *data, size_t size) {
  const char *p = static_cast<const char *>(data);
  while (size) {
    ssize_t written = write(fd, p, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      _exit(EXIT_FAILURE); // the parent is gone
    p += written;
    size -= written;
  }
}

using Clock = std::chrono::steady_clock;

/// False at the end of the stream or past the deadline.
bool readAll(int fd, void *data, size_t size, Clock::time_point deadline) {
  char *p = static_cast<char *>(data);
  while (size) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd entry = {fd, POLLIN, 0};
    int ready = left.count() > 0 ? poll(&entry, 1, int(left.count())) : 0;
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0)
      return false;
    ssize_t got = read(fd, p, size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    p += got;
    size -= got;
  }
  return true;
}

[[noreturn]] void work(int fd, size_t next, size_t count,
                       const std::function<Outcome(size_t)> &run) {
  for (; next < count; ++next) {
    Outcome outcome = run(next);
    RecordHeader header = {static_cast<uint32_t>(outcome.verdict),
                           static_cast<uint32_t>(outcome.message.size())};
    writeAll(fd, &header, sizeof header);
    writeAll(fd, outcome.message.data(), outcome.message.size());
  }
  // Without destructors: the parent's buffers must not be flushed twice.
  _exit(EXIT_SUCCESS);
}

std::string describeDeath(int status, bool late, int secondsPerCase) {
  if (late)
    return "no result after " + std::to_string(secondsPerCase) + " s";
  if (WIFSIGNALED(status))
    return std::string("killed by signal ") + std::to_string(WTERMSIG(status)) + " (" +
           strsignal(WTERMSIG(status)) + ")";
  return "the process ended with status " + std::to_string(WEXITSTATUS(status));
}

} // namespace

void sq::test::runIsolated(size_t count, int secondsPerCase,
                           const std::function<Outcome(size_t)> &run,
                           const std::function<void(size_t, const Outcome &)> &report) {
  for (size_t next = 0; next < count;) {
    std::fflush(nullptr);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      std::perror("pipe");
      std::exit(EXIT_FAILURE);
    }
    llvm::outs().flush(); // or the child writes it once more
    pid_t child = fork();
    if (child < 0) {
      std::perror("fork");
      std::exit(EXIT_FAILURE);
    }
    if (child == 0) {
      close(ends[0]);
      work(ends[1], next, count, run);
    }
    close(ends[1]);
    bool alive = true;
    while (alive && next < count) {
      auto deadline = Clock::now() + std::chrono::seconds(secondsPerCase);
      RecordHeader header;
      Outcome outcome;
      alive = readAll(ends[0], &header, sizeof header, deadline);
      if (alive) {
        outcome.verdict = static_cast<Verdict>(header.verdict);
        outcome.message.resize(header.messageSize);
        alive = readAll(ends[0], outcome.message.data(), header.messageSize, deadline);
      }
      if (alive) {
        report(next++, outcome);
        continue;
      }
      bool late = Clock::now() >= deadline;
      if (late)
        kill(child, SIGKILL);
      int status = 0;
      waitpid(child, &status, 0);
      report(next++, {Verdict::Crashed, describeDeath(status, late, secondsPerCase)});
    }
    if (alive)
      waitpid(child, nullptr, 0);
    close(ends[0]);
  }
}
