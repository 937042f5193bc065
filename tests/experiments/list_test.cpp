#include "experiments/list.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "experiments/table.hpp"
#include "sim/base/config.hpp"
#include "sim/base/expect.hpp"
#include "sim/hardware/accelerator.hpp"

namespace disagg {
namespace {

using Catch::Matchers::Contains;

std::string listing(std::string_view what, bool json = false) {
  std::ostringstream out;
  CHECK(list_command(what, json, out) == 0);
  return out.str();
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

// The line of a listing that starts with `name`.
std::string row(const std::string& text, const std::string& name) {
  for (const std::string& line : lines(text))
    if (line.starts_with(name + " ")) return line;
  return "";
}

template <class T>
std::string text_of(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

TEST_CASE("A table aligns words to the left and numbers to the right, stars outside", "[table]") {
  Table table({{"name"}, {"rate", "GB/s"}, {"note"}}, "Links");
  table.add({"a", "7.5*", "first"});
  table.add({"longer", "1200", "-"});
  table.add({"b", "-", ""});
  CHECK(text_of(table) ==
        "Links\n\n"
        "name     rate  note\n"
        "         GB/s\n"
        "a        7.5*  first\n"
        "longer  1200   -\n"
        "b          -\n");
}

TEST_CASE("A column with one word among its numbers is a column of words", "[table]") {
  Table table({{"n"}, {"x"}});
  table.add({"12", "-1"});
  table.add({"none", "+10"});
  CHECK(text_of(table) == "n       x\n12     -1\nnone  +10\n");
}

TEST_CASE("A table without rows is its header, and a row of another width is a bug", "[table]") {
  Table table({{"name"}, {"summary"}});
  CHECK(table.empty());
  CHECK(text_of(table) == "name  summary\n");
  CHECK_THROWS_AS(table.add({"one cell"}), BrokenInvariant);
}

TEST_CASE("The list of accelerators has 19 rows, with '-' for what is not published", "[list]") {
  const std::string text = listing("accelerators");
  const auto all = lines(text);
  CHECK(std::ranges::find(all, "") - all.begin() == 2 + 19);
  CHECK_THAT(row(text, "h100-sxm-80gb"), Contains(" 989 ") && Contains(" 3350 ") && Contains(" 2.95 "));
  CHECK_THAT(row(text, "h100-sxm-80gb"), Catch::EndsWith("measured"));
  CHECK_THAT(row(text, "rubin-cpx"), Contains(" - ") && Contains(" 20000* ") && Catch::EndsWith("assumed"));
  CHECK_THAT(text, Contains("* without a primary source"));
}

TEST_CASE("The lists of models, links, memory and calibration have 18, 20, 12 and 10 rows", "[list]") {
  const auto rows = [](std::string_view what, int header_lines) {
    const auto all = lines(listing(what));
    return std::ranges::find(all, "") - all.begin() - header_lines;
  };
  CHECK(rows("models", 2) == 18);
  CHECK(rows("links", 2) == 20);
  CHECK(rows("memory", 2) == 12);
  CHECK(rows("calibration", 1) == 10);
  CHECK(rows("precisions", 1) == 9);
}

TEST_CASE("The list of models computes 70.55e9 parameters and 327.7 kB a token for Llama-3.1-70B", "[list]") {
  CHECK_THAT(row(listing("models"), "Llama-3.1-70B"),
             Contains(" 70.55 ") && Contains(" 327.7 ") && Catch::EndsWith("yes"));
  CHECK_THAT(row(listing("models"), "DeepSeek-R1"),
             Contains(" mla ") && Contains(" 671 ") && Catch::EndsWith("yes"));
}

TEST_CASE("Energies are ranges, bounds or single figures", "[list]") {
  const std::string text = listing("links");
  CHECK_THAT(row(text, "nvlink-c2c"), Contains(" 1.3 "));
  CHECK_THAT(row(text, "pcie-gen5-x16"), Contains(" 5-6* "));
  CHECK_THAT(row(text, "teraphy-gen3"), Contains(" <5 "));
}

TEST_CASE("JSON keeps every published figure with its source", "[list]") {
  const auto accelerator_rows = nlohmann::json::parse(listing("accelerators", true));
  REQUIRE(accelerator_rows.size() == 19);
  for (const auto& each : accelerator_rows) {
    CAPTURE(each.at("name"));
    CHECK(each.contains("source"));
    CHECK(each.at("efficiency").contains("source"));
  }
  CHECK(accelerator_rows[2].at("efficiency").at("assumed") == true);
  CHECK(accelerator_rows[8].at("more").at("fp8_projected_high") == "17500 TFLOP/s");
  const auto link_rows = nlohmann::json::parse(listing("links", true));
  CHECK(link_rows.size() == 20);
  CHECK(link_rows[11].at("more").at("return_latency") == "70 ns");
  const auto model_rows = nlohmann::json::parse(listing("models", true));
  CHECK(model_rows.size() == 18);
  CHECK(model_rows[8].at("index_topk") == 2048);
  CHECK_FALSE(model_rows[0].contains("not_modelled"));
  CHECK(nlohmann::json::parse(listing("memory", true)).size() == 12);
  CHECK(nlohmann::json::parse(listing("calibration", true)).size() == 10);
  CHECK(nlohmann::json::parse(listing("precisions", true))[4].at("bytes_per_element") == 0.5);
}

TEST_CASE("Every accelerator of the JSON may be pasted into a scenario and is the same one", "[list]") {
  const auto rows = nlohmann::ordered_json::parse(listing("accelerators", true));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ConfigNode node = parse_config(nlohmann::ordered_json{{"accelerator", rows[i]}}.dump(), "scenario.json");
    Problems problems;
    Reader r(node, "", problems);
    const auto pasted = read_accelerator(r, "accelerator");
    problems.throw_if_any();
    REQUIRE(pasted.has_value());
    CHECK(pasted->name == accelerators()[i].name);
    CHECK(pasted->bf16 == accelerators()[i].bf16);
    CHECK(pasted->rent == accelerators()[i].rent);
    CHECK(pasted->efficiency.gemm == accelerators()[i].efficiency.gemm);
    CHECK(pasted->efficiency.collective_latency.si ==
          Approx(accelerators()[i].efficiency.collective_latency.si));
    CHECK(pasted->efficiency.assumed == accelerators()[i].efficiency.assumed);
  }
}

TEST_CASE("Without a name the catalogs themselves are listed, and an unknown name lists them", "[list]") {
  CHECK_THAT(listing(""), Contains("accelerators") && Contains("models") && Contains("precisions"));
  std::ostringstream out;
  CHECK_THROWS_WITH(
      list_command("acelerators", false, out),
      "list: 'acelerators' is unknown; known: accelerators models links tiers memory agents calibration "
      "constants precisions; "
      "did you mean 'accelerators'?");
  CHECK(out.str().empty());
}

TEST_CASE("Choices stand below the seam that they belong to", "[list]") {
  const std::vector<NamedChoice> choices{{"router", "round-robin", "each in turn"},
                                         {"router", "least-tokens", "the least loaded"},
                                         {"topology", "star", "one switch"}};
  std::ostringstream table, json;
  print_choices(choices, false, table);
  CHECK(table.str() ==
        "where     name          summary\n"
        "router    round-robin   each in turn\n"
        "          least-tokens  the least loaded\n"
        "topology  star          one switch\n");
  print_choices(choices, true, json);
  const auto seams = nlohmann::json::parse(json.str());
  CHECK(seams.at("router").size() == 2);
  CHECK(seams.at("topology")[0].at("summary") == "one switch");
}

}  // namespace
}  // namespace disagg
