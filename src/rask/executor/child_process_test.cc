#include "rask/executor/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <future>

namespace rask::executor {
namespace {

struct Watched {
  std::string text;
  std::promise<int> exit;
  std::promise<void> said;
  ChildProcess::Callbacks callbacks() {
    return {.on_text =
                [this](std::string more) {
                  text += more;
                  if (text.find('\n') != std::string::npos) said.set_value();
                },
            .on_exit = [this](int status) { exit.set_value(status); }};
  }
};

TEST(ChildProcess, tells_what_the_child_writes_and_how_it_ends) {
  Watched watched;
  auto child = ChildProcess::start({"/bin/sh", "-c", "echo $GREETING >&3; exit 7"},
                                   {"GREETING=hello"}, watched.callbacks());
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(describe_exit(watched.exit.get_future().get()), "exited with code 7");
  EXPECT_EQ(watched.text, "hello\n");
}

TEST(ChildProcess, a_killed_child_is_told_by_its_signal) {
  Watched watched;
  auto child =
      ChildProcess::start({"/bin/sh", "-c", "echo up >&3; read line <&3"}, {}, watched.callbacks());
  ASSERT_TRUE(child.ok());
  watched.said.get_future().wait();
  child.value()->signal(SIGKILL);
  EXPECT_EQ(describe_exit(watched.exit.get_future().get()), "was killed by signal 9 (Killed)");
  child.value()->signal(SIGKILL);  // It has gone: nothing happens.
}

TEST(ChildProcess, destroying_it_ends_a_child_that_lives) {
  Watched watched;
  {
    auto child = ChildProcess::start({"/bin/sh", "-c", "echo up >&3; read line <&3"}, {},
                                     watched.callbacks());
    ASSERT_TRUE(child.ok());
    watched.said.get_future().wait();
  }
  EXPECT_EQ(describe_exit(watched.exit.get_future().get()), "was killed by signal 9 (Killed)");
}

TEST(ChildProcess, a_program_that_is_not_there_is_an_error_with_its_name) {
  Watched watched;
  const auto child = ChildProcess::start({"/no/such/program"}, {}, watched.callbacks());
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().message, "cannot start /no/such/program: No such file or directory");
}

}  // namespace
}  // namespace rask::executor
