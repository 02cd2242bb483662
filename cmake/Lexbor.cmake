# lexbor, the HTML5 parser: C sources that tools/fetch_lexbor.sh brings, built here as one static
# library. Nothing of it is in the repository.
include_guard(GLOBAL)

set(RASK_LEXBOR_DIR ${PROJECT_SOURCE_DIR}/build/third_party/lexbor CACHE PATH
  "Folder that holds lexbor's source/, as tools/fetch_lexbor.sh unpacks it")

if(NOT EXISTS ${RASK_LEXBOR_DIR}/source/lexbor/html/html.h)
  message(FATAL_ERROR
    "lexbor, the HTML parser, is not in ${RASK_LEXBOR_DIR}.\n"
    "Run tools/fetch_lexbor.sh once (it needs pip and a network), or bring selectolax's source "
    "distribution yourself and run tools/fetch_lexbor.sh --from FILE, or point RASK_LEXBOR_DIR to "
    "an unpacked lexbor.")
endif()

# All modules but `engine`, which ties them into a browser and which nothing here calls.
file(GLOB_RECURSE lexbor_sources ${RASK_LEXBOR_DIR}/source/lexbor/*.c)
list(FILTER lexbor_sources EXCLUDE REGEX "/(engine|ports/windows_nt)/")

add_library(rask_lexbor STATIC EXCLUDE_FROM_ALL ${lexbor_sources})
target_include_directories(rask_lexbor SYSTEM PUBLIC ${RASK_LEXBOR_DIR}/source)
target_compile_definitions(rask_lexbor PUBLIC LEXBOR_STATIC)
target_compile_options(rask_lexbor PRIVATE -w)
target_link_libraries(rask_lexbor PRIVATE m)
# Parsing is most of a crawl's own work; also a debug build wants it fast.
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(rask_lexbor PRIVATE -O2)
endif()
