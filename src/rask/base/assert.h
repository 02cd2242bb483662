#pragma once
// Always on, release included: an assertion failure is a bug in rask, and a stopped scheduler loses
// less than a scheduler that runs on a corrupt state.
#include <cstdio>
#include <cstdlib>

#define RASK_ASSERT(condition)                                                               \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "%s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
