#include <gtest/gtest.h>

#include "rask/scheduler/test_rig.h"
#include "rask/wire/msgpack.h"
#include "rask/wire/pickle.h"

namespace rask::scheduler {
namespace {

std::string pickle_in(const Payload& payload) {
  EXPECT_EQ(payload.kind, Payload::Kind::inlined);
  wire::Reader reader{payload.frames.at(0).view()};
  const std::string bytes{reader.binary()};
  EXPECT_TRUE(reader.ok() && reader.at_end());
  return bytes;
}

Worker last_worker() {
  Worker worker;
  worker.info.address = "tcp://127.0.0.1:40000";
  worker.info.name = "alice";
  worker.info.server_id = "Worker-1";
  worker.info.nthreads = 2;
  worker.status = protocol::WorkerStatus::closed;
  return worker;
}

TEST(ErrorPickles, a_killed_worker_names_task_and_worker) {
  std::string text;
  const auto payload = killed_worker(Key{"x-1"}, last_worker(), 3, text);
  EXPECT_EQ(text.substr(0, 44), "Attempted to run task 'x-1' on 4 different w");
  EXPECT_NE(text.find("tcp://127.0.0.1:40000"), std::string::npos);
  const auto pickle = pickle_in(payload);
  EXPECT_EQ(pickle.substr(0, 2), "\x80\x05");
  EXPECT_EQ(pickle.back(), '.');
  const auto read = wire::read_exception(pickle);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value().type, "distributed.scheduler.KilledWorker");
  EXPECT_EQ(read.value().arguments.at(0).as_text(), "x-1");
  EXPECT_EQ(read.value().arguments.at(2).as_int(), 3);
}

TEST(ErrorPickles, no_worker_errors_carry_the_timeout) {
  std::string text;
  const auto read = wire::read_exception(pickle_in(no_worker_error(Key{"x-1"}, 2.5, text)));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value().type, "distributed.scheduler.NoWorkerError");
  EXPECT_EQ(read.value().arguments.at(1).as_real(), 2.5);
  EXPECT_EQ(text,
            "Attempted to run task 'x-1' but timed out after 2.50 s waiting without any running "
            "workers.");
}

TEST(ErrorPickles, unmet_restrictions_are_listed) {
  std::string text;
  Annotation annotation;
  annotation.addresses = {"tcp://127.0.0.1:1"};
  annotation.hosts = {"here"};
  const auto pickle = pickle_in(no_valid_worker_error(Key::integer(5), annotation, 1, text));
  const auto read = wire::read_exception(pickle);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read.value().type, "distributed.scheduler.NoValidWorkerError");
  EXPECT_EQ(read.value().arguments.at(0).as_int(), 5);
}

TEST(ErrorPickles, builtin_errors_carry_their_text) {
  const auto read = wire::read_exception(pickle_in(builtin_error("MemoryError", "too much")));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read.value().type, "builtins.MemoryError");
}

}  // namespace
}  // namespace rask::scheduler
