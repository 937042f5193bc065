#pragma once

#include <iosfwd>
#include <string_view>

namespace disagg {

// How text stands out on a terminal. Blue for better and yellow for worse, which colour-blind readers tell
// apart.
enum class Tone { plain, strong, faint, better, worse };

// Whether toned text that goes to this stream is coloured; at first it is not.
void set_coloured(std::ostream& out, bool coloured);

// Whether a person asked for no colour (NO_COLOR, see no-color.org, or TERM=dumb) or none is looking: the
// standard output is no terminal.
bool terminal_takes_colour();

struct Toned {
  std::string_view text;
  Tone tone = Tone::plain;
};
std::ostream& operator<<(std::ostream& out, const Toned& toned);

}  // namespace disagg
