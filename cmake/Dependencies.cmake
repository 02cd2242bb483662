# Everything that rask stands on, in one place. tools/setup.sh installs it.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS url json)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(CURL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
if(BUILD_TESTING)
  find_package(GTest REQUIRED)
endif()
# The allocator of the program `rask` (not of librask: an application chooses its own). Sanitizers
# bring theirs.
find_library(RASK_MIMALLOC mimalloc REQUIRED)
