#include "lib/assign/LossFile.h"

#include <gtest/gtest.h>

using namespace sq;
using namespace sq::assign;

namespace {

std::string refusal(llvm::StringRef text) {
  LossFile file;
  Status status = parseLosses(text, "a.losses", file);
  EXPECT_EQ(status.code, ExitCode::Refused);
  return status.message;
}

TEST(LossFile, ReadsWhatItWrites) {
  LossFile file{
      "0123",
      "direct, 64 samples",
      {{"up \"1\"", {{"lut4", 1.25e-7}, {"lut4+0.45%", 0}}}, {"down", {}}}};
  std::string text = lossText(file);
  LossFile read;
  Status status = parseLosses(text, "a.losses", read);
  ASSERT_TRUE(status.ok()) << status.message;
  EXPECT_EQ(read.model, "0123");
  EXPECT_EQ(read.metric, "direct, 64 samples");
  ASSERT_EQ(read.layers.size(), 2u);
  EXPECT_EQ(read.layers[0].losses, file.layers[0].losses); // the same doubles
  ASSERT_TRUE(read.find("up \"1\""));
  EXPECT_TRUE(read.find("down"));
  EXPECT_FALSE(read.find("up"));
  EXPECT_EQ(lossText(read), text);
}

TEST(LossFile, RefusesWhatIsNone) {
  EXPECT_NE(refusal("{").find("'a.losses' is no file of losses"),
            std::string::npos);
  EXPECT_NE(
      refusal("[]").find("it has no \"model\", \"metric\" and \"layers\""),
      std::string::npos);
  auto layers = [](const std::string &text) {
    return refusal("{\"model\": \"\", \"metric\": \"\", \"layers\": [" + text +
                   "]}");
  };
  EXPECT_NE(layers("1").find("a layer has no name or no losses"),
            std::string::npos);
  EXPECT_NE(layers("{\"name\": \"a\", \"losses\": {\"lut5\": 1}}")
                .find("'lut5' is no precision"),
            std::string::npos);
  EXPECT_NE(layers("{\"name\": \"a\", \"losses\": {\"lut4\": -1}}")
                .find("the loss of lut4 is no number from 0 on"),
            std::string::npos);
  EXPECT_NE(layers("{\"name\": \"a\", \"losses\": {\"lut4\": \"x\"}}")
                .find("the loss of lut4 is no number"),
            std::string::npos);
  EXPECT_NE(layers("{\"name\": \"a\", \"losses\": {}}, {\"name\": \"a\", "
                   "\"losses\": {}}")
                .find("two layers are called 'a'"),
            std::string::npos);
}

} // namespace
