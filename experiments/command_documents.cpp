#include "experiments/command_documents.hpp"

#include <utility>
#include <vector>

#include "version.hpp"

namespace disagg {
namespace {

struct OptionFacts {
  std::vector<std::string> names;  // "-o", "--out", in the order of --help
  std::string description, fallback;
  std::vector<std::string> choices;  // where it takes one of these words
  bool takes_value = false;
  bool required = false;
};

struct CommandFacts {
  std::string words;  // "workload inspect"
  std::string description, footer;
  std::vector<OptionFacts> options, positionals;
  bool has_commands = false;
};

// "TEXT:{grid,zip}" as CLI11 describes an option that takes one word of a set.
std::vector<std::string> choices_in(const std::string& type) {
  const std::size_t begin = type.find(":{");
  const std::size_t end = type.rfind('}');
  std::vector<std::string> choices;
  if (begin == std::string::npos || end == std::string::npos) return choices;
  std::string word;
  for (const char c : type.substr(begin + 2, end - begin - 2) + ",") {
    if (c != ',') {
      word += c;
    } else {
      choices.push_back(std::exchange(word, {}));
    }
  }
  return choices;
}

OptionFacts facts_of(const CLI::Option& option) {
  OptionFacts facts;
  facts.description = option.get_description();
  facts.fallback = option.get_default_str();
  facts.choices = choices_in(option.get_type_name());
  facts.takes_value = option.get_items_expected_max() > 0;
  facts.required = option.get_required();
  for (const std::string& name : option.get_snames()) facts.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) facts.names.push_back("--" + name);
  if (option.get_positional()) facts.names.push_back(option.get_name(true));
  return facts;
}

void add_facts(const CLI::App& app, const std::string& words, std::vector<CommandFacts>& all) {
  CommandFacts facts;
  facts.words = words;
  facts.description = app.get_description();
  facts.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options())
    (option->get_positional() ? facts.positionals : facts.options).push_back(facts_of(*option));
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  facts.has_commands = !below.empty();
  all.push_back(std::move(facts));
  for (const CLI::App* command : below)
    add_facts(*command, words.empty() ? command->get_name() : words + " " + command->get_name(), all);
}

// The program itself first.
std::vector<CommandFacts> facts_of(const CLI::App& app) {
  std::vector<CommandFacts> all;
  add_facts(app, "", all);
  return all;
}

std::string last_word(const std::string& words) { return words.substr(words.rfind(' ') + 1); }

// Commands directly below `words`.
std::vector<const CommandFacts*> below(const std::vector<CommandFacts>& all, const std::string& words) {
  const std::string prefix = words.empty() ? "" : words + " ";
  std::vector<const CommandFacts*> found;
  for (const CommandFacts& command : all)
    if (command.words.size() > prefix.size() && command.words.starts_with(prefix) &&
        command.words.find(' ', prefix.size()) == std::string::npos)
      found.push_back(&command);
  return found;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string first_sentence(const std::string& text) { return text.substr(0, text.find("; ")); }

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string bash_completion(const std::vector<CommandFacts>& all) {
  std::string text =
      "# bash completion of disagg: source it, or put it into a folder of bash-completion.\n"
      "_disagg() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command='' words='' i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \"$command ${COMP_WORDS[i]}\" in\n";
  for (const CommandFacts& command : all)
    if (!command.words.empty()) {
      const std::size_t space = command.words.rfind(' ');
      const std::string parent = space == std::string::npos ? "" : command.words.substr(0, space);
      text += "      '" + parent + " " + last_word(command.words) + "') command='" + command.words + "' ;;\n";
    }
  text += "    esac\n  done\n  case \"$command $previous\" in\n";
  for (const CommandFacts& command : all)
    for (const OptionFacts& option : command.options) {
      if (option.choices.empty()) continue;
      std::string cases;
      for (const std::string& name : option.names)
        cases += (cases.empty() ? "'" : "|'") + command.words + " " + name + "'";
      text += "    " + cases + ") words='" + joined(option.choices) + "' ;;\n";
    }
  text += "  esac\n  if [[ -z $words ]]; then\n    case $command in\n";
  for (const CommandFacts& command : all) {
    std::vector<std::string> options;
    std::vector<std::string> others;
    for (const OptionFacts& option : command.options)
      options.insert(options.end(), option.names.begin(), option.names.end());
    for (const CommandFacts* sub : below(all, command.words)) others.push_back(last_word(sub->words));
    for (const OptionFacts& positional : command.positionals)
      others.insert(others.end(), positional.choices.begin(), positional.choices.end());
    text += "      '" + command.words + "') if [[ $current == -* ]]; then words='" + joined(options) +
            "'; else words='" + joined(others) + "'; fi ;;\n";
  }
  text +=
      "    esac\n  fi\n"
      "  if [[ -n $words ]]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "  else\n"
      "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
      "  fi\n}\n"
      "complete -o filenames -F _disagg disagg\n";
  return text;
}

// Of a text between single quotes, and in _arguments without its own brackets and colons.
std::string zsh_text(const std::string& text) {
  std::string quoted = replace_all(text, "'", "'\\''");
  for (const std::string_view special : {"[", "]", ":"})
    quoted = replace_all(quoted, special, "\\" + std::string(special));
  return quoted;
}

std::string zsh_completion(const std::vector<CommandFacts>& all) {
  std::string text = "#compdef disagg\n";
  for (const CommandFacts& command : all) {
    text += "_disagg" + (command.words.empty() ? "" : "_" + replace_all(command.words, " ", "_")) + "() {\n";
    if (command.has_commands) text += "  local line state\n";
    text += "  _arguments -C";
    for (const OptionFacts& option : command.options)
      for (const std::string& name : option.names) {
        text += " \\\n    '*" + name + "[" + zsh_text(first_sentence(option.description)) + "]";
        if (option.takes_value)
          text += option.choices.empty() ? ":value:_files" : ":value:(" + joined(option.choices) + ")";
        text += "'";
      }
    if (command.has_commands) {
      text += " \\\n    '1: :->command' '*:: :->rest'\n  case $state in\n    command) _values command";
      for (const CommandFacts* sub : below(all, command.words))
        text += " \\\n      '" + last_word(sub->words) + "[" + zsh_text(sub->description) + "]'";
      text += " ;;\n    rest) case $line[1] in\n";
      for (const CommandFacts* sub : below(all, command.words))
        text += "      " + last_word(sub->words) + ") _disagg_" + replace_all(sub->words, " ", "_") + " ;;\n";
      text += "    esac ;;\n  esac\n}\n";
      continue;
    }
    std::vector<std::string> choices;
    for (const OptionFacts& positional : command.positionals)
      choices.insert(choices.end(), positional.choices.begin(), positional.choices.end());
    text += choices.empty() ? " \\\n    '*:file:_files'\n}\n"
                            : " \\\n    '*:word:(" + joined(choices) + ")'\n}\n";
  }
  return text + "_disagg \"$@\"\n";
}

std::string fish_text(const std::string& text) {
  return "'" + replace_all(replace_all(text, "\\", "\\\\"), "'", "\\'") + "'";
}

std::string fish_completion(const std::vector<CommandFacts>& all) {
  std::string text = "# fish completion of disagg\n";
  for (const CommandFacts& command : all) {
    std::string when = "__fish_use_subcommand";
    if (!command.words.empty()) {
      when.clear();
      std::string word;
      for (const char c : command.words + " ") {
        if (c != ' ') {
          word += c;
          continue;
        }
        when += (when.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + std::exchange(word, {}));
      }
    }
    std::vector<std::string> names;
    for (const CommandFacts* sub : below(all, command.words)) names.push_back(last_word(sub->words));
    const std::string until = command.words.empty() || names.empty()
                                  ? ""
                                  : "; and not __fish_seen_subcommand_from " + joined(names);
    for (const CommandFacts* sub : below(all, command.words))
      text += "complete -c disagg -f -n '" + when + until + "' -a " + last_word(sub->words) + " -d " +
              fish_text(sub->description) + "\n";
    for (const OptionFacts& option : command.options) {
      text += "complete -c disagg -n '" + when + "'";
      for (const std::string& name : option.names)
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!option.choices.empty()) {
        text += " -x -a " + fish_text(joined(option.choices));
      } else if (option.takes_value) {
        text += " -r";
      }
      text += " -d " + fish_text(first_sentence(option.description)) + "\n";
    }
    for (const OptionFacts& positional : command.positionals)
      if (!positional.choices.empty())
        text += "complete -c disagg -n '" + when + "' -a " + fish_text(joined(positional.choices)) + "\n";
  }
  return text;
}

// Roff takes a backslash, and a dot or quote that begins a line, for its own.
std::string roff(const std::string& text) {
  std::string escaped = replace_all(replace_all(text, "\\", "\\e"), "-", "\\-");
  if (escaped.starts_with('.') || escaped.starts_with('\'')) escaped.insert(0, "\\&");
  return replace_all(replace_all(escaped, "\n.", "\n\\&."), "\n'", "\n\\&'");
}

std::string roff_option(const OptionFacts& option, bool positional) {
  std::string head;
  for (const std::string& name : option.names)
    head += (head.empty() ? "" : ", ") + ((positional ? "\\fI" : "\\fB") + roff(name) + "\\fR");
  if (!positional && option.takes_value)
    head +=
        option.choices.empty() ? " \\fIVALUE\\fR" : " " + roff(replace_all(joined(option.choices), " ", "|"));
  std::string text = ".TP\n" + head + "\n" + roff(option.description);
  if (!option.fallback.empty()) text += " (default: " + roff(option.fallback) + ")";
  return text + (option.required ? " (required)\n" : "\n");
}

}  // namespace

std::string completion_script(const CLI::App& app, std::string_view shell) {
  const std::vector<CommandFacts> all = facts_of(app);
  if (shell == "bash") return bash_completion(all);
  return shell == "zsh" ? zsh_completion(all) : fish_completion(all);
}

std::string manual_page(const CLI::App& app) {
  const std::vector<CommandFacts> all = facts_of(app);
  const CommandFacts& program = all.front();
  std::string text = ".TH DISAGG 1 \"\" \"disagg " + roff(std::string(version())) +
                     "\" \"User Commands\"\n"
                     ".SH NAME\ndisagg \\- simulate clusters that serve large language models to agents\n"
                     ".SH SYNOPSIS\n.B disagg\n.I COMMAND\n[\\fIOPTION\\fR]...\n"
                     ".SH DESCRIPTION\n" +
                     roff(program.description) + "\n.SH OPTIONS\n";
  for (const OptionFacts& option : program.options) text += roff_option(option, false);
  text += ".SH COMMANDS\n";
  for (std::size_t i = 1; i < all.size(); ++i) {
    const CommandFacts& command = all[i];
    text += ".SS disagg " + roff(command.words) + "\n" + roff(command.description) + ".\n";
    for (const OptionFacts& positional : command.positionals) text += roff_option(positional, true);
    for (const OptionFacts& option : command.options) text += roff_option(option, false);
    if (!command.footer.empty()) text += ".PP\n.nf\n" + roff(command.footer) + "\n.fi\n";
  }
  return text + ".SH EXIT STATUS\n" + roff(program.footer) + "\n";
}

}  // namespace disagg
