#pragma once

#include <filesystem>

namespace disagg {

// Writes figure1.csv and figure1.svg to figure4.csv and figure4.svg into a folder, which is made: the four
// figures of Zhao and Liu, arXiv 2601.22001, computed from the catalogs. What the paper does not state is
// assumed here; experiments/paper_figures/README.md says what and how it compares. Throws ConfigError where
// the folder cannot be written.
void write_paper_figures(const std::filesystem::path& folder);

}  // namespace disagg
