# cmake --install, and packages made of it (cpack): the command, and for programs that use Convoy as a library its headers,
# static libraries and a package that find_package(convoy) finds. examples/ has two such programs.
include(GNUInstallDirs)
set(CONVOY_HEADERS ${CMAKE_INSTALL_INCLUDEDIR}/convoy)        # #include "tensor/tensor.h"
set(CONVOY_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/convoy)

install(TARGETS convoy RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
if(TARGET convoy-image-decoder)  # which the command looks for beside itself
  install(TARGETS convoy-image-decoder RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
endif()

# What the command writes about itself.
install(CODE "
  file(MAKE_DIRECTORY \"${PROJECT_BINARY_DIR}/written\")
  foreach(words \"manual convoy.1\" \"completion bash convoy\" \"completion zsh _convoy\")
    separate_arguments(words)
    list(POP_BACK words file)
    execute_process(COMMAND \"$<TARGET_FILE:convoy>\" \${words} OUTPUT_FILE \"${PROJECT_BINARY_DIR}/written/\${file}\" COMMAND_ERROR_IS_FATAL ANY)
  endforeach()" COMPONENT program)
install(FILES ${PROJECT_BINARY_DIR}/written/convoy.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
install(FILES ${PROJECT_BINARY_DIR}/written/convoy DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT program)
install(FILES ${PROJECT_BINARY_DIR}/written/_convoy DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT program)

install(TARGETS convoy_settings convoy_tensor convoy_autograd convoy_layers convoy_parallel convoy_data convoy_cuda convoy_nccl
        EXPORT convoy
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        OBJECTS DESTINATION ${CMAKE_INSTALL_LIBDIR}/convoy COMPONENT development
        INCLUDES DESTINATION ${CONVOY_HEADERS})
foreach(folder tensor autograd layers parallel data)
  install(DIRECTORY ${folder} DESTINATION ${CONVOY_HEADERS} COMPONENT development FILES_MATCHING PATTERN "*.h")
endforeach()
install(EXPORT convoy NAMESPACE convoy:: FILE convoyTargets.cmake DESTINATION ${CONVOY_CMAKE_DIR} COMPONENT development)

include(CMakePackageConfigHelpers)
configure_file(cmake/convoyConfig.cmake.in convoyConfig.cmake @ONLY)
write_basic_package_version_file(convoyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/convoyConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/convoyConfigVersion.cmake
        DESTINATION ${CONVOY_CMAKE_DIR} COMPONENT development)

# Debian packages: convoy and convoy-dev. The programs they depend on are found in the binary by dpkg-shlibdeps.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME convoy)
set(CPACK_PACKAGE_CONTACT "The Convoy developers <convoy@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Trains convolutional networks on CPUs and GPUs, alone and in parallel")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_COMPONENTS_ALL program development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME convoy)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "openmpi-bin, gnuplot-nox, ca-certificates")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME convoy-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "g++, libfmt-dev, nlohmann-json3-dev, zlib1g-dev")
if(CONVOY_HAS_CURL)
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libcurl4-openssl-dev")
endif()
if(CONVOY_HAS_MPI)
  string(APPEND CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS ", libopenmpi-dev")
endif()
include(CPack)
