# rask_library(<name> [PURE] DEPENDS <rooms> HEADERS <files> SOURCES <files> TESTS <files>
#              LIBRARIES <targets> PRIVATE_LIBRARIES <targets>)
#
# One room of the house: target rask::<name> and one test binary. tools/tidy.py reads the same call
# and fails when a file includes a room that DEPENDS does not name, or when a PURE room includes a
# socket, a thread or a clock.
function(rask_library name)
  cmake_parse_arguments(ARG "PURE" "" "DEPENDS;HEADERS;SOURCES;TESTS;LIBRARIES;PRIVATE_LIBRARIES"
    ${ARGN})
  list(TRANSFORM ARG_DEPENDS PREPEND "rask::")
  add_library(rask_${name} STATIC ${ARG_SOURCES})
  add_library(rask::${name} ALIAS rask_${name})
  set_target_properties(rask_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(rask_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(rask_${name} PUBLIC cxx_std_20)
  target_link_libraries(rask_${name} PUBLIC ${ARG_DEPENDS} ${ARG_LIBRARIES}
    PRIVATE $<BUILD_INTERFACE:rask_warnings> ${ARG_PRIVATE_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY RASK_ROOMS rask_${name})
  if(ARG_TESTS AND BUILD_TESTING AND RASK_UNIT_TESTS)
    add_executable(rask_${name}_test ${ARG_TESTS})
    target_link_libraries(rask_${name}_test PRIVATE rask::${name} rask_warnings
      GTest::gmock GTest::gtest_main)
    # The room is optimised and checked, the code of its tests is not: that halves the time to
    # compile them.
    if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
      target_compile_options(rask_${name}_test PRIVATE -O0 -fno-sanitize=undefined)
    endif()
    set(labels unit ${name})
    set_property(GLOBAL APPEND PROPERTY RASK_SANITIZED_TESTS rask_${name}_test)
    if(name IN_LIST RASK_THREADED_ROOMS)
      list(APPEND labels threads)
      set_property(GLOBAL APPEND PROPERTY RASK_THREADED_TESTS rask_${name}_test)
    endif()
    gtest_discover_tests(rask_${name}_test DISCOVERY_TIMEOUT 60 TEST_PREFIX ${name}.
      TEST_LIST rask_${name}_tests PROPERTIES TIMEOUT 60)
    rask_label_tests(rask_${name}_tests "${labels}")
  endif()
endfunction()

# gtest_discover_tests() cannot give a test two labels: they are set when ctest reads its lists.
function(rask_label_tests list labels)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/${list}_labels.cmake)
  file(CONFIGURE OUTPUT ${file} @ONLY CONTENT [=[
foreach(test IN LISTS @list@)
  set_tests_properties("${test}" PROPERTIES LABELS "@labels@")
endforeach()
]=])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${file})
endfunction()
