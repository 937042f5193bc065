# Bundles experiments/report into one page and turns it into a string literal: report_page.hpp.
set(REPORT_SOURCE ${PROJECT_BINARY_DIR}/report_page.cpp)
set(report ${PROJECT_SOURCE_DIR}/experiments/report)
file(GLOB_RECURSE report_sources CONFIGURE_DEPENDS ${report}/src/*)
add_custom_command(
  OUTPUT ${REPORT_SOURCE}
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${report} -DWORK=${PROJECT_BINARY_DIR}/report -DOUTPUT=${REPORT_SOURCE}
          -P ${PROJECT_SOURCE_DIR}/.cmake/bundle_report.cmake
  DEPENDS ${report}/package.json ${report}/package-lock.json ${report}/.npmrc ${report}/build.mjs ${report_sources}
          ${PROJECT_SOURCE_DIR}/.cmake/bundle_report.cmake
  COMMENT "Bundling the page of reports"
  VERBATIM)
