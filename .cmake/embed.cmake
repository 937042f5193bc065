# Turns the shipped JSON files into string literals, so that the program runs without a data folder.
# Happens at configure time; when one of the files changes, the build configures again by itself.
set(EMBEDDED_INCLUDE_DIR ${PROJECT_BINARY_DIR}/include)
set(EMBEDDED_SOURCE ${PROJECT_BINARY_DIR}/embedded.cpp)

function(write_if_different file text)
  file(WRITE ${file}.new "${text}")
  file(COPY_FILE ${file}.new ${file} ONLY_IF_DIFFERENT)
endfunction()

function(raw_literal result file)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  string(FIND "${text}" ")embedded\"" end)
  if(NOT end EQUAL -1)
    message(FATAL_ERROR "${file} contains the end mark of its own string literal: )embedded\"")
  endif()
  set(${result} "R\"embedded(${text})embedded\"sv" PARENT_SCOPE)
endfunction()

# sim/hardware/catalog.json becomes hardware_catalog, and so on.
set(declarations "")
set(definitions "")
file(GLOB catalogs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/sim/*/catalog.json
     ${PROJECT_SOURCE_DIR}/workloads/catalog.json)
foreach(file IN LISTS catalogs)
  cmake_path(GET file PARENT_PATH folder)
  cmake_path(GET folder FILENAME name)
  raw_literal(literal ${file})
  string(APPEND declarations "extern const std::string_view ${name}_catalog;\n")
  string(APPEND definitions "constinit const std::string_view ${name}_catalog = ${literal};\n\n")
endforeach()

raw_literal(literal ${PROJECT_SOURCE_DIR}/experiments/recipes.json)
string(APPEND declarations "extern const std::string_view recipes;\n")
string(APPEND definitions "constinit const std::string_view recipes = ${literal};\n\n")

set(rows "")
file(GLOB demos CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/experiments/demo/*.json)
list(LENGTH demos demo_count)
foreach(file IN LISTS demos)
  cmake_path(GET file FILENAME name)
  raw_literal(literal ${file})
  string(APPEND rows "    EmbeddedFile{\"${name}\"sv, ${literal}},\n")
endforeach()

write_if_different(${EMBEDDED_INCLUDE_DIR}/embedded.hpp "#pragma once

#include <span>
#include <string_view>

namespace disagg::embedded {

struct EmbeddedFile {
  std::string_view name, text;
};

${declarations}
/// The scenarios of experiments/demo, sorted by name.
extern const std::span<const EmbeddedFile> demo_files;

}  // namespace disagg::embedded
")
write_if_different(${EMBEDDED_SOURCE} "#include \"embedded.hpp\"

#include <array>

namespace disagg::embedded {

using namespace std::literals;

${definitions}static constexpr std::array<EmbeddedFile, ${demo_count}> demos{{
${rows}}};
constinit const std::span<const EmbeddedFile> demo_files{demos};

}  // namespace disagg::embedded
")
