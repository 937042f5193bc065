// The Debian package: made, installed into a folder of its own, and run from there.
#include <catch2/catch.hpp>
#include <string>

#include "tests/experiments/program.hpp"

using namespace disagg::test;
using Catch::Matchers::Contains;

TEST_CASE(
    "The Debian package knows its libraries, installs, and what it installs runs and documents itself") {
#ifdef __SANITIZE_ADDRESS__
  return;  // nobody ships a program with sanitizers
#endif
  const TemporaryFolder folder;
  if (shell(folder, "command -v cpack dpkg dpkg-shlibdeps > /dev/null") != 0) {
    WARN("skipped: cpack or dpkg-dev is not installed");
    return;
  }
  const int packed =
      shell(folder, "cpack --config " DISAGG_BUILD_DIR "/CPackConfig.cmake -B packages > log 2>&1");
  INFO(read_text(folder / "log"));
  REQUIRE(packed == 0);
  REQUIRE(shell(folder,
                "mv packages/disagg_*.deb disagg.deb && dpkg-deb --field disagg.deb Depends > depends") == 0);
  const std::string depends = read_text(folder / "depends");
  CHECK_THAT(depends, Contains("libsimgrid") && Contains("libsqlite3-0") && Contains("libc6"));
  // As dpkg --install does, with a database of its own, which does not know the libraries of this machine.
  const int installed =
      shell(folder,
            "mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates && touch root/var/lib/dpkg/status && "
            "dpkg --root=root --force-depends --force-not-root --force-script-chrootless --log=/dev/null "
            "--install disagg.deb > log 2>&1");
  INFO(read_text(folder / "log"));
  REQUIRE(installed == 0);
  REQUIRE(shell(folder,
                "root/usr/bin/disagg --version > version && "
                "root/usr/bin/disagg run root/usr/share/disagg/studies/demo/1_homogeneous.json "
                "--set 'workload.duration=5 s' -q > run") == 0);
  CHECK_THAT(read_text(folder / "version"), Catch::StartsWith("disagg "));
  CHECK_THAT(read_text(folder / "run"), Contains("goodput under the SLO"));
  for (const std::string file : {"man/man1/disagg.1", "bash-completion/completions/disagg",
                                 "zsh/vendor-completions/_disagg", "fish/vendor_completions.d/disagg.fish",
                                 "doc/disagg/README.md", "doc/disagg/experiments/README.md"}) {
    INFO(file);
    CHECK_FALSE(read_text(folder / ("root/usr/share/" + file)).empty());
  }
}
