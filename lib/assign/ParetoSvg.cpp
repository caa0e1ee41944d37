#include "lib/assign/ParetoSvg.h"

#include <algorithm>
#include <cmath>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace sq::assign;

static constexpr double kWidth = 720, kHeight = 400, kLeft = 78, kRight = 20, kTop = 20, kBottom = 56;
static constexpr double kLeastDistance = 2;    // between drawn points
static constexpr double kLogarithmicFrom = 20; // largest loss by smallest
// Of middle lightness: a contrast of 3 and more to white and to #121212.
static constexpr char kFront[] = "#3d85c6", kChosen[] = "#d1570b", kMark[] = "#8a63d2";

/// Names come from models, and control characters are no XML.
static std::string escaped(StringRef text) {
  std::string plain = text.str(), result;
  std::replace_if(plain.begin(), plain.end(), [](unsigned char c) { return c < 32 || c == 127; }, ' ');
  raw_string_ostream os(result);
  printHTMLEscaped(plain, os);
  return result;
}

namespace {

/// From values to places along one side of the picture.
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  bool isLogarithmic = false;

  double at(double value) const {
    double share =
        isLogarithmic ? (value > low ? std::log(value / low) / std::log(high / low) : 0) : (value - low) / (high - low);
    return from + std::clamp(share, 0.0, 1.0) * (to - from);
  }

  /// Round values, about `count` of them: 1, 2 and 5 times powers of ten.
  std::vector<double> ticks(int count) const {
    std::vector<double> values;
    if (isLogarithmic) {
      double decades = std::log10(high / low);
      int every = std::max(1, static_cast<int>(std::ceil(decades / count)));
      for (int e = std::floor(std::log10(low)) - 1; e <= std::ceil(std::log10(high)); ++e)
        for (double factor : {1.0, 2.0, 5.0})
          if (double value = factor * std::pow(10.0, e); value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9) &&
                                                         (decades < 3 || (factor == 1 && e % every == 0)))
            values.push_back(value);
      return values;
    }
    double raw = (high - low) / count, power = std::pow(10.0, std::floor(std::log10(raw))), step = 10 * power;
    for (double factor : {5.0, 2.0, 1.0})
      if (factor * power >= raw)
        step = factor * power;
    for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i)
      values.push_back(i * step);
    return values;
  }
};

struct Picture {
  const FrontPicture &p;
  std::vector<FrontPicture::Point> front, marks;
  Axis x, y;
  std::string text;

  explicit Picture(const FrontPicture &picture) : p(picture) {
    auto isFinite = [](const FrontPicture::Point &point) {
      return std::isfinite(point.cost) && std::isfinite(point.loss);
    };
    copy_if(p.front, std::back_inserter(front), isFinite);
    copy_if(p.marks, std::back_inserter(marks), isFinite);
    llvm::sort(front, [](const auto &a, const auto &b) {
      return std::tie(a.cost, a.loss, a.text) < std::tie(b.cost, b.loss, b.text);
    });
    std::vector<FrontPicture::Point> all = front;
    all.insert(all.end(), marks.begin(), marks.end());
    if (p.chosen && isFinite(*p.chosen))
      all.push_back(*p.chosen);
    setAxes(all);
    thin();
  }

  /// Thousands of points are one line: those that lie on the one before are left out, but the last.
  void thin() {
    std::vector<FrontPicture::Point> left;
    for (auto [i, point] : enumerate(front))
      if (left.empty() || i + 1 == front.size() ||
          std::hypot(x.at(point.cost) - x.at(left.back().cost), y.at(point.loss) - y.at(left.back().loss)) >=
              kLeastDistance)
        left.push_back(point);
    front = std::move(left);
  }

  void setAxes(ArrayRef<FrontPicture::Point> all) {
    double lowCost = 0, highCost = 1, highLoss = 0, lowPositive = 0;
    for (auto [i, point] : enumerate(all)) {
      lowCost = i ? std::min(lowCost, point.cost) : point.cost;
      highCost = i ? std::max(highCost, point.cost) : point.cost;
      highLoss = std::max(highLoss, point.loss);
      if (point.loss > 0)
        lowPositive = lowPositive > 0 ? std::min(lowPositive, point.loss) : point.loss;
    }
    if (p.limit && std::isfinite(*p.limit)) {
      lowCost = std::min(lowCost, *p.limit);
      highCost = std::max(highCost, *p.limit);
    }
    double room = highCost > lowCost ? 0.04 * (highCost - lowCost) : std::max(std::abs(highCost), 1.0) * 0.1;
    x = {lowCost - room, highCost + room, kLeft, kWidth - kRight, false};
    y = {0, highLoss > 0 ? highLoss * 1.05 : 1, kHeight - kBottom, kTop, false};
    if (lowPositive > 0 && highLoss > kLogarithmicFrom * lowPositive) {
      y.isLogarithmic = true;
      y.low = lowPositive / 1.5;
      y.high = highLoss * 1.5;
    }
  }

  void label(double atX, double atY, StringRef anchor, StringRef what, StringRef more = "") {
    text += formatv("<text x=\"{0:f1}\" y=\"{1:f1}\" text-anchor=\"{2}\"{3}>{4}</text>\n", atX, atY, anchor, more,
                    escaped(what));
  }

  void line(double x1, double y1, double x2, double y2, StringRef more) {
    text += formatv("<line x1=\"{0:f1}\" y1=\"{1:f1}\" x2=\"{2:f1}\" y2=\"{3:f1}\" {4}/>\n", x1, y1, x2, y2, more);
  }

  void axes() {
    const double bottom = kHeight - kBottom;
    for (double value : x.ticks(7)) {
      line(x.at(value), kTop, x.at(value), bottom, "stroke=\"currentColor\" stroke-opacity=\"0.15\"");
      label(x.at(value), bottom + 18, "middle", formatv("{0}", format("%.4g", value)).str());
    }
    for (double value : y.ticks(6)) {
      line(kLeft, y.at(value), kWidth - kRight, y.at(value), "stroke=\"currentColor\" stroke-opacity=\"0.15\"");
      label(kLeft - 8, y.at(value) + 4, "end", formatv("{0}", format("%.3g", value)).str());
    }
    line(kLeft, bottom, kWidth - kRight, bottom, "stroke=\"currentColor\"");
    line(kLeft, kTop, kLeft, bottom, "stroke=\"currentColor\"");
    label((kLeft + kWidth - kRight) / 2, kHeight - 12, "middle", p.costLabel);
    label(0, 0, "middle", p.lossLabel,
          formatv(" transform=\"translate(18 {0:f1}) rotate(-90)\"", (kTop + bottom) / 2).str());
  }

  std::string title(const FrontPicture::Point &point) {
    return formatv("<title>{0}{1}{2}, {3}</title>", escaped(point.text), point.text.empty() ? "" : ": ",
                   format("%.6g", point.cost), format("%.4g", point.loss));
  }

  /// Text beside a point, where it stays inside the picture.
  void beside(const FrontPicture::Point &point, StringRef more) {
    bool isLeft = x.at(point.cost) > (kLeft + kWidth) * 0.65;
    label(x.at(point.cost) + (isLeft ? -10 : 10), std::max(y.at(point.loss) - 6, kTop + 8), isLeft ? "end" : "start",
          point.text, more);
  }

  std::string draw() {
    text = formatv("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 "
                   "{0} {1}\" role=\"img\" aria-label=\"{2} against {3}\" "
                   "font-family=\"system-ui, sans-serif\" font-size=\"12\" "
                   "fill=\"currentColor\">\n",
                   format("%g", kWidth), format("%g", kHeight), escaped(p.lossLabel), escaped(p.costLabel));
    axes();
    if (p.limit && std::isfinite(*p.limit)) {
      line(x.at(*p.limit), kTop, x.at(*p.limit), kHeight - kBottom,
           formatv("stroke=\"{0}\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"", kChosen).str());
      bool isLeft = x.at(*p.limit) > kWidth / 2;
      label(x.at(*p.limit) + (isLeft ? -6 : 6), kTop + 10, isLeft ? "end" : "start", "budget");
    }
    // A limit between two points gives the cheaper one.
    std::string path;
    for (auto [i, point] : enumerate(front))
      path += i == 0 ? formatv("M{0:f1} {1:f1}", x.at(point.cost), y.at(point.loss)).str()
                     : formatv("H{0:f1}V{1:f1}", x.at(point.cost), y.at(point.loss)).str();
    if (front.size() > 1)
      text += formatv("<path d=\"{0}\" fill=\"none\" stroke=\"{1}\" "
                      "stroke-opacity=\"0.7\"{2}/>\n",
                      path, kFront, p.isComplete ? "" : " stroke-dasharray=\"3 3\"");
    for (const FrontPicture::Point &point : front)
      text += formatv("<circle cx=\"{0:f1}\" cy=\"{1:f1}\" r=\"{2}\" "
                      "fill=\"{3}\">{4}</circle>\n",
                      x.at(point.cost), y.at(point.loss), front.size() > 100 ? "2" : "3.5", kFront, title(point));
    for (const FrontPicture::Point &point : marks) {
      text += formatv("<rect x=\"{0:f1}\" y=\"{1:f1}\" width=\"9\" height=\"9\" "
                      "fill=\"none\" stroke=\"{2}\" stroke-width=\"2\">{3}</rect>\n",
                      x.at(point.cost) - 4.5, y.at(point.loss) - 4.5, kMark, title(point));
      beside(point, "");
    }
    if (p.chosen && std::isfinite(p.chosen->cost) && std::isfinite(p.chosen->loss)) {
      text += formatv("<circle cx=\"{0:f1}\" cy=\"{1:f1}\" r=\"7\" fill=\"{2}\" "
                      "stroke=\"currentColor\" stroke-width=\"1.5\">{3}</circle>\n",
                      x.at(p.chosen->cost), y.at(p.chosen->loss), kChosen, title(*p.chosen));
      beside(*p.chosen, " font-weight=\"600\"");
    }
    return text + "</svg>\n";
  }
};

} // namespace

std::string sq::assign::paretoSvg(const FrontPicture &picture) { return Picture(picture).draw(); }
