#include "rask/graph/pickled_task.h"

#include <gtest/gtest.h>

#include "rask/graph/call.h"
#include "rask/graph/task.h"
#include "rask/wire/message.h"
#include "rask/wire/pickle_writer.h"

namespace app {
int twice(int x) { return 2 * x; }
}  // namespace app

namespace rask {
namespace {

wire::Payload spec_of_twice() {
  TaskWriter writer;
  write_call<std::tuple<int>>(writer, Function<app::twice>::name(), 21);
  return writer.take();
}

// Task("k", function, spec, frame…): by its constructor, as a client writes it.
std::string pickle_of(const wire::Payload& spec, std::string_view type = "Task") {
  wire::PickleWriter out;
  out.global("dask._task_spec", type);
  out.open_tuple();
  out.text("k");
  out.none();
  for (const auto& frame : spec.frames) out.bytes(frame.view());
  out.text("a dependency");
  out.close_tuple();
  out.call();
  return std::move(out).take();
}

wire::Payload pickled(std::string_view pickle) {
  wire::Writer header;
  header.map(1);
  header.text("pickled-obj");
  header.binary(pickle);
  return {.kind = wire::Payload::Kind::pickled,
          .header = wire::Buffer::own(header.take()),
          .frames = {}};
}

TEST(PickledTask, gives_its_run_spec) {
  const auto spec = spec_of_twice();
  EXPECT_EQ(unpickled_run_spec(pickled(pickle_of(spec))), spec);
  const auto framed = task_payload({spec.frames[0], wire::Buffer::copy_of("numbers")});
  EXPECT_EQ(unpickled_run_spec(pickled(pickle_of(framed))), framed);
}

TEST(PickledTask, runs_as_the_task_that_it_holds) {
  const auto outcome =
      run_task(pickled(pickle_of(spec_of_twice())), [](const Key&) { return TaskValue{}; });
  const auto* value = std::get_if<TaskValue>(&outcome);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(value->to_payload().frames[0].view(), "\x2a");
}

TEST(PickledTask, other_pickles_hold_none) {
  EXPECT_EQ(unpickled_run_spec(spec_of_twice()), std::nullopt);
  EXPECT_EQ(unpickled_run_spec(pickled("")), std::nullopt);
  EXPECT_EQ(unpickled_run_spec(pickled("no pickle")), std::nullopt);
  EXPECT_EQ(unpickled_run_spec(pickled(pickle_of(spec_of_twice(), "Alias"))), std::nullopt);
  const wire::Payload bytes{.kind = wire::Payload::Kind::inlined,
                            .header = {},
                            .frames = {wire::Buffer::copy_of("\xa4rask")}};
  EXPECT_EQ(unpickled_run_spec(pickled(pickle_of(bytes))), std::nullopt);
}

TEST(PickledTask, a_python_task_fails_with_words) {
  const auto outcome = run_task(pickled("\x80\x04N."), [](const Key&) { return TaskValue{}; });
  const auto* failure = std::get_if<TaskFailure>(&outcome);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->type, "rask::UnknownTask");
}

}  // namespace
}  // namespace rask
