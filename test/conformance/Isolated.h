/// Runs cases in a child process that may crash or hang without harming others.
#ifndef SQ_TEST_CONFORMANCE_ISOLATED_H
#define SQ_TEST_CONFORMANCE_ISOLATED_H

#include <functional>
#include <string>

namespace sq::test {

enum class Verdict { Passed, Refused, Wrong, Crashed };

struct Outcome {
  Verdict verdict = Verdict::Crashed;
  std::string message;
};

/// Calls run(0) ... run(count - 1) in a child and report(i, outcome) here, in
/// order. When the child dies or a case takes longer than `secondsPerCase`,
/// that case counts as crashed and a new child goes on with the next. The
/// caller must have one thread only: the child is a fork of it.
void runIsolated(size_t count, int secondsPerCase, const std::function<Outcome(size_t)> &run,
                 const std::function<void(size_t, const Outcome &)> &report);

} // namespace sq::test

#endif
