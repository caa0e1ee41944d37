#include "lib/reduce/Check.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace sq;

/// 'text' for sh.
static std::string shellQuoted(const std::string &text) {
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

static std::string fill(const std::string &command, const std::string &file) {
  std::string filled;
  size_t at = 0, found = 0;
  for (; (found = command.find("{}", at)) != std::string::npos; at = found + 2)
    filled += command.substr(at, found - at) + shellQuoted(file);
  return at == 0 ? command + " " + shellQuoted(file) : filled + command.substr(at);
}

[[noreturn]] static void become(const char *command, bool verbose) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody would wait for it
  int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  if (!verbose) {
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
  } else {
    dup2(STDERR_FILENO, STDOUT_FILENO); // stdout is for results
  }
  execl("/bin/sh", "sh", "-c", command, static_cast<char *>(nullptr));
  _exit(127);
}

Status reduce::runCheck(const std::string &command, const std::string &file, double timeout, bool verbose,
                        Outcome &outcome) {
  using Clock = std::chrono::steady_clock;
  std::string filled = fill(command, file);
  pid_t child = fork();
  if (child < 0)
    return Status::lacking(std::string("cannot make a process for --check: ") + std::strerror(errno));
  if (child == 0)
    become(filled.c_str(), verbose);
  setpgid(child, child); // whoever comes first
  auto end = Clock::now() + std::chrono::duration<double>(timeout);
  auto pause = std::chrono::microseconds(200);
  int status = 0;
  outcome = {};
  while (true) {
    pid_t done = waitpid(child, &status, WNOHANG);
    if (done == child || (done < 0 && errno != EINTR))
      break;
    if (Clock::now() > end) {
      outcome.timedOut = true;
      kill(-child, SIGKILL);
      while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      break;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::microseconds(10000));
  }
  kill(-child, SIGKILL); // what the command left behind
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + (WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return {};
}
