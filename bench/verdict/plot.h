#pragma once
// Detection delay against error rate, as an SVG.

#include <string>
#include <vector>

namespace serin::bench {

struct PlotPoint {
  double error = 0;     // share
  double requests = 0;  // median canary requests until the revert
};
struct PlotLine {
  std::string name;
  std::string colour;
  bool dashed = false;
  std::vector<PlotPoint> points;
};

// Both axes logarithmic; `limit` is drawn as a line.
std::string DrawDelays(const std::vector<PlotLine>& lines, double limit);

}  // namespace serin::bench
