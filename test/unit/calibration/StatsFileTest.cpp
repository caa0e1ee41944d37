#include "lib/calibration/StatsFile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace sq;
using namespace sq::calibration;

namespace {

Stats example() {
  Stats stats;
  stats.model = {1, 2};
  stats.source = "'data': 3 samples";
  stats.orderSeed = 7;
  stats.batch = 2;
  stats.samples = 3;
  stats.leftOut = 1;
  stats.position = 4;
  stats.dataHash = 99;
  stats.isComplete = false;
  for (const char *name : {"x", "fc"}) {
    TensorStats t(2);
    const float values[] = {1, -2, 0.5f, 4};
    t.add(values, 4, observe(values, 4, 2));
    stats.tensors.emplace_back(name, t);
  }
  TensorStats &read = stats.tensors.back().second; // by a linear layer
  const float rows[] = {1, -2, 0.5f, 4};
  read.moments = Moments(2);
  read.moments.add(rows, 2, 2, 0);
  read.moments.flush();
  stats.momentRows = 2;
  const float others[] = {3, 1};
  read.heldBack = Moments(2);
  read.heldBack.add(others, 1, 1, 0);
  read.heldBack.flush();
  stats.holdBack = 3;
  stats.tensors.emplace_back("never run", TensorStats());
  return stats;
}

Status parse(const std::string &bytes, Stats &stats) {
  auto *copy = static_cast<uint8_t *>(std::aligned_alloc(64, (bytes.size() + 64) / 64 * 64)); // no byte more is read: ASan
  std::memcpy(copy, bytes.data(), bytes.size());
  return parseStats({copy, std::free}, bytes.size(), "'s'", stats);
}

/// With the hash that the changed head has.
std::string rehashed(std::string bytes) {
  uint64_t size;
  std::memcpy(&size, &bytes[8], 8);
  uint64_t hash = XXH3_64bits(bytes.data() + 24, size);
  std::memcpy(&bytes[16], &hash, 8);
  return bytes;
}

} // namespace

TEST(StatsFile, RoundTrip) {
  Stats stats = example(), read;
  std::string bytes = serialize(stats);
  ASSERT_TRUE(parse(bytes, read).ok());
  EXPECT_EQ(serialize(read), bytes);
  EXPECT_EQ(read.source, stats.source);
  EXPECT_EQ(read.position, 4);
  EXPECT_FALSE(read.isComplete);
  ASSERT_TRUE(read.find("fc"));
  EXPECT_FALSE(read.find("gc"));
  EXPECT_EQ(read.find("fc")->histogram.counts, stats.find("fc")->histogram.counts);
  EXPECT_EQ(read.find("fc")->channelSum, stats.find("fc")->channelSum);
  EXPECT_EQ(read.momentRows, 2);
  const Moments &moments = read.find("fc")->moments;
  EXPECT_EQ(moments.rows, 2u);
  EXPECT_EQ(moments.sums, (std::vector<double>{1.5, 2}));
  EXPECT_EQ(moments.product(0, 0), 1.25f);
  EXPECT_EQ(moments.product(0, 1), 0.0f);
  EXPECT_EQ(moments.product(1, 1), 20.0f);
  EXPECT_EQ(read.holdBack, 3);
  const Moments &heldBack = read.find("fc")->heldBack;
  EXPECT_EQ(heldBack.rows, 1u);
  EXPECT_EQ(heldBack.sums, (std::vector<double>{3, 1}));
  EXPECT_EQ(heldBack.product(0, 1), 3.0f);
  EXPECT_EQ(read.find("x")->moments.channels(), 0u);
}

TEST(StatsFile, EveryTruncationIsRefused) {
  std::string bytes = serialize(example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    Stats read;
    Status s = parse(bytes.substr(0, size), read);
    ASSERT_EQ(s.code, ExitCode::Refused) << size;
    EXPECT_NE(s.message.find(size < 7 ? "is not a stats file" : "is truncated"), std::string::npos) << s.message;
  }
  Stats read;
  EXPECT_FALSE(parse(bytes + "x", read).ok());
}

TEST(StatsFile, EveryFlippedByteIsRefused) {
  std::string bytes = serialize(example());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] ^= 0x41;
    Stats read;
    EXPECT_EQ(parse(changed, read).code, ExitCode::Refused) << at;
    // Who also forges the hash gets past it, but not past the verifier into memory that is not his.
    uint64_t size;
    std::memcpy(&size, &bytes[8], 8);
    if (at >= 24 && at < 24 + size)
      (void)parse(rehashed(changed), read);
  }
}

// Several panels of products, read where they are mapped; only who asks for them has them checked.
TEST(StatsFile, SecondMomentsAreMapped) {
  constexpr size_t kChannels = 300, kRows = 5;
  Stats stats = example(), read, head, again;
  TensorStats &t = stats.tensors.emplace_back("wide", TensorStats(kChannels)).second;
  std::vector<float> x(kRows * kChannels);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = float((i * 37) % 101) / 16 - 3;
  t.add(x.data(), x.size(), observe(x.data(), x.size(), kChannels));
  t.moments = Moments(kChannels);
  t.moments.add(x.data(), kRows, kRows, 0);
  t.moments.flush();
  const std::string path = testing::TempDir() + "sq_stats_" + std::to_string(getpid());
  ASSERT_TRUE(writeStats(path, stats).ok());
  ASSERT_TRUE(readStats(path, read).ok());
  EXPECT_EQ(serialize(read), serialize(stats));
  EXPECT_EQ(read.find("wide")->moments.secondMoments(), t.moments.secondMoments());
  // What is mapped may be written over and added to.
  Stats copy = read;
  Moments &more = copy.tensors.back().second.moments;
  more.add(x.data(), 1, 1, 0);
  more.flush();
  ASSERT_TRUE(writeStats(path, read).ok());
  EXPECT_EQ(serialize(read), serialize(stats));
  EXPECT_EQ(more.product(0, 299), t.moments.product(0, 299) + x[0] * x[299]);
  ASSERT_TRUE(readStatsHead(path, head).ok());
  EXPECT_EQ(head.find("wide")->moments.channels(), 0u);
  EXPECT_EQ(head.find("wide")->channelSum, t.channelSum);
  std::string bytes = serialize(stats);
  bytes[bytes.size() - 3] ^= 1;
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_TRUE(readStatsHead(path, head).ok());
  EXPECT_EQ(readStats(path, again).message, "'" + path + "' is damaged: its content does not have the hash it claims; calibrate again");
  std::filesystem::resize_file(path, bytes.size() - 4);
  EXPECT_EQ(readStats(path, again).message, "'" + path + "' is truncated: it has " + std::to_string(bytes.size() - 4) + " bytes of " +
                                                std::to_string(bytes.size()) + "; calibrate again");
  std::filesystem::remove(path);
}

TEST(StatsFile, OtherVersionAndForeignFiles) {
  std::string bytes = serialize(example());
  bytes[7] = '1';
  Stats read;
  EXPECT_EQ(parse(bytes, read).message, "'s' is a stats file of another version of sq; calibrate again");
  EXPECT_EQ(parse("\x7f" "ELF and what follows", read).message, "'s' is not a stats file of sq-calibrate");
}

TEST(StatsFile, Contradictions) {
  auto refused = [](auto change) {
    Stats stats = example(), read;
    change(stats.tensors[1].second);
    return parse(serialize(stats), read).message;
  };
  const std::string start = "'s' is not a sound stats file: tensor 'fc' ";
  EXPECT_EQ(refused([](TensorStats &t) { t.elements = 5; }), start + "has 5 elements, but 4 in its histogram");
  EXPECT_EQ(refused([](TensorStats &t) { t.max = -3; }), start + "has a minimum above its maximum");
  EXPECT_EQ(refused([](TensorStats &t) { t.averageMax = NAN; }), start + "has an extreme that is not finite");
  EXPECT_EQ(refused([](TensorStats &t) { t.channelSum.pop_back(); }), start + "has channels that contradict each other");
  EXPECT_EQ(refused([](TensorStats &t) { t.histogram.exponent = 200; }), start + "has a histogram out of its bounds");
  EXPECT_EQ(refused([](TensorStats &t) { t.max = 8; }), start + "has a histogram out of its bounds");
  EXPECT_EQ(refused([](TensorStats &t) { t.moments.setProduct(0, 1, NAN); }), start + "has second moments that are not finite");
  EXPECT_EQ(refused([](TensorStats &t) { t.moments.rows = 5; }), start + "has second moments that contradict each other");
  EXPECT_EQ(refused([](TensorStats &t) { t.moments.sums.push_back(0); }),
            start + "has second moments that contradict each other");
  Stats stats = example(), read;
  stats.tensors[1].first = "x";
  EXPECT_EQ(parse(serialize(stats), read).message, "'s' is not a sound stats file: tensor 'x' is there twice");
}

TEST(StatsFile, Merge) {
  Stats stats = example(), other = example();
  ASSERT_TRUE(merge(stats, "a", other, "b").ok());
  EXPECT_EQ(stats.samples, 6);
  EXPECT_EQ(stats.tensors[0].second.elements, 8u);
  EXPECT_EQ(stats.tensors[1].second.moments.rows, 4u);
  EXPECT_EQ(stats.tensors[1].second.moments.product(1, 1), 40.0f);
  EXPECT_EQ(stats.source, "'data': 3 samples; 'data': 3 samples");
  other.model.low = 9;
  EXPECT_EQ(merge(stats, "a", other, "b").message, "'a' and 'b' are of different models");
  other = example();
  other.tensors.pop_back();
  EXPECT_EQ(merge(stats, "a", other, "b").message,
            "'a' and 'b' observe different tensors of the model: they were made with other shapes");
  other = example();
  other.momentRows = 0;
  EXPECT_EQ(merge(stats, "a", other, "b").message, "'a' and 'b' were made with different --moments: 2 and 0");
  other = example();
  other.holdBack = 0;
  EXPECT_EQ(merge(stats, "a", other, "b").message, "'a' and 'b' were made with different --hold-back: 3 and 0");
}

TEST(StatsFile, OtherModel) {
  EXPECT_TRUE(checkModel(example(), "s", {1, 2}).ok());
  EXPECT_EQ(checkModel(example(), "s", {1, 3}).message,
            "'s' is of another model (or another version of this one); calibrate this model");
}
