# cmake -DSOURCE=experiments/report -DWORK=FOLDER -DOUTPUT=FILE.cpp -P bundle_report.cmake
# Installs the modules of the lock file in WORK and bundles the page there. A machine without Node.js or without the
# network gets a program that does all but reports, and says so.
function(write_page literal)
  file(WRITE ${OUTPUT} "#include \"report_page.hpp\"

namespace disagg {

using namespace std::literals;

constinit const std::string_view report_page = ${literal};

}  // namespace disagg
")
endfunction()

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT code EQUAL 0)
    list(JOIN ARGN " " command)
    set(failed "'${command}' failed:\n${text}" PARENT_SCOPE)
  endif()
endfunction()

find_program(NODE NAMES node nodejs)
find_program(NPM npm)
set(failed "")
if(NOT NODE OR NOT NPM)
  set(failed "node and npm are missing (Debian: nodejs npm)")
else()
  file(REMOVE_RECURSE ${WORK}/src)
  file(COPY ${SOURCE}/ DESTINATION ${WORK} PATTERN node_modules EXCLUDE)
  file(SHA256 ${SOURCE}/package-lock.json lock)
  if(NOT EXISTS ${WORK}/installed-${lock})
    run(${NPM} ci --no-audit --no-fund --loglevel=error)
    if(NOT failed)
      file(WRITE ${WORK}/installed-${lock} "")
    endif()
  endif()
  if(NOT failed)
    run(${NODE} build.mjs page.html)
  endif()
endif()

if(failed)
  message(WARNING "disagg will write no reports. ${failed}\nTo try again: rm ${OUTPUT}")
  write_page("{}")
else()
  file(READ ${WORK}/page.html page)
  string(FIND "${page}" ")embedded\"" end)
  string(FIND "${page}" "{{DATA}}" data)
  if(NOT end EQUAL -1 OR data EQUAL -1)
    message(FATAL_ERROR "page.html contains the end mark of its own string literal, or no place for data")
  endif()
  write_page("R\"embedded(${page})embedded\"sv")
endif()
