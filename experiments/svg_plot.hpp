#pragma once

#include <string>
#include <vector>

namespace disagg {

// A plot of one or two panels side by side over logarithmic axes, with one legend and a caption, as SVG text
// of 900 x 560. What falls outside the axes is cut off at them.
struct SvgPlot {
  struct Axis {
    std::string label;
    double low = 1, high = 10;  // both above 0
  };
  struct Point {
    double x = 0, y = 0;  // above 0
  };
  // Series of the same name have one entry in the legend, one colour and one marker.
  struct Series {
    std::string name;
    std::vector<Point> points;
    bool line = true;     // else markers only
    bool dashed = false;  // and without markers
  };
  // A dashed line across the panel: a roof, a ridge, a capacity.
  struct Rule {
    bool vertical = false;
    double at = 0;
    std::string label;
  };
  // Words in the panel, centred.
  struct Words {
    Point at;
    std::string text;
  };
  struct Panel {
    Axis x, y;
    std::vector<Series> series;
    std::vector<Rule> rules{};
    std::vector<Words> words{};
  };

  std::string title;
  std::vector<Panel> panels;  // 1 or 2
  std::string caption;        // broken into lines as needed
};

// The same plot gives the same text everywhere.
std::string to_svg(const SvgPlot& plot);

}  // namespace disagg
