// Which files external data may come from, with both ways to open them.

#include "lib/importer/ExternalData.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace sq::importer;
namespace fs = std::filesystem;

namespace {

std::string messageOf(llvm::Error error) { return llvm::toString(std::move(error)); }

class ExternalDataTest : public testing::Test {
protected:
  void SetUp() override {
    root = fs::path(testing::TempDir()) / ("sq-external-" + std::to_string(getpid()));
    fs::create_directories(root / "model/inner");
    std::ofstream(root / "model/w.bin") << "0123456789";
    std::ofstream(root / "model/inner/w.bin") << "abc";
    std::ofstream(root / "model/empty.bin");
    std::ofstream(root / "secret.bin") << "secret";
    fs::create_symlink("../secret.bin", root / "model/link.bin");
    fs::create_symlink("w.bin", root / "model/inside.bin");
    fs::create_directory_symlink("..", root / "model/up");
    ASSERT_EQ(mkfifo((root / "model/fifo").c_str(), 0600), 0);
    directory = open((root / "model").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(directory, 0);
  }
  void TearDown() override {
    close(directory);
    fs::remove_all(root);
  }

  /// What both ways to open say: they must agree.
  std::string openMessage(const std::string &path) {
    std::string messages[2];
    llvm::Expected<int> files[] = {openBeneath(directory, path),
                                   openBeneathByWalk(directory, path)};
    for (int way = 0; way < 2; ++way) {
      if (files[way])
        close(*files[way]);
      else
        messages[way] = messageOf(files[way].takeError());
    }
    EXPECT_EQ(messages[0], messages[1]) << path;
    return messages[0];
  }

  fs::path root;
  int directory = -1;
};

TEST_F(ExternalDataTest, OpensRegularFilesBelow) {
  EXPECT_EQ(openMessage("w.bin"), "");
  EXPECT_EQ(openMessage("inner/w.bin"), "");
  EXPECT_EQ(openMessage("./inner//w.bin"), "");
}

TEST_F(ExternalDataTest, RefusesLinksAnywhere) {
  const char *link = " is reached through a symbolic link; put the file itself beside the model";
  EXPECT_EQ(openMessage("link.bin"), std::string("external data file 'link.bin'") + link);
  EXPECT_EQ(openMessage("inside.bin"), std::string("external data file 'inside.bin'") + link);
  EXPECT_EQ(openMessage("up/secret.bin"), std::string("external data file 'up/secret.bin'") + link);
}

TEST_F(ExternalDataTest, RefusesWhatIsNoFile) {
  EXPECT_EQ(openMessage("fifo"), "external data file 'fifo' is not a regular file");
  EXPECT_EQ(openMessage("inner"), "external data file 'inner' is not a regular file");
  EXPECT_EQ(openMessage("none.bin"),
            "external data file 'none.bin' is missing; put it beside the model");
  EXPECT_EQ(openMessage("w.bin/x"), "cannot open external data file 'w.bin/x': Not a directory");
}

TEST_F(ExternalDataTest, RefusesToLeaveTheDirectory) {
  EXPECT_NE(openMessage("../secret.bin"), "");
  EXPECT_NE(openMessage("inner/../w.bin"), "");
  EXPECT_NE(openMessage("/etc/passwd"), "");
  EXPECT_NE(openMessage(""), "");
  EXPECT_NE(openMessage(std::string("w.bin\0x", 7)), "");
}

TEST_F(ExternalDataTest, ReadsRangesInsideTheFile) {
  ExternalFiles files((root / "model").string());
  auto read = [&](uint64_t offset, uint64_t size) -> std::string {
    ExternalReference reference;
    reference.location = "w.bin";
    reference.offset = offset;
    llvm::Expected<OwnedBytes> bytes = files.read(reference, size);
    if (!bytes)
      return messageOf(bytes.takeError()).substr(0, 13);
    return std::string(bytes->bytes.begin(), bytes->bytes.end());
  };
  EXPECT_EQ(read(0, 10), "0123456789");
  EXPECT_EQ(read(3, 4), "3456");
  EXPECT_EQ(read(10, 0), "");
  EXPECT_EQ(read(9, 2), "external data");
  EXPECT_EQ(read(11, 0), "external data");
  EXPECT_EQ(read(UINT64_MAX, 1), "external data");
  EXPECT_EQ(read(1, UINT64_MAX), "external data");
}

TEST_F(ExternalDataTest, BytesOutliveTheFiles) {
  OwnedBytes kept;
  {
    ExternalFiles files((root / "model").string());
    ExternalReference reference;
    reference.location = "inner/w.bin";
    llvm::Expected<OwnedBytes> bytes = files.read(reference, 3);
    ASSERT_TRUE(bool(bytes));
    kept = *bytes;
  }
  EXPECT_EQ(std::string(kept.bytes.begin(), kept.bytes.end()), "abc");
}

TEST_F(ExternalDataTest, EmptyFileAndNoDirectory) {
  ExternalReference reference;
  reference.location = "empty.bin";
  ExternalFiles files((root / "model").string());
  llvm::Expected<OwnedBytes> bytes = files.read(reference, 0);
  ASSERT_TRUE(bool(bytes));
  EXPECT_TRUE(bytes->bytes.empty());
  ExternalFiles nowhere(std::nullopt);
  EXPECT_EQ(messageOf(nowhere.read(reference, 0).takeError()),
            "external data file 'empty.bin' is refused: this model has no directory");
}

TEST_F(ExternalDataTest, ChecksumOfTheWholeFile) {
  ExternalReference reference;
  reference.location = "inner/w.bin";
  reference.sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d"; // FIPS 180, "abc"
  ExternalFiles files((root / "model").string());
  EXPECT_TRUE(bool(files.read(reference, 3)));
  reference.sha1[0] = 'b';
  EXPECT_EQ(messageOf(files.read(reference, 3).takeError()),
            "external data file 'inner/w.bin' has SHA1 a9993e364706816aba3e25717850c26c9cd0d89d, "
            "the model expects 'b9993e364706816aba3e25717850c26c9cd0d89d'");
}

} // namespace
