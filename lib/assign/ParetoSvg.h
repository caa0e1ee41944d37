/// The Pareto front as a picture.
#ifndef SQ_LIB_ASSIGN_PARETOSVG_H
#define SQ_LIB_ASSIGN_PARETOSVG_H

#include <optional>
#include <string>
#include <vector>

namespace sq::assign {

struct FrontPicture {
  struct Point {
    double cost, loss;
    std::string text; // shown beside `marks`, and for every point when the
                      // mouse is on it
  };
  std::string costLabel, lossLabel; // with units: "size (MB)", "expected
                                    // increase of the loss (nats per token)"
  std::vector<Point> front;         // costs in the unit of the label
  std::vector<Point> marks;         // plans to compare with: "int8 everywhere"
  std::optional<Point> chosen;
  std::optional<double> limit; // of the cost: a line
  bool isComplete = true;      // otherwise the line between points is dashed
};

/// An <svg> element of 720 x 400, that can also be a file. Text, axes and grid have the colour of the text around them,
/// the rest colours that stand out from black and from white. The loss has a logarithmic axis when it spans more than a
/// factor of 20; what is 0 then lies on the axis. Points that are not finite are left out. The same picture gives the
/// same text.
std::string paretoSvg(const FrontPicture &picture);

} // namespace sq::assign

#endif
