# libphoenix: the engine as a library (docs/adr/0010-libphoenix.md).
#
#   build/libphoenix.so   -> libphoenix.so.0 -> libphoenix.so.X.Y.Z
#   build/libphoenix.a    one object that holds what the library needs; everything but phx_* is local to it
#
# Both are made of the sources in src/interfaces/library, of their composition root src/library, and of those objects of the
# layers that they need. `cmake --install build --prefix DIR` installs them with the headers and phoenix.pc.
include(GNUInstallDirs)

# The root, also for tests of the library's interface.
file(GLOB root_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/library/*.[ch])
add_library(px_library_root STATIC ${root_sources})
target_link_libraries(px_library_root PUBLIC px_infrastructure)

# The archive of the infrastructure without what it is linked with elsewhere: an object that needs OpenSSL or the like does
# not link here.
file(GLOB library_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/interfaces/library/*.[ch])
add_library(phoenix_shared SHARED ${library_sources} ${root_sources})
add_dependencies(phoenix_shared px_infrastructure)
target_include_directories(phoenix_shared PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(phoenix_shared PRIVATE
    $<TARGET_FILE:px_infrastructure> px_application ${CMAKE_DL_LIBS})
target_link_options(phoenix_shared PRIVATE
    -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/phoenix.map)
if(NOT PX_SANITIZE)
    target_link_options(phoenix_shared PRIVATE -Wl,-z,defs)
endif()
set_target_properties(phoenix_shared PROPERTIES
    OUTPUT_NAME phoenix
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/phoenix.map)

# A relocatable link resolves everything inside, then objcopy hides what is not the library's own name: a
# program may have a px_free of its own, or another copy of the engine.
set(library_archive ${CMAKE_BINARY_DIR}/libphoenix.a)
set(library_object ${CMAKE_BINARY_DIR}/libphoenix.o)
add_custom_command(
    OUTPUT ${library_archive}
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${library_object} $<TARGET_OBJECTS:phoenix_shared>
        $<TARGET_FILE:px_infrastructure> $<TARGET_FILE:px_application> $<TARGET_FILE:px_domain>
        $<TARGET_FILE:px_shared>
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=phx_* ${library_object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${library_archive}
    COMMAND ${CMAKE_AR} rcs ${library_archive} ${library_object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${library_object}
    DEPENDS $<TARGET_OBJECTS:phoenix_shared> px_infrastructure px_application px_domain px_shared
    COMMAND_EXPAND_LISTS VERBATIM
    COMMENT "Linking libphoenix.a")
add_custom_target(phoenix_static ALL DEPENDS ${library_archive})

# phoenix.pc finds its folder by its own place, so that an installed tree can be moved.
file(RELATIVE_PATH pc_prefix
    ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_SOURCE_DIR}/cmake/phoenix.pc.in ${CMAKE_BINARY_DIR}/phoenix.pc @ONLY)

install(TARGETS phoenix RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS phoenix_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${library_archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES
    ${CMAKE_SOURCE_DIR}/include/phoenix/phoenix.h
    ${CMAKE_SOURCE_DIR}/include/phoenix/engine.h
    ${CMAKE_SOURCE_DIR}/include/phoenix/tensor.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/phoenix)
install(FILES ${CMAKE_BINARY_DIR}/phoenix.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
