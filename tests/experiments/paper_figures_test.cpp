#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "experiments/svg_plot.hpp"
#include "tests/experiments/program.hpp"

namespace disagg {
namespace {

using Catch::Matchers::Contains;
using test::call;
using test::read_text;
using test::TemporaryFolder;

const std::filesystem::path kCommitted = DISAGG_SOURCE_DIR "/experiments/paper_figures";

TEST_CASE("The paper's four figures are written again as they are committed", "[paper-figures]") {
  const TemporaryFolder folder;
  const auto ended = call(folder, {"roofline", "--paper-figures", "deep/figures"});
  CHECK(ended.code == 0);
  CHECK(ended.err == "figures are in deep/figures\n");
  const auto names = TemporaryFolder::names_in(folder / "deep/figures");
  CHECK(names == std::vector<std::string>{"figure1.csv", "figure1.svg", "figure2.csv", "figure2.svg",
                                          "figure3.csv", "figure3.svg", "figure4.csv", "figure4.svg"});
  for (const std::string& name : names) {
    INFO(name << ": write it with disagg roofline --paper-figures experiments/paper_figures");
    CHECK((read_text(folder / "deep/figures" / name) == read_text(kCommitted / name)));
  }
}

TEST_CASE("The committed figures have the hand-checked values: MHA-64 157.286 GB at 100K tokens, R1 104.96",
          "[paper-figures]") {
  const std::string caches = read_text(kCommitted / "figure3.csv");
  CHECK_THAT(caches, Contains("\nMHA-64,100000,157.286\n") && Contains("\nGQA-8,100000,19.6608\n"));
  CHECK_THAT(caches, Contains("\nMQA,100000,2.4576\n") && Contains("\nMLA-64,100000,0.6144\n"));
  CHECK_THAT(caches, Contains("\nMLA-576,100000,5.5296\n") && Contains("\nMLA-1024,100000,9.8304\n"));
  const std::string experts = read_text(kCommitted / "figure4.csv");
  CHECK_THAT(experts, Contains("\n\"DeepSeek-R1, bf16\",16,104.96,"));
  CHECK_THAT(experts, Contains("\n\"Llama-3.1-70B, bf16 (dense)\",16,107.123,"));
  const std::string phases = read_text(kCommitted / "figure1.csv");
  CHECK_THAT(phases, Contains("\n\"prefill, attention\",8192,3641.33,2.68435,low CF and high OI\n"));
  CHECK_THAT(phases, Contains("\n\"decode, attention\",131072,7.99951,42.9497,high CF and low OI\n"));
}

TEST_CASE("Figures take no other option and name a folder that cannot be made", "[paper-figures]") {
  const TemporaryFolder folder;
  test::write_text(folder / "file", "");
  const auto both = call(folder, {"roofline", "--paper-figures", "figures", "--batch", "1"});
  CHECK(both.code == 2);
  CHECK_THAT(both.err, Contains("--paper-figures"));
  const auto below_a_file = call(folder, {"roofline", "--paper-figures", "file/figures"});
  CHECK(below_a_file.code == 2);
  CHECK_THAT(below_a_file.err, Contains("file/figures: cannot make this folder"));
}

TEST_CASE("On an axis from 1 to 100 the point at 10 stands in the middle, and text is escaped",
          "[svg-plot]") {
  const std::string svg = to_svg({.title = "a < b & c",
                                  .panels = {{.x = {"x", 1, 100},
                                              .y = {"y", 1, 100},
                                              .series = {{.name = "one", .points = {{10, 10}}}}}},
                                  .caption = "words"});
  CHECK_THAT(svg, Catch::StartsWith("<svg ") && Catch::EndsWith("</svg>\n"));
  CHECK_THAT(svg, Contains("a &lt; b &amp; c"));
  // 66 to 884 across, 46 to 391 down.
  CHECK_THAT(svg, Contains("points=\"475,218.5\""));
}

}  // namespace
}  // namespace disagg
