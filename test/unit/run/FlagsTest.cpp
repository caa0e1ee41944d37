#include "lib/run/Flags.h"

#include <gtest/gtest.h>

using namespace sq;

namespace {

Status parse(Flags &flags, std::vector<const char *> args) {
  args.insert(args.begin(), "tool");
  return flags.parse(static_cast<int>(args.size()), args.data());
}

Flags makeFlags() {
  return Flags({{"input", "NAME=VALUE", "", true}, {"threads", "N", ""}, {"stats", nullptr, ""}});
}

TEST(Flags, Parses) {
  Flags flags = makeFlags();
  ASSERT_TRUE(parse(flags, {"a.so", "--input=x=@f", "--input=y=1", "--stats", "-threads=3", "--",
                            "--b"})
                  .ok());
  EXPECT_EQ(flags.all("input"), (std::vector<std::string>{"x=@f", "y=1"}));
  EXPECT_EQ(flags.positional(), (std::vector<std::string>{"a.so", "--b"}));
  EXPECT_TRUE(flags.has("stats"));
  int64_t threads = 0;
  ASSERT_TRUE(flags.integer("threads", 1, 8, threads).ok());
  EXPECT_EQ(threads, 3);
}

TEST(Flags, OneLetter) {
  for (std::vector<const char *> args : {std::vector<const char *>{"-o", "a=b"}, {"-o=a=b"}, {"--o=a=b"}}) {
    Flags flags({{"o", "FILE", ""}});
    ASSERT_TRUE(parse(flags, args).ok());
    EXPECT_EQ(flags.get("o"), "a=b");
  }
  Flags flags({{"o", "FILE", ""}});
  EXPECT_EQ(parse(flags, {"-o"}).message, "--o needs a value: --o=FILE");
}

TEST(Flags, Refused) {
  auto message = [](const char *first, const char *second) {
    Flags flags = makeFlags();
    Status s = parse(flags, {first, second});
    EXPECT_EQ(s.code, ExitCode::Usage);
    return s.message;
  };
  EXPECT_EQ(message("--colour=red", ""), "unknown flag '--colour'; --help lists them");
  EXPECT_EQ(message("--threads", "2"), "--threads needs a value: --threads=N");
  EXPECT_EQ(message("--stats=1", ""), "--stats takes no value");
  EXPECT_EQ(message("--threads=1", "--threads=2"), "--threads is given twice");
}

TEST(Flags, Numbers) {
  for (const char *text : {"--threads=", "--threads=0", "--threads=9", "--threads=1x",
                           "--threads=99999999999999999999"}) {
    Flags flags = makeFlags();
    ASSERT_TRUE(parse(flags, {text}).ok());
    int64_t value = 5;
    EXPECT_EQ(flags.integer("threads", 1, 8, value).code, ExitCode::Usage) << text;
    EXPECT_EQ(value, 5);
    double number = 5;
    EXPECT_EQ(flags.number("threads", 1, 8, number).code, ExitCode::Usage) << text;
  }
}

} // namespace
