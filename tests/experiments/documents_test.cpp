// Manual page and completions against the parser, command by command and option by option.
#include <catch2/catch.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/experiments/program.hpp"

using namespace disagg::test;
using Catch::Matchers::Contains;

namespace {

std::vector<std::string> split(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

Ended help(const std::string& words) {
  std::vector<std::string> arguments = split(words);
  arguments.emplace_back("--help");
  return call(TemporaryFolder(), arguments);
}

// The names in the first column of a section of --help.
std::vector<std::string> names_under(const std::string& text, const std::string& section,
                                     const std::regex& name) {
  std::vector<std::string> names;
  std::istringstream in(text);
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(' ')) inside = line == section;
    if (!inside || !line.starts_with("  ") || line.starts_with("   ")) continue;
    const std::string column = line.substr(2, line.find(' ', 2) - 2);
    for (auto it = std::sregex_iterator(column.begin(), column.end(), name); it != std::sregex_iterator();
         ++it)
      names.push_back(it->str());
  }
  return names;
}

std::vector<std::string> commands_of(const std::string& words) {
  std::vector<std::string> all;
  for (const std::string& name : names_under(help(words).out, "Subcommands:", std::regex("^[a-z]+"))) {
    const std::string command = words.empty() ? name : words + " " + name;
    all.push_back(command);
    for (const std::string& below : commands_of(command)) all.push_back(below);
  }
  return all;
}

std::vector<std::string> options_of(const std::string& command) {
  return names_under(help(command).out, "Options:", std::regex("--?[a-z][a-z-]*"));
}

std::string printed(const std::vector<std::string>& arguments) {
  const Ended ended = call(TemporaryFolder(), arguments);
  REQUIRE(ended.code == 0);
  return ended.out;
}

// Lines of `text` from the one that is `begin` to the next that starts with `stop`.
std::string part(const std::string& text, const std::string& begin, const std::string& stop) {
  const std::size_t at = text.find(begin + "\n");
  if (at == std::string::npos) return "";
  return text.substr(at, text.find("\n" + stop, at + begin.size()) - at);
}

}  // namespace

TEST_CASE(
    "Every command and option of --help is in the manual page, and in the completions of three shells") {
  const std::string manual = printed({"manual"});
  const std::string fish = printed({"completion", "fish"});
  const std::string zsh = printed({"completion", "zsh"});
  const std::string bash = printed({"completion", "bash"});
  const std::vector<std::string> commands = commands_of("");
  CHECK(commands.size() >= 22);
  std::size_t options = 0;
  for (const std::string& command : commands) {
    INFO(command);
    const std::string section = part(manual, ".SS disagg " + command, ".S");
    CHECK_FALSE(section.empty());
    const std::string function = std::regex_replace("_disagg_" + command, std::regex(" "), "_") + "()";
    const std::string in_zsh =
        zsh.substr(zsh.find(function), zsh.find("\n}\n", zsh.find(function)) - zsh.find(function));
    const std::size_t in_bash = bash.find("      '" + command + "') if");
    REQUIRE(in_bash != std::string::npos);
    const std::string words = bash.substr(in_bash, bash.find('\n', in_bash) - in_bash);
    for (const std::string& option : options_of(command)) {
      INFO(option);
      ++options;
      CHECK_THAT(section, Contains("\\fB" + std::regex_replace(option, std::regex("-"), "\\-") + "\\fR"));
      CHECK_THAT(in_zsh, Contains("'*" + option + "["));
      CHECK_THAT(words, Contains("'" + option + " ") || Contains(" " + option + " ") ||
                            Contains(" " + option + "'"));
      CHECK_THAT(fish, Contains(option.starts_with("--") ? " -l " + option.substr(2) + " "
                                                         : " -s " + option.substr(1) + " "));
    }
  }
  CHECK(options > 150);
}

TEST_CASE("What bash completes: commands, their options, the words of an option, and files") {
  const TemporaryFolder folder;
  write_text(folder / "completion", printed({"completion", "bash"}));
  write_text(folder / "scenario.json", "{}");
  write_text(folder / "try", R"(. ./completion
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _disagg; echo "${COMPREPLY[*]}"; }
complete_words disagg sens
complete_words disagg sweep --des
complete_words disagg sweep scenario.json --design ''
complete_words disagg workload ''
complete_words disagg workload inspect --k
complete_words disagg emit k
complete_words disagg run scen
)");
  REQUIRE(shell(folder, "bash ./try > out") == 0);
  CHECK(read_text(folder / "out") ==
        "sensitivity\n--design\ngrid zip latin-hypercube sobol\ninspect convert fit\n--kind\nkubernetes\n"
        "scenario.json\n");
}

TEST_CASE("Colours are for terminals alone: not in a file, nor with --no-color or NO_COLOR") {
  const TemporaryFolder folder;
  write_text(folder / "a.json", R"({ "model": "llama-3.1-8b", "cluster": { "pools": [
      { "name": "gpu", "accelerator": "h100-sxm-80gb", "replicas": 1 } ] },
    "workload": { "kind": "synthetic", "arrivals": { "kind": "poisson", "requests_per_second": 20 }, "requests": 200,
      "prompt_tokens": 1000, "output_tokens": 100 } })");
  const std::string compare = std::string(DISAGG_BINARY) + " compare a.json b.json --seeds 3 -q";
  REQUIRE(shell(folder, "sed 's/h100-sxm-80gb/b200-sxm/' a.json > b.json") == 0);
  // A command line on a terminal of its own.
  const auto on_terminal = [&](const std::string& before, const std::string& after) {
    REQUIRE(shell(folder, "TERM=xterm " + before + " script -qec '" + compare + after +
                              "' /dev/null > out < /dev/null") == 0);
    return read_text(folder / "out");
  };
  const std::string coloured = on_terminal("NO_COLOR=", "");
  CHECK_THAT(coloured, Contains("\x1b[34m") && Contains("\x1b[33m") && Contains("\x1b[1m"));
  CHECK_THAT(on_terminal("NO_COLOR=", " --no-color"), !Contains("\x1b"));
  CHECK_THAT(on_terminal("NO_COLOR=1", ""), !Contains("\x1b"));
  REQUIRE(shell(folder, "TERM=xterm " + compare + " > out") == 0);
  const std::string plain = read_text(folder / "out");
  CHECK_THAT(plain, !Contains("\x1b"));
  // The same words, with and without.
  std::string stripped = std::regex_replace(coloured, std::regex("\x1b\\[[0-9]+m"), "");
  std::erase(stripped, '\r');
  CHECK(stripped == plain);
}
