# One shared library of all rooms, the program that links it, and what a consumer needs of both.
#
# Tasks are known by the address of one function table. Rooms therefore exist once in a process: the
# program, an application and every library that a worker loads all link librask.so, none of them a
# room. For the same reason neither -Bsymbolic nor hidden visibility is used for rask's own symbols;
# what comes from Boost and from static helpers stays inside.
include(CMakePackageConfigHelpers)
include(cmake/PublicHeaders.cmake)

get_property(rooms GLOBAL PROPERTY RASK_ROOMS)
set(objects)
set(externals)
foreach(room IN LISTS rooms)
  list(APPEND objects $<TARGET_OBJECTS:${room}>)
  get_target_property(libraries ${room} LINK_LIBRARIES)
  list(APPEND externals ${libraries})
endforeach()
list(FILTER externals EXCLUDE REGEX "^rask(::|_)|rask_warnings|NOTFOUND$")
list(REMOVE_DUPLICATES externals)
# Which third-party headers a consumer sees through rask/rask.h: fmt is the only one allowed.
rask_public_headers(${PROJECT_SOURCE_DIR}/src public_headers third_party)
set(public_libraries Threads::Threads)
if("fmt" IN_LIST third_party)
  list(APPEND public_libraries fmt::fmt)
endif()

add_library(rask SHARED ${objects})
add_library(rask::rask ALIAS rask)
set_target_properties(rask PROPERTIES
  LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/exports.map)
target_include_directories(rask PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(rask PUBLIC cxx_std_20)
target_link_libraries(rask PUBLIC ${public_libraries} PRIVATE ${externals})
target_link_options(rask PRIVATE
  -Wl,--exclude-libs,ALL -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map)

install(TARGETS rask EXPORT raskTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET rask_cli)
  set_target_properties(rask_cli PROPERTIES
    INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS rask_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# The headers are collected again when they are installed: what rask/rask.h includes then, no more.
install(CODE "
  include(\"${PROJECT_SOURCE_DIR}/cmake/PublicHeaders.cmake\")
  rask_public_headers(\"${PROJECT_SOURCE_DIR}/src\" headers third_party)
  foreach(header IN LISTS headers)
    cmake_path(GET header PARENT_PATH folder)
    file(INSTALL \"${PROJECT_SOURCE_DIR}/src/\${header}\"
      DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/\${folder}\")
  endforeach()")

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/rask)
set(RASK_FIND_DEPENDENCIES "find_dependency(Threads)")
set(RASK_PC_REQUIRES "")
if("fmt" IN_LIST third_party)
  string(APPEND RASK_FIND_DEPENDENCIES "\nfind_dependency(fmt)")
  set(RASK_PC_REQUIRES "fmt")
endif()
configure_package_config_file(cmake/raskConfig.cmake.in ${PROJECT_BINARY_DIR}/raskConfig.cmake
  INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/raskConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX OUTPUT_VARIABLE RASK_PC_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig)
configure_file(cmake/rask.pc.in ${PROJECT_BINARY_DIR}/rask.pc @ONLY)
install(EXPORT raskTargets NAMESPACE rask:: DESTINATION ${config_folder})
install(FILES ${PROJECT_BINARY_DIR}/raskConfig.cmake ${PROJECT_BINARY_DIR}/raskConfigVersion.cmake
  DESTINATION ${config_folder})
install(FILES ${PROJECT_BINARY_DIR}/rask.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
# Where the scheduler looks for the Python that reads the graphs of Python clients.
install(DIRECTORY python/dask_rask DESTINATION ${CMAKE_INSTALL_DATADIR}/rask/python
  FILES_MATCHING PATTERN "*.py" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)
