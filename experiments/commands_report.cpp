#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "experiments/commands.hpp"
#include "experiments/export_results.hpp"
#include "experiments/processes.hpp"
#include "experiments/report.hpp"
#include "experiments/run_folder.hpp"
#include "sim/base/config.hpp"

namespace disagg::commands {

void require_report(const Options& o) {
  if (o.report.empty()) return;
  require_folder_of("--report", o.report);
  if (!can_write_reports()) throw ConfigError("--report: this program was built without the page of reports");
}

void report_results(const Options& o, std::string_view kind, nlohmann::ordered_json results) {
  const std::string title = o.scenarios.empty()
                                ? std::string(kind)
                                : o.scenarios.front().stem().string() + ": " + std::string(kind);
  write_report(o.report, {.kind = std::string(kind), .title = title, .results = std::move(results)},
               o.command);
  if (!o.quiet) std::cerr << "the report is in " << o.report << '\n';
}

void report_folder(const Options& o) {
  if (!can_write_reports()) {
    if (!o.quiet) std::cerr << "no report.html: this program was built without the page of reports\n";
    return;
  }
  write_report(std::filesystem::path(o.folder) / "report.html", report_of({o.folder}), o.command);
}

int report(const Options& o) {
  std::filesystem::path file = o.output;
  std::error_code ignored;
  if (file.empty()) {
    const std::filesystem::path& first = o.files.front();
    if (o.files.size() > 1) {
      file = "report.html";
    } else if (std::filesystem::is_directory(first, ignored)) {
      file = first / "report.html";
    } else {
      file = std::filesystem::path(first).replace_extension(".html");
    }
  }
  require_folder_of("--output", file);
  write_report(file, report_of(o.files), o.command);
  if (!o.quiet) std::cerr << "the report is in " << file.string() << '\n';
  return exit_code::kDone;
}

int export_run(const Options& o) {
  const std::string text = export_results(o.files.front(), o.what).dump(1) + "\n";
  if (o.output.empty()) {
    std::cout << text;
  } else {
    write_file(o.output, text);
  }
  return exit_code::kDone;
}

}  // namespace disagg::commands
