# Writes OUTPUT, which defines what version.hpp declares, and leaves it alone while nothing changes.
set(version "${VERSION}-unknown")
# A source archive unpacked inside another project's checkout must not report that project's commit.
if(EXISTS ${SOURCE_DIR}/.git)
  execute_process(COMMAND git describe --tags --always --dirty --match v[0-9]* WORKING_DIRECTORY ${SOURCE_DIR}
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed AND described MATCHES "^v(.+)")
    set(version ${CMAKE_MATCH_1})
  elseif(NOT failed)
    set(version ${VERSION}-g${described})
  endif()
endif()

file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "version.hpp"

std::string_view disagg::version() { return "@version@"; }
std::string_view disagg::compiler() { return "@COMPILER@"; }
]] @ONLY)
