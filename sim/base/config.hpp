#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/base/text.hpp"

namespace disagg {

// The user's input cannot be used. what() holds one line per problem, each naming file, line, column and
// path.
struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where a value was written; for a default, the object that it joined. Line 0: not in a file, but on the
// command line.
struct Location {
  std::shared_ptr<const std::string> file;
  int line = 0;
  int column = 0;

  std::string text() const;
};

// One JSON value with the place where it was written. Members keep the order of the file.
struct ConfigNode {
  enum class Kind { null, boolean, number, string, array, object };
  struct Member;

  Kind kind = Kind::null;
  Location where;
  bool boolean = false;
  bool integral = false;  // a number written without fraction or exponent
  bool is_path = false;   // a file name, relative to the folder of the file that holds it
  double number = 0;
  std::string text;  // a string's value, a number as it was written
  std::vector<ConfigNode> items;
  std::list<Member> members;  // a list: readers point into it while defaults join it

  const ConfigNode* find(std::string_view key) const;
  ConfigNode* find(std::string_view key);
  // JSON text with two-space indentation; `absolute_paths` makes file names valid from any folder.
  std::string dump(bool absolute_paths = false) const;
};

struct ConfigNode::Member {
  std::string key;
  Location where;
  ConfigNode value;
  bool used = false;
};

// Reads a JSON file (// and /* */ comments allowed) and what it "extends". Objects merge member by member,
// except that one whose "kind" differs replaces the other; everything else is replaced. Throws ConfigError:
// missing, too large, malformed, duplicate keys, cyclic "extends".
ConfigNode load_config(const std::filesystem::path& file);
// The same for text that is not in a file of its own; `name` stands for the file in messages.
ConfigNode parse_config(std::string_view text, std::string_view name);
// A key whose value may be a word that stands for an object with the word as that member; without a member
// the word stands for something else, which an object replaces.
struct Shorthand {
  std::string_view key, member;
};
// Applies "cluster.pools[1].replicas=4". The value is JSON, or else a plain string. A path may lead into what
// is written as a word: "router.x" works on {"kind": WORD}, and where `shorthands` name the key, on what they
// say. Throws ConfigError.
void override_config(ConfigNode& root, std::string_view assignment,
                     std::span<const Shorthand> shorthands = {});
// `base` with `over` laid on top, as "extends" does.
void merge_config(ConfigNode& base, ConfigNode over);

// All problems found so far, so that a user sees every one at once; of very many, the first 50 and their
// number.
class Problems {
 public:
  void add(const Location& where, std::string_view path, std::string_view what);
  bool empty() const { return count_ == 0; }
  void throw_if_any() const;  // ConfigError with every line

 private:
  std::vector<std::string> lines_;
  std::size_t count_ = 0;
};

// What a number may be.
enum class Range { any, non_negative, positive, fraction /* 0 < x <= 1 */, unit /* 0 <= x <= 1 */ };

// Strict view of one JSON object. Every read names a key and a type; what does not fit is added to the
// problems and a default-constructed value returned, so that reading goes on. done() reports the keys nobody
// asked for. T is bool, std::int64_t, double, std::string, a Quantity written with its unit, or a std::vector
// of these.
class Reader {
 public:
  Reader(ConfigNode& node, std::string path, Problems& problems)
      : node_(&node), path_(std::move(path)), problems_(&problems) {
    require_object();
  }

  bool has(std::string_view key) const { return node_->find(key) != nullptr; }

  template <class T>
  T get(std::string_view key, Range range = Range::any) {
    ConfigNode* value = required(key);
    return value ? read<T>(*value, child_path(key), range) : T{};
  }
  // `fallback` is written as a user would write it ("2 us", "8192"); it joins the resolved configuration.
  template <class T>
  T get_or(std::string_view key, std::string_view fallback, Range range = Range::any) {
    return read<T>(with_default(key, fallback), child_path(key), range);
  }
  template <class T>
  std::optional<T> find(std::string_view key, Range range = Range::any) {
    ConfigNode* value = optional(key);
    if (value == nullptr) return std::nullopt;
    return read<T>(*value, child_path(key), range);
  }
  // One of `known`, as its index. An unknown word lists the known ones.
  std::size_t choice(std::string_view key, std::span<const std::string_view> known,
                     std::optional<std::string_view> fallback = {});
  // A word that may become part of a file name or a table: letters, digits, blanks and "._-+", no leading
  // dot.
  std::string name(std::string_view key, std::optional<std::string_view> fallback = {});
  // A file name, made relative to the working directory. It need not exist.
  std::filesystem::path file(std::string_view key);

  std::optional<Reader> object(
      std::string_view key);  // a required object; none if missing or of another type
  std::optional<Reader> find_object(std::string_view key);  // the same, but may be missing
  // The same, but when missing it is empty and takes all its defaults.
  std::optional<Reader> object_or_empty(std::string_view key);
  // An object that may also be written as a plain word, "least-tokens" for {"kind": "least-tokens"}. Without
  // "kind" it is of the fallback's.
  std::optional<Reader> variant(std::string_view key, std::optional<std::string_view> fallback_kind = {});
  std::vector<Reader> objects(std::string_view key, bool required = true);  // an array of objects
  std::vector<std::string> keys() const;                                    // of this object, in order

  // Adds a problem at `key`'s value, or at this object when the key is missing or empty.
  void fail(std::string_view key, std::string_view what);
  // As fail, for a word that is not one of `known`: adds the known ones and a suggestion.
  void unknown(std::string_view key, std::string_view word, std::span<const std::string_view> known);
  void done();

  const std::string& path() const { return path_; }
  Problems& problems() const { return *problems_; }
  ConfigNode& node() const { return *node_; }

 private:
  template <class T>
  T read(ConfigNode& value, const std::string& path, Range range) {
    if constexpr (std::is_same_v<T, bool>) {
      return read_bool(value, path);
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
      return read_integer(value, path, range);
    } else if constexpr (std::is_same_v<T, double>) {
      return read_number(value, path, range);
    } else if constexpr (std::is_same_v<T, std::string>) {
      return read_string(value, path);
    } else if constexpr (requires { typename T::value_type; }) {
      T list;
      if (value.kind != ConfigNode::Kind::array) {
        problems_->add(value.where, path, "expects an array");
        return list;
      }
      for (std::size_t i = 0; i < value.items.size(); ++i)
        list.push_back(
            read<typename T::value_type>(value.items[i], path + "[" + std::to_string(i) + "]", range));
      return list;
    } else {
      return T{read_quantity(value, path, range, unit_table<T>())};
    }
  }
  bool read_bool(const ConfigNode& value, const std::string& path);
  std::int64_t read_integer(const ConfigNode& value, const std::string& path, Range range);
  double read_number(const ConfigNode& value, const std::string& path, Range range);
  std::string read_string(const ConfigNode& value, const std::string& path);
  double read_quantity(const ConfigNode& value, const std::string& path, Range range,
                       std::span<const Unit> units);
  void check_range(double number, const Location& where, const std::string& path, Range range);

  void require_object();
  ConfigNode* optional(std::string_view key);
  ConfigNode* required(std::string_view key);
  ConfigNode& with_default(std::string_view key, std::string_view fallback);
  std::string child_path(std::string_view key) const;

  ConfigNode* node_;
  std::string path_;
  Problems* problems_;
  std::vector<std::string> asked_;  // keys that somebody read or looked for: the known ones
};

}  // namespace disagg
