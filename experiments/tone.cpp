#include "experiments/tone.hpp"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ostream>
#include <string>

namespace disagg {
namespace {

int coloured_index() {
  static const int index = std::ios_base::xalloc();
  return index;
}

// Select Graphic Rendition (ECMA-48), by tone.
constexpr std::array<std::string_view, 5> kCodes{"", "1", "2", "34", "33"};

}  // namespace

void set_coloured(std::ostream& out, bool coloured) { out.iword(coloured_index()) = coloured ? 1 : 0; }

bool terminal_takes_colour() {
  const char* refused = std::getenv("NO_COLOR");
  if (refused != nullptr && *refused != '\0') return false;
  const char* terminal = std::getenv("TERM");
  if (terminal != nullptr && std::string_view(terminal) == "dumb") return false;
  return ::isatty(STDOUT_FILENO) == 1;
}

std::ostream& operator<<(std::ostream& out, const Toned& toned) {
  const std::string_view code = kCodes.at(static_cast<std::size_t>(toned.tone));
  if (code.empty() || toned.text.empty() || out.iword(coloured_index()) == 0) return out << toned.text;
  return out << "\x1b[" << code << 'm' << toned.text << "\x1b[0m";
}

}  // namespace disagg
