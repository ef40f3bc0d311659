#include "bench/verdict/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace serin::bench {
namespace {

constexpr double kWidth = 760;
constexpr double kHeight = 460;
constexpr double kLeft = 80;
constexpr double kRight = 30;
constexpr double kTop = 50;
constexpr double kBottom = 60;
constexpr double kLeastRequests = 1;
constexpr double kMostRequests = 100000;

double X(double error) {
  const double share = std::log(error / 0.04) / std::log(1 / 0.04);
  return kLeft + share * (kWidth - kLeft - kRight);
}

double Y(double requests) {
  const double share = std::log(std::max(requests, kLeastRequests) / kLeastRequests) /
                       std::log(kMostRequests / kLeastRequests);
  return kHeight - kBottom - share * (kHeight - kTop - kBottom);
}

template <typename... Values>
void Put(std::string& svg, const char* format, Values... values) {
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, format, values...);
  svg += buffer;
}

void DrawAxes(std::string& svg, double limit) {
  for (double requests = kLeastRequests; requests <= kMostRequests; requests *= 10) {
    Put(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#ddd'/>\n", kLeft, Y(requests),
        kWidth - kRight, Y(requests));
    Put(svg, "<text x='%.1f' y='%.1f' text-anchor='end'>%.0f</text>\n", kLeft - 8, Y(requests) + 4, requests);
  }
  for (double error : {0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0}) {
    Put(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#eee'/>\n", X(error), kTop, X(error),
        kHeight - kBottom);
    Put(svg, "<text x='%.1f' y='%.1f' text-anchor='middle'>%g %%</text>\n", X(error), kHeight - kBottom + 18,
        error * 100);
  }
  Put(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#c33' stroke-dasharray='2 3'/>\n", X(limit),
      kTop, X(limit), kHeight - kBottom);
  Put(svg, "<text x='%.1f' y='%.1f' text-anchor='middle'>true error rate of the canary</text>\n",
      (kLeft + kWidth - kRight) / 2, kHeight - 16);
  Put(svg, "<text transform='translate(20 %.1f) rotate(-90)' text-anchor='middle'>",
      (kTop + kHeight - kBottom) / 2);
  svg += "median canary requests until the revert</text>\n";
}

void DrawLine(std::string& svg, const PlotLine& line, size_t index) {
  svg += "<polyline fill='none' stroke-width='2' stroke='" + line.colour + "'";
  svg += line.dashed ? " stroke-dasharray='6 4' points='" : " points='";
  for (const PlotPoint& point : line.points) Put(svg, "%.1f,%.1f ", X(point.error), Y(point.requests));
  svg += "'/>\n";
  const double y = kTop + 16 + 18 * static_cast<double>(index);
  Put(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke-width='2' stroke='%s'%s/>\n", kWidth - 300,
      y, kWidth - 270, y, line.colour.c_str(), line.dashed ? " stroke-dasharray='6 4'" : "");
  Put(svg, "<text x='%.1f' y='%.1f'>%s</text>\n", kWidth - 262, y + 4, line.name.c_str());
}

}  // namespace

std::string DrawDelays(const std::vector<PlotLine>& lines, double limit) {
  std::string svg;
  Put(svg, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' ", kWidth, kHeight);
  svg += "font-family='sans-serif' font-size='12'>\n<rect width='100%' height='100%' fill='white'/>\n";
  svg +=
      "<text x='80' y='28' font-size='15'>How many canary requests until a broken release is gone</text>\n";
  DrawAxes(svg, limit);
  for (size_t i = 0; i < lines.size(); ++i) DrawLine(svg, lines[i], i);
  return svg + "</svg>\n";
}

}  // namespace serin::bench
