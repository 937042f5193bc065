#pragma once

#include <CLI/CLI.hpp>
#include <array>
#include <string>
#include <string_view>

namespace disagg {

// Documents of the command line, from the same definitions that parse it.

inline constexpr std::array<std::string_view, 3> kShells{"bash", "zsh", "fish"};

// The completion of a shell of kShells: commands, options, the words that an option chooses from, and files.
std::string completion_script(const CLI::App& app, std::string_view shell);

// The manual page disagg(1), for man.
std::string manual_page(const CLI::App& app);

}  // namespace disagg
