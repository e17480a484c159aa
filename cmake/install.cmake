# The installed package: headers under include/xgrad, find_package(xgrad CONFIG).
include(CMakePackageConfigHelpers)

foreach(header IN LISTS xgrad_public_headers)
  cmake_path(GET header PARENT_PATH folder)
  install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/xgrad/${folder})
endforeach()

install(TARGETS xgrad_autograd xgrad_nn xgrad_optim xgrad_datasets xgrad EXPORT xgrad-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/xgrad)
install(EXPORT xgrad-targets NAMESPACE xgrad:: DESTINATION ${package})
configure_package_config_file(cmake/xgrad-config.cmake.in
                              ${PROJECT_BINARY_DIR}/xgrad-config.cmake
                              INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/xgrad-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/xgrad-config.cmake
              ${PROJECT_BINARY_DIR}/xgrad-config-version.cmake cmake/FindCBLAS.cmake
        DESTINATION ${package})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES datasets/data/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME digits.md)
