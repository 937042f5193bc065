# `cmake --install` and, by `cpack`, a Debian package: program, manual page, completions, scenarios of the studies.
include(GNUInstallDirs)
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # tests and benchmarks are not installed

# disagg completion SHELL > FILE, and disagg manual > FILE.
set(documents ${PROJECT_BINARY_DIR}/documents)
set(DOCUMENTS "")
function(add_document name)
  add_custom_command(
    OUTPUT ${documents}/${name}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${documents}
    COMMAND disagg ${ARGN} > ${documents}/${name}
    DEPENDS disagg
    VERBATIM)
  list(APPEND DOCUMENTS ${documents}/${name})
  set(DOCUMENTS ${DOCUMENTS} PARENT_SCOPE)
endfunction()
add_document(disagg.1 manual)
add_document(disagg completion bash)
add_document(_disagg completion zsh)
add_document(disagg.fish completion fish)
add_custom_target(disagg_documents ALL DEPENDS ${DOCUMENTS})

install(TARGETS disagg)
install(FILES ${documents}/disagg.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${documents}/disagg DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${documents}/_disagg DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${documents}/disagg.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
# So that the links in README.md lead to the guide and the studies.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/studies_link)
file(CREATE_LINK ../../disagg/studies ${PROJECT_BINARY_DIR}/studies_link/experiments SYMBOLIC)
install(FILES ${PROJECT_BINARY_DIR}/studies_link/experiments DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY experiments/ DESTINATION ${CMAKE_INSTALL_DATADIR}/disagg/studies
  FILES_MATCHING PATTERN "*.json" PATTERN "README.md" PATTERN report EXCLUDE)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "the developers of disagg <disagg@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "simulator of clusters that serve large language models to agents")
set(CPACK_PACKAGE_DESCRIPTION
    "Traces of chat, coding, web and computer-use agents drive prefill replicas, decode replicas and pooled memory, joined\n\
by NVLink, InfiniBand and optical topologies; the answers are latencies, throughput, energy, cost and what limits them.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS graphviz)  # topology --export drawing.svg
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
include(CPack)
