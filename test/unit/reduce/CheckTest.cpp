#include "lib/reduce/Check.h"

#include "gtest/gtest.h"

using namespace sq;
using namespace sq::reduce;

namespace {

Outcome ask(const std::string &command, const std::string &file = "/dev/null", double timeout = 60) {
  Outcome outcome;
  EXPECT_TRUE(runCheck(command, file, timeout, /*verbose=*/false, outcome).ok());
  return outcome;
}

TEST(Check, ExitCodeIsTheAnswer) {
  EXPECT_TRUE(ask("true").isInteresting());
  EXPECT_EQ(ask("exit 3; :").code, 3);
  EXPECT_FALSE(ask("false").isInteresting());
  EXPECT_EQ(ask("no-such-command").code, 127);
  EXPECT_EQ(ask("kill -SEGV $$; :").code, 128 + 11);
}

TEST(Check, BracesAreTheFile) {
  EXPECT_TRUE(ask("test {} = /tmp/a && test x{} = x/tmp/a", "/tmp/a").isInteresting());
  EXPECT_TRUE(ask("test /tmp/a =", "/tmp/a").isInteresting()); // at the end
  EXPECT_TRUE(ask("test {} = \"it's; a \\$name\"", "it's; a $name").isInteresting());
}

TEST(Check, WhatTakesTooLongIsEnded) {
  Outcome outcome = ask("sleep 100 & sleep 100; :", "/dev/null", 0.1);
  EXPECT_TRUE(outcome.timedOut);
  EXPECT_FALSE(outcome.isInteresting());
}

} // namespace
