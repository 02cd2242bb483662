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
std::string pickle_as_stock(const wire::Payload& spec, std::string_view type = "Task") {
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
  EXPECT_EQ(unpickled_run_spec(pickled(pickle_as_stock(spec))), spec);
  const auto framed = task_payload({spec.frames[0], wire::Buffer::copy_of("numbers")});
  EXPECT_EQ(unpickled_run_spec(pickled(pickle_as_stock(framed))), framed);
}

// What dask 2026.8.0 writes of
//   Task(("k", 1), methodcaller("add (a C++ function: …)"), TaskRef("x"), List(TaskRef("y"), 2),
//        [1, {"a": 2}], Dict({"q": TaskRef("z")}), DataNode(None, b"3"), Alias("w", "w"))
TEST(PickledTask, a_call_of_a_python_client_becomes_one) {
  wire::PickleWriter out;
  const auto node = [&](std::string_view type, auto write_arguments) {
    out.global("dask._task_spec", type);
    out.open_tuple();
    write_arguments();
    out.close_tuple();
    out.call();
  };
  const auto result_of = [&](std::string_view key) { node("TaskRef", [&] { out.text(key); }); };
  node("Task", [&] {
    out.text("k");
    out.global("dask.utils", "methodcaller");
    out.text("add " + std::string{kPickledTaskNote});
    out.tuple(1);
    out.call();
    result_of("x");
    node("List", [&] {
      result_of("y");
      out.integer(2);
    });
    out.open_list();
    out.integer(1);
    out.open_dict();
    out.text("a");
    out.integer(2);
    out.close_dict();
    out.close_list();
    node("Dict", [&] {
      out.text("q");
      result_of("z");
    });
    node("DataNode", [&] {
      out.none();
      out.bytes("3");
    });
    node("Alias", [&] {
      out.text("w");
      out.text("w");
    });
  });
  const auto run_spec = unpickled_run_spec(pickled(std::move(out).take()));
  ASSERT_TRUE(run_spec.has_value());
  using namespace std::literals;
  EXPECT_EQ(run_spec->frames[0].view(),
            "\x93\xa4rask\xa3"
            "add\x96\xd5\x01\xa1x\x92\xd5\x01\xa1y\x02\x92\x01\x81\xa1"
            "a\x02\x81\xa1q\xd5"
            "\x01\xa1z\xc4\x01"
            "3\xd5\x01\xa1w"sv);
}

TEST(PickledTask, what_is_no_plain_data_does_not_cross) {
  wire::PickleWriter out;
  out.global("dask._task_spec", "Task");
  out.open_tuple();
  out.text("k");
  out.global("dask.utils", "methodcaller");
  out.text("f " + std::string{kPickledTaskNote});
  out.tuple(1);
  out.call();
  out.global("collections", "deque");
  out.tuple(0);
  out.call();
  out.close_tuple();
  out.call();
  EXPECT_EQ(unpickled_run_spec(pickled(std::move(out).take())), std::nullopt);
}

TEST(PickledTask, runs_as_the_task_that_it_holds) {
  const auto outcome =
      run_task(pickled(pickle_as_stock(spec_of_twice())), [](const Key&) { return TaskValue{}; });
  const auto* value = std::get_if<TaskValue>(&outcome);
  ASSERT_NE(value, nullptr);
  EXPECT_EQ(value->to_payload().frames[0].view(), "\x2a");
}

TEST(PickledTask, other_pickles_hold_none) {
  EXPECT_EQ(unpickled_run_spec(spec_of_twice()), std::nullopt);
  EXPECT_EQ(unpickled_run_spec(pickled("")), std::nullopt);
  EXPECT_EQ(unpickled_run_spec(pickled("no pickle")), std::nullopt);
  EXPECT_EQ(unpickled_run_spec(pickled(pickle_as_stock(spec_of_twice(), "Alias"))), std::nullopt);
  const wire::Payload bytes{.kind = wire::Payload::Kind::inlined,
                            .header = {},
                            .frames = {wire::Buffer::copy_of("\xa4rask")}};
  EXPECT_EQ(unpickled_run_spec(pickled(pickle_as_stock(bytes))), std::nullopt);
}

TEST(PickledTask, a_python_task_fails_with_words) {
  const auto outcome = run_task(pickled("\x80\x04N."), [](const Key&) { return TaskValue{}; });
  const auto* failure = std::get_if<TaskFailure>(&outcome);
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->type, "rask::UnknownTask");
}

}  // namespace
}  // namespace rask
