#include "lib/calibration/Calibrate.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "lib/calibration/Samples.h"
#include "lib/tensorio/Npy.h"

using namespace sq;
using namespace sq::calibration;

namespace {

std::string contentOf(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// A model that compiles quickly, and two folders of samples for it.
class Calibrate : public testing::Test {
protected:
  Calibrate() {
    for (const char *folder : {"a", "b"}) {
      std::filesystem::create_directories(root + folder);
      Random random(folder[0]);
      Tensor x;
      EXPECT_TRUE(x.allocate(DType::f32, {20, 3, 2}).ok());
      for (int64_t i = 0; i < x.numElements(); ++i)
        x.setDouble(i, random.normal());
      EXPECT_TRUE(writeNpy(root + folder + "/x.npy", x).ok());
    }
    std::ofstream(root + "model.onnxtxt") << R"(<ir_version: 8, opset_import: ["" : 17]>
      g (float[n, 3, 2] x) => (float[n, 3, 2] y) {
        w = Constant<value = float[2, 2] {1, -2, 3, 4}>()
        [product] h = MatMul(x, w)
        [tanh] y = Tanh(h)
      })";
  }
  ~Calibrate() override { std::filesystem::remove_all(root); }

  CalibrateOptions optionsFor(const std::string &output, std::vector<std::string> folders) {
    CalibrateOptions options;
    options.model = root + "model.onnxtxt";
    for (const std::string &folder : folders)
      options.data.push_back(root + folder);
    options.output = root + output;
    return options;
  }

  const std::string root = testing::TempDir() + "sq_calibrate_" + std::to_string(getpid()) + "/";
};

} // namespace

// What a killed process leaves behind is a file that --resume can go on with.
TEST_F(Calibrate, InterruptedAndResumedIsTheSame) {
  CalibrateOptions options = optionsFor("whole", {"a", "b"});
  options.saveEvery = 0;
  options.progress = [&](const Progress &p) {
    if (p.phase == "calibrate" && p.done == 28)
      std::filesystem::copy_file(options.output, root + "partial");
  };
  Stats whole, resumed, read;
  ASSERT_TRUE(calibrate(options, whole).ok());
  ASSERT_TRUE(readStats(root + "partial", read).ok());
  EXPECT_FALSE(read.isComplete);
  EXPECT_EQ(read.position, 27);

  CalibrateOptions second = optionsFor("partial", {"a", "b"});
  second.resume = true;
  second.threads = 1;
  ASSERT_TRUE(calibrate(second, resumed).ok());
  EXPECT_TRUE(resumed.isComplete);
  EXPECT_EQ(resumed.samples, 40);
  EXPECT_EQ(contentOf(second.output), contentOf(options.output));
  EXPECT_EQ(contentOf(options.output), serialize(whole));
}

// Where second moments are added up changes nothing, also of a run that goes on with those of a file.
TEST_F(Calibrate, SecondMomentsInFilesAreTheSame) {
  CalibrateOptions options = optionsFor("memory", {"a", "b"});
  options.holdBack = 4;
  Stats inMemory, inFiles, resumed;
  ASSERT_TRUE(calibrate(options, inMemory).ok());
  CalibrateOptions second = optionsFor("files", {"a", "b"});
  second.holdBack = 4;
  second.maxMemory = 1;
  second.saveEvery = 0;
  second.progress = [&](const Progress &p) {
    if (p.phase == "calibrate" && p.done == 25)
      std::filesystem::copy_file(second.output, root + "partial");
  };
  ASSERT_TRUE(calibrate(second, inFiles).ok());
  EXPECT_EQ(contentOf(second.output), contentOf(options.output));
  second.progress = nullptr;
  second.output = root + "partial";
  second.resume = true;
  ASSERT_TRUE(calibrate(second, resumed).ok());
  EXPECT_EQ(contentOf(second.output), contentOf(options.output));
  for (const auto &entry : std::filesystem::directory_iterator(root))
    EXPECT_EQ(entry.path().filename().string().find("sq-moments"), std::string::npos) << entry.path();
}

// Two calibrations, joined, are one of all data, up to rounding of the averages.
TEST_F(Calibrate, MergedIsAllAtOnce) {
  CalibrateOptions options[] = {optionsFor("first", {"a"}), optionsFor("second", {"b"}), optionsFor("both", {"a", "b"})};
  Stats stats[3];
  for (int i = 0; i < 3; ++i) {
    options[i].seed = 0; // the moving average depends on the order
    ASSERT_TRUE(calibrate(options[i], stats[i]).ok());
  }
  ASSERT_TRUE(merge(stats[0], "a", stats[1], "b").ok());
  EXPECT_EQ(stats[0].samples, 40);
  ASSERT_EQ(stats[2].tensors.size(), 3u);
  EXPECT_EQ(stats[2].tensors[0].second.moments.rows, 120u) << "x feeds the linear layer, and all 3 rows of 40 samples count";
  for (size_t i = 0; i < 3; ++i) {
    const TensorStats &x = stats[0].tensors[i].second, &y = stats[2].tensors[i].second;
    EXPECT_EQ(x.histogram.counts, y.histogram.counts);
    EXPECT_EQ(x.channelMax, y.channelMax);
    EXPECT_EQ(x.min, y.min);
    EXPECT_NEAR(x.averageMax, y.averageMax, 1e-12);
    ASSERT_EQ(x.moments.rows, y.moments.rows);
    for (size_t c = 0; c < x.moments.channels(); ++c)
      for (size_t d = c; d < x.moments.channels(); ++d)
        EXPECT_NEAR(x.moments.product(c, d), y.moments.product(c, d), 1e-4);
  }
}

TEST(Random, Distribution) {
  Random random(5);
  int64_t counts[10] = {};
  double sum = 0, squares = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    ++counts[random.below(10)];
    double x = random.normal();
    sum += x;
    squares += x * x;
  }
  for (int64_t count : counts) // five standard deviations
    EXPECT_NEAR(count, kDraws / 10, 5 * 95);
  EXPECT_NEAR(sum / kDraws, 0, 5 / 316.0);
  EXPECT_NEAR(squares / kDraws, 1, 5 * 1.42 / 316.0);
}

// Of 40 samples of 3 rows every fourth is held back; together the two have what there is, interrupted and resumed or not.
TEST_F(Calibrate, RowsThatAreHeldBack) {
  CalibrateOptions options = optionsFor("all", {"a", "b"});
  options.momentRows = 3;
  Stats all, held, resumed;
  ASSERT_TRUE(calibrate(options, all).ok());
  ASSERT_TRUE(all.find("x"));
  EXPECT_EQ(all.find("x")->heldBack.channels(), 0u);
  CalibrateOptions second = optionsFor("held", {"a", "b"});
  second.momentRows = 3;
  second.holdBack = 4;
  second.saveEvery = 0;
  second.progress = [&](const Progress &p) {
    if (p.phase == "calibrate" && p.done == 22)
      std::filesystem::copy_file(second.output, root + "partial");
  };
  ASSERT_TRUE(calibrate(second, held).ok());
  const TensorStats &whole = *all.find("x"), &parts = *held.find("x");
  EXPECT_EQ(whole.moments.rows, 120u);
  EXPECT_EQ(parts.moments.rows, 90u);
  EXPECT_EQ(parts.heldBack.rows, 30u);
  for (size_t i = 0; i < 2; ++i)
    for (size_t j = i; j < 2; ++j)
      EXPECT_NEAR(parts.moments.product(i, j) + parts.heldBack.product(i, j), whole.moments.product(i, j), 1e-3);
  CalibrateOptions third = second;
  third.progress = nullptr;
  third.output = root + "partial";
  third.resume = true;
  ASSERT_TRUE(calibrate(third, resumed).ok());
  EXPECT_EQ(contentOf(third.output), contentOf(second.output));
  third.holdBack = 0;
  Status refused = calibrate(third, resumed);
  EXPECT_NE(refused.message.find("was made of other samples, or with another --seed, --batch, --moments, --hold-back or --shape"),
            std::string::npos)
      << refused.message;
}
