#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <variant>

#include "sim/base/config.hpp"

namespace disagg {

// The alternatives of a std::variant as a registry: factory, "known: ..." message and strict-key check all
// derive from the list. An alternative is a struct with `static constexpr std::string_view kind`, a one-line
// `static constexpr std::string_view summary`, and `static T read(Reader&)`.
template <class Variant>
struct OneOf;

template <class... Ts>
struct OneOf<std::variant<Ts...>> {
  static constexpr std::array<std::string_view, sizeof...(Ts)> names{Ts::kind...};
  static constexpr std::array<std::string_view, sizeof...(Ts)> summaries{Ts::summary...};

  // The alternative that "kind" names; nothing, and a problem, when there is none.
  static std::optional<std::variant<Ts...>> read(Reader r) {
    const std::string kind = r.get<std::string>("kind");
    std::optional<std::variant<Ts...>> made;
    ((kind == Ts::kind ? void(made.emplace(Ts::read(r))) : void()), ...);
    if (!made) {
      if (!kind.empty()) r.unknown("kind", kind, names);
      return std::nullopt;
    }
    r.done();
    return made;
  }
};

}  // namespace disagg
