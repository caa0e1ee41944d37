#include "test/unit/assign/Instances.h"

#include <map>
#include <random>

#include "lib/assign/Pareto.h"
#include "lib/assign/ParetoSvg.h"

using namespace sq;
using namespace sq::assign;

namespace {

std::vector<Group> randomGroups(uint64_t seed, int count) {
  std::mt19937_64 random(seed);
  std::vector<Layer> layers;
  for (int i = 0; i < count; ++i) {
    double n = 1 + random() % 50, trace = 1 + random() % 100;
    Layer layer{std::to_string(i), "", "", int64_t(n), {}};
    for (int bits : {8, 4, 2})
      layer.choices.push_back(
          makeChoice(bits, trace * n / bits / bits, n * bits, n * bits * (1 + random() % 3), 1 + random() % 9));
    layers.push_back(std::move(layer));
  }
  return grouped(layers);
}

/// Every plan that none beats, by cost.
std::map<double, double> bruteForce(llvm::ArrayRef<Group> groups, Cost cost, double maxSeconds) {
  std::vector<std::pair<double, double>> all;
  std::vector<int> chosen(groups.size(), 0);
  for (;;) {
    Assignment plan = assignmentOf(groups, chosen);
    if (plan.cost(Cost::Seconds) <= maxSeconds)
      all.emplace_back(plan.cost(cost), plan.loss);
    size_t g = chosen.size();
    while (g > 0 && ++chosen[g - 1] == int(groups[g - 1].choices.size()))
      chosen[--g] = 0;
    if (g == 0)
      break;
  }
  std::sort(all.begin(), all.end());
  std::map<double, double> front;
  double least = INFINITY;
  for (auto [c, loss] : all)
    if (loss < least * (1 - kTolerance)) {
      front[c] = least = loss;
    }
  return front;
}

void expectFront(const Front &front, const std::map<double, double> &expected, Cost cost, uint64_t seed) {
  ASSERT_EQ(front.points.size(), expected.size()) << "seed " << seed;
  size_t i = 0;
  for (auto [c, loss] : expected) {
    EXPECT_EQ(front.points[i].cost(cost), c) << "seed " << seed;
    EXPECT_NEAR(front.points[i].loss, loss, 1e-12 * loss) << "seed " << seed;
    ++i;
  }
}

TEST(Pareto, ToyBlock) {
  std::vector<Group> groups = grouped(toyBlock());
  Front front = paretoFront(groups, Cost::Bytes);
  EXPECT_TRUE(front.isComplete);
  EXPECT_EQ(front.points.size(), 18u);
  EXPECT_EQ(hullOf(front.points, Cost::Bytes).size(), 9u);
  EXPECT_EQ(front.points.front().cost(Cost::Bytes), 1769472);
  EXPECT_EQ(front.points.back().cost(Cost::Bytes), 7077888);
}

TEST(Pareto, BruteForce) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::vector<Group> groups = randomGroups(seed, 1 + seed % 6);
    for (Cost cost : {Cost::Bytes, Cost::Bops})
      expectFront(paretoFront(groups, cost), bruteForce(groups, cost, INFINITY), cost, seed);
    // Within a budget of something else.
    double seconds = leastOf(groups, Cost::Seconds).cost(Cost::Seconds) * 1.3;
    Front front = paretoFront(groups, Cost::Bytes, Budget{Budget::Latency, seconds});
    EXPECT_TRUE(front.isComplete);
    expectFront(front, bruteForce(groups, Cost::Bytes, seconds), Cost::Bytes, seed);
  }
}

TEST(Pareto, EveryPointIsTheBestForItsCost) {
  // The enumeration and the integer program know nothing of each other.
  std::vector<Group> groups = grouped(resnet18());
  for (Cost cost : {Cost::Bytes, Cost::Bops, Cost::Seconds}) {
    Front front = paretoFront(groups, cost);
    EXPECT_TRUE(front.isComplete);
    ASSERT_GT(front.points.size(), 20u);
    for (size_t i = 0; i < front.points.size(); i += 7) {
      const Assignment &point = front.points[i];
      Budget::Kind kind = cost == Cost::Bytes ? Budget::Size : cost == Cost::Bops ? Budget::Bops : Budget::Latency;
      Assignment plan;
      ASSERT_TRUE(assignBits(groups, Budget{kind, point.cost(cost)}, plan).ok());
      EXPECT_NEAR(plan.loss, point.loss, 1e-12 * point.loss);
    }
  }
}

TEST(Pareto, SweepFindsSomeOfThem) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    std::vector<Group> groups = randomGroups(seed, 6);
    std::map<double, double> all = bruteForce(groups, Cost::Bytes, INFINITY);
    Front front = paretoFront(groups, Cost::Bytes, {}, 24, /*maxPartial=*/1);
    EXPECT_FALSE(front.isComplete);
    EXPECT_GE(front.points.size(), 10u);
    for (const Assignment &point : front.points) {
      auto it = all.find(point.cost(Cost::Bytes));
      ASSERT_NE(it, all.end()) << "seed " << seed << ": " << point.cost(Cost::Bytes);
      EXPECT_NEAR(point.loss, it->second, 1e-12 * it->second);
    }
    EXPECT_EQ(front.points.front().cost(Cost::Bytes), all.begin()->first);
    EXPECT_EQ(front.points.back().cost(Cost::Bytes), all.rbegin()->first);
  }
}

TEST(Pareto, Samples) {
  std::vector<Group> groups = grouped(resnet18());
  std::vector<Assignment> points = paretoFront(groups, Cost::Bytes).points;
  std::vector<size_t> samples = samplesOf(points, Cost::Bytes, 6);
  EXPECT_EQ(samples.size(), 6u);
  EXPECT_EQ(samples.front(), 0u);
  EXPECT_EQ(samples.back(), points.size() - 1);
  EXPECT_TRUE(std::is_sorted(samples.begin(), samples.end()));
  EXPECT_EQ(samplesOf(points, Cost::Bytes, 1000).size(), points.size());
  EXPECT_EQ(samplesOf(points, Cost::Bytes, 0), (std::vector<size_t>{0, points.size() - 1}));
  EXPECT_TRUE(samplesOf({}, Cost::Bytes, 5).empty());
}

TEST(Pareto, Table) {
  std::vector<Group> groups = grouped(toyBlock());
  std::string table = frontTable(groups, paretoFront(groups, Cost::Bytes).points, Cost::Bytes);
  EXPECT_EQ(table.substr(0, table.find('\n')), "1769472 bytes  2.0000 bits per weight  loss 0.617741  int2 100.0 %");
  EXPECT_NE(table.find("\n6782976 bytes  7.6667 bits per weight  loss 0.00200728  int8 91.7 %  int4 8.3 %\n"),
            std::string::npos)
      << table;
}

TEST(ParetoSvg, Picture) {
  FrontPicture picture;
  picture.costLabel = "size (MB)";
  picture.lossLabel = "expected increase of the loss <nats>";
  picture.front = {{1, 1, "two & <b>"}, {2, 0.1, ""}, {4, 0.001, ""}};
  picture.marks = {{3, 0.5, "int4 everywhere"}};
  picture.chosen = FrontPicture::Point{2, 0.1, "chosen"};
  picture.limit = 2.5;
  std::string svg = paretoSvg(picture);
  EXPECT_EQ(svg, paretoSvg(picture));
  for (const char *part : {"<svg xmlns=", "size (MB)</text>", "&lt;nats&gt;</text>",
                           "two &amp; &lt;b&gt;: 1, 1</title>", "int4 everywhere</text>", "chosen</text>",
                           "budget</text>", "currentColor", "stroke-dasharray=\"6 4\"", ">0.01</text>", "</svg>"})
    EXPECT_NE(svg.find(part), std::string::npos) << part << "\n" << svg;
  EXPECT_EQ(svg.find("<b>"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  auto count = [](const std::string &text, const std::string &part) {
    size_t n = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
      ++n;
    return n;
  };
  EXPECT_EQ(count(svg, "<circle"), 4u); // three points, the chosen one on one of them
  EXPECT_EQ(count(svg, "<rect"), 1u);
}

TEST(ParetoSvg, ManyPoints) {
  FrontPicture picture;
  for (int i = 1; i <= 20000; ++i)
    picture.front.push_back({i * 1.0, 1.0 / i, ""});
  std::string svg = paretoSvg(picture);
  EXPECT_LT(svg.size(), 100000u);
  EXPECT_NE(svg.find("<title>20000, 5e-05</title>"), std::string::npos);
}

TEST(ParetoSvg, OddInput) {
  for (FrontPicture picture :
       {FrontPicture{}, FrontPicture{"x", "y", {{5, 0, ""}}, {}, {}, {}, true},
        FrontPicture{
            "x", "y", {{5, NAN, ""}, {INFINITY, 1, ""}}, {{1, NAN, "m"}}, FrontPicture::Point{NAN, 1, "c"}, NAN, false},
        FrontPicture{"x", "y", {{1e12, 1e-30, ""}, {1e12, 1e30, ""}, {0, 0, ""}}, {}, {}, 1e12, true}}) {
    std::string svg = paretoSvg(picture);
    EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << svg;
    EXPECT_LT(svg.size(), 20000u);
  }
}

} // namespace
