#include "experiments/svg_plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <string_view>

#include "sim/base/expect.hpp"
#include "sim/base/text.hpp"

namespace disagg {
namespace {

constexpr double kWidth = 900, kHeight = 560;
constexpr double kLeft = 66, kRight = 16, kGap = 70, kTop = 46, kPanelHeight = 345;
constexpr double kLegendTop = 457, kLegendLine = 19, kCaptionLine = 14.5;
constexpr double kCharacter = 6.3;            // mean width at 12 px
constexpr std::size_t kCaptionLetters = 150;  // in a line at 11 px

// Okabe and Ito's colours, which colour-blind readers can tell apart; their yellow is too light for lines.
constexpr std::array<std::string_view, 7> kColours{"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                   "#E69F00", "#56B4E9", "#000000"};

std::string coordinate(double pixels) { return show_exact(std::round(pixels * 10) / 10); }

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&') {
      safe += "&amp;";
    } else if (c == '<') {
      safe += "&lt;";
    } else if (c == '>') {
      safe += "&gt;";
    } else {
      safe += c;
    }
  }
  return safe;
}

void write_text(std::ostream& out, double x, double y, std::string_view text, int size,
                std::string_view attributes) {
  out << "<text x=\"" << coordinate(x) << "\" y=\"" << coordinate(y) << "\" font-size=\"" << size << "\" "
      << attributes << '>' << escaped(text) << "</text>\n";
}

void write_line(std::ostream& out, double x1, double y1, double x2, double y2, std::string_view style) {
  out << "<line x1=\"" << coordinate(x1) << "\" y1=\"" << coordinate(y1) << "\" x2=\"" << coordinate(x2)
      << "\" y2=\"" << coordinate(y2) << "\" " << style << "/>\n";
}

// "100", "10K", "1M".
std::string tick_label(double value) {
  if (value >= 1e6) return show_number(value / 1e6) + "M";
  if (value >= 1e4) return show_number(value / 1e3) + "K";
  return show_number(value);
}

struct Frame {
  double left, top, width, height;
  const SvgPlot::Axis &x_axis, &y_axis;

  double x(double value) const {
    return left + width * std::log(value / x_axis.low) / std::log(x_axis.high / x_axis.low);
  }
  double y(double value) const {
    return top + height - height * std::log(value / y_axis.low) / std::log(y_axis.high / y_axis.low);
  }
  double right() const { return left + width; }
  double bottom() const { return top + height; }
};

// Calls act(value, has a label) for 1, 2 ... 9 times each power of ten within the axis. Powers of ten have
// labels, on an axis of up to two of them also 2 and 5 times these.
template <class Act>
void each_tick(const SvgPlot::Axis& axis, Act act) {
  const bool is_short = axis.high / axis.low <= 100;
  const auto last = static_cast<int>(std::floor(std::log10(axis.high)));
  for (auto exponent = static_cast<int>(std::floor(std::log10(axis.low))); exponent <= last; ++exponent)
    for (int times = 1; times <= 9; ++times)
      if (const double value = times * std::pow(10, exponent);
          value >= axis.low * 0.9999 && value <= axis.high * 1.0001)
        act(value, times == 1 || (is_short && (times == 2 || times == 5)));
}

void write_axes(std::ostream& out, const Frame& f) {
  const auto grid = [](bool labelled) {
    return labelled ? "stroke=\"#cccccc\" stroke-width=\"1\"" : "stroke=\"#eeeeee\" stroke-width=\"0.7\"";
  };
  each_tick(f.x_axis, [&](double value, bool labelled) {
    write_line(out, f.x(value), f.top, f.x(value), f.bottom(), grid(labelled));
    if (labelled)
      write_text(out, f.x(value), f.bottom() + 16, tick_label(value), 11, "text-anchor=\"middle\"");
  });
  each_tick(f.y_axis, [&](double value, bool labelled) {
    write_line(out, f.left, f.y(value), f.right(), f.y(value), grid(labelled));
    if (labelled) write_text(out, f.left - 6, f.y(value) + 4, tick_label(value), 11, "text-anchor=\"end\"");
  });
  out << "<rect x=\"" << coordinate(f.left) << "\" y=\"" << coordinate(f.top) << "\" width=\""
      << coordinate(f.width) << "\" height=\"" << coordinate(f.height)
      << "\" fill=\"none\" stroke=\"#444444\"/>\n";
  write_text(out, f.left + f.width / 2, f.bottom() + 36, f.x_axis.label, 12, "text-anchor=\"middle\"");
  const std::string middle = coordinate(f.top + f.height / 2), beside = coordinate(f.left - 44);
  write_text(out, f.left - 44, f.top + f.height / 2, f.y_axis.label, 12,
             "text-anchor=\"middle\" transform=\"rotate(-90 " + beside + " " + middle + ")\"");
}

void write_marker(std::ostream& out, double x, double y, std::size_t kind) {
  const std::string_view colour = kColours[kind % kColours.size()];
  constexpr std::array<std::string_view, 4> kShapes{"M-4 0A4 4 0 1 0 4 0A4 4 0 1 0 -4 0Z", "M-4 -4H4V4H-4Z",
                                                    "M0 -5L5 4H-5Z", "M0 -5.5L5.5 0L0 5.5L-5.5 0Z"};
  out << "<path d=\"" << kShapes[kind % kShapes.size()] << "\" transform=\"translate(" << coordinate(x) << ' '
      << coordinate(y) << ")\" fill=\"" << colour << "\" stroke=\"white\" stroke-width=\"0.8\"/>\n";
}

std::string line_style(std::size_t kind, bool dashed) {
  return "stroke=\"" + std::string(kColours[kind % kColours.size()]) +
         "\" stroke-width=\"1.8\" fill=\"none\"" + (dashed ? " stroke-dasharray=\"6 4\"" : "");
}

void write_rule(std::ostream& out, const Frame& f, const SvgPlot::Rule& rule) {
  constexpr std::string_view kStyle = "stroke=\"#777777\" stroke-width=\"1.3\" stroke-dasharray=\"3 3\"";
  if (rule.vertical) {
    const double x = f.x(rule.at);
    write_line(out, x, f.top, x, f.bottom(), kStyle);
    write_text(out, x - 4, f.bottom() - 8, rule.label, 11,
               "fill=\"#555555\" transform=\"rotate(-90 " + coordinate(x - 4) + " " +
                   coordinate(f.bottom() - 8) + ")\"");
  } else {
    write_line(out, f.left, f.y(rule.at), f.right(), f.y(rule.at), kStyle);
    write_text(out, f.left + 6, f.y(rule.at) - 4, rule.label, 11, "fill=\"#555555\"");
  }
}

void write_series(std::ostream& out, const Frame& f, const SvgPlot::Series& series, std::size_t kind) {
  if (series.line) {
    out << "<polyline points=\"";
    for (const SvgPlot::Point& p : series.points)
      out << (&p == series.points.data() ? "" : " ") << coordinate(f.x(p.x)) << ',' << coordinate(f.y(p.y));
    out << "\" " << line_style(kind, series.dashed) << "/>\n";
  }
  if (series.dashed) return;
  for (const SvgPlot::Point& p : series.points) write_marker(out, f.x(p.x), f.y(p.y), kind);
}

// Entries from left to right, then from top to bottom. Returns where the next line would be.
double write_legend(std::ostream& out, const std::vector<const SvgPlot::Series*>& entries) {
  double x = kLeft, y = kLegendTop;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const double width = 44 + kCharacter * static_cast<double>(entries[i]->name.size());
    if (x > kLeft && x + width > kWidth - kRight) x = kLeft, y += kLegendLine;
    if (entries[i]->line) write_line(out, x, y - 4, x + 22, y - 4, line_style(i, entries[i]->dashed));
    if (!entries[i]->dashed) write_marker(out, x + 11, y - 4, i);
    write_text(out, x + 28, y, entries[i]->name, 12, "");
    x += width;
  }
  return y + kLegendLine;
}

void write_caption(std::ostream& out, const std::string& caption, double y) {
  std::istringstream words(caption);
  std::string line;
  const auto end_line = [&] {
    write_text(out, kLeft - 50, y, line, 11, "fill=\"#333333\"");
    y += kCaptionLine;
    line.clear();
  };
  for (std::string word; words >> word; line += word) {
    if (line.size() + 1 + word.size() > kCaptionLetters) end_line();
    if (!line.empty()) line += ' ';
  }
  end_line();
  expect(y <= kHeight + kCaptionLine, "the legend and the caption of a plot do not fit below it");
}

}  // namespace

std::string to_svg(const SvgPlot& plot) {
  expect(plot.panels.size() == 1 || plot.panels.size() == 2, "a plot has one or two panels");
  std::ostringstream out;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << kWidth << "\" height=\"" << kHeight
      << "\" viewBox=\"0 0 " << kWidth << ' ' << kHeight
      << "\" font-family=\"Helvetica, Arial, sans-serif\">\n<rect width=\"" << kWidth << "\" height=\""
      << kHeight << "\" fill=\"white\"/>\n";
  write_text(out, kWidth / 2, 26, plot.title, 16, "text-anchor=\"middle\" font-weight=\"bold\"");

  std::vector<const SvgPlot::Series*> legend;
  const auto count = static_cast<double>(plot.panels.size());
  const double width = (kWidth - kLeft - kRight - kGap * (count - 1)) / count;
  double left = kLeft;
  for (std::size_t i = 0; i < plot.panels.size(); ++i, left += width + kGap) {
    const SvgPlot::Panel& panel = plot.panels[i];
    const Frame frame{left, kTop, width, kPanelHeight, panel.x, panel.y};
    write_axes(out, frame);
    out << "<clipPath id=\"panel" << i << "\"><rect x=\"" << coordinate(left) << "\" y=\"" << coordinate(kTop)
        << "\" width=\"" << coordinate(width) << "\" height=\"" << coordinate(kPanelHeight)
        << "\"/></clipPath>\n<g clip-path=\"url(#panel" << i << ")\">\n";
    for (const SvgPlot::Rule& rule : panel.rules) write_rule(out, frame, rule);
    for (const SvgPlot::Words& words : panel.words)
      write_text(out, frame.x(words.at.x), frame.y(words.at.y), words.text, 12,
                 "text-anchor=\"middle\" font-style=\"italic\" fill=\"#555555\"");
    for (const SvgPlot::Series& series : panel.series) {
      const auto at = std::ranges::find(legend, series.name, &SvgPlot::Series::name);
      const auto kind = static_cast<std::size_t>(at - legend.begin());
      if (at == legend.end()) legend.push_back(&series);
      write_series(out, frame, series, kind);
    }
    out << "</g>\n";
  }
  write_caption(out, plot.caption, write_legend(out, legend) + 6);
  out << "</svg>\n";
  return out.str();
}

}  // namespace disagg
